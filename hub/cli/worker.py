"""``afterbeep worker``: one process that delivers, on RQ."""

from __future__ import annotations

import signal
import threading
import time
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hub.context import Hub

_AGAIN_S = 1.0
#: A worker says this often that it lives; without a word for that long and a minute more, RQ forgets it.
_TTL_S = 60


@click.command()
def worker() -> None:
    """Deliver what is due, until told to stop.

    Start as many as you like, on as many machines as you like. SIGTERM finishes the running batch; a second one, a
    second later, ends at once. A worker that is killed loses nothing, its rows are taken back by the next one. Ends by
    itself after AFTERBEEP_WORKER_MAX_JOBS jobs, or above AFTERBEEP_WORKER_MAX_MIB of memory, to be started again.

    \b
    Example:
      afterbeep worker
    """
    from hub import tally
    from hub.cli.opening import check_tables, servers
    from hub.context import process_hub
    from hub.delivery import turns
    from hub.settings import load

    before = load()
    with servers(before) as (_, services):
        hub = process_hub()
        check_tables(hub, is_ours=before.database_url is None)
        import_module("hub.delivery.jobs")  # before the first job, so that it does not wait for it
        stop = threading.Event()
        present = threading.Thread(target=turns.attend, args=(hub, stop), name="present")
        present.start()
        try:
            _work(hub, services.redis_url)
        finally:
            stop.set()
            tally.flush()
            present.join()


def _work(hub: Hub, redis_url: str) -> None:
    """Work until a signal says stop or it is time to begin anew; a Redis that is away is waited for."""
    import redis
    from rq import Queue, SimpleWorker

    from hub import log, tally
    from hub.delivery import outcome_polling, stopping
    from hub.delivery.wake import QUEUE
    from hub.tally import families

    class Deliverer(SimpleWorker):
        """RQ's worker without a fork per job, which notes that it was told to stop, and when it is worn out."""

        done = 0
        is_worn_out = False

        def request_stop(self, signum: int, frame: FrameType | None) -> None:
            stopping.ask()
            super().request_stop(signum, frame)  # type: ignore[no-untyped-call] # RQ types it not

        def perform_job(self, job: Any, queue: Any, execution: Any) -> bool:
            went_well = bool(super().perform_job(job, queue, execution))
            result = "done" if went_well else "failed"
            name = str(job.func_name).rpartition(".")[2]
            tally.count(hub.redis, families.JOBS, name, result)
            Deliverer.done += 1
            if worn_out(Deliverer.done, hub.settings.worker_max_jobs, hub.settings.worker_max_mib):
                self.is_worn_out = self._stop_requested = True
            return went_well

    def stop_while_waiting(_number: int, _frame: FrameType | None) -> None:
        stopping.ask()

    while not stopping.is_asked():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop_while_waiting)
        # A connection of its own: RQ waits on it for longer than the hub's may be silent.
        connection: Any = redis.Redis.from_url(redis_url)
        try:
            # In this order: a worker asks vendors only while nothing waits to be sent.
            queues = [Queue(name, connection=connection) for name in (QUEUE, outcome_polling.QUEUE)]
            one = Deliverer(queues, connection=connection, worker_ttl=_TTL_S)
            one.work(logging_level="WARNING")
            if one.is_worn_out:
                log.get(__name__).info("worker begins anew", jobs=Deliverer.done)
                return
        except redis.RedisError as err:
            log.get(__name__).warning("redis was away", error=type(err).__name__)
        finally:
            connection.close()
        if not stopping.is_asked():
            time.sleep(_AGAIN_S)


def worn_out(jobs: int, max_jobs: int, max_mib: int) -> bool:
    """Tell whether a process has done enough jobs, or takes too much memory, in MiB; 0 is no bound."""
    import psutil

    if max_jobs and jobs >= max_jobs:
        return True
    return bool(max_mib) and psutil.Process().memory_info().rss > max_mib * 1_048_576
