"""Find what makes a voicemail urgent, each signal with the caller's own words as evidence.

Signals are patterns of ``lexicon/signals.toml`` in the language of the call. A negated pattern
("no smoke") is no signal. What a signal is worth is the tenant's rubric's business
(``voice.analyse.rubric``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path

from voice.analyse.fold import Folded, fold, folded
from voice.analyse.spoken import SOLID

#: Languages whose patterns stand under another one's code.
_SAME = {
    "no": "nb",
    "nn": "nb",
    "fil": "tl",
    "yue": "zh",
    "ms": "id",
    "bs": "hr",
    "sr": "hr",
    "sk": "cs",
    "be": "ru",
    "kk": "ru",
    "gl": "pt",
    "mr": "hi",
    "ne": "hi",
}
_SHORT, _QUOTED, _MOST_MATCHES = 4, 40, 8
_BEFORE, _AFTER = 16, 14
_NEGATORS = (
    "no|not|isn't|wasn't|aren't|weren't|without|never|nobody|no one|kein|keine|keinen|nicht|ohne|pas|pas de|sans|"
    "aucun|aucune|sin|ningun|ninguna|sem|nenhum|nenhuma|senza|nessun|nessuna|geen|niet|zonder|bez|nie ma|nie|нет|"
    "не|без|немає|ingen|inte|inget|utan|ikke|uden|uten|ei|ilman|neni|zadny|zadna|fara|nincs|nem|χωρις|δεν|אין|לא|"
    "няма|nema|nije|sense|لا|ليس|بدون|مافي|مو|مش|tidak ada|bukan|tanpa|khong|khong phai"
)
_NEGATED = re.compile(
    rf"(?:\b(?:{_NEGATORS})|没有|沒有|不是|无|無)\s*(?:a |any |really |de |the |ein |eine )?$"
)
_NEGATED_AFTER = re.compile(
    r"^\s*(?:yok|degil|नहीं|نهيں|はない|ではな|はありません|ではありません|없|아니)"
)
_GREETING = re.compile(r"\b(?:guten|god|goeden|goede) (?:morgen|morgon)\b|\bgoedemorgen\b")
_QUESTION = re.compile(
    r"^\W*(?:(?:and|so|also|hi|hello)\W+)*(?:do you|how much|what do you|what does|do y'all|are you able to)\b"
)
_ASKABLE = frozenset({"hazard", "heating", "outage", "waiting"})


@dataclass(frozen=True, slots=True)
class Signal:
    """A reason for urgency that was heard: its kind, and the words, as the caller said them."""

    kind: str
    evidence: str
    start: int


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    path = Path(__file__).with_name("lexicon") / "signals.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=64)
def _own_negations(tag: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile what negates in one language only: right before a phrase, and right after it."""
    path = Path(__file__).with_name("lexicon") / "negations.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    sides = []
    for side in ("before", "after"):
        listed = [folded(each.strip()) for each in table[side].get(tag, "").split(",")]
        words = "|".join(re.escape(each) for each in sorted(listed, key=len, reverse=True) if each)
        sides.append(words or r"(?!)")
    return re.compile(rf"(?<!\w)(?:{sides[0]})\s*$"), re.compile(rf"^\s*(?:{sides[1]})")


def kinds() -> tuple[str, ...]:
    """Name every kind of signal that a rubric may refer to."""
    return tuple(_table())


@lru_cache(maxsize=64)
def _phrases(language: str) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Give each kind's folded phrases, with the part of it that a text must hold for it to match."""
    name = _SAME.get(language, language)
    listed = {}
    for kind, sections in _table().items():
        own = sections.get(name)
        phrases = [folded(each.strip()) for each in (own or "").split(";")]
        if own is None and language != "en":
            others = sections.get("other", sections["en"]).split(";")
            phrases = [folded(each.strip()) for each in others]
            phrases = [each for each in phrases if not _is_ambiguous(each)]
        listed[kind] = tuple((_literal(each), each) for each in phrases if each)
    return listed


def _literal(phrase: str) -> str:
    parts = phrase.replace("..", " ").replace("*", " ").split()
    return max(parts, key=len)


@lru_cache(maxsize=4096)
def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(_expression(phrase))


def _matches(text: str, listed: Sequence[tuple[str, str]]) -> list[re.Match[str]]:
    """Find the phrases in a text, in its order; only phrases whose literal occurs are compiled."""
    found = [
        match
        for literal, phrase in listed
        if literal in text
        for match in islice(_pattern(phrase).finditer(text), _MOST_MATCHES)
    ]
    return sorted(found, key=lambda match: (match.start(), -match.end()))


def _is_ambiguous(phrase: str) -> bool:
    """Tell whether a word of some language is likely to be an everyday word of another."""
    return phrase.isascii() and len(phrase) <= _SHORT and "*" not in phrase


def _expression(phrase: str) -> str:
    """Turn a pattern of the lexicon into a regular expression over folded text."""
    if SOLID.search(phrase):
        return re.escape(phrase)
    words = []
    for word in phrase.split():
        if word == "..":
            words.append(r"(?:\S+\s+){0,4}?")
        else:
            stem = re.escape(word.removesuffix("*")) + (r"\w*" if word.endswith("*") else "")
            words.append(stem + r"[\s,]+")
    body = "".join(words).removesuffix(r"[\s,]+")
    return rf"(?<!\w){body}(?!\w)"


def find(text: str, language: str | None = None) -> tuple[Signal, ...]:
    """Give the signals of a transcript, one a kind: the first that is not negated."""
    whole = fold(text)
    masked = _GREETING.sub(lambda match: "#" * len(match.group()), whole.text)
    tag = (language or "en").split("-", maxsplit=1)[0].lower()
    found = []
    for kind, listed in _phrases(tag).items():
        for match in _matches(masked, listed):
            if _holds(masked, match, kind, tag):
                found.append(Signal(kind, _evidence(whole, match), whole.span(*match.span())[0]))
                break
    return tuple(found)


def _holds(text: str, match: re.Match[str], kind: str, tag: str) -> bool:
    if kind in {"calm", "resolved"}:
        return True
    before = text[max(0, match.start() - _BEFORE) : match.start()]
    after = text[match.end() : match.end() + _AFTER]
    if _NEGATED.search(before) or _NEGATED_AFTER.search(after):
        return False
    own_before, own_after = _own_negations(tag)
    if own_before.search(before) or own_after.search(after):
        return False
    if kind not in _ASKABLE:
        return True
    start = max(text.rfind(mark, 0, match.start()) for mark in ".!?\n") + 1
    return not _QUESTION.search(text[start : match.start()])


def _evidence(text: Folded, match: re.Match[str]) -> str:
    """Quote the words, widened to the clause they stand in but not beyond some forty letters."""
    start, end = match.span()
    marks = ".!?;,\n"
    while start > 0 and text.text[start - 1] not in marks and match.start() - start < _QUOTED:
        start -= 1
    while end < len(text.text) and text.text[end] not in marks and end - match.end() < _QUOTED:
        end += 1
    start = _at_word(text.text, start, match.start())
    end = -_at_word(text.text[::-1], len(text.text) - end, len(text.text) - match.end()) + len(
        text.text
    )
    return text.original(start, end).strip()


def _at_word(text: str, start: int, limit: int) -> int:
    """Move a cut that falls inside a word to the word's end."""
    if start == 0 or not text[start - 1].isalnum() or SOLID.search(text[start:limit]):
        return start
    while start < limit and text[start].isalnum():
        start += 1
    return start
