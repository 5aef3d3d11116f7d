"""Serves a sandbox as a process of its own, by gunicorn with one worker and a few threads.

``python -m connectors.sandbox.serve salesforce --port 0 --folder var`` prints one line with the
address and serves until SIGTERM or SIGINT. Only this machine can reach it.
"""

from __future__ import annotations

import argparse
import socket
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.registry import SANDBOXES

if TYPE_CHECKING:
    from flask import Flask

_THREADS = 8


def load(name: str, *, folder: Path, public_url: str) -> Flask:
    """Give the application of a vendor's sandbox; raises KeyError when there is none."""
    module, _, attribute = SANDBOXES[name].partition(":")
    app: Flask = getattr(import_module(module), attribute)(folder, public_url=public_url)
    return app


def serve(name: str, *, folder: Path, port: int, host: str = "127.0.0.1") -> None:
    """Serve until told to stop by a signal; port 0 takes a free one. Does not come back.

    Raises KeyError when there is no such sandbox, OSError when the port is in use.
    """
    if name not in SANDBOXES:
        raise KeyError(name)
    # Bound here, so that a used port is one clear error and a free one is known before loading.
    listener = socket.create_server((host, port), backlog=256)
    public_url = f"http://{host}:{listener.getsockname()[1]}"
    print(f"{name} sandbox listens on {public_url}", flush=True)  # noqa: T201 - a command's answer
    _run(name, folder=folder, public_url=public_url, listener=listener)


def _run(name: str, *, folder: Path, public_url: str, listener: socket.socket) -> None:
    # gunicorn reads the terminal's width and more on import; only serving needs it.
    from gunicorn.app.base import (  # type: ignore[import-untyped] # noqa: PLC0415 - has no types
        BaseApplication,
    )

    class Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
        def load_config(self) -> None:
            options: dict[str, Any] = {
                "bind": f"fd://{listener.fileno()}",
                "workers": 1,
                "worker_class": "gthread",
                "threads": _THREADS,
                "keepalive": 75,
                # Queries are long addresses; each vendor sets its own limit.
                "limit_request_line": 0,
                "timeout": 120,
                "graceful_timeout": 1,
                "loglevel": "warning",
                "control_socket_disable": True,
                "proc_name": f"afterbeep-sandbox-{name}",
            }
            for key, value in options.items():
                self.cfg.set(key, value)

        def load(self) -> Flask:
            return load(name, folder=folder, public_url=public_url)

    Server().run()


def main() -> None:
    """Serve the sandbox that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m connectors.sandbox.serve")
    parser.add_argument("name", choices=sorted(SANDBOXES))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    serve(chosen.name, folder=chosen.folder, port=chosen.port)


if __name__ == "__main__":
    main()
