"""PagerDuty: requests of the connector and answers of the sandbox fit what the vendor documents.

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
from urllib.parse import parse_qsl, urlsplit

import httpx
import jsonschema_rs
import pytest
import running

from connectors.errors import ConnectorError
from connectors.pagerduty.connector import PagerDuty
from connectors.record import Account, Lookup, RecordId, Write

PAGERDUTY = PagerDuty()
DOCUMENT = Path(__file__).parents[3] / "shared" / "vendors" / "specs" / "pagerduty_rest_v2.cut.json"
pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="the vendor's document is not at hand in ../shared"
)
#: Headers that the document demands and that belong to the transport, or to an account's own key.
#: Source: default_from of the pagerduty SDK 7.2.0 (2026-11-22)
OTHER_HEADERS = {"Content-Type", "From"}
JSON_TYPE = "application/json"


@dataclass
class Exchange:
    """A request that the connector made, and the answer that it got."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
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
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {
                name: self.headers[name]
                for name in ("Authorization", "Accept", "Content-Type")
                if self.headers[name]
            }
            answer = httpx.request(
                self.command, relay.target + self.path, content=body, headers=headers
            )
            parts = urlsplit(self.path)
            relay.exchanges.append(
                Exchange(
                    self.command,
                    parts.path,
                    parse_qsl(parts.query),
                    headers,
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
        do_PUT = do_GET  # noqa: N815 - the name that http.server asks for
        do_DELETE = do_GET  # noqa: N815 - the name that http.server asks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    return Passing


@pytest.fixture(name="exchanges", scope="module")
def _exchanges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Exchange]]:
    """Give the exchanges of everything that the connector can do."""
    with running.sandbox("pagerduty", tmp_path_factory.mktemp("pagerduty")) as box:
        account = running.account(box, PAGERDUTY, running.authorise(box, PAGERDUTY.oauth))
        relay = Relay(box.url)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _relay(relay))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            _do_everything(box, replace(account, base_url=f"http://127.0.0.1:{server.server_port}"))
        finally:
            server.shutdown()
            server.server_close()
        yield relay.exchanges


def _do_everything(box: running.Sandbox, account: Account) -> None:
    PAGERDUTY.identify(account)
    PAGERDUTY.prepare(account)
    PAGERDUTY.describe(account, "incident")
    key = uuid.uuid4().hex
    fields = {
        "title": "Water through the ceiling",
        "urgency": "high",
        "details": "What was said",
        "priority": "PSBXPR1",
        "escalation_policy": "PSBXEP2",
        "incident_type": "major_incident",
        "custom:branch": "North side",
    }
    (made,) = PAGERDUTY.write(account, [Write(key, "incident", fields)])
    assert made.record is not None
    bad = {**fields, "urgency": "rather"}
    PAGERDUTY.write(account, [Write(uuid.uuid4().hex, "incident", bad, is_first=True)])
    (same,) = PAGERDUTY.write(account, [Write(key, "incident", fields, is_first=True)])
    assert same.record == made.record
    PAGERDUTY.write(account, [Write(key, "incident", {"title": "Leak"}, made.record.id)])
    PAGERDUTY.write(account, [Write(key, "incident", {"title": "Leak"}, "QGONE")])
    note = Write(uuid.uuid4().hex, "note", {"incident": made.record.id, "content": "Voicemail"})
    PAGERDUTY.write(account, [note])
    PAGERDUTY.find(
        account, [Lookup("incident", key=key), Lookup("note", key=note.key, fields=note.fields)]
    )
    for what in ("acknowledge", "resolve"):
        box.http.post(f"{box.url}/_pagerduty/{what}", json={"id": made.record.id})
        PAGERDUTY.closed(account, [made.record, RecordId("incident", "QGONE")])
    told = replace(account, webhook_url="http://127.0.0.1:9/v1/hooks/x")
    known = PAGERDUTY.subscribe(told, None)
    PAGERDUTY.subscribe(told, known)
    PAGERDUTY.unsubscribe(told, known)
    PAGERDUTY.unsubscribe(told, known)
    for status in (402, 403):
        box.fault(kind="status", status=status, path="/priorities")
        with pytest.raises(ConnectorError):
            _ask(account)
    box.set(limits={"requests": 0})
    with pytest.raises(ConnectorError):
        PAGERDUTY.find(account, [Lookup("incident", key=key)])
    box.post("expire")
    with pytest.raises(ConnectorError):
        PAGERDUTY.find(account, [Lookup("incident", key=key)])


def _ask(account: Account) -> None:
    from connectors.pagerduty.calls import call

    call(account, "GET", "/priorities")


