"""Figures for Prometheus, of the whole installation: whichever process answers, the answer is the same.

Counters come from ``hub.tally``: all processes of all hosts add to the same numbers in Redis. Gauges are read from the
database and Redis by whoever is asked, once in ten seconds for all: the reading is kept in Redis. The names, and what
they cost, are in the README beside this file.

Redis: ``metrics:reading`` holds the last reading; ``metrics:reader`` stands while somebody reads.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from hub import log, tally
from hub.context import Hub
from hub.db.connections import Connection, Health
from hub.metrics import budgets, gauges, queues, rows
from hub.metrics.gauges import GAUGES, Figures
from hub.tally.families import COUNTERS, HISTOGRAMS, Counter, Histogram
from hub.tally.store import KEY

PREFIX: Final = "afterbeep_"
_FRESH_S: Final = 10.0
_READING: Final = f"{KEY}:reading"
_READER: Final = f"{KEY}:reader"
_READER_S: Final = 10
_PATIENCE_S: Final = 2.0
_LOOK_S: Final = 0.05
_log = log.get(__name__)
_ONE_AT_A_TIME: Final = threading.Lock()


def exposition(hub: Hub) -> bytes:
    """Give all figures in Prometheus' text format."""
    tally.flush()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything(hub))
    return generate_latest(registry)


def forget(hub: Hub) -> None:
    """Have the next reading made anew."""
    hub.redis.delete(_READING)


class _Everything(Collector):
    """All metrics, from Redis and the database."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        counts = _counts(self._hub)
        for counter in COUNTERS:
            yield _counter(counter, counts)
        for histogram in HISTOGRAMS:
            yield _histogram(histogram, counts)
        with _ONE_AT_A_TIME:
            figures = _reading(self._hub)
        for gauge in GAUGES:
            family = GaugeMetricFamily(PREFIX + gauge.name, gauge.words, labels=gauge.labels)
            for labels, number in figures.get(gauge.name, ()):
                family.add_metric(labels, number)
            yield family


def _counts(hub: Hub) -> dict[str, list[tuple[list[str], float]]]:
    """Give what was counted by name, each with its labels."""
    try:
        raw: dict[bytes, bytes] = hub.redis.hgetall(KEY)  # type: ignore[assignment]  # a synchronous client answers at once
    except redis.RedisError:
        return {}
    found: dict[str, list[tuple[list[str], float]]] = {}
    for field, value in raw.items():
        name, *labels = field.decode().split("|")
        found.setdefault(name, []).append((labels, float(value)))
    return found


def _counter(counter: Counter, counts: dict[str, list[tuple[list[str], float]]]) -> Metric:
    family = CounterMetricFamily(PREFIX + counter.name, counter.words, labels=counter.labels)
    for labels, number in sorted(counts.get(counter.name, ())):
        if len(labels) == len(counter.labels):  # an older release may have counted otherwise
            family.add_metric(labels, number)
    return family


def _histogram(histogram: Histogram, counts: dict[str, list[tuple[list[str], float]]]) -> Metric:
    family = HistogramMetricFamily(
        PREFIX + histogram.name, histogram.words, labels=histogram.labels
    )
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for labels, number in counts.get(histogram.name, ()):
        if len(labels) == len(histogram.labels) + 1:
            found.setdefault(tuple(labels[:-1]), {})[labels[-1]] = number
    sums = {tuple(labels): number for labels, number in counts.get(f"{histogram.name}.sum", ())}
    for which, by_bound in sorted(found.items()):
        total, buckets = 0.0, []
        for bound in (*map(str, histogram.bounds), "+Inf"):
            total += by_bound.get(bound, 0)
            buckets.append((bound, total))
        family.add_metric(list(which), buckets, sums.get(which, 0.0))
    return family


def _reading(hub: Hub) -> Figures:
    """Give the figures of a moment ago, of whichever process read them, or read them."""
    until = time.monotonic() + _PATIENCE_S
    try:
        while (kept := hub.redis.get(_READING)) is None:
            if hub.redis.set(_READER, 1, nx=True, ex=_READER_S):
                break
            if time.monotonic() > until:  # whoever reads takes long, or died
                break
            time.sleep(_LOOK_S)
        if kept is not None:
            found: Figures = json.loads(kept)
            return found
    except redis.RedisError:
        return _read(hub)
    figures = _read(hub)
    try:
        if figures[gauges.DATABASE_UP.name] == [([], 1.0)]:
            hub.redis.set(_READING, json.dumps(figures), px=int(_FRESH_S * 1_000))
        hub.redis.delete(_READER)
    except redis.RedisError:
        return figures
    return figures


def _read(hub: Hub) -> Figures:
    """Read what answers; what does not is missing, and one of the two figures that say so is 0."""
    found: Figures = {gauges.DATABASE_UP.name: [([], 1.0)], gauges.REDIS_UP.name: [([], 1.0)]}
    shown: list[Connection] = []
    try:
        with hub.everyone("metrics are the whole installation's") as session:
            session.execute(text("set local statement_timeout = '5s'"))
            connections = session.scalars(select(Connection)).all()
            shown = _shown(connections, hub.settings.metrics_connections)
            found |= rows.read(hub, session, shown)
            found |= rows.of_connections(
                connections, shown, with_tenants=hub.settings.metrics_tenants
            )
    except SQLAlchemyError as err:
        _log.warning("metrics were not read", kind=type(err).__name__)
        found[gauges.DATABASE_UP.name] = [([], 0.0)]
    try:
        found |= queues.read(hub)
        if found[gauges.DATABASE_UP.name] == [([], 1.0)]:
            found |= budgets.read(
                hub, [one for one in shown if one.health != Health.DISCONNECTED.value]
            )
    except (redis.RedisError, SQLAlchemyError) as err:
        _log.warning("metrics were not read", kind=type(err).__name__)
        found[gauges.REDIS_UP.name] = [([], 0.0)]
    return found


def _shown(connections: Sequence[Connection], most: int) -> list[Connection]:
    """Choose the connections that get figures of their own: the troubled first, then the busiest lately."""
    return sorted(connections, key=_standing)[:most]


def _standing(connection: Connection) -> tuple[bool, bool, float, str]:
    used_at = connection.last_success_at.timestamp() if connection.last_success_at else 0.0
    is_gone = connection.health == Health.DISCONNECTED.value
    return is_gone, connection.state is Health.HEALTHY, -used_at, connection.id
