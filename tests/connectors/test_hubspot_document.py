"""HubSpot: requests of the connector and answers of the sandbox fit what the vendor documents.

The document is not ours to ship: it lies in ``../shared`` where it is at hand.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import running

from connectors.hubspot.connector import HubSpot
from connectors.record import Account, Lookup, RecordId, Write

HUBSPOT = HubSpot()
DOCUMENT = Path(__file__).parents[3] / "shared" / "vendors" / "specs" / "hubspot_sdk_derived.json"
pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="the vendor's document is not at hand in ../shared"
)
#: The document has the paths of v3 and v4, whose bodies the date-based paths share.
AS_DOCUMENTED = (
    (r"^/crm/(objects|properties|pipelines)/2026-03/", r"/crm/v3/\1/"),
    (r"^/crm/associations/2026-03/", "/crm/v4/associations/"),
)
#: Not in the document: it was read out of an SDK that lacks them.
UNDOCUMENTED = ("/account-info/", "/crm-object-schemas/")


@dataclass
class Exchange:
    """A request that the connector made, and the answer that it got."""

    method: str
    path: str
    body: Any
    status: int
    answer: Any


@dataclass
class Relay:
    """Passes the connector's requests on to the sandbox, and keeps both sides."""

    target: str
    exchanges: list[Exchange] = field(default_factory=list)


def _relay(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Passing(BaseHTTPRequestHandler):
        """Passes one request on."""

        def do_GET(self) -> None:
            """Pass on, whatever the method."""
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            answer = httpx.request(
                self.command,
                relay.target + self.path,
                content=body,
                headers={
                    "Authorization": self.headers["Authorization"],
                    "Content-Type": "application/json",
                },
            )
            relay.exchanges.append(
                Exchange(
                    self.command,
                    self.path,
                    json.loads(body) if body else None,
                    answer.status_code,
                    answer.json() if answer.content else None,
                )
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815 - the name that http.server asks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    return Passing


@pytest.fixture(name="exchanges", scope="module")
def _exchanges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Exchange]]:
    """Give the exchanges of everything that the connector can do."""
    with running.sandbox("hubspot", tmp_path_factory.mktemp("hubspot")) as box:
        box.set(limits={"requests": 100_000, "search": 100_000})
        account = running.account(box, HUBSPOT, running.authorise(box, HUBSPOT.oauth))
        relay = Relay(box.url)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _relay(relay))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            _do_everything(replace(account, base_url=f"http://127.0.0.1:{server.server_port}"))
        finally:
            server.shutdown()
            server.server_close()
        yield relay.exchanges


def _do_everything(account: Account) -> None:
    HUBSPOT.identify(account)
    HUBSPOT.prepare(account)
    HUBSPOT.describe(account)
    for name in ("contacts", "tasks"):
        HUBSPOT.describe(account, name)
    key = uuid.uuid4().hex
    good = Write(key, "contacts", {"lastname": "Whitfield", "phone": "+14155550132"})
    (made,) = HUBSPOT.write(account, [good])
    assert made.record is not None
    bad = Write(uuid.uuid4().hex, "contacts", {"email": "no address"})
    HUBSPOT.write(account, [good, bad])
    gone = Write("gone", "contacts", {"city": "Trenton"}, "999")
    HUBSPOT.write(account, [Write("known", "contacts", {"city": "X"}, made.record.id), gone])
    fields = {"hs_timestamp": "2026-11-23T09:00:00Z", "association:contacts": made.record.id}
    HUBSPOT.write(account, [Write(uuid.uuid4().hex, "notes", fields)])
    deal = Write(uuid.uuid4().hex, "deals", {"dealname": "Boiler", "dealstage": "closedwon"})
    (closed,) = HUBSPOT.write(account, [deal])
    assert closed.record is not None
    HUBSPOT.closed(account, [closed.record, RecordId("tickets", "1")])
    HUBSPOT.find(
        account,
        [
            Lookup("contacts", key=key),
            Lookup("contacts", key="none"),
            Lookup("contacts", by={"phone": "+14155550132"}),
            Lookup("contacts", by={"lastname": "Whitfield", "city": "X"}),
        ],
    )


@pytest.fixture(name="document", scope="module")
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
    return found


def _operation(document: dict[str, Any], exchange: Exchange) -> dict[str, Any] | None:
    path = exchange.path.partition("?")[0]
    for pattern, replacement in AS_DOCUMENTED:
        path = re.sub(pattern, replacement, path)
    for template, methods in document["paths"].items():
        shape = re.sub(r"\\\{[^}]*\\\}|\{[^}]*\}", "[^/]+", template)
        if re.fullmatch(shape, path) and exchange.method.lower() in methods:
            found: dict[str, Any] = methods[exchange.method.lower()]
            return found
    return None


def _problems(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    rules = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    validator = jsonschema_rs.validator_for({**rules, "components": document["components"]})
    return [error.message for error in validator.iter_errors(value)]


def _schema(part: dict[str, Any]) -> dict[str, Any]:
    # A $ref hides what stands beside it in this draft, so it is put one step down.
    return {"allOf": [part["content"]["application/json"]["schema"]]}


def _without_nulls(value: Any) -> Any:
    """Leave out properties without a value: HubSpot answers null, which the document forgets."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def test_every_call_is_documented(exchanges, document):
    """The connector calls nothing that the document does not have, but for what is named above."""
    unknown = {
        e.path
        for e in exchanges
        if not e.path.startswith(UNDOCUMENTED) and _operation(document, e) is None
    }

    assert unknown == set()
    assert len(exchanges) > 30


def test_requests_fit_the_document(exchanges, document):
    """Every body that the connector sends is of the documented shape."""
    problems = [
        (e.path, problem)
        for e in exchanges
        if e.body is not None and (operation := _operation(document, e))
        for problem in _problems(document, _schema(operation["requestBody"]), e.body)
    ]

    assert problems == []


def test_answers_fit_the_document(exchanges, document):
    """Every answer of the sandbox, 207 and refusals too, is of the documented shape."""
    problems: list[tuple[str, int, str]] = []
    for e in exchanges:
        operation = _operation(document, e)
        if operation is None or e.answer is None:
            continue
        responses = operation["responses"]
        part = responses.get(str(e.status)) or responses["default"]
        found = _problems(document, _schema(part), _without_nulls(e.answer))
        problems += [(e.path, e.status, problem) for problem in found]

    assert problems == []
    assert {200, 207, 201, 404} <= {e.status for e in exchanges}
