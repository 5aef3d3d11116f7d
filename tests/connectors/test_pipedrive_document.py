"""Pipedrive: requests of the connector and answers of the sandbox fit what the vendor documents.

The documents are not ours to ship: they lie in ``../shared`` where they are at hand.
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
from urllib.parse import parse_qsl

import httpx
import jsonschema_rs
import pytest
import running

from connectors.pipedrive.connector import Pipedrive
from connectors.record import Account, Lookup, RecordId, Write

PIPEDRIVE = Pipedrive()
SPECS = Path(__file__).parents[3] / "shared" / "vendors" / "specs"
DOCUMENTS = {version: SPECS / f"pipedrive_{version}.cut.json" for version in ("v1", "v2")}
pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in DOCUMENTS.values()),
    reason="the vendor's documents are not at hand in ../shared",
)
#: Answers for which the document names a status of success only.
REFUSED = range(400, 500)


@dataclass
class Exchange:
    """A request that the connector made, and the answer that it got."""

    method: str
    path: str
    query: dict[str, str]
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
            path, _, query = self.path.partition("?")
            relay.exchanges.append(
                Exchange(
                    self.command,
                    path,
                    dict(parse_qsl(query)),
                    json.loads(body) if body else None,
                    answer.status_code,
                    answer.json() if answer.content else None,
                )
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - names that http.server asks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    return Passing


@pytest.fixture(name="exchanges", scope="module")
def _exchanges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Exchange]]:
    """Give the exchanges of everything that the connector can do."""
    with running.sandbox("pipedrive", tmp_path_factory.mktemp("pipedrive")) as box:
        box.set(limits={"requests": 100_000, "search": 100_000})
        account = running.account(box, PIPEDRIVE, running.authorise(box, PIPEDRIVE.oauth))
        relay = Relay(box.url)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _relay(relay))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        near = f"http://127.0.0.1:{server.server_port}"
        try:
            _do_everything(
                replace(account, base_url=near, webhook_url="http://127.0.0.1:9/hooks/pipedrive")
            )
        finally:
            server.shutdown()
            server.server_close()
        yield relay.exchanges


def _write(account: Account, object_name: str, **fields: Any) -> RecordId:
    (made,) = PIPEDRIVE.write(account, [Write(uuid.uuid4().hex, object_name, fields)])
    assert made.record is not None, made.error
    return made.record


def _do_everything(account: Account) -> None:
    PIPEDRIVE.identify(account)
    PIPEDRIVE.prepare(account)
    for one in PIPEDRIVE.describe(account):
        PIPEDRIVE.describe(account, one.name)
    key = uuid.uuid4().hex
    full = {
        "name": "Dana Whitfield",
        "phone": "+14155550132",
        "email": "dana@whitfield.example",
        "job_title": "Owner",
        "postal_address": "12 Mill Lane, Trenton",
        "visible_to": "3",
        "label_ids": ["1"],
    }
    good = Write(key, "Person", full)
    (made,) = PIPEDRIVE.write(account, [good])
    assert made.record is not None
    person = made.record.id
    PIPEDRIVE.write(account, [good, Write("bad", "Person", {"name": "X", "org_id": "some firm"})])
    known = {"phone": "+14155550177", "job_title": None}
    PIPEDRIVE.write(account, [Write("known", "Person", known, person)])
    PIPEDRIVE.write(account, [Write("gone", "Person", {"job_title": "X"}, "999999")])
    firm = _write(account, "Organization", name="Whitfield Interiors", address="12 Mill Lane").id
    lead = _write(
        account,
        "Lead",
        title="Boiler",
        person_id=person,
        organization_id=firm,
        value=200,
        currency="USD",
    )
    deal = _write(
        account,
        "Deal",
        title="Boiler",
        person_id=person,
        stage_id="2",
        expected_close_date="2026-12-01",
    )
    activity = _write(
        account,
        "Activity",
        subject="Call back",
        type="call",
        person_id=person,
        lead_id=lead.id,
        due="2026-11-23T09:00:00-08:00",
        note="<p>Leak</p>",
    )
    note = _write(account, "Note", content="<p>Leak</p>", deal_id=deal.id)
    PIPEDRIVE.write(account, [Write("n", "Note", {"content": "<p>More</p>"}, note.id)])
    PIPEDRIVE.write(account, [Write("l", "Lead", {"title": "Boiler, old"}, lead.id)])
    won = {"status": "won"}
    PIPEDRIVE.write(account, [Write("d", "Deal", won, deal.id)])
    other = RecordId("Deal", "999999")
    PIPEDRIVE.closed(account, [deal, other, activity, lead, RecordId("Lead", str(uuid.uuid4()))])
    PIPEDRIVE.closed(account, [RecordId("Lead", str(uuid.uuid4())) for _ in range(21)])
    PIPEDRIVE.find(
        account,
        [
            Lookup("Person", key=key, read=("job_title",)),
            Lookup("Person", key="none"),
            Lookup("Person", by={"phone": "+14155550132"}),
            Lookup("Person", by={"email": "dana@whitfield.example"}, read=("name", "phone")),
            Lookup("Lead", by={"person_id": person}),
            Lookup("Note", key="n", fields={"deal_id": deal.id}),
            Lookup("Activity", key="none"),
        ],
    )
    held = PIPEDRIVE.subscribe(account, None)
    PIPEDRIVE.unsubscribe(account, PIPEDRIVE.subscribe(account, held))


@pytest.fixture(name="documents", scope="module")
def _documents() -> dict[str, dict[str, Any]]:
    return {version: json.loads(path.read_text("utf-8")) for version, path in DOCUMENTS.items()}


def _operation(documents: dict[str, dict[str, Any]], exchange: Exchange) -> dict[str, Any] | None:
    """Give the documented operation of a request; a path without placeholders goes first."""
    paths = documents[exchange.path.split("/")[2]]["paths"]
    for template in sorted(paths, key=lambda one: one.count("{")):
        shape = re.sub(r"\{[^}]*\}", "[^/]+", template)
        if re.fullmatch(shape, exchange.path) and exchange.method.lower() in paths[template]:
            found: dict[str, Any] = paths[template][exchange.method.lower()]
            return found
    return None


def _problems(schema: dict[str, Any], value: object) -> list[str]:
    rules = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in jsonschema_rs.validator_for(rules).iter_errors(value)
    ]


def _without_nulls(value: Any) -> Any:
    """Leave out properties without a value: Pipedrive answers null, which the document forgets."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def test_every_call_is_documented(exchanges, documents):
    """The connector calls nothing that the documents do not have."""
    unknown = {(e.method, e.path) for e in exchanges if _operation(documents, e) is None}

    assert unknown == set()
    assert len(exchanges) > 50


