"""Zendesk: what only this vendor does, seen through the connector and its sandbox over HTTP."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.interface import Subscribes, WorksLater
from connectors.record import Account, Lookup, Outcome, RecordId, WebhookRequest, Write
from connectors.zendesk.connector import Zendesk

ZENDESK = Zendesk()


@pytest.fixture(name="box")
def _box(tmp_path) -> Iterator[running.Sandbox]:
    with running.sandbox("zendesk", tmp_path) as box:
        _choose(box, job_s=0)
        yield box


@pytest.fixture(name="account")
def _account(box) -> Account:
    return running.connect(box, ZENDESK)[0]


def _choose(box: running.Sandbox, **settings: object) -> None:
    box.http.post(f"{box.url}/_zendesk/settings", json=settings).raise_for_status()


def _forget(box: running.Sandbox) -> None:
    box.http.post(f"{box.url}/_zendesk/forget").raise_for_status()


def _status(box: running.Sandbox, number: str, status: str) -> None:
    asked = {"id": number, "status": status}
    box.http.post(f"{box.url}/_zendesk/status", json=asked).raise_for_status()


def _key() -> str:
    return uuid.uuid4().hex


def _ticket(key: str | None = None, **fields: object) -> Write:
    words = {"description": "Water through the ceiling", "subject": "Leak"}
    return Write(key or _key(), "Ticket", {**words, **fields}, is_first=True)


def _user(key: str | None = None, **fields: object) -> Write:
    return Write(key or _key(), "User", {"name": "Dana Whitfield", **fields})


def _calls(box: running.Sandbox) -> dict[str, int]:
    return dict(box.stats()["calls"])


def _made_since(box: running.Sandbox, before: dict[str, int]) -> dict[str, int]:
    """Count the calls of the vendor's API since then, without what a test does in Zendesk's stead."""
    now = {name: n for name, n in _calls(box).items() if "/_zendesk/" not in name}
    return {name: n - before.get(name, 0) for name, n in now.items() if n != before.get(name, 0)}


def _job(outcomes: Sequence[Outcome]) -> str:
    """Give the one job that took all these rows."""
    (job,) = {o.error.job for o in outcomes if isinstance(o.error, NotYet)}
    assert job is not None
    assert all(isinstance(o.error, NotYet) and o.error.retry_after_s > 0 for o in outcomes)
    return job


# One ticket.


def test_one_ticket_is_known_at_once(box, account):
    """A single ticket costs one call and carries our key."""
    before = _calls(box)
    write = _ticket()
    (outcome,) = ZENDESK.write(account, [write])

    assert outcome.is_new
    assert _made_since(box, before) == {"POST /api/v2/tickets": 1}
    assert box.records("Ticket")[0]["fields"]["external_id"] == write.key


def test_the_idempotency_key_gives_the_same_ticket_again(box, account):
    """The same again within two hours is answered by Zendesk itself: no second ticket, no look-up."""
    write = _ticket()
    (first,) = ZENDESK.write(account, [write])
    before = _calls(box)
    (second,) = ZENDESK.write(account, [write])

    assert (second.record, second.is_new) == (first.record, False)
    assert _made_since(box, before) == {"POST /api/v2/tickets": 1}


def test_a_key_with_other_words_changes_its_ticket(box, account):
    """Zendesk refuses a known key with another body; the ticket that has it is changed."""
    key = _key()
    (first,) = ZENDESK.write(account, [_ticket(key, priority="low")])
    (second,) = ZENDESK.write(account, [_ticket(key, priority="urgent")])

    assert second.record == first.record
    assert box.records("Ticket")[0]["fields"]["priority"] == "urgent"
    assert box.stats()["duplicate_keys"] == []


def test_a_key_whose_ticket_was_deleted_waits(box, account):
    """While Zendesk remembers a key, a new ticket of other words cannot be made: later, not never."""
    key = _key()
    (first,) = ZENDESK.write(account, [_ticket(key)])
    box.http.post(f"{box.url}/_zendesk/delete", json={"id": first.record.id}).raise_for_status()

    with pytest.raises(Unavailable, match="two hours"):
        ZENDESK.write(account, [_ticket(key, priority="urgent")])


def test_a_later_try_looks_for_its_ticket_first(box, account):
    """Days later Zendesk knows the key no more: a row that was tried before is asked for, then changed."""
    write = _ticket()
    (first,) = ZENDESK.write(account, [write])
    _forget(box)
    (second,) = ZENDESK.write(account, [replace(write, is_first=False)])

    assert (second.record, second.is_new) == (first.record, False)
    assert box.stats()["duplicate_keys"] == []


def test_a_later_try_among_new_tickets_makes_no_second(box, account):
    """A job takes no key: what was tried before is looked for, and goes with the job only when it is not there."""
    known, lost = _ticket(), _ticket()
    (first,) = ZENDESK.write(account, [known])
    _forget(box)
    tried = [replace(known, is_first=False), replace(lost, is_first=False)]
    before = _calls(box)
    second, *others = ZENDESK.write(account, [*tried, _ticket(), _ticket()])

    assert (second.record, second.is_new) == (first.record, False)
    assert _made_since(box, before) == {
        "GET /api/v2/tickets": 2,
        "PUT /api/v2/tickets/<number>": 1,
        "POST /api/v2/tickets/create_many": 1,
    }
    ZENDESK.poll(account, _job(others), [tried[1]])
    assert len(box.records("Ticket")) == 4
    assert box.stats()["duplicate_keys"] == []


def test_a_ticket_that_was_found_is_changed_once(box, account):
    """Looking for an earlier try and changing what was found are two calls, not three."""
    write = _ticket()
    (first,) = ZENDESK.write(account, [write])
    before = _calls(box)
    ZENDESK.write(account, [replace(write, is_first=False)])

    assert sum(_made_since(box, before).values()) == 2
    assert first.is_new


def test_find_knows_a_ticket_after_the_key_is_forgotten(box, account):
    """Days later the ticket is still found by our key, so that nobody writes it again."""
    write = _ticket()
    (made,) = ZENDESK.write(account, [write])
    _forget(box)
    (found,) = ZENDESK.find(account, [Lookup("Ticket", key=write.key)])

    assert [c.record.id for c in found.candidates] == [made.record.id]


def test_an_update_adds_tags_and_no_comment(box, account):
    """A replay by id keeps the tags that agents added, and does not say everything twice."""
    (made,) = ZENDESK.write(account, [_ticket(tags=["voicemail"])])
    write = _ticket(tags=["Leak in kitchen"], priority="high")
    outcomes = ZENDESK.write(account, [replace(write, record_id=made.record.id)])
    (changed,) = ZENDESK.poll(account, _job(outcomes), [replace(write, record_id=made.record.id)])

    fields = box.records("Ticket")[0]["fields"]
    assert changed.record == made.record
    assert fields["tags"] == ["voicemail", "leak_in_kitchen"]
    assert fields["description"] == "Water through the ceiling"
    assert fields["priority"] == "high"


def test_a_ticket_without_a_user_names_its_requester(box, account):
    """Name and address make the requester where there is no user yet, and find them where there is."""
    words = {"requester_name": "Dana Whitfield", "requester_email": "dana@whitfield.example"}
    ZENDESK.write(account, [_ticket(**words)])
    ZENDESK.write(account, [_ticket(**words)])

    assert box.stats()["records"] == {"Ticket": 2, "User": 1}
    requesters = {str(one["fields"]["requester_id"]) for one in box.records("Ticket")}
    assert requesters == {box.records("User")[0]["id"]}


def test_a_refusal_to_change_one_record_is_about_that_record(box, account):
    """A closed ticket cannot be changed; the connection goes on."""
    (made,) = ZENDESK.write(account, [_ticket()])
    _status(box, made.record.id, "closed")
    (outcome,) = ZENDESK.write(
        account, [Write(_key(), "Ticket", {"priority": "low"}, made.record.id)]
    )

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "status"
    assert "closed prevents" in outcome.error.detail


# Several tickets: jobs.


def test_several_tickets_are_a_job(box, account):
    """A hundred tickets cost one call and one question, and each gets its own record."""
    assert isinstance(ZENDESK, WorksLater)
    before = _calls(box)
    writes = [_ticket(subject=f"Call {number}") for number in range(100)]
    job = _job(ZENDESK.write(account, writes))
    outcomes = ZENDESK.poll(account, job, writes)

    made = {r["id"]: r["fields"]["external_id"] for r in box.records("Ticket", limit=200)}
    assert [made[o.record.id] for o in outcomes] == [w.key for w in writes]
    assert all(o.is_new for o in outcomes)
    assert _made_since(box, before) == {
        "POST /api/v2/tickets/create_many": 1,
        "GET /api/v2/job_statuses/<job>": 1,
    }


def test_a_thousand_tickets_cost_ten_calls_and_the_polling(box, account):
    """A backlog of a thousand stays within twelve calls, besides asking about the jobs."""
    before = _calls(box)
    spent: dict[str, int] = {}

    def spend(**units: int) -> None:
        for name, number in units.items():
            spent[name] = spent.get(name, 0) + number

    watched = replace(account, spend=spend)
    for _ in range(10):
        writes = [_ticket() for _ in range(100)]
        job = _job(ZENDESK.write(watched, writes))
        assert all(o.record for o in ZENDESK.poll(watched, job, writes))

    made = _made_since(box, before)
    assert made.pop("GET /api/v2/job_statuses/<job>") == 10
    assert sum(made.values()) == 10
    assert spent == {"requests": 20, "jobs": 10}


def test_a_job_that_still_runs_is_asked_about_again(box, account):
    """Queued and working jobs are NotYet with the same job."""
    _choose(box, job_s=60)
    writes = [_ticket(), _ticket()]
    job = _job(ZENDESK.write(account, writes))

    assert _job(ZENDESK.poll(account, job, writes)) == job
    assert "Ticket" not in box.stats()["records"]


def test_rows_of_a_job_are_told_in_any_order(box, account):
    """Whoever asks may have its rows in another order than they were sent."""
    writes = [_ticket() for _ in range(7)]
    writes[3] = _ticket(priority="rather soon")
    job = _job(ZENDESK.write(account, writes))
    outcomes = ZENDESK.poll(account, job, writes[::-1])

    made = {r["id"]: r["fields"]["external_id"] for r in box.records("Ticket")}
    assert [o.error is None for o in outcomes] == [True] * 3 + [False] + [True] * 3
    good = [(o, w) for o, w in zip(outcomes, writes[::-1], strict=True) if o.record]
    assert all(made[o.record.id] == w.key for o, w in good)


def test_rows_are_recognised_when_others_have_gone(box, account):
    """When a row is not asked for any more, the others are told by their keys, not by their places."""
    writes = [_ticket() for _ in range(5)]
    job = _job(ZENDESK.write(account, writes))
    rest = [writes[4], writes[1]]
    outcomes = ZENDESK.poll(account, job, rest)

    made = {r["id"]: r["fields"]["external_id"] for r in box.records("Ticket")}
    assert [made[o.record.id] for o in outcomes] == [w.key for w in rest]


def test_a_refused_row_of_a_job_names_field_and_sentence(box, account):
    """The vendor's sentence is given without the value."""
    writes = [_ticket(), _ticket(type="a big one, said Dana")]
    outcomes = ZENDESK.poll(account, _job(ZENDESK.write(account, writes)), writes)

    assert outcomes[0].record
    error = outcomes[1].error
    assert isinstance(error, Rejected)
    assert (error.field, error.code) == ("type", "RecordInvalid")
    assert "is not valid" in error.detail
    assert "Dana" not in error.detail


