"""Draining a connection: claim, build, write, settle, until nothing is due or the budget says wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from rq.timeouts import BaseTimeoutException
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.interface import Connector, RunsOn, WorksLater
from connectors.record import Outcome, RecordId
from connectors.registry import UnknownConnector, connector
from hub import log
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.tenants import Tenant
from hub.db.vault import KeyMissing
from hub.delivery import counting, pace, reserve, sizing, stopping, turns
from hub.delivery.account import Line, is_ours
from hub.delivery.backoff import told_s
from hub.delivery.budget import Budget
from hub.delivery.build import Batch, Draft, build
from hub.delivery.claim import Claimed, Head, claim, head, only_drain, release, take_back
from hub.delivery.resolve import resolve
from hub.delivery.settle import Report, hold_back, settle
from hub.delivery.taken import ask
from hub.delivery.verdicts import Settled, delivered, failed, look_again, nothing_sent, worst
from hub.delivery.wake import awake, doze, wake
from hub.oauth.tokens import mark_needs_reconnect

_LOG = log.get(__name__)
T = TypeVar("T")
#: Nobody sleeps longer without looking: meanwhile a person may have granted more, or other rows may have come.
_LONGEST_SLEEP_S = 300.0


@dataclass(slots=True)
class Drained:
    """What a drain did: batches sent, rows settled, whether it was another's turn, and when it wants to look again."""

    batches: int = 0
    rows: int = 0
    is_busy: bool = False
    has_more: bool = False
    waits_s: float | None = None


def drain(hub: Hub, connection_id: str) -> Drained:
    """Send what is due on one connection, for one turn; then others get theirs.

    Does nothing when another process drains it. Never raises for what a vendor does, or for a row.
    """
    done = Drained()
    with only_drain(hub, connection_id) as has_lock:
        if not has_lock:
            # Whoever rings next is heard: the drain that is at it may have looked for the last time.
            awake(hub, connection_id)
            done.is_busy = True
            return done
        awake(hub, connection_id)
        tenant_id = _tenant_of(hub, connection_id)
        if tenant_id is None:
            return done
        found = _read(hub, tenant_id, connection_id)
        vendor = _vendor(hub, found)
        repeats = vendor.repeats if vendor else None
        runs_on_s = vendor.runs_on_s(found.settings) if isinstance(vendor, RunsOn) else 0.0
        taken = take_back(hub, tenant_id, connection_id, repeats=repeats, runs_on_s=runs_on_s)
        if taken:
            _LOG.warning("rows taken back", connection_id=connection_id, rows=taken)
            counting.taken_back(hub, found, taken)
        if vendor is None:
            return done
        with turns.turn(hub, found) as turn:
            done.is_busy = not turn.is_mine
            while turn.is_mine and _one_batch(hub, tenant_id, connection_id, done):
                if turn.is_over() or stopping.is_asked():
                    done.has_more = True
                    break
    if done.has_more:
        wake(hub, [connection_id])
    return done


def _vendor(hub: Hub, found: Connection) -> Connector | None:
    """Give the connector; without it, or without the tenant's keys, rows wait and the connection says why."""
    try:
        hub.vault.check(found.tenant_id)
        return connector(found.connector)
    except (KeyMissing, UnknownConnector, ImportError) as err:
        if _may_send(found):
            hold_back(hub, found, Unavailable(str(err), code="not_set_up"))
        return None


def _may_send(connection: Connection) -> bool:
    is_held_back = connection.retry_at is not None and connection.retry_at > now()
    return connection.may_deliver and not is_held_back


def _tenant_of(hub: Hub, connection_id: str) -> str | None:
    with hub.everyone("a wake-up names only the connection") as session:
        return session.scalars(
            select(Connection.tenant_id).where(Connection.id == connection_id)
        ).one_or_none()


def _read(hub: Hub, tenant_id: str, connection_id: str) -> Connection:
    with hub.tenant(tenant_id) as session:
        return session.scalars(select(Connection).where(Connection.id == connection_id)).one()


