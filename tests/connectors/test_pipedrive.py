"""Pipedrive: what is its own, against the sandbox over HTTP."""

from __future__ import annotations

import base64
import json
import queue
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import running

from connectors.errors import (
    Ambiguous,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.pipedrive.connector import Pipedrive
from connectors.pipedrive.refusals import refused
from connectors.record import Account, Lookup, RecordId, WebhookRequest, Write

PIPEDRIVE = Pipedrive()
MANY = {"tokens": 1_000_000, "requests": 1_000_000, "search": 1_000_000}
#: Told by the headers; more than all tests of this module spend.
TOLD = {"tokens": 900_000, "requests": 8_000, "search": 10}
SYNCED, PLAIN = "7301", "7302"


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory) -> Iterator[running.Sandbox]:
    with running.sandbox("pipedrive", tmp_path_factory.mktemp("pipedrive")) as box:
        yield box


@pytest.fixture(name="account")
def _account(box) -> Iterator[Account]:
    box.set(limits=MANY)
    account = connect(box)
    assert PIPEDRIVE.prepare(account) == []
    yield account
    box.clear_faults()
    settings(box, index_lag_s=0, phone_search="digits", max_deals=None)


def connect(box, *, account=SYNCED, **parts) -> Account:
    """Connect one of the two companies."""
    tokens = running.authorise(box, PIPEDRIVE.oauth, account=account)
    return running.account(box, PIPEDRIVE, tokens, **parts)


def settings(box, **values) -> None:
    """Change the sandbox's own settings."""
    box.http.post(f"{box.url}/_pipedrive/settings", json=values).raise_for_status()


def key() -> str:
    """Give a key that no other test uses."""
    return uuid.uuid4().hex


def phone() -> str:
    """Give a number that no other test uses."""
    return f"+1415555{uuid.uuid4().int % 10_000:04d}{uuid.uuid4().int % 1_000:03d}"


def made(account, object_name, *, of=None, **fields) -> RecordId:
    """Write a record that must succeed."""
    (outcome,) = PIPEDRIVE.write(account, [Write(of or key(), object_name, fields)])
    assert outcome.record is not None, outcome.error
    return outcome.record


def api(box, account, method, path, **body):
    """Call the sandbox as a salesperson's browser does."""
    headers = {"Authorization": f"Bearer {account.token}"}
    answer = box.http.request(method, f"{box.url}{path}", headers=headers, json=body or None)
    return answer.raise_for_status().json()["data"]


def spending(account) -> tuple[Account, dict[str, int]]:
    """Give an account whose spending is counted."""
    spent: dict[str, int] = {}

    def spend(**units: int) -> None:
        for name, number in units.items():
            spent[name] = spent.get(name, 0) + number

    return replace(account, spend=spend), spent


def found(account, object_name, **by) -> list[str]:
    """Look records up by values and give their ids."""
    (answer,) = PIPEDRIVE.find(account, [Lookup(object_name, by=by)])
    return [one.record.id for one in answer.candidates]


# Limits.


def test_the_days_tokens_refuse_until_midnight(box, account):
    """When fewer tokens are left than a call costs, nothing is tried before the server's next day."""
    box.set(limits={**MANY, "tokens": 4})

    with pytest.raises(Throttled) as caught:
        PIPEDRIVE.write(account, [Write(key(), "Person", {"name": "Dana"}, is_first=True)])

    tomorrow = datetime.now(UTC).replace(hour=23, minute=59, second=59)
    left_s = (tomorrow - datetime.now(UTC)).total_seconds()
    assert caught.value.code == "daily"
    assert left_s < caught.value.retry_after_s < left_s + 180


def test_the_burst_refuses_for_seconds(box, account):
    """The limit of two seconds is told from the day's by the tokens that are left."""
    box.set(limits={**MANY, "requests": 0})

    with pytest.raises(Throttled) as caught:
        PIPEDRIVE.identify(account)

    assert caught.value.code == "burst"
    assert caught.value.retry_after_s <= 3


