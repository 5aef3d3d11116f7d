"""The sandbox's events: what Google checks, keeps, lists, and calls busy."""

from __future__ import annotations

import re
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.google_calendar.sandbox_documents import (
    Calendar,
    Document,
    RefusedError,
    merge,
    stamp,
)
from connectors.sandbox.store import Record, Store

#: The object under which all events are kept, and the private property that holds Afterbeep's key.
EVENT = "event"
_KEY_PROPERTY = "afterbeepKey"
_ID = re.compile(r"[a-v0-9]{5,1024}")
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_CHOICES = {
    "status": {"confirmed", "tentative", "cancelled"},
    "transparency": {"opaque", "transparent"},
    "visibility": {"default", "public", "private", "confidential"},
    "colorId": {str(number) for number in range(1, 12)},
}
_WRITABLE = frozenset(
    {
        *_CHOICES,
        "summary",
        "description",
        "location",
        "start",
        "end",
        "attendees",
        "reminders",
        "extendedProperties",
        "sequence",
        "source",
    }
)
#: Kept with the record for our own use, and for those who look at its page.
_OWN = frozenset({"afterbeep_key", "calendar", "eventId", "when", "uid"})
_MAX_KEY, _MAX_VALUE = 44, 1_024
_MAX_FREE_BUSY = timedelta(days=90)


