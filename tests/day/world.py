"""The world of a simulated day: real PostgreSQL and Redis, the vendor in miniature over HTTP, four companies."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from flask import Flask, Response, request
from sqlalchemy import update
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from connectors.sandbox.serve import load as load_sandbox
from hub import embedded
from hub.context import Hub, open_hub
from hub.db import mappings
from hub.db.connections import Connection
from hub.db.migrate import migrate
from hub.settings import load
from mappings.document import load as load_document
from mappings.presets import presets
from tests.conftest import Company, new_company
from tests.connectors.running import Sandbox
from tests.day.clock import VirtualClock
from tests.delivery.connected import connect

#: How long the vendor takes to answer: log-normal, median 0.35 s, one in twenty longer than 0.9 s.
MEDIAN_S = 0.35
SPREAD = 0.57


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing of single requests."""

    protocol_version = "HTTP/1.1"  # connections are kept open, as the vendor keeps them


@dataclass
class Vendor:
    """A vendor in miniature that this process serves; each of its answers takes simulated time."""

    url: str
    server: BaseWSGIServer
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20, trust_env=False))

    def stats(self) -> dict[str, Any]:
        """Give what it counted."""
        found: dict[str, Any] = self.http.get(f"{self.url}/_sandbox/stats.json").json()
        return found

    def goes_down(self) -> None:
        """Answer 503 to everything from now on."""
        self.http.post(
            f"{self.url}/_sandbox/faults", json={"kind": "status", "status": 503, "rate": 1.0}
        ).raise_for_status()

    def comes_back(self) -> None:
        """Answer again."""
        self.http.delete(f"{self.url}/_sandbox/faults").raise_for_status()


@dataclass
class World:
    """What the simulation works with; the first company is the one that is measured."""

    clock: VirtualClock
    hub: Hub
    vendor: Vendor
    companies: list[Company]
    connections: list[Connection]


@contextmanager
def world(folder: Path, clock: VirtualClock, *, grant: int, seed: int) -> Iterator[World]:
    """Build the world in a folder, and take it down again."""
    with ExitStack() as stack:
        settings = load(data_dir=folder / "data", database_url=None, redis_url=None)
        services = embedded.start(settings)
        stack.callback(services.stop)
        stack.callback(clock.close)
        clock.install(services.database_url)
        hub = open_hub(
            load(
                data_dir=folder / "data",
                database_url=services.database_url,
                redis_url=services.redis_url,
                allow_loopback_vendors=True,
            )
        )
        stack.callback(hub.engine.dispose)
        migrate(hub.engine)
        vendor = stack.enter_context(_vendor(folder / "vendor", clock, seed))
        companies = [new_company(hub) for _ in range(4)]
        connections = [_connection(hub, vendor, each, at) for at, each in enumerate(companies)]
        _grant(hub, companies[0], connections[0], grant)
        yield World(clock, hub, vendor, companies, connections)


@contextmanager
def _vendor(folder: Path, clock: VirtualClock, seed: int) -> Iterator[Vendor]:
    folder.mkdir(parents=True)
    dice = random.Random(seed)
    holder: dict[str, Flask] = {}

    def serve(environ: Any, start: Any) -> Any:
        return holder["app"].wsgi_app(environ, start)

    server = make_server("127.0.0.1", 0, serve, threaded=True, request_handler=_Silent)
    url = f"http://127.0.0.1:{server.server_port}"
    app = holder["app"] = load_sandbox("salesforce", folder=folder, public_url=url)

    def take_time(response: Response) -> Response:
        if request.path.startswith("/services/data/"):
            clock.advance(dice.lognormvariate(0, SPREAD) * MEDIAN_S)
        return response

    app.after_request(take_time)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Vendor(url, server)
    finally:
        server.shutdown()
        server.server_close()


def _connection(hub: Hub, vendor: Vendor, company: Company, number: int) -> Connection:
    """Connect a company to an org of its own, as its admin does, and publish the preset for new leads."""
    box = Sandbox("salesforce", vendor.url, Path(), None)  # type: ignore[arg-type]  # no process of its own
    accounts = list(vendor.stats()["limits"])
    made = connect(hub, company, box, account=accounts[min(number, 1)])
    text = next(one.text for one in presets("salesforce") if one.name == "lead_and_task")
    with hub.tenant(company.tenant_id) as session:
        mappings.save(
            session,
            connection_id=made.connection.id,
            name="New leads",
            document=load_document(text),
            source=text,
            author="command",
        )
    return made.connection


def _grant(hub: Hub, company: Company, connection: Connection, calls: int) -> None:
    with hub.tenant(company.tenant_id) as session:
        session.execute(
            update(Connection)
            .where(Connection.id == connection.id)
            .values(budget={"grants": {"requests": calls}})
        )