def test_a_429_without_headers_is_read_by_its_words():
    """The daily headers may be missing; the sentence then tells, and without one it is the burst."""
    daily = refused(429, {}, {"error": "Daily limit"}, is_write=True, tokens=5, sent={})
    burst = refused(429, {}, {"error": "Too many"}, is_write=True, tokens=5, sent={})
    unclear = refused(
        429, {"x-ratelimit-remaining": "60"}, {"error": "No"}, is_write=True, tokens=5, sent={}
    )

    assert [one.code for one in (daily, burst, unclear)] == ["daily", "burst", "unclear"]
    assert burst.retry_after_s < unclear.retry_after_s < 3600


def test_midnight_is_the_servers():
    """How long to wait is counted from the answer's own date."""
    headers = {
        "date": "Sun, 22 Nov 2026 23:00:00 GMT",
        "x-daily-ratelimit-token-remaining": "0",
        "x-ratelimit-remaining": "70",
    }

    error = refused(429, headers, {}, is_write=False, tokens=1, sent={})

    assert error.retry_after_s == pytest.approx(3660)


def test_the_firewalls_page_is_a_limit_and_no_broken_contract(box, account):
    """A 403 with Cloudflare's HTML means: too many calls; minutes, not an alert."""
    box.fault(kind="status", status=403, path="/users/me")

    with pytest.raises(Throttled) as caught:
        PIPEDRIVE.identify(account)

    assert caught.value.retry_after_s >= 60


def test_headers_correct_the_limits(box):
    """Tokens and burst come from the headers; an answer to a search speaks of searches."""
    box.set(limits=TOLD)
    seen: list[dict[str, int | None]] = []

    def observe(status, headers, ms) -> None:
        readings = PIPEDRIVE.read_limits(status, headers)
        seen.append({one.name: one.capacity for one in readings})

    watched = replace(connect(box, account=PLAIN), observe=observe)  # few tests search there
    PIPEDRIVE.identify(watched)
    found(watched, "Person", email="nobody@whitfield.example")
    box.set(limits=MANY)

    assert seen == [{"tokens": 900_000, "requests": 8_000}, {"tokens": 900_000, "search": 10}]
    assert PIPEDRIVE.read_limits(200, {}) == []


# What a write costs.


def test_a_first_write_costs_five_tokens(account):
    """A key that was never sent is not looked for."""
    watched, spent = spending(account)
    write = Write(key(), "Person", {"name": "Dana"}, is_first=True)

    (outcome,) = PIPEDRIVE.write(watched, [write])

    assert outcome.is_new
    assert spent == {"tokens": 5, "requests": 1} == PIPEDRIVE.write_cost([write])


@pytest.mark.parametrize(
    ("object_name", "fields", "tokens"),
    [
        ("Person", {"name": "Dana"}, 10 + 20 + 5),
        ("Deal", {"title": "Boiler"}, 10 + 20 + 5),
        ("Activity", {"subject": "Call back"}, 10 + 5),
    ],
)
def test_a_later_write_pays_for_looking(account, object_name, fields, tokens):
    """List, search and create; an activity has only the list."""
    watched, spent = spending(account)
    write = Write(key(), object_name, fields)

    PIPEDRIVE.write(watched, [write])

    assert spent["tokens"] == tokens
    assert spent == PIPEDRIVE.write_cost([write])


def test_a_list_is_read_once_for_a_batch(account):
    """Ten rows cost one list and ten searches."""
    watched, spent = spending(account)
    writes = [Write(key(), "Person", {"name": "Dana"}) for _ in range(PIPEDRIVE.max_batch)]

    PIPEDRIVE.write(watched, writes)

    assert spent == {"tokens": 10 + 10 * 25, "requests": 21, "search": 10}
    assert spent == PIPEDRIVE.write_cost(writes)


def test_a_batch_that_the_budget_stops_keeps_what_is_written(account):
    """Rows that were written have their outcomes, the rest comes again; nothing is written twice."""
    writes = [Write(key(), "Person", {"name": f"Dana {n}"}, is_first=True) for n in range(4)]
    left = [2]

    def spend(**units: int) -> None:
        if not left[0]:
            raise Throttled("the budget is spent", retry_after_s=60)
        left[0] -= 1

    first = PIPEDRIVE.write(replace(account, spend=spend), writes)
    again = PIPEDRIVE.write(account, [replace(one, is_first=False) for one in writes])

    assert [type(one.error) for one in first] == [type(None)] * 2 + [Throttled] * 2
    assert [one.is_new for one in again] == [False, False, True, True]
    assert [one.record.id for one in again[:2]] == [one.record.id for one in first[:2]]


