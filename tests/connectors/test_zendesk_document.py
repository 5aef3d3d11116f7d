"""Zendesk: requests of the connector and answers of the sandbox fit what the vendor documents.

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

from connectors.record import Account, Lookup, Write
from connectors.zendesk.connector import Zendesk

ZENDESK = Zendesk()
DOCUMENT = Path(__file__).parents[3] / "shared" / "vendors" / "specs" / "zendesk_support.cut.json"
pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="the vendor's document is not at hand in ../shared"
)
#: Documented elsewhere: the cut of the document at hand leaves them out.
UNDOCUMENTED = ("/api/v2/webhooks", "/api/v2/user_fields", "/api/v2/oauth")


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
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kept = ("Authorization", "Content-Type", "Idempotency-Key")
            answer = httpx.request(
                self.command,
                relay.target + self.path,
                content=body,
                headers={name: self.headers[name] for name in kept if self.headers[name]},
            )
            relay.exchanges.append(
                Exchange(
                    self.command,
                    self.path.partition("?")[0],
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
        do_PATCH = do_GET  # noqa: N815 - the name that http.server asks for
        do_DELETE = do_GET  # noqa: N815 - the name that http.server asks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    return Passing


@pytest.fixture(name="exchanges", scope="module")
def _exchanges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Exchange]]:
    """Give the exchanges of everything that the connector can do."""
    with running.sandbox("zendesk", tmp_path_factory.mktemp("zendesk")) as box:
        settings = {"job_s": 0, "bulk_users": True}
        box.http.post(f"{box.url}/_zendesk/settings", json=settings).raise_for_status()
        account, _ = running.connect(box, ZENDESK)
        relay = Relay(box.url)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _relay(relay))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            _do_everything(replace(account, base_url=f"http://127.0.0.1:{server.server_port}"))
        finally:
            server.shutdown()
            server.server_close()
        yield relay.exchanges


def _key() -> str:
    return uuid.uuid4().hex


def _do_everything(account: Account) -> None:
    ZENDESK.identify(account)
    ZENDESK.describe(account)
    for name in ("Ticket", "User"):
        ZENDESK.describe(account, name)
    dana = {"name": "Dana Whitfield", "email": "dana@whitfield.example", "phone": "+14155550132"}
    (user,) = ZENDESK.write(account, [Write(_key(), "User", dana)])
    assert user.record is not None
    words = {
        "description": "Water through the ceiling",
        "subject": "Leak",
        "priority": "urgent",
        "type": "problem",
        "tags": ["voicemail"],
        "comment_public": False,
        "custom_fields.8101": "Boiler 3",
    }
    mine = {**words, "requester_id": user.record.id}
    theirs = {**words, "requester_name": "Sam Lake", "requester_email": "sam@lake.example"}
    first = Write(_key(), "Ticket", mine)
    (ticket,) = ZENDESK.write(account, [first])
    assert ticket.record is not None
    ZENDESK.write(account, [replace(first, fields={**mine, "priority": "low"})])
    many = [Write(_key(), "Ticket", one) for one in (mine, theirs, {**words, "description": " "})]
    known = [
        Write(_key(), "Ticket", {"tags": ["second"], "due_at": None}, ticket.record.id),
        Write(_key(), "Ticket", {"priority": "low"}, "999"),
    ]
    people = [Write(_key(), "User", {"name": f"Caller {n}"}) for n in range(2)]
    bulk = replace(account, settings={"bulk_users": True})
    for writes in (many, known, people):
        jobs = {o.error.job for o in ZENDESK.write(bulk, writes) if o.error}  # type: ignore[attr-defined] # all wait for a job
        (job,) = jobs
        ZENDESK.poll(bulk, job, writes)
        ZENDESK.poll(bulk, job, writes[:1])
    ZENDESK.write(account, [Write(_key(), "User", {"notes": "x"}, user.record.id)])
    ZENDESK.closed(account, [ticket.record])
    ZENDESK.find(account, [Lookup("Ticket", key=one.key) for one in (first, *many)])
    ZENDESK.find(account, [Lookup("User", key="none"), Lookup("User", by={"email": dana["email"]})])
    ZENDESK.find(account, [Lookup("Ticket", by={"requester_id": user.record.id})])
    ZENDESK.write(account, [Write(_key(), "User", dana)])


@pytest.fixture(name="document", scope="module")
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
    return found


def _operation(document: dict[str, Any], exchange: Exchange) -> dict[str, Any] | None:
    fits: list[tuple[int, dict[str, Any]]] = []
    for template, methods in document["paths"].items():
        shape = re.sub(r"\{[^}]*\}", "[^/]+", template)
        if re.fullmatch(shape, exchange.path) and exchange.method.lower() in methods:
            fits.append((template.count("{"), methods[exchange.method.lower()]))
    # "/tickets/show_many" fits "/tickets/{ticket_id}" too; the plainer one is meant.
    return min(fits, key=lambda one: one[0])[1] if fits else None


def _problems(document: dict[str, Any], part: dict[str, Any], value: object) -> list[str]:
    rules = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        # A $ref hides what stands beside it in this draft, so it is put one step down.
        "allOf": [part["content"]["application/json"]["schema"]],
        "components": document["components"],
    }
    return [error.message for error in jsonschema_rs.validator_for(rules).iter_errors(value)]


def _without_nulls(value: Any) -> Any:
    """Leave out what is null: this kind of document says so with a word that JSON Schema does not know."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _without_own_fields(body: Any) -> Any:
    """Leave out values of custom fields: where they are sent the document describes the fields themselves."""
    if isinstance(body, dict):
        rest = {name: one for name, one in body.items() if name != "custom_fields"}
        return {name: _without_own_fields(one) for name, one in rest.items()}
    return [_without_own_fields(one) for one in body] if isinstance(body, list) else body


def _without_refused_rows(answer: Any) -> Any:
    """Leave out rows that a job refused: the document knows only those that it made or changed."""
    for one in [answer.get("job_status") or {}, *(answer.get("job_statuses") or [])]:
        if isinstance(one.get("results"), list):
            one["results"] = [row for row in one["results"] if not row.get("error")]
    return answer


def test_every_call_is_documented(exchanges, document):
    """The connector calls nothing that the document does not have, but for what is named above."""
    unknown = {
        (e.method, e.path)
        for e in exchanges
        if not e.path.startswith(UNDOCUMENTED) and _operation(document, e) is None
    }

    assert unknown == set()
    assert len(exchanges) > 25


def test_requests_fit_the_document(exchanges, document):
    """Every body that the connector sends is of the documented shape."""
    problems = [
        (e.path, problem)
        for e in exchanges
        if e.body is not None
        and (operation := _operation(document, e))
        and "requestBody" in operation
        for sent in [_without_own_fields(_without_nulls(e.body))]
        for problem in _problems(document, operation["requestBody"], sent)
    ]

    assert problems == []


def test_answers_fit_the_document(exchanges, document):
    """Every answer of the sandbox that is no refusal is of the documented shape."""
    problems: list[tuple[str, int, str]] = []
    checked = 0
    for e in exchanges:
        operation = _operation(document, e)
        part = (operation or {}).get("responses", {}).get(str(e.status))
        if part is None or "content" not in part:
            continue
        checked += 1
        answer = _without_refused_rows(_without_nulls(e.answer))
        problems += [(e.path, e.status, problem) for problem in _problems(document, part, answer)]

    assert problems == []
    assert checked > 20
