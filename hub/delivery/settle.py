"""Writing down what became of a batch, in one transaction: rows, attempts, links, followers, health, audit.

A row is settled only by the drain that claimed it, so that a drain that was given up for dead changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from connectors.errors import ConnectorError, Rejected
from hub import log
from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.connections import Connection, Health, RecordLink
from hub.db.deliveries import Delivery, State
from hub.db.tenancy import TenantSession
from hub.delivery import backoff, counting
from hub.delivery.build import Draft
from hub.delivery.verdicts import Settled

_LOG = log.get(__name__)
#: So many failures of a whole connection in a row, with nothing that went through between them, are an outage.
_OUTAGE = 5


_SETTLE = """
update deliveries d
set state = s.state, claim = null, lease_until = null, job = s.job, updated_at = now(),
    due_at = coalesce(s.due_at, d.due_at),
    attempts = d.attempts + s.attempt,
    is_uncertain = s.is_uncertain,
    record_id = case when s.forgets then null else coalesce(s.record_id, d.record_id) end,
    record_url = case when s.forgets then null else coalesce(s.record_url, d.record_url) end,
    delivered_at = case when s.state = 'delivered' then now() else d.delivered_at end,
    first_failed_at = case when s.state = 'delivered' then null
                           when s.attempt = 1 then coalesce(d.first_failed_at, now())
                           else d.first_failed_at end,
    reason = s.reason, reason_path = s.reason_path, detail = s.detail, candidates = s.candidates,
    is_replay = d.is_replay and s.state = 'waiting',
    replayed_from = case when s.state = 'waiting' then d.replayed_from end,
    before_detail = case when s.state = 'waiting' then d.before_detail end,
    before_candidates = case when s.state = 'waiting' then d.before_candidates end
from unnest(
    %(id)s::text[], %(state)s::text[], %(due_at)s::timestamptz[], %(attempt)s::int[],
    %(is_uncertain)s::bool[], %(record_id)s::text[], %(record_url)s::text[], %(reason)s::text[],
    %(reason_path)s::text[], %(detail)s::bytea[], %(candidates)s::bytea[], %(forgets)s::bool[],
    %(job)s::text[]
) as s (id, state, due_at, attempt, is_uncertain, record_id, record_url, reason, reason_path,
        detail, candidates, forgets, job)
where d.id = s.id and d.claim = %(claim)s and d.tenant_id = %(tenant_id)s
returning d.id, case when d.replay_id is null then extract(epoch from now() - d.created_at)::float end
"""

_ATTEMPTS = """
insert into attempts (tenant_id, delivery_id, batch, batch_size, ms, outcome, mapping_version, status,
                      code, detail)
select %(tenant_id)s, a.delivery_id, %(claim)s, %(batch_size)s, %(ms)s, a.outcome,
       a.mapping_version, a.status, a.code, a.detail
