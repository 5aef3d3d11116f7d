"""PagerDuty: what the conformance suite, which every connector passes, does not cover of writing and reading."""

from __future__ import annotations

import json
import threading
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import running

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.interface import HasPurposes, Subscribes, TellsAddress
from connectors.pagerduty.calls import call
from connectors.pagerduty.connector import PagerDuty
from connectors.pagerduty.notes import mark_of
from connectors.pagerduty.refusals import SameKey, refused
from connectors.pagerduty.transport import Refused
from connectors.record import JSON, Account, Lookup, Outcome, RecordId, Write

PAGERDUTY = PagerDuty()
SEVERAL_SERVICES = "PSBXAC2"
SAME_KEY = "Open incident with matching dedup key already exists on this service"


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Sandbox]:
    with running.sandbox("pagerduty", tmp_path_factory.mktemp("pagerduty")) as box:
        yield box


@pytest.fixture(name="account")
def _account(box: running.Sandbox) -> Iterator[Account]:
    """Give a connected account with one service, whose limits are out of the way."""
    box.set(limits={"requests": 100_000, "creates": 100_000})
    account = running.account(box, PAGERDUTY, running.authorise(box, PAGERDUTY.oauth))
    yield replace(account, settings={"service_id": "PSBXSV1"})
    box.clear_faults()
    _say(box, "settings")


def _say(box: running.Sandbox, what: str, **document: object) -> dict[str, str]:
    answer = box.http.post(f"{box.url}/_pagerduty/{what}", json=document)
    return answer.raise_for_status().json()


def _key() -> str:
    return uuid.uuid4().hex


def _page(key: str | None = None, **fields: JSON) -> Write:
    return Write(key or _key(), "incident", {"title": "Water through the ceiling", **fields})


def _write(account: Account, *writes: Write) -> list[Outcome]:
    return list(PAGERDUTY.write(account, writes))


def _record(outcome: Outcome) -> RecordId:
    assert outcome.record is not None, outcome.error
    return outcome.record


def _made(account: Account, **fields: JSON) -> str:
    (outcome,) = _write(account, _page(**fields))
    return _record(outcome).id


def _stored(box: running.Sandbox, record_id: str, kind: str = "incident") -> dict[str, JSON]:
    return next(r["fields"] for r in box.records(kind, limit=1000) if r["id"] == record_id)


def _incidents(box: running.Sandbox) -> int:
    return int(box.stats()["records"].get("incident", 0))


# One record for each key.


def test_a_key_that_was_never_sent_pages_with_one_call(
    box: running.Sandbox, account: Account
) -> None:
    """Nothing is looked for first when the hub knows that the key is new."""
    before = box.stats()["calls_total"]
    first = replace(_page(), is_first=True)

    (outcome,) = _write(account, first)

    assert outcome.is_new
    assert box.stats()["calls_total"] - before == 1
    assert PAGERDUTY.write_cost(
        [replace(first, fields={**first.fields, "service": "PSBXSV1"})]
    ) == {
        "requests": 1,
        "creates": 1,
    }


def test_any_other_key_is_looked_for_first(box: running.Sandbox, account: Account) -> None:
    """A write that may be a second attempt costs two calls when there is nothing yet, and one when there is."""
    write = _page()
    before = box.stats()["calls_total"]

    (made,) = _write(account, write)
    between = box.stats()["calls_total"]
    (again,) = _write(account, write)

    assert between - before == 2
    assert box.stats()["calls_total"] - between == 1
    assert (again.record, again.is_new) == (made.record, False)


def test_a_replay_after_the_incident_was_resolved_pages_nobody(
    box: running.Sandbox, account: Account
) -> None:
    """PagerDuty would open a new incident for the key of a resolved one; we find the old one, and leave it."""
    write = _page()
    (made,) = _write(account, write)
    _say(box, "resolve", id=_record(made).id)
    before = _incidents(box)

    (again,) = _write(account, replace(write, fields={**write.fields, "title": "Changed since"}))

    assert (_record(again).id, again.is_new) == (_record(made).id, False)
    assert _incidents(box) == before
    assert _stored(box, _record(made).id)["status"] == "resolved"
    assert _stored(box, _record(made).id)["title"] == "Water through the ceiling"
    assert box.stats()["duplicate_keys"] == []


