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
from typing import Any, Literal, Self

from hub.context import Hub
from hub.db.base import new_id
from hub.db.deliveries import State
from hub.db.engine import run
from hub.db.telephone import caller_hash
from hub.delivery.bell import bell
from hub.delivery.playbook import Row, playbook, rows_for
from mappings.event import Event, with_transcript_text

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


_ACCEPT = """
with tenant as (
    select id from tenants where id = %(tenant_id)s and plan_revision = %(revision)s
), stored as (
    insert into events (id, tenant_id, source, event_id, type, time, body_hash, body, bucket,
                        urgency_score, urgency_level, lead_score, language, escalate, planned,
                        caller_hash)
    select e.id, tenant.id, e.source, e.event_id, e.type, e.time, e.body_hash, e.body, e.bucket,
           e.urgency_score, e.urgency_level, e.lead_score, e.language, e.escalate, e.planned,
           e.caller_hash
    from tenant, rows from (
        json_to_recordset(%(events)s::json) as (
            id text, source text, event_id text, type text, time timestamptz, body_hash text,
            bucket text, urgency_score int, urgency_level text, lead_score int, language text,
            escalate bool, planned int, caller_hash text
        ),
        unnest(%(bodies)b::bytea[])
    ) as e (id, source, event_id, type, time, body_hash, bucket, urgency_score, urgency_level,
            lead_score, language, escalate, planned, caller_hash, body)
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
    callers = [caller_hash(hub.vault, tenant_id, each) for each in facts]
    is_fresh = False
    for _ in range(_TRIES):
        current = playbook(hub, tenant_id, is_fresh=is_fresh)
        planned = [
            rows_for(current, event_id, each) for event_id, each in zip(ids, facts, strict=True)
        ]
        rows = [row for group in planned for row in group]
        events = [_event_values(*each) for each in zip(unique, ids, planned, callers, strict=True)]
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


def _event_values(
    one: Incoming, event_id: str, rows: Sequence[Row], caller: str | None
) -> dict[str, Any]:
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
        "caller_hash": caller,
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