def _one_batch(hub: Hub, tenant_id: str, connection_id: str, done: Drained) -> bool:
    """Send one batch; tells whether to go on."""
    connection = _read(hub, tenant_id, connection_id)
    if not _may_send(connection):
        return False
    vendor = connector(connection.connector)
    most, may_replay = sizing.worth_counting(vendor), reserve.may_replay(connection)
    first = head(hub, tenant_id, connection_id, at_most=most, with_replays=may_replay)
    if first is None:
        return False
    line = Line(hub, connection, Budget(hub), is_urgent=first.is_urgent)
    takes_riders = sizing.is_full_price(vendor, first.object, first.count)
    wait_s = _wait_s(hub, line, vendor, first, riders=first.riders if takes_riders else 0)
    if wait_s > 0:
        done.waits_s = wait_s
        return False
    name, rows = claim(
        hub,
        tenant_id,
        connection_id,
        object_name=first.object,
        at_most=sizing.batch_size(line, vendor, first),
        job=first.job,
        with_replays=first.is_replay or first.job is not None or takes_riders,
    )
    if not rows:
        return False
    done.batches += 1
    done.rows += len(rows)
    if first.job is not None:
        return _ask_job(hub, line, vendor, name, rows)
    return _send(hub, line, vendor, name, rows)


def _wait_s(hub: Hub, line: Line, vendor: Connector, first: Head, *, riders: int) -> float:
    """Decide whether to send now, which is 0; otherwise write down when to look again, and give how long that is.

    ``riders`` are replayed rows that fill the batch.
    """
    if first.job is not None:
        units = vendor.poll_cost(first.job) if isinstance(vendor, WorksLater) else {}
    else:
        units = sizing.cost(vendor, first.object, first.count)
        if first.is_replay and reserve.is_kept(hub, line, units):
            reserve.put_off(hub, line.connection)  # live rows still ring
            return reserve.LOOK_AGAIN.total_seconds()
    wait_s = line.wait_s(units)
    is_full = first.job is not None or first.count + riders >= vendor.max_batch
    if wait_s <= 0 and not is_full and pace.saves_calls(vendor, first.object):
        wait_s = _until_fuller_s(hub, line, first, units, full=vendor.max_batch)
    if wait_s > 0:
        sleep_until(hub, line.connection, wait_s, is_urgent=first.is_urgent)
    return max(wait_s, 0.0)


def _until_fuller_s(
    hub: Hub, line: Line, first: Head, units: Mapping[str, int], *, full: int
) -> float:
    """Give how long the batch should still wait for more rows; none comes after it is full."""
    with hub.tenant(line.connection.tenant_id) as session:
        settings = session.scalars(
            select(Tenant.settings).where(Tenant.id == line.connection.tenant_id)
        ).one()
    found = pace.pace(line.budget.outlook(line.connection), units=units, most=pace.most_s(settings))
    age_s = max((now() - first.waiting_since).total_seconds(), 0.001)
    wait_s = found.ordinary_s - age_s
    if first.is_urgent:
        # The ordinary rows that it takes along may be older; they have patience of their own.
        wait_s = min(wait_s, found.urgent_s - (now() - first.first_since).total_seconds())
    fills_in_s = (full - first.count) * age_s / first.count
    return min(wait_s, max(fills_in_s, pace.LEAST_S))


def sleep_until(hub: Hub, connection: Connection, wait_s: float, *, is_urgent: bool) -> None:
    """Have the sweep wake this connection again after a while; ordinary events do not ring until then.

    With ``is_urgent`` even urgent rows have to wait so long; otherwise they are rung for at once.
    """
    wait_s = min(wait_s, _LONGEST_SLEEP_S)
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            update(Connection)
            .where(Connection.id == connection.id)
            .values(wake_at=now() + timedelta(seconds=wait_s))
        )
    doze(hub, connection.id, wait_s, is_urgent=is_urgent)


def _send(hub: Hub, line: Line, vendor: Connector, name: str, rows: Sequence[Claimed]) -> bool:
    """Build, write and settle one claimed batch; tells whether to go on."""
    started = time.monotonic()
    drafts: dict[str, Draft] = {}
    stopped_by: ConnectorError | None = None

    def prepare() -> Batch:
        made = build(hub, line.connection.tenant_id, rows)
        resolve(hub, line, made)
        return made

    batch = _tried(vendor, prepare)
    if isinstance(batch, ConnectorError):
        stopped_by = batch
        results = [failed(row, nothing_sent(batch)) for row in rows]
    else:
        drafts = {draft.row.id: draft for draft in batch.drafts}
        release(hub, name, batch.later)
        written, stopped_by = _write(line, vendor, batch.drafts)
        results = _known_results(rows, batch) + written
    return _settle(hub, line, name, results, drafts=drafts, started=started, stopped_by=stopped_by)


def _ask_job(hub: Hub, line: Line, vendor: Connector, name: str, rows: Sequence[Claimed]) -> bool:
    """Ask the vendor what became of the rows that its job took; tells whether to go on."""
    started = time.monotonic()
    answer = _tried(vendor, lambda: ask(hub, line, vendor, rows))
    if isinstance(answer, ConnectorError):
        results = [failed(row, nothing_sent(answer)) for row in rows]
        return _settle(hub, line, name, results, drafts={}, started=started, stopped_by=answer)
    return _settle(
        hub, line, name, answer.results, drafts=answer.drafts, started=started, stopped_by=None
    )