def test_a_job_that_is_refused_whole_is_halved(box, account):
    """Zendesk names no row: the bad one is found by halving, and keeps no other back."""
    writes = [_ticket() for _ in range(8)]
    writes[5] = _ticket(subject=["no", "text"])
    outcomes = list(ZENDESK.write(account, writes))
    for job in {o.error.job for o in outcomes if isinstance(o.error, NotYet)}:
        places = [i for i, o in enumerate(outcomes) if getattr(o.error, "job", None) == job]
        told = ZENDESK.poll(account, job, [writes[i] for i in places])
        for place, outcome in zip(places, told, strict=True):
            outcomes[place] = outcome

    assert [o.record is not None for o in outcomes] == [True] * 5 + [False] + [True] * 2
    assert isinstance(outcomes[5].error, Rejected)
    assert box.stats()["duplicate_keys"] == []


def test_a_forgotten_job_is_uncertain_and_its_tickets_are_found(box, account):
    """Nobody asked for an hour: the rows are looked up by key, and none is written again."""
    writes = [_ticket() for _ in range(3)]
    job = _job(ZENDESK.write(account, writes))
    box.stats()  # by now it has run
    _forget(box)
    outcomes = ZENDESK.poll(account, job, writes)
    found = ZENDESK.find(account, [Lookup("Ticket", key=w.key, fields=w.fields) for w in writes])

    assert all(isinstance(o.error, Uncertain) and o.error.code == "job_gone" for o in outcomes)
    assert [len(one.candidates) for one in found] == [1, 1, 1]


