"""Finds events: by our key (their id follows from it), by id, and by contact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from googleapiclient.http import HttpRequest  # type: ignore[import-untyped] # has no types

from connectors.errors import ContractBroken, Rejected
from connectors.google_calendar import naming
from connectors.google_calendar.drafts import contact, label_of, read_field
from connectors.google_calendar.moments import rfc3339
from connectors.google_calendar.preferences import preferences
from connectors.google_calendar.wire import MAX_PARTS, Answer, Api, Refusal, batch
from connectors.record import Account, Candidate, Found, Lookup

_GONE = frozenset({404, 410})
_PAGE = 50


def find(account: Account, lookups: Sequence[Lookup]) -> list[Found]:
    """Answer every lookup, up to fifty in a call; raises Rejected for a field that cannot be looked up.

    A key finds its event even where a person has deleted it: it was written. A contact finds the events of the
    lookup's object that have not ended.
    """
    default = preferences(account.settings).calendar
    api = Api(account)
    calendars = [_calendar(lookup, default) for lookup in lookups]
    made = [
        _request(api, lookup, calendar) for lookup, calendar in zip(lookups, calendars, strict=True)
    ]
    answers: list[Answer | Refusal] = []
    for start in range(0, len(made), MAX_PARTS):
        answers += batch(account, made[start : start + MAX_PARTS])
    return [
        _found(lookup, calendar, answer)
        for lookup, calendar, answer in zip(lookups, calendars, answers, strict=True)
    ]


def _calendar(lookup: Lookup, default: str) -> str:
    named = lookup.fields.get("calendar") or lookup.by.get("calendar")
    if "id" in lookup.by:
        return naming.split_record(str(lookup.by["id"]), default=default)[1]
    return str(named or default)


def _request(api: Api, lookup: Lookup, calendar: str) -> HttpRequest:
    if lookup.key is not None:
        return api.events("get", calendarId=calendar, eventId=naming.event_id(lookup.key))
    if "id" in lookup.by:
        event, _ = naming.split_record(str(lookup.by["id"]), default=calendar)
        return api.events("get", calendarId=calendar, eventId=event)
    wanted = contact(lookup.by.get("contact"))
    if wanted is None:
        names = ", ".join(sorted(lookup.by))
        raise Rejected(
            f"Google Calendar events are looked up by contact, not by {names}.",
            field=next(iter(sorted(lookup.by)), None),
        )
    return api.events(
        "list",
        calendarId=calendar,
        privateExtendedProperty=f"{naming.CONTACT}={wanted}",
        timeMin=rfc3339(datetime.now(UTC)),
        maxResults=_PAGE,
    )


def _found(lookup: Lookup, calendar: str, answer: Answer | Refusal) -> Found:
    if isinstance(answer, Refusal):
        if answer.status in _GONE:
            return Found()
        raise answer.error
    if lookup.key is None and "id" not in lookup.by:
        listed = answer.body.get("items", [])
        if not isinstance(listed, list):
            raise ContractBroken("Google Calendar's answer holds no list of events.")
        events = [one for one in listed if isinstance(one, Mapping) and _fits(lookup, one)]
    else:
        is_ours = lookup.key is None or naming.private(answer.body).get(naming.KEY) == lookup.key
        events = [answer.body] if is_ours else []
    return Found(tuple(_candidate(lookup, calendar, event) for event in events))


def _fits(lookup: Lookup, event: Mapping[str, Any]) -> bool:
    """Say whether an event really has what was asked for; Google is not counted on to compare exactly."""
    if naming.private(event).get(naming.OBJECT, naming.EVENT) != lookup.object:
        return False
    for name, value in lookup.by.items():
        if name == "calendar":
            continue
        wanted = contact(value) if name == "contact" else value
        if read_field(event, name) != wanted:
            return False
    return event.get("status") != "cancelled"


def _candidate(lookup: Lookup, calendar: str, event: Mapping[str, Any]) -> Candidate:
    return Candidate(
        record=naming.record_of(event, lookup.object, calendar),
        label=label_of(event),
        values={name: read_field(event, name) for name in lookup.read},
    )
