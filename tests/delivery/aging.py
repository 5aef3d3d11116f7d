"""Time that goes by: what was delivered, and what was looked at, is made older."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.outcomes import Outcome, OutcomePoll, RecordCheck
from hub.delivery import outcome_polling
from hub.delivery.outcome_polling import Polled
from tests.delivery.connected import Connected


def age(connected: Connected, **span: float) -> None:
    """Let so much time go by."""
    back = timedelta(**span)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(StoredEvent).values(
                time=StoredEvent.time - back, received_at=StoredEvent.received_at - back
            )
        )
        session.execute(
            update(Delivery).values(
                created_at=Delivery.created_at - back,
                updated_at=Delivery.updated_at - back,
                delivered_at=Delivery.delivered_at - back,
            )
        )
        session.execute(
            update(Outcome).values(at=Outcome.at - back, seen_at=Outcome.seen_at - back)
        )
        session.execute(
            update(OutcomePoll).values(
                looked_until=OutcomePoll.looked_until - back, due_at=OutcomePoll.due_at - back
            )
        )


def poll(connected: Connected) -> Polled:
    """Do what the sweep and a worker do."""
    outcome_polling.ring(connected.hub)
    return outcome_polling.poll(connected.hub, connected.connection.id)


def outcomes(connected: Connected) -> list[Outcome]:
    """Give the company's outcomes, oldest first."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        return list(session.scalars(select(Outcome).order_by(Outcome.at, Outcome.id)))


def cursor(connected: Connected) -> OutcomePoll:
    """Give how far the connection was asked about."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        return session.scalars(select(OutcomePoll)).one()


def listed(connected: Connected) -> list[str]:
    """Give the ids of the records that the vendor is to be asked about."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        return list(session.scalars(select(RecordCheck.record_id)))
