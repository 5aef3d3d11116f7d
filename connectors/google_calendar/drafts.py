"""Turns a write's fields into what Google takes, and reads an event back as these fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from connectors.errors import Rejected
from connectors.google_calendar import naming
from connectors.google_calendar.moments import Moment, edge, is_day, read_moment
from connectors.google_calendar.preferences import Preferences
from connectors.record import JSON

SEND_UPDATES: Final = ("none", "all", "externalOnly")
_PLAIN = frozenset(
    {"summary", "description", "location", "colorId", "transparency", "visibility", "status"}
)
_TIMES = frozenset({"start", "end", "duration_minutes"})
_OTHERS = frozenset({"attendees", "contact", "calendar", "reminder_minutes", "sendUpdates"})
FIELDS: Final[Mapping[str, frozenset[str]]] = {
    naming.EVENT: _PLAIN | _OTHERS | _TIMES,
    naming.HOLD: (_PLAIN | _OTHERS | _TIMES | {"search_until"}) - {"end"},
}
_COMMAS = re.compile(r"\s*[;,]\s*")
#: No appointment is longer, in minutes; and a reminder comes at most four weeks ahead.
#: Source: https://developers.google.com/workspace/calendar/api/v3/reference/events (2026-11-22)
_MAX_MINUTES, _MAX_REMINDER = 1_440, 40_320


@dataclass(slots=True)
class Draft:
    """An event to be: ``body`` as Google takes it (None clears), and what only we understand.

    ``start`` and ``until`` say where a hold is looked for; an event's times stand in the body already.
    """

    calendar: str
    body: dict[str, Any] = field(default_factory=dict)
    private: dict[str, str | None] = field(default_factory=dict)
    duration: timedelta = timedelta(minutes=30)
    start: Moment | None = None
    until: Moment | None = None
    send_updates: str = "none"


def draft(
    object_name: str, fields: Mapping[str, JSON], prefs: Preferences, *, is_new: bool
) -> Draft:
    """Read a write's fields; raises Rejected naming the field that cannot be read."""
    unknown = sorted(set(fields) - FIELDS[object_name])
    if unknown:
        raise Rejected(
            f'There is no field "{unknown[0]}" in a Google Calendar {object_name}.',
            field=unknown[0],
        )
    calendar = fields.get("calendar") or prefs.calendar
    made = Draft(
        calendar=str(calendar),
        duration=timedelta(minutes=_minutes(fields, prefs)),
        send_updates=_one_of(fields.get("sendUpdates"), SEND_UPDATES, "sendUpdates"),
    )
    made.body = {name: _text(fields[name], name) for name in sorted(_PLAIN & set(fields))}
    if "attendees" in fields:
        made.body["attendees"] = [{"email": one} for one in _addresses(fields["attendees"])]
    if "contact" in fields:
        made.private[naming.CONTACT] = contact(fields["contact"])
    if is_new or "reminder_minutes" in fields:
        made.body["reminders"] = _reminders(fields.get("reminder_minutes"))
    if object_name == naming.HOLD:
        made.start, made.until = (_moment(fields, name) for name in ("start", "search_until"))
    else:
        made.body.update(_times(fields, made.duration, prefs, is_new=is_new))
    return made


def contact(value: JSON) -> str | None:
    """Give what a contact is kept and looked up as: without white space, in small letters."""
    text = "".join(str(value).split()).lower() if value is not None else ""
    return text or None


def read_field(event: Mapping[str, Any], name: str) -> JSON:
    """Give the present value of one of our fields in an event that Google answered; None without one."""
    reader = _READERS.get(name)
    if reader is not None:
        return reader(event)
    value = event.get(name) if name in _PLAIN else None
    return value or None if isinstance(value, str) else None


def label_of(event: Mapping[str, Any]) -> str:
    """Give what a person knows an event by: its title and when it starts, at most 120 characters."""
    start = event.get("start")
    when = (
        str(start.get("dateTime") or start.get("date") or "") if isinstance(start, Mapping) else ""
    )
    title = str(event.get("summary") or "(without a title)")
    return f"{title[:90]}, {when[:16].replace('T', ' ')}" if when else title[:120]


def guests(event: Mapping[str, Any]) -> list[str]:
    """Give the addresses of those who are invited, in small letters, in order."""
    listed = event.get("attendees")
    rows = listed if isinstance(listed, list) else []
    found = {str(row.get("email") or "").lower() for row in rows if isinstance(row, Mapping)}
    return sorted(found - {""})


