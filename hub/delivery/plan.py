"""Accepting events: the event and one delivery row per mapping step, in one statement.

The statement writes only while the tenant's ``plan_revision`` is the one that the plan was made by;
otherwise the plan is made again. So an event that arrives just after a mapping was published is
planned by that mapping, without a query more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal, Self

from sqlalchemy import Engine, select

from hub.context import Hub
from hub.db.base import new_id
from hub.db.connections import Connection
from hub.db.deliveries import State
from hub.db.engine import run
from hub.db.mappings import FieldMapping
from hub.db.tenants import Tenant
from hub.delivery.bell import bell
from hub.delivery.compiled import compiled
from mappings.event import Event, UrgencyLevel, with_transcript_text
from mappings.render import Compiled

_URGENT = {UrgencyLevel.HIGH.value, UrgencyLevel.CRITICAL.value}
_TRIES = 5
_CANONICAL = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A checked event on its way in: the envelope as plain JSON, and the hash that tells it from another."""

    envelope: dict[str, Any]
    body: bytes
    body_hash: str

    @classmethod
    def of(cls, event: Event) -> Self:
        """Take a validated event. Equal events have equal hashes, however their JSON was written."""
        envelope = event.model_dump(mode="json", by_alias=True, exclude_none=True)
        body = _CANONICAL.encode(envelope).encode()
        return cls(envelope, body, hashlib.sha256(body).hexdigest())


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an incoming event.

    ``known`` means that the same event had been accepted before, and ``id`` is that one's;
    ``conflict`` means that another event has the same source and id, and nothing was written.
    """

    id: str
    status: Literal["accepted", "known", "conflict"]
    deliveries: int


@dataclass(frozen=True, slots=True)
class Active:
    """A published mapping of a tenant that events are planned by."""

    mapping_id: str
    version: int
    connection_id: str
    compiled: Compiled


@dataclass(frozen=True, slots=True)
class Playbook:
    """All that decides what an event of a tenant leads to, at one plan revision."""

    revision: int
    dropped_buckets: frozenset[str]
    active: tuple[Active, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery row to be written."""

    id: str
    event_id: str
    connection_id: str | None
    mapping_id: str | None
    mapping_version: int | None
    step: str
    object: str | None
    key: str
    state: State
    is_urgent: bool
    waits_for: tuple[str, ...]
    reason: str | None


def key_of(event_id: str, mapping_id: str, step: str) -> str:
    """Derive the key under which the vendor knows this write; the mapping's version is not part of it."""
    digest = hashlib.sha256(f"{event_id}/{mapping_id}/{step}".encode()).hexdigest()
    return f"ab{digest[:30]}"


def rows_for(playbook: Playbook, event_id: str, facts: dict[str, Any]) -> list[Row]:
    """Plan one event: a row per step of each mapping that applies, or one dropped row when none does."""
    bucket = facts["bucket"]
    is_urgent = facts["urgency"]["level"] in _URGENT
    rows: list[Row] = []
    for active in playbook.active:
        if not active.compiled.matches(facts):
            continue
        is_dropped = bucket in playbook.dropped_buckets
        rows += _steps(active, event_id, facts, is_urgent=is_urgent, is_dropped=is_dropped)
    if rows:
        return rows
    why = (
        f"Voicemails in the bucket {bucket} are dropped."
        if bucket in playbook.dropped_buckets
        else "No mapping applies to this voicemail."
    )
    return [
        Row(
            id=new_id("dlv"),
            event_id=event_id,
            connection_id=None,
            mapping_id=None,
            mapping_version=None,
            step="",
            object=None,
            key=key_of(event_id, "", ""),
            state=State.DROPPED,
            is_urgent=is_urgent,
            waits_for=(),
            reason=why,
        )
    ]


def _steps(
    active: Active, event_id: str, facts: dict[str, Any], *, is_urgent: bool, is_dropped: bool
) -> list[Row]:
    state, why = State.WAITING, None
    if is_dropped:
        state, why = State.DROPPED, f"Voicemails in the bucket {facts['bucket']} are dropped."
    elif active.compiled.needs_approval(facts):
        state, why = State.HELD, "A person approves this first."
    ids = {step.id: new_id("dlv") for step in active.compiled.steps}
    return [
        Row(
            id=ids[step.id],
            event_id=event_id,
            connection_id=active.connection_id,
            mapping_id=active.mapping_id,
            mapping_version=active.version,
            step=step.id,
            object=step.object,
            key=key_of(event_id, active.mapping_id, step.id),
            state=state,
            is_urgent=is_urgent,
            waits_for=tuple(ids[other] for other in step.depends_on),
            reason=why,
        )
        for step in active.compiled.steps
    ]


