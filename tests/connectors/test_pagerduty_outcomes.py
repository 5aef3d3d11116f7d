"""PagerDuty: what became of incidents, by asking, and by webhooks that it signs."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest
import running

from connectors.errors import ContractBroken, Rejected, Uncertain
from connectors.pagerduty.connector import PagerDuty
from connectors.pagerduty.sandbox_webhooks import sign
from connectors.record import Account, RecordId, Subscription, WebhookRequest, Write

PAGERDUTY = PagerDuty()
_WAIT_S = 20


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Sandbox]:
    with running.sandbox("pagerduty", tmp_path_factory.mktemp("pagerduty")) as box:
        yield box


@pytest.fixture(name="account")
def _account(box: running.Sandbox) -> Iterator[Account]:
    box.set(limits={"requests": 100_000, "creates": 100_000})
    account = running.account(box, PAGERDUTY, running.authorise(box, PAGERDUTY.oauth))
    yield replace(account, settings={"service_id": "PSBXSV1"})
    box.clear_faults()


def _say(box: running.Sandbox, what: str, **document: object) -> dict[str, str]:
    answer = box.http.post(f"{box.url}/_pagerduty/{what}", json=document)
    return answer.raise_for_status().json()


def _open(account: Account, number: int = 1) -> list[RecordId]:
    records: list[RecordId] = []
    for start in range(0, number, PAGERDUTY.max_batch):
        size = min(PAGERDUTY.max_batch, number - start)
        writes = [
            Write(uuid.uuid4().hex, "incident", {"title": f"Leak {n}"}, is_first=True)
            for n in range(size)
        ]
        records += [one.record for one in PAGERDUTY.write(account, writes) if one.record]
    return records


# Asking.


def test_touched_resolved_and_timed_out_are_told_apart(
    box: running.Sandbox, account: Account
) -> None:
    """Acknowledged is a touch; resolved by a person is success; resolved by its service is not."""
    open_, taken, done, late = _open(account, 4)
    _say(box, "acknowledge", id=taken.id)
    _say(box, "resolve", id=done.id)
    _say(box, "timeout", id=late.id)

    closures = {one.record.id: one for one in PAGERDUTY.closed(account, [open_, taken, done, late])}

    told = {k: (one.result, one.is_closed, one.is_success) for k, one in closures.items()}
    assert told == {
        taken.id: ("acknowledged", False, True),
        done.id: ("resolved", True, True),
        late.id: ("timed out", True, False),
    }
    assert all(abs(one.closed_at - datetime.now(UTC)).seconds < 60 for one in closures.values())


def test_many_incidents_are_asked_for_in_one_call(box: running.Sandbox, account: Account) -> None:
    """Recent ones stand together in the list."""
    records = _open(account, 30)
    _say(box, "resolve", id=records[7].id)
    before = box.stats()["calls_total"]

    (closure,) = PAGERDUTY.closed(account, records)

    assert closure.record == records[7]
    assert box.stats()["calls_total"] - before == 1


def test_what_the_list_does_not_show_is_read_alone(box: running.Sandbox, account: Account) -> None:
    """One that is gone is left out; notes and other things are not asked for at all."""
    (record,) = _open(account)
    _say(box, "resolve", id=record.id)
    before = box.stats()["calls_total"]

    closures = PAGERDUTY.closed(account, [record, RecordId("incident", "QGONE")])
    between = box.stats()["calls_total"]

    assert [one.record.id for one in closures] == [record.id]
    assert between - before == 2
    assert list(PAGERDUTY.closed(account, [RecordId("note", "N1")])) == []
    assert box.stats()["calls_total"] == between


# Webhooks.


@dataclass
class Inbox:
    """An address on this machine that takes webhooks; ``status`` is what it answers, once it ``may_answer``."""

    url: str = ""
    status: int = 202
    may_answer: threading.Event = field(default_factory=threading.Event)
    requests: Queue[WebhookRequest] = field(default_factory=Queue)

    def next(self, secret: str) -> WebhookRequest:
        """Wait for the next webhook."""
        return replace(self.requests.get(timeout=_WAIT_S), secret=secret)


@pytest.fixture(name="inbox")
def _inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    inbox.may_answer.set()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take one webhook."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            inbox.requests.put(WebhookRequest(headers, body, inbox.url))
            inbox.may_answer.wait(_WAIT_S)
            self.send_response(inbox.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    inbox.url = f"http://127.0.0.1:{server.server_port}/v1/hooks/connection-1"
    yield inbox
    server.shutdown()
    server.server_close()


@pytest.fixture(name="subscribed")
def _subscribed(account: Account, inbox: Inbox) -> Iterator[tuple[Account, Subscription]]:
    told = replace(account, webhook_url=inbox.url)
    known = PAGERDUTY.subscribe(told, None)
    yield told, known
    PAGERDUTY.unsubscribe(told, known)


def test_a_page_that_is_taken_up_and_resolved_is_reported(
    box: running.Sandbox, inbox: Inbox, subscribed: tuple[Account, Subscription]
) -> None:
    """Both arrive signed, the first as a touch, the second as the end."""
    account, known = subscribed
    (record,) = _open(account)

    _say(box, "acknowledge", id=record.id)
    (touch,) = PAGERDUTY.webhook(account, inbox.next(known.secret))
    _say(box, "resolve", id=record.id)
    (end,) = PAGERDUTY.webhook(account, inbox.next(known.secret))

    assert (touch.record.id, touch.is_closed, touch.result) == (record.id, False, "acknowledged")
    assert (end.record.id, end.is_closed, end.is_success) == (record.id, True, True)
    assert touch.closed_at.tzinfo is not None


def test_a_page_that_nobody_took_is_reported_as_such(
    box: running.Sandbox, inbox: Inbox, subscribed: tuple[Account, Subscription]
) -> None:
    """The service that resolved it is the event's agent."""
    account, known = subscribed
    (record,) = _open(account)
    _say(box, "timeout", id=record.id)

    (end,) = PAGERDUTY.webhook(account, inbox.next(known.secret))

    assert (end.result, end.is_closed, end.is_success) == ("timed out", True, False)


