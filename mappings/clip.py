"""Shorten text to a length without cutting a word, a letter or an emoji in two."""

from __future__ import annotations

import html
import unicodedata
from typing import Final

ELLIPSIS: Final = "…"

_JOINER: Final = "\u200d"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_REGIONAL: Final = range(0x1F1E6, 0x1F200)
_TAGS: Final = range(0xE0020, 0xE0080)
_HANGUL_VOWELS_AND_FINALS: Final = range(0x1160, 0x1200)
# How far back, as a part of the room, a cut may move to end with a whole word.
_WORD_SEARCH: Final = 0.5


def clip(text: str, max_chars: int) -> str:
    """Give text of at most ``max_chars`` (at least 1) code points; what was cut ends with ``…``.

    The cut falls between words where one ends in the second half of the room, and never inside
    what a reader sees as one character.

    >>> clip("Water is coming through the ceiling", 20)
    'Water is coming…'
    """
    if len(text) <= max_chars:
        return text
    cut = max_chars - 1
    if not text[cut].isspace():
        cut = _word_end(text, cut)
    while cut > 0 and not _is_border(text, cut):
        cut -= 1
    return text[:cut].rstrip() + ELLIPSIS


def clip_html(text: str, max_chars: int) -> str:
    """Give plain text as safe HTML of at most ``max_chars``, cut before it is escaped.

    >>> clip_html("Tom & Jerry", 7)
    'Tom…'
    """
    escaped = as_html(text)
    if len(escaped) <= max_chars:
        return escaped
    room, used = 0, 0
    for char in text:
        used += len(as_html(char))
        if used > max_chars:
            break
        room += 1
    # The prefix of ``room`` characters fits, so a shorter one with one more character does too.
    return as_html(clip(text, room)) if room else ELLIPSIS


def as_html(text: str) -> str:
    """Give plain text as HTML that shows it: markup escaped, line breaks kept."""
    return html.escape(text).replace("\n", "<br>")


def _word_end(text: str, cut: int) -> int:
    """Move a cut back to the end of the word before it, unless that gives away too much."""
    earliest = int(cut * _WORD_SEARCH)
    for place in range(cut, earliest, -1):
        if text[place - 1].isspace():
            return place
    return cut


def _is_border(text: str, at: int) -> bool:
    """Tell whether a reader sees two characters, one on each side of the place."""
    before, after = text[at - 1], text[at]
    if after < "\u0300":
        return True
    code = ord(after)
    is_continued = (
        _JOINER in {before, after}
        or unicodedata.category(after) in {"Mn", "Me", "Mc"}
        or code in _SKIN_TONES
        or code in _TAGS
        or code in _HANGUL_VOWELS_AND_FINALS
    )
    return not is_continued and not (code in _REGIONAL and _odd_regionals_before(text, at))


def _odd_regionals_before(text: str, at: int) -> bool:
    """Tell whether the place is inside a flag, which is a pair of regional letters."""
    count = 0
    while at - count > 0 and ord(text[at - count - 1]) in _REGIONAL:
        count += 1
    return count % 2 == 1