def test_pagerduty_itself_would_open_a_second_one(box: running.Sandbox, account: Account) -> None:
    """The sandbox keeps PagerDuty's rule, and its count of duplicate keys notices the second record."""
    write = replace(_page(), is_first=True)
    (made,) = _write(account, write)
    _say(box, "resolve", id=_record(made).id)

    (second,) = _write(account, write)

    assert second.is_new
    assert [one["key"] for one in box.stats()["duplicate_keys"]] == [write.key]
    box.post("clear")


def test_a_key_is_found_on_another_service(box: running.Sandbox, account: Account) -> None:
    """A mapping that has changed the service since does not page a second time."""
    token = running.authorise(box, PAGERDUTY.oauth, account=SEVERAL_SERVICES)["access_token"]
    other = replace(account, token=token, settings={})
    write = _page(service="PSBXSV3")
    (made,) = _write(other, write)

    (again,) = _write(other, replace(write, fields={**write.fields, "service": "PSBXSV5"}))

    assert _record(again).id == _record(made).id
    assert box.stats()["duplicate_keys"] == []


def test_two_attempts_at_the_same_moment_make_one_incident(
    box: running.Sandbox, account: Account
) -> None:
    """The second is refused by PagerDuty for its key, and gets the first one's incident."""
    write = replace(_page(), is_first=True)
    (first,) = _write(account, write)

    (second,) = _write(account, write)

    assert _record(second).id == _record(first).id
    assert not second.is_new


def test_many_threads_share_the_connections(account: Account) -> None:
    """The connector keeps no state: concurrent writes get each their own incident."""
    writes = [_page(title=f"Leak {number}") for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda one: _write(account, one)[0], writes))

    found = PAGERDUTY.find(
        account, [Lookup("incident", key=w.key, read=("title",)) for w in writes]
    )
    assert [c.values["title"] for one in found for c in one.candidates] == [
        write.fields["title"] for write in writes
    ]
    assert len({_record(one).id for one in outcomes}) == 12


# Incidents.


def test_an_open_incident_is_brought_up_to_date(box: running.Sandbox, account: Account) -> None:
    """What can be changed is changed; what cannot (service, details) stays without a complaint."""
    write = _page(urgency="low", details="First words")
    (made,) = _write(account, write)
    fields = {
        "title": "Gas smell",
        "urgency": "high",
        "details": "Other words",
        "priority": "PSBXPR1",
    }

    (again,) = _write(account, replace(write, fields=fields))

    assert again.error is None
    stored = _stored(box, _record(made).id)
    assert (stored["title"], stored["urgency"], stored["priority"]) == (
        "Gas smell",
        "high",
        "PSBXPR1",
    )
    assert stored["details"] == "First words"


def test_a_change_of_a_resolved_incident_leaves_it_resolved(
    box: running.Sandbox, account: Account
) -> None:
    """A write by record id to an incident that was resolved meanwhile is done; nothing is reopened."""
    record_id = _made(account)
    _say(box, "resolve", id=record_id)

    (outcome,) = _write(account, Write(_key(), "incident", {"title": "Again"}, record_id))

    assert _record(outcome).id == record_id
    assert _stored(box, record_id)["status"] == "resolved"


def test_everything_of_an_incident_arrives(box: running.Sandbox, account: Account) -> None:
    """Service, urgency, priority, policy, type and custom fields are set as PagerDuty takes them."""
    fields = {
        "service": "PSBXSV1",
        "urgency": "low",
        "priority": "PSBXPR2",
        "escalation_policy": "PSBXEP2",
        "incident_type": "major_incident",
        "details": "What was said",
        "custom:branch": "North side",
        "custom:building": "South",
    }

    record_id = _made(account, **fields)

    stored = _stored(box, record_id)
    assert {name: stored[name.replace(":", "_")] for name in fields} == fields


