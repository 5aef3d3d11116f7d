"""Figures for Prometheus, of the whole installation: whichever process answers, the answer is the same.

Gauges are computed from the database when they are asked for, and remembered for five seconds. Counters of
requests and events are added up in each process and sent to Redis once a second, in the requests' wake; a
wiped Redis starts them at zero, as a restart would.

Redis: the hash ``metrics`` holds ``events|status|bucket`` and ``http|method|route|status|le`` to a number, and
``httpms|method|route|status`` to milliseconds.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import Text, case, cast, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from hub import log
from hub.context import Hub
from hub.db.connections import CallCount, Connection, Health
from hub.db.deliveries import Attempt, Delivery, State
from hub.db.outcomes import Outcome, RecordCheck
from hub.db.subscriptions import HeldSubscription
from hub.delivery.budget import Budget

_KEY: Final = "metrics"
_FRESH_S: Final = 5.0
_SEND_EVERY_S: Final = 1.0
_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS: Final = (*map(str, _BOUNDS_S), "+Inf")
_log = log.get(__name__)


class Tally:
    """Counters of one process that have not been sent to Redis yet."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._lock = threading.Lock()
        self._counts: defaultdict[str, float] = defaultdict(float)
        self._sent_at = time.monotonic()

    def add(self, name: str, number: float = 1) -> None:
        """Count; ``name`` is a field of the hash in Redis."""
        with self._lock:
            self._counts[name] += number

    def send(self, store: redis.Redis, *, is_due: bool = False) -> None:
        """Add what was counted to Redis, unless that was done a moment ago; keeps it when Redis is gone."""
        with self._lock:
            if not is_due and time.monotonic() - self._sent_at < _SEND_EVERY_S:
                return
            self._sent_at = time.monotonic()
            counts, self._counts = self._counts, defaultdict(float)
        if not counts:
            return
        try:
            with store.pipeline(transaction=True) as pipe:
                for name, number in counts.items():
                    pipe.hincrbyfloat(_KEY, name, number)
                pipe.execute()
        except redis.RedisError as err:
            _log.warning("metrics were not sent", kind=type(err).__name__)
            with self._lock:
                for name, number in counts.items():
                    self._counts[name] += number


_TALLY: Final = Tally()


def count(*names: str) -> None:
    """Count one event: ``count("events", status, bucket)``."""
    _TALLY.add("|".join(names))


def observe(store: redis.Redis, *, method: str, route: str, status: int, seconds: float) -> None:
    """Count a request and how long it took; ``route`` is the pattern, never the address itself."""
    which = f"{method}|{route}|{status}"
    _TALLY.add(f"http|{which}|{_BOUNDS[bisect_left(_BOUNDS_S, seconds)]}")
    _TALLY.add(f"httpms|{which}", seconds * 1_000)
    _TALLY.send(store)


def exposition(hub: Hub) -> bytes:
    """Give all figures in Prometheus' text format."""
    _TALLY.send(hub.redis, is_due=True)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything(hub))
    return generate_latest(registry)


