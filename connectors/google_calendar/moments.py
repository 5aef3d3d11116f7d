"""Reads the times that a mapping gives, and writes them as Google takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from connectors.errors import Rejected
from connectors.record import JSON

#: A day, or a time with or without a zone.
Moment = date | datetime
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def read_moment(value: JSON, name: str) -> Moment:
    """Read ISO 8601 text or milliseconds since 1970; raises Rejected naming the field."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        text = str(value).strip()
        return date.fromisoformat(text) if _DAY.fullmatch(text) else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as err:
        raise Rejected(
            f'"{name}" is not a time such as 2026-11-23T10:00:00-08:00.', field=name
        ) from err


def is_day(moment: Moment) -> bool:
    """Say whether it is a day without a time."""
    return not isinstance(moment, datetime)


def instant(moment: Moment, zone: tzinfo, *, is_end: bool = False) -> datetime:
    """Give the instant in UTC; a day is its midnight in the zone, as an end the midnight after it."""
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return aware.astimezone(UTC)
    day = moment + timedelta(days=1) if is_end else moment
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def rfc3339(moment: datetime) -> str:
    """Write an instant as Google takes it in queries."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_instant(text: object) -> datetime | None:
    """Read an instant that Google wrote; None when it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def edge(event: Mapping[str, Any], name: str) -> datetime | None:
    """Give when an event starts or ends; midnight UTC for one of whole days."""
    part = event.get(name)
    if not isinstance(part, Mapping):
        return None
    return read_instant(part.get("dateTime") or part.get("date"))