def test_a_job_that_failed_as_a_whole_is_uncertain(box, account):
    """Zendesk does not say how far it came, so each row is looked up."""
    _choose(box, fail_jobs=1)
    writes = [_ticket(), _ticket()]
    outcomes = ZENDESK.poll(account, _job(ZENDESK.write(account, writes)), writes)
    found = ZENDESK.find(account, [Lookup("Ticket", key=w.key) for w in writes])

    assert all(isinstance(o.error, Uncertain) for o in outcomes)
    assert [one.candidates for one in found] == [(), ()]


def test_a_lost_answer_to_a_job_waits_until_it_can_have_run(box, account):
    """The job may be queued: nobody asks for its tickets before it must have ended."""
    box.fault(kind="cut_after", path="create_many")
    writes = [_ticket() for _ in range(60)]
    with pytest.raises(Uncertain) as caught:
        ZENDESK.write(account, writes)
    with_setting = replace(account, settings={"job_runs_s": 30})
    box.fault(kind="cut_before", path="create_many")
    with pytest.raises(Uncertain) as shorter:
        ZENDESK.write(with_setting, [_ticket(), _ticket()])

    assert caught.value.ask_after_s == 600
    assert shorter.value.ask_after_s == 30


def test_lost_tickets_are_found_with_few_calls(box, account):
    """What a job made is found through the list of jobs: not one call for each ticket."""
    box.fault(kind="cut_after", path="create_many")
    writes = [_ticket() for _ in range(60)]
    with pytest.raises(Uncertain):
        ZENDESK.write(account, writes)
    before = _calls(box)
    found = ZENDESK.find(account, [Lookup("Ticket", key=w.key) for w in writes])

    assert [len(one.candidates) for one in found] == [1] * 60
    assert sum(_made_since(box, before).values()) == 2
    assert box.stats()["duplicate_keys"] == []