def test_one_of_several_signatures_is_enough(
    box: running.Sandbox, inbox: Inbox, subscribed: tuple[Account, Subscription]
) -> None:
    """While PagerDuty changes the secret, the old one and the new one both verify."""
    account, known = subscribed
    fresh = _say(box, "rotate", id=known.id)["secret"]
    (record,) = _open(account)
    _say(box, "acknowledge", id=record.id)

    request = inbox.next(known.secret)

    assert request.headers["x-pagerduty-signature"].count("v1=") == 2
    assert PAGERDUTY.webhook(account, request)
    assert PAGERDUTY.webhook(account, replace(request, secret=fresh))
    with pytest.raises(Rejected):
        PAGERDUTY.webhook(account, replace(request, secret="another"))
    with pytest.raises(Rejected):
        PAGERDUTY.webhook(account, replace(request, body=request.body + b" "))


def _signed(document: object, secret: str = "s") -> WebhookRequest:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {"x-pagerduty-signature": sign(secret, body)}
    return WebhookRequest(headers, body, "https://afterbeep.example/v1/hooks/x", secret=secret)


def test_other_events_close_nothing(account: Account) -> None:
    """Such as the ping with which one tries a subscription."""
    ping = {"event": {"event_type": "pagey.ping", "data": {"type": "ping"}}}
    opened = {"event": {"event_type": "incident.triggered", "data": {"id": "Q1"}}}

    assert list(PAGERDUTY.webhook(account, _signed(ping))) == []
    assert list(PAGERDUTY.webhook(account, _signed(opened))) == []


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"event": None},
        {"event": {"event_type": "incident.resolved", "data": []}},
        {"event": {"event_type": "incident.resolved", "data": {"id": 7}}},
        {"event": {"event_type": "incident.resolved", "data": {"id": "Q1"}, "occurred_at": "soon"}},
    ],
)
def test_an_event_of_another_shape_breaks_the_contract(account: Account, document: object) -> None:
    """It came from PagerDuty, and is not what the documents say."""
    with pytest.raises(ContractBroken):
        PAGERDUTY.webhook(account, _signed(document))


@pytest.mark.parametrize("header", ["", "v1=", "v0=00", "v1=é", "sha256=00"])
def test_a_signature_that_is_none_is_refused(account: Account, header: str) -> None:
    """Whatever stands in the header."""
    request = replace(_signed({"event": {}}), headers={"x-pagerduty-signature": header})

    with pytest.raises(Rejected):
        PAGERDUTY.webhook(account, request)


