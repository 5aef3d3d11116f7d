"""Find what identifies a person in a transcript, written or dictated, for ``voice.analyse.redact``.

Digits are read as the callback number's are (``digits.py``); the words before them say what they are. Digits that
nothing is said of are taken for an identifier when there are many.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from voice.analyse.digits import Run, joined, runs
from voice.analyse.fold import Folded, fold
from voice.analyse.spoken import SOLID

Span = tuple[int, int, str]

_REACH = 48
#: So many digits without a word about them identify somebody more often than not.
_MANY = 7
_CARD_DIGITS = range(13, 20)
_SSN_DIGITS, _SSN_TAIL = 9, 4
_FEWEST_ID, _FEWEST_BIRTH = 4, 2
_LUHN_DOUBLED_MAX = 9
_TOKENS = {
    "ssn": "[SSN]",
    "card": "[CARD]",
    "id": "[ID]",
    "zip": "[ADDRESS]",
    "birth": "[DATE_OF_BIRTH]",
}
_SPELLED = re.compile(
    r"(?<![^\W_])(?:[A-Za-zÀ-ÿ](?:[-.,]\s?|\s)){3,}[A-Za-zÀ-ÿ](?![^\W_])", re.UNICODE
)
_CASED_NAME = r"([A-ZÀ-Þ][\w'’-]+(?:\s+[A-ZÀ-Þ][\w'’-]+){0,2})"
_CODE = re.compile(r"(?<!\w)(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{5,}(?!\w)")
_CLAUSE_END = re.compile(r"[!?;\n。！？；，]|\.\s|\.$")
#: The parts of one date stand nearer to each other than this ("of the year", "de mil").
_OTHER_WORD = re.compile(
    r"\b(?!(?:of|the|and|in|de|del|do|da|den|di|van|von|st|nd|rd|th|le|el|mil)\b)[^\W\d_]+",
    re.UNICODE,
)
_DATE_GAP, _SOLID_GAP = 10, 3
#: "One E G four, T E five": letters and digits said one by one.
_ONE_BY_ONE = re.compile(
    r"(?:\b(?:[a-z]|\d{1,2}|zero|oh|one|two|three|four|five|six|seven|eight|nine|double)\b[\s,.-]*){4,}"
)
_NOT_A_CUE = re.compile(r"call(?:back)?|phone|mobile|cell|reach|telefon|telephone|telefono|celular")


@cache
def _table() -> Mapping[str, Any]:
    path = Path(__file__).with_name("lexicon") / "identifiers.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def _cue(kind: str) -> re.Pattern[str]:
    return re.compile(_table()["cues"][kind])


@cache
def _births() -> re.Pattern[str]:
    """A date after the words that announce one: up to the last digit or month of the clause."""
    months = _table()["words"]["months"]
    return re.compile(rf"\b(?:{months})\b|\d|\b(?:19|20)\d\d\b")


@cache
def _addresses() -> tuple[re.Pattern[str], ...]:
    words = _table()["words"]
    name = r"[\w'.-]+"
    return (
        re.compile(
            rf"(?<![\w.])\d{{1,5}}[a-z]?,?\s+(?:{name}\s+){{1,3}}?(?:{words['streets_after']})\b"
            r"(?:[\s,]+(?:apt|apartment|unit|suite|number|#)\.?\s*\w+)?"
        ),
        re.compile(
            rf"(?<![\w.])(?:\d{{1,5}}\s*(?:bis|ter)?,?\s+)(?:{words['streets_before']})\.?\s+{name}(?:\s+{name}){{0,3}}"
        ),
        re.compile(
            rf"\b(?:{words['streets_before']})\.?\s+(?:{name}\s+){{1,5}}?(?:numero\s+|n[.º]?\s*)?\d{{1,5}}\b"
        ),
        re.compile(rf"\b{name}(?:{words['streets_joined']})\.?\s+\d{{1,4}}\s?[a-z]?\b"),
    )


@cache
def _street_after_digits() -> re.Pattern[str]:
    return re.compile(rf"\s+(?:[\w'.-]+\s+){{1,3}}?(?:{_table()['words']['streets_after']})\b")


@cache
def _kin() -> re.Pattern[str]:
    cue = _table()["words"]["kin"]
    called = r"(?:,|\s+is|\s+named|\s+called|'s name is|\s+se llama|\s+heisst|\s+s'appelle)?"
    return re.compile(rf"(?i:\b(?:{cue}){called})\s+{_CASED_NAME}")


def find(text: str, language: str | None) -> Iterator[Span]:
    """Yield where identifiers stand, and the token for each."""
    whole = fold(text)
    tag = (language or "en").split("-", maxsplit=1)[0].lower()
    for spans in (_dictated(whole, tag), _dates(whole, tag), _written(whole)):
        for start, end, token in spans:
            yield *whole.span(start, end), token
    for match in _kin().finditer(text):
        yield match.start(1), match.end(1), "[NAME]"
    for match in _SPELLED.finditer(text):
        yield match.start(), match.end(), "[NAME]"


def _dictated(whole: Folded, language: str) -> Iterator[Span]:
    for name in dict.fromkeys((language, "en")):
        for run in runs(whole, name):
            span = _of_run(whole, run)
            if span:
                yield span


def _written(whole: Folded) -> Iterator[Span]:
    for match in _CODE.finditer(whole.text):
        if _last_cue(whole.text[max(0, match.start() - _REACH) : match.start()]) == "id":
            yield *match.span(), "[ID]"
    for match in _ONE_BY_ONE.finditer(whole.text):
        if _last_cue(whole.text[max(0, match.start() - _REACH) : match.start()]) == "id":
            yield match.start(), match.start() + len(match.group().rstrip(" ,.-")), "[ID]"
    for pattern in _addresses():
        for match in pattern.finditer(whole.text):
            yield *match.span(), "[ADDRESS]"


def _of_run(whole: Folded, run: Run) -> Span | None:
    """Tell what dictated digits are, by the words before them; None where they may stay."""
    readings = [joined(reading) for reading in run.readings]
    digits = readings[0]
    if any(len(one) in _CARD_DIGITS and is_card(one) for one in readings):
        return run.start, run.end, "[CARD]"
    cue = _last_cue(whole.text[max(0, run.start - _REACH) : run.start])
    if cue == "ssn" and len(digits) >= _SSN_TAIL:
        return run.start, run.end, "[SSN]"
    if cue in {"id", "card", "zip"} and len(digits) >= _FEWEST_ID:
        return run.start, run.end, _TOKENS[cue]
    street = _street_after_digits().match(whole.text, run.end)
    if street and len(digits) <= 5:  # noqa: PLR2004 - house numbers
        return run.start, street.end(), "[ADDRESS]"
    if len(digits) >= _MANY:
        return run.start, run.end, "[NUMBER]"
    return None


def _last_cue(before: str) -> str | None:
    """Give what the nearest words of a clause announce; a word for a telephone takes it back."""
    clause = _CLAUSE_END.split(before)[-1]
    found = [
        (match.end(), kind)
        for kind in ("ssn", "card", "id", "zip")
        for match in _cue(kind).finditer(clause)
    ]
    found += [(match.end(), "") for match in _NOT_A_CUE.finditer(clause)]
    return (max(found)[1] or None) if found else None


def _dates(whole: Folded, language: str) -> Iterator[Span]:
    for cue in _cue("birth").finditer(whole.text):
        clause = _CLAUSE_END.split(whole.text[cue.end() : cue.end() + 90])[0]
        until = cue.end() + len(clause)
        found = [
            (cue.end() + match.start(), cue.end() + match.end())
            for match in _births().finditer(clause)
        ]
        for name in dict.fromkeys((language, "en")):
            found += [
                (run.start, run.end) for run in runs(whole, name) if cue.end() <= run.start < until
            ]
        gap = _SOLID_GAP if SOLID.search(clause) else _DATE_GAP
        ends: list[int] = []
        for start, end in sorted(found):
            between = whole.text[max(ends) : start] if ends else ""
            if len(between) <= gap and not _OTHER_WORD.search(between):
                ends.append(end)
        if ends:
            start = cue.end() + len(clause) - len(clause.lstrip(" :,"))
            yield start, max(ends), "[DATE_OF_BIRTH]"


def is_card(digits: str) -> bool:
    """Check the digit that every payment card number ends with."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > _LUHN_DOUBLED_MAX else value
    return total % 10 == 0
