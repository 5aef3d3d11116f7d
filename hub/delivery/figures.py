"""The three figures by which the product is judged, by bucket and week of the voicemail.

- **action conversion**: of the voicemails that led to a delivered action, the share of which a record was closed
  with success within seven days of the voicemail;
- **false pages**: of the voicemails that paged somebody, the share that a person called false;
- **first touch**: the time from the voicemail until somebody first touched or closed one of its records, or a
  text reached the caller.

Weeks are ISO weeks in the tenant's zone. Medians cannot be added up, so each figure is asked for once, for all
groups together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import (
    Select,
    Subquery,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from connectors.interface import HasPurposes
from connectors.registry import CONNECTORS, connector
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.outcomes import Kind, Outcome, PageVerdict
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant

#: So long after the voicemail a close still counts.
CONVERTS_WITHIN: Final = timedelta(days=7)
CONVERSION_GOAL: Final = 0.6
FALSE_PAGE_GOAL: Final = 0.05
FIRST_TOUCH_GOAL_S: Final = 300.0
LONGEST: Final = timedelta(days=371)
_SLACK: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one group of voicemails; rates and times are None where there is nothing to divide by."""

    actions: int = 0
    converted: int = 0
    pages: int = 0
    false_pages: int = 0
    touched: int = 0
    touched_in_time: int = 0
    first_touch_p50_s: float | None = None
    first_touch_p95_s: float | None = None

    @property
    def conversion_rate(self) -> float | None:
        """The share of actions that converted."""
        return self.converted / self.actions if self.actions else None

    @property
    def false_page_rate(self) -> float | None:
        """The share of pages that were false."""
        return self.false_pages / self.pages if self.pages else None


