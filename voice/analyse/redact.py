"""Take personal data out of a text: every find is replaced by a token that names its type.

For tenants with health data. Finds card numbers (by their check digit), social security numbers, dates of birth,
telephone numbers (dictated ones too), e-mail addresses, and the names that are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from voice.analyse.fold import fold
from voice.analyse.name import introduction
from voice.analyse.phone import find

_CARD = re.compile(r"(?<!\d)(?:\d[ -]?){13,19}(?!\d)")
_SSN = re.compile(r"(?<!\d)\d{3}[- ]\d{2}[- ]\d{4}(?!\d)")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_BIRTH = re.compile(
    r"(?:born(?: on)?|date of birth|birthday|birth date|d\.?o\.?b\.?|geboren|geburtsdatum|né[e]? le|"
    r"date de naissance|"
    r"fecha de nacimiento|nací|data de nascimento|nat[oa] il|data di nascita|"
    r"дата рождения|出生|生年月日|생년월일|doğum tarihi)"
    r"(?:\s+(?:is|ist|est|es|é|am|el|the))*[\s:,]*([\w/. -]{4,40}?\d{2,4}|[^.!?;]{4,60}?)(?=[.,;!?\n]|$)",
    re.IGNORECASE,
)
_LUHN_DOUBLED_MAX = 9


def redact(text: str, *, language: str | None = None, names: Sequence[str] = ()) -> str:
    """Give the text with [CARD], [SSN], [DATE_OF_BIRTH], [EMAIL], [PHONE] and [NAME] in place.

    ``names`` are names known from elsewhere; the name that the caller gives is found here.
    """
    spans = sorted(_spans(text, language, names), key=lambda span: (span[0], -span[1]))
    out: list[str] = []
    at = 0
    for start, end, token in spans:
        if start < at:
            continue
        out += [text[at:start], token]
        at = end
    return "".join([*out, text[at:]])


def _spans(text: str, language: str | None, names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    for match in _CARD.finditer(text):
        if _is_card(re.sub(r"\D", "", match.group())):
            yield match.start(), match.end(), "[CARD]"
    for match in _SSN.finditer(text):
        yield match.start(), match.end(), "[SSN]"
    for match in _BIRTH.finditer(text):
        yield match.start(1), match.end(1), "[DATE_OF_BIRTH]"
    for match in _EMAIL.finditer(text):
        yield match.start(), match.end(), "[EMAIL]"
    whole = fold(text)
    for said in find(text, language=language):
        yield *whole.span(said.start, said.end), "[PHONE]"
    who = introduction(text, language)
    for name in filter(None, (*names, who.full, who.given, who.family)):
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE):
            yield match.start(), match.end(), "[NAME]"


def _is_card(digits: str) -> bool:
    """Check the digit that every payment card number ends with."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > _LUHN_DOUBLED_MAX else value
    return total % 10 == 0
