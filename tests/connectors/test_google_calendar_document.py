"""Google Calendar: requests of the connector and answers of the sandbox fit what the vendor documents.

The document is not ours to ship: it lies in ``../shared`` where it is at hand.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jsonschema_rs
import pytest
import running

from connectors.errors import ConnectorError
from connectors.google_calendar.connector import GoogleCalendar
from connectors.record import Account, Lookup, RecordId, Write

GOOGLE = GoogleCalendar()
DOCUMENT = (
    Path(__file__).parents[3]
    / "shared"
    / "vendors"
    / "specs"
    / "google_calendar_v3.derived-openapi.json"
)
pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="the vendor's document is not at hand in ../shared"
)
#: Every method takes these; the document lists them nowhere.
#: Source: https://cloud.google.com/apis/docs/system-parameters (2026-11-22)
SYSTEM = {"alt", "fields", "quotaUser"}
HOLIDAYS = "desk.holidays@group.v.calendar.google.example"


@dataclass
class Exchange:
    """A request that the connector made, alone or as a batch's part, and the answer that it got."""

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

    def keep(self, method: str, path: str, asked: tuple[str, bytes], said: httpx.Response) -> None:
        """Keep an exchange; a batch is kept part by part."""
        kind, body = asked
        if not path.startswith("/batch/") or said.status_code != 200:
            read = json.loads(body) if body else None
            answer = said.json() if said.content else None
            self.exchanges.append(Exchange(method, path, read, said.status_code, answer))
            return
        answers = dict(_parts(said.headers["content-type"], said.content))
        for name, (line, content) in _parts(kind, body):
            verb, target, _ = line.split(" ", 2)
            head, told = answers[name.replace("<", "<response-", 1)]
            status = int(head.split(" ")[1])
            self.exchanges.append(Exchange(verb, target, content, status, told))


def _parts(kind: str, body: bytes) -> list[tuple[str, tuple[str, Any]]]:
    """Give each part of a multipart: its name, and its first line with what it holds."""
    message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    found = []
    for part in message.get_payload():
        text = part.get_payload(decode=True).decode().replace("\r\n", "\n")
        head, _, content = text.partition("\n\n")
        read = json.loads(content) if content.strip() else None
        found.append((str(part["Content-ID"]), (head.split("\n")[0], read)))
    return found


