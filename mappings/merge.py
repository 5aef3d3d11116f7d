"""Merge two people's texts of a mapping that both began from one version, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

MINE: Final = "<<<<<<< yours"
BETWEEN: Final = "======="
THEIRS: Final = ">>>>>>> "


@dataclass(frozen=True, slots=True)
class Merged:
    """A text with the changes of both; where they touch the same lines both stand between marks."""

    text: str
    conflicts: int


def merge(base: str, mine: str, theirs: str, *, whose: str) -> Merged:
    """Merge two texts; ``whose`` names the other person in the marks.

    The marks are no YAML, so that a text cannot be saved before a person has decided.
    """
    lines = base.splitlines()
    ours, others = mine.splitlines(), theirs.splitlines()
    made: list[str] = []
    conflicts = at = at_mine = at_theirs = 0
    for start, here, there, size in _common(lines, ours, others):
        parts = (lines[at:start], ours[at_mine:here], others[at_theirs:there])
        settled = _settled(*parts)
        if settled is None:
            conflicts += 1
            made += [MINE, *parts[1], BETWEEN, *parts[2], THEIRS + whose]
        else:
            made += settled
        made += lines[start : start + size]
        at, at_mine, at_theirs = start + size, here + size, there + size
    return Merged("".join(f"{line}\n" for line in made), conflicts)


def _settled(base: list[str], mine: list[str], theirs: list[str]) -> list[str] | None:
    """Give the lines when only one side changed them, both alike, or each side other lines of as many."""
    if mine in (base, theirs):
        return theirs
    if theirs == base:
        return mine
    if not len(base) == len(mine) == len(theirs) > 1:
        return None
    lines = [
        _settled([old], [here], [there])
        for old, here, there in zip(base, mine, theirs, strict=True)
    ]
    return None if None in lines else [line for one in lines if one for line in one]


def _common(base: list[str], mine: list[str], theirs: list[str]) -> list[tuple[int, int, int, int]]:
    """List runs of lines that all three have, in order; the end of all is the last, of no length."""
    in_mine = _partners(base, mine)
    in_theirs = _partners(base, theirs)
    found: list[tuple[int, int, int, int]] = []
    for at in range(len(base)):
        here, there = in_mine.get(at), in_theirs.get(at)
        if here is None or there is None:
            continue
        if found and (at, here, there) == tuple(one + found[-1][3] for one in found[-1][:3]):
            *start, size = found[-1]
            found[-1] = (start[0], start[1], start[2], size + 1)
        else:
            found.append((at, here, there, 1))
    return [*found, (len(base), len(mine), len(theirs), 0)]


def _partners(base: list[str], other: list[str]) -> dict[int, int]:
    matcher = SequenceMatcher(None, base, other, autojunk=False)
    return {
        one.a + step: one.b + step
        for one in matcher.get_matching_blocks()
        for step in range(one.size)
    }
