"""Callers that are machines: a recorded message runs on whatever it is asked."""

from __future__ import annotations

import re

from voice.analyse.fold import folded
from voice.analyse.spoken import SOLID
from voice.dialogue.types import Slot, Talk

_LONG, _SOME = 60, 12
_LONG_SOLID, _SIGNS_A_WORD = 2, 2
_RECORDED = re.compile(
    r"\b(?:press(?:ing)? (?:\d|one|two|three|nine|the pound|star)|to be removed from|do not call list|"
    r"to opt out|unsubscribe|"
    r"this is (?:an automated|a recorded|a pre-?recorded)|automated (?:call|message)|recorded message|"
    r"extended (?:car |auto )?warranty|vehicle'?s? warranty|google (?:business )?listing|"
    r"final (?:notice|courtesy call)|pre-?approved|lower your interest|student loan forgiveness|"
    r"marque (?:el )?(?:\d|uno|nueve)|presione (?:el )?(?:\d|uno|nueve)|pulse (?:el )?(?:\d|uno)|"
    r"mensaje (?:grabado|automatico)|"
    r"(?:tapez|appuyez sur)(?: la touche| le)? ?(?:\d|un|neuf)|message (?:enregistre|automatique)|"
    r"drucken sie (?:die )?(?:\d|eins|neun)|automatische (?:nachricht|ansage)|"
    r"(?:aperte|digite|pressione|tecle) (?:\d|um|nove)|mensagem (?:gravada|automatica)|premi (?:\d|uno)|"
    r"druk op (?:\d|een)|nacisnij|wcisnij|нажмите (?:\d|один|цифру)|натисніть|tuslayin|tusuna bas)"
    r"|请按|請按|按[一九19]|キーを押|自動音声|번을 누르|눌러 주|اضغط"
)


def words(text: str) -> int:
    """Count words; where a script has no spaces, two signs count as one."""
    signs = len(SOLID.findall(text))
    if signs > len(text) // _LONG_SOLID:
        return signs // _SIGNS_A_WORD
    return len(text.split())


def is_recording(text: str) -> bool:
    """Tell whether a text is a recorded message: two of its turns of phrase, or one in a long text."""
    count = words(text)
    if count < _SOME:
        return False
    found = {match.group() for match in _RECORDED.finditer(folded(text))}
    return len(found) > 1 or (bool(found) and count >= _LONG)


def is_monologue(talk: Talk) -> bool:
    """Tell whether one monologue follows another although something was asked in between.

    A caller who pours everything out at once tells a name or a number with it, or answers the
    question that follows.
    """
    if Slot.NAME in talk.slots or Slot.NUMBER in talk.slots or talk.digits:
        return False
    last = talk.said[-2:]
    return len(last) > 1 and all(words(text) >= _LONG for text in last)