def _tried(vendor: Connector, act: Callable[[], T]) -> T | ConnectorError:
    """Do something with a connector; gives what came of it, or the error that says what happens next."""
    try:
        return act()
    except ConnectorError as err:
        return err
    except (SQLAlchemyError, BaseTimeoutException):
        raise  # our database is away, or our time is over; the rows are taken back by the next drain
    except Exception as err:  # noqa: BLE001 - a defect must neither lose rows nor stop the connection
        # Without the message: it may quote what the vendor said, or the caller.
        _LOG.error(
            "connector failed",
            connector=vendor.name,
            error=type(err).__name__,
            where=log.places(err),
        )
        return ContractBroken("The connector failed on the vendor's answer; we have been told.")


def _settle(
    hub: Hub,
    line: Line,
    name: str,
    results: Sequence[Settled],
    *,
    drafts: Mapping[str, Draft],
    started: float,
    stopped_by: ConnectorError | None,
) -> bool:
    """Write down what became of the rows of one claim and draw the consequences; tells whether to go on.

    ``stopped_by`` is the error that held for all of them.
    """
    report = Report(
        connection=line.connection,
        claim=name,
        ms=(time.monotonic() - started) * 1_000,
        calls=line.calls,
        batch_size=len(results),
    )
    settled = settle(hub, report, results, drafts=drafts)
    _LOG.info(
        "batch sent",
        connection_id=line.connection.id,
        connector=line.connection.connector,
        object=results[0].row.object if results else None,
        rows=len(results),
        settled=settled,
        calls=line.calls,
        ms=round(report.ms, 1),
    )
    err = stopped_by or worst(results)
    return err is None or _react(hub, line, err)


def _known_results(rows: Sequence[Claimed], batch: Batch) -> list[Settled]:
    by_id = {row.id: row for row in rows}
    return [
        *(failed(by_id[row_id], err) for row_id, err in batch.failed.items()),
        *(
            delivered(by_id[row_id], record, outcome="found")
            for row_id, record in batch.found.items()
        ),
    ]


def _write(
    line: Line, vendor: Connector, drafts: Sequence[Draft]
) -> tuple[list[Settled], ConnectorError | None]:
    """Write the drafts; gives a result for each, and the error that holds for the whole batch."""
    if not drafts:
        return [], None
    writes = [draft.write() for draft in drafts]

    def write() -> Sequence[Outcome]:
        outcomes = line.call(lambda account: vendor.write(account, writes))
        if len(outcomes) != len(writes):
            raise ContractBroken(
                f"{len(writes)} records were sent and {len(outcomes)} outcomes came back."
            )
        return outcomes

    outcomes = _tried(vendor, write)
    if isinstance(outcomes, ConnectorError):
        return [failed(draft.row, outcomes) for draft in drafts], outcomes
    return [_result(draft, one) for draft, one in zip(drafts, outcomes, strict=True)], None


def _result(draft: Draft, outcome: Outcome) -> Settled:
    if outcome.record is not None:
        word = "created" if outcome.is_new else "updated"
        return delivered(draft.row, outcome.record, outcome=word)
    if outcome.error is None:
        return failed(draft.row, ContractBroken("A record has neither an id nor an error."))
    if isinstance(outcome.error, NotYet) and outcome.error.job and draft.record_id:
        # The job changes this record: whoever asks about the job has to know it.
        record = RecordId(draft.row.object, draft.record_id)
        return replace(failed(draft.row, outcome.error), record=record)
    if isinstance(outcome.error, Rejected) and draft.is_from_memory:
        return look_again(draft.row, outcome.error)
    return failed(draft.row, outcome.error)


def _react(hub: Hub, line: Line, err: ConnectorError) -> bool:
    """Draw the consequence for the whole connection; tells whether to go on with the next batch."""
    connection = line.connection
    if isinstance(err, Throttled):
        if not is_ours(err):
            line.stay_away(err.retry_after_s)
        is_for_all = line.is_urgent or not is_ours(err)
        sleep_until(hub, connection, told_s(err.retry_after_s), is_urgent=is_for_all)
        return False
    if isinstance(err, NeedsReconnect):
        mark_needs_reconnect(
            hub, connection.tenant_id, connection.id, err.detail, version=line.token_version
        )
        return False
    if isinstance(err, Unavailable | Uncertain | ContractBroken):
        hold_back(hub, connection, err)
        return False
    return True
