"""Where accounts stand with their limits, read from Redis in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from connectors.record import Limit
from connectors.registry import CONNECTORS, connector
from hub import clock
from hub.context import Hub
from hub.db.connections import Connection
from hub.delivery.budget import Budget
from hub.delivery.outlook import LimitOutlook, outlook_of
from hub.delivery.remote_account import AccountKey
from hub.metrics import gauges
from hub.metrics.gauges import Figures, Gauge


def read(hub: Hub, connections: Sequence[Connection]) -> Figures:
    """Read the limits of these connections; raises redis.RedisError."""
    names = (
        gauges.GRANTED,
        gauges.USED,
        gauges.REMAINING,
        gauges.AFFORDABLE,
        gauges.RECENT,
        gauges.BLOCKED_S,
    )
    found: Figures = {one.name: [] for one in names}
    for connection, outlook in _outlooks(hub, connections):
        values: dict[Gauge, float | None] = {
            gauges.GRANTED: outlook.granted,
            gauges.USED: outlook.used,
            gauges.REMAINING: outlook.remaining,
            gauges.AFFORDABLE: outlook.affordable_per_s,
            gauges.RECENT: outlook.recent_per_s,
            gauges.BLOCKED_S: outlook.blocked_for_s,
        }
        for gauge, value in values.items():
            if value is not None:
                labels = [connection.connector, connection.id, outlook.name]
                found[gauge.name].append((labels, float(value)))
    return found


def _outlooks(hub: Hub, connections: Sequence[Connection]) -> list[tuple[Connection, LimitOutlook]]:
    wanted: list[tuple[Connection, AccountKey, Limit]] = [
        (one, AccountKey.of(one, hub.settings.account_share), limit)
        for one in connections
        if one.connector in CONNECTORS
        for limit in connector(one.connector).limits
    ]
    at = clock.seconds()
    with hub.redis.pipeline(transaction=False) as pipe:
        for _, key, limit in wanted:
            pipe.hgetall(key.redis_key(limit))
            pipe.zcount(f"{key.redis_key(limit)}:places", at, "+inf")
        answers: list[Any] = pipe.execute()
    found = []
    unseeded: dict[str, list[LimitOutlook]] = {}
    for (connection, key, limit), raw, places in zip(
        wanted, answers[::2], answers[1::2], strict=True
    ):
        state = {name.decode(): float(value) for name, value in raw.items()}
        if limit.kind == "day" and "seeded" not in state:
            # Redis was wiped and nobody has asked since: the day is counted from the database once.
            if connection.id not in unseeded:
                unseeded[connection.id] = Budget(hub).outlook(connection)
            outlook = next(one for one in unseeded[connection.id] if one.name == limit.name)
        else:
            outlook = outlook_of(key, limit, state, at)
        if limit.kind == "concurrency":
            used = int(places)
            outlook = replace(outlook, used=used, remaining=max(0, outlook.granted - used))
        found.append((connection, outlook))
    return found
