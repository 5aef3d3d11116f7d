"""The sweep: rebuilds every wake-up from the table, once a second, on whichever process has the lock.

It finds connections with due rows that nobody rings for (Redis was wiped, a worker died, a back-off
is over), and so makes everything that Redis holds for deliveries dispensable.
"""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import datetime

import redis
from sqlalchemy import ColumnElement, ColumnExpressionArgument, and_, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from hub import clock, log
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.delivery import counting, outcome_polling, replays
from hub.delivery.wake import wake

_LOG = log.get(__name__)
_LOCK = 7_201_462
#: The key in Redis that holds when the last round ended.
SWEPT = "sweep:at"
#: Polls and replays are looked after less often than drains: nobody waits for them.
_POLLS_EVERY_S = 5.0


def sweep(hub: Hub) -> list[str]:
    """Ring for every connection that has something to do; gives their ids.

    A wait for a fuller batch holds back ordinary rows, never urgent ones. Rows of a worker that died are taken
    back even while nothing may be sent.
    """
    at = now()
    with hub.everyone("the sweep looks after all connections") as session:
        may_send = and_(
            Connection.health.in_((Health.HEALTHY.value, Health.DEGRADED.value)),
            Connection.paused_at.is_(None),
            or_(Connection.retry_at.is_(None), Connection.retry_at <= at),
        )
        is_awake = or_(Connection.wake_at.is_(None), Connection.wake_at <= at)
        urgent = _some(*_due(at), Delivery.is_urgent, ~Delivery.is_replay)
        sending = Delivery.state == State.SENDING.value
        found = session.execute(
            select(Connection.id, and_(may_send, urgent).label("is_urgent")).where(
                or_(
                    and_(
                        may_send, or_(urgent, and_(is_awake, or_(_some(*_due(at)), _some(sending))))
                    ),
                    _some(sending, Delivery.lease_until < at),
                )
            )
        ).all()
        session.execute(
            update(Connection)
            .where(Connection.wake_at.is_not(None), Connection.wake_at <= at)
            .values(wake_at=None)
        )
    wake(hub, [row.id for row in found if row.is_urgent], is_urgent=True)
    wake(hub, [row.id for row in found if not row.is_urgent])
    return [row.id for row in found]


def _due(at: datetime) -> tuple[ColumnElement[bool], ...]:
    may_replay = or_(Connection.replays_wake_at.is_(None), Connection.replays_wake_at <= at)
    return (
        Delivery.state == State.WAITING.value,
        ~Delivery.is_blocked,
        Delivery.due_at <= at,
        or_(~Delivery.is_replay, Delivery.job.is_not(None), may_replay),
    )


def _some(*conditions: ColumnExpressionArgument[bool]) -> ColumnElement[bool]:
    """Tell whether the connection has a row of this kind."""
    return select(Delivery.id).where(Delivery.connection_id == Connection.id, *conditions).exists()


def run(hub: Hub, stop: threading.Event) -> None:
    """Sweep until told to stop. Of several processes one sweeps; another takes over when it dies."""
    while not stop.is_set():
        try:
            _run_with_lock(hub, stop)
        except SQLAlchemyError as err:
            _LOG.warning("sweep interrupted", error=type(err).__name__)
        stop.wait(hub.settings.sweep_s)


def _sweep_once(hub: Hub) -> None:
    began = time.monotonic()
    found = sweep(hub)
    counting.swept(hub, len(found), time.monotonic() - began)
    with contextlib.suppress(redis.RedisError):  # that it is away is seen elsewhere
        hub.redis.set(SWEPT, clock.seconds())


def _run_with_lock(hub: Hub, stop: threading.Event) -> None:
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lock:
        has_lock = lock.execute(
            text("select pg_try_advisory_lock(:lock)"), {"lock": _LOCK}
        ).scalar_one()
        if not has_lock:
            return
        polled_at = -_POLLS_EVERY_S
        try:
            while not stop.is_set():
                _sweep_once(hub)
                if time.monotonic() - polled_at >= _POLLS_EVERY_S:
                    polled_at = time.monotonic()
                    outcome_polling.ring(hub)
                    replays.tend(hub)
                lock.execute(text("select 1"))  # ends the loop when the lock's session is gone
                stop.wait(hub.settings.sweep_s)
        finally:
            if not lock.invalidated:
                lock.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