def _relay(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Passing(BaseHTTPRequestHandler):
        """Passes one request on."""

        def do_GET(self) -> None:
            """Pass on, whatever the method."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = self.headers.get("Content-Type") or "application/json"
            said = httpx.request(
                self.command,
                relay.target + self.path,
                content=body,
                headers={"Authorization": self.headers["Authorization"], "Content-Type": kind},
            )
            relay.keep(self.command, self.path, (kind, body), said)
            self.send_response(said.status_code)
            self.send_header("Content-Type", said.headers.get("content-type", "text/plain"))
            self.send_header("Content-Length", str(len(said.content)))
            self.end_headers()
            self.wfile.write(said.content)

        do_POST = do_GET  # noqa: N815 - the name that http.server asks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    return Passing


@pytest.fixture(name="exchanges", scope="module")
def _exchanges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Exchange]]:
    """Give the exchanges of everything that the connector can do."""
    with running.sandbox("google_calendar", tmp_path_factory.mktemp("google")) as box:
        account = running.account(box, GOOGLE, running.authorise(box, GOOGLE.oauth))
        relay = Relay(box.url)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _relay(relay))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        try:
            _do_everything(box, replace(account, base_url=here, webhook_url=f"{here}/hooks/x"))
        finally:
            server.shutdown()
            server.server_close()
        yield relay.exchanges


def _do_everything(box: running.Sandbox, account: Account) -> None:
    GOOGLE.identify(account)
    GOOGLE.prepare(account)
    GOOGLE.describe(account)
    GOOGLE.describe(account, "hold")
    full = {
        "summary": "Boiler",
        "description": "Größe",
        "location": "Elm Street",
        "colorId": "5",
        "transparency": "opaque",
        "visibility": "private",
        "attendees": "dana@x.example",
        "contact": "+14155550132",
        "reminder_minutes": 10,
    }
    day = {"start": "2031-03-03", "end": "2031-03-04"}
    held = Write(uuid.uuid4().hex, "hold", full)
    whole = Write(uuid.uuid4().hex, "event", {**full, **day})
    bad = Write(uuid.uuid4().hex, "event", {**day, "attendees": "nobody"})
    strange = Write(uuid.uuid4().hex, "event", {**day, "calendar": HOLIDAYS})
    (hold,) = GOOGLE.write(account, [held])
    (event, *_) = GOOGLE.write(account, [whole, bad, strange])
    GOOGLE.write(account, [replace(whole, fields={**whole.fields, "location": "Oak"})])
    cleared = {"location": None, "start": "2031-03-03T10:00:00Z"}
    gone = Write("gone", "event", {"location": "x"}, "99999@primary")
    GOOGLE.write(account, [Write("u", "event", cleared, event.record.id), gone])
    box.http.post(f"{box.url}/_google/act", json={"id": event.record.id, "act": "cancel"})
    records = [hold.record, event.record]
    GOOGLE.closed(account, records)
    GOOGLE.closed(account, [*records, *(RecordId("hold", f"{n}0000@primary") for n in range(3))])
    by = {"contact": "+14155550132"}
    GOOGLE.find(account, [Lookup("hold", key=held.key), Lookup("hold", by=by)])
    known = GOOGLE.subscribe(account, None)
    old = replace(known, expires_at=datetime.now(UTC) + timedelta(hours=1))
    GOOGLE.unsubscribe(account, GOOGLE.subscribe(account, old))
    box.set(limits={"user": 0})
    with suppress(ConnectorError):
        GOOGLE.write(account, [held])


@pytest.fixture(name="document", scope="module")
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
    return found


def _operation(document: dict[str, Any], exchange: Exchange) -> dict[str, Any]:
    path = urlsplit(exchange.path).path
    # A name in the path's own words, such as "watch", goes before one in brackets.
    for template, methods in sorted(document["paths"].items(), key=lambda item: "{" in item[0]):
        shape = re.sub(r"\\\{[^}]*\\\}|\{[^}]*\}", "[^/]+", template)
        if re.fullmatch(shape, path) and exchange.method.lower() in methods:
            found: dict[str, Any] = methods[exchange.method.lower()]
            return found
    message = f"the document has no {exchange.method} {path}"
    raise AssertionError(message)


def _problems(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    rules = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    validator = jsonschema_rs.validator_for({**rules, "components": document["components"]})
    return [error.message for error in validator.iter_errors(value)]


def _schema(part: dict[str, Any]) -> dict[str, Any]:
    # A $ref hides what stands beside it in this draft, so it is put one step down.
    return {"allOf": [part["content"]["application/json"]["schema"]]}


def _without_nulls(value: Any) -> Any:
    """Leave out what a patch clears: null, which the document's types do not have."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _names(document: dict[str, Any], reference: str) -> set[str]:
    return set(document["components"]["schemas"][reference]["properties"])


def test_every_call_is_documented(exchanges, document):
    """The connector calls nothing that the document does not have, with no unknown parameter."""
    unknown = {
        (e.path, name)
        for e in exchanges
        for name in parse_qs(urlsplit(e.path).query)
        if name not in SYSTEM
        and name not in {one["name"] for one in _operation(document, e)["parameters"]}
    }

    assert unknown == set()
    assert len(exchanges) > 25


def test_our_scopes_suffice(exchanges, document):
    """Each call is allowed by one of the scopes that we ask for, and none of these is asked for in vain."""
    used: set[str] = set()
    for e in exchanges:
        allowed = set(_operation(document, e)["security"][0]["oauth2"])
        assert allowed & set(GOOGLE.oauth.scopes), e.path
        used |= allowed & set(GOOGLE.oauth.scopes)

    assert used == set(GOOGLE.oauth.scopes)


def test_requests_fit_the_document(exchanges, document):
    """Every body that the connector sends is of the documented shape, without a name that is not there."""
    problems: list[tuple[str, str]] = []
    for e in exchanges:
        if e.body is None:
            continue
        part = _operation(document, e)["requestBody"]
        found = _problems(document, _schema(part), _without_nulls(e.body))
        reference = part["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        strange = set(e.body) - _names(document, reference)
        problems += [(e.path, one) for one in [*found, *sorted(strange)]]

    assert problems == []


def test_answers_fit_the_document(exchanges, document):
    """Every answer of the sandbox, refusals too, is of the documented shape, without unknown names."""
    problems: list[tuple[str, int, str]] = []
    for e in exchanges:
        responses = _operation(document, e)["responses"]
        part = responses.get(str(e.status)) or responses["default"]
        if e.answer is None or "content" not in part:
            continue
        schema = part["content"]["application/json"]["schema"]
        found = _problems(document, _schema(part), e.answer)
        if e.status == 200:
            found += sorted(set(e.answer) - _names(document, schema["$ref"].rsplit("/", 1)[1]))
        problems += [(e.path, e.status, problem) for problem in found]

    assert problems == []
    assert {200, 400, 403, 404, 409} <= {e.status for e in exchanges}
