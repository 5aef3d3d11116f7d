"""``afterbeep worker``: one process that delivers, on RQ."""

from __future__ import annotations

import signal
import time
from importlib import import_module
from types import FrameType
from typing import Any

import click

_AGAIN_S = 1.0
_TTL_S = 60


@click.command()
def worker() -> None:
    """Deliver what is due, until told to stop.

    Start as many as you like, on as many machines as you like. SIGTERM finishes the running batch; a worker that is
    killed loses nothing, its rows are taken back by the next one.

    \b
    Example:
      afterbeep worker
    """
    from hub.cli.opening import check_tables, servers
    from hub.context import process_hub
    from hub.settings import load

    before = load()
    with servers(before) as (_, services):
        check_tables(process_hub(), is_ours=before.database_url is None)
        import_module("hub.delivery.jobs")  # before the first job, so that it does not wait for it
        _work(services.redis_url)


def _work(redis_url: str) -> None:
    """Work until a signal says stop; a Redis that is away is waited for."""
    import redis
    from rq import Queue, SimpleWorker

    from hub import log
    from hub.delivery import outcome_polling, stopping
    from hub.delivery.wake import QUEUE

    class Deliverer(SimpleWorker):
        """RQ's worker without a fork per job, which notes that it was told to stop."""

        def request_stop(self, signum: int, frame: FrameType | None) -> None:
            stopping.ask()
            super().request_stop(signum, frame)  # type: ignore[no-untyped-call] # RQ types it not

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
            Deliverer(queues, connection=connection, worker_ttl=_TTL_S).work(
                logging_level="WARNING"
            )
        except redis.RedisError as err:
            log.get(__name__).warning("redis was away", error=type(err).__name__)
        finally:
            connection.close()
        if not stopping.is_asked():
            time.sleep(_AGAIN_S)
