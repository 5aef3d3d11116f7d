"""What is Twilio's own: at most once, consent, quiet hours, opting out, reports, its ways to say no."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zoneinfo import ZoneInfo

import pytest
import running

from connectors.errors import (
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.record import Lookup, RecordId, WebhookRequest, Write
from connectors.sandbox.limits import LimitRule, Limits
from connectors.sandbox.store import Store
from connectors.twilio_sms.calls import messaging_url
from connectors.twilio_sms.connector import TwilioSMS
from connectors.twilio_sms.quiet import QuietHours, quiet_until, time_zones
from connectors.twilio_sms.refusals import refused
from connectors.twilio_sms.rules import rules_of
from connectors.twilio_sms.sandbox_reports import signature
from connectors.twilio_sms.segments import segments

TWILIO = TwilioSMS()
# One number gets the texts of all these tests.
OPEN = {"quiet_hours": False, "texts_per_day": 1_000}
DESK, GUEST = "+14155550100", "+14155550132"
SECOND = "AC5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a62"


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory) -> Iterator[running.Sandbox]:
    with running.sandbox("twilio_sms", tmp_path_factory.mktemp("twilio_sms")) as box:
        _set(box, delivery_s=None)
        yield box


@pytest.fixture(name="account")
def _account(box):
    yield running.keyed_account(box, TWILIO, settings=OPEN)
    box.clear_faults()
    _set(box, delivery_s=None, queue_s=36_000, segments_per_s=1, inbound_url=None)


def _set(box, **settings):
    box.http.post(f"{box.url}/_twilio/settings", json=settings).raise_for_status()


def _text(to=GUEST, *, body=None, is_first=False, **fields):
    body = body or f"We will call you back. {uuid.uuid4().hex}"
    return Write(
        uuid.uuid4().hex,
        "message",
        {"To": to, "From": DESK, "Body": body, "consent": True, **fields},
        is_first=is_first,
    )


def _send(account, *writes):
    return TWILIO.write(account, writes)


def _texts(box, body):
    return [one for one in box.records("message", limit=1000) if one["fields"]["Body"] == body]


# At most once.


def test_a_first_write_is_sent_whatever_was_sent_before(box, account):
    """A text that was certainly never sent costs a look and a call; the same words go out again for another key."""
    before = box.stats()["calls_total"]
    text = _text(is_first=True)
    (one,) = _send(account, text)
    (other,) = _send(account, replace(text, key="another voicemail"))

    assert one.record.id != other.record.id
    assert box.stats()["calls_total"] - before == 4


def test_a_recipient_gets_so_many_texts_a_day_and_no_more(box, account):
    """What comes after is parked with a sentence; other recipients and failed texts do not count."""
    capped = replace(account, settings={"quiet_hours": False, "texts_per_day": 2})
    caller, other = "+14155550177", "+14155550178"
    (failed,) = _send(capped, _text(caller))
    document = {"sid": failed.record.id, "status": "failed", "error_code": 30001}
    box.http.post(f"{box.url}/_twilio/status", json=document).raise_for_status()

    sent = _send(capped, *[_text(caller, is_first=True) for _ in range(2)], _text(other))
    (one_more, again) = _send(capped, _text(caller, is_first=True), _text(caller))
    (raised,) = _send(replace(capped, settings=OPEN), _text(caller))

    assert [one.error for one in [*sent, raised]] == [None] * 4
    for refused_one in (one_more, again):
        assert isinstance(refused_one.error, Rejected)
        assert refused_one.error.code == "texts_per_day"
        assert "2 texts in the last 24 hours" in refused_one.error.detail


def test_a_batch_does_not_pass_what_a_recipient_may_get(box, account):
    """Texts of one batch count too."""
    capped = replace(account, settings={"quiet_hours": False})
    outcomes = _send(capped, *[_text("+14155550179", is_first=True) for _ in range(5)])

    assert [one.error is None for one in outcomes] == [True, True, True, False, False]


def test_a_known_text_is_not_sent_again(box, account):
    """A replay of a delivered row gives its text, without a call."""
    (made,) = _send(account, _text(is_first=True))
    before = box.stats()["calls_total"]
    (again,) = _send(account, replace(_text(), record_id=made.record.id))

    assert (again.record, again.is_new) == (made.record, False)
    assert box.stats()["calls_total"] == before


def test_two_keys_of_the_same_words_find_a_text_each(box, account):
    """Of two rows whose answers were lost, one text answers for one of them only."""
    text = _text(is_first=True)
    _send(account, text)
    lookups = [Lookup("message", key=key, fields=text.fields) for key in ("a", "b", "a")]
    found = TWILIO.find(account, lookups)

    assert [len(one.candidates) for one in found] == [1, 0, 1]


def test_other_words_to_the_same_number_are_another_text(box, account):
    """Only exactly the same words are taken for a text that was sent."""
    (one,) = _send(account, _text(body="We will call you back today."))
    (other,) = _send(account, _text(body="We will call you back today"))

    assert one.record.id != other.record.id


def test_a_text_cannot_be_found_without_its_words(account):
    """A question that cannot be answered is refused rather than answered with no."""
    for lookup in (
        Lookup("message", key="k"),
        Lookup("message", by={"To": GUEST}),
        Lookup("call", key="k", fields={"To": GUEST, "Body": "x"}),
    ):
        with pytest.raises(Rejected):
            TWILIO.find(account, [lookup])


def test_nothing_follows_a_lost_answer(box, account):
    """After a lost answer the rest of the batch is not sent; each row says what it needs."""
    texts = [_text(is_first=True) for _ in range(3)]
    box.fault(kind="cut_after", path="/Messages.json", method="POST")
    outcomes = _send(account, *texts)

    assert [type(one.error) for one in outcomes] == [Uncertain, Unavailable, Unavailable]
    assert outcomes[0].error.ask_after_s == 60
    assert [len(_texts(box, one.fields["Body"])) for one in texts] == [1, 0, 0]


def test_a_limit_in_the_middle_of_a_batch_keeps_what_was_sent(box, account):
    """What was sent before the refusal is told as sent, the rest waits."""
    calls = []

    def spend(**units):
        calls.append(units)
        if len(calls) > 3:  # the recipient's texts were listed before
            raise Throttled("the budget is spent", retry_after_s=30)

    texts = [_text(is_first=True) for _ in range(4)]
    outcomes = _send(replace(account, spend=spend), *texts)

    assert [one.error is None for one in outcomes] == [True, True, False, False]
    assert all(isinstance(one.error, Throttled) for one in outcomes[2:])


def test_long_texts_take_more_of_the_senders_time(box, account):
    """Each part of a text is charged a second of the sender; a faster sender less."""
    spent = []
    watched = replace(account, spend=lambda **units: spent.append(units))
    text = _text(body="Łukasz " * 20, is_first=True)
    _send(watched, text)
    _send(replace(watched, settings={**OPEN, "segments_per_s": 10}), replace(text, key="faster"))

    look = {"concurrency": 1}
    assert spent == [
        look,
        {"concurrency": 1, "sender_ms": 3_000},
        look,
        {"concurrency": 1, "sender_ms": 300},
    ]
    assert TWILIO.write_cost([text]) == {"concurrency": 2, "sender_ms": 3_000}


# Consent and quiet hours.


@pytest.mark.parametrize("consent", [{}, {"consent": None}, {"consent": False}, {"consent": "yes"}])
def test_without_consent_nothing_is_sent(box, account, consent):
    """Only a plain true is consent; the row says what to do."""
    text = _text()
    fields = {name: value for name, value in text.fields.items() if name != "consent"} | consent
    (outcome,) = _send(account, replace(text, fields=fields))

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "consent"
    assert _texts(box, fields["Body"]) == []


def test_consent_may_be_assumed_by_an_admin(box, account):
    """Where callers agree in another way, the connection says so; consent itself is never sent."""
    text = _text()
    fields = {name: value for name, value in text.fields.items() if name != "consent"}
    assumed = replace(account, settings={**OPEN, "consent": "assumed"})
    (outcome,) = _send(assumed, replace(text, fields=fields))

    assert outcome.error is None
    (record,) = _texts(box, fields["Body"])
    assert "consent" not in record["fields"]
    described = {one.name: one for one in TWILIO.describe(assumed, "message")}
    assert not described["consent"].is_required
    assert {one.name for one in TWILIO.describe(account, "message") if one.is_required} == {
        "To",
        "Body",
        "consent",
    }


def test_a_text_waits_for_the_morning_of_its_recipient(box, account):
    """In quiet hours the row waits until they end there, and others are sent."""
    here = datetime.now(ZoneInfo("America/Los_Angeles"))
    start = here.replace(hour=(here.hour - 1) % 24, minute=0, second=0, microsecond=0)
    end = time((here.hour + 2) % 24)
    night = {"start": start.strftime("%H:%M"), "end": end.strftime("%H:%M")}
    strict = replace(account, settings={"quiet_hours": night, "countries": "US AU"})
    texts = [_text(), _text("+61891230000")]  # Perth, where it is another time of the day
    late, other = _send(strict, *texts)

    assert isinstance(late.error, NotYet)
    assert 3_600 < late.error.retry_after_s <= 3 * 3_600
    assert late.error.job is None
    assert other.error is None


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-22T16:00:00+00:00", None),
        ("2026-11-22T04:59:00+00:00", None),
        ("2026-11-22T05:00:00+00:00", "2026-11-22T16:00:00+00:00"),
        ("2026-11-22T15:59:59+00:00", "2026-11-22T16:00:00+00:00"),
        # The clocks go forward in this night.
        ("2026-03-08T07:00:00+00:00", "2026-03-08T15:00:00+00:00"),
    ],
)
def test_quiet_hours_end_in_the_morning_there(at, until):
    """From nine at night to eight in the morning in San Francisco."""
    hours = QuietHours(time(21), time(8))
    got = quiet_until(time_zones(GUEST), hours, datetime.fromisoformat(at))

    assert got == (None if until is None else datetime.fromisoformat(until))


def test_with_several_time_zones_it_must_be_day_in_all():
    """An Australian mobile may be in Perth or in Sydney: both must be awake."""
    zones = time_zones("+61412345678")
    hours = QuietHours(time(21), time(8))
    until = quiet_until(zones, hours, datetime(2026, 11, 22, 22, tzinfo=UTC))

    assert len(zones) > 1
    assert until is not None
    assert all(not hours.covers(until.astimezone(zone).time()) for zone in zones)


def test_where_it_is_never_day_everywhere_most_are_awake():
    """A toll-free number may be anywhere between Guam and Puerto Rico; the text still goes out some time."""
    zones = time_zones("+18005550199")
    hours = QuietHours(time(21), time(8))
    at = datetime(2026, 11, 22, 9, tzinfo=UTC)
    until = quiet_until(zones, hours, at)

    assert until is not None
    awake = sum(not hours.covers(until.astimezone(zone).time()) for zone in zones)
    assert awake > len(zones) * 0.9
    assert quiet_until(zones, hours, until) is None


def test_a_number_of_no_country_is_refused_while_there_are_quiet_hours(box, account):
    """Nobody knows what time it is there."""
    (outcome,) = _send(replace(account, settings={}), _text("+9990123456"))

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "To"


@pytest.mark.parametrize(
    "settings",
    [
        {"consent": "perhaps"},
        {"quiet_hours": {"start": "21:00"}},
        {"quiet_hours": "night"},
        {"quiet_hours": {"start": "25:00", "end": "08:00"}},
        {"sender": 14155550100},
        {"segments_per_s": 0},
        {"countries": "Freedonia"},
        {"countries": ["US"]},
    ],
)
def test_settings_that_cannot_be_are_named(account, settings):
    """Nothing is sent under a setting that is not understood."""
    (name,) = settings
    with pytest.raises(Rejected, match=name):
        rules_of(settings)
    (outcome,) = _send(replace(account, settings=settings), _text())

    assert isinstance(outcome.error, Rejected)


# Senders.


def test_the_only_number_sends_where_none_is_named(box, account):
    """An account with one number that can text needs no setting."""
    text = _text()
    fields = {name: value for name, value in text.fields.items() if name != "From"}
    (outcome,) = _send(account, replace(text, fields=fields))

    assert outcome.error is None
    assert _texts(box, fields["Body"])[0]["fields"]["From"] == DESK
    assert TWILIO.prepare(account) == []


def test_of_several_numbers_somebody_must_choose(box):
    """With two numbers and no setting the row waits for a person, and set-up says so."""
    account = running.keyed_account(box, TWILIO, account=SECOND, settings=OPEN)
    text = _text()
    fields = {name: value for name, value in text.fields.items() if name != "From"}
    (outcome,) = _send(account, replace(text, fields=fields))
    (todo,) = TWILIO.prepare(account)

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "From"
    assert not todo.is_blocking
    chosen = replace(account, settings={**OPEN, "sender": "+12125550111"})
    (sent,) = _send(chosen, replace(text, fields=fields))
    assert sent.error is None
    assert TWILIO.prepare(chosen) == []


def test_a_messaging_service_may_send(box, account):
    """The service of a connection, or of a mapping, chooses the number."""
    service = "MG5f0c6a1e9b7d4c3f8a2e1d0b9c8f7a01"
    text = _text()
    fields = {name: value for name, value in text.fields.items() if name != "From"}
    (outcome,) = _send(
        replace(account, settings={**OPEN, "sender": service}), replace(text, fields=fields)
    )

    assert outcome.error is None
    assert _texts(box, fields["Body"])[0]["fields"]["MessagingServiceSid"] == service
    (field,) = [f for f in TWILIO.describe(account, "message") if f.name == "MessagingServiceSid"]
    assert service in {choice.value for choice in field.choices}


def test_stale_texts_are_dropped_by_twilio(box, account):
    """Four hours unless the mapping says otherwise."""
    plain, short = _text(), _text(ValidityPeriod=600)
    _send(account, plain, short)

    assert _texts(box, plain.fields["Body"])[0]["fields"]["ValidityPeriod"] == 14_400
    assert _texts(box, short.fields["Body"])[0]["fields"]["ValidityPeriod"] == 600


# Refusals.


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("+15005550001", "21211"),
        ("+15005550002", "21612"),
        ("+15005550003", "21408"),
        ("+15005550004", "21610"),
        ("+15005550009", "21614"),
    ],
)
def test_numbers_that_cannot_be_texted_are_refused(account, to, code):
    """The row is parked with what is wrong, never the number itself."""
    (outcome,) = _send(account, _text(to))

    assert isinstance(outcome.error, Rejected)
    assert (outcome.error.field, outcome.error.code) == ("To", code)
    assert to not in outcome.error.detail


def test_stop_ends_texts_until_start(box, account):
    """Twilio keeps who has replied STOP; the row says so. START ends it."""
    guest = "+14155550176"

    def reply(body):
        document = {"from": guest, "to": DESK, "body": body}
        box.http.post(f"{box.url}/_twilio/inbound", json=document).raise_for_status()

    reply("stop")
    (refusal,) = _send(account, _text(guest))
    reply("HELP")
    reply("Start")
    (sent,) = _send(account, _text(guest))

    assert refusal.error.code == "21610"
    assert "STOP" in refusal.error.detail
    assert sent.error is None


def test_a_full_queue_is_throttled(box, account):
    """Ten hours of texts at one number: later, and nothing was taken."""
    _set(box, queue_s=0)
    text = _text(is_first=True)
    with pytest.raises(Throttled) as caught:
        _send(account, _text(is_first=True), text) and _send(account, text)

    assert caught.value.code == "21611"
    assert caught.value.retry_after_s >= 600
    assert _texts(box, text.fields["Body"]) == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, 20429, Throttled),
        (400, 21611, Throttled),
        (401, 20003, NeedsReconnect),
        (403, 20003, NeedsReconnect),
        (400, 99999, Rejected),
        (500, 20500, Unavailable),
        (503, None, Unavailable),
        (502, None, Uncertain),
        (504, None, Uncertain),
        (302, None, ContractBroken),
    ],
)
def test_what_happens_next(status, code, kind):
    """Every kind of answer has its consequence."""
    text = json.dumps({"code": code, "message": "No, Dana", "status": status})
    error = refused(status, {"retry-after": "7"}, text, sent=["Dana"], is_write=True)

    assert type(error) is kind
    assert "Dana" not in error.detail


def test_refusals_need_not_be_json():
    """A page of HTML, a list, a code that is no number: still an error with its consequence."""
    for text in ("<html>", "[]", '{"code": "x"}', '{"code": true}', ""):
        assert type(refused(400, {}, text)) is Rejected
        assert type(refused(502, {}, text)) is Unavailable


def test_a_standard_key_may_not_read_the_account_and_need_not(box, account):
    """The account's name is read with the Auth Token; a wrong one is noticed at once."""
    assert TWILIO.identify(account)[1] == "Whitfield Plumbing"
    keys = json.loads(account.token)
    for wrong in ("auth_token", "api_key_secret"):
        with pytest.raises(NeedsReconnect):
            TWILIO.identify(replace(account, token=json.dumps({**keys, wrong: "0" * 32})))
    for token in ("", "[]", "null", json.dumps({**keys, "account_sid": "AC1/../AC2"})):
        with pytest.raises(NeedsReconnect):
            TWILIO.identify(replace(account, token=token))


