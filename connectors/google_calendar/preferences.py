"""What a connection's admin has set: which calendar, when the house is open, how slots are cut.

Everything has a default, so that a connection works without any of it. The README lists the settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.errors import Rejected
from connectors.google_calendar.naming import PRIMARY
from connectors.record import JSON, Choice, Setting

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Opening and closing in minutes after midnight.
Opening = tuple[int, int]
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY_MINUTES = 24 * 60
#: Free/busy of so many calendars can be asked at once.
#: Source: https://developers.google.com/workspace/calendar/api/v3/reference/freebusy/query (2026-11-22)
MAX_CALENDARS = 50
_WORKDAY: Final[tuple[Opening, ...]] = ((9 * 60, 17 * 60),)
#: Monday to Friday.
_WORKWEEK: Final[tuple[tuple[Opening, ...], ...]] = (*(_WORKDAY,) * 5, (), ())


@dataclass(frozen=True, slots=True)
class Preferences:
    """The settings of one connection, read and checked."""

    calendar: str = PRIMARY
    #: None is the calendar's own.
    time_zone: ZoneInfo | None = None
    #: For each weekday, Monday first, when it is open.
    openings: tuple[tuple[Opening, ...], ...] = _WORKWEEK
    slot_minutes: int = 30
    duration_minutes: int = 30
    buffer_minutes: int = 0
    notice_minutes: int = 60
    search_days: int = 14
    hold_status: str = "tentative"
    busy_calendars: tuple[str, ...] = field(default=())


#: Settings that are whole numbers: the least and the most.
_NUMBERS = {
    "slot_minutes": (5, 240),
    "duration_minutes": (5, 720),
    "buffer_minutes": (0, 240),
    "notice_minutes": (0, 10_080),
    "search_days": (1, 60),
}

SETTINGS: Final = (
    Setting(
        "calendar",
        "Calendar",
        "choice",
        "Where appointments are written, unless the mapping names another calendar.",
        default=PRIMARY,
        is_from_account=True,
    ),
    Setting(
        "busy_calendars",
        "Also busy when these are",
        "choices",
        "Further calendars whose busy times count, such as a room's.",
        is_from_account=True,
    ),
    Setting(
        "business_hours",
        "Opening hours",
        "week",
        "Holds lie within these. Times such as 09:00-17:00, several with commas between them; an empty day is closed.",
        default=dict.fromkeys(DAYS[:5], "09:00-17:00"),
    ),
    Setting(
        "time_zone",
        "Time zone",
        "text",
        "Of the opening hours, such as Europe/Zurich; left empty, the calendar's own.",
    ),
    Setting(
        "duration_minutes",
        "Length of an appointment (minutes)",
        "number",
        "Where the mapping gives none: 5 to 720.",
        default=30,
    ),
    Setting(
        "slot_minutes",
        "Appointments begin every (minutes)",
        "number",
        "Counted from each opening: 5 to 240.",
        default=30,
    ),
    Setting(
        "buffer_minutes",
        "Kept free before and after (minutes)",
        "number",
        "0 to 240.",
        default=0,
    ),
    Setting(
        "notice_minutes",
        "Not sooner than (minutes from now)",
        "number",
        "0 to 10080, which is a week.",
        default=60,
    ),
    Setting(
        "search_days",
        "Look for a free time in the next (days)",
        "number",
        "Where the caller named no time: 1 to 60.",
        default=14,
        is_advanced=True,
    ),
    Setting(
        "hold_status",
        "A hold stands in the calendar as",
        "choice",
        "Tentative ones are confirmed by a person.",
        default="tentative",
        choices=(Choice("tentative", "Tentative"), Choice("confirmed", "Confirmed")),
        is_advanced=True,
    ),
)


def preferences(settings: Mapping[str, JSON]) -> Preferences:
    """Read a connection's settings; raises Rejected naming the first that is wrong."""
    calendar = settings.get("calendar") or PRIMARY
    if not isinstance(calendar, str):
        raise _wrong("calendar", "must be the id of a calendar")
    status = settings.get("hold_status", "tentative")
    if status not in {"tentative", "confirmed"}:
        raise _wrong("hold_status", 'must be "tentative" or "confirmed"')
    numbers = {name: _number(settings, name) for name in _NUMBERS}
    return Preferences(
        calendar=calendar,
        time_zone=_zone(settings.get("time_zone")),
        openings=_openings(settings.get("business_hours")),
        hold_status=str(status),
        busy_calendars=_calendars(settings.get("busy_calendars")),
        **{name: number for name, number in numbers.items() if number is not None},
    )


def _wrong(name: str, what: str) -> Rejected:
    return Rejected(f'The setting "{name}" of this Google Calendar connection {what}.', field=name)


def _number(settings: Mapping[str, JSON], name: str) -> int | None:
    value, (least, most) = settings.get(name), _NUMBERS[name]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _wrong(name, f"must be a whole number from {least} to {most}")
    return value


def _zone(name: JSON) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise _wrong("time_zone", "is not a time zone such as Europe/Zurich") from err


def _calendars(value: JSON) -> tuple[str, ...]:
    if not value:
        return ()
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    names = list(value) if is_list and isinstance(value, Sequence) else [value]
    if not all(isinstance(one, str) and one for one in names):
        raise _wrong("busy_calendars", "must be a list of ids of calendars")
    if len(names) >= MAX_CALENDARS:
        raise _wrong("busy_calendars", f"must name fewer than {MAX_CALENDARS} calendars")
    return tuple(dict.fromkeys(str(one) for one in names))


def _openings(value: JSON) -> tuple[tuple[Opening, ...], ...]:
    if not value:
        return _WORKWEEK
    if not isinstance(value, Mapping) or set(value) - set(DAYS):
        raise _wrong("business_hours", f"must be a table with the days {', '.join(DAYS)}")
    found = tuple(_day(value.get(day)) for day in DAYS)
    if not any(found):
        raise _wrong("business_hours", "names no hour at all")
    return found


def _day(value: JSON) -> tuple[Opening, ...]:
    """Read "09:00-17:00", or a list of such; nothing is closed."""
    if not value:
        return ()
    spans = [value] if isinstance(value, str) else value
    if not isinstance(spans, Sequence):
        raise _wrong("business_hours", "must hold times such as 09:00-17:00")
    return tuple(sorted(_opening(span) for span in spans))


def _opening(span: JSON) -> Opening:
    found = _SPAN.fullmatch(span.replace(" ", "")) if isinstance(span, str) else None
    if found is None:
        raise _wrong("business_hours", "must hold times such as 09:00-17:00")
    hours = [int(part) for part in found.groups()]
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if not 0 <= start < end <= _DAY_MINUTES or hours[1] > 59 or hours[3] > 59:  # noqa: PLR2004 - minutes of an hour
        raise _wrong("business_hours", "must open before it closes, between 00:00 and 24:00")
    return start, end


def clock(minutes: int) -> tuple[time, int]:
    """Give the time of day of so many minutes after midnight, and the days that it lies ahead (24:00)."""
    return time(minutes // 60 % 24, minutes % 60), minutes // _DAY_MINUTES
