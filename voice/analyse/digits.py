"""Read dictated digits: words, compounds, numerals of any script, "double five", "oh".

:func:`runs` gives the stretches of a text in which digits are dictated. A run is read in several
ways where the words allow it ("eight hundred five" is 805, and 800 5), the likeliest first; who
knows what the number is for (``voice.analyse.phone``) chooses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from voice.analyse.fold import Folded
from voice.analyse.spoken import SOLID, Spoken, Token, phrases, spoken, tokens

PLUS = 2
_HARD = re.compile(r"[:;?!$€£¥₹%#…\n=*]")
_SOFT = re.compile(r"[.,،]")
#: Nobody dictates more than a number twice in one breath.
_MAX_MARKS = 48
_MAX_READINGS = 24
_MAX_UNLIKELY = 2
_PARTICLES = frozenset({"이", "に", "ニ", "二"})
_MAX_GAP = 45
_PLUS_REACH = 32
_ALPHABETS_END = 0x0530


@dataclass(frozen=True, slots=True)
class Atom:
    """Digits that were said as one: "5", "twenty-two", "555".

    ``pause`` tells what stands before: 0 nothing or a space, 1 a comma, full stop or filler word,
    2 a plus sign or the words for one, which begin a number.
    """

    digits: str
    start: int
    end: int
    pause: int
    is_written: bool
    is_particle: bool = False

    @property
    def begins_number(self) -> bool:
        """Whether a plus sign stands before."""
        return self.pause == PLUS


def joined(atoms: Sequence[Atom]) -> str:
    """Give the digits of atoms in one string."""
    return "".join(atom.digits for atom in atoms)


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of dictated digits; ``readings`` holds at least one, the likeliest first."""

    readings: tuple[tuple[Atom, ...], ...]
    start: int
    end: int


def runs(text: Folded, language: str) -> list[Run]:
    """Give the stretches of dictated digits in a text, in order."""
    lexicon = spoken(language)
    said = tokens(text, language)
    marks: list[tuple[int, int]] = []
    index = 0
    while index < len(said):
        options = [] if _is_code(text, said[index]) else lexicon.at(said, index)
        if options:
            marks.append((index, options[0][1]))
        index += options[0][1] if options else 1
    groups: list[list[tuple[int, int]]] = []
    for mark in marks:
        if (
            groups
            and len(groups[-1]) < _MAX_MARKS
            and _pause(text, said, groups[-1][-1], mark[0]) is not None
        ):
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [_run(text, said, lexicon, group) for group in groups]


def _is_code(text: Folded, token: Token) -> bool:
    """Tell whether written digits are part of a word such as "B4", "x204" or "10am"."""
    if not token.is_written:
        return False
    before = text.text[token.start - 1 : token.start]
    after = text.text[token.end : token.end + 1]
    return _is_letter(before) or _is_letter(after)


def _is_letter(character: str) -> bool:
    return character.isalpha() and ord(character) < _ALPHABETS_END


def _pause(text: Folded, said: Sequence[Token], before: tuple[int, int], index: int) -> int | None:
    """Give the pause between two digit groups of one run, or None where the run ends."""
    last = said[sum(before) - 1]
    gap = text.text[last.end : said[index].start]
    if len(gap) > _MAX_GAP or _HARD.search(gap):
        return None
    is_mixed = last.is_written != said[index].is_written
    if is_mixed and (SOLID.search(last.text) or SOLID.search(said[index].text)):
        return None
    words = phrases("filler", "words").sub(" ", gap)
    if words.strip(" .,()/-'\"") not in {"", "+"}:
        return None
    if "+" in gap:
        return PLUS
    return 1 if words != gap or (_SOFT.search(gap.rstrip()) and gap != ".") else 0


def _run(
    text: Folded, said: Sequence[Token], lexicon: Spoken, marks: Sequence[tuple[int, int]]
) -> Run:
    starts = [index for index, _ in marks]
    end = sum(marks[-1])
    pauses = {starts[0]: _opening(text, said[starts[0]])}
    for before, (index, _) in pairwise(marks):
        pauses[index] = _pause(text, said, before, index) or 0
    after = {sum(mark): following for mark, following in zip(marks, starts[1:], strict=False)}

    def readings(index: int, so_far: tuple[Atom, ...], unlikely: int) -> Iterator[tuple[Atom, ...]]:
        """Yield the readings with exactly so many choices that are not the longest."""
        index = after.get(index, index)
        if index >= end:
            if not unlikely:
                yield so_far
            return
        for choice, (digits, count) in enumerate(lexicon.at(said, index)):
            if index + count > end or (choice and not unlikely):
                continue
            if choice and lexicon.multiplies(said, index + count):
                continue
            span = said[index].start, said[index + count - 1].end
            atom = Atom(
                digits,
                *span,
                pauses.get(index, 0),
                said[index].is_written,
                said[index].text in _PARTICLES,
            )
            yield from readings(index + count, (*so_far, atom), unlikely - bool(choice))

    found: list[tuple[Atom, ...]] = []
    for unlikely in range(_MAX_UNLIKELY + 1):
        found.extend(islice(readings(starts[0], (), unlikely), _MAX_READINGS - len(found)))
    return Run(tuple(found), said[starts[0]].start, said[end - 1].end)


def _opening(text: Folded, first: Token) -> int:
    before = text.text[max(0, first.start - _PLUS_REACH) : first.start]
    if re.search(r"\+\s*\(?$", before):
        return PLUS
    for kind in ("words", "code"):
        for match in phrases("plus", kind).finditer(before):
            if not before[match.end() :].strip(" ,:-.is"):
                return PLUS
    return 1