def test_keys_of_one_account_open_no_other(box, account):
    """An Account SID with another account's key is refused."""
    keys = {**json.loads(account.token), "account_sid": SECOND}

    with pytest.raises(NeedsReconnect):
        TWILIO.describe(replace(account, token=json.dumps(keys)), "message")


# Reports.


@pytest.fixture(name="heard")
def _heard():
    """Listen as the hub does, and keep what Twilio reports."""
    heard: list[WebhookRequest] = []
    arrived = threading.Condition()

    class Hub(BaseHTTPRequestHandler):
        """Keeps each report."""

        def do_POST(self) -> None:
            """Take a report."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with arrived:
                heard.append(WebhookRequest(headers, body, server.url + self.path))
                arrived.notify_all()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.url = f"http://127.0.0.1:{server.server_port}"

    def wait_for(number):
        with arrived:
            assert arrived.wait_for(lambda: len(heard) >= number, timeout=20)
        return heard

    wait_for.url = server.url
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield wait_for
    server.shutdown()
    server.server_close()


def test_reports_tell_what_became_of_a_text(box, account, heard):
    """Sent is a first touch, delivered closes it, undelivered closes it without success; all signed."""
    account = replace(account, webhook_url=f"{heard.url}/hooks/1?x=a%20b")
    (made,) = _send(account, _text())
    for number, (status, code) in enumerate(
        [("sent", None), ("delivered", None), ("undelivered", 30003), ("sending", None)], start=1
    ):
        document = {"sid": made.record.id, "status": status, "error_code": code}
        box.http.post(f"{box.url}/_twilio/status", json=document).raise_for_status()
        heard(number)
    closures = [TWILIO.webhook(account, request) for request in heard(4)]

    assert [[(c.result, c.is_closed, c.is_success) for c in one] for one in closures] == [
        [("sent", False, True)],
        [("delivered", True, True)],
        [("undelivered (30003)", True, False)],
        [],
    ]
    assert {c.record.id for one in closures for c in one} == {made.record.id}


def test_texts_arrive_by_themselves(box, account, heard):
    """The sandbox's carrier sends and delivers, and reports both."""
    _set(box, delivery_s=0.1)
    account = running.keyed_account(box, TWILIO, account=SECOND, settings=OPEN)
    account = replace(account, webhook_url=f"{heard.url}/hooks/1")
    _send(account, _text(From="+14155550110"))
    found = [closure for request in heard(2) for closure in TWILIO.webhook(account, request)]

    assert {closure.result for closure in found} == {"sent", "delivered"}


