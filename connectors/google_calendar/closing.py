"""Tells what became of events: confirmed, accepted, taken place, lapsed, cancelled; or first touched.

::

    a person deletes it                                            cancelled    closed, without success
    a tentative one is made "confirmed", or a guest accepts        confirmed    closed
    its end is over: it was made confirmed, or a person edited it  took place   closed
                     a hold that nobody has touched                lapsed       closed, without success
    a person moved it, renamed it, or invited somebody             edited       touched
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.errors import ContractBroken
from connectors.google_calendar import naming
from connectors.google_calendar.marks import is_edited
from connectors.google_calendar.moments import edge, read_instant
from connectors.google_calendar.preferences import preferences
from connectors.google_calendar.wire import MAX_PARTS, Answer, Api, Refusal, batch, call
from connectors.record import Account, Closure, RecordId

#: So many records of a calendar are read one by one; of more, everything of ours is listed, a unit a page.
_FEW = 3
_PAGE, _MAX_PAGES = 2_500, 4
_FIELDS = (
    "id,status,summary,location,start,end,updated,attendees(email,responseStatus,organizer,self,resource),"
    "extendedProperties/private"
)
_GONE = frozenset({404, 410})


def closed(account: Account, ids: Sequence[RecordId]) -> list[Closure]:
    """Tell which of these records are closed or touched; one that Google has forgotten is not told."""
    default = preferences(account.settings).calendar
    by_calendar: dict[str, dict[str, RecordId]] = {}
    for one in ids:
        event, calendar = naming.split_record(one.id, default=default)
        by_calendar.setdefault(calendar, {})[event] = one
    now = datetime.now(UTC)
    found: list[Closure] = []
    single: list[tuple[str, RecordId]] = []
    for calendar, wanted in by_calendar.items():
        seen = _listed(account, calendar) if len(wanted) > _FEW else {}
        for event, record in wanted.items():
            if event in seen:
                found += verdict(record, seen[event], now)
            else:
                single.append((calendar, record))
    return found + _one_by_one(account, single, now)


def changed(account: Account, calendar: str, since: datetime) -> list[Closure]:
    """Tell what became of our events in a calendar that changed after a moment."""
    now = datetime.now(UTC)
    found: list[Closure] = []
    for event in _pages(account, calendar, updatedMin=since.isoformat(timespec="seconds")):
        name = str(naming.private(event).get(naming.OBJECT, naming.EVENT))
        record = RecordId(name, naming.record_id(str(event.get("id")), calendar))
        found += verdict(record, event, now)
    return found


def verdict(record: RecordId, event: Mapping[str, Any], now: datetime) -> list[Closure]:
    """Give what an event's present state says of it: nothing, or one closure."""
    at = read_instant(event.get("updated")) or now
    status = event.get("status")
    was_tentative = naming.private(event).get(naming.STATUS) == "tentative"
    if status == "cancelled":
        return [Closure(record, at, "cancelled", is_success=False)]
    if (was_tentative and status == "confirmed") or _is_accepted(event):
        return [Closure(record, at, "confirmed")]
    ended_at, edited = edge(event, "end"), is_edited(event)
    if ended_at is not None and ended_at <= now:
        if was_tentative and not edited:
            return [Closure(record, ended_at, "lapsed", is_success=False)]
        return [Closure(record, ended_at, "took place")]
    return [Closure(record, at, "edited", is_closed=False)] if edited else []


def _is_accepted(event: Mapping[str, Any]) -> bool:
    """Say whether somebody who was invited has said yes; rooms and the calendar's owner do not count."""
    listed = event.get("attendees")
    return any(
        isinstance(guest, Mapping)
        and guest.get("responseStatus") == "accepted"
        and not (guest.get("self") or guest.get("organizer") or guest.get("resource"))
        for guest in (listed if isinstance(listed, list) else ())
    )


def _one_by_one(
    account: Account, single: Sequence[tuple[str, RecordId]], now: datetime
) -> list[Closure]:
    api, found = Api(account), list[Closure]()
    for start in range(0, len(single), MAX_PARTS):
        part = single[start : start + MAX_PARTS]
        made = [
            api.events(
                "get",
                calendarId=calendar,
                eventId=naming.split_record(record.id, default=calendar)[0],
                fields=_FIELDS,
            )
            for calendar, record in part
        ]
        for (_, record), answer in zip(part, batch(account, made), strict=True):
            if isinstance(answer, Answer):
                found += verdict(record, answer.body, now)
            elif not _is_gone(answer):
                raise answer.error
    return found


def _is_gone(refusal: Refusal) -> bool:
    return refusal.status in _GONE


def _listed(account: Account, calendar: str) -> dict[str, Mapping[str, Any]]:
    return {str(event.get("id")): event for event in _pages(account, calendar)}


def _pages(account: Account, calendar: str, **more: str) -> Iterable[Mapping[str, Any]]:
    """Walk our events in a calendar, deleted ones too, as far as a few pages reach."""
    api, token = Api(account), None
    for _ in range(_MAX_PAGES):
        page: dict[str, str] = {"pageToken": token} if token else {}
        said = call(
            account,
            api.events(
                "list",
                calendarId=calendar,
                privateExtendedProperty=naming.IS_OURS,
                showDeleted=True,
                maxResults=_PAGE,
                fields=f"nextPageToken,items({_FIELDS})",
                **more,
                **page,
            ),
        )
        items = said.get("items", [])
        if not isinstance(items, list) or not all(isinstance(one, Mapping) for one in items):
            raise ContractBroken("Google Calendar's answer holds no list of events.")
        yield from items
        token = said.get("nextPageToken")
        if not token:
            return
