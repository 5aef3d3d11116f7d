"""Runs the demonstration from nothing to records, and goes on serving when asked to."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hub import settings
from hub.context import Hub, open_hub
from hub.demo import telephone
from hub.demo.connect import connect, publish
from hub.demo.house import House, house
from hub.demo.play import Played, play, samples, wait
from hub.demo.report import landed, result, show
from hub.demo.telephone import Line, Network
from hub.demo.vendors import Vendor, variables, vendors
from hub.embedded import Services
from hub.installation import addresses as addresses_of
from hub.installation import migrated, programs
from hub.processes import Supervisor
from hub.settings import Settings, SettingsProblem

#: What the demonstration and the embedded servers make in a data folder, and nothing else.
_MADE = ("postgresql", "sandboxes", "demo.json", "log", "outbox")


@dataclass(slots=True)
class Demo:
    """A demonstration under way; made by :func:`start`."""

    hub: Hub
    home: House
    vendors: Sequence[Vendor]
    console: Console
    began: float
    samples: Sequence[dict[str, Any]]
    line: Line
    played: list[Played]

    def result(self) -> dict[str, Any]:
        """Give the object for machines."""
        return result(self.hub, self.home, self.vendors, seconds=time.monotonic() - self.began)


def clear(folder: Path) -> None:
    """Remove what earlier runs made in a data folder; raises SettingsProblem when it is in use."""
    pid_file = folder / "postgresql" / "postmaster.pid"
    if pid_file.exists():
        number = int(pid_file.read_text(encoding="utf-8").partition("\n")[0] or 0)
        if number and psutil.pid_exists(number):
            raise SettingsProblem(
                f"{folder} is in use: its PostgreSQL runs as process {number}. Stop Afterbeep first."
            )
    for name in _MADE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def start(
    stack: ExitStack,
    open_servers: Callable[[], tuple[Settings, Services]],
    console: Console,
    folder: Path,
) -> tuple[Demo, Supervisor]:
    """Start everything and connect the sample tenant; ``stack`` stops it at its end."""
    began = time.monotonic()
    voicemails = samples()
    found = vendors(folder / "sandboxes")
    line = Line.of(folder / "sandboxes")
    settings.export({**variables(found), **line.variables()})
    with console.status("Starting PostgreSQL and Redis …"):
        chosen, services = open_servers()
        migrated(chosen)
    supervisor = stack.enter_context(Supervisor(services, log_dir=folder / "log"))
    settings.export(addresses_of(chosen))
    with console.status("Starting hub, workers, voice and the vendors in miniature …"):
        supervisor.start(*programs(chosen), *(vendor.program for vendor in found))
    hub = open_hub(chosen)
    stack.callback(hub.engine.dispose)
    home, is_new = house(hub, folder / "demo.json")
    console.print(f"Tenant {'made' if is_new else 'found'}: Harbor Home Services")
    _connect_all(hub, home, found, console)
    telephone.connect(hub, home)
    return Demo(hub, home, found, console, began, voicemails, line, []), supervisor


def _connect_all(hub: Hub, home: House, found: Sequence[Vendor], console: Console) -> None:
    """Connect every vendor first: which mappings an account gets depends on the others that are there."""
    connected = []
    for vendor in found:
        with console.status(f"Connecting {vendor.label} …"):
            connected.append((vendor, *connect(hub, home, vendor)))
    for vendor, connection, is_fresh in connected:
        with console.status(f"Checking the usual mappings against {vendor.label} …"):
            number = publish(hub, home, connection)
        did = f"connected {vendor.way}" if is_fresh else "is connected"
        console.print(
            f"{vendor.label} {did}: {connection.account_name}"
            + (f", {number} mappings published" if number else "")
        )


def play_all(demo: Demo) -> bool:
    """Call with each sample voicemail and wait until all has landed; tells whether it has."""
    console, hub = demo.console, demo.hub
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        Network(demo.line) as network,
    ):
        calling = progress.add_task("Calls", total=len(demo.samples))
        taken = progress.add_task("Voicemails taken", total=len(demo.samples))
        for one in play(
            hub, demo.home, network, demo.samples, on_call=lambda: progress.advance(calling)
        ):
            demo.played.append(one)
            progress.advance(taken)
        delivering = progress.add_task("Deliveries settled", total=None)
        has_landed = wait(
            hub,
            demo.home,
            lambda done, total: progress.update(delivering, completed=done, total=total),
        )
    show(console, demo.played, landed(hub, demo.home, demo.played))
    answers = Counter(one.status for one in demo.played)
    console.print()
    console.print(
        f"{len(demo.played)} voicemails: {answers['accepted']} called just now"
        + (f", {answers['known']} known from before." if answers["known"] else ".")
    )
    if not has_landed:
        console.print("Some deliveries still wait; see the page of deliveries for why.")
    return has_landed


def addresses(demo: Demo) -> None:
    """Print where to look, and how to sign in."""
    url, console = demo.hub.settings.base_url, demo.console
    lines = [
        ("Pages", url),
        ("API", f"{url}/docs"),
        ("Voice", demo.line.ports.voice_url),
        ("Call it", f"{url}/settings/telephone/call"),
        *((f"{vendor.label} in miniature", vendor.url) for vendor in demo.vendors),
        ("Sign-in", f"{demo.home.email}  {demo.home.password}"),
    ]
    width = max(len(name) for name, _ in lines) + 2
    console.print()
    for name, value in lines:
        console.print(f"{name:<{width}}{value}", highlight=False, soft_wrap=True)