class _Everything(Collector):
    """All metrics, from Redis and the database."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        counts = _counts(self._hub)
        yield _events(counts)
        yield _requests(counts)
        figures = _remembered(self._hub)
        up = GaugeMetricFamily("afterbeep_database_up", "Whether the database answered, 1 or 0")
        up.add_metric([], 0 if figures is None else 1)
        yield up
        if figures is not None:
            yield from _families(figures)


def _counts(hub: Hub) -> dict[str, float]:
    try:
        raw: dict[bytes, bytes] = hub.redis.hgetall(_KEY)  # type: ignore[assignment]  # a synchronous client answers at once
    except redis.RedisError:
        return {}
    return {name.decode(): float(value) for name, value in raw.items()}


def _events(counts: dict[str, float]) -> Metric:
    family = CounterMetricFamily(
        "afterbeep_events",
        "Events posted, by what became of them (accepted, known, conflict) and bucket",
        labels=["status", "bucket"],
    )
    for name, number in sorted(counts.items()):
        kind, *labels = name.split("|")
        if kind == "events":
            family.add_metric(labels, number)
    return family


def _requests(counts: dict[str, float]) -> Metric:
    family = HistogramMetricFamily(
        "afterbeep_http_request_duration_seconds",
        "HTTP requests by method, route and status",
        labels=["method", "route", "status"],
    )
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for name, number in counts.items():
        kind, *labels = name.split("|")
        if kind == "http":
            found.setdefault(tuple(labels[:3]), {})[labels[3]] = number
    for which, by_bound in sorted(found.items()):
        total, buckets = 0.0, []
        for bound in _BOUNDS:
            total += by_bound.get(bound, 0)
            buckets.append((bound, total))
        seconds = counts.get(f"httpms|{'|'.join(which)}", 0) / 1_000
        family.add_metric(list(which), buckets, seconds)
    return family


@dataclass(frozen=True, slots=True)
class _Figures:
    """What the database says, each row as labels and a value."""

    deliveries: list[tuple[list[str], float]] = field(default_factory=list)
    oldest: list[tuple[list[str], float]] = field(default_factory=list)
    attempts: list[tuple[list[str], float]] = field(default_factory=list)
    calls: list[tuple[list[str], float]] = field(default_factory=list)
    outcomes: list[tuple[list[str], float]] = field(default_factory=list)
    wanted: list[tuple[list[str], float]] = field(default_factory=list)
    subscriptions: list[tuple[list[str], float]] = field(default_factory=list)
    states: list[tuple[list[str], float]] = field(default_factory=list)
    granted: list[tuple[list[str], float]] = field(default_factory=list)
    remaining: list[tuple[list[str], float]] = field(default_factory=list)


_SEEN: Final[dict[str, tuple[float, _Figures | None]]] = {}
_SEEN_LOCK: Final = threading.Lock()


def _remembered(hub: Hub) -> _Figures | None:
    """Read the figures, or give those of a moment ago; None when the database does not answer."""
    where = str(hub.engine.url)
    with _SEEN_LOCK:  # so that several scrapers at once cost one reading
        read_at, figures = _SEEN.get(where, (-_FRESH_S, None))
        if time.monotonic() - read_at < _FRESH_S:
            return figures
        try:
            figures = _read(hub)
        except SQLAlchemyError as err:
            _log.warning("metrics were not read", kind=type(err).__name__)
            figures = None
        _SEEN[where] = (time.monotonic(), figures)
        return figures


def _read(hub: Hub) -> _Figures:
    with hub.everyone("metrics are the whole installation's") as session:
        session.execute(text("set local statement_timeout = '5s'"))
        by_state = session.execute(
            select(
                Delivery.state,
                func.coalesce(Connection.connector, ""),
                func.count(),
            )
            .outerjoin(Connection, Connection.id == Delivery.connection_id)
            .group_by(Delivery.state, Connection.connector)
        ).all()
        oldest = session.execute(
            select(
                Connection.connector,
                func.extract("epoch", func.now() - func.min(Delivery.created_at)),
            )
            .join(Connection, Connection.id == Delivery.connection_id)
            .where(Delivery.state.in_((State.WAITING.value, State.SENDING.value)))
            .group_by(Connection.connector)
        ).all()
        attempts = session.execute(
            select(Connection.connector, Attempt.outcome, func.count())
            .join(Delivery, Delivery.id == Attempt.delivery_id)
            .join(Connection, Connection.id == Delivery.connection_id)
            .group_by(Connection.connector, Attempt.outcome)
        ).all()
        calls = session.execute(
            select(Connection.connector, CallCount.limit_name, func.sum(CallCount.units))
            .join(Connection, Connection.id == CallCount.connection_id)
            .group_by(Connection.connector, CallCount.limit_name)
        ).all()
        outcomes = session.execute(
            select(
                Connection.connector,
                Outcome.kind,
                Outcome.source,
                func.lower(cast(Outcome.is_success, Text)),
                func.count(),
            )
            .join(Delivery, Delivery.id == Outcome.delivery_id)
            .join(Connection, Connection.id == Delivery.connection_id)
            .group_by(Connection.connector, Outcome.kind, Outcome.source, Outcome.is_success)
        ).all()
        wanted = session.execute(
            select(Connection.connector, func.count())
            .join(RecordCheck, RecordCheck.connection_id == Connection.id)
            .group_by(Connection.connector)
        ).all()
        is_held = HeldSubscription.problem.is_(None)
        subscriptions = session.execute(
            select(Connection.connector, case((is_held, "held"), else_="failing"), func.count())
            .join(HeldSubscription, HeldSubscription.connection_id == Connection.id)
            .group_by(Connection.connector, is_held)
        ).all()
        connections = session.scalars(select(Connection)).all()
    return _Figures(
        deliveries=_labelled(by_state),
        oldest=_labelled(oldest),
        attempts=_labelled(attempts),
        calls=_labelled(calls),
        outcomes=_labelled(outcomes),
        wanted=_labelled(wanted),
        subscriptions=_labelled(subscriptions),
        **_of_connections(hub, connections),
    )


def _labelled(rows: Iterable[Any]) -> list[tuple[list[str], float]]:
    """Take the last column as the value and the others as labels."""
    return [([str(label) for label in row[:-1]], float(row[-1])) for row in rows]


def _of_connections(
    hub: Hub, connections: Iterable[Connection]
) -> dict[str, list[tuple[list[str], float]]]:
    budget = Budget(hub)
    states, granted, remaining = [], [], []
    for row in connections:
        which = [row.connector, row.id]
        states += [([*which, state.value], float(row.state is state)) for state in Health]
        if row.state is Health.DISCONNECTED:
            continue
        for one in budget.outlook(row):
            granted.append(([*which, one.name], float(one.granted)))
            remaining.append(([*which, one.name], float(one.remaining)))
    return {"states": states, "granted": granted, "remaining": remaining}


def _families(figures: _Figures) -> Iterator[Metric]:
    by_connection = ["connector", "connection", "limit"]
    gauges = [
        ("deliveries", "Delivery rows by state", ["state", "connector"], figures.deliveries),
        (
            "oldest_waiting_seconds",
            "Age of the oldest delivery that is not done",
            ["connector"],
            figures.oldest,
        ),
        (
            "connection_state",
            "1 for the state that it is in",
            ["connector", "connection", "state"],
            figures.states,
        ),
        ("budget_granted", "Units of a limit that are ours", by_connection, figures.granted),
        ("budget_remaining", "Units that are left now", by_connection, figures.remaining),
        (
            "records_to_ask_about",
            "Records whose vendor is to be asked what became of them",
            ["connector"],
            figures.wanted,
        ),
        (
            "subscriptions",
            "Webhooks of ours at vendors, by state (held, failing)",
            ["connector", "state"],
            figures.subscriptions,
        ),
    ]
    for name, words, labels, rows in gauges:
        gauge = GaugeMetricFamily(f"afterbeep_{name}", words, labels=labels)
        for values, number in rows:
            gauge.add_metric(values, number)
        yield gauge
    counters = [
        ("attempts", "Tries to write a delivery", ["connector", "outcome"], figures.attempts),
        (
            "outcomes",
            "What became of records (touched, closed, reopened, failed), and how we know",
            ["connector", "kind", "source", "success"],
            figures.outcomes,
        ),
        (
            "api_calls",
            "Units of a vendor's daily limit that were used",
            ["connector", "limit"],
            figures.calls,
        ),
    ]
    for name, words, labels, rows in counters:
        counter = CounterMetricFamily(f"afterbeep_{name}", words, labels=labels)
        for values, number in rows:
            counter.add_metric(values, number)
        yield counter
