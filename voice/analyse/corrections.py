"""Put a spoken correction into the number before it: "415 555 0132, no, sorry, 0133"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voice.analyse.country import Where, fit
from voice.analyse.digits import Atom, Run, joined
from voice.analyse.fold import Folded
from voice.analyse.spoken import phrases

MIN_DIGITS = 6
_REACH, _WEAK_REACH = 70, 28
_READINGS = 3
_UNIT_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Repaired:
    """A number after its correction, and how well it fits."""

    number: str
    quality: float


def is_announced(text: Folded, before: Run, after: Run) -> bool:
    """Tell whether the words between two runs of digits announce a correction of the first."""
    gap = text.text[before.end : after.start]
    if _has_unit(text, after):
        return False
    if phrases("correction", "restart").search(gap):
        return True
    if len(gap) <= _REACH and phrases("correction", "strong").search(gap):
        return True
    return len(gap) <= _WEAK_REACH and bool(phrases("correction", "weak").search(gap))


def repaired(before: Run, after: Run, where: Where) -> Repaired | None:
    """Give the number that results when the second run corrects the first, or None."""
    best: Repaired | None = None
    for new in _prefixes(after.readings[:_READINGS]):
        for old in before.readings[:_READINGS]:
            for rank, (digits, is_new) in enumerate(_repairs(old, new)):
                has_plus = (new if is_new else old)[0].begins_number
                found = fit(digits, where, has_plus=has_plus)
                if found and (best is None or found.quality - rank > best.quality):
                    best = Repaired(found.number, found.quality - rank)
    return best


def is_whole(before: Run, after: Run) -> bool:
    """Tell whether what follows a correction may be a number of its own."""
    return _is_whole(before.readings[0], after.readings[0])


def _is_whole(old: Sequence[Atom], new: Sequence[Atom]) -> bool:
    has_trunk = old[0].digits.startswith("0")
    return new[0].begins_number or new[0].digits.startswith("0") or not has_trunk


def _prefixes(readings: Sequence[Sequence[Atom]]) -> Iterator[Sequence[Atom]]:
    """Yield readings, and what they begin with up to each pause: the rest may be a repetition."""
    for atoms in readings:
        yield atoms
        for last in range(len(atoms) - 1, 0, -1):
            if atoms[last].pause:
                yield atoms[:last]


def _has_unit(text: Folded, run: Run) -> bool:
    """Tell whether the digits after a correction count something else: "sorry, 30 minutes"."""
    digits = joined(run.readings[0])
    following = re.match(r"[\s-]*(\S+)", text.text[run.end : run.end + 20])
    if len(digits) == 1:
        return True
    units = phrases("units", "words")
    return len(digits) < _UNIT_DIGITS and bool(following and units.match(following.group(1)))


def _repairs(old: Sequence[Atom], new: Sequence[Atom]) -> Iterator[tuple[str, bool]]:
    """Yield what the number may be, likeliest first, and whether it is the new digits alone."""
    corrected, was = joined(new), joined(old)
    may_stand_alone = len(corrected) > MIN_DIGITS and _is_whole(old, new)
    if may_stand_alone and len(corrected) >= len(was):
        yield corrected, True
    if len(was) >= len(corrected):
        # "415 555 0132, sorry, 0133": the new digits replace as many of the old.
        yield was[: len(was) - len(corrected)] + corrected, False
    has_groups = any(atom.pause for atom in old[1:])
    for count in range(1, len(old)):
        # "415, 55, no, 555, 0132": the new digits replace whole groups and go on.
        if not has_groups or old[-count].pause:
            yield joined(old[:-count]) + corrected, False
    if may_stand_alone and len(corrected) < len(was):
        yield corrected, True
