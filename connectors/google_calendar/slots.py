"""Finds the first free slot: pure, in UTC, with opening hours in the zone of the house."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from connectors.google_calendar.preferences import Opening, clock

#: From when until when, in UTC.
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Rules:
    """How slots are cut: opening hours for each weekday, Monday first, and a grid from each opening."""

    zone: tzinfo
    openings: Sequence[Sequence[Opening]]
    step: timedelta
    buffer: timedelta


def merged(busy: Iterable[Span]) -> list[Span]:
    """Give busy spans in order, with those that touch made one."""
    found: list[Span] = []
    for start, end in sorted(busy):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def first_free(
    rules: Rules, busy: Sequence[Span], *, starts: Span, duration: timedelta
) -> Span | None:
    """Give the first free slot that starts within *starts*, both ends included; None when there is none.

    *busy* comes from ``merged``. A slot lies within one opening, keeps the buffer to what is busy before and
    after it, and starts on the grid.
    """
    earliest, latest = starts
    for opens, closes in _opened(rules, earliest, latest):
        start = _on_grid(opens, max(opens, earliest), rules.step)
        while start <= latest and start + duration <= closes:
            blocked_until = _blocked(busy, start - rules.buffer, start + duration + rules.buffer)
            if blocked_until is None:
                return start, start + duration
            start = _on_grid(opens, blocked_until + rules.buffer, rules.step)
    return None


def _opened(rules: Rules, earliest: datetime, latest: datetime) -> Iterator[Span]:
    """Walk the opening hours that reach into this span."""
    day = earliest.astimezone(rules.zone).date()
    last = latest.astimezone(rules.zone).date()
    while day <= last:
        for opening in rules.openings[day.weekday()]:
            opens, closes = (_at(day.toordinal(), minutes, rules.zone) for minutes in opening)
            # Where the clock is put forward, an hour that does not exist opens nothing.
            if opens < closes and closes > earliest:
                yield opens, closes
        day += timedelta(days=1)


def _at(ordinal: int, minutes: int, zone: tzinfo) -> datetime:
    at, days = clock(minutes)
    local = datetime.combine(datetime.fromordinal(ordinal + days), at, tzinfo=zone)
    return local.astimezone(UTC)


def _on_grid(origin: datetime, moment: datetime, step: timedelta) -> datetime:
    """Give the first point of the grid from *origin* that is not before *moment*."""
    return origin + -((origin - moment) // step) * step


def _blocked(busy: Sequence[Span], start: datetime, end: datetime) -> datetime | None:
    """Give until when something busy lasts that overlaps this span; None when nothing does."""
    # The last span that starts before this one ends is the only one that can reach into it furthest.
    place = bisect_right(busy, end, key=lambda span: span[0])
    while place and busy[place - 1][0] >= end:
        place -= 1
    if place and busy[place - 1][1] > start:
        return busy[place - 1][1]
    return None
