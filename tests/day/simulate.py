"""Runs a day: calls come in at their times, the sweep looks when something is due, a worker drains what is rung for.

Only time is simulated. Accepting, sweeping and draining are the hub's own code on real PostgreSQL and Redis, and the
vendor is asked over HTTP. The sweep, which looks once a second, is run only in the seconds in which it can find
something.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rq import Queue
from sqlalchemy import text

from hub.delivery import send
from hub.delivery.bell import bell
from hub.delivery.plan import Incoming, accept
from hub.delivery.sweep import sweep
from hub.delivery.wake import QUEUE
from tests.day.calls import Call
from tests.day.world import World

_NEXT = """
select c.id, due.is_urgent, greatest(
    due.at, coalesce(c.retry_at, due.at),
    case when due.is_urgent then due.at else coalesce(c.wake_at, due.at) end) as at
from connections c
join lateral (
    select min(d.due_at) as at, d.is_urgent from deliveries d
    where d.connection_id = c.id and d.state = 'waiting' and not d.is_blocked
    group by d.is_urgent
) as due on true
where c.health in ('healthy', 'degraded') and c.paused_at is null
"""
_LONGEST = timedelta(hours=36)


@dataclass
class Progress:
    """What has happened so far: the first company's calls accepted, and API calls spent by the minute of the day."""

    accepted: int = 0
    drains: int = 0
    spent: list[tuple[float, int]] = field(default_factory=list)


def run(
    world: World,
    calls: list[Call],
    *,
    start: datetime,
    outage_at: datetime | None,
    outage: timedelta,
    tell: Callable[[Progress], None],
) -> Progress:
    """Live through the day, and on until nothing waits any more; raises AssertionError when that takes too long."""
    progress = Progress()
    clock = world.clock
    ahead = list(reversed(calls))
    changes = _changes(world, outage_at, outage)
    next_sweep = clock.seconds()
    while ahead or next_sweep < math.inf:
        next_call = ahead[-1].at.timestamp() if ahead else math.inf
        next_change = changes[0][0] if changes else math.inf
        first = min(next_call, next_sweep, next_change)
        if first > (start + _LONGEST).timestamp():
            raise AssertionError("deliveries are still under way a day and a half later")
        clock.to(first)
        if first == next_change:
            changes.pop(0)[1]()
            continue
        is_call = first == next_call
        if is_call:
            _accept(world, ahead.pop(), progress)
        else:
            sweep(world.hub)
        has_drained = _drain(world, progress)
        if has_drained or not is_call:
            next_sweep = _next_sweep(world)
        if has_drained:
            tell(progress)
    return progress


def _changes(
    world: World, at: datetime | None, length: timedelta
) -> list[tuple[float, Callable[[], None]]]:
    if at is None:
        return []
    return [
        (at.timestamp(), world.vendor.goes_down),
        ((at + length).timestamp(), world.vendor.comes_back),
    ]


def _accept(world: World, call: Call, progress: Progress) -> None:
    company = world.companies[call.tenant]
    (answer,) = accept(world.hub, company.tenant_id, [Incoming.of(call.event)])
    if answer.status != "accepted":
        raise AssertionError(f"a call was not accepted: {answer.status}")
    bell(world.hub).flush()
    progress.accepted += call.tenant == 0


def _drain(world: World, progress: Progress) -> bool:
    """Do what a worker would: take jobs from the queue until it is empty; tells whether there was one."""
    has_drained = False
    queue = Queue(QUEUE, connection=world.hub.redis)
    while found := Queue.dequeue_any([queue], None, connection=world.hub.redis):
        job, _ = found
        send.drain(world.hub, job.args[0])
        job.delete()
        has_drained = True
        progress.drains += 1
        progress.spent.append((world.clock.seconds(), _spent(world)))
    return has_drained


def _spent(world: World) -> int:
    """Give the API calls that the first company's org has been asked for since the day began."""
    with world.hub.engine.connect() as connection:
        return int(
            connection.execute(
                text("select coalesce(sum(units), 0) from call_counts where connection_id = :id"),
                {"id": world.connections[0].id},
            ).scalar_one()
        )


def _next_sweep(world: World) -> float:
    """Give the second in which the sweep will find something that it may ring for; never the present one again."""
    with world.hub.engine.connect() as connection:
        found = connection.execute(text(_NEXT)).all()
    moments = [
        max(row.at.timestamp(), _silent_until(world, row.id, is_urgent=row.is_urgent))
        for row in found
    ]
    if not moments:
        return math.inf
    return float(max(math.ceil(min(moments)), math.floor(world.clock.seconds()) + 1))


def _silent_until(world: World, connection_id: str, *, is_urgent: bool) -> float:
    """Give until when a drain has said that ringing is of no use."""
    name = f"wake-urgent:{connection_id}" if is_urgent else f"wake:{connection_id}"
    found: bytes | None = world.hub.redis.get(name)
    return float(found) if found else 0.0