def test_a_bad_custom_field_says_that_the_page_went_out(
    box: running.Sandbox, account: Account
) -> None:
    """The row is parked with its field, the incident is there, and sending it again makes no second."""
    write = _page(**{"custom:building": "West, said Dana"})

    (outcome,) = _write(account, write)
    (again,) = _write(account, replace(write, fields={**write.fields, "custom:building": "North"}))

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "custom:building"
    assert outcome.error.detail.startswith("The incident is written, but")
    assert "said Dana" not in outcome.error.detail
    assert _stored(box, _record(again).id)["custom_building"] == "North"
    assert not again.is_new


@pytest.mark.parametrize(
    "error",
    [
        Throttled("the budget is spent", retry_after_s=30, code="budget"),
        NeedsReconnect("the scope is missing"),
        Uncertain("the answer was lost"),
    ],
)
def test_what_comes_after_the_page_never_says_that_nothing_was_written(
    box: running.Sandbox, account: Account, error: ConnectorError
) -> None:
    """Custom fields take a second call; should it fail and somebody resolve the incident, nobody is paged again."""
    write = replace(_page(**{"custom:branch": "North"}), is_first=True)
    created: list[bool] = []

    def spend(**units: int) -> None:
        if created:
            raise error
        if "creates" in units:
            created.append(True)

    with pytest.raises(Unavailable, match="incident is written"):
        _write(replace(account, spend=spend), write)
    (found,) = PAGERDUTY.find(account, [Lookup("incident", key=write.key)])
    _say(box, "resolve", id=found.candidates[0].record.id)
    before = _incidents(box)

    # After Unavailable a row has used an attempt, and is not the first with its key.
    (again,) = _write(account, replace(write, is_first=False))

    assert not again.is_new
    assert _incidents(box) == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": None}, "title"),
        ({"title": " "}, "title"),
        ({"title": 7}, "title"),
        ({"priority": "PNONE"}, "priority"),
        ({"escalation_policy": "PNONE"}, "escalation_policy"),
        ({"service": "PNONE"}, "service"),
        ({"service": "PSBXSV2"}, "service"),
        ({"incident_type": "none"}, "incident_type"),
    ],
)
def test_a_refusal_names_the_field(account: Account, fields: dict[str, JSON], field: str) -> None:
    """Whatever way PagerDuty says it, a person learns which field of the mapping to change."""
    (outcome,) = _write(account, _page(**fields))

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == field


def test_records_of_other_kinds_are_refused(account: Account) -> None:
    """Only incidents and notes are written."""
    with pytest.raises(Rejected):
        _write(account, Write(_key(), "status_update", {"message": "x"}))
    assert PAGERDUTY.find(account, [Lookup("status_update", key="x")])[0].candidates == ()


def test_a_look_up_by_what_incidents_hold_is_refused(account: Account) -> None:
    """It is no "there is none": then a second record would be made of what is there."""
    with pytest.raises(Rejected):
        PAGERDUTY.find(account, [Lookup("incident", by={"title": "Water through the ceiling"})])


# The service that a mapping does not name.


def test_the_only_service_is_taken(box: running.Sandbox, account: Account) -> None:
    """A preset, which knows no services, works at once in an account with one enabled service."""
    bare = replace(account, settings={})

    assert PAGERDUTY.prepare(bare) == []
    assert _stored(box, _made(bare))["service"] == "PSBXSV1"


def test_of_several_services_one_is_taken_and_an_admin_is_asked(
    box: running.Sandbox, account: Account
) -> None:
    """A page goes out rather than none, on the service that is called after voicemail; a todo asks to choose."""
    token = running.authorise(box, PAGERDUTY.oauth, account=SEVERAL_SERVICES)["access_token"]
    several = replace(account, token=token, settings={})
    chosen = replace(several, settings={"service_id": "PSBXSV5"})

    (todo,) = PAGERDUTY.prepare(several)

    assert not todo.is_blocking
    assert "service_id" in todo.how
    assert "PSBXSV3" in todo.how
    assert _stored(box, _made(several))["service"] == "PSBXSV4"
    assert PAGERDUTY.prepare(chosen) == []
    assert _stored(box, _made(chosen))["service"] == "PSBXSV5"