from unnest(
    %(delivery_id)s::text[], %(outcome)s::text[], %(mapping_version)s::int[], %(status)s::int[],
    %(code)s::text[], %(detail)s::bytea[]
) as a (delivery_id, outcome, mapping_version, status, code, detail)
"""

_UNBLOCK = """
update deliveries f
set is_blocked = false, due_at = now(), updated_at = now()
where f.tenant_id = :tenant_id and f.event_id = any(:events) and f.is_blocked
  and not exists (
      select 1 from deliveries p where p.id = any(f.waits_for) and p.record_id is null
  )
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What a batch cost and whose it was."""

    connection: Connection
    claim: str
    ms: float
    calls: int
    batch_size: int


def settle(
    hub: Hub, report: Report, results: Sequence[Settled], *, drafts: Mapping[str, Draft]
) -> int:
    """Store all results; gives how many rows were still ours."""
    tenant_id = report.connection.tenant_id
    with hub.tenant(tenant_id) as session:
        settled = session.connection().exec_driver_sql(_SETTLE, _row_values(hub, report, results))
        mine: dict[str, float | None] = dict(settled.tuples().all())
        ours = [one for one in results if one.row.id in mine]
        tried = [one for one in ours if one.is_told]
        if tried:
            session.connection().exec_driver_sql(_ATTEMPTS, _attempt_values(hub, report, tried))
        done = [one for one in ours if one.state is State.DELIVERED]
        if done:
            _unblock(session, tenant_id, done)
            _remember(session, report.connection, done, drafts)
            _mark_success(session, report.connection)
        _forget_gone(session, report.connection, ours, drafts)
        if tried:
            _audit(session, report, tried)
    counting.batch(hub, report.connection, ours, calls=report.calls, ms=report.ms)
    counting.delivered(hub, report.connection, [(one.row, mine[one.row.id]) for one in done])
    return len(mine)


def _row_values(hub: Hub, report: Report, results: Sequence[Settled]) -> dict[str, Any]:
    tenant_id = report.connection.tenant_id
    return {
        "tenant_id": tenant_id,
        "claim": report.claim,
        "id": [one.row.id for one in results],
        "state": [one.state.value for one in results],
        "due_at": [one.due_at for one in results],
        "attempt": [int(one.uses_attempt) for one in results],
        "is_uncertain": [one.is_uncertain for one in results],
        "record_id": [one.record and _kept(one.record.id) for one in results],
        "record_url": [one.record and _kept(one.record.url) for one in results],
        "reason": [_kept(one.reason) for one in results],
        "reason_path": [_kept(one.reason_path) for one in results],
        "forgets": [one.forgets_record for one in results],
        "job": [_kept(one.job) for one in results],
        "detail": [_seal_detail(hub, tenant_id, one, "deliveries") for one in results],
        "candidates": [
            one.candidates
            and hub.vault.seal_text(
                tenant_id, one.candidates, about=f"deliveries.candidates:{one.row.id}"
            )
            for one in results
        ],
    }


def _attempt_values(hub: Hub, report: Report, tried: Sequence[Settled]) -> dict[str, Any]:
    tenant_id = report.connection.tenant_id
    return {
        "tenant_id": tenant_id,
        "claim": report.claim,
        "batch_size": report.batch_size,
        "ms": report.ms,
        "delivery_id": [one.row.id for one in tried],
        "outcome": [one.outcome for one in tried],
        "mapping_version": [one.row.mapping_version for one in tried],
        "status": [one.error and one.error.status for one in tried],
        "code": [one.error and _kept(one.error.code) for one in tried],
        "detail": [_seal_detail(hub, tenant_id, one, "attempts") for one in tried],
    }


def _kept(text: str | None) -> str | None:
    """Give a vendor's word as PostgreSQL can keep it: one that it cannot would fail the whole batch."""
    return None if text is None else text.replace("\0", "").encode(errors="replace").decode()


def _seal_detail(hub: Hub, tenant_id: str, one: Settled, table: str) -> bytes | None:
    if one.error is None:
        return None
    detail = _kept(one.error.detail) or ""
    return hub.vault.seal_text(tenant_id, detail, about=f"{table}.detail:{one.row.id}")


def _unblock(session: TenantSession, tenant_id: str, done: Iterable[Settled]) -> None:
    """Let rows go that waited for these records."""
    events = sorted({one.row.event_id for one in done})
    session.execute(text(_UNBLOCK), {"tenant_id": tenant_id, "events": events})


def _remember(
    session: TenantSession,
    connection: Connection,
    done: Sequence[Settled],
    drafts: Mapping[str, Draft],
) -> None:
    """Remember which record is the person's, so that the next call needs no look-up."""
    links = {}
    for one in done:
        draft = drafts.get(one.row.id)
        if draft is None or one.record is None:
            continue
        for match_hash in draft.match_hashes:
            links[match_hash] = {
                "tenant_id": connection.tenant_id,
                "connection_id": connection.id,
                "object": one.row.object,
                "match_hash": match_hash,
                "record_id": one.record.id,
                "record_url": one.record.url,
                "is_chosen": one.row.chosen_record_id is not None,
            }
    if not links:
        return
    statement = insert(RecordLink).values(list(links.values()))
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["connection_id", "object", "match_hash"],
            set_={
                "record_id": new.record_id,
                "record_url": new.record_url,
                "is_chosen": RecordLink.is_chosen | new.is_chosen,
            },
        )
    )


