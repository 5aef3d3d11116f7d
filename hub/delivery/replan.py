"""Planning stored events again, by the mappings of today: for events that nothing applied to when they came."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import delete, null, select
from sqlalchemy.dialects.postgresql import insert

from hub.context import Hub
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.tenancy import TenantSession
from hub.db.vault import Unreadable
from hub.delivery.playbook import Row, playbook, rows_for
from mappings.event import with_transcript_text

_UNDONE = "No mapping applied to this when it came; planning it anew was cancelled."


def replan(
    hub: Hub, session: TenantSession, event_ids: Sequence[str], *, replay_id: str
) -> list[tuple[str, str]]:
    """Plan events anew where a mapping applies now; gives the rows that were added, each with its connection.

    The placeholder rows of an event that led to nothing are replaced by the planned rows, which are the replay's; rows
    that exist stay as they are, and so does an event whose body cannot be read.
    """
    tenant_id = session.tenant_id or ""
    current = playbook(hub, tenant_id, is_fresh=True)
    events = session.scalars(
        select(StoredEvent).where(StoredEvent.id.in_(event_ids)).with_for_update()
    ).all()
    added: list[tuple[str, str]] = []
    for event in events:
        try:
            plain = hub.vault.open(tenant_id, event.body, about=f"events.body:{event.id}")
            facts = {**with_transcript_text(json.loads(plain)["data"]), "bucket": event.bucket}
        except (Unreadable, ValueError, LookupError, TypeError):
            continue
        rows = rows_for(current, event.id, facts)
        if any(row.connection_id for row in rows):
            added += _replace(session, event, rows, replay_id)
    return added


def _replace(
    session: TenantSession, event: StoredEvent, rows: Sequence[Row], replay_id: str
) -> list[tuple[str, str]]:
    session.execute(
        delete(Delivery).where(Delivery.event_id == event.id, Delivery.connection_id.is_(None))
    )
    written = session.execute(
        insert(Delivery)
        .values([_values(event.tenant_id, row, replay_id) for row in rows])
        .on_conflict_do_nothing(index_elements=["event_id", "mapping_id", "step"])
        .returning(Delivery.id, Delivery.connection_id)
    ).all()
    event.planned = len(
        session.scalars(select(Delivery.id).where(Delivery.event_id == event.id)).all()
    )
    return [(row.id, row.connection_id) for row in written if row.connection_id]


def _values(tenant_id: str, row: Row, replay_id: str) -> dict[str, object]:
    waits = row.state is State.WAITING
    return {
        "id": row.id,
        "tenant_id": tenant_id,
        "event_id": row.event_id,
        "connection_id": row.connection_id,
        "mapping_id": row.mapping_id,
        "mapping_version": row.mapping_version,
        "step": row.step,
        "object": row.object,
        "key": row.key,
        "state": row.state.value,
        "is_urgent": row.is_urgent,
        "is_blocked": bool(row.waits_for),
        "waits_for": list(row.waits_for) or None,
        "reason": row.reason,
        "replay_id": replay_id,
        "is_replay": waits,
        # When the replay is cancelled the event leads to nothing, as before.
        "replayed_from": {"state": State.DROPPED.value, "reason": _UNDONE} if waits else null(),
    }
