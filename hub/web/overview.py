"""The front page: today's voicemails, what needs a person, how the connections are, and the sums."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

import redis
from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.people import Role
from hub.db.tenancy import TenantSession
from hub.delivery.budget import Budget
from hub.delivery.outlook import LimitOutlook
from hub.web import outcomes, overview_charts, reading
from hub.web.display import zone
from hub.web.shell import needs_person
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("overview", __name__)
_LATEST = 6
_USUAL_DAYS = 28
#: The sums are kept a hundred times as long as counting took, a minute at the most.
_REMEMBERED, _LONGEST_S = 100, 60


@dataclass(frozen=True, slots=True)
class Sums:
    """Every event and every planned step, counted twice: as it was accepted, and as it stands now."""

    events: int
    planned: int
    rows: int
    delivered: int

    @property
    def is_ok(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        return self.planned == self.rows


@dataclass(frozen=True, slots=True)
class Account:
    """A connection, and where it stands with the limits that last a day."""

    row: Connection
    days: tuple[LimitOutlook, ...]


@pages.get("/")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """Show the front page; ``days`` chooses the span of its charts."""
    me, hub = viewer(), the_hub()
    days = request.args.get("days", _USUAL_DAYS, type=int)
    if days not in overview_charts.SPANS:
        days = _USUAL_DAYS
    since = _midnight(me.timezone)
    with hub.tenant(me.tenant_id) as session:
        buckets = _by_bucket(session, since)
        delivered = session.scalar(
            select(func.count(Delivery.id)).where(
                Delivery.state == State.DELIVERED.value, Delivery.delivered_at >= since
            )
        )
        accounts = session.scalars(
            select(Connection).order_by(Connection.label, Connection.id)
        ).all()
    latest = reading.latest(hub, me.tenant_id, size=_LATEST)
    reading.note_listed(hub, me, latest)
    return render_template(
        "overview.html",
        accounts=[Account(row, _day_limits(row)) for row in accounts],
        charts=overview_charts.charts(hub, me.tenant_id, days, me.timezone),
        days=days,
        spans=overview_charts.SPANS,
        trends=overview_charts.trends(hub, me.tenant_id, me.timezone),
        buckets=buckets,
        delivered=delivered or 0,
        latest=latest,
        sums=sums(hub, me.tenant_id),
        targets=outcomes.targets(hub, me.tenant_id),
        today=sum(number for _, number in buckets),
        waiting=needs_person(),
    )


def _day_limits(row: Connection) -> tuple[LimitOutlook, ...]:
    """Give the limits that last a day; () for an account that is not connected, or while Redis is away."""
    if row.state is Health.DISCONNECTED:
        return ()
    try:
        return tuple(one for one in Budget(the_hub()).outlook(row) if one.kind == "day")
    except redis.RedisError:
        return ()


def _midnight(timezone: str) -> datetime:
    here = now().astimezone(zone(timezone))
    return here.replace(hour=0, minute=0, second=0, microsecond=0)


def _by_bucket(session: TenantSession, since: datetime) -> list[tuple[str, int]]:
    """Count the voicemails since a moment by bucket, most first."""
    number = func.count(StoredEvent.id)
    rows = session.execute(
        select(StoredEvent.bucket, number)
        .where(
            StoredEvent.received_at >= since, StoredEvent.received_at < since + timedelta(days=2)
        )
        .group_by(StoredEvent.bucket)
        .order_by(number.desc(), StoredEvent.bucket)
    )
    return [(bucket, found) for bucket, found in rows]


def sums(hub: Hub, tenant_id: str) -> Sums:
    """Count events and deliveries both ways, at one moment.

    Counting reads every row, and pages look again by themselves: what took long is remembered for a while.
    """
    key = f"sums:{tenant_id}"
    try:
        if kept := hub.redis.get(key):
            return Sums(*json.loads(kept))
    except redis.RedisError:
        return _counted(hub, tenant_id)
    began = time.monotonic()
    found = _counted(hub, tenant_id)
    lasts_s = min((time.monotonic() - began) * _REMEMBERED, _LONGEST_S)
    if lasts_s >= 1:
        with suppress(redis.RedisError):
            hub.redis.set(key, json.dumps(astuple(found)), ex=int(lasts_s))
    return found


def _counted(hub: Hub, tenant_id: str) -> Sums:
    with hub.tenant(tenant_id) as session:
        # One moment for all sums, or they would not agree while events come in.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        events, planned = session.execute(
            select(func.count(StoredEvent.id), func.coalesce(func.sum(StoredEvent.planned), 0))
        ).one()
        rows, delivered = session.execute(
            select(
                func.count(Delivery.id),
                func.count(Delivery.id).filter(Delivery.state == State.DELIVERED.value),
            )
        ).one()
    return Sums(events, int(planned), rows, delivered)
