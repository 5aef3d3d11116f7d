"""Times for appointments within business hours, where no calendar is connected: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hub.voice.settings import DAYS, Day

#: Appointments begin on the full and the half hour of each opening.
STEP: Final = timedelta(minutes=30)
_A_DAY: Final = timedelta(days=1)


def free_times(
    hours: Mapping[Day, Sequence[str]],
    zone: ZoneInfo,
    *,
    start: datetime,
    end: datetime,
    duration: timedelta,
) -> Iterator[datetime]:
    """Give, in order and in UTC, when an appointment may begin from ``start`` to before ``end``.

    It lies within one opening. Opening hours are of the wall clock: where the clock is changed, an opening is as much
    shorter or longer as the day is.
    """
    # An opening may have begun on the day before, seen from the zone's clock.
    day = start.astimezone(zone).date() - _A_DAY
    last = end.astimezone(zone).date()
    while day <= last:
        for span in hours.get(DAYS[day.weekday()], ()):
            opens, closes = _instant(day, span[:5], zone), _instant(day, span[6:], zone)
            moment = opens
            while moment + duration <= closes:
                if start <= moment < end:
                    yield moment
                moment += STEP
        day += _A_DAY


def _instant(day: date, clock: str, zone: ZoneInfo) -> datetime:
    if clock == "24:00":
        day, clock = day + _A_DAY, "00:00"
    local = datetime.combine(day, time.fromisoformat(clock), tzinfo=zone)
    return local.astimezone(UTC)


def spread(times: Sequence[datetime], zone: ZoneInfo, *, most: int, a_day: int) -> list[datetime]:
    """Choose at most ``most``, first ``a_day`` of each day and those far apart, then the earliest of the others.

    A caller who is offered six half hours of one morning has no choice.
    """
    chosen: list[datetime] = []
    by_day: dict[date, list[datetime]] = {}
    for moment in times:
        by_day.setdefault(moment.astimezone(zone).date(), []).append(moment)
    for of_day in by_day.values():
        step = max(1, len(of_day) // a_day)
        chosen += of_day[::step][:a_day]
    chosen = chosen[:most]
    others = [one for one in times if one not in chosen]
    return sorted(chosen + others[: most - len(chosen)])
