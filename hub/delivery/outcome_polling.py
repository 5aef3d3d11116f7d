"""Asking vendors what became of records: seldom, together, and only with calls that deliveries do not need.

::

    delivered ─ 5 min ─ 15 min ─ 1 h ─ 4 h ─ 1 day … 7 days     each record is asked about then
                                             └─ only these where the vendor reports to us

    sweep ──ring──▶ poll (a job)   schedule: what fell due goes into record_checks
                                   ask: 200 at a time, written down, removed
                                   rest: until the next record is due, and longer when a day's calls are few

The list in the table survives whatever happens to a worker or to Redis. A poll holds no lock that a drain wants; at
most half of the workers poll at a time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from rq import Queue, Worker
from sqlalchemy import and_, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from connectors.errors import ConnectorError, ContractBroken, NeedsReconnect, Rejected, Throttled
from connectors.interface import Connector
from connectors.registry import UnknownConnector, connector
from hub import log
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.outcomes import OutcomePoll, RecordCheck, Source
from hub.db.tenancy import TenantSession
from hub.delivery import backoff, outcomes, record_checks, subscriptions, turns
from hub.delivery.account import Line, is_ours
from hub.delivery.budget import Budget
from hub.delivery.frugal import Frugal
from hub.delivery.only_one import only_one
from hub.delivery.outcomes import Reading
from hub.delivery.record_checks import YOUNG
from hub.oauth.tokens import mark_needs_reconnect

_LOG = log.get(__name__)
QUEUE = "ask"
_CHUNK = 200
_TURN_S = 8.0
_JOB_S = 120
_FLAG_S = 30
#: A connection is looked at no more often, and while something is young no more seldom, than this.
_LEAST = timedelta(seconds=60)
_MOST = timedelta(minutes=5)
#: Polls take this part of a day's limit at most.
_SHARE_OF_DAY = 0.1
_PUT_OFF = timedelta(hours=1)


@dataclass(slots=True)
class Polled:
    """What a poll did: records that the vendor was asked about, what was new, and what stopped it."""

    records: int = 0
    noted: int = 0
    is_busy: bool = False
    stopped_by: ConnectorError | None = None


def ring(hub: Hub) -> list[str]:
    """Wake a worker for each connection whose records are due, or whose subscription is; gives their ids."""
    at = now()
    with hub.everyone("polls look after all connections") as session:
        _enrol(session, at)
        is_young = (
            select(Delivery.id)
            .where(
                Delivery.connection_id == Connection.id,
                Delivery.state == State.DELIVERED.value,
                Delivery.updated_at > at - YOUNG,
            )
            .exists()
        )
        is_wanted = select(RecordCheck.connection_id).where(
            RecordCheck.connection_id == Connection.id
        )
        found = session.scalars(
            select(Connection.id)
            .join(OutcomePoll, OutcomePoll.connection_id == Connection.id)
            .where(
                Connection.health.in_((Health.HEALTHY.value, Health.DEGRADED.value)),
                Connection.paused_at.is_(None),
                or_(Connection.retry_at.is_(None), Connection.retry_at <= at),
                or_(
                    and_(OutcomePoll.due_at <= at, or_(is_young, is_wanted.exists())),
                    OutcomePoll.subscribe_at <= at,
                    OutcomePoll.looked_after_at.is_(None),
                    Connection.health_at > OutcomePoll.looked_after_at,
                ),
            )
            .order_by(OutcomePoll.due_at)
        ).all()
    wake(hub, found)
    return list(found)


def _enrol(session: TenantSession, at: datetime) -> None:
    """Begin to look after connections that are new."""
    session.execute(
        text(
            "insert into outcome_polls (connection_id, tenant_id, looked_until, due_at, subscribe_at) "
            "select c.id, c.tenant_id, greatest(c.created_at, :since), :at, :at from connections c "
            "where not exists (select 1 from outcome_polls p where p.connection_id = c.id) "
            "on conflict do nothing"
        ),
        {"at": at, "since": at - YOUNG},
    )


def wake(hub: Hub, connection_ids: Sequence[str]) -> None:
    """Put a poll of each connection into the queue, unless one is there. Never raises: the sweep rings again."""
    try:
        for connection_id in connection_ids:
            if hub.redis.set(f"ask:{connection_id}", "1", nx=True, ex=_FLAG_S):
                Queue(QUEUE, connection=hub.redis).enqueue(
                    "hub.delivery.jobs.poll",
                    connection_id,
                    job_timeout=_JOB_S,
                    result_ttl=0,
                    failure_ttl=3_600,
                )
    except redis.RedisError as err:
        _LOG.warning("poll was not rung for", error=type(err).__name__)


def poll(hub: Hub, connection_id: str) -> Polled:
    """Ask about what is due on one connection, for one turn. Never raises for what a vendor does."""
    done = Polled()
    with ExitStack() as locks:
        has_turn = locks.enter_context(only_one(hub, f"ask:{connection_id}")) and any(
            locks.enter_context(only_one(hub, f"ask-lane:{lane}")) for lane in range(_lanes(hub))
        )
        _awake(hub, connection_id)
        if not has_turn:
            done.is_busy = True
            return done
        found = _read(hub, connection_id)
        if found is None:
            return done
        connection, cursor = found
        vendor = _vendor(hub, connection)
        if vendor is None or not _may_ask(connection):
            return done
        # A vendor that hangs must not hold more workers by polls than by drains.
        turn = locks.enter_context(turns.turn(hub, connection, lines_up=False))
        if not turn.is_mine:
            done.is_busy = True
            return done
        line = Line(hub, connection, Budget(hub))
        subscriptions.look_after(hub, line, vendor, cursor)
        record_checks.schedule(hub, connection, cursor)
        frugal = Frugal(line)
        until = time.monotonic() + _TURN_S
        while time.monotonic() < until and _ask_some(hub, frugal, vendor, done):
            if turn.is_wanted():  # deliveries go first
                break
        _rest(hub, frugal, cursor, done)
    return done


def _may_ask(connection: Connection) -> bool:
    is_held_back = connection.retry_at is not None and connection.retry_at > now()
    return connection.may_deliver and not is_held_back


def _awake(hub: Hub, connection_id: str) -> None:
    """Say that a poll has begun, so that the next ring is heard."""
    try:
        hub.redis.delete(f"ask:{connection_id}")
    except redis.RedisError:
        return  # the flag ends by itself


def _lanes(hub: Hub) -> int:
    """Give how many polls may run at a time, so that half of the workers are always free for deliveries."""
    try:
        return max(1, int(Worker.count(connection=hub.redis)) // 2)
    except redis.RedisError:
        return 1


def _read(hub: Hub, connection_id: str) -> tuple[Connection, OutcomePoll] | None:
    with hub.everyone("a poll names only the connection") as session:
        found = session.execute(
            select(Connection, OutcomePoll)
            .join(OutcomePoll, OutcomePoll.connection_id == Connection.id)
            .where(Connection.id == connection_id)
        ).one_or_none()
    return (found[0], found[1]) if found else None


def _vendor(hub: Hub, connection: Connection) -> Connector | None:
    try:
        return connector(connection.connector)
    except (UnknownConnector, ImportError) as err:
        _put_off(hub, connection, now() + _PUT_OFF, failures=0, problem=str(err))
        return None


def _ask_some(hub: Hub, frugal: Frugal, vendor: Connector, done: Polled) -> bool:
    """Ask about a chunk of the list and write the answer down; tells whether to go on."""
    connection = frugal.line.connection
    ids = record_checks.take(hub, connection, at_most=_CHUNK)
    if not ids:
        return False
    as_of = now()
    chunk = frozenset((one.object, one.id) for one in ids)
    try:
        closures = frugal.line.call(lambda account: vendor.closed(frugal.account(account), ids))
    except (Rejected, ContractBroken) as err:
        # The same question would be answered alike: they are asked about again at their next time.
        _LOG.error(
            "poll was not answered", connector=vendor.name, error=type(err).__name__, code=err.code
        )
        done.stopped_by = err
    except ConnectorError as err:
        done.stopped_by = err
        return False
    except SQLAlchemyError:
        raise  # our database is away; the list is asked again when it is there
    except Exception as err:  # noqa: BLE001 - a defect of a connector must not stop all polls
        _LOG.error(
            "poll failed", connector=vendor.name, error=type(err).__name__, where=log.places(err)
        )
        done.stopped_by = ContractBroken("The connector failed on the vendor's answer.")
    else:
        reading = Reading(Source.POLL, as_of, chunk)
        noted = outcomes.record(hub, connection, closures, reading)
        done.noted += sum(noted.values())
        done.records += len(chunk)
    record_checks.done(hub, connection, chunk, as_of=as_of)
    return done.stopped_by is None


def _rest(hub: Hub, frugal: Frugal, cursor: OutcomePoll, done: Polled) -> None:
    """Say when to look again, by what stopped the poll or by what comes next."""
    connection, err, at = frugal.line.connection, done.stopped_by, now()
    if done.records or err:
        _LOG.info(
            "records asked about",
            connection_id=connection.id,
            records=done.records,
            noted=done.noted,
            units=dict(frugal.spent),
            stopped_by=type(err).__name__ if err else None,
        )
    if err is None:
        wait = max(_LEAST, timedelta(seconds=frugal.pace_s(share=_SHARE_OF_DAY)))
        following = record_checks.next_due(hub, connection, at) or at + _MOST
        due_at = max(at + wait, min(following, at + _MOST))
        _put_off(hub, connection, due_at, failures=0, problem=None)
        return
    failures = cursor.failures + 1
    wait_s = backoff.delay_s(failures + 5)
    if isinstance(err, Throttled):
        failures, wait_s = 0, max(1.0, backoff.told_s(err.retry_after_s))
        if not is_ours(err):
            frugal.line.stay_away(err.retry_after_s)
    if isinstance(err, NeedsReconnect):
        mark_needs_reconnect(
            hub,
            connection.tenant_id,
            connection.id,
            err.detail,
            version=frugal.line.token_version,
        )
    _put_off(hub, connection, at + timedelta(seconds=wait_s), failures=failures, problem=err.detail)


def _put_off(
    hub: Hub, connection: Connection, due_at: datetime, *, failures: int, problem: str | None
) -> None:
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            update(OutcomePoll)
            .where(OutcomePoll.connection_id == connection.id)
            .values(due_at=due_at, failures=failures, problem=problem)
        )