def test_forged_reports_are_refused(box, account):
    """A changed parameter, another token, another address, no signature: nobody closes a text that way."""
    keys = json.loads(account.token)
    told = {
        "AccountSid": keys["account_sid"],
        "MessageSid": "SM" + "0" * 32,
        "MessageStatus": "delivered",
    }
    url = "https://afterbeep.example/hooks/1"
    body = "&".join(f"{name}={value}" for name, value in told.items()).encode()
    good = signature(url, told, keys["auth_token"])

    def request(sign, **changed):
        return replace(WebhookRequest({"x-twilio-signature": sign}, body, url), **changed)

    assert len(TWILIO.webhook(account, request(good))) == 1
    for forged in (
        request(""),
        request(signature(url, told, "other")),
        request(good, url="https://afterbeep.example/hooks/2"),
        request(good, body=body.replace(b"delivered", b"failed")),
        request(good, body=body + b"&MessageStatus=failed"),
        request(good, body=b"\xff\xfe"),
        request("é"),
    ):
        with pytest.raises(Rejected):
            TWILIO.webhook(account, forged)


def test_reports_on_other_accounts_and_replies_close_nothing(box, account, heard):
    """What persons reply is verified and changes nothing here; another account's text is not ours."""
    _set(box, inbound_url=f"{heard.url}/in")
    document = {"from": GUEST, "to": DESK, "body": "Thank you & bye = über"}
    box.http.post(f"{box.url}/_twilio/inbound", json=document).raise_for_status()

    assert TWILIO.webhook(account, heard(1)[0]) == []
    other = running.keyed_account(box, TWILIO, account=SECOND)
    with pytest.raises(Rejected):
        TWILIO.webhook(other, heard(1)[0])


