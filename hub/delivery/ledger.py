"""The proof that nothing is lost and nothing twice: every accepted event, every planned step, exactly one state."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select

from hub.context import Hub
from hub.db import audit
from hub.db.connections import Connection
from hub.db.deliveries import Attempt, Delivery, State
from hub.db.events import StoredEvent
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Ledger:
    """Events, deliveries by state, records by connector, and what does not add up (nothing, when all is well)."""

    events: int
    deliveries: dict[str, int]
    records: dict[str, int]
    problems: tuple[str, ...]

    @property
    def is_ok(self) -> bool:
        """Whether all sums agree."""
        return not self.problems


def ledger(hub: Hub, tenant_id: str | None = None) -> Ledger:
    """Count and check one tenant's books, or everybody's."""
    if tenant_id is None:
        with hub.everyone("the ledger of the whole installation") as session:
            found = _count(session)
            tenants = session.scalars(select(Tenant.id)).all()
        broken = [problem for one in tenants for problem in _audit_problem(hub, one)]
    else:
        with hub.tenant(tenant_id) as session:
            found = _count(session)
        broken = _audit_problem(hub, tenant_id)
    return Ledger(found.events, found.deliveries, found.records, (*found.problems, *broken))


def _count(session: TenantSession) -> Ledger:
    # One moment for all sums, or they would never agree while events come in.
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    events = session.scalar(select(func.count()).select_from(StoredEvent)) or 0
    planned = session.scalar(select(func.coalesce(func.sum(StoredEvent.planned), 0))) or 0
    by_state = {state.value: 0 for state in State}
    by_state |= _pairs(session, select(Delivery.state, func.count()).group_by(Delivery.state))
    records = _pairs(
        session,
        select(Connection.connector, func.count())
        .join(Delivery, Delivery.connection_id == Connection.id)
        .where(Delivery.state == State.DELIVERED.value)
        .group_by(Connection.connector),
    )
    problems = [
        text for text, number in _checks(session, planned, sum(by_state.values())) if number
    ]
    return Ledger(events, by_state, records, tuple(problems))


def _pairs(session: TenantSession, statement: Select[str, int]) -> dict[str, int]:
    return {row[0]: row[1] for row in session.execute(statement)}


def _checks(session: TenantSession, planned: int, rows: int) -> list[tuple[str, int]]:
    """Give each way in which the books could be wrong, and how often it is so."""

    def number(*conditions: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).select_from(Delivery).where(*conditions)) or 0

    steps = (
        select(func.count(Delivery.id))
        .where(Delivery.event_id == StoredEvent.id)
        .correlate(StoredEvent)
        .scalar_subquery()
    )
    unplanned = (
        session.scalar(
            select(func.count()).select_from(StoredEvent).where(steps != StoredEvent.planned)
        )
        or 0
    )
    twice = (
        session.scalar(
            select(func.count()).select_from(
                select(Delivery.key).group_by(Delivery.key).having(func.count() > 1).subquery()
            )
        )
        or 0
    )
    without_attempt = number(
        Delivery.state == State.DELIVERED.value,
        ~select(Attempt.id).where(Attempt.delivery_id == Delivery.id).exists(),
    )
    return [
        (f"{planned} steps were planned and {rows} rows exist.", abs(planned - rows)),
        (f"{unplanned} events do not have the rows that were planned.", unplanned),
        (f"{twice} keys belong to more than one row.", twice),
        (f"{without_attempt} rows are delivered without an attempt.", without_attempt),
        (
            "Rows are parked without a reason.",
            number(Delivery.state == State.PARKED.value, Delivery.reason.is_(None)),
        ),
        (
            "Rows are delivered without a record.",
            number(Delivery.state == State.DELIVERED.value, Delivery.record_id.is_(None)),
        ),
    ]


def _audit_problem(hub: Hub, tenant_id: str) -> list[str]:
    with hub.tenant(tenant_id) as session:
        broken = audit.first_break(session)
    return [] if broken is None else [f"The audit log of {tenant_id} is broken at row {broken}."]