def test_a_lost_answer_stops_the_batch(box, account):
    """The row is uncertain; those behind it were not sent and come again at once."""
    writes = [Write(key(), "Person", {"name": f"Dana {n}"}, is_first=True) for n in range(3)]
    PIPEDRIVE.write(account, writes[:1])
    box.fault(kind="cut_after", path="/api/v2/persons", method="POST")

    outcomes = PIPEDRIVE.write(account, [replace(writes[0], is_first=False), *writes[1:]])

    assert [type(one.error) for one in outcomes] == [type(None), Uncertain, NotYet]
    assert outcomes[1].error.ask_after_s > 0


# One record of a key.


@pytest.mark.parametrize(
    "object_name", ["Person", "Organization", "Deal", "Lead", "Activity", "Note"]
)
def test_a_lost_answer_makes_no_second_record_while_the_index_lags(box, account, object_name):
    """What was written a moment ago is found although the search does not know it yet."""
    person = made(account, "Person", name="Dana Whitfield")
    fields = {
        "Person": {"name": "Dana"},
        "Organization": {"name": "Whitfield Interiors"},
        "Deal": {"title": "Boiler"},
        "Lead": {"title": "Boiler", "person_id": person.id},
        "Activity": {"subject": "Call back", "person_id": person.id, "note": "<p>Leak</p>"},
        "Note": {"content": "<p>Leak</p>", "person_id": person.id},
    }[object_name]
    settings(box, index_lag_s=3600)
    write = Write(key(), object_name, fields)
    box.fault(kind="cut_after", method="POST")

    with pytest.raises(Uncertain):
        PIPEDRIVE.write(account, [write])
    (answer,) = PIPEDRIVE.find(account, [Lookup(object_name, key=write.key, fields=fields)])
    (again,) = PIPEDRIVE.write(account, [write])

    assert again.error is None
    assert [one.record.id for one in answer.candidates] == [again.record.id]
    assert not again.is_new
    assert box.stats()["duplicate_keys"] == []


def test_a_record_that_is_not_among_the_newest_is_found_by_search(box, account):
    """An archived lead is in no list; its replay changes it and makes no second."""
    person = made(account, "Person", name="Dana Whitfield")
    write = Write(key(), "Lead", {"title": "Boiler", "person_id": person.id})
    (first,) = PIPEDRIVE.write(account, [write])
    api(box, account, "PATCH", f"/api/v1/leads/{first.record.id}", is_archived=True)

    (again,) = PIPEDRIVE.write(account, [write])

    assert again.record.id == first.record.id
    assert box.stats()["duplicate_keys"] == []


def test_a_converted_lead_is_not_made_again(box, account):
    """The lead lives on as a deal, which has its mark: the replay is parked."""
    person = made(account, "Person", name="Dana Whitfield")
    write = Write(key(), "Lead", {"title": "Boiler", "person_id": person.id})
    (first,) = PIPEDRIVE.write(account, [write])
    box.http.post(
        f"{box.url}/_pipedrive/convert", json={"lead": first.record.id}
    ).raise_for_status()

    (again,) = PIPEDRIVE.write(account, [write])
    (answer,) = PIPEDRIVE.find(account, [Lookup("Lead", key=write.key)])

    assert isinstance(again.error, Rejected)
    assert "converted" in again.error.detail
    assert answer.candidates == ()


def test_the_sandbox_notices_a_second_record_of_a_key(box, account):
    """Two writes at once, each sure to be the first, make two records: that is why repeats is None."""
    write = Write(key(), "Person", {"name": "Dana"}, is_first=True)
    PIPEDRIVE.write(account, [write])
    PIPEDRIVE.write(account, [write])
    duplicates = box.stats()["duplicate_keys"]

    (outcome,) = PIPEDRIVE.write(account, [replace(write, is_first=False)])
    box.post("clear")

    assert [one["created"] for one in duplicates] == [2]
    assert isinstance(outcome.error, Ambiguous)
    assert len(outcome.error.candidates) == 2
    assert PIPEDRIVE.repeats is None


