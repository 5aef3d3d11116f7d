"""The sweep: rebuilds every wake-up from the table, once a second, on whichever process has the lock.

It finds connections with due rows that nobody rings for (Redis was wiped, a worker died, a back-off
is over), and so makes everything that Redis holds for deliveries dispensable.
"""

from __future__ import annotations

import threading

from sqlalchemy import or_, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError

from hub import log
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.delivery.wake import wake

_LOG = log.get(__name__)
_LOCK = 7_201_462
_MOST = 1_000


def sweep(hub: Hub) -> list[str]:
    """Ring for every connection that has something to do; gives their ids."""
    at = now()
    with hub.everyone("the sweep looks after all connections") as session:
        waiting = (
            select(Delivery.id)
            .where(
                Delivery.connection_id == Connection.id,
                Delivery.state == State.WAITING.value,
                ~Delivery.is_blocked,
                Delivery.due_at <= at,
            )
            .exists()
        )
        stranded = (
            select(Delivery.id)
            .where(Delivery.connection_id == Connection.id, Delivery.state == State.SENDING.value)
            .exists()
        )
        found = session.scalars(
            select(Connection.id)
            .where(
                Connection.health.in_((Health.HEALTHY.value, Health.DEGRADED.value)),
                Connection.paused_at.is_(None),
                or_(Connection.retry_at.is_(None), Connection.retry_at <= at),
                or_(Connection.wake_at.is_(None), Connection.wake_at <= at),
                or_(waiting, stranded),
            )
            .limit(_MOST)
        ).all()
        session.execute(
            update(Connection)
            .where(Connection.wake_at.is_not(None), Connection.wake_at <= at)
            .values(wake_at=None)
        )
    wake(hub, found)
    return list(found)


def run(hub: Hub, stop: threading.Event) -> None:
    """Sweep until told to stop. Of several processes one sweeps; another takes over when it dies."""
    while not stop.is_set():
        try:
            _run_with_lock(hub, stop)
        except (DBAPIError, OperationalError) as err:
            _LOG.warning("sweep interrupted", error=type(err).__name__)
        stop.wait(hub.settings.sweep_s)


def _run_with_lock(hub: Hub, stop: threading.Event) -> None:
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lock:
        has_lock = lock.execute(
            text("select pg_try_advisory_lock(:lock)"), {"lock": _LOCK}
        ).scalar_one()
        if not has_lock:
            return
        try:
            while not stop.is_set():
                sweep(hub)
                lock.execute(text("select 1"))  # ends the loop when the lock's session is gone
                stop.wait(hub.settings.sweep_s)
        finally:
            if not lock.invalidated:
                lock.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
