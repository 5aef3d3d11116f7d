"""How many voicemails came, when, about what and how urgent, and how soon they were records: for charts.

Everything comes from impersonal columns, in two queries for a whole span.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, case, cast, func, select, tuple_

from hub.context import Hub
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent

#: Scores are counted in tens; 100 belongs to the highest.
BINS = 10


@dataclass(frozen=True, slots=True)
class Lag:
    """Seconds from taking an event to its records being there: the middle one, and what 95 in 100 stay below."""

    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True)
class Volumes:
    """Counts of a span: by day and bucket, by hour of the day and bucket, and by tens of the scores.

    ``urgency`` counts each ten by level, since every tenant's rubric draws the lines between levels.
    """

    total: int = 0
    by_day: Mapping[date, Mapping[str, int]] = field(default_factory=dict)
    by_hour: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    urgency: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    lead_score: tuple[int, ...] = (0,) * BINS
    lag: Mapping[date, Lag] = field(default_factory=dict)


def volumes(
    hub: Hub, tenant_id: str, *, since: datetime, until: datetime, timezone: str, patience_s: float
) -> Volumes:
    """Count the voicemails received from ``since`` until before ``until``; days and hours are the tenant's.

    Raises OperationalError when that takes longer than ``patience_s``.
    """
    here = func.timezone(timezone, StoredEvent.received_at)
    day, hour = func.date(here), cast(func.extract("hour", here), Integer)
    urgency, lead = (
        _tens(StoredEvent.urgency_score.expression),
        _tens(StoredEvent.lead_score.expression),
    )
    facts = (
        select(
            day.label("day"),
            hour.label("hour"),
            StoredEvent.bucket.label("bucket"),
            urgency.label("urgency"),
            StoredEvent.urgency_level.label("level"),
            lead.label("lead"),
        )
        .where(StoredEvent.received_at >= since, StoredEvent.received_at < until)
        .subquery()
    )
    of = facts.c
    groups = {
        "day": (of.day, of.bucket),
        "hour": (of.hour, of.bucket),
        "urgency": (of.urgency, of.level),
        "lead": (of.lead,),
    }
    # Tells which of the sets a row is of: a bit is 0 where its column was grouped by.
    which = func.grouping(of.day, of.hour, of.urgency, of.lead)
    names = {0b0111: "day", 0b1011: "hour", 0b1101: "urgency", 0b1110: "lead"}
    query = select(
        which,
        of.day,
        of.hour,
        of.urgency,
        of.lead,
        func.coalesce(of.bucket, of.level),
        func.count(),
    ).group_by(func.grouping_sets(*(tuple_(*columns) for columns in groups.values())))
    found: dict[str, dict[Any, dict[str, int]]] = {name: {} for name in groups}
    with hub.tenant(tenant_id) as session:
        session.execute(
            select(func.set_config("statement_timeout", f"{patience_s * 1_000:.0f}ms", True))
        )
        for bits, at_day, at_hour, ten, lead_ten, kind, number in session.execute(query):
            name = names[bits]
            place = {"day": at_day, "hour": at_hour, "urgency": ten, "lead": lead_ten}[name]
            if place is not None:
                found[name].setdefault(place, {})[kind or ""] = number
        lag = {
            row.day: Lag(float(row.p50), float(row.p95))
            for row in session.execute(_lag(since, until, timezone))
        }
    return Volumes(
        total=sum(sum(counts.values()) for counts in found["day"].values()),
        by_day=found["day"],
        by_hour=found["hour"],
        urgency=found["urgency"],
        lead_score=tuple(found["lead"].get(ten, {}).get("", 0) for ten in range(BINS)),
        lag=lag,
    )


def _tens(score: ColumnElement[Any]) -> ColumnElement[int]:
    # The quotient of whole numbers is one already; least() would take nothing for the highest.
    return case((score.is_not(None), func.least(score.op("/")(BINS), BINS - 1)))


def _lag(since: datetime, until: datetime, timezone: str) -> Select[Any]:
    seconds = func.greatest(
        func.extract("epoch", func.min(Delivery.delivered_at) - StoredEvent.received_at), 0
    )
    inner = (
        select(
            func.date(func.timezone(timezone, StoredEvent.received_at)).label("day"),
            seconds.label("seconds"),
        )
        .join(Delivery, Delivery.event_id == StoredEvent.id)
        .where(
            StoredEvent.received_at >= since,
            StoredEvent.received_at < until,
            Delivery.delivered_at.is_not(None),
            # What was sent again, or waited for a person, says nothing of how quick we are.
            Delivery.replay_id.is_(None),
            Delivery.decided_by.is_(None),
        )
        .group_by(StoredEvent.id)
        .subquery()
    )
    return select(
        inner.c.day,
        func.percentile_cont(0.5).within_group(inner.c.seconds).label("p50"),
        func.percentile_cont(0.95).within_group(inner.c.seconds).label("p95"),
    ).group_by(inner.c.day)
