"""The charts of the front page: what came, when, how urgent, how soon it was a record, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy.exc import OperationalError

from hub import log
from hub.context import Hub
from hub.db.base import now
from hub.delivery import figures
from hub.delivery.figures import Figures, Report
from hub.delivery.volumes import BINS, Lag, Volumes, volumes
from hub.web import remembered
from hub.web.charts import SECONDS, Chart, Series, lines, stacked
from hub.web.display import Words, lasting, zone
from hub.web.remembered import How, Shown

_log = log.get(__name__)

#: Spans that a person may choose, in days, and how each is called.
SPANS: Final = {7: "7 days", 28: "4 weeks", 91: "3 months"}
WEEKS: Final = 12
_PATIENCE_S: Final = 4.0
_FRESH_S: Final = 600
_BUCKETS = tuple(Series(name, key) for key, name in Words.bucket.items())
_LEVELS = tuple(Series(name, key) for key, name in reversed(list(Words.urgency.items())))
_HOURS = 24
#: The figures of each week by the day it begins on.
Weeks = Sequence[tuple[str, Figures]]


@dataclass(frozen=True, slots=True)
class Charts:
    """All charts of a span."""

    days: int
    total: int
    by_day: Chart
    by_hour: Chart
    urgency: Chart
    lead_score: Chart
    lag: Chart


@dataclass(frozen=True, slots=True)
class Trends:
    """The three figures week by week against their goals."""

    conversion: Chart
    first_touch: Chart
    false_pages: Chart


def charts(hub: Hub, tenant_id: str, days: int, timezone: str, *, how: How) -> Shown[Charts]:
    """Give the charts of the last so many days, today included."""
    here = zone(timezone)
    today = now().astimezone(here)
    first = today.date() - timedelta(days=days - 1)
    since = datetime.combine(first, datetime.min.time(), here)
    counted = remembered.shown(
        hub,
        _VOLUMES,
        f"{tenant_id}:{first}:{today.date()}",
        lambda: _counted(hub, tenant_id, since=since, until=today, timezone=timezone),
        how=how,
    )
    drawn = _charts(counted.value, first, days) if counted.value else None
    return Shown(drawn, counted.is_due, counted.counted_at)


def _charts(found: Volumes, first: date, days: int) -> Charts:
    dates = [first + timedelta(days=n) for n in range(days)]
    return Charts(
        days=days,
        total=found.total,
        by_day=_by_day(dates, found.by_day),
        by_hour=stacked(
            [
                (f"{hour}:00", f"{hour}:00 to {hour + 1}:00", found.by_hour.get(hour, {}))
                for hour in range(_HOURS)
            ],
            _BUCKETS,
        ),
        urgency=_urgency(found.urgency),
        lead_score=_lead_score(found.lead_score),
        lag=_lag(dates, found.lag),
    )


def _counted(
    hub: Hub, tenant_id: str, *, since: datetime, until: datetime, timezone: str
) -> Volumes | None:
    try:
        return volumes(
            hub, tenant_id, since=since, until=until, timezone=timezone, patience_s=_PATIENCE_S
        )
    except OperationalError as err:
        _log.warning("figures took too long", kind=type(err).__name__)
        return None


def _written(found: Volumes) -> dict[str, Any]:
    values = {one.name: getattr(found, one.name) for one in fields(found)}
    return values | {
        "by_day": {day.isoformat(): counts for day, counts in found.by_day.items()},
        "lag": {day.isoformat(): asdict(lag) for day, lag in found.lag.items()},
    }


def _read(values: dict[str, Any]) -> Volumes:
    return replace(
        Volumes(),
        total=values["total"],
        by_day={date.fromisoformat(day): counts for day, counts in values["by_day"].items()},
        by_hour={int(hour): counts for hour, counts in values["by_hour"].items()},
        urgency={int(ten): counts for ten, counts in values["urgency"].items()},
        lead_score=tuple(values["lead_score"]),
        lag={date.fromisoformat(day): Lag(**lag) for day, lag in values["lag"].items()},
    )


_VOLUMES: Final[remembered.Kind[Volumes]] = remembered.Kind("volumes", _FRESH_S, _written, _read)
_TRENDS: Final[remembered.Kind[Weeks]] = remembered.Kind(
    "trends",
    _FRESH_S,
    lambda weeks: [(name, asdict(found)) for name, found in weeks],
    lambda values: [(name, Figures(**found)) for name, found in values],
)


def _by_day(dates: Sequence[date], counts: Mapping[date, Mapping[str, int]]) -> Chart:
    return stacked([(*_names(day), counts.get(day, {})) for day in dates], _BUCKETS)


def _names(day: date) -> tuple[str, str]:
    return f"{day.day} {day:%b}", f"{day:%a} {day.day} {day:%b}"


def _urgency(counts: Mapping[int, Mapping[str, int]]) -> Chart:
    return stacked([(*_ten(ten), counts.get(ten, {})) for ten in range(BINS)], _LEVELS)


def _lead_score(counts: Sequence[int]) -> Chart:
    series = (Series("voicemails", "accent"),)
    return stacked([(*_ten(ten), {"accent": number}) for ten, number in enumerate(counts)], series)


def _ten(ten: int) -> tuple[str, str]:
    first, last = ten * BINS, BINS * BINS if ten == BINS - 1 else ten * BINS + BINS - 1
    return str(first), f"{first} to {last}"


def _lag(dates: Sequence[date], found: Mapping[date, Lag]) -> Chart:
    columns = []
    for day in dates:
        lag = found.get(day)
        columns.append((*_names(day), (lag.p50_s, lag.p95_s) if lag else (None, None)))
    series = (Series("half within", "accent"), Series("95 in 100 within", "blue"))
    return lines(columns, series, _seconds, steps=SECONDS)


def _seconds(value: float) -> str:
    is_whole = value == round(value) or value >= 10  # noqa: PLR2004 - few seconds want a digit more
    return lasting(value) if is_whole else f"{value:.1f} s"


def trends(hub: Hub, tenant_id: str, timezone: str, *, how: How) -> Shown[Trends]:
    """Give the three figures of the last weeks; no value before the first delivered action."""
    counted = remembered.shown(
        hub, _TRENDS, tenant_id, lambda: _weeks(hub, tenant_id, timezone), how=how
    )
    drawn = _drawn(counted.value) if counted.value else None
    return Shown(drawn, counted.is_due, counted.counted_at)


def _weeks(hub: Hub, tenant_id: str, timezone: str) -> Weeks | None:
    until = now()
    monday = until.astimezone(zone(timezone)).date()
    monday -= timedelta(days=monday.weekday() + 7 * (WEEKS - 1))
    since = datetime.combine(monday, datetime.min.time(), zone(timezone))
    try:
        found: Report = figures.report(
            hub, tenant_id, since=since, until=until, patience_s=_PATIENCE_S
        )
    except OperationalError as err:
        _log.warning("figures took too long", kind=type(err).__name__)
        return None
    if not found.total.actions:
        return []
    by_start = {
        one.week.starts_on: one.figures for one in found.groups if one.week and one.bucket is None
    }
    starts = [monday + timedelta(days=7 * n) for n in range(WEEKS)]
    return [(start.isoformat(), by_start.get(start, Figures())) for start in starts]


def _drawn(weeks: Weeks) -> Trends:
    def line(name: str, values: Sequence[float | None], **how: Any) -> Chart:
        columns = []
        for (start, _), value in zip(weeks, values, strict=True):
            short, _long = _names(date.fromisoformat(start))
            columns.append((short, f"Week of {short}", (value,)))
        return lines(columns, (Series(name, "accent"),), labels=4, **how)

    found = [one for _, one in weeks]
    return Trends(
        conversion=line(
            "closed within 7 days",
            [one.conversion_rate for one in found],
            write=_share,
            goal=figures.CONVERSION_GOAL,
            top=1.0,
        ),
        first_touch=line(
            "half touched within",
            [one.first_touch_p50_s for one in found],
            write=lasting,
            steps=SECONDS,
            goal=figures.FIRST_TOUCH_GOAL_S,
        ),
        false_pages=line(
            "false pages",
            [one.false_page_rate for one in found],
            write=_share,
            goal=figures.FALSE_PAGE_GOAL,
        ),
    )


def _share(value: float) -> str:
    return f"{value * 100:.0f} %"
