"""What our events are called at Google, and what they carry unseen.

An event's id is derived from our key, so that Google itself refuses a second one. A record's id names the calendar
too, as the mapping or the connection named it: ``<event id>@<calendar>``, such as ``4f0c…@primary``.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.record import RecordId

#: The calendar of the person who connected, whatever its address.
#: Source: https://developers.google.com/workspace/calendar/api/v3/reference/events/insert (2026-11-22)
PRIMARY = "primary"
EVENT, HOLD = "event", "hold"
LABELS = {HOLD: "Hold in the first free slot", EVENT: "Event at a given time"}

#: Names of private extended properties: unseen by people, and only on this calendar's copy of the event.
#: Source: https://developers.google.com/workspace/calendar/api/guides/extended-properties (2026-11-22)
OURS, KEY, OBJECT, STATUS, CONTACT = (
    "afterbeep",
    "afterbeepKey",
    "afterbeepObject",
    "afterbeepStatus",
    "afterbeepContact",
)
#: The filter that lists what is ours, as "name=value".
IS_OURS = f"{OURS}=1"


def event_id(key: str) -> str:
    """Give the id of the event of a key: hexadecimal, which is within Google's letters a to v."""
    # Source: https://developers.google.com/workspace/calendar/api/v3/reference/events/insert (2026-11-22)
    return hashlib.sha256(f"afterbeep:{key}".encode()).hexdigest()


def record_id(event: str, calendar: str) -> str:
    """Give the id under which a record is known to us."""
    return f"{event}@{calendar}"


def split_record(name: str, *, default: str) -> tuple[str, str]:
    """Give a record's event id and calendar; *default* is the calendar of an id without one."""
    event, _, calendar = name.partition("@")
    return event, calendar or default


def private(event: Mapping[str, Any]) -> Mapping[str, str]:
    """Give an event's private properties; none for an event without."""
    extended = event.get("extendedProperties")
    found = extended.get("private") if isinstance(extended, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def record_of(event: Mapping[str, Any], object_name: str, calendar: str) -> RecordId:
    """Give the record of an event that Google answered, with the address of its page."""
    link = event.get("htmlLink")
    return RecordId(
        object_name, record_id(str(event.get("id")), calendar), str(link) if link else None
    )


def page(base_url: str, record: RecordId) -> str:
    """Give the address of an event's page: what Google told, else one made as Google makes them."""
    if record.url:
        return record.url
    event, calendar = split_record(record.id, default=PRIMARY)
    eid = urlsafe_b64encode(f"{event} {calendar}".encode()).decode().rstrip("=")
    host = urlsplit(base_url).hostname or ""
    # Not documented, but in every htmlLink.
    root = "https://www.google.com" if host.endswith("googleapis.com") else base_url
    return f"{root}/calendar/event?eid={eid}"