def _text(value: JSON, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value) or None
    raise Rejected(f'"{name}" takes text.', field=name)


def _one_of(value: JSON, known: Sequence[str], name: str) -> str:
    if value is None:
        return known[0]
    if value not in known:
        raise Rejected(f'"{name}" takes one of {", ".join(known)}.', field=name)
    return str(value)


def _minutes(fields: Mapping[str, JSON], prefs: Preferences) -> int:
    value = fields.get("duration_minutes")
    return (
        prefs.duration_minutes
        if value is None
        else _whole(value, "duration_minutes", 1, _MAX_MINUTES)
    )


def _whole(value: JSON, name: str, least: int, most: int) -> int:
    try:
        number = int(str(value).strip())
    except ValueError:
        number = least - 1
    if isinstance(value, bool) or not least <= number <= most:
        raise Rejected(f'"{name}" takes a whole number from {least} to {most}.', field=name)
    return number


def _addresses(value: JSON) -> list[str]:
    """Read a list of addresses, or text with commas between them; Google decides what is an address."""
    if value is None:
        return []
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, Sequence):
        raise Rejected('"attendees" takes e-mail addresses.', field="attendees")
    found = [part for one in listed for part in _COMMAS.split(str(one).strip()) if part]
    return list(dict.fromkeys(found))


def _reminders(value: JSON) -> dict[str, Any]:
    """Give reminders: none, unless so many minutes before are wanted."""
    if value is None:
        return {"useDefault": False, "overrides": []}
    minutes = _whole(value, "reminder_minutes", 0, _MAX_REMINDER)
    return {"useDefault": False, "overrides": [{"method": "popup", "minutes": minutes}]}


def _moment(fields: Mapping[str, JSON], name: str) -> Moment | None:
    value = fields.get(name)
    return None if value is None or value == "" else read_moment(value, name)


def _times(
    fields: Mapping[str, JSON], duration: timedelta, prefs: Preferences, *, is_new: bool
) -> dict[str, Any]:
    """Give start and end of an event; nothing where an update names neither."""
    start, end = _moment(fields, "start"), _moment(fields, "end")
    if start is None:
        if is_new:
            raise Rejected('An event needs a "start". Give it one, or write a hold.', field="start")
        if "duration_minutes" in fields and end is None:
            raise Rejected('"duration_minutes" changes nothing without "start".', field="start")
        return {} if end is None else {"end": _written(end, "end", prefs, is_end=True)}
    if end is None:
        end = start if is_day(start) else start + duration
    if is_day(start) != is_day(end):
        raise Rejected('"start" and "end" must both be days, or both be times.', field="end")
    return {
        "start": _written(start, "start", prefs),
        "end": _written(end, "end", prefs, is_end=True),
    }


def _written(
    moment: Moment, name: str, prefs: Preferences, *, is_end: bool = False
) -> dict[str, str | None]:
    """Write a moment as Google takes it; it ends an event of whole days with the day after the last."""
    # A patch merges, so that the form which is not meant has to be taken away.
    if not isinstance(moment, datetime):
        day: date = moment + timedelta(days=1) if is_end else moment
        return {"date": day.isoformat(), "dateTime": None, "timeZone": None}
    if moment.tzinfo is not None:
        return {"dateTime": moment.isoformat(timespec="seconds"), "date": None}
    if prefs.time_zone is None:
        raise Rejected(
            f'"{name}" has no time zone. Add as: local_datetime in the mapping, or set the time zone of '
            "the connection.",
            field=name,
        )
    return {
        "dateTime": moment.isoformat(timespec="seconds"),
        "timeZone": prefs.time_zone.key,
        "date": None,
    }


def _read_edge(name: str) -> Callable[[Mapping[str, Any]], JSON]:
    def read(event: Mapping[str, Any]) -> JSON:
        part = event.get(name)
        if not isinstance(part, Mapping):
            return None
        return str(part.get("dateTime") or part.get("date") or "") or None

    return read


def _read_minutes(event: Mapping[str, Any]) -> JSON:
    start, end = edge(event, "start"), edge(event, "end")
    return None if start is None or end is None else int((end - start).total_seconds() // 60)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], JSON]]] = {
    "start": _read_edge("start"),
    "end": _read_edge("end"),
    "duration_minutes": _read_minutes,
    "attendees": lambda event: ", ".join(guests(event)) or None,
    "contact": lambda event: naming.private(event).get(naming.CONTACT),
}