def test_a_note_keeps_its_mark_when_its_text_changes(box, account):
    """A replay with other words finds the note again; the mark stands there once."""
    person = made(account, "Person", name="Dana Whitfield")
    write = Write(key(), "Note", {"content": "<p>Leak</p>", "person_id": person.id})
    PIPEDRIVE.write(account, [write])
    PIPEDRIVE.write(account, [replace(write, fields={**write.fields, "content": "<p>Flood</p>"})])

    (outcome,) = PIPEDRIVE.write(account, [write])

    (note,) = [one for one in box.records("Note") if one["fields"]["person_id"] == int(person.id)]
    assert note["id"] == outcome.record.id
    assert note["fields"]["content"].startswith("<p>Leak</p>")
    assert note["fields"]["content"].count("Afterbeep") == 1


def test_keys_of_one_persons_notes_are_told_apart(account):
    """Two voicemails of one person make two notes."""
    person = made(account, "Person", name="Dana Whitfield")
    writes = [
        Write(key(), "Note", {"content": "<p>Leak</p>", "person_id": person.id}) for _ in "ab"
    ]

    outcomes = PIPEDRIVE.write(account, writes)

    assert all(one.is_new for one in outcomes)
    assert outcomes[0].record.id != outcomes[1].record.id


# People.


@pytest.mark.parametrize("way", ["digits", "whole"])
def test_a_person_is_found_by_number_however_the_index_compares(box, account, way):
    """By national digits, or else as we wrote it."""
    settings(box, phone_search=way)
    number = phone()
    person = made(account, "Person", name="Dana Whitfield", phone=number)

    assert found(account, "Person", phone=number) == [person.id]
    assert found(account, "Person", phone=phone()) == []


@pytest.mark.parametrize("written", ["(415) 555-0132", "415.555.0132", "+1 415 555 0132"])
def test_a_number_is_found_however_a_person_wrote_it(box, account, written):
    """Brackets, dots and blanks make it no other number; another country's digits do."""
    box.post("clear")
    person = made(account, "Person", name="Dana Whitfield", phone=written)
    made(account, "Person", name="Somebody else", phone="+49 415 5550132")

    assert found(account, "Person", phone="+14155550132") == [person.id]


def test_present_values_are_read_from_the_record(account):
    """A search gives little of a record, and may be late; what must not be overwritten is read."""
    number = phone()
    made(account, "Person", name="Dana Whitfield", phone=number, job_title="Owner")
    lookup = Lookup("Person", by={"phone": number}, read=("name", "job_title", "email", "phone"))

    (answer,) = PIPEDRIVE.find(account, [lookup])

    assert answer.candidates[0].values == {
        "name": "Dana Whitfield",
        "job_title": "Owner",
        "email": None,
        "phone": number,
    }
    assert "Dana Whitfield" in answer.candidates[0].label


def test_a_new_number_leaves_the_others(box, account):
    """It becomes the primary one; the same number again changes nothing."""
    person = made(account, "Person", name="Dana Whitfield", phone="+14155550132")
    for number in ("+14155550177", "(415) 555-0132"):
        PIPEDRIVE.write(account, [Write(key(), "Person", {"phone": number}, person.id)])

    phones = api(box, account, "GET", f"/api/v2/persons/{person.id}")["phones"]
    assert [(one["value"], one["primary"]) for one in phones] == [
        ("+14155550177", True),
        ("+14155550132", False),
    ]


def test_looking_by_what_cannot_be_searched_is_rejected(account):
    """A mapping that matches by such a field is told, with its name."""
    with pytest.raises(Rejected) as caught:
        found(account, "Person", birthday="1980-01-01")

    assert caught.value.field == "birthday"


# Fields and values.