@dataclass(frozen=True, slots=True)
class Week:
    """An ISO week in the tenant's zone, from Monday; ``is_complete`` says that no more closes can count."""

    name: str
    starts_on: date
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of a week, of a bucket, of both, or of all (both None)."""

    week: Week | None
    bucket: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """All groups of a span; weeks in order, groups without any voicemail left out."""

    since: datetime
    until: datetime
    is_complete: bool
    total: Figures
    groups: tuple[Group, ...]


def report(
    hub: Hub, tenant_id: str, *, since: datetime, until: datetime, patience_s: float = 20.0
) -> Report:
    """Work out the figures of the voicemails from ``since`` until before ``until``, at most 53 weeks.

    100,000 voicemails take two seconds. Raises OperationalError when a figure takes longer than ``patience_s``.
    """
    with hub.tenant(tenant_id) as session:
        patience = f"{patience_s * 1_000:.0f}ms"
        session.execute(select(func.set_config("statement_timeout", patience, True)))
        name = session.scalars(select(Tenant.timezone).where(Tenant.id == tenant_id)).one()
        weeks = _weeks(since, until, _zone(name))
        starts = [at for at, _ in weeks]
        found: dict[tuple[int | None, str | None], dict[str, Any]] = {}
        for query in (
            _conversion(_voicemails(since, until, starts)),
            _pages(session, _voicemails(since, until, starts)),
            _first_touch(_voicemails(since, until, starts)),
        ):
            for row in session.execute(query):
                values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
                key = (values.pop("week"), values.pop("bucket"))
                found.setdefault(key, {}).update(values)
    groups = [
        Group(weeks[week - 1][1] if week is not None else None, bucket, Figures(**values))
        for (week, bucket), values in sorted(
            found.items(), key=lambda item: (item[0][0] or 0, item[0][1] or "")
        )
    ]
    total = next((one.figures for one in groups if one.week is None and one.bucket is None), None)
    return Report(
        since=since,
        until=until,
        is_complete=until + CONVERTS_WITHIN <= now(),
        total=total or Figures(),
        groups=tuple(one for one in groups if one.week is not None or one.bucket is not None),
    )


def has_paged(session: TenantSession, event_id: str) -> bool:
    """Tell whether a voicemail has paged somebody, so that it can be called a false page."""
    return bool(session.scalar(select(_paged(session, literal(event_id)))))


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _weeks(since: datetime, until: datetime, zone: tzinfo) -> list[tuple[datetime, Week]]:
    """Give the weeks that a span touches, each with the moment it begins; at least one."""
    first = since.astimezone(zone).date()
    monday = first - timedelta(days=first.weekday())
    found: list[tuple[datetime, Week]] = []
    while True:
        begins, ends = _midnight(monday, zone), _midnight(monday + timedelta(days=7), zone)
        year, number, _ = monday.isocalendar()
        week = Week(f"{year}-W{number:02d}", monday, ends + CONVERTS_WITHIN <= now())
        found.append((begins, week))
        if ends >= until:
            return found
        monday += timedelta(days=7)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _voicemails(since: datetime, until: datetime, starts: Sequence[datetime]) -> Select[Any]:
    """Select the voicemails of a span with their moment and week."""
    moment = func.coalesce(StoredEvent.time, StoredEvent.received_at)
    edges = cast(list(starts), ARRAY(TIMESTAMP(timezone=True)))
    return select(
        StoredEvent.id.label("id"),
        StoredEvent.bucket.label("bucket"),
        moment.label("moment"),
        func.width_bucket(moment, edges).label("week"),
    ).where(
        # An event is received after its voicemail; this bound is one that the index knows.
        StoredEvent.received_at >= since - _SLACK,
        moment >= since,
        moment < until,
    )


def _grouped(inner: Subquery, *columns: Any) -> Select[Any]:
    week, bucket = inner.c.week, inner.c.bucket
    sets = func.grouping_sets(tuple_(), tuple_(week), tuple_(bucket), tuple_(week, bucket))
    return select(week, bucket, *columns).group_by(sets)


def _conversion(voicemails: Select[Any]) -> Select[Any]:
    moment = func.coalesce(StoredEvent.time, StoredEvent.received_at)
    closed = and_(
        Outcome.delivery_id == Delivery.id,
        Outcome.kind == Kind.CLOSED.value,
        Outcome.is_current,
        Outcome.is_success,
        Outcome.at <= moment + CONVERTS_WITHIN,
    )
    inner = (
        voicemails.add_columns((func.count(Outcome.id) > 0).label("is_converted"))
        .join(Delivery, Delivery.event_id == StoredEvent.id)
        .outerjoin(Outcome, closed)
        .where(Delivery.delivered_at.is_not(None))
        .group_by(StoredEvent.id)
        .subquery()
    )
    return _grouped(
        inner,
        func.count().label("actions"),
        func.count().filter(inner.c.is_converted).label("converted"),
    )


def _pages(session: TenantSession, voicemails: Select[Any]) -> Select[Any]:
    is_false = (
        exists()
        .where(PageVerdict.event_id == StoredEvent.id, PageVerdict.is_false)
        .correlate(StoredEvent)
    )
    paged = _paged(session, StoredEvent.id)
    inner = voicemails.add_columns(is_false.label("is_false")).where(paged).subquery()
    return _grouped(
        inner,
        func.count().label("pages"),
        func.count().filter(inner.c.is_false).label("false_pages"),
    )


def _first_touch(voicemails: Select[Any]) -> Select[Any]:
    moment = func.coalesce(StoredEvent.time, StoredEvent.received_at)
    seconds = func.extract("epoch", func.min(Outcome.at) - moment)
    inner = (
        voicemails.add_columns(func.greatest(seconds, 0).label("seconds"))
        .join(Delivery, Delivery.event_id == StoredEvent.id)
        .join(Outcome, Outcome.delivery_id == Delivery.id)
        .where(Outcome.kind.in_((Kind.TOUCHED.value, Kind.CLOSED.value)))
        .group_by(StoredEvent.id)
        .subquery()
    )
    return _grouped(
        inner,
        func.count().label("touched"),
        func.count().filter(inner.c.seconds < FIRST_TOUCH_GOAL_S).label("touched_in_time"),
        func.percentile_cont(0.5).within_group(inner.c.seconds).label("first_touch_p50_s"),
        func.percentile_cont(0.95).within_group(inner.c.seconds).label("first_touch_p95_s"),
    )


def _paged(session: TenantSession, event_id: Any) -> Any:
    """Give the condition that a page of a voicemail has been delivered."""
    connectors = session.scalars(select(Connection.connector).distinct()).all()
    pages = [
        and_(Connection.connector == name, Delivery.object == object_name)
        for name in connectors
        for object_name in _page_objects(name)
    ]
    if not pages:
        return false()
    return (
        select(Delivery.id)
        .join(Connection, Connection.id == Delivery.connection_id)
        .where(Delivery.event_id == event_id, Delivery.delivered_at.is_not(None), or_(*pages))
        .exists()
    )


def _page_objects(connector_name: str) -> list[str]:
    """Name the objects of a vendor that page somebody."""
    if connector_name not in CONNECTORS:
        return []
    vendor = connector(connector_name)
    purposes = vendor.purposes if isinstance(vendor, HasPurposes) else {}
    return [name for name, purpose in purposes.items() if purpose == "page"]
