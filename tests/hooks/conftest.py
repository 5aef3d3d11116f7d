"""The hub at a real address, and accounts in sandboxes that can reach it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from connectors.record import KeyAuth
from connectors.registry import connector
from hub.app import create_app
from hub.context import Hub
from hub.oauth import keys
from tests.conftest import Company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect, set_up_vendor, unspent

Connect = Callable[..., Connected]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Write nothing."""


@dataclass
class Reached:
    """A hub that vendors on this machine can reach."""

    hub: Hub
    url: str

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """Send a report, as a vendor does."""
        return httpx.post(f"{self.url}{path}", content=body, headers=headers, timeout=20)


@pytest.fixture(scope="session")
def reached(hub: Hub) -> Iterator[Reached]:
    """The hub, serving on a port of its own, and knowing its address."""
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=_Quiet)
    url = f"http://127.0.0.1:{server.server_port}"
    here = dataclasses.replace(hub, settings=hub.settings.model_copy(update={"public_url": url}))
    server.app = create_app(here)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Reached(here, url)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Sandbox]]:
    """Sandboxes by name, started when they are asked for."""
    started: dict[str, Any] = {}

    def give(name: str) -> Sandbox:
        if name not in started:
            opened = running.sandbox(name, tmp_path_factory.mktemp(name))
            started[name] = (opened, opened.__enter__())
        return started[name][1]

    yield give
    for opened, _ in started.values():
        opened.__exit__(None, None, None)


def _with_keys(hub: Hub, company: Company, box: Sandbox) -> Connected:
    """Connect with the keys that the sandbox shows, as an admin pastes them."""
    set_up_vendor(box)
    shown = box.http.get(f"{box.url}/_sandbox/keys.json").raise_for_status().json()
    values = next(iter(shown.values()))
    connection = keys.connect(
        hub, company.tenant_id, company.person_id, box.name, values, login_url=box.url
    )
    return Connected(hub, company, box, connection)


@pytest.fixture
def connected_to(
    reached: Reached, company: Company, boxes: Callable[[str], Sandbox]
) -> Iterator[Connect]:
    """Connect the company to a sandbox by name, without records and faults."""
    used: list[Sandbox] = []
    unspent(reached.hub)

    def give(name: str, *, of: Company = company) -> Connected:
        box = boxes(name)
        used.append(box)
        box.clear_faults()
        box.post("clear")
        vendor = connector(name)
        if isinstance(vendor.oauth, KeyAuth):
            return _with_keys(reached.hub, of, box)
        return connect(reached.hub, of, box)

    yield give
    for box in used:
        box.clear_faults()