def test_describe_gives_custom_fields_with_their_choices(account):
    """Options by id with their labels; what we cannot fill says so; our own field is not offered."""
    fields = {one.label: one for one in PIPEDRIVE.describe(account, "Person")}
    deal = {one.label: one for one in PIPEDRIVE.describe(account, "Deal")}

    assert [(one.value, one.label) for one in fields["Customer type"].choices] == [
        ("27", "Private"),
        ("28", "Company"),
    ]
    assert fields["Customer type"].is_restricted
    assert fields["Interests"].type == "multipicklist"
    assert fields["Reference"].max_chars == 255
    assert not deal["Budget"].can_create
    assert "Sales: Qualified" in [one.label for one in deal["Stage"].choices]
    assert "Afterbeep key" not in fields


def test_fields_of_contact_sync_are_there_only_with_it(box, account):
    """A company that does not sync its contacts has no job title, and refuses one."""
    other = connect(box, account=PLAIN)
    PIPEDRIVE.prepare(other)
    names = {one.name for one in PIPEDRIVE.describe(other, "Person")}

    (outcome,) = PIPEDRIVE.write(
        other, [Write(key(), "Person", {"name": "Dana", "job_title": "Owner"})]
    )

    assert "job_title" not in names
    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "job_title"


def test_options_are_written_by_id(box, account):
    """A mapping's choices are text; Pipedrive takes numbers; an option that is gone parks the row."""
    codes = {one.label: one.name for one in PIPEDRIVE.describe(account, "Person")}
    chosen = {
        codes["Customer type"]: "27",
        codes["Interests"]: ["31", "32"],
        codes["Reference"]: "27",
    }
    person = made(account, "Person", name="Dana", **chosen)
    (outcome,) = PIPEDRIVE.write(
        account, [Write(key(), "Person", {"name": "Dana", codes["Customer type"]: "99"})]
    )

    held = api(box, account, "GET", f"/api/v2/persons/{person.id}")["custom_fields"]
    assert [held[code] for code in chosen] == [27, [31, 32], "27"]
    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == codes["Customer type"]


def test_none_clears_lists_and_custom_fields(box, account):
    """A cleared set is null, since an empty list is refused."""
    codes = {one.label: one.name for one in PIPEDRIVE.describe(account, "Person")}
    code = codes["Interests"]
    person = made(account, "Person", name="Dana", phone=phone(), **{code: ["31"]})
    cleared = {code: None, "phone": None}
    (outcome,) = PIPEDRIVE.write(account, [Write(key(), "Person", cleared, person.id)])

    held = api(box, account, "GET", f"/api/v2/persons/{person.id}")
    assert outcome.error is None
    assert (held["custom_fields"][code], held["phones"]) == (None, [])


def test_a_due_moment_is_split_in_utc(box, account):
    """Pipedrive keeps date and time apart; a date alone has no time."""
    moment = made(account, "Activity", subject="Call back", due="2026-11-22T22:30:00-08:00")
    day = made(account, "Activity", subject="Call back", due="2026-11-23")

    rows = [api(box, account, "GET", f"/api/v2/activities/{one.id}") for one in (moment, day)]
    assert [(row["due_date"], row["due_time"]) for row in rows] == [
        ("2026-11-23", "06:30"),
        ("2026-11-23", None),
    ]


def test_a_leads_value_goes_with_its_currency(box, account):
    """Either alone is refused before anything is sent."""
    person = made(account, "Person", name="Dana")
    both = {"title": "Boiler", "person_id": person.id, "value": 200, "currency": "USD"}
    lead = made(account, "Lead", **both)
    alone = {name: value for name, value in both.items() if name != "currency"}
    (outcome,) = PIPEDRIVE.write(account, [Write(key(), "Lead", alone)])

    held = api(box, account, "GET", f"/api/v1/leads/{lead.id}")
    assert held["value"] == {"amount": 200, "currency": "USD"}
    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "value"


# Refusals.


def test_a_plan_that_is_full_parks_the_row(box, account):
    """No waiting cures it: the sentence tells the person what to do."""
    settings(box, max_deals=0)

    (outcome,) = PIPEDRIVE.write(account, [Write(key(), "Deal", {"title": "Boiler"})])

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.code == "feature_capping_deals_limit"
    assert "open deals limit" in outcome.error.detail


def test_a_closed_company_needs_its_owner(box, account):
    """402: the subscription has ended; the connection stops and keeps its rows."""
    box.fault(kind="status", status=402, path="/users/me")

    with pytest.raises(NeedsReconnect, match="not open"):
        PIPEDRIVE.identify(account)


