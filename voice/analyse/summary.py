"""Say in one line, in the caller's own words, what a voicemail is about.

The line is taken from the message, not written anew: greetings, self-introductions, fillers, thanks
and dictated numbers are left out, and the sentence that says most is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from voice.analyse.fold import Folded, fold, folded
from voice.analyse.gist import phrase
from voice.analyse.name import Introduction, greetings
from voice.analyse.signals import Signal
from voice.analyse.spoken import spoken, tokens

_LINE, _REASON = 140, 300
_CLAUSE = re.compile(r"[^,;:.!?…。、！？，；：।؟،\n]+[,;:.!?…。、！？，；：।؟،\n]*")
_ENDS = ".!?…。！？।؟\n"
_CUTS = ",;:.!?…。、！？，；：।؟، \n-–—"
_MOSTLY = 0.5
_GRAVE = frozenset({"life", "hazard", "outage", "heating", "health", "waiting"})
_MAX_INTRO_WORDS, _SURELY_INTRO_WORDS, _MIN_WORDS, _ENOUGH_WORDS = 7, 5, 3, 20


@dataclass(frozen=True, slots=True)
class Gist:
    """The one line for triage (at most 140 characters), and the reason in up to 300."""

    line: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    weight: float


def summarise(
    text: str, *, who: Introduction, signals: Sequence[Signal], language: str | None
) -> Gist:
    """Give the one-line summary and the reason; None where the message says nothing."""
    sentences = _sentences(text, who, signals, (language or "en").split("-")[0])
    if not sentences:
        return Gist(None, None)
    best = max(range(len(sentences)), key=lambda index: sentences[index].weight - index * 0.15)
    line = sentences[best].text
    prefix = f"{who.full}: " if who.full else ""
    following = sentences[best + 1] if best + 1 < len(sentences) else None
    reason = line
    if following and following.weight > 0:
        joint = " " if line[-1:] in _ENDS else ". "
        reason = f"{line}{joint}{following.text}"
        if len(prefix) + len(reason) <= _LINE:
            line = reason
    return Gist(_cut(prefix + line, _LINE), _cut(reason, _REASON))


def _sentences(
    text: str, who: Introduction, signals: Sequence[Signal], language: str
) -> list[_Sentence]:
    kept: list[_Sentence] = []
    clauses: list[str] = []
    start = 0
    for match in _CLAUSE.finditer(text):
        clause = match.group().strip()
        if not _is_empty(clause, who, language):
            clauses.append(clause)
        if (clause and clause[-1] in _ENDS) or match.end() == len(text):
            if clauses:
                kept.append(_weighed(" ".join(clauses), signals, (start, match.end())))
            clauses = []
            start = match.end()
    if clauses:
        kept.append(_weighed(" ".join(clauses), signals, (start, len(text))))
    return [sentence for sentence in kept if sentence.text]


def _weighed(said: str, signals: Sequence[Signal], span: tuple[int, int]) -> _Sentence:
    plain = folded(said)
    heard = [signal for signal in signals if span[0] <= signal.start < span[1]]
    weight = sum(3.0 if signal.kind in _GRAVE else 1.0 for signal in heard)
    weight += 2.0 * bool(phrase("wants").search(plain)) + 1.0 * bool(phrase("buying").search(plain))
    weight -= 2.5 * bool(phrase("closing").search(plain))
    words = len(said.split())
    weight += 1.0 if words > _MIN_WORDS or len(said) > 3 * _MIN_WORDS else -1.0
    weight += min(words, _ENOUGH_WORDS) * 0.05
    return _Sentence(_tidied(said), weight)


def _is_empty(clause: str, who: Introduction, language: str) -> bool:
    """Tell whether a clause only greets, introduces, hesitates, or dictates digits."""
    whole = fold(clause)
    words = re.findall(r"[^\s,;:.!?…。、！？，；：।؟،]+", whole.text)
    if not words:
        return True
    if all(word in greetings() or phrase("fillers").fullmatch(word) for word in words):
        return True
    if who.full and folded(who.full) in whole.text and len(words) <= _MAX_INTRO_WORDS:
        rest = whole.text.replace(folded(who.full), "")
        return len(words) <= _SURELY_INTRO_WORDS or not phrase("wants").search(rest)
    return _is_digits(whole, language)


def _is_digits(clause: Folded, language: str) -> bool:
    said = tokens(clause, language)
    lexicon = spoken(language)
    index = digits = 0
    while index < len(said):
        options = lexicon.at(said, index)
        if options:
            digits += options[0][1]
        index += options[0][1] if options else 1
    return digits >= 2 and digits > _MOSTLY * len(said)  # noqa: PLR2004  # one number may matter


def _tidied(said: str) -> str:
    """Drop hesitation and what is left of a greeting; begin with a capital."""
    said = re.sub(r"\b(?:uh+|um+|erm?|euh|ähm?|eh|hmm+)\b,?\s*", "", said, flags=re.IGNORECASE)
    said = re.sub(r"(?<=[、。，])\s+", "", said)
    said = re.sub(r"\s+", " ", said).strip(_CUTS + " ")
    words = said.split(" ")
    while len(words) > 1 and folded(words[0]).strip(_CUTS) in greetings():
        words.pop(0)
    said = " ".join(words)
    return said[:1].upper() + said[1:]


def _cut(said: str, limit: int) -> str:
    if len(said) <= limit:
        return said
    shorter = said[: limit - 1]
    at = shorter.rfind(" ")
    if at > limit // 2:
        shorter = shorter[:at]
    return shorter.rstrip(_CUTS) + "…"
