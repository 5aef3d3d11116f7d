"""Requests of the connector and answers of the sandbox fit the document of Salesforce's REST API.

The document is not ours to ship: it lies in ``../shared`` where it is at hand.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jsonschema_rs
import pytest
import running
from werkzeug.serving import make_server

from connectors.errors import ConnectorError, NotYet, Uncertain
from connectors.interface import WorksLater
from connectors.record import Account, Lookup, OAuth, Outcome, RecordId, Write
from connectors.registry import connector
from connectors.sandbox.serve import load

PLACE = Path(__file__).parents[4] / "shared" / "vendors" / "specs"
DOCUMENT = PLACE / "salesforce_rest.handauthored.json"
pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason="the vendor's document is not at hand in ../shared"
)
#: Not in the document: set-up, and the page on which a person decides.
UNDOCUMENTED = ("/tooling/", "/services/oauth2/authorize", "/_sandbox/", "/_salesforce/")


@dataclass(frozen=True)
class Exchange:
    """A request, and the answer that it got; bodies are read where they are JSON, CSV or forms."""

    method: str
    path: str
    body: Any
    status: int
    answer: Any


class Recorder:
    """Passes WSGI requests on to a sandbox and keeps both sides."""

    def __init__(self, app: Any) -> None:
        """Stand before this application."""
        self._app = app
        self.exchanges: list[Exchange] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Pass a request on."""
        from io import BytesIO

        raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(raw)
        seen: list[str] = []
        answered_as: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            seen.append(status)
            answered_as.append(dict(headers).get("Content-Type", ""))
            return start_response(status, headers, *rest)

        answer = b"".join(self._app(environ, start))
        sent_as = environ.get("CONTENT_TYPE") or ""
        self.exchanges.append(
            Exchange(
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                dict(parse_qsl(raw.decode())) if "form" in sent_as else _read(raw, sent_as),
                int(seen[0].split()[0]),
                _read(answer, answered_as[0]),
            )
        )
        return [answer]


def _read(raw: bytes, content_type: str) -> Any:
    if content_type.startswith("text/csv"):
        return raw.decode()
    try:
        return json.loads(raw)
    except ValueError:
        return None