def test_too_many_jobs_are_throttled(box, account):
    """Thirty jobs may wait; the next one comes later, and nothing of it was written."""
    _choose(box, job_s=600)
    for _ in range(30):
        _job(ZENDESK.write(account, [_ticket(), _ticket()]))

    with pytest.raises(Throttled) as caught:
        ZENDESK.write(account, [_ticket(), _ticket()])

    assert caught.value.code == "TooManyJobs"
    assert caught.value.retry_after_s > 0


def test_a_job_runs_although_the_vendor_was_killed(tmp_path):
    """The sandbox keeps its jobs as a vendor does, so that crashes can be tried."""
    box = running.start("zendesk", tmp_path)
    account, _ = running.connect(box, ZENDESK)
    _choose(box, job_s=0.2)
    writes = [_ticket(), _ticket()]
    job = _job(ZENDESK.write(account, writes))
    box.kill()
    with running.sandbox("zendesk", tmp_path) as again:
        there = replace(account, base_url=again.url)
        for _ in range(100):
            outcomes = ZENDESK.poll(there, job, writes)
            if all(o.record for o in outcomes):
                break
            time.sleep(0.05)
        assert all(o.record for o in outcomes)
        assert again.stats()["duplicate_keys"] == []


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_job_that_broke_while_it_was_queued_is_uncertain(box, account, status):
    """It may be in the queue all the same; a change may simply be sent again."""
    box.fault(kind="status", status=status, path="create_many")
    with pytest.raises(Uncertain) as caught:
        ZENDESK.write(account, [_ticket(), _ticket()])

    assert caught.value.ask_after_s > 0