def test_a_chosen_service_that_is_disabled_is_told(account: Account) -> None:
    """The admin learns of it before a page is lost."""
    (todo,) = PAGERDUTY.prepare(replace(account, settings={"service_id": "PSBXSV2"}))

    assert todo.is_blocking
    assert "PSBXSV2" in todo.how


def test_the_service_is_asked_for_once_a_batch(box: running.Sandbox, account: Account) -> None:
    """Five incidents without a service cost one call for it."""
    before = box.stats()["calls"].get("GET /services", 0)

    _write(replace(account, settings={}), *(_page() for _ in range(5)))

    assert box.stats()["calls"]["GET /services"] - before == 1


# Notes.


def _note(incident: str, key: str | None = None, content: str = "Voicemail: …") -> Write:
    return Write(key or _key(), "note", {"incident": incident, "content": content})


def test_a_note_is_written_once(box: running.Sandbox, account: Account) -> None:
    """The mark at its end is how it is found, days later too."""
    incident = _made(account)
    write = _note(incident)

    (made,) = _write(account, write)
    (again,) = _write(account, write)

    stored = _stored(box, _record(made).id, "note")
    assert stored["content"] == f"Voicemail: …\n\n{mark_of(write.key)}"
    assert (_record(again).id, again.is_new) == (_record(made).id, False)
    assert box.stats()["duplicate_keys"] == []


def test_notes_of_one_incident_share_the_look(box: running.Sandbox, account: Account) -> None:
    """Three notes cost four calls; of keys that were never sent, three."""
    incident = _made(account)
    writes = [_note(incident) for _ in range(3)]
    fresh = [replace(_note(incident), is_first=True) for _ in range(3)]
    before = box.stats()["calls_total"]

    _write(account, *writes)
    between = box.stats()["calls_total"]
    _write(account, *fresh)

    assert between - before == 4 == PAGERDUTY.write_cost(writes)["requests"]
    assert box.stats()["calls_total"] - between == 3 == PAGERDUTY.write_cost(fresh)["requests"]


def test_a_lost_answer_to_a_note_is_asked_for_on_its_incident(
    box: running.Sandbox, account: Account
) -> None:
    """The key and what was to be written are enough; nobody asks before the request can have arrived."""
    incident = _made(account)
    write = _note(incident)
    box.fault(kind="cut_after", path="/notes", method="POST")

    with pytest.raises(Uncertain) as caught:
        _write(account, write)
    (found,) = PAGERDUTY.find(account, [Lookup("note", key=write.key, fields=write.fields)])
    (again,) = _write(account, write)

    assert caught.value.ask_after_s == 60
    assert [c.record.id for c in found.candidates] == [_record(again).id]
    assert "note" in (PAGERDUTY.repeats or ())


def test_a_note_without_its_incident_is_not_found(account: Account) -> None:
    """Notes stand on their incident and nowhere else."""
    (found,) = PAGERDUTY.find(account, [Lookup("note", key=_key())])

    assert found.candidates == ()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"content": "x"}, "incident"),
        ({"incident": "QX", "content": " "}, "content"),
        ({"incident": "QX", "content": "x", "colour": "red"}, "colour"),
    ],
)
def test_a_note_needs_incident_and_content(
    account: Account, fields: dict[str, JSON], field: str
) -> None:
    """What is missing is named."""
    (outcome,) = _write(account, Write(_key(), "note", fields))

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == field


def test_a_note_on_an_incident_that_is_gone_is_refused(account: Account) -> None:
    """An id cannot lead out of its place in the address either."""
    gone, strange = _write(account, _note("QGONE"), _note("../services"))

    assert isinstance(gone.error, Rejected)
    assert isinstance(strange.error, Rejected)