@pytest.fixture(name="exchanges", scope="module")
def _exchanges(tmp_path_factory) -> list[Exchange]:
    """Use everything that the connector does, once."""
    folder = tmp_path_factory.mktemp("document")
    recorder = Recorder(None)
    server = make_server("127.0.0.1", 0, recorder, threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    recorder._app = load("salesforce", folder=folder, public_url=url)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with httpx.Client() as http:
        _use_everything(running.Sandbox("salesforce", url, folder, None, http))
    server.shutdown()
    server.server_close()
    return recorder.exchanges


def _use_everything(box: running.Sandbox) -> None:
    vendor = connector("salesforce")
    assert isinstance(vendor.oauth, OAuth)
    tokens = running.authorise(box, vendor.oauth)
    running.token(
        box, vendor.oauth, grant_type="refresh_token", refresh_token=tokens["refresh_token"]
    )
    running.token(box, vendor.oauth, grant_type="refresh_token", refresh_token="gone")
    account = running.account(box, vendor, tokens)
    vendor.identify(account)
    vendor.prepare(account)
    vendor.describe(account)
    vendor.describe(account, "Lead")
    good = {"LastName": "Whitfield", "Company": "W", "Title": None}
    keys = [uuid.uuid4().hex for _ in range(3)]
    outcomes = vendor.write(
        account,
        [
            Write(keys[0], "Lead", good),
            Write(keys[1], "Lead", {"LastName": "W"}),
            Write(keys[0], "Lead", good),
        ],
    )
    record = outcomes[0].record
    assert record is not None
    vendor.write(account, [Write(keys[2], "Lead", {"Title": "Owner"}, record.id)])
    vendor.find(
        account, [Lookup("Lead", key=keys[0]), Lookup("Lead", by={"Phone": "+14155550132"})]
    )
    vendor.closed(account, [record])
    _use_jobs(box, account)
    for fault in ({"status": 429}, {"status": 503}):
        box.fault(kind="status", path="/query", **fault)
        with pytest.raises(ConnectorError):
            vendor.find(account, [Lookup("Lead", key=keys[0])])
    box.post("expire")
    with pytest.raises(ConnectorError):
        vendor.identify(account)
    url = str(vendor.oauth.revoke_url).format(base=box.url)
    box.http.post(url, data={"token": tokens["refresh_token"]}).raise_for_status()


def _use_jobs(box: running.Sandbox, account: Account) -> None:
    """Use Bulk API 2.0: a job with good and bad rows, one for another kind, and one that fails."""
    vendor = connector("salesforce")
    assert isinstance(vendor, WorksLater)
    settings = {"bulk_delay_s": 0, "bulk_rows_per_s": 1e9}
    box.http.post(f"{box.url}/_salesforce/settings", json=settings).raise_for_status()
    good = {"LastName": "Whitfield", "Company": "W", "Title": None}
    known: list[RecordId] = []
    for wrong in ({}, {"Nope__c": "x"}):
        fields = [{"LastName": "W"}, {**good, **wrong}, *[good] * 210]
        writes = [Write(uuid.uuid4().hex, "Lead", one) for one in fields]
        outcomes = _done(vendor, account, writes)
        known += [one.record for one in outcomes if one.record]
    assert len(known) == 211
    updates = [Write(uuid.uuid4().hex, "Lead", {"Title": "Owner"}, one.id) for one in known]
    assert all(one.record for one in _done(vendor, account, updates))
    box.fault(kind="status", status=503, method="PUT", path="/jobs/")
    with pytest.raises(ConnectorError):
        vendor.write(account, updates)
    assert isinstance(
        vendor.poll(account, "bulk:upsert:750bm0zzzzzzzzzAAA", updates)[0].error, Uncertain
    )


def _done(vendor: Any, account: Account, writes: list[Write]) -> Sequence[Outcome]:
    taken = vendor.write(account, writes)[0].error
    assert isinstance(taken, NotYet)
    vendor.poll(account, taken.job, writes)
    return vendor.poll(account, taken.job, writes)


def _as_json_schema(part: Any) -> Any:
    """Give OpenAPI 3.0's ``nullable`` in the words of JSON Schema."""
    if isinstance(part, list):
        return [_as_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    read = {name: _as_json_schema(value) for name, value in part.items() if name != "nullable"}
    return {"anyOf": [read, {"type": "null"}]} if part.get("nullable") else read


@pytest.fixture(name="document", scope="module")
def _document() -> dict[str, Any]:
    return _as_json_schema(json.loads(DOCUMENT.read_text("utf-8")))


def _operation(document: dict[str, Any], exchange: Exchange) -> dict[str, Any] | None:
    path = exchange.path.rstrip("/")
    # A path without a variable is a better fit than one with.
    for template in sorted(document["paths"], key=lambda one: one.count("{")):
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and exchange.method.lower() in document["paths"][template]:
            return document["paths"][template][exchange.method.lower()]
    return None


def _problems(document: dict[str, Any], content: dict[str, Any], value: Any) -> list[str]:
    schema = next(iter(content.values()))["schema"]
    whole = {"components": document["components"], **schema}
    return [error.message for error in jsonschema_rs.validator_for(whole).iter_errors(value)]


def _documented(exchanges: list[Exchange]) -> list[Exchange]:
    return [e for e in exchanges if not any(part in e.path for part in UNDOCUMENTED)]


def test_every_address_is_documented(document, exchanges):
    """The connector calls nothing that Salesforce does not have."""
    unknown = {
        (e.method, e.path) for e in _documented(exchanges) if _operation(document, e) is None
    }

    assert len(_documented(exchanges)) > 20
    assert unknown == set()


def test_every_address_of_a_job_was_used(exchanges):
    """So that the two facts below are about jobs too."""
    seen = {(e.method, re.sub(r"750\w+", "*", e.path)) for e in exchanges if "/jobs/" in e.path}
    base = "/services/data/v62.0/jobs/ingest"

    assert seen >= {
        ("POST", base),
        ("PUT", f"{base}/*/batches"),
        ("PATCH", f"{base}/*"),
        ("GET", f"{base}/*"),
        ("GET", f"{base}/*/successfulResults"),
        ("GET", f"{base}/*/failedResults"),
        ("GET", f"{base}/*/unprocessedrecords"),
    }


def test_requests_fit_the_document(document, exchanges):
    """The bodies that we send are what the operations take."""
    problems, checked = [], 0
    for exchange in _documented(exchanges):
        operation = _operation(document, exchange) or {}
        if "requestBody" in operation:
            checked += 1
            content = operation["requestBody"]["content"]
            found = _problems(document, content, exchange.body)
            problems += [(exchange.method, exchange.path, problem) for problem in found]

    assert checked > 5
    assert problems == []


def test_answers_fit_the_document(document, exchanges):
    """The sandbox answers as Salesforce documents, errors too."""
    problems, statuses = [], set()
    for exchange in _documented(exchanges):
        operation = _operation(document, exchange) or {"responses": {}}
        answer = operation["responses"].get(str(exchange.status))
        if answer is None:
            problems.append((exchange.method, exchange.path, f"status {exchange.status}"))
            continue
        statuses.add(exchange.status)
        # The document has the REST API's list of errors for the token address, where OAuth's own
        # object is answered (RFC 6749, 5.2).
        is_oauth_error = exchange.path.endswith("/token") and exchange.status == 400
        content = answer.get("content")
        if is_oauth_error:
            content = {"json": {"schema": {"$ref": "#/components/schemas/OAuthError"}}}
        if content:
            found = _problems(document, content, exchange.answer)
            problems += [(exchange.path, exchange.status, problem) for problem in found]

    assert {200, 201, 400, 401, 403, 404, 503} <= statuses
    assert problems == []