class Events:
    """Events of all accounts; ``changed`` is told of every account and calendar that changes."""

    def __init__(
        self, store: Store, *, public_url: str, changed: Callable[[str, str], None]
    ) -> None:
        """Take the store, and whom to tell."""
        self._store, self._public_url, self._changed = store, public_url, changed
        store.index("calendar")

    def insert(self, account: str, calendar: Calendar, asked: Mapping[str, Any]) -> Document:
        """Make an event; an id that was ever used in this calendar is refused."""
        name = str(asked.get("id") or uuid.uuid4().hex)
        if not _ID.fullmatch(name):
            raise RefusedError(400, "invalid", "Invalid resource id value.")
        body = {key: value for key, value in asked.items() if key in _WRITABLE}
        made = _checked(merge({}, body), calendar)
        with self._store.transaction():
            if self._store.get(EVENT, _place(name, calendar)) is not None:
                raise RefusedError(409, "duplicate")
            kept = {
                "status": "confirmed",
                **made,
                "sequence": 0,
                "uid": f"{name}@google.example",
                **self._beside(made, name, calendar),
            }
            record = self._store.insert(account, EVENT, _place(name, calendar), kept)
        self._changed(account, calendar.id)
        return self.document(record, calendar)

    def get(self, account: str, calendar: Calendar, name: str) -> Document:
        """Give an event, a deleted one too."""
        return self.document(self._record(account, calendar, name), calendar)

    def patch(
        self, account: str, calendar: Calendar, name: str, asked: Mapping[str, Any]
    ) -> Document:
        """Merge into an event."""
        with self._store.transaction():
            record = self._record(account, calendar, name)
            if record.fields.get("status") == "cancelled" and asked.get("status") is None:
                # Source: https://github.com/googleapis/google-api-ruby-client/issues/1811 (2026-11-22)
                raise RefusedError(403, "forbidden")
            record = self._merged(
                record, calendar, {k: v for k, v in asked.items() if k in _WRITABLE}
            )
        self._changed(account, calendar.id)
        return self.document(record, calendar)

    def delete(self, account: str, calendar: Calendar, name: str) -> None:
        """Move an event to the bin, where its id stays taken."""
        with self._store.transaction():
            record = self._record(account, calendar, name)
            if record.fields.get("status") == "cancelled":
                raise RefusedError(410, "deleted")
            self._store.update(record, {"status": "cancelled"})
        self._changed(account, calendar.id)

    def list(self, account: str, calendar: Calendar, asked: Mapping[str, list[str]]) -> Document:
        """List events, by the filters that a connector may use."""
        if "syncToken" in asked:
            text = "Sync token is no longer valid, a full sync is required."
            raise RefusedError(410, "fullSyncRequired", text, domain="calendar")
        found = [
            record
            for record in self._store.find(account, EVENT, {"calendar": calendar.id})
            if _is_listed(record, asked)
        ]
        start = int(first(asked, "pageToken") or 0)
        size = min(int(first(asked, "maxResults") or 250), 2_500)
        page = found[start : start + size]
        document: Document = {
            "kind": "calendar#events",
            "etag": '"p3"',
            "summary": calendar.name,
            "description": "",
            "updated": stamp(max((one.updated_at for one in found), default=0.0)),
            "timeZone": calendar.zone,
            "accessRole": calendar.role,
            "defaultReminders": [],
            "items": [self.document(record, calendar) for record in page],
        }
        more = start + size < len(found)
        return {**document, **({"nextPageToken": str(start + size)} if more else {})}

    def busy(self, account: str, calendar: Calendar, start: datetime, end: datetime) -> Document:
        """Give when a calendar is busy, in spans that do not touch."""
        spans: list[list[datetime]] = []
        taken = sorted(
            _span(record.fields, calendar)
            for record in self._store.find(account, EVENT, {"calendar": calendar.id})
            if record.fields.get("status") != "cancelled"
            and record.fields.get("transparency") != "transparent"
        )
        for first, last in taken:
            if last <= start or first >= end:
                continue
            if spans and first <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], min(last, end))
            else:
                spans.append([max(first, start), min(last, end)])
        return {"busy": [{"start": _utc(a), "end": _utc(b)} for a, b in spans]}

    def act(self, record: Record, calendar: Calendar, asked: Mapping[str, Any]) -> Document:
        """Do what a person does in the calendar, with whatever fields."""
        with self._store.transaction():
            changed = self._merged(record, calendar, asked)
        self._changed(record.account, calendar.id)
        return self.document(changed, calendar)

    def document(self, record: Record, calendar: Calendar) -> Document:
        """Give an event as Google answers it."""
        name = str(record.fields["eventId"])
        owner = {"email": calendar.id, "displayName": calendar.name, "self": True}
        eid = urlsafe_b64encode(f"{name} {calendar.id}".encode()).decode().rstrip("=")
        fields = {key: value for key, value in record.fields.items() if key not in _OWN}
        return {
            "kind": "calendar#event",
            "etag": f'"{int(record.updated_at * 1000)}"',
            "id": name,
            "htmlLink": f"{self._public_url}/calendar/event?eid={eid}",
            "created": stamp(record.created_at),
            "updated": stamp(record.updated_at),
            "creator": {"email": record.account, "self": calendar.is_primary},
            "organizer": owner,
            "iCalUID": record.fields["uid"],
            "eventType": "default",
            **fields,
        }

    def _record(self, account: str, calendar: Calendar, name: str) -> Record:
        record = self._store.get(EVENT, _place(name, calendar), account=account)
        if record is None:
            raise RefusedError(404, "notFound")
        return record

    def _merged(self, record: Record, calendar: Calendar, asked: Mapping[str, Any]) -> Record:
        before = {key: value for key, value in record.fields.items() if key in _WRITABLE}
        after = _checked(merge(before, asked), calendar)
        if _span(after, calendar) != _span(before, calendar):
            after["sequence"] = int(before.get("sequence", 0)) + 1
        gone = dict.fromkeys(set(before) - set(after))
        name = str(record.fields["eventId"])
        return self._store.update(record, {**gone, **after, **self._beside(after, name, calendar)})

    @staticmethod
    def _beside(event: Mapping[str, Any], name: str, calendar: Calendar) -> Document:
        private = (event.get("extendedProperties") or {}).get("private") or {}
        start, end = (one.astimezone(ZoneInfo(calendar.zone)) for one in _span(event, calendar))
        return {
            "eventId": name,
            "calendar": calendar.id,
            "afterbeep_key": private.get(_KEY_PROPERTY),
            "when": f"{start:%a %d %b %Y %H:%M} to {end:%a %d %b %H:%M}",
        }