@pytest.mark.parametrize("kind", ["malformed", "html"])
def test_a_job_status_that_cannot_be_read_breaks_the_contract(box, account, kind):
    """An answer that is not what the documents say is told as such, and does not loop."""
    writes = [_ticket(), _ticket()]
    job = _job(ZENDESK.write(account, writes))
    box.fault(kind=kind, path="job_statuses")

    with pytest.raises(ContractBroken):
        ZENDESK.poll(account, job, writes)


# Users.


def test_a_user_is_made_once(box, account):
    """The same key gives the same user, changed where the values have changed."""
    key = _key()
    (first,) = ZENDESK.write(account, [_user(key, phone="+14155550132")])
    (second,) = ZENDESK.write(account, [_user(key, phone="+14155550133")])

    assert (first.is_new, second.is_new) == (True, False)
    assert second.record == first.record
    assert box.records("User")[0]["fields"]["phone"] == "+14155550133"


def test_another_users_address_asks_a_person(box, account):
    """An address belongs to one user only: a person chooses, and nobody's external id is replaced."""
    (first,) = ZENDESK.write(account, [_user(email="dana@whitfield.example")])
    before = box.records("User")[0]["fields"]
    (second,) = ZENDESK.write(account, [_user(email="Dana@Whitfield.example")])

    assert isinstance(second.error, Ambiguous)
    assert [c.record.id for c in second.error.candidates] == [first.record.id]
    assert "whitfield" not in second.error.detail
    assert box.records("User")[0]["fields"] == before


@pytest.mark.parametrize("kept", ["+1 415-555-0132", "(415) 555-0132", "4155550132"])
def test_a_phone_number_is_found_however_it_is_written(box, account, kept):
    """People write numbers in many ways; another number is no hit."""
    (made,) = ZENDESK.write(account, [_user(phone=kept)])
    found = ZENDESK.find(
        account,
        [
            Lookup("User", by={"phone": "+14155550132"}),
            Lookup("User", by={"phone": "+14155550199"}),
        ],
    )

    hits = [[c.record.id for c in one.candidates] for one in found]
    assert hits == [[made.record.id], []]


def test_look_ups_share_searches(box, account):
    """A batch of people costs a search for each dozen of addresses."""
    before = _calls(box)
    ZENDESK.find(
        account, [Lookup("User", by={"email": f"person{n}@callers.example"}) for n in range(24)]
    )

    assert _made_since(box, before) == {"GET /api/v2/search": 2}


def test_users_go_one_by_one_where_bulk_is_off(box, account):
    """Most accounts may not make users in bulk: 403, and the same write goes on without."""
    wants_bulk = replace(account, settings={"bulk_users": True})
    before = _calls(box)
    outcomes = ZENDESK.write(wants_bulk, [_user() for _ in range(3)])

    assert all(o.is_new for o in outcomes)
    assert _made_since(box, before) == {
        "POST /api/v2/users/create_many": 1,
        "POST /api/v2/users": 3,
    }