def test_a_missing_scope_needs_reconnecting(tmp_path):
    """An app without all scopes says so, and setting up lists what is to do."""
    fewer = replace(PIPEDRIVE.oauth, scopes=("base", "contacts:full", "contact-fields:full"))
    with running.sandbox("pipedrive", tmp_path) as box:
        poor = running.account(box, PIPEDRIVE, running.authorise(box, fewer))

        with pytest.raises(NeedsReconnect, match="scope"):
            PIPEDRIVE.describe(poor, "Lead")
        (todo,) = PIPEDRIVE.prepare(poor)

    assert todo.title == 'Pipedrive: deal field "Afterbeep key" is missing'
    assert "deal-fields:full" in todo.how


def test_a_gateways_failure_leaves_a_write_in_doubt(box, account):
    """What stands behind a gateway may have written; a read is simply asked again."""
    box.fault(kind="status", status=502, method="POST")
    with pytest.raises(Uncertain):
        PIPEDRIVE.write(account, [Write(key(), "Person", {"name": "Dana"}, is_first=True)])

    box.fault(kind="status", status=502, path="/users/me")
    with pytest.raises(Unavailable):
        PIPEDRIVE.identify(account)


def test_a_key_field_that_is_gone_is_told(account):
    """The row is parked with what to do, rather than written without its key."""
    wrong = replace(account, settings={"key_fields": {"person": "0" * 40}})

    (outcome,) = PIPEDRIVE.write(wrong, [Write(key(), "Person", {"name": "Dana"})])

    assert isinstance(outcome.error, Rejected)
    assert "press Check" in outcome.error.detail


