"""What RQ and the sweep have in Redis: jobs that wait, workers, the sweep's last round."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rq import Queue, Worker
from rq.job import Job

from hub import clock
from hub.context import Hub
from hub.delivery import outcome_polling, sweep, turns
from hub.delivery.wake import QUEUE
from hub.metrics import gauges
from hub.metrics.gauges import Figures, Rows

#: Urgent jobs are put before older ones; the oldest is looked for among so many.
_LOOKED_AT = 50


def read(hub: Hub) -> Figures:
    """Read queues and workers; raises redis.RedisError."""
    waiting: Rows = []
    oldest: Rows = []
    failed: Rows = []
    for name in (QUEUE, outcome_polling.QUEUE):
        queue: Any = Queue(name, connection=hub.redis)
        waiting.append(([name], float(queue.count)))
        oldest.append(([name], _oldest_s(hub, queue)))
        failed.append(([name], float(queue.failed_job_registry.get_job_count(cleanup=False))))
    found: Figures = {
        gauges.JOBS_WAITING.name: waiting,
        gauges.JOBS_OLDEST_S.name: oldest,
        gauges.JOBS_FAILED.name: failed,
        gauges.WORKERS.name: _workers(hub),
        gauges.SWEEP_AGE_S.name: [],
    }
    swept_at = hub.redis.get(sweep.SWEPT)
    if swept_at is not None:
        age_s = max(0.0, clock.seconds() - float(swept_at))
        found[gauges.SWEEP_AGE_S.name].append(([], age_s))
    return found


def _oldest_s(hub: Hub, queue: Any) -> float:
    ids = queue.get_job_ids(0, _LOOKED_AT)
    jobs: list[Any] = Job.fetch_many(ids, connection=hub.redis) if ids else []
    since: list[datetime] = [one.enqueued_at for one in jobs if one and one.enqueued_at]
    if not since:
        return 0.0
    # RQ stamps jobs by the machine's clock.
    return max(0.0, (datetime.now(UTC) - min(since)).total_seconds())


def _workers(hub: Hub) -> Rows:
    """Count living workers, which the database knows at once; RQ remembers killed ones for minutes."""
    living = turns.standing_of(hub).workers
    states = [one.get_state() for one in Worker.all(connection=hub.redis)]
    busy = min(living, states.count("busy"))
    return [(["busy"], float(busy)), (["idle"], float(living - busy))]