def test_a_note_stays_as_it_was_written(account: Account) -> None:
    """The same words again are fine; other words are refused, since PagerDuty does not change notes."""
    incident = _made(account)
    (made,) = _write(account, _note(incident, content="One"))
    known = _record(made).id

    same, other, gone = (
        _write(account, replace(_note(incident, content=words), record_id=record_id))[0]
        for words, record_id in (("One", known), ("Two", known), ("One", "N0000000000GONE"))
    )

    assert _record(same).id == known
    assert isinstance(other.error, Rejected)
    assert isinstance(gone.error, Rejected)


# Batches.


def test_a_limit_within_a_batch_keeps_what_was_written(account: Account) -> None:
    """Rows before it have their incident, rows after it come later."""
    left = [4]

    def spend(**units: int) -> None:
        del units
        if not left[0]:
            raise Throttled("the budget is spent", retry_after_s=30)
        left[0] -= 1

    outcomes = _write(replace(account, spend=spend), *(_page() for _ in range(5)))

    assert [outcome.record is not None for outcome in outcomes] == [True, True, False, False, False]
    assert all(isinstance(outcome.error, Throttled) for outcome in outcomes[2:])


def test_a_lost_answer_within_a_batch_puts_the_rest_off(
    box: running.Sandbox, account: Account
) -> None:
    """One row is uncertain; the rows behind it were not sent, and use no attempt."""
    writes = [_page() for _ in range(3)]
    box.fault(kind="cut_after", path="/incidents", method="POST")

    outcomes = _write(account, *writes)

    assert isinstance(outcomes[0].error, Uncertain)
    assert [type(outcome.error) for outcome in outcomes[1:]] == [NotYet, NotYet]
    found = PAGERDUTY.find(account, [Lookup("incident", key=write.key) for write in writes])
    assert [len(one.candidates) for one in found] == [1, 0, 0]


def test_an_odd_answer_within_a_batch_keeps_no_other_row_back(
    box: running.Sandbox, account: Account
) -> None:
    """Only the row whose answer cannot be read is parked."""
    box.fault(kind="html", path="/incidents", method="POST")

    outcomes = _write(account, *(_page() for _ in range(3)))

    assert isinstance(outcomes[0].error, ContractBroken)
    assert [outcome.error for outcome in outcomes[1:]] == [None, None]


def test_access_that_ends_within_a_batch_is_met_by_the_next(
    box: running.Sandbox, account: Account
) -> None:
    """What was written stays written; the rest waits for a batch whose first row may refresh the token."""
    left = [2]

    def spend(**units: int) -> None:
        del units
        left[0] -= 1
        if left[0] < 0:
            box.post("expire")

    outcomes = _write(replace(account, spend=spend), *(_page() for _ in range(3)))

    assert outcomes[0].error is None
    assert [type(outcome.error) for outcome in outcomes[1:]] == [NotYet, NotYet]
    with pytest.raises(TokenExpired):
        _write(account, _page())


def test_a_batch_is_small_and_of_one_object(account: Account) -> None:
    """More than five, or two objects at once, is a mistake of the caller."""
    with pytest.raises(ValueError, match="at most 5"):
        _write(account, *(_page() for _ in range(6)))
    with pytest.raises(ValueError, match="one object"):
        _write(account, _page(), _note("QX"))


# Refusals, and the SDK's habits.


def _refusal(status: int, document: object, method: str = "POST") -> ConnectorError:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return refused(Refused(status, {}, body), method=method, hidden=("Dana",), ask_after_s=7)


def _error(code: int, message: str, *errors: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "errors": list(errors)}}


