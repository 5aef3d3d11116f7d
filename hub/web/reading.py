"""Reads voicemails and what became of them, opened for the page that shows them.

A list costs the same few queries however long it is, and opens at most one page of sealed bodies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import defer, load_only

from hub.context import Hub
from hub.db import audit
from hub.db.connections import Connection, Health
from hub.db.deliveries import Attempt, Delivery
from hub.db.events import StoredEvent
from hub.db.mappings import FieldMapping
from hub.db.people import Person, Viewer
from hub.db.tenancy import TenantSession
from hub.db.triage import BucketCorrection, CallBack
from hub.db.vault import Unreadable


@dataclass(frozen=True, slots=True)
class Done:
    """One delivery as a page shows it: where it goes, where it stands, and what stands in its way.

    ``has_mapping`` says that its mapping can still be opened: one that was removed only has its name left.
    """

    row: Delivery
    mapping_name: str | None
    connector: str | None
    connection_label: str | None
    connection_state: Health | None = None
    candidates: tuple[dict[str, Any], ...] = ()
    sentence: str | None = None
    has_mapping: bool = False


@dataclass(frozen=True, slots=True)
class Voicemail:
    """An event with its opened data; ``data`` is empty when it was removed or cannot be opened."""

    row: StoredEvent
    data: dict[str, Any]
    is_readable: bool
    done: tuple[Done, ...] = ()
    call_back: CallBack | None = None
    correction: BucketCorrection | None = None

    @property
    def title(self) -> str:
        """The line by which a person triages it."""
        if self.row.expunged_at:
            return "Removed"
        if not self.is_readable:
            return "Cannot be read"
        if summary := self.data.get("summary") or self.data.get("reason"):
            return str(summary)
        segments = self.data.get("transcript", {}).get("segments") or ()
        spoken = next((part["text"] for part in segments if part.get("speaker") != "agent"), "")
        return _clip(str(spoken)) if spoken else "No summary"

    @property
    def caller(self) -> dict[str, Any]:
        """What is known of the caller."""
        found: dict[str, Any] = self.data.get("caller") or {}
        return found

    @property
    def caller_name(self) -> str | None:
        """The caller's name as they said it, or their company."""
        name = self.caller.get("name") or {}
        parts = " ".join(part for part in (name.get("given"), name.get("family")) if part)
        return name.get("full") or parts or self.caller.get("company")

    @property
    def number(self) -> str | None:
        """The number that reaches the caller."""
        call = self.data.get("call") or {}
        callback = self.data.get("callback") or {}
        return callback.get("number") or self.caller.get("phone") or call.get("from")

    @property
    def at(self) -> datetime:
        """When the call ended, as far as we know."""
        return self.row.time or self.row.received_at


def _clip(text: str, size: int = 140) -> str:
    return text if len(text) <= size else text[: size - 1].rstrip() + "…"


def latest(hub: Hub, tenant_id: str, *, size: int) -> tuple[Voicemail, ...]:
    """Give the latest voicemails, the newest first."""
    query = select(StoredEvent).order_by(StoredEvent.received_at.desc(), StoredEvent.id.desc())
    with hub.tenant(tenant_id) as session:
        rows = session.scalars(query.limit(size)).all()
        done = deliveries_of(session, [row.id for row in rows])
    return tuple(opened(hub, row, done.get(row.id, ())) for row in rows)


def deliveries_of(session: TenantSession, event_ids: Sequence[str]) -> dict[str, tuple[Done, ...]]:
    """Give the deliveries of some events, in the order in which they were planned."""
    if not event_ids:
        return {}
    found: dict[str, tuple[Done, ...]] = {}
    for done in _done(session, Delivery.event_id.in_(event_ids)):
        found[done.row.event_id] = (*found.get(done.row.event_id, ()), done)
    return found


def _done(session: TenantSession, which: Any) -> list[Done]:
    rows = session.execute(
        select(Delivery, FieldMapping.name, FieldMapping.archived_at, Connection)
        .options(defer(Connection.access_token), defer(Connection.refresh_token))
        .outerjoin(FieldMapping, FieldMapping.id == Delivery.mapping_id)
        .outerjoin(Connection, Connection.id == Delivery.connection_id)
        .where(which)
    )
    done = [
        Done(
            row,
            name,
            account.connector if account else None,
            account.label if account else None,
            account.state if account else None,
            has_mapping=name is not None and archived_at is None,
        )
        for row, name, archived_at, account in rows
    ]
    return sorted(done, key=_order_of_work)


def _order_of_work(done: Done) -> tuple[str, str, int, str]:
    """Put the steps of a mapping together, those that others wait for first."""
    row = done.row
    return done.mapping_name or "", row.event_id, len(row.waits_for or ()), row.id


def opened(hub: Hub, row: StoredEvent, done: Sequence[Done] = ()) -> Voicemail:
    """Open an event's body for showing."""
    if row.expunged_at:
        return Voicemail(row, {}, is_readable=False, done=tuple(done))
    try:
        text = hub.vault.open_text(row.tenant_id, row.body, about=f"events.body:{row.id}")
        data = json.loads(text).get("data") or {}
    except Unreadable:
        return Voicemail(row, {}, is_readable=False, done=tuple(done))
    return Voicemail(row, data, is_readable=True, done=tuple(done))


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt with the vendor's sentence opened."""

    row: Attempt
    sentence: str | None


