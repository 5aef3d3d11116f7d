"""``afterbeep serve``: the API and the pages, by gunicorn."""

from __future__ import annotations

import errno
import socket
from typing import Any

import click

from hub.cli.problems import Refused
from hub.settings import Settings

_GRACE_S = 10
_REQUEST_S = 60


@click.command()
def serve() -> None:
    """Answer HTTP: the API and the pages.

    Listens on AFTERBEEP_HOST and AFTERBEEP_PORT with AFTERBEEP_HUB_PROCESSES processes of AFTERBEEP_HUB_THREADS
    threads. SIGTERM takes in no more connections, answers all that were made before, and ends within ten seconds.

    \b
    Examples:
      afterbeep serve
      AFTERBEEP_PORT=9000 AFTERBEEP_PUBLIC_URL=https://hub.afterbeep.example afterbeep serve
    """
    from hub.cli.opening import check_tables, servers
    from hub.context import open_hub
    from hub.settings import load

    before = load()
    listener = listen(before)
    with servers(before) as (chosen, _):
        hub = open_hub(chosen)
        check_tables(hub, is_ours=before.database_url is None)
        hub.engine.dispose()  # no connection may cross the fork
        _run(chosen, listener)


def listen(chosen: Settings) -> socket.socket:
    """Take the port at once, so that a used one is a clear sentence before anything is started."""
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    try:
        return socket.create_server((chosen.host, chosen.port), family=family, backlog=1_024)
    except OSError as err:
        if err.errno == errno.EADDRINUSE:
            raise Refused(
                f"Port {chosen.port} is in use by another program. "
                "Choose another one with AFTERBEEP_PORT."
            ) from err
        raise Refused(
            f"{chosen.host}:{chosen.port} cannot be listened on ({err.strerror}). "
            "Choose others with AFTERBEEP_HOST and AFTERBEEP_PORT."
        ) from err


def _run(chosen: Settings, listener: socket.socket) -> None:
    # gunicorn reads the terminal's width and more on import; only serving needs it.
    from gunicorn.app.base import (  # type: ignore[import-untyped]
        BaseApplication,
    )

    from hub.serving import Arbiter

    class Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
        def load_config(self) -> None:
            for key, value in _options(chosen, listener).items():
                self.cfg.set(key, value)

        def load(self) -> Any:
            from hub.app import wsgi

            return wsgi()

        def run(self) -> None:
            Arbiter(self).run()

    Server().run()


def _say_what_is_left(_arbiter: Any, _worker: Any) -> None:
    """Ring, and send what was counted, before a process of the hub ends."""
    from hub import tally
    from hub.delivery import bell

    bell.flush()
    tally.flush()


def _options(chosen: Settings, listener: socket.socket) -> dict[str, Any]:
    return {
        "bind": f"fd://{listener.fileno()}",
        "workers": chosen.hub_processes,
        "worker_class": "hub.serving.Worker",
        "threads": chosen.hub_threads,
        # Longer than a balancer keeps an idle connection, so that it never sends on one that we close.
        "keepalive": 75,
        "timeout": _REQUEST_S,
        "graceful_timeout": _GRACE_S,
        "loglevel": "warning",
        "control_socket_disable": True,
        "worker_exit": _say_what_is_left,
        "proc_name": "afterbeep",
    }