def test_users_are_a_job_where_bulk_is_allowed(box, account):
    """An account for which it is switched on makes a hundred users with one call."""
    _choose(box, bulk_users=True)
    wants_bulk = replace(account, settings={"bulk_users": True})
    writes = [_user() for _ in range(5)]
    job = _job(ZENDESK.write(wants_bulk, writes))
    outcomes = ZENDESK.poll(wants_bulk, job, writes)

    assert all(o.is_new for o in outcomes)
    again = ZENDESK.poll(wants_bulk, _job(ZENDESK.write(wants_bulk, writes)), writes)
    assert all(isinstance(o.error, Uncertain) for o in again)
    assert box.stats()["duplicate_keys"] == []


def test_a_large_batch_of_users_is_finished_by_the_next(box, account):
    """One write makes at most twenty-five users; the others use no attempt."""
    writes = [_user() for _ in range(30)]
    outcomes = ZENDESK.write(account, writes)

    assert [o.record is not None for o in outcomes] == [True] * 25 + [False] * 5
    assert all(isinstance(o.error, NotYet) and o.error.job is None for o in outcomes[25:])
    assert ZENDESK.write_cost(writes) == {"requests": 25}


def test_a_limit_in_the_middle_keeps_what_was_made(box, account):
    """Rows that came through are told; the others are throttled."""
    box.set(limits={"requests": 3})
    outcomes = ZENDESK.write(account, [_user() for _ in range(5)])

    assert [o.record is not None for o in outcomes] == [True] * 3 + [False] * 2
    assert all(isinstance(o.error, Throttled) for o in outcomes[3:])


# Limits and access.


def test_zenpys_endless_waiting_never_begins(box, account):
    """429 in plain text with Retry-After: one call, Throttled with Zendesk's time, no waiting."""
    box.fault(kind="status", status=429, path="/tickets", next=5)
    before = _calls(box)
    with pytest.raises(Throttled) as caught:
        ZENDESK.write(account, [_ticket()])

    assert caught.value.retry_after_s == 38
    assert sum(_made_since(box, before).values()) == 1


def test_lists_of_tickets_have_a_limit_of_their_own(box, account):
    """Its header is read, and each list is charged."""
    readings = []
    spent = []
    watched = replace(
        account,
        observe=lambda status, headers, _ms: readings.extend(ZENDESK.read_limits(status, headers)),
        spend=lambda **units: spent.append(units),
    )
    ZENDESK.find(watched, [Lookup("Ticket", key=_key())])

    assert spent == [{"requests": 1, "list_tickets": 1}]
    assert [(r.name, r.capacity, r.remaining) for r in readings] == [
        ("requests", 200, 199),
        ("list_tickets", 100, 99),
    ]


def test_a_refresh_ends_both_old_tokens(box):
    """A second worker with the old pair finds both dead, so one must refresh for all."""
    account, tokens = running.connect(box, ZENDESK)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    fresh = running.token(box, ZENDESK.oauth, **form).raise_for_status().json()

    assert fresh["refresh_token"] != tokens["refresh_token"]
    with pytest.raises(TokenExpired):
        ZENDESK.identify(account)
    assert running.token(box, ZENDESK.oauth, **form).status_code == 400
    assert (
        ZENDESK.identify(replace(account, token=fresh["access_token"]))[1] == "Whitfield Plumbing"
    )


def test_a_connection_without_the_scope_must_be_made_again(box):
    """Less than what was asked is noticed at the first call that needs it."""
    oauth = replace(ZENDESK.oauth, scopes=("tickets:read",))
    tokens = running.authorise(box, oauth)
    account = running.account(box, ZENDESK, tokens)

    with pytest.raises(NeedsReconnect):
        ZENDESK.write(account, [_ticket()])