def test_queries_are_documented(exchanges, documents):
    """Every parameter has a documented name, and one of the documented values where they are listed."""
    wrong: list[tuple[str, str, str]] = []
    for e in exchanges:
        operation = _operation(documents, e) or {}
        known = {one["name"]: one["schema"] for one in operation.get("parameters", ())}
        for name, value in e.query.items():
            # A list's values stand one by one in the document, and are sent joined by commas.
            listed = known.get(name, {}).get("enum")
            single = value.split(",") if listed and e.path.endswith("Search") else [value]
            fits = name in known and (not listed or set(single) <= set(listed))
            # Version 1 sorts by "field direction", of which the document lists the fields.
            if not fits and not (name == "sort" and value.split()[0] in (listed or ())):
                wrong.append((e.path, name, value))

    assert wrong == []


def test_requests_fit_the_documents(exchanges, documents):
    """Every body that the connector sends is of the documented shape; null clears."""
    problems = [
        (e.path, problem)
        for e in exchanges
        if e.body is not None
        and e.status not in REFUSED
        and (operation := _operation(documents, e))
        for problem in _problems(
            operation["requestBody"]["content"]["application/json"]["schema"],
            _without_nulls(e.body),
        )
    ]

    assert problems == []


def test_answers_fit_the_documents(exchanges, documents):
    """Every answer of the sandbox is of the documented shape, refusals where they are documented."""
    problems: list[tuple[str, int, str]] = []
    for e in exchanges:
        operation = _operation(documents, e)
        if operation is None or e.answer is None:
            continue
        part = operation["responses"].get(str(e.status))
        assert part is not None or e.status in REFUSED, (e.path, e.status)
        schema = (part or {}).get("content", {}).get("application/json", {}).get("schema")
        if schema:
            problems += [
                (e.path, e.status, problem)
                for problem in _problems(schema, _without_nulls(e.answer))
            ]

    assert problems == []
    assert {200, 201, 400, 404} <= {e.status for e in exchanges}


def test_prices_are_documented(exchanges, documents):
    """What the connector charges for a call is what the document says it costs."""
    from connectors.pipedrive import paths

    calls = [one for one in vars(paths).values() if isinstance(one, paths.Call)]
    for name, one in paths.OBJECTS.items():
        record = str(uuid.uuid4()) if name == "Lead" else "1"
        calls += [one.many, one.add, one.one(record), one.update(record)]
    for word in ("person", "organization", "deal"):
        calls += [paths.fields(word), paths.add_field(word)]
    calls.append(paths.drop_webhook("1"))
    priced = {
        (one.method, one.path): one.tokens
        for one in calls
        if one.tokens
        != (_operation(documents, Exchange(one.method, one.path, {}, None, 200, None)) or {}).get(
            "x-token-cost"
        )
    }

    assert priced == {}
    assert len(calls) > 30
