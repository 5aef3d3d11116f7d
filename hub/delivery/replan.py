"""Planning stored events again, by the mappings of today: for events that nothing applied to when they came."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from hub.context import Hub
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.vault import Unreadable
from hub.delivery.playbook import Row, playbook, rows_for
from hub.delivery.wake import wake
from mappings.event import with_transcript_text


def replan(hub: Hub, tenant_id: str, event_ids: Sequence[str]) -> int:
    """Plan events anew where a mapping applies now; gives how many delivery rows were added.

    The placeholder rows of an event that led to nothing are replaced by the planned rows; rows that
    exist stay as they are, and so does an event whose body cannot be read.
    """
    current = playbook(hub, tenant_id, is_fresh=True)
    connections: set[str] = set()
    added = 0
    with hub.tenant(tenant_id) as session:
        events = session.scalars(
            select(StoredEvent).where(StoredEvent.id.in_(event_ids)).with_for_update()
        ).all()
        for event in events:
            try:
                plain = hub.vault.open(tenant_id, event.body, about=f"events.body:{event.id}")
                facts = with_transcript_text(json.loads(plain)["data"])
            except (Unreadable, ValueError, LookupError, TypeError):
                continue
            rows = rows_for(current, event.id, facts)
            if not any(row.connection_id for row in rows):
                continue
            session.execute(
                delete(Delivery).where(
                    Delivery.event_id == event.id, Delivery.connection_id.is_(None)
                )
            )
            written = session.scalars(
                insert(Delivery)
                .values([_values(tenant_id, row) for row in rows])
                .on_conflict_do_nothing(index_elements=["event_id", "mapping_id", "step"])
                .returning(Delivery.id)
            ).all()
            event.planned = len(
                session.scalars(select(Delivery.id).where(Delivery.event_id == event.id)).all()
            )
            added += len(written)
            connections |= {row.connection_id for row in rows if row.connection_id}
    wake(hub, sorted(connections))
    return added


def _values(tenant_id: str, row: Row) -> dict[str, object]:
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
        "state": row.state.value if isinstance(row.state, State) else row.state,
        "is_urgent": row.is_urgent,
        "is_blocked": bool(row.waits_for),
        "waits_for": list(row.waits_for) or None,
        "reason": row.reason,
    }
