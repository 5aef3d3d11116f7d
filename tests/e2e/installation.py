"""A whole installation as an operator runs it: ``afterbeep up``, sandboxes beside it, a tenant connected to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from hub import embedded, settings
from hub.context import Hub, open_hub
from hub.db.deliveries import Delivery
from hub.demo.connect import connect, publish
from hub.demo.house import House, house
from hub.demo.vendors import Vendor, variables
from hub.posting import Poster, envelope
from hub.processes import free_port
from mappings.event import Voicemail
from tests.connectors import running

COMMAND = [sys.executable, "-m", "hub.cli"]


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """Give an environment without any setting of ours but these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AFTERBEEP_")}
    return clean | {"AFTERBEEP_DATA_DIR": str(data_dir), **more}


def run(*words: str, env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*COMMAND, *words],
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def until(fact: Callable[[], bool], within_s: float = 45.0) -> bool:
    """Wait for a fact; tells whether it came true."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if fact():
            return True
        time.sleep(0.1)
    return fact()


def family(process: psutil.Process, data_dir: Path) -> dict[psutil.Process, str]:
    """Give all processes of an installation by name: its children, and the servers on its folder."""
    found: dict[psutil.Process, str] = {}
    for other in [process, *process.children(recursive=True), *psutil.process_iter()]:
        with suppress(psutil.Error):  # it has just ended
            words = other.cmdline()
            is_ours = process in (other, *other.parents()) or any(str(data_dir) in w for w in words)
            if is_ours and other.pid != os.getpid():
                found[other] = " ".join([other.name(), *words[1:]])
    return found


def survivors(members: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Give those that still run; one that nobody has waited for does not."""
    found = []
    for member in members:
        with suppress(psutil.NoSuchProcess):
            if member.is_running() and member.status() != psutil.STATUS_ZOMBIE:
                found.append(member)
    return found


@dataclass
class Installation:
    """A running installation."""

    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]
    hub: Hub
    home: House
    boxes: dict[str, running.Sandbox] = field(default_factory=dict)

    def workers(self) -> list[psutil.Process]:
        """Give the processes that deliver."""
        found = []
        for one in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if one.cmdline()[-1:] == ["worker"]:
                    found.append(one)
        return found

    def post(self, number: int, *, first: int = 0, **data: Any) -> list[str]:
        """Post so many voicemails of different callers; gives how each was answered."""
        events = [voicemail(n, **data) for n in range(first, first + number)]
        with Poster(self.url, self.home.api_key) as poster:
            return [one.status for one in poster.post_all(events)]

    def states(self) -> dict[str, int]:
        """Count the tenant's deliveries by state."""
        with self.hub.tenant(self.home.tenant_id) as session:
            rows = session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
            return dict(rows.tuples().all())

    def is_settled(self) -> bool:
        """Tell whether nothing is under way any more."""
        states = self.states()
        return bool(states) and not states.get("waiting") and not states.get("sending")


def voicemail(number: int, **data: Any) -> dict[str, Any]:
    """Give the event of one caller's voicemail; up to 80,000 callers have numbers of their own."""
    phone = f"+1{200 + number // 100}55501{number % 100:02d}"
    made = {
        "call": {"id": f"CA{number:032d}", "from": phone, "started_at": "2026-11-20T16:03:11Z"},
        "caller": {
            "name": {"full": f"Dana Whitfield {number}", "family": f"Whitfield {number}"},
            "phone": phone,
        },
        "bucket": "new_lead",
        "urgency": {"score": 30, "level": "normal"},
        "summary": f"Wants a quote, call {number}",
    } | data
    Voicemail.model_validate(made)
    return envelope({"id": f"voicemail-{number}", **made}, source="/tests")


@contextmanager
def installation(
    folder: Path, *vendors: str, has_presets: bool = True, **more: str
) -> Iterator[Installation]:
    """Run ``afterbeep up`` with sandboxes of these vendors, and a tenant that is connected to them."""
    data_dir = folder / "data"
    port = free_port()
    with ExitStack() as stack:
        boxes = {
            name: stack.enter_context(running.sandbox(name, folder / "boxes")) for name in vendors
        }
        found = [Vendor(name, box.url, box.folder) for name, box in boxes.items()]
        env = environment(data_dir, AFTERBEEP_PORT=str(port), **variables(found), **more)
        before = dict(os.environ)
        stack.callback(lambda: (os.environ.clear(), os.environ.update(before)))
        settings.export(
            {name: value for name, value in env.items() if name.startswith("AFTERBEEP_")}
        )
        log = stack.enter_context((folder / "up.log").open("wb"))
        process = stack.enter_context(
            subprocess.Popen(
                [*COMMAND, "up"], env=env, stdout=log, stderr=log, start_new_session=True
            )
        )
        stack.callback(stop, process)
        url = f"http://127.0.0.1:{port}"
        started = until(lambda: b"listens on" in (folder / "up.log").read_bytes())
        assert started, (folder / "up.log").read_text()
        services = embedded.start(settings.load())
        stack.callback(services.stop)
        hub = open_hub(
            settings.load(database_url=services.database_url, redis_url=services.redis_url)
        )
        stack.callback(hub.engine.dispose)
        home, _ = house(hub, data_dir / "home.json")
        for vendor in found:
            connection, _ = connect(hub, home, vendor)
            if has_presets:
                publish(hub, home, connection)
        yield Installation(url, data_dir, process, hub, home, boxes)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop an installation as an operator does, if it still runs."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def last_json(text: str) -> dict[str, Any]:
    """Read the last line of an answer."""
    found = json.loads(text.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found