def with_sentences(hub: Hub, done: Done) -> Done:
    """Open what the vendor said of a delivery, and the records that a person may choose from."""
    row = done.row
    sentence = _open(hub, row.tenant_id, row.detail, f"deliveries.detail:{row.id}")
    listed = _open(hub, row.tenant_id, row.candidates, f"deliveries.candidates:{row.id}")
    candidates = tuple(json.loads(listed)) if listed else ()
    return replace(done, candidates=candidates, sentence=sentence)


def attempts_of(
    hub: Hub, session: TenantSession, delivery_ids: Sequence[str]
) -> dict[str, tuple[Try, ...]]:
    """Give the attempts of some deliveries, latest first, at most the last hundred of each page."""
    rows = session.scalars(
        select(Attempt)
        .where(Attempt.delivery_id.in_(delivery_ids))
        .order_by(Attempt.id.desc())
        .limit(100)
    ).all()
    found: dict[str, tuple[Try, ...]] = {}
    for row in rows:
        about = f"attempts.detail:{row.delivery_id}"
        one = Try(row, _open(hub, row.tenant_id, row.detail, about))
        found[row.delivery_id] = (*found.get(row.delivery_id, ()), one)
    return found


def one(hub: Hub, session: TenantSession, event_id: str) -> Voicemail | None:
    """Give one voicemail with everything opened, or None when this tenant has none of that id."""
    found = session.execute(marked().where(StoredEvent.id == event_id)).one_or_none()
    if found is None:
        return None
    row, call_back, correction = found
    done = deliveries_of(session, [row.id]).get(row.id, ())
    shown = opened(hub, row, tuple(with_sentences(hub, each) for each in done))
    return replace(shown, call_back=call_back, correction=correction)


def marked() -> Select[StoredEvent, CallBack, BucketCorrection]:
    """Begin a query of events, each with what people have noted of it."""
    return (
        select(StoredEvent, CallBack, BucketCorrection)
        .outerjoin(CallBack, CallBack.event_id == StoredEvent.id)
        .outerjoin(BucketCorrection, BucketCorrection.event_id == StoredEvent.id)
    )


def named(session: TenantSession, actors: Iterable[str | None]) -> dict[str, str]:
    """Give the people among some actors as others know them."""
    ids = {actor.removeprefix("person:") for actor in actors if actor}
    rows = session.execute(select(Person.id, Person.name, Person.email).where(Person.id.in_(ids)))
    return {f"person:{person_id}": name or email for person_id, name, email in rows}


def called(session: TenantSession, actor: str) -> str:
    """Name one actor: a person, a program, or whoever has the machine's command line."""
    kinds = {"key": "A program", "command": "The command line", "voice": "The voice service"}
    return named(session, [actor]).get(actor) or kinds.get(
        actor.split(":", maxsplit=1)[0], "Somebody else"
    )


def note_listed(hub: Hub, me: Viewer, voicemails: Iterable[Voicemail]) -> None:
    """Write down who saw the summaries of which voicemails, for tenants with health data."""
    seen = list(dict.fromkeys(one.row.id for one in voicemails if one.is_readable))
    if not (me.is_phi and seen):
        return
    with hub.tenant(me.tenant_id) as session:
        audit.record(
            session,
            actor=me.actor,
            action="voicemails.listed",
            target=seen[0] if len(seen) == 1 else f"{len(seen)} voicemails",
            facts={"events": seen},
        )


def waiting_for_people(
    hub: Hub, tenant_id: str, states: Sequence[str], *, size: int = 200
) -> list[tuple[Done, Voicemail]]:
    """Give deliveries in the given states, latest change first, each with its voicemail."""
    return latest_of(hub, tenant_id, [Delivery.state.in_(states)], size=size)


def latest_of(
    hub: Hub, tenant_id: str, which: Sequence[ColumnElement[bool]], *, size: int
) -> list[tuple[Done, Voicemail]]:
    """Give deliveries for which all conditions hold, latest change first, each with its voicemail."""
    with hub.tenant(tenant_id) as session:
        done = _latest(session, which, size)
        ids = {each.row.event_id for each in done}
        events = session.scalars(select(StoredEvent).where(StoredEvent.id.in_(ids))).all()
    by_id = {row.id: opened(hub, row) for row in events}
    return [(with_sentences(hub, each), by_id[each.row.event_id]) for each in done]


def _latest(session: TenantSession, which: Sequence[ColumnElement[bool]], size: int) -> list[Done]:
    ids = session.scalars(
        select(Delivery)
        .options(load_only(Delivery.id))
        .where(*which)
        .order_by(Delivery.updated_at.desc(), Delivery.id.desc())
        .limit(size)
    ).all()
    order = {row.id: place for place, row in enumerate(ids)}
    found = _done(session, Delivery.id.in_(order))
    return sorted(found, key=lambda each: order[each.row.id])


def _open(hub: Hub, tenant_id: str, sealed: bytes | None, about: str) -> str | None:
    if sealed is None:
        return None
    try:
        return hub.vault.open_text(tenant_id, sealed, about=about)
    except Unreadable:
        return None
