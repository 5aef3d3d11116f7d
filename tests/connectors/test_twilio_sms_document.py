"""Twilio: requests of the connector and answers of the sandbox fit what the vendor documents.

The document is not ours to ship: it lies in ``../shared`` where it is at hand.
"""

from __future__ import annotations

import json
import re
import threading
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

from connectors.errors import Rejected
from connectors.record import Account, Lookup, RecordId, Write
from connectors.twilio_sms.connector import TwilioSMS

TWILIO = TwilioSMS()
DOCUMENT = (
    Path(__file__).parents[3]
    / "shared"
    / "vendors"
    / "specs"
    / "twilio_api_v2010_messages.cut.json"
)
pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="the vendor's document is not at hand in ../shared"
)
#: Messaging Services are described in a document of their own.
UNDOCUMENTED = ("/v1/Services",)
#: The document's names for forms that a checker of schemas does not know.
FORMS = {
    "phone-number": r"^\+[1-9]\d{1,14}$",
    "date-time-rfc-2822": r"^\w{3}, \d\d \w{3} \d{4} .* \+0000$",
}


@dataclass
class Exchange:
    """A request that the connector made, and the answer that it got."""

    method: str
    path: str
    form: dict[str, str]
    query: dict[str, str]
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
            names = ("Authorization", "Content-Type")
            answer = httpx.request(
                self.command,
                relay.target + self.path,
                content=body,
                headers={name: self.headers[name] for name in names if self.headers[name]},
            )
            relay.exchanges.append(
                Exchange(
                    self.command,
                    urlsplit(self.path).path,
                    dict(parse_qsl(body.decode())),
                    dict(parse_qsl(urlsplit(self.path).query)),
                    answer.status_code,
                    answer.json(),
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
    with running.sandbox("twilio_sms", tmp_path_factory.mktemp("twilio_sms")) as box:
        account = running.keyed_account(box, TWILIO, settings={"quiet_hours": False})
        relay = Relay(box.url)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _relay(relay))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            _do_everything(
                replace(
                    account,
                    base_url=f"http://127.0.0.1:{server.server_port}",
                    webhook_url="https://afterbeep.example/hooks/1",
                )
            )
        finally:
            server.shutdown()
            server.server_close()
        yield relay.exchanges


def _do_everything(account: Account) -> None:
    TWILIO.identify(account)
    TWILIO.prepare(account)
    TWILIO.describe(account)
    TWILIO.describe(account, "message")
    fields = {"To": "+14155550132", "Body": "We will call you back.", "consent": True}
    service = {"MessagingServiceSid": "MG5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a01", "ValidityPeriod": 600}
    made, other, bad = TWILIO.write(
        account,
        [
            Write("a", "message", fields),
            Write("b", "message", {**fields, **service}, is_first=True),
            Write("c", "message", {**fields, "To": "+15005550001"}),
        ],
    )
    assert made.record is not None
    assert other.record is not None
    assert isinstance(bad.error, Rejected)
    TWILIO.find(account, [Lookup("message", key="a", fields=fields)])
    TWILIO.closed(account, [made.record, RecordId("message", "SM" + "f" * 32)])


@pytest.fixture(name="document", scope="module")
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
    return _checkable(found)


def _checkable(part: Any) -> Any:
    """Write what OpenAPI 3.0 means in the words of JSON Schema: nullable, and the forms of text."""
    if isinstance(part, list):
        return [_checkable(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {name: _checkable(one) for name, one in part.items() if name != "nullable"}
    if made.get("format") in FORMS:
        made["pattern"] = FORMS[made.pop("format")]
    elif made.get("format") == "uri":
        made["format"] = "uri-reference"  # its own examples of pages have no host
    if part.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def _operation(document: dict[str, Any], exchange: Exchange) -> dict[str, Any] | None:
    for template, methods in document["paths"].items():
        shape = re.sub(r"\\\{[^}]*\\\}|\{[^}]*\}", "[^/.]+", template.replace(".", r"\."))
        if re.fullmatch(shape, exchange.path) and exchange.method.lower() in methods:
            found: dict[str, Any] = methods[exchange.method.lower()]
            return found
    return None


def _problems(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    rules = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    validator = jsonschema_rs.validator_for({**rules, "components": document["components"]})
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]


def test_every_call_is_documented(exchanges, document):
    """The connector calls nothing that the document does not have, but for what is named above."""
    unknown = {
        e.path
        for e in exchanges
        if not e.path.startswith(UNDOCUMENTED) and _operation(document, e) is None
    }

    assert unknown == set()
    assert {e.method for e in exchanges} == {"GET", "POST"}
    assert len(exchanges) >= 10


def test_forms_fit_the_document(exchanges, document):
    """Every text is sent with documented parameters of documented values, and consent is not among them."""
    posted = [e for e in exchanges if e.method == "POST"]
    for exchange in posted:
        operation = _operation(document, exchange)
        assert operation is not None
        content = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]
        known = content["schema"]["properties"]
        value: dict[str, Any] = {
            name: int(text) if known[name].get("type") == "integer" else text
            for name, text in exchange.form.items()
        }
        value["SmartEncoded"] = {"true": True, "false": False}[value["SmartEncoded"]]

        assert set(exchange.form) <= set(known)
        assert _problems(document, {"allOf": [content["schema"]]}, value) == []
    assert len(posted) == 3
    assert {e.form["StatusCallback"] for e in posted} == {"https://afterbeep.example/hooks/1"}


def test_questions_fit_the_document(exchanges, document):
    """Every parameter in an address is documented."""
    for exchange in exchanges:
        operation = _operation(document, exchange)
        if operation is not None:
            known = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
            assert set(exchange.query) <= known


def test_answers_fit_the_document(exchanges, document):
    """Every good answer of the sandbox is of the documented shape, and has no field that is not documented."""
    problems: list[tuple[str, str]] = []
    for e in exchanges:
        operation = _operation(document, e)
        if operation is None or e.status >= 400:
            continue
        schema = operation["responses"][str(e.status)]["content"]["application/json"]["schema"]
        problems += [(e.path, one) for one in _problems(document, {"allOf": [schema]}, e.answer)]
        named = schema.get("$ref", "").rpartition("/")[2]
        shape = document["components"]["schemas"][named] if named else schema
        assert set(e.answer) <= set(shape["properties"])

    assert problems == []
    assert {200, 201, 400, 404} <= {e.status for e in exchanges}


def test_refusals_have_the_documented_fields(exchanges):
    """A refusal has a code, a sentence, an address to read more, and its status."""
    refusals = [e for e in exchanges if e.status >= 400]

    assert {frozenset(e.answer) for e in refusals} == {
        frozenset({"code", "message", "more_info", "status"})
    }
    assert all(e.answer["status"] == e.status for e in refusals)
