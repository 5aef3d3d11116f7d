"""Which records a vendor is to be asked about, and when: a list in the table, made from what was delivered.

A record is asked about when certain spans have gone by since it was delivered; one that several deliveries
wrote stands on the list once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import Insert, insert

from connectors.record import RecordId
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery, State
from hub.db.outcomes import Kind, Outcome, OutcomePoll, RecordCheck
from hub.db.subscriptions import HeldSubscription
from hub.db.tenancy import TenantSession

DAILY: Final = tuple(timedelta(days=number) for number in range(1, 8))
#: After these spans since it was delivered a record is asked about.
SPANS: Final = (
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    *DAILY,
)
#: Records of voicemails that are older than this are left alone.
YOUNG: Final = DAILY[-1] + timedelta(hours=1)
#: A vendor that reported within this time is believed to report.
_REPORTS_FOR: Final = timedelta(days=1)
_MOST_AT_ONCE: Final = 1_000
#: Where a report names nothing, all are asked about, and no more often than this: our own writes are reported too.
_ALL_EVERY: Final = timedelta(seconds=60)
_COLUMNS: Final = ["tenant_id", "connection_id", "object", "record_id", "wanted_at"]


def schedule(hub: Hub, connection: Connection, cursor: OutcomePoll) -> None:
    """Put what has fallen due since the last time on the list."""
    at = now()
    with hub.tenant(connection.tenant_id) as session:
        spans = DAILY if _is_reported(session, connection, cursor, at) else SPANS
        due = select(
            literal(connection.tenant_id),
            Delivery.connection_id,
            Delivery.object,
            Delivery.record_id,
            literal(at),
        ).where(
            *_delivered(connection.id),
            Delivery.created_at > at - YOUNG,
            or_(
                *(
                    and_(
                        Delivery.updated_at > cursor.looked_until - span,
                        Delivery.updated_at <= at - span,
                    )
                    for span in spans
                )
            ),
        )
        session.execute(_on_the_list(insert(RecordCheck).from_select(_COLUMNS, due.distinct())))
        session.execute(
            update(OutcomePoll)
            .where(OutcomePoll.connection_id == connection.id)
            .values(looked_until=at)
        )


def _is_reported(
    session: TenantSession, connection: Connection, cursor: OutcomePoll, at: datetime
) -> bool:
    """Tell whether the vendor reports by itself what becomes of this connection's records."""
    if cursor.reported_at is not None and cursor.reported_at > at - _REPORTS_FOR:
        return True
    held = session.scalars(
        select(HeldSubscription.id).where(
            HeldSubscription.connection_id == connection.id,
            HeldSubscription.remote_id.is_not(None),
            or_(HeldSubscription.expires_at.is_(None), HeldSubscription.expires_at > at),
        )
    ).first()
    return held is not None


def _delivered(connection_id: str) -> tuple[ColumnElement[bool], ...]:
    # A delivered row changes when it is delivered, so that its last change is that moment, and an index knows it.
    return (
        Delivery.connection_id == connection_id,
        Delivery.state == State.DELIVERED.value,
        Delivery.record_id.is_not(None),
        Delivery.object.is_not(None),
    )


def want(hub: Hub, connection: Connection, records: Sequence[RecordId]) -> int:
    """Have the vendor asked at once about those of these records that are ours; gives how many are.

    The caller wakes a worker.
    """
    named = {(one.object, one.id) for one in records}
    if not named:
        return 0
    return _want(
        hub,
        connection,
        Delivery.record_id.in_({record_id for _, record_id in named}),
        tuple_(Delivery.object, Delivery.record_id).in_(named),
    )


def want_open(hub: Hub, connection: Connection) -> int:
    """Have the vendor asked soon about young records that are not closed; gives how many.

    Not at once when all were asked about a moment ago. The sweep wakes a worker.
    """
    closed = (
        select(Outcome.id)
        .where(
            Outcome.delivery_id == Delivery.id,
            Outcome.kind == Kind.CLOSED.value,
            Outcome.is_current,
        )
        .exists()
    )
    is_young = Delivery.updated_at > now() - DAILY[-1]
    return _want(hub, connection, is_young, ~closed, rests=_ALL_EVERY)


def _want(
    hub: Hub,
    connection: Connection,
    *which: ColumnElement[bool],
    rests: timedelta = timedelta(),
) -> int:
    """Put records of a connection on the list, to be asked about when it has rested so long."""
    at = now()
    with hub.tenant(connection.tenant_id) as session:
        ours = session.execute(
            select(Delivery.object, Delivery.record_id)
            .where(*_delivered(connection.id), *which)
            .distinct()
            .limit(_MOST_AT_ONCE)
        ).all()
        if not ours:
            return 0
        rows = [
            {
                "tenant_id": connection.tenant_id,
                "connection_id": connection.id,
                "object": name,
                "record_id": record_id,
                "wanted_at": at,
            }
            for name, record_id in ours
        ]
        session.execute(_on_the_list(insert(RecordCheck).values(rows)))
        session.execute(
            update(OutcomePoll)
            .where(OutcomePoll.connection_id == connection.id, OutcomePoll.failures == 0)
            .values(
                due_at=func.least(
                    OutcomePoll.due_at, func.greatest(at, OutcomePoll.looked_until + rests)
                )
            )
        )
    return len(ours)


def next_due(hub: Hub, connection: Connection, at: datetime) -> datetime | None:
    """Give when the next record falls due, None without any; at once while some are left on the list."""
    with hub.tenant(connection.tenant_id) as session:
        left = session.scalars(
            select(RecordCheck.record_id).where(RecordCheck.connection_id == connection.id)
        ).first()
        if left is not None:
            return at
        firsts = session.execute(
            select(
                *(
                    select(func.min(Delivery.updated_at))
                    .where(*_delivered(connection.id), Delivery.updated_at > at - span)
                    .scalar_subquery()
                    for span in SPANS
                )
            )
        ).one()
    dues = [first + span for first, span in zip(firsts, SPANS, strict=True) if first is not None]
    return min(dues, default=None)


def take(hub: Hub, connection: Connection, *, at_most: int) -> list[RecordId]:
    """Give records of the list, longest wanted first; they stay on it until ``done``."""
    with hub.tenant(connection.tenant_id) as session:
        found = session.execute(
            select(RecordCheck.object, RecordCheck.record_id)
            .where(RecordCheck.connection_id == connection.id)
            .order_by(RecordCheck.wanted_at, RecordCheck.object, RecordCheck.record_id)
            .limit(at_most)
        ).all()
    return [RecordId(name, record_id) for name, record_id in found]


def done(
    hub: Hub, connection: Connection, records: Collection[tuple[str, str]], *, as_of: datetime
) -> None:
    """Take records off the list, except those that were wanted again since the vendor was asked."""
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            delete(RecordCheck).where(
                RecordCheck.connection_id == connection.id,
                tuple_(RecordCheck.object, RecordCheck.record_id).in_(records),
                RecordCheck.wanted_at <= as_of,
            )
        )


def _on_the_list(statement: Insert) -> Insert:
    return statement.on_conflict_do_update(
        index_elements=["connection_id", "object", "record_id"],
        set_={"wanted_at": statement.excluded.wanted_at},
    )
