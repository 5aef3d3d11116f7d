"""Draining a connection: claim, build, write, settle, until nothing is due or the budget says wait."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.interface import Connector
from connectors.record import Outcome, Write
from connectors.registry import connector
from hub import log
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection
from hub.delivery import pace, stopping
from hub.delivery.account import Line, is_ours
from hub.delivery.budget import Budget
from hub.delivery.build import Batch, Draft, build
from hub.delivery.claim import Claimed, Head, claim, head, only_drain, release, take_back
from hub.delivery.resolve import resolve
from hub.delivery.settle import Report, Settled, delivered, failed, hold_back, settle
from hub.delivery.wake import awake, doze, wake
from hub.oauth.tokens import mark_needs_reconnect

_LOG = log.get(__name__)
_TURN_S = 20.0


@dataclass(slots=True)
class Drained:
    """What a drain did: batches sent, rows settled, and whether it was another's turn."""

    batches: int = 0
    rows: int = 0
    is_busy: bool = False
    has_more: bool = False


def drain(hub: Hub, connection_id: str) -> Drained:
    """Send what is due on one connection, for one turn; then others get theirs.

    Does nothing when another process drains it. Never raises for what a vendor does.
    """
    done = Drained()
    with only_drain(hub, connection_id) as has_lock:
        if not has_lock:
            done.is_busy = True
            return done
        awake(hub, connection_id)
        tenant_id = _tenant_of(hub, connection_id)
        if tenant_id is None:
            return done
        found = _read(hub, tenant_id, connection_id)
        vendor = connector(found.connector)
        taken = take_back(hub, tenant_id, connection_id, repeats=vendor.repeats)
        if taken:
            _LOG.warning("rows taken back", connection_id=connection_id, rows=taken)
        until = time.monotonic() + _TURN_S
        while _one_batch(hub, tenant_id, connection_id, done):
            if time.monotonic() > until or stopping.is_asked():
                done.has_more = True
                break
    if done.has_more:
        wake(hub, [connection_id])
    return done


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
    if not connection.may_deliver or (connection.retry_at and connection.retry_at > now()):
        return False
    vendor = connector(connection.connector)
    first = head(hub, tenant_id, connection_id, at_most=vendor.max_batch)
    if first is None:
        return False
    line = Line(hub, connection, Budget(hub), is_urgent=first.is_urgent)
    if not _is_time(hub, line, vendor, first):
        return False
    name, rows = claim(
        hub, tenant_id, connection_id, object_name=first.object, at_most=vendor.max_batch
    )
    if not rows:
        return False
    done.batches += 1
    done.rows += len(rows)
    return _send(hub, line, vendor, name, rows)


def _is_time(hub: Hub, line: Line, vendor: Connector, first: Head) -> bool:
    """Decide whether to send now; otherwise say when to look again."""
    sample = [Write(key="", object=first.object, fields={})] * first.count
    units = vendor.write_cost(sample)
    wait_s = line.wait_s(units)
    if wait_s <= 0 and not first.is_urgent and first.count < vendor.max_batch:
        age_s = (now() - first.waiting_since).total_seconds()
        outlook = line.budget.outlook(line.connection)
        wait_s = pace.wait_s(outlook, calls_per_batch=max(units.values(), default=1)) - age_s
    if wait_s <= 0:
        return True
    sleep_until(hub, line.connection, wait_s)
    return False


def sleep_until(hub: Hub, connection: Connection, wait_s: float) -> None:
    """Have the sweep wake this connection again after a while; ordinary events do not ring until then."""
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            update(Connection)
            .where(Connection.id == connection.id)
            .values(wake_at=now() + timedelta(seconds=wait_s))
        )
    doze(hub, connection.id, wait_s)


def _send(hub: Hub, line: Line, vendor: Connector, name: str, rows: Sequence[Claimed]) -> bool:
    """Build, write and settle one claimed batch; tells whether to go on."""
    started = time.monotonic()
    drafts: dict[str, Draft] = {}
    results: list[Settled] = []
    stopped_by: ConnectorError | None = None
    try:
        batch = build(hub, line.connection.tenant_id, rows)
        resolve(hub, line, batch)
    except ConnectorError as err:
        stopped_by = err
        results = [failed(row, _nothing_sent(err)) for row in rows]
    else:
        drafts = {draft.row.id: draft for draft in batch.drafts}
        release(hub, name, batch.later)
        results = _known_results(rows, batch)
        written, stopped_by = _write(line, vendor, batch.drafts)
        results += written
    report = Report(
        connection=line.connection,
        claim=name,
        ms=(time.monotonic() - started) * 1_000,
        calls=line.calls,
        batch_size=len(rows),
    )
    settled = settle(hub, report, results, drafts=drafts)
    _LOG.info(
        "batch sent",
        connection_id=line.connection.id,
        connector=vendor.name,
        object=rows[0].object,
        rows=len(rows),
        settled=settled,
        calls=line.calls,
        ms=round(report.ms, 1),
    )
    if stopped_by is None:
        stopped_by = _throttle(results)
    return stopped_by is None or _react(hub, line, stopped_by)


def _nothing_sent(err: ConnectorError) -> ConnectorError:
    """An answer lost while only looking things up leaves nothing uncertain."""
    if isinstance(err, Uncertain):
        return Unavailable(err.detail, code=err.code, status=err.status)
    return err


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
    try:
        outcomes = line.call(lambda account: vendor.write(account, writes))
        if len(outcomes) != len(writes):
            raise ContractBroken(  # noqa: TRY301 - handled with the vendor's own broken answers
                f"{len(writes)} records were sent and {len(outcomes)} outcomes came back."
            )
    except ConnectorError as err:
        return [failed(draft.row, err) for draft in drafts], err
    except Exception as err:  # noqa: BLE001 - the one place where a defect must not lose or repeat rows
        _LOG.exception("connector failed", connector=vendor.name, error=type(err).__name__)
        broken = ContractBroken("The connector failed on the vendor's answer; we have been told.")
        return [failed(draft.row, broken) for draft in drafts], broken
    return [_result(draft, one) for draft, one in zip(drafts, outcomes, strict=True)], None


def _result(draft: Draft, outcome: Outcome) -> Settled:
    if outcome.record is not None:
        word = "created" if outcome.is_new else "updated"
        return delivered(draft.row, outcome.record, outcome=word)
    if outcome.error is None:
        return failed(draft.row, ContractBroken("A record has neither an id nor an error."))
    return failed(draft.row, outcome.error)


def _throttle(results: Sequence[Settled]) -> ConnectorError | None:
    """Give the longest throttling among the rows: the account is to be left alone for so long."""
    found = [one.error for one in results if isinstance(one.error, Throttled)]
    return max(found, key=lambda err: err.retry_after_s, default=None)


def _react(hub: Hub, line: Line, err: ConnectorError) -> bool:
    """Draw the consequence for the whole connection; tells whether to go on with the next batch."""
    connection = line.connection
    if isinstance(err, Throttled):
        if not is_ours(err):
            line.stay_away(err.retry_after_s)
        sleep_until(hub, connection, err.retry_after_s)
        return False
    if isinstance(err, NeedsReconnect):
        mark_needs_reconnect(hub, connection.tenant_id, connection.id, err.detail)
        return False
    if isinstance(err, Unavailable | Uncertain | ContractBroken):
        hold_back(hub, connection, err)
        return False
    return True
