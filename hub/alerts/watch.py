"""Looks at the database and writes down what tenants should be told; one process at a time.

Health and pauses are looked at in every round, since they cost one query. Queues, parked rows and budgets are counted
less often. News, and what was told, are one transaction: killed in between, nothing was told and nothing noted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import redis
from sqlalchemy import delete, exists, or_, select, text

from connectors.registry import CONNECTORS, connector
from hub import log, tally
from hub.alerts import judge, outbox
from hub.alerts.judge import Told, Verdict
from hub.alerts.outbox import Item
from hub.alerts.preferences import Preferences
from hub.context import Hub
from hub.db.alerts import Alert, AlertState
from hub.db.connections import CallCount, Connection, Health
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant
from hub.delivery.budget import Budget
from hub.tally import families

_LOG = log.get(__name__)
_LOCK: Final = 7_201_463
HEALTH, PAUSE, QUEUE, PARKED, BUDGET = "health", "pause", "queue_age", "parked", "budget:"
#: Alerts are kept so long; what is older is nobody's news.
KEEP: Final = timedelta(days=90)

_QUEUES = """
select c.id, q.waiting, q.oldest_at
from connections c
cross join lateral (
    select count(*) as waiting, min(least(d.due_at, d.first_failed_at)) as oldest_at
    from deliveries d
    where d.connection_id = c.id and d.state = 'waiting' and not d.is_blocked and not d.is_replay
) q
where q.waiting > 0 and c.health <> 'disconnected'
"""

_PARKED = """
select c.id, p.total, p.newest_at, p.fresh, p.fresh_at
from connections c
left join alert_states s on s.connection_id = c.id and s.subject = 'parked'
cross join lateral (
    select coalesce((s.facts->>'seen')::timestamptz, '-infinity') as seen
) t
cross join lateral (
    select count(*) as total, max(d.updated_at) as newest_at,
           count(*) filter (where d.updated_at > t.seen) as fresh,
           min(d.updated_at) filter (where d.updated_at > t.seen) as fresh_at
    from deliveries d
    where d.connection_id = c.id and d.state = 'parked'
) p
where p.total > 0
"""


class _Round:
    """One look at everything, in one transaction."""

    def __init__(self, hub: Hub, session: TenantSession, at: datetime) -> None:
        self.hub, self.session, self.at = hub, session, at
        self.items: list[Item] = []
        self._preferences: dict[str, Preferences] = {}

    def states(self, *subjects: str) -> dict[tuple[str, str], AlertState]:
        """Give what was told, by connection and subject; a subject that ends in a colon stands for all below it."""
        names = [AlertState.subject == one for one in subjects if not one.endswith(":")]
        names += [AlertState.subject.startswith(one) for one in subjects if one.endswith(":")]
        rows = self.session.scalars(select(AlertState).where(or_(*names)))
        return {(row.connection_id, row.subject): row for row in rows}

    def connections(self, ids: Iterable[str]) -> list[Connection]:
        """Give connections by their ids."""
        wanted = sorted(set(ids))
        if not wanted:
            return []
        query = select(Connection).where(Connection.id.in_(wanted)).order_by(Connection.id)
        return list(self.session.scalars(query))

    def preferences(self, tenant_id: str) -> Preferences:
        """Give what a tenant has set."""
        if tenant_id not in self._preferences:
            settings = self.session.scalars(
                select(Tenant.settings).where(Tenant.id == tenant_id)
            ).one()
            self._preferences[tenant_id] = Preferences.of(settings)
        return self._preferences[tenant_id]

    def note(
        self, connection: Connection, subject: str, state: AlertState | None, verdict: Verdict
    ) -> None:
        """Take note of the news, and of what is told of a subject from now on."""
        if verdict.news:
            news = verdict.news
            self.items.append(
                Item(connection.tenant_id, news.type, news.since, news.facts, connection)
            )
        if verdict.told == _told(state):
            return
        if verdict.told is None:
            self.session.delete(state)
            return
        if state is None:
            state = AlertState(
                tenant_id=connection.tenant_id, connection_id=connection.id, subject=subject
            )
            self.session.add(state)
        state.level, state.since = verdict.told.level, verdict.told.since
        state.told_at, state.facts = verdict.told.told_at, dict(verdict.told.facts)


def _told(state: AlertState | None) -> Told | None:
    return Told(state.level, state.since, state.told_at, state.facts) if state else None


def watch(hub: Hub, at: datetime, *, is_thorough: bool = True) -> list[Alert]:
    """Look once, as of ``at``; gives the alerts that were written. Nothing when another process looks now.

    ``is_thorough`` says to count queues, parked rows and budgets too.
    """
    budgets = _budgets(hub) if is_thorough else None
    with hub.everyone("alerts are decided for all connections") as session:
        is_mine = session.scalar(text("select pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if not is_mine:
            return []
        look = _Round(hub, session, at)
        _look_at_health(look)
        if is_thorough:
            _look_at_queues(look)
            _look_at_parked(look)
            _look_at_budgets(look, budgets)
            session.execute(delete(Alert).where(Alert.created_at < at - KEEP))
        session.flush()
        written = outbox.write(hub, session, look.items, at)
    for alert in written:
        tally.count(hub.redis, families.ALERTS, alert.type)
        _LOG.info(
            "alert written", alert_id=alert.id, type=alert.type, connection_id=alert.connection_id
        )
    return written


def _look_at_health(look: _Round) -> None:
    told = look.states(HEALTH, PAUSE)
    has_state = exists().where(
        AlertState.connection_id == Connection.id, AlertState.subject.in_((HEALTH, PAUSE))
    )
    rows = look.session.scalars(
        select(Connection)
        .where(
            or_(
                Connection.health != Health.HEALTHY.value,
                Connection.paused_at.is_not(None),
                has_state,
            )
        )
        .order_by(Connection.id)
    ).all()
    for row in rows:
        is_now = judge.HealthNow(row.health, row.health_at, row.last_success_at, row.retry_at)
        steady_s = look.preferences(row.tenant_id).steady_s
        state = told.get((row.id, HEALTH))
        verdict = judge.health(is_now, _told(state), look.at, steady_s=steady_s)
        look.note(row, HEALTH, state, verdict)
        state = told.get((row.id, PAUSE))
        look.note(row, PAUSE, state, judge.pause(row.paused_at, _told(state), look.at))


def _look_at_queues(look: _Round) -> None:
    told = look.states(QUEUE)
    found = {row.id: row for row in look.session.execute(text(_QUEUES))}
    for row in look.connections([*found, *(name for name, _ in told)]):
        here: Any = found.get(row.id)
        is_now = judge.QueueNow(
            waiting=here.waiting if here else 0,
            oldest_at=here.oldest_at if here else None,
            last_success_at=row.last_success_at,
        )
        ages = look.preferences(row.tenant_id).queue_age_s
        state = told.get((row.id, QUEUE))
        verdict = judge.queue_age(is_now, _told(state), look.at, thresholds_s=ages)
        look.note(row, QUEUE, state, verdict)


def _look_at_parked(look: _Round) -> None:
    told = look.states(PARKED)
    found = {row.id: row for row in look.session.execute(text(_PARKED))}
    for row in look.connections([*found, *(name for name, _ in told)]):
        here: Any = found.get(row.id)
        is_now = (
            judge.ParkedNow(here.total, here.newest_at, here.fresh, here.fresh_at)
            if here
            else judge.ParkedNow(0)
        )
        state = told.get((row.id, PARKED))
        look.note(row, PARKED, state, judge.parked(is_now, _told(state), look.at))


def _look_at_budgets(look: _Round, budgets: dict[str, list[judge.BudgetNow]] | None) -> None:
    if budgets is None:
        return
    told = look.states(BUDGET)
    for row in look.connections(budgets):
        for is_now in budgets[row.id]:
            subject = BUDGET + is_now.limit
            state = told.get((row.id, subject))
            look.note(row, subject, state, judge.budget(is_now, _told(state), look.at))


def _budgets(hub: Hub) -> dict[str, list[judge.BudgetNow]] | None:
    """Give where accounts stand with limits of a day; None when Redis, which knows it, does not answer."""
    with hub.everyone("budgets of all connections are looked at") as session:
        rows = session.scalars(
            select(Connection).where(
                or_(
                    exists().where(CallCount.connection_id == Connection.id),
                    exists().where(
                        AlertState.connection_id == Connection.id,
                        AlertState.subject.startswith(BUDGET),
                    ),
                )
            )
        ).all()
    counting = Budget(hub)
    try:
        hub.redis.ping()
        return {
            row.id: [
                judge.BudgetNow(one.name, one.granted, one.used, one.remaining, one.period_s)
                for one in counting.outlook(row)
                if one.kind == "day"
            ]
            for row in rows
            if row.connector in CONNECTORS and _has_day(row.connector)
        }
    except redis.RedisError:
        return None


def _has_day(name: str) -> bool:
    return any(limit.kind == "day" for limit in connector(name).limits)