@pytest.mark.parametrize(
    ("status", "document", "method", "kind"),
    [
        (400, _error(2001, "Invalid Input Provided", "Title is too long"), "POST", Rejected),
        (400, _error(2002, "Arguments Caused Error", SAME_KEY), "POST", SameKey),
        (400, _error(1005, "Data Updated Since Last Request"), "PUT", NotYet),
        (400, {"error": "Account-level access token"}, "GET", Rejected),
        (400, b"", "POST", ContractBroken),
        (401, _error(2006, "Authentication failed"), "GET", TokenExpired),
        (402, _error(2014, "Missing Account Ability"), "POST", Rejected),
        (403, _error(2010, "Access Denied"), "POST", Rejected),
        (403, _error(2010, "Access Denied", "Token lacks the scope"), "POST", NeedsReconnect),
        (403, _error(2010, "Access Denied"), "GET", NeedsReconnect),
        (403, _error(2018, "Access Denied: You may have lost access"), "GET", Rejected),
        (403, _error(2012, "Your account is expired and cannot use the API"), "POST", NeedsReconnect),
        (404, b"", "GET", Rejected),
        (404, _error(5002, "Service Not Found"), "POST", Rejected),
        (408, _error(2016, "The request took too long to process"), "POST", Uncertain),
        (408, _error(2016, "The request took too long to process"), "GET", Unavailable),
        (429, b"slow down", "GET", Throttled),
        (500, _error(2000, "An internal error has occurred."), "POST", Unavailable),
        (502, b"<html>", "GET", Unavailable),
        (199, b"", "GET", ContractBroken),
    ],
)  # fmt: skip
def test_a_refusal_says_what_happens_next(
    status: int, document: object, method: str, kind: type[ConnectorError]
) -> None:
    """Each of PagerDuty's answers has its consequence."""
    assert type(_refusal(status, document, method)) is kind


def test_a_refusal_for_the_sender_says_which_setting_helps() -> None:
    """An account's own key needs the e-mail address of a user."""
    error = _refusal(400, _error(1008, "Requester User Not Found"))

    assert isinstance(error, Rejected)
    assert "from_email" in error.detail


def test_the_sender_is_named_when_the_connection_names_one(account: Account) -> None:
    """Only then, and with every call."""
    seen: list[str | None] = []

    class Listening(_Quiet):
        def do_GET(self) -> None:
            seen.append(self.headers["From"])
            self.answer(200, b'{"user": {"id": "P1"}}')

    with _serving(Listening) as url:
        call(replace(account, base_url=url), "GET", "/users/me")
        named = replace(account, base_url=url, settings={"from_email": "alex@afterbeep.example"})
        call(named, "GET", "/users/me")

    assert seen == [None, "alex@afterbeep.example"]


@pytest.mark.parametrize(("status", "calls"), [(429, 1), (500, 1), (401, 1)])
def test_the_sdk_does_not_try_again(
    box: running.Sandbox, account: Account, status: int, calls: int
) -> None:
    """Five such answers are ready; one is fetched."""
    box.fault(kind="status", status=status, path="/users/me", next=5)
    before = box.stats()["calls_total"]

    with pytest.raises(ConnectorError):
        PAGERDUTY.identify(account)

    assert box.stats()["calls_total"] - before == calls


def test_a_limit_without_headers_has_a_wait_of_our_own(
    box: running.Sandbox, account: Account
) -> None:
    """PagerDuty warns that a 429 may come without them."""
    box.fault(kind="status", status=429, path="/incidents", method="POST")

    with pytest.raises(Throttled) as caught:
        _write(account, _page())

    assert caught.value.retry_after_s == 15


def test_a_real_limit_is_waited_for_as_the_headers_say(
    box: running.Sandbox, account: Account
) -> None:
    """The limit of creating alone is reached: looking goes on, and the headers tell of the right one."""
    readings: list[tuple[str, int | None, int | None]] = []

    def observe(status: int, headers: dict[str, str], ms: float) -> None:
        found = PAGERDUTY.read_limits(status, headers)
        readings.extend((one.name, one.capacity, one.remaining) for one in found)

    box.set(limits={"creates": 0})

    with pytest.raises(Throttled) as caught:
        _write(replace(account, observe=observe), _page())

    assert 0 < caught.value.retry_after_s <= 61
    assert readings[0][:2] == ("requests", 100_000)
    assert readings[1] == ("creates", 0, 0)


