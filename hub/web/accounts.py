"""Accounts as pages show them: how each is, what it was granted, and how long its calls last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import redis
from sqlalchemy import func, select

from connectors.record import OAuth
from connectors.registry import CONNECTORS, connector
from hub.context import Hub
from hub.db.alerts import Alert
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.mappings import FieldMapping
from hub.db.tenancy import TenantSession
from hub.delivery import call_counts
from hub.delivery.budget import Budget
from hub.delivery.outlook import LimitOutlook
from hub.web.charts import Chart, Series, stacked
from hub.web.display import lasting, zone

DAYS: Final = 7
_ALERTS_SHOWN: Final = 8
#: Less than this part of a limit is left: it is worth a look.
_TIGHT: Final = 0.15
_OPEN: Final = (State.WAITING.value, State.SENDING.value, State.PARKED.value, State.HELD.value)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Account:
    """A connection as the list shows it."""

    row: Connection
    counts: Mapping[str, int]
    has_mapping: bool
    calls: LimitOutlook | None = None

    def count(self, *states: str) -> int:
        """Count its open deliveries in these states."""
        return sum(self.counts.get(state, 0) for state in states)


@dataclass(frozen=True, slots=True)
class Scope:
    """Something that is asked for at the vendor; ``is_granted`` None where the vendor does not say."""

    name: str
    is_granted: bool | None


@dataclass(frozen=True, slots=True)
class Limited:
    """A limit with its forecast, and the calls of the last days where they are counted."""

    now: LimitOutlook
    forecast: str
    history: Chart | None = None

    @property
    def is_tight(self) -> bool:
        """Whether little is left."""
        return self.now.remaining < self.now.granted * _TIGHT


@dataclass(frozen=True, slots=True)
class Detail:
    """All that an account's own page shows."""

    account: Account
    delivered: int
    mappings: Sequence[FieldMapping]
    alerts: Sequence[Alert]
    scopes: Sequence[Scope]
    others: Sequence[str]
    limits: Sequence[Limited]


def listed(hub: Hub, tenant_id: str) -> list[Account]:
    """Give all accounts of a tenant, in the order in which they were connected."""
    with hub.tenant(tenant_id) as session:
        rows = session.scalars(
            select(Connection).order_by(Connection.created_at, Connection.id)
        ).all()
        counts = _counts(session)
        mapped = set(
            session.scalars(
                select(FieldMapping.connection_id).where(
                    FieldMapping.is_active, FieldMapping.archived_at.is_(None)
                )
            )
        )
        session.expunge_all()
    return [
        Account(row, counts.get(row.id, {}), row.id in mapped, _longest(outlook(hub, row)))
        for row in rows
        if row.connector in CONNECTORS
    ]


def _counts(session: TenantSession) -> dict[str | None, dict[str, int]]:
    """Count what is open; what is done is far more, and counting it takes as long."""
    found: dict[str | None, dict[str, int]] = {}
    numbers = session.execute(
        select(Delivery.connection_id, Delivery.state, func.count(Delivery.id))
        .where(Delivery.state.in_(_OPEN))
        .group_by(Delivery.connection_id, Delivery.state)
    )
    for connection_id, state, number in numbers:
        found.setdefault(connection_id, {})[state] = number
    return found


def outlook(hub: Hub, row: Connection) -> tuple[LimitOutlook, ...]:
    """Give where an account stands with its limits; () for one that is disconnected, or while Redis is away."""
    if row.state is Health.DISCONNECTED:
        return ()
    try:
        return tuple(Budget(hub).outlook(row))
    except redis.RedisError:
        return ()


def _longest(limits: Sequence[LimitOutlook]) -> LimitOutlook | None:
    """Give the limit that lasts longest, which is what calls are saved for."""
    return max(
        (one for one in limits if one.kind != "concurrency"),
        key=lambda one: one.period_s,
        default=None,
    )


def detail(hub: Hub, row: Connection, timezone: str) -> Detail:
    """Give everything that an account's page shows."""
    limits = outlook(hub, row)
    with hub.tenant(row.tenant_id) as session:
        counts = _counts(session).get(row.id, {})
        delivered = session.scalar(
            select(func.count(Delivery.id)).where(
                Delivery.connection_id == row.id,
                Delivery.state == State.DELIVERED.value,
                Delivery.updated_at >= now() - _DAY,
            )
        )
        mappings = session.scalars(
            select(FieldMapping)
            .where(
                FieldMapping.connection_id == row.id,
                FieldMapping.is_active,
                FieldMapping.archived_at.is_(None),
            )
            .order_by(FieldMapping.name)
        ).all()
        alerts = session.scalars(
            select(Alert)
            .where(Alert.connection_id == row.id)
            .order_by(Alert.id.desc())
            .limit(_ALERTS_SHOWN)
        ).all()
        daily = call_counts.daily(session, row.id, since=_first(timezone), timezone=timezone)
        session.expunge_all()
    asked, others = _scopes(row)
    return Detail(
        Account(row, counts, bool(mappings), _longest(limits)),
        delivered or 0,
        mappings,
        alerts,
        asked,
        others,
        [Limited(one, forecast(one), _history(one, daily, timezone)) for one in limits],
    )


def _scopes(row: Connection) -> tuple[list[Scope], list[str]]:
    """Compare what is asked for with what was granted; gives what was granted besides, too."""
    auth = connector(row.connector).oauth
    if not isinstance(auth, OAuth):
        return [], []
    granted = set(row.granted_scopes)
    has_all = "full" in granted
    asked = [Scope(one, (one in granted or has_all) if granted else None) for one in auth.scopes]
    return asked, sorted(granted - set(auth.scopes))


def forecast(limit: LimitOutlook) -> str:
    """Say how long what is left of a limit lasts at the rate of the last quarter to half hour."""
    if limit.blocked_for_s > 0:
        return f"Held back for another {lasting(limit.blocked_for_s)}."
    if limit.recent_per_s is None or limit.affordable_per_s is None:
        return ""
    if limit.remaining == 0:
        return "It is used up. What is due waits until calls come free again."
    if limit.recent_per_s == 0:
        return "Next to nothing was called in the last half hour: it lasts."
    if limit.recent_per_s <= limit.affordable_per_s:
        return "At the rate of the last half hour it never runs out."
    left = lasting(limit.remaining / limit.recent_per_s)
    return (
        f"At the rate of the last half hour it would run out in {left}. Batches wait longer so that it does not, and "
        "a part is kept for urgent voicemails."
    )


def _first(timezone: str) -> datetime:
    """Give the midnight at which the first of the days began."""
    here = now().astimezone(zone(timezone))
    return datetime.combine(here.date() - (DAYS - 1) * _DAY, datetime.min.time(), here.tzinfo)


def _history(
    limit: LimitOutlook, daily: Mapping[str, Mapping[date, int]], timezone: str
) -> Chart | None:
    if limit.kind != "day":
        return None
    counted, first = daily.get(limit.name, {}), _first(timezone).date()
    days = [first + number * _DAY for number in range(DAYS)]
    return stacked(
        [
            (f"{day:%a}", f"{day:%a} {day.day} {day:%b}", {"accent": counted.get(day, 0)})
            for day in days
        ],
        (Series("units", "accent"),),
    )