def test_no_caller_is_written_into_the_log(box, account, caplog):
    """The SDK logs whole requests when debugging; here it does not."""
    with caplog.at_level(logging.DEBUG):
        ZENDESK.write(account, [_ticket(subject="Dana Whitfield called")])

    assert "Dana" not in caplog.text
    assert account.token not in caplog.text


# Describing.


def test_describe_tells_choices_and_custom_fields(account):
    """Picklists come with the account's values, custom fields under their ids; our key is not offered."""
    fields = {one.name: one for one in ZENDESK.describe(account, "Ticket")}

    assert [c.value for c in fields["priority"].choices] == ["low", "normal", "high", "urgent"]
    assert fields["priority"].is_restricted
    assert [c.label for c in fields["group_id"].choices] == ["Support", "Billing"]
    assert [c.value for c in fields["custom_fields.8103"].choices] == ["boiler", "pump", "drain"]
    assert fields["custom_fields.8104"].type == "boolean"
    assert fields["requester_id"].references == ("User",)
    assert not fields["description"].can_update
    assert "external_id" not in fields


def test_custom_fields_are_kept_apart(box, account):
    """A change of one custom field leaves the others alone, and a value that is no choice is refused."""
    (made,) = ZENDESK.write(
        account, [_ticket(**{"custom_fields.8101": "Boiler 3", "custom_fields.8103": "pump"})]
    )
    change = Write(_key(), "Ticket", {"custom_fields.8101": "Boiler 4"}, made.record.id)
    ZENDESK.write(account, [change])
    (bad,) = ZENDESK.write(account, [_ticket(**{"custom_fields.8103": "roof"})])

    kept = {one["id"]: one["value"] for one in box.records("Ticket")[0]["fields"]["custom_fields"]}
    assert kept == {8101: "Boiler 4", 8103: "pump"}
    assert isinstance(bad.error, Rejected)
    assert "roof" not in bad.error.detail


# Closing.


def test_closed_tells_the_first_touch_too(box, account):
    """Taken up is a touch, solved a closure; a new ticket is neither. Two hundred cost two calls."""
    numbers = [ZENDESK.write(account, [_ticket()])[0].record for _ in range(3)]
    strangers = [RecordId("Ticket", str(9_000_000 + n)) for n in range(197)]
    before = _calls(box)
    time.sleep(1.1)  # Zendesk's times are whole seconds.
    _status(box, numbers[1].id, "open")
    _status(box, numbers[2].id, "solved")
    told = {c.record.id: c for c in ZENDESK.closed(account, [*numbers, *strangers])}

    assert set(told) == {numbers[1].id, numbers[2].id}
    assert (told[numbers[1].id].is_closed, told[numbers[1].id].result) == (False, "open")
    assert (told[numbers[2].id].is_closed, told[numbers[2].id].result) == (True, "solved")
    assert _made_since(box, before) == {"GET /api/v2/tickets/show_many": 2}


@dataclass
class Ear:
    """Hears what a vendor sends to us."""

    heard: list[WebhookRequest] = field(default_factory=list)
    url: str = ""

    def wait(self, number: int) -> list[WebhookRequest]:
        """Give what was heard once so many have come."""
        for _ in range(500):
            if len(self.heard) >= number:
                break
            time.sleep(0.02)
        return list(self.heard)


@pytest.fixture(name="ear")
def _ear() -> Iterator[Ear]:
    ear = Ear()

    class Hearing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            ear.heard.append(WebhookRequest(headers, body, ear.url))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hearing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ear.url = f"http://127.0.0.1:{server.server_port}/hooks/zendesk"
    yield ear
    server.shutdown()
    server.server_close()