def test_missing_headers_say_nothing(box: running.Sandbox, account: Account) -> None:
    """A reading is never made up."""
    _say(box, "settings", hides_limits=True)
    told: list[object] = []

    def observe(status: int, headers: dict[str, str], ms: float) -> None:
        told.append(PAGERDUTY.read_limits(status, headers))

    PAGERDUTY.identify(replace(account, observe=observe))

    assert told == [()]
    assert PAGERDUTY.read_limits(200, {"ratelimit-limit": "many"}) == ()


class _Quiet(BaseHTTPRequestHandler):
    """A server that says one thing."""

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


class _serving:  # noqa: N801 - read as a verb in a with statement
    """Serve on this machine for as long as the block lasts."""

    def __init__(self, kind: type[BaseHTTPRequestHandler]) -> None:
        self._server = HTTPServer(("127.0.0.1", 0), kind)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_redirect_is_not_followed(account: Account) -> None:
    """The token goes to no other address."""
    asked: list[str] = []

    class Moving(_Quiet):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.answer(302, b"", Location="/elsewhere")

    with _serving(Moving) as url, pytest.raises(ContractBroken):
        PAGERDUTY.identify(replace(account, base_url=url))

    assert asked == ["/users/me"]


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'{"incidents": {}}', b'{"incidents": ["x"]}', b'{"incident": {}}', b"nul"],
)
def test_an_answer_of_another_shape_breaks_the_contract(account: Account, body: bytes) -> None:
    """It is told as such, and never a crash or a loop."""

    class Odd(_Quiet):
        def do_GET(self) -> None:
            self.answer(200, body)

        do_POST = do_GET  # noqa: N815 - the name that http.server asks for

    with _serving(Odd) as url:
        odd = replace(account, base_url=url)
        for act in (
            lambda: _write(odd, _page()),
            lambda: _write(odd, replace(_page(), is_first=True)),
            lambda: PAGERDUTY.find(odd, [Lookup("incident", key="x")]),
            lambda: PAGERDUTY.identify(odd),
            lambda: PAGERDUTY.describe(odd, "incident"),
            lambda: PAGERDUTY.closed(odd, [RecordId("incident", "Q1"), RecordId("incident", "Q2")]),
        ):
            with pytest.raises(ContractBroken):
                act()


def test_http_is_for_this_machine_only() -> None:
    """The SDK's own check is kept for every other host, and nothing is sent."""
    account = Account(id="1", base_url="http://api.pagerduty.com.example", token="t")

    with pytest.raises(ContractBroken, match="https"):
        PAGERDUTY.identify(account)


# Connecting.


def test_an_unknown_scope_is_granted_as_nothing(box: running.Sandbox, account: Account) -> None:
    """PagerDuty says so in the scope alone; calls with such a token need a reconnect."""
    oauth = replace(PAGERDUTY.oauth, scopes=("incidents.write",))
    tokens = running.authorise(box, oauth)

    assert tokens["scope"] == "openid"
    with pytest.raises(NeedsReconnect):
        PAGERDUTY.identify(replace(account, token=tokens["access_token"]))


def test_a_refresh_token_works_once(box: running.Sandbox) -> None:
    """Each refresh brings a new one."""
    tokens = running.authorise(box, PAGERDUTY.oauth)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}

    first = running.token(box, PAGERDUTY.oauth, **form)
    second = running.token(box, PAGERDUTY.oauth, **form)

    assert first.json()["refresh_token"] != tokens["refresh_token"]
    assert first.json()["scope"] == "openid write"
    assert second.status_code == 400


def _id_token(claims: object) -> str:
    part = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{part}.c2lnbmF0dXJl"


def test_the_region_is_read_from_the_id_token(box: running.Sandbox) -> None:
    """Accounts in Europe are called at their own address."""
    tokens = running.authorise(box, PAGERDUTY.oauth)
    europe = _id_token({"aud": ["https://api.eu.pagerduty.com", "90b153bf"], "region": "Europe"})

    assert PAGERDUTY.api_address(tokens) == box.url
    assert PAGERDUTY.api_address({"id_token": europe}) == "https://api.eu.pagerduty.com"
    assert isinstance(PAGERDUTY, TellsAddress)