def first(asked: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Give the first value of a query's parameter; None without one."""
    values = asked.get(name)
    return values[0] if values else None


def free_busy_span(asked: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Read the span of a free/busy question; refuses what Google refuses."""
    start, end = (_instant(asked.get(name), name) for name in ("timeMin", "timeMax"))
    if end <= start:
        text = "The specified time range is empty."
        raise RefusedError(400, "timeRangeEmpty", text, domain="calendar")
    if end - start > _MAX_FREE_BUSY:
        # Source: https://github.com/calcom/cal.diy/pull/11962 (2026-11-22)
        text = "The requested time range is too long."
        raise RefusedError(400, "timeRangeTooLong", text, domain="calendar")
    return start, end


def _place(name: str, calendar: Calendar) -> str:
    return f"{name}@{calendar.id}"


def _checked(event: Document, calendar: Calendar) -> Document:
    """Refuse what Google refuses, in Google's words; properties that are too long are cut."""
    for name, choices in _CHOICES.items():
        if name in event and event[name] not in choices:
            raise RefusedError(400, "invalid", f"Invalid {name} value.")
    for guest in event.get("attendees") or ():
        if not guest.get("email"):
            raise RefusedError(400, "required", "Missing attendee email.")
        if not _ADDRESS.fullmatch(str(guest["email"])):
            raise RefusedError(400, "invalid", "Invalid attendee email.")
    if event.get("attendees"):
        event["attendees"] = [
            {"responseStatus": "needsAction", **guest} for guest in event["attendees"]
        ]
    start, end = _span(event, calendar)
    if end <= start:
        text = "The specified time range is empty."
        raise RefusedError(400, "timeRangeEmpty", text, domain="calendar")
    for kind, properties in (event.get("extendedProperties") or {}).items():
        event["extendedProperties"][kind] = {
            key: str(value)[:_MAX_VALUE]
            for key, value in properties.items()
            if len(key) <= _MAX_KEY
        }
    return event


def _span(event: Mapping[str, Any], calendar: Calendar) -> tuple[datetime, datetime]:
    return _edge(event, "start", calendar), _edge(event, "end", calendar)


def _edge(event: Mapping[str, Any], name: str, calendar: Calendar) -> datetime:
    part = event.get(name)
    if not isinstance(part, Mapping) or not (part.get("dateTime") or part.get("date")):
        raise RefusedError(400, "required", f"Missing {name} time.")
    if part.get("dateTime") and part.get("date"):
        raise RefusedError(400, "invalid", f"Invalid {name} time.")
    zone_name = str(part.get("timeZone") or "")
    if part.get("date"):
        return _instant(part["date"], name, zone=calendar.zone)
    if not zone_name and not _has_offset(str(part["dateTime"])):
        text = f"Missing time zone definition for {name} time."
        raise RefusedError(400, "required", text)
    return _instant(part["dateTime"], name, zone=zone_name)


def _has_offset(text: str) -> bool:
    return re.search(r"(Z|[+-]\d\d:\d\d)$", text) is not None


def _instant(value: object, name: str, *, zone: str = "") -> datetime:
    try:
        found = datetime.fromisoformat(str(value))
        named = ZoneInfo(zone) if zone else UTC
    except ZoneInfoNotFoundError as err:
        text = f"Invalid time zone definition for {name} time."
        raise RefusedError(400, "invalid", text) from err
    except ValueError as err:
        raise RefusedError(400, "invalid", f"Invalid {name} time.") from err
    return (found if found.tzinfo else found.replace(tzinfo=named)).astimezone(UTC)


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _is_listed(record: Record, asked: Mapping[str, list[str]]) -> bool:
    """Say whether an event passes every filter of the question."""
    fields = record.fields
    since = first(asked, "updatedMin")
    shows_deleted = first(asked, "showDeleted") == "true"
    if since is not None and record.updated_at < _instant(since, "updatedMin").timestamp():
        return False
    if fields.get("status") == "cancelled" and not (shows_deleted or since is not None):
        return False
    private = (fields.get("extendedProperties") or {}).get("private") or {}
    for constraint in asked.get("privateExtendedProperty") or ():
        name, _, value = constraint.partition("=")
        if private.get(name) != value:
            return False
    words = (first(asked, "q") or "").lower()
    texts = " ".join(str(fields.get(n) or "") for n in ("summary", "description", "location"))
    return words in texts.lower() and _is_within(fields, asked)


def _is_within(fields: Mapping[str, Any], asked: Mapping[str, Sequence[str]]) -> bool:
    after, before = (first(asked, name) for name in ("timeMin", "timeMax"))
    start, end = ((fields[n].get("dateTime") or fields[n].get("date")) for n in ("start", "end"))
    if after is not None and _instant(end, "end") <= _instant(after, "timeMin"):
        return False
    return before is None or _instant(start, "start") < _instant(before, "timeMax")