def test_asking_tells_texts_that_are_gone_or_lost(box, account):
    """A text that was deleted is left out; a failed one is closed without success."""
    lost, waiting = (one.record for one in _send(account, _text(), _text()))
    document = {"sid": lost.id, "status": "failed", "error_code": 30001}
    box.http.post(f"{box.url}/_twilio/status", json=document).raise_for_status()
    gone = RecordId("message", "SM" + "f" * 32)
    (closure,) = TWILIO.closed(account, [gone, waiting, lost, RecordId("message", "../x")])

    assert (closure.record, closure.result, closure.is_success) == (lost, "failed (30001)", False)


def test_asking_stops_where_the_budget_does(box, account):
    """What was learned before is told; with nothing learned, the refusal is."""
    records = [one.record for one in _send(account, _text(), _text())]
    for record in records:
        document = {"sid": record.id, "status": "delivered"}
        box.http.post(f"{box.url}/_twilio/status", json=document).raise_for_status()

    def budget(calls):
        left = iter(range(calls))

        def spend(**units):
            if next(left, None) is None:
                raise Throttled("the budget is spent", retry_after_s=9)

        return replace(account, spend=spend)

    assert len(TWILIO.closed(budget(1), records)) == 1
    with pytest.raises(Throttled):
        TWILIO.closed(budget(0), records)