@pytest.mark.parametrize(
    "token", [None, "", "a.b", "a.!!!.c", "a.e30.c", _id_token([1]), _id_token({"aud": 7})]
)
def test_a_token_answer_without_a_region_names_no_address(token: JSON) -> None:
    """The vendor's usual address is then used."""
    assert PAGERDUTY.api_address({"id_token": token}) is None


def test_accounts_are_known_by_their_subdomain(box: running.Sandbox, account: Account) -> None:
    """In both regions."""
    tokens = running.authorise(box, PAGERDUTY.oauth, account=SEVERAL_SERVICES)
    other = replace(account, token=tokens["access_token"])

    assert PAGERDUTY.identify(account) == ("whitfield-plumbing", "whitfield-plumbing.pagerduty.com")
    assert PAGERDUTY.identify(other) == ("lakeside-dental.eu", "lakeside-dental.eu.pagerduty.com")


def test_a_page_is_what_its_purpose_says() -> None:
    """The hub counts false pages of incidents, and lets PagerDuty report."""
    assert isinstance(PAGERDUTY, HasPurposes)
    assert isinstance(PAGERDUTY, Subscribes)
    assert PAGERDUTY.purposes == {"incident": "page"}


# Describing.


def test_describe_gives_what_there_is_to_choose_from(account: Account) -> None:
    """Services, priorities, policies, types and custom fields are the account's own."""
    fields = {field.name: field for field in PAGERDUTY.describe(account, "incident")}
    choices = {name: [c.value for c in field.choices] for name, field in fields.items()}

    assert choices["service"] == ["PSBXSV1", "PSBXSV2"]
    assert fields["service"].choices[1].label == "Old pager (disabled)"
    assert choices["urgency"] == ["high", "low"]
    assert choices["priority"] == ["PSBXPR1", "PSBXPR2", "PSBXPR3"]
    assert choices["escalation_policy"] == ["PSBXEP1", "PSBXEP2"]
    assert choices["custom:building"] == ["North", "South"]
    assert fields["custom:branch"].is_custom
    assert [name for name, field in fields.items() if field.is_required] == ["title"]


def test_an_account_without_priorities_has_no_such_field(
    box: running.Sandbox, account: Account
) -> None:
    """Small plans answer 402; the rest is described all the same."""
    box.fault(kind="status", status=402, path="/priorities")
    box.fault(kind="status", status=404, path="/incidents/types", next=2)

    names = {field.name for field in PAGERDUTY.describe(account, "incident")}

    assert "priority" not in names
    assert "incident_type" not in names
    assert {"title", "service", "urgency", "escalation_policy"} <= names


def test_a_note_refers_to_its_incident(account: Account) -> None:
    """A mapping fills it with id_of."""
    fields = {field.name: field for field in PAGERDUTY.describe(account, "note")}

    assert fields["incident"].references == ("incident",)
    assert {name for name, field in fields.items() if field.is_required} == {"incident", "content"}


def test_record_urls_lead_to_pagerduty(account: Account) -> None:
    """The address that PagerDuty gave is kept; without one the region's own is used."""
    real = replace(account, base_url="https://api.pagerduty.com")
    europe = replace(account, base_url="https://api.eu.pagerduty.com")
    given = RecordId("incident", "Q1", "https://whitfield.pagerduty.com/incidents/Q1")

    assert PAGERDUTY.record_url(real, given) == given.url
    bare = RecordId("incident", "Q1")
    assert PAGERDUTY.record_url(real, bare) == "https://app.pagerduty.com/incidents/Q1"
    assert PAGERDUTY.record_url(europe, bare) == "https://app.eu.pagerduty.com/incidents/Q1"
    elsewhere = replace(given, url="https://whitfield.pagerduty.com.example/incidents/Q1")
    assert PAGERDUTY.record_url(real, elsewhere) == PAGERDUTY.record_url(real, bare)
    assert PAGERDUTY.record_url(account, bare) == f"{account.base_url}/records/incident/Q1"