_PLAYBOOKS: dict[tuple[Engine, str], Playbook] = {}
_PLAYBOOKS_LOCK = Lock()


def playbook(hub: Hub, tenant_id: str, *, is_fresh: bool = False) -> Playbook:
    """Give what a tenant's events are planned by, as remembered, or read anew when ``is_fresh``."""
    key = (hub.engine, tenant_id)
    with _PLAYBOOKS_LOCK:
        found = _PLAYBOOKS.get(key)
    if found is None or is_fresh:
        found = _read_playbook(hub, tenant_id)
        with _PLAYBOOKS_LOCK:
            _PLAYBOOKS[key] = found
    return found


def _read_playbook(hub: Hub, tenant_id: str) -> Playbook:
    with hub.tenant(tenant_id) as session:
        tenant = session.scalars(select(Tenant).where(Tenant.id == tenant_id)).one()
        found = session.scalars(
            select(FieldMapping)
            .join(Connection, Connection.id == FieldMapping.connection_id)
            .where(FieldMapping.is_active, FieldMapping.archived_at.is_(None))
            .order_by(FieldMapping.created_at, FieldMapping.id)
        ).all()
    active = tuple(
        Active(
            row.id, row.version, row.connection_id, compiled(hub, tenant_id, row.id, row.version)
        )
        for row in found
    )
    return Playbook(tenant.plan_revision, tenant.dropped_buckets, active)


_ACCEPT = """
with tenant as (
    select id from tenants where id = %(tenant_id)s and plan_revision = %(revision)s
), stored as (
    insert into events (id, tenant_id, source, event_id, type, time, body_hash, body, bucket,
                        urgency_score, urgency_level, lead_score, language, escalate, planned)
    select e.id, tenant.id, e.source, e.event_id, e.type, e.time, e.body_hash, e.body, e.bucket,
           e.urgency_score, e.urgency_level, e.lead_score, e.language, e.escalate, e.planned
    from tenant, rows from (
        json_to_recordset(%(events)s::json) as (
            id text, source text, event_id text, type text, time timestamptz, body_hash text,
            bucket text, urgency_score int, urgency_level text, lead_score int, language text,
            escalate bool, planned int
        ),
        unnest(%(bodies)b::bytea[])
    ) as e (id, source, event_id, type, time, body_hash, bucket, urgency_score, urgency_level,
            lead_score, language, escalate, planned, body)
    on conflict (tenant_id, source, event_id) do nothing
    returning id
), planned as (
    insert into deliveries (id, tenant_id, event_id, connection_id, mapping_id, mapping_version, step,
                            object, key, state, is_urgent, is_blocked, waits_for, reason)
    select d.id, tenant.id, d.event_id, d.connection_id, d.mapping_id, d.mapping_version, d.step,
           d.object, d.key, d.state, d.is_urgent, d.waits_for is not null, d.waits_for, d.reason
    from tenant, json_to_recordset(%(rows)s::json) as d (
        id text, event_id text, connection_id text, mapping_id text, mapping_version int, step text,
        object text, key text, state text, is_urgent bool, waits_for text[], reason text
    )
    join stored on stored.id = d.event_id
)
select (select count(*) from tenant), array(select id from stored)
"""

_KNOWN = """
select e.source, e.event_id, e.id, e.body_hash, e.planned
from events e
join unnest(%(source)s::text[], %(event_id)s::text[]) as wanted (source, event_id)
  on e.source = wanted.source and e.event_id = wanted.event_id
where e.tenant_id = %(tenant_id)s
"""


def accept(hub: Hub, tenant_id: str, incoming: Sequence[Incoming]) -> list[Accepted]:
    """Store events with their deliveries durably, then wake the connections; answer i belongs to event i.

    All new events of the call are stored in one transaction. Events that are there already change nothing.
    """
    by_identity: dict[tuple[str, str], Incoming] = {}
    for one in incoming:
        by_identity.setdefault((one.envelope["source"], one.envelope["id"]), one)
    unique = list(by_identity.values())
    ids = [new_id("evt") for _ in unique]
    rows, stored = _store(hub, tenant_id, unique, ids)
    if stored:
        _wake(hub, [row for row in rows if row.event_id in stored])
    return _answers(
        hub,
        tenant_id,
        incoming,
        ids=dict(zip(by_identity, ids, strict=True)),
        rows=rows,
        stored=stored,
    )


