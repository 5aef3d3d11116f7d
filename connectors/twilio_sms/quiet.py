"""When it is too late or too early to text somebody, in their own time, which their number tells.

A number may belong to several time zones (a mobile in Australia, any number of a large country that
names no region). Then a text goes out only when it is day in all of them; if there is no such time, when it is day in
as many of them as can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone

_UNKNOWN = "Etc/Unknown"
_DAYS = 3


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end``, over midnight when that is earlier; equal ones mean never."""

    start: time
    end: time

    def covers(self, at: time) -> bool:
        """Say whether this time of the day is quiet."""
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


def time_zones(number: str) -> tuple[ZoneInfo, ...]:
    """Give the time zones in which a number may be; none when its country is unknown."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    names = timezone.time_zones_for_number(parsed)
    if _UNKNOWN in names:
        # Not (yet) known to be in use: by its first digits.
        names = timezone.time_zones_for_geographical_number(parsed)
    return tuple(_zone for name in names if name != _UNKNOWN and (_zone := _named(name)))


def quiet_until(zones: Sequence[ZoneInfo], hours: QuietHours, at: datetime) -> datetime | None:
    """Give when a text may be sent at the earliest, or None when it may be sent at once."""

    def awake(moment: datetime) -> int:
        return sum(not hours.covers(moment.astimezone(zone).time()) for zone in zones)

    moments = [at, *sorted(_ends(zones, hours, at))]
    most = max(awake(moment) for moment in moments)
    first = next(moment for moment in moments if awake(moment) == most)
    return None if first == at else first


def _ends(zones: Sequence[ZoneInfo], hours: QuietHours, at: datetime) -> set[datetime]:
    """Give when quiet hours end in the next days: only then can there be more people awake than before."""
    found: set[datetime] = set()
    for zone in zones:
        today = at.astimezone(zone).date()
        for day in range(_DAYS):
            end = datetime.combine(today + timedelta(days=day), hours.end, zone).astimezone(UTC)
            if end > at:
                found.add(end)
    return found


def _named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None  # newer than this machine's table