def test_zendesk_reports_what_agents_do(box, account, ear):
    """A subscription's webhooks are signed with its own secret, and tell touch and closure."""
    assert isinstance(ZENDESK, Subscribes)
    ours = replace(account, webhook_url=ear.url)
    known = ZENDESK.subscribe(ours, None)
    (made,) = ZENDESK.write(account, [_ticket()])
    _status(box, made.record.id, "open")
    ear.wait(1)
    _status(box, made.record.id, "solved")
    told = [ZENDESK.webhook(account, replace(one, secret=known.secret))[0] for one in ear.wait(2)]

    assert [(c.record.id, c.is_closed, c.result) for c in told] == [
        (made.record.id, False, "open"),
        (made.record.id, True, "solved"),
    ]
    assert all(c.closed_at.tzinfo for c in told)


def test_a_webhook_of_another_hand_is_rejected(box, account, ear):
    """A wrong secret, a changed body, an old or missing signature: nothing is closed by it."""
    known = ZENDESK.subscribe(replace(account, webhook_url=ear.url), None)
    (made,) = ZENDESK.write(account, [_ticket()])
    _status(box, made.record.id, "solved")
    (good,) = (replace(one, secret=known.secret) for one in ear.wait(1))
    bad = [
        replace(good, secret="another"),
        replace(good, secret=""),
        replace(good, body=good.body.replace(made.record.id.encode(), b"7777")),
        replace(good, headers={**good.headers, "x-zendesk-webhook-signature": "é"}),
        replace(good, headers={}),
        _old(good, known.secret),
    ]

    for request in bad:
        with pytest.raises(Rejected):
            ZENDESK.webhook(account, request)
    assert ZENDESK.webhook(account, good)


def _old(request: WebhookRequest, secret: str) -> WebhookRequest:
    """Sign a webhook rightly, but of yesterday."""
    import hmac

    timestamp = "2026-01-01T00:00:00Z"
    assert datetime.fromisoformat(timestamp) < datetime.now(UTC)
    digest = hmac.digest(secret.encode(), timestamp.encode() + request.body, "sha256")
    headers = {
        "x-zendesk-webhook-signature": b64encode(digest).decode(),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }
    return replace(request, headers=headers)


def test_other_events_close_nothing(account):
    """Zendesk may send what nobody subscribed to; a signed body that is no event is refused."""
    import hmac

    stamp = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    def signed(body: bytes) -> WebhookRequest:
        digest = hmac.digest(b"secret", stamp.encode() + body, "sha256")
        headers = {
            "x-zendesk-webhook-signature": b64encode(digest).decode(),
            "x-zendesk-webhook-signature-timestamp": stamp,
        }
        return WebhookRequest(headers, body, "https://afterbeep.example/x", secret="secret")

    other = json.dumps({"type": "zen:event-type:ticket.created", "detail": {"id": "1"}}).encode()
    assert ZENDESK.webhook(account, signed(other)) == []
    for body in (b"{", b'{"type": "zen:event-type:ticket.status_changed"}'):
        with pytest.raises(Rejected):
            ZENDESK.webhook(account, signed(body))


def test_subscribing_again_makes_no_second_webhook(box, account, ear):
    """With or without what we remember, there is one webhook; a new address is taken over."""
    ours = replace(account, webhook_url=ear.url)
    first = ZENDESK.subscribe(ours, None)
    second = ZENDESK.subscribe(ours, first)
    third = ZENDESK.subscribe(ours, None)
    moved = ZENDESK.subscribe(replace(ours, webhook_url=f"{ear.url}/2"), first)

    assert {first.id, second.id, third.id, moved.id} == {first.id}
    assert second.secret == first.secret
    ZENDESK.unsubscribe(account, first)
    ZENDESK.unsubscribe(account, first)
    assert ZENDESK.subscribe(ours, first).id != first.id


def test_only_admins_may_have_zendesk_report(box):
    """An agent's connection is told so, and goes on without webhooks."""
    oauth = replace(ZENDESK.oauth, scopes=("read", "tickets:write"))
    account = running.account(box, ZENDESK, running.authorise(box, oauth))

    with pytest.raises(Rejected, match="admin"):
        ZENDESK.subscribe(replace(account, webhook_url="http://127.0.0.1:9/x"), None)