def _store(
    hub: Hub, tenant_id: str, unique: Sequence[Incoming], ids: Sequence[str]
) -> tuple[list[Row], set[str]]:
    facts = [with_transcript_text(one.envelope["data"]) for one in unique]
    sealed = [
        hub.vault.seal(tenant_id, one.body, about=f"events.body:{event_id}")
        for one, event_id in zip(unique, ids, strict=True)
    ]
    is_fresh = False
    for _ in range(_TRIES):
        current = playbook(hub, tenant_id, is_fresh=is_fresh)
        planned = [
            rows_for(current, event_id, each) for event_id, each in zip(ids, facts, strict=True)
        ]
        rows = [row for group in planned for row in group]
        events = [_event_values(*each) for each in zip(unique, ids, planned, strict=True)]
        # Few long parameters cost less than many arrays, here and in the database.
        values = {
            "tenant_id": tenant_id,
            "revision": current.revision,
            "events": json.dumps(events),
            "bodies": sealed,
            "rows": json.dumps([_row_values(row) for row in rows]),
        }
        is_current, stored = run(hub.engine, _ACCEPT, values)[0]
        if is_current:
            return rows, set(stored)
        is_fresh = True
    raise RuntimeError("the tenant's mappings changed faster than an event could be planned")


def _event_values(one: Incoming, event_id: str, rows: Sequence[Row]) -> dict[str, Any]:
    envelope, data = one.envelope, one.envelope["data"]
    return {
        "id": event_id,
        "source": envelope["source"],
        "event_id": envelope["id"],
        "type": envelope["type"],
        "time": envelope.get("time"),
        "body_hash": one.body_hash,
        "bucket": data["bucket"],
        "urgency_score": data["urgency"]["score"],
        "urgency_level": data["urgency"]["level"],
        "lead_score": data.get("lead_score"),
        "language": data.get("language"),
        "escalate": data["escalate"],
        "planned": len(rows),
    }


def _row_values(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "event_id": row.event_id,
        "connection_id": row.connection_id,
        "mapping_id": row.mapping_id,
        "mapping_version": row.mapping_version,
        "step": row.step,
        "object": row.object,
        "key": row.key,
        "state": row.state.value,
        "is_urgent": row.is_urgent,
        "waits_for": row.waits_for or None,
        "reason": row.reason,
    }


def _wake(hub: Hub, rows: Sequence[Row]) -> None:
    ready = [row for row in rows if row.state is State.WAITING and row.connection_id]
    urgent = {row.connection_id for row in ready if row.is_urgent and row.connection_id}
    others = {row.connection_id for row in ready if row.connection_id} - urgent
    if urgent:
        bell(hub).ring(urgent, is_urgent=True)
    if others:
        bell(hub).ring(others, is_urgent=False)


def _answers(
    hub: Hub,
    tenant_id: str,
    incoming: Sequence[Incoming],
    *,
    ids: dict[tuple[str, str], str],
    rows: Sequence[Row],
    stored: set[str],
) -> list[Accepted]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.event_id] = counts.get(row.event_id, 0) + 1
    hashes: dict[tuple[str, str], tuple[str, str, int]] = {}
    older = [identity for identity, event_id in ids.items() if event_id not in stored]
    if older:
        values = {
            "tenant_id": tenant_id,
            "source": [source for source, _ in older],
            "event_id": [event_id for _, event_id in older],
        }
        for source, name, event_id, body_hash, planned in run(hub.engine, _KNOWN, values):
            hashes[source, name] = (event_id, body_hash, planned)
    answers = []
    seen: dict[tuple[str, str], str] = {}
    for one in incoming:
        identity = (one.envelope["source"], one.envelope["id"])
        event_id = ids[identity]
        if event_id in stored and identity not in seen:
            seen[identity] = one.body_hash
            answers.append(Accepted(event_id, "accepted", counts[event_id]))
            continue
        known_id, known_hash, planned = hashes.get(
            identity, (event_id, seen.get(identity, ""), counts.get(event_id, 0))
        )
        is_same = known_hash == one.body_hash
        answers.append(Accepted(known_id, "known" if is_same else "conflict", planned))
    return answers