def _forget_gone(
    session: TenantSession,
    connection: Connection,
    ours: Sequence[Settled],
    drafts: Mapping[str, Draft],
) -> None:
    """Forget links to records that the vendor refused, so that a replay looks for the person again."""
    hashes = [
        match_hash
        for one in ours
        if isinstance(one.error, Rejected)
        and one.row.chosen_record_id is None
        and (draft := drafts.get(one.row.id)) is not None
        for match_hash in draft.match_hashes
    ]
    if hashes:
        session.execute(
            delete(RecordLink).where(
                RecordLink.connection_id == connection.id, RecordLink.match_hash.in_(hashes)
            )
        )


def _mark_success(session: TenantSession, connection: Connection) -> None:
    before = session.scalar(select(Connection.failures).where(Connection.id == connection.id))
    if (before or 0) >= _OUTAGE:
        _let_go_on(session, connection)
    session.execute(
        update(Connection)
        .where(Connection.id == connection.id)
        .values(last_success_at=now(), failures=0, retry_at=None)
    )
    recovered = (
        session.execute(
            update(Connection)
            .where(Connection.id == connection.id, Connection.health == Health.DEGRADED.value)
            .values(health=Health.HEALTHY.value, health_reason=None, health_at=now())
            .returning(Connection.id)
        )
        .scalars()
        .all()
    )
    if recovered:
        _LOG.info("connection recovered", connection_id=connection.id)


def _let_go_on(session: TenantSession, connection: Connection) -> None:
    """After an outage, have the rows that met it go on now: their own waits, of up to an hour, were the vendor's fault.

    Not those in doubt, or in a vendor's job, which know when to look. A row that fails by itself among others that
    go through ends no outage, so it keeps its wait.
    """
    session.execute(
        update(Delivery)
        .where(
            Delivery.connection_id == connection.id,
            Delivery.state == State.WAITING.value,
            Delivery.first_failed_at.is_not(None),
            Delivery.due_at > now(),
            Delivery.is_uncertain.is_(False),
            Delivery.job.is_(None),
        )
        .values(due_at=now())
    )


def _audit(session: TenantSession, report: Report, tried: Sequence[Settled]) -> None:
    outcomes: dict[str, int] = {}
    for one in tried:
        outcomes[one.outcome] = outcomes.get(one.outcome, 0) + 1
    audit.record(
        session,
        actor="worker",
        action="vendor.written",
        target=report.connection.id,
        facts={
            "batch": report.claim,
            "object": tried[0].row.object,
            "calls": report.calls,
            "outcomes": outcomes,
            "deliveries": [one.row.id for one in tried],
        },
    )


def hold_back(hub: Hub, connection: Connection, err: ConnectorError) -> float:
    """Keep the whole connection from trying for a while after a failure of the vendor; gives the wait in s."""
    with hub.tenant(connection.tenant_id) as session:
        current = session.scalars(
            select(Connection).where(Connection.id == connection.id).with_for_update()
        ).one()
        current.failures += 1
        wait_s = backoff.delay_s(current.failures, longest_s=backoff.LONGEST_OF_CONNECTION_S)
        current.retry_at = current.wake_at = now() + timedelta(seconds=wait_s)
        if current.health == Health.HEALTHY.value:
            current.health, current.health_at = Health.DEGRADED.value, now()
        if current.health == Health.DEGRADED.value:
            current.health_reason = _kept(err.detail)
    counting.back_off(hub, connection, err)
    _LOG.warning(
        "connection held back",
        connection_id=connection.id,
        error=type(err).__name__,
        code=err.code,
        status=err.status,
        failures=current.failures,
        wait_s=round(wait_s, 1),
    )
    return wait_s
