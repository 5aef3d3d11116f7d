"""What waits for a person: approve, reject, or choose among the records that match."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import select

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
    """Let held deliveries go, and those whose records they need; gives how many were held."""
    with hub.tenant(tenant_id) as session:
        family = _family(session, delivery_ids, State.HELD)
        chosen = {row.id for row in family} & set(delivery_ids)
        while more := {
            row.id for row in family if row.id not in chosen and _is_needed(row, family, chosen)
        }:
            chosen |= more
        found = [row for row in family if row.id in chosen]
        at = now()
        for row in found:
            row.state, row.due_at, row.updated_at = State.WAITING.value, at, at
            row.reason, row.decided_by = None, actor
        session.flush()
        if found:
            _audit(session, actor, "delivery.approved", [row.id for row in found])
    wake(hub, sorted({row.connection_id for row in found if row.connection_id}))
    return len(found)


def reject(hub: Hub, tenant_id: str, delivery_ids: Sequence[str], *, actor: str) -> int:
    """Refuse held or parked deliveries for good, until somebody replays them; gives how many.

    What waits for the record of one of them is refused with it, since it could never be sent.
    """
    with hub.tenant(tenant_id) as session:
        family = _family(session, delivery_ids, State.HELD, State.PARKED, State.WAITING)
        chosen = {
            row.id for row in family if row.id in delivery_ids and row.state != State.WAITING.value
        }
        asked = frozenset(chosen)
        while more := {
            row.id
            for row in family
            if row.id not in chosen and row.is_blocked and chosen & set(row.waits_for or ())
        }:
            chosen |= more
        found = [row for row in family if row.id in chosen]
        for row in found:
            row.state, row.updated_at, row.decided_by = State.REJECTED.value, now(), actor
            row.reason = (
                "A person said no" if row.id in asked else "A person said no to what it needs"
            )
        session.flush()
        if found:
            _audit(session, actor, "delivery.rejected", [row.id for row in found])
    return len(found)


def _family(
    session: TenantSession, delivery_ids: Sequence[str], *states: State
) -> Sequence[Delivery]:
    """Give the rows in these states of all events that the deliveries belong to, locked."""
    events = select(Delivery.event_id).where(Delivery.id.in_(delivery_ids))
    return session.scalars(
        select(Delivery)
        .where(Delivery.event_id.in_(events), Delivery.state.in_([one.value for one in states]))
        .order_by(Delivery.id)
        .with_for_update()
    ).all()


def _is_needed(row: Delivery, family: Sequence[Delivery], chosen: set[str]) -> bool:
    return any(row.id in (other.waits_for or ()) for other in family if other.id in chosen)


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
        offered = {one["id"] for one in json.loads(text)}
        if record_id is not None and record_id not in offered:
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
