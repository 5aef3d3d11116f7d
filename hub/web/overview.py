"""The front page: today's voicemails, what needs a person, how the connections are, and the sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.people import Role
from hub.db.tenancy import TenantSession
from hub.delivery.budget import Budget
from hub.delivery.outlook import LimitOutlook
from hub.web import ledger_sums, outcomes, overview_charts, reading, remembered
from hub.web.display import zone
from hub.web.remembered import How
from hub.web.shell import needs_person
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("overview", __name__)
_LATEST = 6
_USUAL_DAYS = 28


@dataclass(frozen=True, slots=True)
class Account:
    """A connection, and where it stands with what its vendor allows: by day, else by the scarcest of its limits."""

    row: Connection
    limits: tuple[LimitOutlook, ...]


@pages.get("/")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """Show the front page; ``days`` chooses the span of its charts, ``wait`` has all figures counted for it."""
    me, hub = viewer(), the_hub()
    since = _midnight(me.timezone)
    with hub.tenant(me.tenant_id) as session:
        how = "behind" if "wait" in request.args else remembered.how(session)
        buckets = _by_bucket(session, since)
        delivered = session.scalar(
            select(func.count(Delivery.id)).where(
                Delivery.state == State.DELIVERED.value,
                Delivery.delivered_at >= since,
                # A row changes when it is delivered, or later: this bound is one that the index knows.
                Delivery.updated_at >= since,
            )
        )
        accounts = session.scalars(
            select(Connection).order_by(Connection.label, Connection.id)
        ).all()
    latest = reading.latest(hub, me.tenant_id, size=_LATEST)
    reading.note_listed(hub, me, latest)
    return render_template(
        "overview/page.html",
        accounts=[Account(row, _limits(row)) for row in accounts],
        buckets=buckets,
        delivered=delivered or 0,
        latest=latest,
        sums=ledger_sums.sums(hub, me.tenant_id, how=how),
        today=sum(number for _, number in buckets),
        waiting=needs_person(),
        **_became(how),
        **_volumes(how),
    )


@pages.get("/overview/became")
@needs(Role.VIEWER)
def became() -> ResponseReturnValue:
    """Count what became of the voicemails, for a front page that is open."""
    return render_template("overview/became.html", **_became("behind"))


@pages.get("/overview/volumes")
@needs(Role.VIEWER)
def volumes() -> ResponseReturnValue:
    """Count what came in, for a front page that is open."""
    return render_template("overview/volumes.html", **_volumes("behind"))


@pages.get("/overview/sums")
@needs(Role.VIEWER)
def sums() -> ResponseReturnValue:
    """Count the sums, for a page that is open."""
    me, hub = viewer(), the_hub()
    found = ledger_sums.sums(hub, me.tenant_id, how="behind")
    return render_template("overview/sums.html", sums=found)


def _became(how: How) -> dict[str, Any]:
    me, hub = viewer(), the_hub()
    return {
        "targets": outcomes.targets(hub, me.tenant_id, how=how),
        "trends": overview_charts.trends(hub, me.tenant_id, me.timezone, how=how),
    }


def _volumes(how: How) -> dict[str, Any]:
    me, hub = viewer(), the_hub()
    days = request.args.get("days", _USUAL_DAYS, type=int)
    if days not in overview_charts.SPANS:
        days = _USUAL_DAYS
    return {
        "charts": overview_charts.charts(hub, me.tenant_id, days, me.timezone, how=how),
        "days": days,
        "spans": overview_charts.SPANS,
    }


def _limits(row: Connection) -> tuple[LimitOutlook, ...]:
    """Give the limits to show; () for an account that is not connected, or while Redis is away."""
    if row.state is Health.DISCONNECTED:
        return ()
    try:
        found = [one for one in Budget(the_hub()).outlook(row) if one.kind != "concurrency"]
    except redis.RedisError:
        return ()
    days = tuple(one for one in found if one.kind == "day")
    return days or tuple(sorted(found, key=_left)[:1])


def _left(limit: LimitOutlook) -> float:
    return limit.remaining / max(limit.granted, 1)


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
