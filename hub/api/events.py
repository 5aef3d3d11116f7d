"""Events: the way in, and what was taken.

An answer of 202 is given after the commit: what it names is stored durably with all its deliveries.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, Final

from flask import Response, request
from pydantic import Field
from sqlalchemy import select, tuple_

from hub import tally
from hub.api import auth, cloudevents, edge, limits, paging
from hub.api.answers import (
    DeliveryLine,
    EventFull,
    EventLine,
    EventPage,
    TakenBatch,
    TakenEvent,
    event_members,
)
from hub.api.cloudevents import Reading
from hub.api.paging import Address, Cursor, Moment, Paged, Plain
from hub.api.problems import Problem, Refused
from hub.context import Hub
from hub.db import audit
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.keys import Scope
from hub.delivery import plan
from hub.delivery.plan import Accepted, Incoming
from hub.tally import families
from mappings.event import Bucket, Event, UrgencyLevel, Voicemail

tag = edge.tag("events", "Voicemails as canonical events: post them, read what was taken.")

ID_PATTERN: Final = r"^evt_[0-9a-z]{26}$"


class EventAddress(Address):
    """The path of one event."""

    id: str = Field(
        pattern=ID_PATTERN, json_schema_extra={"example": "evt_01jd3f6g7h8j9kamnbpcqdrset"}
    )


class EventFilter(Paged):
    """Which events to list; all that is given must hold."""

    bucket: Bucket | None = None
    urgency_level: UrgencyLevel | None = None
    since: Moment | None = Field(None, description="Received at or after")
    until: Moment | None = Field(None, description="Received before")
    source: Plain | None = None
    event_id: Plain | None = Field(None, description="The sender's id of the event")


def _attribute(name: str, *, needed: bool = False) -> dict[str, Any]:
    text = "A CloudEvents attribute, percent-encoded; only in binary mode"
    return {
        "name": f"ce-{name}",
        "in": "header",
        "required": False,
        "description": text + (", where it is required" if needed else ""),
        "schema": {"type": "string", "pattern": r"^[\x20-\x7e]+$"},
    }


_POST: Final[dict[str, Any]] = {
    "parameters": [
        _attribute("specversion", needed=True),
        _attribute("id", needed=True),
        _attribute("source", needed=True),
        _attribute("type", needed=True),
        _attribute("time"),
        _attribute("subject"),
        _attribute("dataschema"),
    ],
    "requestBody": {
        "required": True,
        "content": {
            cloudevents.STRUCTURED: {"schema": edge.ref(Event)},
            # Within allOf, because clients that openapi-python-client 0.29 makes fail on every body
            # where one of several is a bare list: isinstance(body, list[Event]) is a TypeError.
            cloudevents.BATCH: {
                "schema": {
                    "allOf": [
                        {
                            "type": "array",
                            "items": edge.ref(Event),
                            "maxItems": cloudevents.MOST_IN_BATCH,
                        }
                    ]
                }
            },
            cloudevents.BINARY: {"schema": edge.ref(Voicemail)},
        },
    },
}


def _post_answers() -> edge.Said:
    said = edge.says(
        {
            200: (TakenEvent, "The very same event had been taken before; this is that one"),
            202: (TakenEvent, "Taken: stored durably, with all its deliveries"),
            207: (TakenBatch, "Some events of the batch were taken and some were not; see each"),
            409: (Problem, "Another event has this source and id (of a batch: all events do)"),
        },
        *(400, 413, 415),
    )
    either = {"oneOf": [edge.ref(TakenEvent), edge.ref(TakenBatch)]}
    said["202"]["content"]["application/json"]["schema"] = either
    said["202"]["description"] += "; of a batch: every event was"
    return said


@tag.post(
    "/v1/events",
    summary="Post an event, or a batch of up to 100",
    description=(
        "CloudEvents 1.0: structured, batched, or binary (attributes in `ce-` headers). The tenant "
        "is the key's. Posting the same event again is safe: it changes nothing and answers 200 "
        "with the first result. Each event of a batch is judged on its own: 202 when all were "
        "taken, 207 when only some were (`results` tells which and why), 422 or 409 when none was. "
        "Numbers in quotes are not numbers."
    ),
    security=edge.secured(Scope.EVENTS_WRITE),
    responses=_post_answers(),
    openapi_extensions=_POST,
)
@auth.charges_itself
@auth.needs(Scope.EVENTS_WRITE)
def post_events() -> Response:
    """Take events."""
    mode = cloudevents.mode_of(request.headers)
    holder = auth.holder()
    raw = request.get_data(cache=False)
    if mode == "batch":
        readings = cloudevents.batch(raw)
        limits.of_app().charge("events", holder.counted_as, max(1, len(readings)))
        return _batch(holder.tenant_id, readings)
    limits.of_app().charge("events", holder.counted_as, 1)
    event = (
        cloudevents.structured(raw)
        if mode == "structured"
        else cloudevents.binary(raw, request.headers)
    )
    [taken] = accept(auth.the_hub(), holder.tenant_id, [event])
    if taken.status == "conflict":
        raise Refused(
            "id-taken",
            "Another event with this source and id had been taken before. Nothing was changed.",
            more={"event_id": taken.id},
        )
    status, body = answer_of(taken)
    return edge.sent_plain(body, status, {"Location": body["links"]["self"]})


def answer_of(taken: Accepted) -> tuple[int, dict[str, Any]]:
    """Give status and body for one event that was taken, now or before."""
    body = {
        "id": taken.id,
        "status": taken.status,
        "deliveries": taken.deliveries,
        "links": _links(taken.id),
    }
    return (202 if taken.status == "accepted" else 200), body


def accept(hub: Hub, tenant_id: str, events: Sequence[Event]) -> list[Accepted]:
    """Take checked events of a tenant and count them; answer i belongs to event i."""
    began = time.perf_counter()
    taken = plan.accept(hub, tenant_id, [Incoming.of(event) for event in events])
    mode = "one" if len(events) == 1 else "batch"
    tally.observe(hub.redis, families.ACCEPT_S, time.perf_counter() - began, mode)
    for event, one in zip(events, taken, strict=True):
        tally.count(hub.redis, families.EVENTS, one.status, event.data.bucket.value)
    return taken


def _links(event_id: str) -> dict[str, str]:
    return {
        "self": f"/v1/events/{event_id}",
        "deliveries": f"/v1/deliveries?event_id={event_id}",
    }


def _batch(tenant_id: str, readings: Sequence[Reading]) -> Response:
    events = [reading.event for reading in readings if reading.event is not None]
    taken = iter(accept(auth.the_hub(), tenant_id, events) if events else ())
    results = [
        _result(index, reading, next(taken) if reading.event is not None else None)
        for index, reading in enumerate(readings)
    ]
    numbers = {
        name: sum(result["status"] == name for result in results)
        for name in ("accepted", "known", "conflict", "invalid")
    }
    refused = numbers["conflict"] + numbers["invalid"]
    body = {
        "accepted": numbers["accepted"],
        "known": numbers["known"],
        "refused": refused,
        "results": results,
    }
    if refused and refused == len(results):
        return _none_taken(readings, results, is_invalid=bool(numbers["invalid"]))
    return edge.sent_plain(body, 207 if refused else 202)


def _result(index: int, reading: Reading, taken: Accepted | None) -> dict[str, Any]:
    if taken is None:
        wrong = [fault.model_dump(exclude_none=True) for fault in reading.faults]
        return _result_members(index, "invalid", errors=wrong)
    if taken.status == "conflict":
        text = "Another event with this source and id had been taken before."
        wrong = [{"pointer": f"/{index}/id", "detail": text}]
        return _result_members(index, "conflict", id=taken.id, errors=wrong)
    return _result_members(
        index,
        taken.status,
        id=taken.id,
        deliveries=taken.deliveries,
        links=_links(taken.id),
    )


def _result_members(index: int, status: str, **known: Any) -> dict[str, Any]:
    empty = {"id": None, "deliveries": None, "links": None, "errors": None}
    return {"index": index, "status": status, **empty, **known}


def _none_taken(
    readings: Sequence[Reading], results: list[dict[str, Any]], *, is_invalid: bool
) -> Response:
    if not is_invalid:
        raise Refused("id-taken", "No event was taken: all ids are.", more={"results": results})
    raise Refused(
        "invalid",
        "No event of the batch was taken.",
        errors=[fault for reading in readings for fault in reading.faults],
        more={"results": results},
    )


@tag.get(
    "/v1/events",
    summary="List events, newest first",
    security=edge.secured(Scope.EVENTS_READ),
    responses=edge.says({200: (EventPage, "A page of events")}, 400),
)
@auth.needs(Scope.EVENTS_READ)
def list_events(query: EventFilter) -> Response:
    """List events without what was said."""
    after = paging.read(query.cursor)
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        wanted = select(StoredEvent)
        for column, value in (
            (StoredEvent.bucket, query.bucket),
            (StoredEvent.urgency_level, query.urgency_level),
            (StoredEvent.source, query.source),
            (StoredEvent.event_id, query.event_id),
        ):
            if value is not None:
                wanted = wanted.where(column == str(value))
        if query.since:
            wanted = wanted.where(StoredEvent.received_at >= query.since)
        if query.until:
            wanted = wanted.where(StoredEvent.received_at < query.until)
        if after:
            place = tuple_(StoredEvent.received_at, StoredEvent.id)
            wanted = wanted.where(place < (after.at, after.id))
        newest = wanted.order_by(StoredEvent.received_at.desc(), StoredEvent.id.desc())
        found = session.scalars(newest.limit(query.limit + 1)).all()
    rows, following = paging.split(found, query.limit, lambda row: Cursor(row.received_at, row.id))
    page = EventPage(items=[EventLine.of(row) for row in rows], next_cursor=following)
    return edge.sent(page)


@tag.get(
    "/v1/events/<id>",
    summary="Read an event with its deliveries",
    security=edge.secured(Scope.EVENTS_READ),
    responses=edge.says({200: (EventFull, "The event")}, 404),
)
@auth.needs(Scope.EVENTS_READ)
def get_event(path: EventAddress) -> Response:
    """Read one event with what was said; for tenants with health data the reading is written down."""
    hub, holder = auth.the_hub(), auth.holder()
    with hub.tenant(holder.tenant_id) as session:
        row = session.scalars(select(StoredEvent).where(StoredEvent.id == path.id)).one_or_none()
        if row is None:
            raise Refused("not-found", "There is no such event.")
        deliveries = session.scalars(
            select(Delivery).where(Delivery.event_id == row.id).order_by(Delivery.id)
        ).all()
        if holder.is_phi:
            audit.record(session, actor=holder.actor, action="event.read", target=row.id)
    envelope = None
    if row.expunged_at is None:
        text = hub.vault.open_text(holder.tenant_id, row.body, about=f"events.body:{row.id}")
        envelope = json.loads(text)
    full = EventFull(
        **event_members(row),
        event=None,
        deliveries=[DeliveryLine.of(one) for one in deliveries],
    )
    # The envelope is given as it was taken, without the members that it did not have.
    return edge.sent_plain(full.model_dump(mode="json") | {"event": envelope})
