"""Take personal data out of a text: every find is replaced by a token that names its type.

For tenants with health data. Finds card numbers (by their check digit), social security numbers, numbers of members,
policies, patients and the like, dates of birth, addresses, telephone numbers, each also where it is dictated, e-mail
addresses, the names that are given, and those of kin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from voice.analyse import identifiers
from voice.analyse.fold import fold
from voice.analyse.identifiers import is_card
from voice.analyse.name import introduction
from voice.analyse.phone import find
from voice.analyse.spoken import SOLID

_CARD = re.compile(r"(?<!\d)(?:\d[ -]?){13,19}(?!\d)")
_SSN = re.compile(r"(?<!\d)\d{3}[- ]\d{2}[- ]\d{4}(?!\d)")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_BIRTH = re.compile(
    r"(?:born(?: on)?|date of birth|birthday|birth date|d\.?o\.?b\.?|geboren|geburtsdatum|né[e]? le|"
    r"date de naissance|"
    r"fecha de nacimiento|nací|data de nascimento|nat[oa] il|data di nascita|"
    r"дата рождения|出生|生年月日|생년월일|doğum tarihi)"
    r"(?:\s+(?:is|ist|est|es|é|am|el|the))*[\s:,]*([\w/. -]{4,40}?\d{2,4}|[^.!?;，。]{4,60}?)(?=[.,;!?，。\n]|$)",
    re.IGNORECASE,
)
#: A telephone number says more than "some number"; what was announced says more than a telephone number.
_RANK = {"[NUMBER]": 2, "[PHONE]": 1}


def redact(text: str, *, language: str | None = None, names: Sequence[str] = ()) -> str:
    """Give the text with tokens such as [CARD], [ID], [DATE_OF_BIRTH] and [NAME] in place.

    ``names`` are names known from elsewhere; the name that the caller gives is found here.
    """
    spans = sorted(
        (_RANK.get(token, 0), start, -end, token)
        for start, end, token in _spans(text, language, names)
    )
    chosen: list[tuple[int, int, str]] = []
    for _, start, minus_end, token in spans:
        for free_start, free_end in _free(start, -minus_end, chosen):
            if text[free_start:free_end].strip(" .,"):
                chosen.append((free_start, free_end, token))
    out: list[str] = []
    at = 0
    for start, end, token in sorted(chosen):
        out += [text[at:start], token]
        at = end
    return "".join([*out, text[at:]])


def _free(start: int, end: int, taken: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int]]:
    """Yield what of a span is not taken yet, so that no part of an overlapping find is left over."""
    for other_start, other_end, _ in sorted(taken):
        if other_end <= start or other_start >= end:
            continue
        if other_start > start:
            yield start, other_start
        start = max(start, other_end)
    if start < end:
        yield start, end


def _spans(text: str, language: str | None, names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    for match in _CARD.finditer(text):
        if is_card(re.sub(r"\D", "", match.group())):
            yield match.start(), match.end(), "[CARD]"
    for match in _SSN.finditer(text):
        yield match.start(), match.end(), "[SSN]"
    for match in _BIRTH.finditer(text):
        yield match.start(1), match.end(1), "[DATE_OF_BIRTH]"
    for match in _EMAIL.finditer(text):
        yield match.start(), match.end(), "[EMAIL]"
    yield from identifiers.find(text, language)
    whole = fold(text)
    for said in find(text, language=language):
        yield *whole.span(said.start, said.end), "[PHONE]"
    who = introduction(text, language)
    for name in filter(None, (*names, who.full, who.given, who.family)):
        # Scripts without spaces have no edges of words.
        edges = ("", "") if SOLID.search(name) else (r"(?<!\w)", r"(?!\w)")
        pattern = re.escape(name).join(edges)
        for match in re.finditer(pattern, text, re.IGNORECASE):
            yield match.start(), match.end(), "[NAME]"