def test_a_signed_body_that_is_no_json_is_refused(account: Account) -> None:
    """There is nothing to read in it."""
    with pytest.raises(Rejected):
        PAGERDUTY.webhook(account, _signed(b"\xff not json"))


# Subscriptions.


def _subscriptions(box: running.Sandbox, account: Account) -> list[dict[str, object]]:
    headers = {"Authorization": f"Bearer {account.token}"}
    answer = box.http.get(f"{box.url}/webhook_subscriptions", headers=headers)
    found: list[dict[str, object]] = answer.raise_for_status().json()["webhook_subscriptions"]
    return found


def test_subscribing_again_makes_no_second_subscription(
    box: running.Sandbox, subscribed: tuple[Account, Subscription]
) -> None:
    """The known one is kept, secret and all."""
    account, known = subscribed

    assert PAGERDUTY.subscribe(account, known) == known
    assert len(_subscriptions(box, account)) == 1


def test_a_subscription_that_ends_while_it_reports_has_ended(
    box: running.Sandbox, account: Account, inbox: Inbox
) -> None:
    """The answer to its last webhook does not bring it back."""
    told = replace(account, webhook_url=inbox.url)
    known = PAGERDUTY.subscribe(told, None)
    (record,) = _open(told)
    inbox.may_answer.clear()
    _say(box, "acknowledge", id=record.id)
    inbox.next(known.secret)

    PAGERDUTY.unsubscribe(told, known)
    inbox.may_answer.set()

    waiting = threading.Event()
    for _ in range(20):
        assert _subscriptions(box, told) == []
        waiting.wait(0.02)


def test_a_subscription_whose_secret_was_lost_is_replaced(
    box: running.Sandbox, account: Account, inbox: Inbox
) -> None:
    """Its answer was cut off: the secret is told only once, so it is made anew."""
    told = replace(account, webhook_url=inbox.url)
    box.fault(kind="cut_after", path="/webhook_subscriptions", method="POST")

    with pytest.raises(Uncertain):
        PAGERDUTY.subscribe(told, None)
    made = PAGERDUTY.subscribe(told, None)

    assert [one["id"] for one in _subscriptions(box, told)] == [made.id]
    assert made.secret
    PAGERDUTY.unsubscribe(told, made)
    PAGERDUTY.unsubscribe(told, made)
    assert _subscriptions(box, told) == []


def test_a_subscription_moves_with_the_hubs_address(
    box: running.Sandbox, subscribed: tuple[Account, Subscription], inbox: Inbox
) -> None:
    """PagerDuty cannot change the address of one, so there is a new one instead."""
    account, known = subscribed
    moved = replace(account, webhook_url=f"{inbox.url}-moved")

    made = PAGERDUTY.subscribe(moved, known)

    assert made.id != known.id
    assert [one["id"] for one in _subscriptions(box, account)] == [made.id]
    PAGERDUTY.unsubscribe(moved, made)


def test_a_subscription_that_pagerduty_disabled_is_enabled_again(
    box: running.Sandbox, inbox: Inbox, subscribed: tuple[Account, Subscription]
) -> None:
    """Three webhooks that nobody took disable it; renewing makes it report again."""
    account, known = subscribed
    inbox.status = 410
    for record in _open(account, 3):
        _say(box, "acknowledge", id=record.id)
        inbox.next(known.secret)
    _until_disabled(box, account)
    inbox.status = 202

    PAGERDUTY.subscribe(account, known)

    (record,) = _open(account)
    _say(box, "acknowledge", id=record.id)
    (touch,) = PAGERDUTY.webhook(account, inbox.next(known.secret))
    assert touch.record.id == record.id


def _until_disabled(box: running.Sandbox, account: Account) -> None:
    """Wait until the sandbox has counted the webhooks that it dropped."""
    waiting = threading.Event()
    for _ in range(_WAIT_S * 20):
        (one,) = _subscriptions(box, account)
        method = one["delivery_method"]
        assert isinstance(method, dict)
        if method["temporarily_disabled"]:
            return
        waiting.wait(0.05)
    pytest.fail("the subscription was not disabled")


def test_without_a_public_address_there_is_no_subscription(account: Account) -> None:
    """The hub is then asked to poll."""
    with pytest.raises(Rejected):
        PAGERDUTY.subscribe(account, None)
