"""What the tables say, read by what is under way: rows that are at their end are counted when they get there.

A reading costs as much as there are open rows, not as much as there are rows. The README has measured figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text

from hub import tally
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.tenancy import TenantSession
from hub.metrics import gauges
from hub.metrics.gauges import Figures, Rows

_OPEN: Final = """
select c.id, c.connector, q.*
from connections c
cross join lateral (
    select d.state, d.object,
           case when d.is_replay then 'replay' when d.is_urgent then 'urgent' else 'live' end as lane,
           count(*) as number,
           min(least(d.due_at, d.first_failed_at))
               filter (where d.state in ('waiting', 'sending') and not d.is_blocked
                       and not d.is_replay) as oldest_at,
           count(*) filter (where d.job is not null and d.state in ('waiting', 'sending')) as in_jobs
    from deliveries d
    where d.connection_id = c.id and d.state in ('held', 'waiting', 'sending', 'parked')
    group by 1, 2, 3
) q
"""

_JOBS: Final = """
select c.connector, count(distinct d.job)
from connections c join deliveries d on d.connection_id = c.id
where c.id = any(:connections) and d.state in ('waiting', 'sending') and d.job is not null
group by c.connector
"""

_REPLAYS: Final = """
select r.state, count(*) as number, sum(r.counted) as counted, sum(r.marked) as marked,
       sum((select count(*) from deliveries d
            where d.replay_id = r.id and d.state in ('waiting', 'sending'))) as open
from replays r
where r.ended_at is null
group by r.state
"""

_TO_ASK: Final = """
select c.connector, count(*) from record_checks r join connections c on c.id = r.connection_id
group by c.connector
"""

_SUBSCRIPTIONS: Final = """
select c.connector, case when s.problem is null then 'held' else 'failing' end, count(*)
from subscriptions s join connections c on c.id = s.connection_id
group by 1, 2
"""

_ALERTS: Final = (
    "select channel, count(*) from alert_sendings where state = 'waiting' group by channel"
)


def read(hub: Hub, session: TenantSession, connections: Sequence[Connection]) -> Figures:
    """Read everything that the tables know; figures by connection only of the connections given."""
    open_rows = session.execute(text(_OPEN)).all()
    found = _open_rows(hub, open_rows, shown={one.id for one in connections})
    in_jobs = sorted({row.id for row in open_rows if row.in_jobs})
    jobs = session.execute(text(_JOBS), {"connections": in_jobs}).all() if in_jobs else ()
    found[gauges.VENDOR_JOBS.name] = _labelled(jobs)
    found |= _replays(session.execute(text(_REPLAYS)).all())
    found[gauges.TO_ASK.name] = _labelled(session.execute(text(_TO_ASK)).all())
    found[gauges.SUBSCRIPTIONS.name] = _labelled(session.execute(text(_SUBSCRIPTIONS)).all())
    found[gauges.ALERTS_WAITING.name] = _labelled(session.execute(text(_ALERTS)).all())
    return found


def _labelled(rows: Iterable[Any]) -> Rows:
    """Take the last column as the value and the others as labels."""
    return [([str(label) for label in row[:-1]], float(row[-1])) for row in rows]


def _open_rows(hub: Hub, rows: Sequence[Any], *, shown: set[str]) -> Figures:
    at = now()
    deliveries: defaultdict[tuple[str, ...], float] = defaultdict(float)
    ages: defaultdict[tuple[str, ...], float] = defaultdict(float)
    oldest: defaultdict[tuple[str, ...], float] = defaultdict(float)
    in_jobs: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for row in rows:
        name = tally.kept(hub.redis, f"objects:{row.connector}", row.object)
        deliveries[row.connector, name, row.state] += row.number
        if row.in_jobs:
            in_jobs[(row.connector,)] += row.in_jobs
        if row.oldest_at is None:
            continue
        age_s = _age_s(row.oldest_at, at)
        oldest[(row.connector,)] = max(oldest[(row.connector,)], age_s)
        if row.id in shown:
            which = (row.connector, row.id, row.lane)
            ages[which] = max(ages[which], age_s)
    return {
        gauges.DELIVERIES.name: _rows(deliveries),
        gauges.QUEUE_S.name: _rows(ages),
        gauges.OLDEST_S.name: _rows(oldest),
        gauges.VENDOR_JOB_ROWS.name: _rows(in_jobs),
    }


def _rows(found: dict[tuple[str, ...], float]) -> Rows:
    return [(list(labels), number) for labels, number in sorted(found.items())]


def _age_s(since: datetime, at: datetime) -> float:
    return max(0.0, (at - since).total_seconds())


def _replays(rows: Sequence[Any]) -> Figures:
    stages = {
        stage: float(sum(getattr(row, stage) or 0 for row in rows))
        for stage in ("counted", "marked", "open")
    }
    return {
        gauges.REPLAYS.name: [([row.state], float(row.number)) for row in rows],
        gauges.REPLAY_ROWS.name: [([stage], number) for stage, number in stages.items()],
    }


def of_connections(
    connections: Sequence[Connection], shown: Sequence[Connection], *, with_tenants: bool
) -> Figures:
    """Count connections by state, and tell the state of those that are shown one by one."""
    at = now()
    by_state: defaultdict[tuple[str, ...], float] = defaultdict(float)
    held_back: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for one in connections:
        by_state[one.connector, one.state.value] += 1
        is_held_back = one.retry_at is not None and one.retry_at > at and one.may_deliver
        held_back[(one.connector,)] += int(is_held_back)
    states = [
        ([one.connector, one.id, state.value], float(one.state is state))
        for one in shown
        for state in Health
    ]
    tenants = [([one.connector, one.id, one.tenant_id], 1.0) for one in shown]
    return {
        gauges.CONNECTIONS.name: _rows(by_state),
        gauges.HELD_BACK.name: _rows(held_back),
        gauges.CONNECTION_STATE.name: states,
        gauges.CONNECTION_INFO.name: tenants if with_tenants else [],
    }
