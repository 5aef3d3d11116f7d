"""Words that run from right to left, kept apart from the English ones around them.

A browser orders a line by its letters: beside an Arabic name the full stop, the bracket or the number that follows it
would change places. ``<bdi>`` keeps each such name to itself. What has no such letters stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup, escape

#: Letters of Hebrew, Arabic, Syriac, Thaana, N'Ko and their neighbours, with their presentation forms.
_LETTER: Final = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f]")
_IS_ONE: Final = re.compile(f"[{_LETTER}]")
#: From the first such letter to the last, with the spaces, digits and marks between them.
_RUN: Final = re.compile(f"[{_LETTER}](?:[^A-Za-z\u00c0-\u024f\n]*[{_LETTER}])?")
_CLOSES: Final = {")": "(", "]": "[", "»": "«"}


def apart(text: object) -> Markup | object:
    """Put names that run from right to left into ``<bdi>``: the whole text, or the parts of a sentence that do."""
    if text is None or isinstance(text, Markup) or not _IS_ONE.search(str(text)):
        return text
    words = str(text)
    if not _LATIN.search(words):
        return Markup("<bdi>{}</bdi>").format(words)
    made, at = Markup(), 0
    for run in _RUN.finditer(words):
        end = run.end()
        while end < len(words) and _belongs(words[end], words[run.start() : end]):
            end += 1
        made += escape(words[at : run.start()])
        made += Markup("<bdi>{}</bdi>").format(words[run.start() : end])
        at = end
    return made + escape(words[at:])


def _belongs(mark: str, name: str) -> bool:
    """Tell whether a mark is the name's and not the sentence's: what it opened, and what no sentence here ends with."""
    opened = _CLOSES.get(mark)
    return mark in "!؟" or (opened is not None and name.count(opened) > name.count(mark))
