"""Fold text for matching, and find the way back to what the caller really said."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_SPECIAL = {
    "ß": "ss",
    "ø": "o",
    "æ": "ae",
    "œ": "oe",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "ı": "i",
    "’": "'",
    "‘": "'",
    "ʼ": "'",
    "`": "'",
    "´": "'",
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "−": "-",
    "أ": "ا",
    "إ": "ا",
    "آ": "ا",
    "ى": "ي",
    "ی": "ي",
    "ک": "ك",
    "ہ": "ه",
    "ھ": "ه",
    "ة": "ه",
    "ـ": "",
    "،": ",",
    "。": ".",
    "、": ",",
}
#: Latin, Greek and Cyrillic end before Armenian; Latin and Greek go on in a later block.
_ALPHABETS_END = 0x0530
_MORE_ALPHABETS = range(0x1E00, 0x2000)
_COMPATIBILITY = range(0xF900, 0x10000)


@dataclass(frozen=True, slots=True)
class Folded:
    """Lower-case text without accents, native digits as 0-9; ``at[i]`` is where character i was."""

    text: str
    source: str
    at: tuple[int, ...]

    def original(self, start: int, end: int) -> str:
        """Give the caller's own words for a span of the folded text."""
        return self.source[slice(*self.span(start, end))]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give the span of the source that a span of the folded text came from."""
        if start >= end:
            return (0, 0)
        return self.at[start], self.at[end - 1] + 1


@lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:  # noqa: PLR0911  # one answer a kind of character
    if character.isascii():
        return character.lower()
    if character in _SPECIAL:
        return _SPECIAL[character]
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category in {"Cf", "Cc", "Cs"}:
        return " " if category == "Cc" else ""
    code = ord(character)
    if code in _COMPATIBILITY or category == "Zs":
        return unicodedata.normalize("NFKC", character).lower()
    if category == "Mn" and (code < _ALPHABETS_END or _is_vowel_point(code)):
        return ""
    if code < _ALPHABETS_END or code in _MORE_ALPHABETS:
        parts = unicodedata.normalize("NFKD", character.lower())
        return "".join(_SPECIAL.get(c, c) for c in parts if not unicodedata.combining(c))
    return character.lower()


def _is_vowel_point(code: int) -> bool:
    return 0x0591 <= code <= 0x05C7 or 0x0610 <= code <= 0x061A or 0x064B <= code <= 0x0670  # noqa: PLR2004  # Hebrew and Arabic points


def fold(text: str) -> Folded:
    """Fold text: case, accents of Latin, Greek and Cyrillic, vowel points, digits of any script."""
    out: list[str] = []
    at: list[int] = []
    for index, character in enumerate(text):
        for folded in _fold_character(character):
            out.append(folded)
            at.append(index)
    return Folded("".join(out), text, tuple(at))


def folded(text: str) -> str:
    """Fold text without the way back."""
    return "".join(map(_fold_character, text))