@pytest.fixture(name="document", scope="module")
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
    # The schema calls an incident's details an object; its example, and the guide, have text.
    # Source: https://developer.pagerduty.com/docs/incident-creation-api (2026-11-22)
    details = found["components"]["schemas"]["IncidentBody"]["properties"]["details"]
    assert details["type"] == "object"
    details["type"] = "string"
    _loosen_custom_values(found)
    return found


def _loosen_custom_values(document: dict[str, Any]) -> None:
    """Take custom fields' values as the document's examples show them: its schemas refuse the examples."""
    put = document["paths"]["/incidents/{id}/custom_fields/values"]["put"]
    content = put["requestBody"]["content"][JSON_TYPE]
    example = content["examples"]["example_with_custom_field_name"]["value"]
    assert _problems(document, content["schema"], example)
    schemas = document["components"]["schemas"]
    schemas["CustomFieldsEditableFieldValue"] = {
        "type": "object",
        "required": ["value"],
        "anyOf": [{"required": ["name"]}, {"required": ["id"]}],
    }
    # Others refer to the parts of this one, which must stay; a $ref hides them.
    schemas["AnyValue"] = {}
    value = schemas["CustomFieldsFieldValue"]["properties"]["value"]
    value["$ref"] = "#/components/schemas/AnyValue"
    assert not _problems(document, content["schema"], example)


def _operation(document: dict[str, Any], exchange: Exchange) -> dict[str, Any] | None:
    best: dict[str, Any] | None = None
    fewest = 99
    for template, methods in document["paths"].items():
        shape = re.sub(r"\{[^}]*\}", "[^/]+", template)
        is_it = re.fullmatch(shape, exchange.path) and exchange.method.lower() in methods
        # Of "/incidents/types" and "/incidents/{id}" the one that says more is meant.
        if is_it and template.count("{") < fewest:
            best, fewest = methods[exchange.method.lower()], template.count("{")
    return best


def _resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name.replace("~1", "/").replace("~0", "~")]
        part = found
    return part


def _problems(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    rules = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        # A $ref hides what stands beside it in this draft, so it is put one step down.
        "allOf": [schema],
        "components": document["components"],
        "paths": document["paths"],
    }
    return [error.message for error in jsonschema_rs.validator_for(rules).iter_errors(value)]


def _without_nulls(value: Any) -> Any:
    """Leave out properties without a value: PagerDuty answers null where its document forgets it."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def test_every_call_is_documented(exchanges, document):
    """The connector calls nothing that the document does not have."""
    unknown = {e.path for e in exchanges if _operation(document, e) is None}

    assert unknown == set()
    assert len(exchanges) > 25


def test_every_parameter_is_documented(exchanges, document):
    """Queries name what the document names, in the values that it lists; required headers are sent."""
    problems: list[tuple[str, str]] = []
    for e in exchanges:
        operation = _operation(document, e)
        assert operation is not None
        listed = [_resolved(document, one) for one in operation.get("parameters", [])]
        queries = {one["name"]: one for one in listed if one["in"] == "query"}
        for name, value in e.query:
            if name not in queries:
                problems.append((e.path, f"{name} is not documented"))
            elif value not in queries[name].get("schema", {}).get("enum", [value]):
                problems.append((e.path, f"{name} is not {value}"))
        problems += [
            (e.path, f"{one['name']} is missing")
            for one in listed
            if one["in"] == "header"
            and one.get("required")
            and one["name"] not in OTHER_HEADERS
            and one["name"] not in e.headers
        ]

    assert problems == []


def test_requests_fit_the_document(exchanges, document):
    """Every body that the connector sends is of the documented shape, and nothing is sent without need."""
    problems: list[tuple[str, str]] = []
    for e in exchanges:
        operation = _operation(document, e)
        assert operation is not None
        if e.body is None:
            continue
        schema = operation["requestBody"]["content"][JSON_TYPE]["schema"]
        problems += [(e.path, problem) for problem in _problems(document, schema, e.body)]

    # One bad value was sent on purpose, to see it refused.
    assert [(path, '"rather"' in problem) for path, problem in problems] == [("/incidents", True)]
    assert len([e for e in exchanges if e.body is not None]) >= 8


def test_answers_fit_the_document(exchanges, document):
    """Every answer of the sandbox, refusals too, is of the documented shape."""
    problems: list[tuple[str, int, str]] = []
    for e in exchanges:
        operation = _operation(document, e)
        assert operation is not None
        part = operation["responses"].get(str(e.status))
        if part is None:
            problems.append((e.path, e.status, "this status is not documented"))
            continue
        content = _resolved(document, part).get("content")
        if e.answer is None or content is None:
            continue
        schema = content[JSON_TYPE]["schema"]
        found = _problems(document, schema, _without_nulls(e.answer))
        problems += [(e.path, e.status, problem) for problem in found]

    assert problems == []
    assert {200, 201, 204, 400, 401, 402, 403, 404, 429} <= {e.status for e in exchanges}