# Parts of a text, addresses, limits.


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # A sign that counts twice is not cut in two.
        ("a" * 152 + "€" + "a" * 152, 3),
        ("ł" * 70, 1),
        ("ł" * 71, 2),
        ("👩" * 35, 1),
        ("👩" * 36, 2),
        ("👩" * 34 + "ł" * 66, 3),
    ],
)
def test_parts_are_counted_as_they_are_charged(text, parts):
    """GSM-7: 160, then 153 each; UCS-2: 70, then 67 each."""
    assert segments(text) == parts


@pytest.mark.parametrize(
    ("base", "messaging"),
    [
        ("https://api.twilio.com", "https://messaging.twilio.com"),
        ("https://api.dublin.ie1.twilio.com", "https://messaging.dublin.ie1.twilio.com"),
        ("http://127.0.0.1:8301", "http://127.0.0.1:8301"),
        ("https://api.twilio.com.evil.example", "https://api.twilio.com.evil.example"),
    ],
)
def test_messaging_services_have_a_host_of_their_own(base, messaging):
    """In the same region as the API; a sandbox has one address for all."""
    assert messaging_url(base) == messaging


def test_simultaneous_calls_are_limited_and_given_back(tmp_path):
    """A place is taken while a call is under way, by account, and is free again afterwards."""
    limits = Limits(
        Store(tmp_path / "s.sqlite", key_field="k"),
        (LimitRule("concurrency", 1, 1.0, kind="concurrency"),),
    )
    first = limits.take("a", {"concurrency": 1})["concurrency"]
    second = limits.take("a", {"concurrency": 1})["concurrency"]
    other = limits.take("b", {"concurrency": 1})["concurrency"]
    limits.release("a", ["concurrency"])
    third = limits.take("a", {"concurrency": 1})["concurrency"]

    assert [one.is_over for one in (first, second, other, third)] == [False, True, False, False]


def test_the_sandbox_shows_its_keys_to_a_person(box, account):
    """A newcomer finds what to paste on the sandbox's first page; withdrawing makes new ones."""
    page = box.http.get(box.url + "/").text
    keys = json.loads(account.token)

    assert all(value in page for value in keys.values())
    box.post("revoke")
    with pytest.raises(NeedsReconnect):
        TWILIO.describe(account, "message")
    assert TWILIO.describe(running.keyed_account(box, TWILIO), "message")


def test_a_text_is_no_record_of_work():
    """Its arrival is the first touch of the caller and closes nothing."""
    assert TWILIO.purposes == {"message": "text"}
    assert TWILIO.repeats is None


def test_unknown_objects_are_refused(account):
    """Twilio has messages here and nothing else."""
    (outcome,) = _send(account, Write("k", "call", {"To": GUEST}))

    assert isinstance(outcome.error, Rejected)
