"""What waits for a person: approve, reject, or choose among the records that match."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.deliveries import Delivery, State
from hub.db.tenancy import TenantSession
from hub.delivery.build import NEW_RECORD
from hub.delivery.wake import wake


class NotWaiting(LookupError):
    """There is no such delivery that waits for this decision."""


def approve(hub: Hub, tenant_id: str, delivery_ids: Sequence[str], *, actor: str) -> int:
    """Let held deliveries go; gives how many were held."""
    with hub.tenant(tenant_id) as session:
        connections = session.scalars(
            update(Delivery)
            .where(Delivery.id.in_(delivery_ids), Delivery.state == State.HELD.value)
            .values(
                state=State.WAITING.value,
                due_at=now(),
                updated_at=now(),
                reason=None,
                decided_by=actor,
            )
            .returning(Delivery.connection_id)
        ).all()
        if connections:
            _audit(session, actor, "delivery.approved", delivery_ids)
    wake(hub, sorted({one for one in connections if one}))
    return len(connections)


def reject(hub: Hub, tenant_id: str, delivery_ids: Sequence[str], *, actor: str) -> int:
    """Refuse held or parked deliveries for good, until somebody replays them; gives how many."""
    with hub.tenant(tenant_id) as session:
        rejected = session.scalars(
            update(Delivery)
            .where(
                Delivery.id.in_(delivery_ids),
                Delivery.state.in_((State.HELD.value, State.PARKED.value)),
            )
            .values(
                state=State.REJECTED.value,
                updated_at=now(),
                reason="A person said no",
                decided_by=actor,
            )
            .returning(Delivery.id)
        ).all()
        if rejected:
            _audit(session, actor, "delivery.rejected", rejected)
    return len(rejected)


def choose(
    hub: Hub, tenant_id: str, delivery_id: str, record_id: str | None, *, actor: str
) -> None:
    """Say which existing record an ambiguous delivery belongs to, or None: it is somebody new.

    The choice is remembered for the same person. Raises NotWaiting when the delivery is not parked as ambiguous,
    or the record was not among the candidates.
    """
    with hub.tenant(tenant_id) as session:
        row = session.scalars(
            select(Delivery)
            .where(
                Delivery.id == delivery_id,
                Delivery.state == State.PARKED.value,
                Delivery.candidates.is_not(None),
            )
            .with_for_update()
        ).one_or_none()
        if row is None or row.candidates is None:
            raise NotWaiting("This delivery does not wait for a choice.")
        text = hub.vault.open_text(
            tenant_id, row.candidates, about=f"deliveries.candidates:{row.id}"
        )
        if record_id is not None and f'"id": "{record_id}"' not in text:
            raise NotWaiting("This record was not among the candidates.")
        row.chosen_record_id = record_id if record_id is not None else NEW_RECORD
        row.state, row.due_at, row.updated_at = State.WAITING.value, now(), now()
        row.reason = row.detail = row.candidates = None
        row.decided_by = actor
        session.flush()
        audit.record(
            session,
            actor=actor,
            action="delivery.record_chosen",
            target=delivery_id,
            facts={"record": record_id},
        )
    wake(hub, [row.connection_id] if row.connection_id else [])


def _audit(session: TenantSession, actor: str, action: str, ids: Sequence[str]) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        target=ids[0] if len(ids) == 1 else f"{len(ids)} deliveries",
        facts={"deliveries": list(ids)},
    )
