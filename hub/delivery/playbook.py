"""What an event of a tenant leads to: its published mappings, remembered per process, and the rows that they plan."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import Engine, select

from hub import log
from hub.context import Hub
from hub.db.base import new_id
from hub.db.connections import Connection
from hub.db.deliveries import State
from hub.db.mappings import FieldMapping
from hub.db.tenants import Tenant
from hub.delivery.compiled import MappingGone, compiled
from hub.delivery.gate import Gate, pages
from mappings.event import UrgencyLevel
from mappings.problem import InvalidMapping
from mappings.render import Compiled

_URGENT = {UrgencyLevel.HIGH.value, UrgencyLevel.CRITICAL.value}
_LOG = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Active:
    """A published mapping of a tenant that events are planned by; not compiled when it cannot be read."""

    mapping_id: str
    version: int
    connection_id: str
    compiled: Compiled | None
    is_page: bool = False


@dataclass(frozen=True, slots=True)
class Playbook:
    """All that decides what an event of a tenant leads to, at one plan revision."""

    revision: int
    dropped_buckets: frozenset[str]
    active: tuple[Active, ...]
    gate: Gate


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
        is_dropped = bucket in playbook.dropped_buckets
        if active.compiled is None:
            if not is_dropped:
                rows.append(_unreadable(active, event_id, is_urgent=is_urgent))
        elif active.compiled.matches(facts):
            rows += _steps(
                active,
                active.compiled,
                event_id,
                facts,
                is_urgent=is_urgent,
                is_dropped=is_dropped,
                is_gated=playbook.gate.holds(facts, is_page=active.is_page),
            )
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


def _unreadable(active: Active, event_id: str, *, is_urgent: bool) -> Row:
    """Give the row of an event that a mapping may be for which cannot be read; a replay plans it anew."""
    return Row(
        id=new_id("dlv"),
        event_id=event_id,
        connection_id=None,
        mapping_id=active.mapping_id,
        mapping_version=active.version,
        step="",
        object=None,
        key=key_of(event_id, active.mapping_id, ""),
        state=State.PARKED,
        is_urgent=is_urgent,
        waits_for=(),
        reason="The mapping cannot be read: save it anew, then send this again.",
    )


def _steps(
    active: Active,
    mapping: Compiled,
    event_id: str,
    facts: dict[str, Any],
    *,
    is_urgent: bool,
    is_dropped: bool,
    is_gated: bool,
) -> list[Row]:
    state, why = State.WAITING, None
    if is_dropped:
        state, why = State.DROPPED, f"Voicemails in the bucket {facts['bucket']} are dropped."
    elif is_gated or mapping.needs_approval(facts):
        state, why = State.HELD, "A person approves this first."
    ids = {step.id: new_id("dlv") for step in mapping.steps}
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
        for step in mapping.steps
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
        found = session.execute(
            select(FieldMapping, Connection.connector)
            .join(Connection, Connection.id == FieldMapping.connection_id)
            .where(FieldMapping.is_active, FieldMapping.archived_at.is_(None))
            .order_by(FieldMapping.created_at, FieldMapping.id)
        ).all()
    active = tuple(_active(hub, tenant_id, row, connector) for row, connector in found)
    return Playbook(tenant.plan_revision, tenant.dropped_buckets, active, Gate.of(tenant.settings))


def _active(hub: Hub, tenant_id: str, row: FieldMapping, connector: str) -> Active:
    found = _compiled(hub, tenant_id, row.id, row.version)
    is_page = found is not None and pages(connector, [step.object for step in found.steps])
    return Active(row.id, row.version, row.connection_id, found, is_page)


def _compiled(hub: Hub, tenant_id: str, mapping_id: str, version: int) -> Compiled | None:
    try:
        return compiled(hub, tenant_id, mapping_id, version)
    except (InvalidMapping, MappingGone) as err:
        # One mapping's fault must not keep the tenant's events out.
        _LOG.error("mapping could not be read", mapping_id=mapping_id, error=type(err).__name__)
        return None
