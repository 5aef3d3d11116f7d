"""Google Calendar: what the SDK's requests do on the wire, against small servers that misbehave on purpose."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.google_calendar.connector import GoogleCalendar
from connectors.google_calendar.refusals import refused
from connectors.record import Account, Lookup, RecordId, WebhookRequest, Write

GOOGLE = GoogleCalendar()
START = "2031-01-07T10:00:00-08:00"
Answering = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def _server(answer: Answering) -> Iterator[tuple[Account, list[tuple[str, str]]]]:
    """Serve with this answer; give an account there, and the requests that came."""
    came: list[tuple[str, str]] = []

    class Answerer(BaseHTTPRequestHandler):
        """Answers as the test says."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Note the request and answer."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            came.append((self.path, self.headers.get("Authorization", "")))
            answer(self, body)

        do_GET = do_POST  # noqa: N815 - the name that http.server asks for

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answerer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Account("c1", f"http://127.0.0.1:{server.server_port}", "secret-token"), came
    finally:
        server.shutdown()
        server.server_close()


def _send(handler: BaseHTTPRequestHandler, body: bytes, kind: str, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _multipart(*parts: tuple[int, bytes]) -> Answering:
    """Answer a batch with these statuses and bodies, in the order of its parts."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        head = f"Content-Type: {handler.headers['Content-Type']}\r\n\r\n".encode()
        asked = BytesParser().parsebytes(head + body).get_payload()
        made = b""
        for one, (status, content) in zip(asked, parts, strict=True):
            name = one["Content-ID"].replace("<", "<response-", 1)
            made += (
                f"--b\r\nContent-Type: application/http\r\nContent-ID: {name}\r\n\r\n"
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n"
            ).encode()
            made += content + b"\r\n"
        _send(handler, made + b"--b--\r\n", "multipart/mixed; boundary=b")

    return answer


def _said(status: int, reason: str) -> bytes:
    listed = [{"domain": "global", "reason": reason, "message": reason}]
    return json.dumps({"error": {"errors": listed, "code": status, "message": reason}}).encode()


def _event(key: str = "k") -> Write:
    return Write(key, "event", {"summary": "Boiler", "start": START})


def _made(name: str) -> bytes:
    return json.dumps({"id": name, "status": "confirmed", "summary": "Größe: 王"}).encode()


def test_a_write_is_sent_once_when_the_connection_breaks():
    """A connection closed without an answer is Uncertain after one request; httplib2 would send again."""

    def cut(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        handler.close_connection = True

    with _server(cut) as (account, came), pytest.raises(Uncertain):
        GOOGLE.write(account, [_event()])

    assert len(came) == 1


def test_a_kept_connection_that_was_closed_hides_no_second_write():
    """Where the server closes a kept connection while it takes the next write, that write is sent once."""
    answer = _multipart((200, _made("abcde")))

    def once(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if len(came) == 1:
            answer(handler, body)
        else:
            handler.close_connection = True

    with _server(once) as (account, came):
        GOOGLE.write(account, [_event()])
        with pytest.raises(Uncertain):
            GOOGLE.write(account, [_event()])

        assert len(came) == 2


def test_parts_that_are_unauthorised_are_not_sent_again():
    """The SDK would send such parts a second time with a refreshed token; ours asks the hub for one."""
    answer = _multipart((401, _said(401, "authError")), (200, _made("abcde")))

    with _server(answer) as (account, came), pytest.raises(TokenExpired):
        GOOGLE.write(account, [_event("a"), _event("b")])

    assert len(came) == 1


def test_a_redirect_is_not_followed():
    """The token goes to the address of the account and to no other."""

    def away(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        handler.send_response(307)
        handler.send_header("Location", "http://127.0.0.1:9/")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with _server(away) as (account, came):
        with pytest.raises(ContractBroken, match="another address"):
            GOOGLE.identify(account)
        with pytest.raises(ContractBroken, match="another address"):
            GOOGLE.write(account, [_event()])

    assert {authorization for _, authorization in came} == {"Bearer secret-token"}


def test_a_part_that_cannot_be_read_breaks_only_its_row():
    """The other rows of the batch keep their outcomes, words of other languages too."""
    answer = _multipart((200, b'{"id": "ab'), (200, _made("abcde")), (200, b"[1]"))

    with _server(answer) as (account, _):
        outcomes = GOOGLE.write(account, [_event("a"), _event("b"), _event("c")])

    assert isinstance(outcomes[0].error, ContractBroken)
    assert outcomes[1].record.id == "abcde@primary"
    assert isinstance(outcomes[2].error, ContractBroken)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n\r\nnothing\r\n--b--",
        b"--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}\r\n--b--",
        b"--b--",
    ],
)
def test_a_batch_that_cannot_be_read_breaks_the_contract(body):
    """Parts without names, without status, or none at all are no crash."""

    def garbled(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        _send(handler, body, "multipart/mixed; boundary=b")

    with _server(garbled) as (account, _), pytest.raises(ContractBroken):
        GOOGLE.write(account, [_event()])


def test_a_batch_refused_whole_is_not_blamed_on_its_rows():
    """A 400 for the whole batch says nothing of any record, so none is parked as refused."""

    def refuse(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        _send(handler, _said(400, "badRequest"), "application/json", 400)

    with _server(refuse) as (account, _), pytest.raises(ContractBroken):
        GOOGLE.write(account, [_event()])


def test_words_of_callers_do_not_count_as_calls():
    """Units are counted from the batch's own lines, whatever a description says."""
    spent: list[dict[str, int]] = []
    words = "GET /calendar/v3/x HTTP/1.1\nPATCH /calendar/v3/y HTTP/1.1\r\n--===============1==\n"
    write = Write("k", "event", {"summary": words, "description": words, "start": START})

    with _server(_multipart((200, _made("abcde")))) as (account, _):
        poor = Account("c1", account.base_url, "t", spend=lambda **units: spent.append(units))
        GOOGLE.write(poor, [write])

    assert spent == [{"app_minute": 1, "user_minute": 1}]


def test_accounts_are_told_apart_for_the_quota():
    """QuotaUser is the same for a connection and another for others, and holds no name."""
    asked: list[str] = []
    for name in ("connection-1", "connection-1", "connection-2"):
        with _server(lambda h, _: _send(h, b'{"id": "x"}', "application/json")) as (account, came):
            GOOGLE.identify(Account(name, account.base_url, "t"))
            asked += [path for path, _ in came]

    assert asked[0] == asked[1] != asked[2]
    assert all("quotaUser=" in path and "connection" not in path for path in asked)


def test_a_look_up_whose_answer_is_lost_is_not_a_write():
    """Batches of reads are POSTs; a lost answer leaves nothing in doubt."""

    def cut(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        handler.close_connection = True

    with _server(cut) as (account, _), pytest.raises(Unavailable):
        GOOGLE.find(account, [Lookup("event", key="k")])


def test_an_answer_without_calendars_breaks_the_contract():
    """Free/busy that says nothing of the calendar is no free calendar."""
    own = json.dumps({"id": "a@x.example", "accessRole": "owner", "timeZone": "UTC"}).encode()
    for said in (b"{}", b'{"calendars": {}}', b'{"calendars": {"primary": {"busy": [{}]}}}'):
        with (
            _server(_multipart((200, own), (200, said))) as (account, _),
            pytest.raises(ContractBroken),
        ):
            GOOGLE.write(account, [Write("k", "hold", {"summary": "x"})])


def _always(content: bytes) -> Answering:
    """Answer whatever is asked, parts of batches too, with this."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if not handler.path.startswith("/batch/"):
            _send(handler, content, "application/json")
            return
        head = f"Content-Type: {handler.headers['Content-Type']}\r\n\r\n".encode()
        number = len(BytesParser().parsebytes(head + body).get_payload())
        _multipart(*[(200, content)] * number)(handler, body)

    return answer


STRANGE = [
    {},
    {"id": 5, "items": 3, "calendars": [], "expiration": []},
    {"id": "x", "items": [1, None], "calendars": {"primary": 3}, "resourceId": 4},
    {"id": [], "items": [{}], "calendars": {"primary": {"busy": [7]}}, "accessRole": "owner"},
    {"items": [{"start": 1, "end": [], "attendees": 7, "extendedProperties": {"private": 3}}]},
    {
        "id": "x",
        "start": {"dateTime": 9},
        "end": {},
        "attendees": [4, {"email": None}],
        "updated": 1,
    },
    {"id": "x", "summary": ["a"], "status": {}, "extendedProperties": [], "htmlLink": 4},
    {"accessRole": "owner", "timeZone": "Nowhere/At/All", "calendars": {"primary": {"errors": 1}}},
    {"expiration": "99999999999999999999", "resourceId": "r", "items": [], "nextPageToken": 1},
]


@pytest.mark.parametrize("said", STRANGE)
def test_strange_answers_are_no_crash(said):
    """Answers that are JSON and make no sense end in an outcome or a ConnectorError, and never in a loop."""
    key = Lookup("event", key="k", read=("start", "summary", "attendees", "duration_minutes"))
    contact = Lookup("event", by={"contact": "+14155550132"}, read=("contact", "end"))
    ids = [RecordId("hold", f"{n}0000@primary") for n in range(5)]
    message = WebhookRequest(
        {"x-goog-channel-token": "t"}, b"", "https://x.example", secret="t", state={}
    )
    acts = (
        lambda account: GOOGLE.write(account, [_event(), Write("u", "event", {}, "abcde")]),
        lambda account: GOOGLE.write(account, [Write("h", "hold", {"summary": "x"})]),
        lambda account: GOOGLE.find(account, [key, contact]),
        lambda account: GOOGLE.closed(account, ids[:1]),
        lambda account: GOOGLE.closed(account, ids),
        GOOGLE.describe,
        lambda account: GOOGLE.describe(account, "hold"),
        GOOGLE.identify,
        GOOGLE.prepare,
        lambda account: GOOGLE.webhook(account, message),
        lambda account: GOOGLE.subscribe(replace(account, webhook_url="https://x.example"), None),
    )
    with _server(_always(json.dumps(said).encode())) as (account, came):
        for act in acts:
            with suppress(ConnectorError):
                act(account)

    assert len(came) < 40


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (403, "userRateLimitExceeded", Throttled),
        (403, "rateLimitExceeded", Throttled),
        (403, "quotaExceeded", Throttled),
        (403, "dailyLimitExceeded", Throttled),
        (429, "rateLimitExceeded", Throttled),
        (429, "anything", Throttled),
        (403, "forbidden", Rejected),
        (403, "requiredAccessLevel", Rejected),
        (403, "insufficientPermissions", NeedsReconnect),
        (403, "accessNotConfigured", NeedsReconnect),
        (401, "authError", TokenExpired),
        (400, "invalid", Rejected),
        (404, "notFound", Rejected),
        (410, "deleted", Rejected),
        (412, "conditionNotMet", Unavailable),
        (500, "backendError", Unavailable),
        (503, "backendError", Unavailable),
    ],
)
def test_the_reason_says_what_happens_next(status, reason, error):
    """The same status means different things; Google's reason decides."""
    found, said = refused(status, json.loads(_said(status, reason)))

    assert type(found) is error
    assert (said, found.code, found.status) == (reason, reason, status)
    if isinstance(found, Throttled):
        assert found.retry_after_s >= 30


@pytest.mark.parametrize(
    "said", [{}, {"error": "invalid_request"}, {"error": {"errors": "?"}}, {"error": 7}]
)
def test_a_refusal_without_a_reason_breaks_the_contract(said):
    """What the documents do not describe is not guessed at."""
    assert type(refused(400, said)[0]) is ContractBroken
    assert type(refused(503, said)[0]) is Unavailable
