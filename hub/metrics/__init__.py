"""Figures for Prometheus, of the whole installation: whichever process answers, the answer is the same.

Counters come from ``hub.tally``: all processes of all hosts add to the same numbers in Redis. Gauges are read from the
database and Redis every ten seconds, beside the sweep, and kept in Redis; where no sweep runs, by whoever is asked. The
names, and what they cost, are in the README beside this file.

Redis: ``metrics:reading`` holds the last reading; ``metrics:reader`` stands while somebody reads.
"""

from __future__ import annotations

import contextlib
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
_READER_S: Final = 40
#: A reading is made no more often than every so many times what it takes.
_PART: Final = 20.0
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
        figures[gauges.DATABASE_UP.name] = [([], float(_answers(self._hub)))]
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
    """Give the last reading, of whichever process made it, or make one."""
    until = time.monotonic() + _PATIENCE_S
    try:
        while True:
            kept = hub.redis.get(_READING)
            if kept is not None:
                found: Figures = json.loads(kept)
                return found
            if hub.redis.set(_READER, 1, nx=True, ex=_READER_S) or time.monotonic() > until:
                return _made(hub)[0]
            time.sleep(_LOOK_S)  # another process reads
    except redis.RedisError:
        return _read(hub)


def _made(hub: Hub, *, has_keeper: bool = False) -> tuple[Figures, float]:
    """Make a reading and keep it; gives when to make the next, in seconds: readings take a twentieth of the time."""
    began = time.monotonic()
    figures = _read(hub)
    rest_s = max(_FRESH_S, _PART * (time.monotonic() - began))
    kept_s = 3 * rest_s if has_keeper else rest_s
    with contextlib.suppress(redis.RedisError):
        if figures[gauges.DATABASE_UP.name] == [([], 1.0)]:
            hub.redis.set(_READING, json.dumps(figures), px=int(kept_s * 1_000))
        hub.redis.delete(_READER)
    return figures, rest_s


def keep(hub: Hub, stop: threading.Event) -> None:
    """Make a reading every ten seconds until told to stop, so that no scrape waits for one; beside the sweep."""
    while not stop.is_set():
        rest_s = _FRESH_S
        try:
            if hub.redis.set(_READER, 1, nx=True, ex=_READER_S):  # of several processes one reads
                rest_s = _made(hub, has_keeper=True)[1]
        except redis.RedisError as err:
            _log.warning("metrics were not kept", kind=type(err).__name__)
        except Exception:  # noqa: BLE001 - a defect in figures must not end the sweep
            _log.exception("metrics failed")
        stop.wait(rest_s)


def _read(hub: Hub) -> Figures:
    """Read what answers; what does not is missing, and one of the two figures that say so is 0."""
    found: Figures = {gauges.DATABASE_UP.name: [([], 1.0)], gauges.REDIS_UP.name: [([], 1.0)]}
    shown: list[Connection] = []
    try:
        with hub.everyone("metrics are the whole installation's") as session:
            session.execute(text("set local statement_timeout = '30s'"))
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
        away = gauges.REDIS_UP if isinstance(err, redis.RedisError) else gauges.DATABASE_UP
        found[away.name] = [([], 0.0)]
    return found


def _answers(hub: Hub) -> bool:
    try:
        with hub.engine.connect() as connection:
            connection.execute(text("select 1"))
    except SQLAlchemyError:
        return False
    return True


def _shown(connections: Sequence[Connection], most: int) -> list[Connection]:
    """Choose the connections that get figures of their own: the troubled first, then the busiest lately."""
    return sorted(connections, key=_standing)[:most]


def _standing(connection: Connection) -> tuple[bool, bool, float, str]:
    used_at = connection.last_success_at.timestamp() if connection.last_success_at else 0.0
    is_gone = connection.health == Health.DISCONNECTED.value
    return is_gone, connection.state is Health.HEALTHY, -used_at, connection.id