def test_a_redirect_is_not_followed(account):
    """The token goes to no other address."""
    seen: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        """Sends everybody to another path."""

        def do_GET(self) -> None:
            """Redirect."""
            seen.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ContractBroken):
            PIPEDRIVE.identify(replace(account, base_url=f"http://127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        server.server_close()

    assert seen == ["/api/v1/users/me"]


# Closing.


def test_closed_tells_success_failure_and_first_touch(box, account):
    """Won and done succeed, lost and archived do not; moved and seen are touches."""
    person = made(account, "Person", name="Dana Whitfield")
    deals = [made(account, "Deal", title=f"Boiler {n}") for n in range(3)]
    leads = [made(account, "Lead", title=f"Roof {n}", person_id=person.id) for n in range(3)]
    done = made(account, "Activity", subject="Call back")
    open_ones = [made(account, "Deal", title="Open"), made(account, "Activity", subject="Open")]
    for record, body in (
        (deals[0], {"status": "won"}),
        (deals[1], {"status": "lost", "lost_reason": "Price"}),
    ):
        api(box, account, "PATCH", f"/api/v2/deals/{record.id}", **body)
    api(box, account, "PATCH", f"/api/v2/activities/{done.id}", done=True)
    api(box, account, "PATCH", f"/api/v1/leads/{leads[0].id}", is_archived=True)
    api(box, account, "PATCH", f"/api/v1/leads/{leads[1].id}", was_seen=True)
    converted = {"lead": leads[2].id}
    box.http.post(f"{box.url}/_pipedrive/convert", json=converted).raise_for_status()

    told = PIPEDRIVE.closed(account, [*deals, *leads, done, *open_ones, person])

    assert {(one.record.id, one.result, one.is_closed, one.is_success) for one in told} == {
        (deals[0].id, "won", True, True),
        (deals[1].id, "lost", True, False),
        (done.id, "done", True, True),
        (leads[0].id, "archived", True, False),
        (leads[1].id, "seen", False, True),
        (leads[2].id, "converted", True, True),
    }


def test_closed_asks_for_many_in_few_calls(account):
    """A hundred deals cost one list; many leads two lists, and one for the converted ones."""
    watched, spent = spending(account)
    PIPEDRIVE.closed(watched, [RecordId("Deal", str(n + 10**6)) for n in range(100)])
    deals = dict(spent)
    PIPEDRIVE.closed(watched, [RecordId("Lead", str(uuid.uuid4())) for _ in range(100)])

    assert deals == {"tokens": 10, "requests": 1}
    assert spent["requests"] - deals["requests"] == 3


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[tuple[str, queue.Queue[WebhookRequest]]]:
    """Give an address of ours, and what arrives there."""
    arrived: queue.Queue[WebhookRequest] = queue.Queue()

    class Receiving(BaseHTTPRequestHandler):
        """Keeps what is posted."""

        def do_POST(self) -> None:
            """Keep it and say thanks."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            arrived.put(WebhookRequest(headers, body, "http://127.0.0.1/hooks/pipedrive"))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiving)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hooks/pipedrive", arrived
    server.shutdown()
    server.server_close()


def test_a_webhook_tells_of_a_won_deal(box, account, receiver):
    """The sandbox reports with the password that we made up; another password is refused."""
    url, arrived = receiver
    here = replace(account, webhook_url=url)
    held = PIPEDRIVE.subscribe(here, None)
    deal = made(account, "Deal", title="Boiler")
    api(box, account, "PATCH", f"/api/v2/deals/{deal.id}", status="won")
    request = replace(arrived.get(timeout=10), secret=held.secret)
    PIPEDRIVE.unsubscribe(here, held)

    (closure,) = PIPEDRIVE.webhook(account, request)

    assert (closure.record.id, closure.result, closure.is_success) == (deal.id, "won", True)
    assert PIPEDRIVE.changed(account, request) == [RecordId("Deal", deal.id)]
    for secret in ("", "afterbeep:other", held.secret + "x"):
        with pytest.raises(Rejected):
            PIPEDRIVE.webhook(account, replace(request, secret=secret))


def test_a_report_of_another_shape_is_rejected(account):
    """The right password with what is no report of version 2."""
    secret = "afterbeep:s3cret"
    shown = base64.b64encode(secret.encode()).decode()
    for body in (b"", b"[]", b'"meta"', b'{"v": 1}', json.dumps({"meta": []}).encode()):
        request = WebhookRequest(
            {"authorization": f"Basic {shown}"}, body, "https://x", secret=secret
        )
        with pytest.raises(Rejected):
            PIPEDRIVE.webhook(account, request)
    for shown in ("%%%", "", "w6"):
        request = WebhookRequest(
            {"authorization": f"Basic {shown}"}, b"{}", "https://x", secret=secret
        )
        with pytest.raises(Rejected):
            PIPEDRIVE.changed(account, request)


def test_subscribing_again_makes_no_second_webhook(box, account):
    """A renewal keeps what is there and makes what is missing; without knowledge all are replaced."""
    here = replace(account, webhook_url="http://127.0.0.1:9/hooks/again")

    def ids() -> list[str]:
        return [str(one["id"]) for one in api(box, account, "GET", "/api/v1/webhooks")]

    first = PIPEDRIVE.subscribe(here, None)
    renewed = PIPEDRIVE.subscribe(here, first)
    gone, *rest = first.id.split(",")
    box.http.delete(
        f"{box.url}/api/v1/webhooks/{gone}", headers={"Authorization": f"Bearer {account.token}"}
    ).raise_for_status()
    mended = PIPEDRIVE.subscribe(here, first)
    fresh = PIPEDRIVE.subscribe(here, None)
    after = ids()
    PIPEDRIVE.unsubscribe(here, fresh)
    PIPEDRIVE.unsubscribe(here, fresh)

    assert renewed == first
    assert mended.id.split(",")[1:] == rest
    assert gone not in mended.id.split(",")
    assert mended.secret == first.secret
    assert fresh.secret != first.secret
    assert sorted(after) == sorted(fresh.id.split(","))
    assert len(after) == 4
    assert ids() == []


def test_record_pages_are_pipedrives():
    """A person finds the record; a note stands on the page of what it hangs on."""
    account = Account("c", "https://whitfield.pipedrive.com", "token")

    assert PIPEDRIVE.record_url(account, RecordId("Person", "7")).endswith("pipedrive.com/person/7")
    assert PIPEDRIVE.record_url(account, RecordId("Lead", "a-b")).endswith("/leads/inbox/a-b")
    assert PIPEDRIVE._page(account, RecordId("Note", "9"), {"person_id": "7"}).endswith("/person/7")
