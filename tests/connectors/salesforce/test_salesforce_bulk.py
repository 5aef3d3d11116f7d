"""Salesforce's Bulk API 2.0: very many rows in one job, whatever is lost on the way."""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
import running

from connectors.errors import (
    ContractBroken,
    NotYet,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.interface import WorksLater, WritesInBulk
from connectors.record import Account, Lookup, OAuth, Outcome, Write
from connectors.registry import connector
from connectors.salesforce import bulk_csv
from connectors.salesforce.connector import Salesforce

SALESFORCE = connector("salesforce")
assert isinstance(SALESFORCE, Salesforce)
assert isinstance(SALESFORCE.oauth, OAuth)
FACTS = SALESFORCE.oauth
LOCKED = "00Dbm00000Locked3"
JOBS = "/jobs/ingest"
#: More than one call takes.
SOME = 230


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory) -> Iterator[running.Sandbox]:
    with running.sandbox("salesforce", tmp_path_factory.mktemp("bulk")) as box:
        yield box


@pytest.fixture(name="account", scope="module")
def _account(box) -> Account:
    account = running.account(box, SALESFORCE, running.authorise(box, FACTS))
    assert list(SALESFORCE.prepare(account)) == []
    return account


@pytest.fixture(name="api")
def _api(box, account) -> Iterator[httpx.Client]:
    """Give the REST API as another program of the customer would use it; jobs are done at once."""
    _pace(box)
    headers = {"Authorization": f"Bearer {account.token}"}
    base = f"{box.url}/services/data/v62.0/"
    with httpx.Client(base_url=base, headers=headers) as api:
        yield api
    box.clear_faults()
    _pace(box)


def _pace(
    box: running.Sandbox, *, delay_s: float = 0.0, rows_per_s: float = 1e9, is_on: bool = True
) -> None:
    """Say how long jobs wait, how fast they are, and whether the org has Bulk API at all."""
    settings = {"bulk_delay_s": delay_s, "bulk_rows_per_s": rows_per_s, "is_bulk_on": is_on}
    box.http.post(f"{box.url}/_salesforce/settings", json=settings).raise_for_status()


def _key() -> str:
    return uuid.uuid4().hex


def _lead(**fields: object) -> Write:
    return Write(_key(), "Lead", {"LastName": "Whitfield", "Company": "W", **fields})


def _leads(number: int) -> list[Write]:
    return [_lead() for _ in range(number)]


def _job(outcome: Outcome) -> str:
    assert isinstance(outcome.error, NotYet), outcome.error
    assert outcome.error.job
    return outcome.error.job


def _polled(account: Account, job: str, writes: Sequence[Write]) -> list[Outcome]:
    """Ask for a job until it has ended, as the hub does, and give the rows' outcomes."""
    for _ in range(200):
        outcomes = list(SALESFORCE.poll(account, job, writes))
        if not all(isinstance(one.error, NotYet) for one in outcomes):
            return outcomes
    raise AssertionError("the job does not end")


def _written(account: Account, writes: Sequence[Write]) -> list[Outcome]:
    """Write rows of one kind through one job."""
    outcomes = list(SALESFORCE.write(account, writes))
    (job,) = {_job(one) for one in outcomes}
    return _polled(account, job, writes)


def _found(account: Account, writes: Sequence[Write]) -> int:
    """Count the writes for which there is exactly one record."""
    lookups = [Lookup(one.object, key=one.key) for one in writes]
    return sum(len(one.candidates) == 1 for one in SALESFORCE.find(account, lookups))


def _fields(box: running.Sandbox, outcome: Outcome) -> dict[str, object]:
    assert outcome.record is not None, outcome.error
    found = box.records(outcome.record.object, limit=20_000)
    return next(one["fields"] for one in found if one["id"] == outcome.record.id)


def _calls(box: running.Sandbox, part: str) -> int:
    return sum(count for rule, count in box.stats()["calls"].items() if part in rule)


# What a job does.


def test_the_connector_says_that_it_can():
    """The hub asks for these; 2,000 is Salesforce's own figure."""
    assert isinstance(SALESFORCE, WorksLater)
    assert isinstance(SALESFORCE, WritesInBulk)
    assert (SALESFORCE.bulk_from, SALESFORCE.max_bulk) == (2_000, 10_000)


def test_2500_rows_with_three_bad_ones_take_seven_calls(box, account, api):
    """Each row has its own outcome, in the order of the writes; the vendor's come in another."""
    writes = [_lead(FirstName=f"No. {i}") for i in range(2_500)]
    writes[3] = Write(writes[3].key, "Lead", {"LastName": "Whitfield"})
    writes[1_200] = replace(writes[1_200], fields={**writes[1_200].fields, "Urgency__c": "Soonish"})
    writes[2_499] = replace(writes[2_499], fields={**writes[2_499].fields, "LastName": "W" * 81})
    spent: list[dict[str, int]] = []
    counted = replace(account, spend=lambda **units: spent.append(units))

    outcomes = _written(counted, writes)

    bad = {i: one.error for i, one in enumerate(outcomes) if one.error}
    assert {i: (error.code, error.field) for i, error in bad.items()} == {
        3: ("REQUIRED_FIELD_MISSING", "Company"),
        1_200: ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "Urgency__c"),
        2_499: ("STRING_TOO_LONG", "LastName"),
    }
    assert all(isinstance(error, Rejected) for error in bad.values())
    assert "Soonish" not in bad[1_200].detail
    assert "WWW" not in bad[2_499].detail
    assert spent == [{"requests": 1}] * 7
    assert all(one.is_new for one in outcomes if not one.error)
    for i in (0, 4, 1_201, 2_498):
        assert _fields(box, outcomes[i])["FirstName"] == f"No. {i}"
    assert box.stats()["duplicate_keys"] == []


WORDS = [
    'She said "now", then hung up; a,b,,c',
    "first line\nsecond line\r\nthird\rfourth\n",
    "Zoë Müller-Łukasz, 王小明, مرحبا بكم, שלום עולם, 👩🏽‍🔧",
    " spaces before and after ",
    "=cmd|' /C calc'!A0",
    '"',
    '""",\n"',
    "#N/A",
    "x" * 32_000,
    "tab\tand \\ backslash",
]


def test_words_arrive_as_they_are(box, account, api):
    """Quotes, line ends, commas, scripts, spaces, and even the sign for clearing a field."""
    writes = [*(_lead(Description=words) for words in WORDS), *_leads(SOME)]

    outcomes = list(SALESFORCE.write(account, writes))
    job = _job(outcomes[0])
    polled = _polled(account, job, writes)

    # What a table cannot hold was written at once.
    assert [i for i, one in enumerate(outcomes) if one.record] == [WORDS.index("#N/A")]
    for i, words in enumerate(WORDS):
        outcome = outcomes[i] if outcomes[i].record else polled[i]
        assert _fields(box, outcome)["Description"] == words


def test_a_text_longer_than_a_table_takes_is_refused_alone(account, api):
    """The org's own limit parks that row; the others go through the job."""
    writes = [_lead(Description="x" * 32_001), *_leads(SOME)]

    outcomes = list(SALESFORCE.write(account, writes))

    assert isinstance(outcomes[0].error, Rejected)
    assert outcomes[0].error.field == "Description"
    assert {_job(one) for one in outcomes[1:]} == {_job(outcomes[1])}


def test_known_records_are_updated_by_a_job_of_their_own(box, account, api):
    """None and "" clear, a value is set, a field that is not named stays; nothing is created."""
    made = _written(account, [_lead(Title="Owner", City="Reno") for _ in range(SOME)])
    updates = [
        Write(_key(), "Lead", {"Title": ("Buyer", None, "")[i % 3]}, one.record.id)
        for i, one in enumerate(made)
    ]
    before = box.stats()["records"]["Lead"]

    outcomes = list(SALESFORCE.write(account, [*updates, *_leads(SOME)]))
    update_job, upsert_job = _job(outcomes[0]), _job(outcomes[-1])
    done = _polled(account, update_job, updates)

    assert update_job != upsert_job
    assert len({_job(one) for one in outcomes}) == 2
    assert [one.record.id for one in done] == [one.record.id for one in made]
    assert not any(one.is_new for one in done)
    assert box.stats()["records"]["Lead"] == before
    fields = [_fields(box, one) for one in done[:3]]
    assert [one.get("Title") for one in fields] == ["Buyer", None, None]
    assert {one["City"] for one in fields} == {"Reno"}


def test_an_update_of_a_record_that_is_gone_is_refused_alone(account, api):
    """The job's failed rows are matched by the id that was sent."""
    made = _written(account, _leads(SOME))
    api.delete(f"sobjects/Lead/{made[7].record.id}").raise_for_status()
    updates = [Write(_key(), "Lead", {"Title": "Owner"}, one.record.id) for one in made]

    outcomes = _written(account, updates)

    assert [i for i, one in enumerate(outcomes) if one.error] == [7]
    assert isinstance(outcomes[7].error, Rejected)


def test_a_few_left_over_are_written_at_once(account, api):
    """Three known records cost one call, not a job of five."""
    made = [SALESFORCE.write(account, [_lead()])[0] for _ in range(3)]
    updates = [Write(_key(), "Lead", {"Title": "Owner"}, one.record.id) for one in made]
    writes = [*_leads(SOME), *updates]
    spent: list[dict[str, int]] = []

    outcomes = SALESFORCE.write(replace(account, spend=lambda **units: spent.append(units)), writes)

    assert [one.record.id for one in outcomes[SOME:]] == [one.record.id for one in made]
    assert {"requests": len(spent)} == SALESFORCE.write_cost(writes) == {"requests": 3}


def test_more_than_a_job_takes_become_two_jobs(account, api):
    """10,001 rows: the last one has a job of its own, as it is part of the same kind of write."""
    writes = _leads(10_001)

    outcomes = SALESFORCE.write(account, writes)

    assert len({_job(one) for one in outcomes[:10_000]}) == 1
    assert _job(outcomes[10_000]) != _job(outcomes[0])
    assert SALESFORCE.write_cost(writes) == {"requests": 4}


def test_the_same_key_twice_makes_one_record(box, account, api):
    """Rows with one key become one, what is said later counts, and only the first is new."""
    first = _lead(Title="Owner")
    writes = [first, *_leads(SOME), replace(first, fields={"Title": "Buyer"})]

    outcomes = _written(account, writes)

    assert outcomes[0].record == outcomes[-1].record
    assert (outcomes[0].is_new, outcomes[-1].is_new) == (True, False)
    assert _fields(box, outcomes[0])["Title"] == "Buyer"


def test_writing_the_same_rows_again_finds_the_same_records(box, account, api):
    """Through a job or at once, a key stays with its record."""
    writes = _leads(SOME)
    first = _written(account, writes)
    again = _written(account, writes)
    (one,) = SALESFORCE.write(account, [writes[5]])

    assert [o.record for o in again] == [o.record for o in first]
    assert not any(o.is_new for o in again)
    assert (one.record, one.is_new) == (first[5].record, False)
    assert box.stats()["duplicate_keys"] == []


def test_some_rows_of_a_job_can_be_asked_for(account, api):
    """The hub may ask for a part, in any order."""
    writes = _leads(SOME)
    outcomes = _written(account, writes)
    part = writes[40:60]
    random.Random(7).shuffle(part)

    asked = _polled(account, _job(SALESFORCE.write(account, writes)[0]), part)

    assert [one.record for one in asked] == [outcomes[writes.index(one)].record for one in part]


def test_a_locked_row_comes_again_later(box, account, api):
    """UNABLE_TO_LOCK_ROW concerns one row, and only for now."""
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(account, writes)[0])
    SALESFORCE.poll(account, job, writes)
    box.fault(kind="row", code="UNABLE_TO_LOCK_ROW", path=JOBS)

    outcomes = _polled(account, job, writes)

    assert [i for i, one in enumerate(outcomes) if one.error] == [0]
    assert isinstance(outcomes[0].error, Unavailable)


def test_a_value_of_the_wrong_type_is_refused_alone(account, api):
    """Unlike a collection, a job is not refused whole for it."""
    writes = [_lead(NumberOfEmployees="a dozen"), *_leads(SOME)]

    outcomes = _written(account, writes)

    assert [i for i, one in enumerate(outcomes) if one.error] == [0]
    assert isinstance(outcomes[0].error, Rejected)
    assert outcomes[0].error.field == "NumberOfEmployees"
    assert "dozen" not in outcomes[0].error.detail


@pytest.mark.parametrize("rows", [200, 60])
def test_many_values_of_the_wrong_type_do_not_cost_a_call_each(box, account, api, rows):
    """A collection is refused whole for them, without a name: after 24 calls a job finds them."""
    writes = [_lead(NumberOfEmployees="a dozen") for _ in range(rows)]
    writes[-1] = _lead()
    before = _calls(box, "composite/sobjects")

    outcomes = list(SALESFORCE.write(account, writes))

    assert _calls(box, "composite/sobjects") - before <= 24
    taken = [i for i, one in enumerate(outcomes) if isinstance(one.error, NotYet)]
    assert rows - 1 in taken
    job = _job(outcomes[taken[0]])
    for place, one in zip(taken, _polled(account, job, [writes[i] for i in taken]), strict=True):
        outcomes[place] = one
    assert outcomes[-1].is_new
    assert all(isinstance(one.error, Rejected) for one in outcomes[:-1])
    assert box.stats()["duplicate_keys"] == []


# A job that takes its time.


def test_rows_wait_while_the_job_works(box, account, api):
    """A job's name stays the same; it is not asked again at once; then it tells of every row."""
    _pace(box, delay_s=3_600)
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(account, writes)[0])

    started, waiting = (SALESFORCE.poll(account, job, writes) for _ in range(2))
    _pace(box)
    ended = SALESFORCE.poll(account, job, writes)

    for outcomes in (started, waiting):
        assert {_job(one) for one in outcomes} == {job}
        assert all(one.error.retry_after_s >= 3.0 for one in outcomes)
    assert [one.error for one in ended] == [None] * SOME


class _Clock(BaseHTTPRequestHandler):
    """A vendor whose clock stands so many seconds after a job was made."""

    age_s = 0

    def do_GET(self) -> None:
        """Tell of a job at work."""
        minutes, seconds = divmod(self.age_s, 60)
        body = {"state": "InProgress", "createdDate": "2026-11-22T10:00:00.000+0000"}
        raw = json.dumps(body).encode()
        self.send_response_only(200)
        self.send_header("Date", f"Sun, 22 Nov 2026 10:{minutes:02d}:{seconds:02d} GMT")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("age_s", "wait_s"), [(1, 3.0), (100, 100.0), (3_500, 600.0)])
def test_a_job_is_asked_for_less_often_the_longer_it_takes(account, age_s, wait_s):
    """By the vendor's clock, so that ours may be wrong: as long as it already took, ten minutes at most."""
    served = type("Served", (_Clock,), {"age_s": age_s})
    server = HTTPServer(("127.0.0.1", 0), served)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        there = replace(account, base_url=f"http://127.0.0.1:{server.server_port}")
        (outcome,) = SALESFORCE.poll(there, "bulk:upsert:750bm000000000BAAQ", [_lead()])
    finally:
        thread.join(timeout=20)
        server.server_close()

    assert isinstance(outcome.error, NotYet)
    assert outcome.error.retry_after_s == wait_s


# Whatever is lost, no row is in two jobs that run.


def test_a_job_is_only_started_once_its_name_is_kept(box, account, api):
    """A worker that dies after write leaves an idle job: the rows go into another, and exist once."""
    writes = _leads(SOME)
    forgotten = _job(SALESFORCE.write(account, writes)[0])
    assert _found(account, writes) == 0

    outcomes = _written(account, writes)

    assert all(one.is_new for one in outcomes)
    assert api.get(f"jobs/ingest/{forgotten[-18:]}").json()["state"] == "Open"
    assert box.stats()["duplicate_keys"] == []


def test_a_vendor_that_is_killed_in_mid_job_goes_on(tmp_path: Path):
    """The job is asked for as before, and each of its rows is there once."""
    box = running.start("salesforce", tmp_path)
    try:
        account = running.account(box, SALESFORCE, running.authorise(box, FACTS))
        SALESFORCE.prepare(account)
        _pace(box, rows_per_s=20)
        writes = _leads(SOME)
        job = _job(SALESFORCE.write(account, writes)[0])
        SALESFORCE.poll(account, job, writes)
        assert isinstance(SALESFORCE.poll(account, job, writes)[0].error, NotYet)
    finally:
        box.kill()
    with pytest.raises(Unavailable):
        SALESFORCE.poll(account, job, writes)
    with running.sandbox("salesforce", tmp_path) as again:
        _pace(again)
        outcomes = _polled(replace(account, base_url=again.url), job, writes)

        assert [one.error for one in outcomes] == [None] * SOME
        assert again.stats()["records"]["Lead"] == SOME
        assert again.stats()["duplicate_keys"] == []


@pytest.mark.parametrize("kind", ["cut_before", "cut_after"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_answer_lost_before_the_start_means_nothing_was_written(box, account, api, kind, method):
    """Unavailable rather than Uncertain: a job that was not started does nothing."""
    writes = _leads(SOME)
    box.fault(kind=kind, method=method, path=JOBS)

    with pytest.raises(Unavailable):
        SALESFORCE.write(account, writes)

    assert _found(account, writes) == 0
    assert all(one.is_new for one in _written(account, writes))
    assert box.stats()["duplicate_keys"] == []


def test_a_job_whose_upload_failed_is_taken_back(box, account, api):
    """It would be in the way of the org's admin for a week."""
    box.fault(kind="status", status=503, method="PUT", path=JOBS)
    before = _calls(box, "PATCH /services/data/<version>/jobs")

    with pytest.raises(Unavailable):
        SALESFORCE.write(account, _leads(SOME))

    assert _calls(box, "PATCH /services/data/<version>/jobs") == before + 1


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "malformed", "html"])
def test_an_answer_lost_while_starting_is_asked_for(box, account, api, kind):
    """The rows stay in their job, which is started exactly once."""
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(account, writes)[0])
    box.fault(kind=kind, method="PATCH", path=JOBS)

    started = SALESFORCE.poll(account, job, writes)

    assert {_job(one) for one in started} == {job}
    assert all(one.is_new for one in _polled(account, job, writes))
    assert box.stats()["duplicate_keys"] == []


def test_a_start_that_fails_is_tried_again(box, account, api):
    """503: the question failed, and the rows are still in the job."""
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(account, writes)[0])
    box.fault(kind="status", status=503, method="PATCH", path=JOBS)

    with pytest.raises(Unavailable):
        SALESFORCE.poll(account, job, writes)

    assert all(one.is_new for one in _polled(account, job, writes))


def test_two_workers_may_start_a_job_at_once(account, api):
    """The one that comes second is not told a refusal."""
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(account, writes)[0])
    outcomes: list[Sequence[Outcome]] = []

    def start() -> None:
        outcomes.append(SALESFORCE.poll(account, job, writes))

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(outcomes) == 2
    for one in outcomes:
        assert one[0].record is not None or _job(one[0]) == job
    assert all(one.record for one in _polled(account, job, writes))


def test_a_job_that_is_gone_is_uncertain(account, api):
    """Salesforce forgets a job after a week: whether it wrote is asked for by key, then."""
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(account, writes)[0])
    outcomes = _polled(account, job, writes)
    api.delete(f"jobs/ingest/{job.rpartition(':')[2]}").raise_for_status()

    gone = SALESFORCE.poll(account, job, writes)

    assert all(isinstance(one.error, Uncertain) for one in gone)
    assert all(one.error.code == "job_gone" for one in gone)
    assert outcomes[0].record
    assert _found(account, writes) == SOME


@pytest.mark.parametrize("job", ["", "bulk:upsert:../../query", "zendesk:1"])
def test_a_name_that_is_none_is_uncertain(account, job):
    """Nothing is sent for it."""
    (outcome,) = SALESFORCE.poll(replace(account, base_url="http://127.0.0.1:9"), job, [_lead()])

    assert isinstance(outcome.error, Uncertain)


def test_a_job_that_an_admin_aborts_tells_what_it_wrote(box, account, api):
    """Rows that it wrote are delivered, the others come again, and no row exists twice."""
    _pace(box, rows_per_s=20)
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(account, writes)[0])
    SALESFORCE.poll(account, job, writes)
    path = f"jobs/ingest/{job.rpartition(':')[2]}"
    assert api.get(path).json()["state"] == "InProgress"
    api.patch(path, json={"state": "Aborted"}).raise_for_status()

    outcomes = SALESFORCE.poll(account, job, writes)

    written = [i for i, one in enumerate(outcomes) if one.record]
    others = [one.error for one in outcomes if not one.record]
    assert 0 < len(written) < SOME
    assert all(isinstance(error, Unavailable) for error in others)
    _pace(box)
    again = _written(account, writes)
    assert [i for i, one in enumerate(again) if not one.is_new] == written
    assert box.stats()["duplicate_keys"] == []


def test_a_field_that_the_org_does_not_have_parks_its_rows_only(account, api):
    """Salesforce ends the whole job for it; the rows that do not name the field come again."""
    writes = _leads(SOME)
    wrong = [replace(one, fields={**one.fields, "Nope__c": "x"}) for one in writes[:2]]

    outcomes = _written(account, [*wrong, *writes[2:]])

    assert all(isinstance(one.error, Rejected) for one in outcomes[:2])
    assert {one.error.field for one in outcomes[:2]} == {"Nope__c"}
    assert all(isinstance(one.error, Unavailable) for one in outcomes[2:])
    assert _found(account, writes) == 0


def test_an_object_without_the_key_field_is_told(box, account, api):
    """Every row says what to do, as at once."""
    writes = [Write(_key(), "Account", {"Name": "W"}) for _ in range(SOME)]

    outcomes = SALESFORCE.write(account, writes)

    assert {one.error.code for one in outcomes} == {"key_field_missing"}
    assert all(isinstance(one.error, Rejected) for one in outcomes)


def test_a_user_who_may_not_see_the_key_field_gets_the_same(box, api):
    """In the org where we could not make it."""
    locked = running.account(box, SALESFORCE, running.authorise(box, FACTS, account=LOCKED))
    outcomes = SALESFORCE.write(locked, _leads(SOME))

    assert {one.error.code for one in outcomes} == {"key_field_missing"}


def test_an_org_without_bulk_api_is_written_to_at_once(box, account, api):
    """The calls cost more, and the rows arrive all the same."""
    _pace(box, is_on=False)
    writes = _leads(SOME)

    outcomes = SALESFORCE.write(account, writes)

    assert all(one.is_new for one in outcomes)
    assert _found(account, writes) == SOME


def test_an_object_that_is_none_is_refused_unsent(account):
    """The name becomes part of an address only when it is one."""
    with pytest.raises(Rejected):
        SALESFORCE.write(
            replace(account, base_url="http://127.0.0.1:9"),
            [Write(_key(), "Lead/../Case", {}) for _ in range(SOME)],
        )


# Limits and tokens.


def _only(number: int) -> Callable[..., None]:
    """Give a budget that allows so many calls."""
    spent: list[int] = []

    def spend(**units: int) -> None:
        if len(spent) >= number:
            raise Throttled("the budget is spent", retry_after_s=60)
        spent.append(sum(units.values()))

    return spend


@pytest.mark.parametrize("calls", [0, 1])
def test_a_budget_that_ends_before_the_upload_writes_nothing(box, account, api, calls):
    """The rows come again in another job."""
    writes = _leads(SOME)

    with pytest.raises(Throttled, match="the budget is spent"):
        SALESFORCE.write(replace(account, spend=_only(calls)), writes)

    assert _found(account, writes) == 0
    assert all(one.is_new for one in _written(account, writes))


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_budget_that_ends_while_asking_keeps_the_rows_in_the_job(account, api, calls):
    """The results can be asked for again, as often as it takes."""
    writes = [Write(_key(), "Lead", {"LastName": "W"}), *_leads(SOME)]
    job = _job(SALESFORCE.write(account, writes)[0])
    SALESFORCE.poll(account, job, writes)

    with pytest.raises(Throttled):
        SALESFORCE.poll(replace(account, spend=_only(calls)), job, writes)

    outcomes = SALESFORCE.poll(account, job, writes)
    assert [one.error is None for one in outcomes] == [False, *[True] * SOME]


def test_a_budget_between_two_jobs_keeps_the_first(account, api):
    """The second kind's rows carry the refusal; the first are in a job."""
    made = _written(account, _leads(SOME))
    updates = [Write(_key(), "Lead", {"Title": "Owner"}, one.record.id) for one in made]
    writes = [*updates, *_leads(SOME)]

    outcomes = SALESFORCE.write(replace(account, spend=_only(2)), writes)

    assert all(isinstance(one.error, Throttled) for one in outcomes[:SOME])
    assert len({_job(one) for one in outcomes[SOME:]}) == 1


def test_an_expired_token_is_told(box, account, api):
    """It is refreshed and the question asked again; the job goes on."""
    own = running.account(box, SALESFORCE, running.authorise(box, FACTS))
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(own, writes)[0])
    tokens = running.authorise(box, FACTS)
    answer = box.http.post(f"{box.url}/services/oauth2/revoke", data={"token": own.token})
    answer.raise_for_status()

    with pytest.raises(TokenExpired):
        SALESFORCE.poll(own, job, writes)

    fresh = replace(own, token=tokens["access_token"])
    assert all(one.record for one in _polled(fresh, job, writes))


# Answers that are none.


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_page_instead_of_an_answer_breaks_the_contract(box, account, api, method):
    """Nothing was written, and somebody has to look."""
    writes = _leads(SOME)
    box.fault(kind="html", method=method, path=JOBS)

    with pytest.raises(ContractBroken):
        SALESFORCE.write(account, writes)

    assert _found(account, writes) == 0


@pytest.mark.parametrize("path", ["successfulResults", "failedResults", JOBS])
def test_a_page_instead_of_results_breaks_the_contract(box, account, api, path):
    """It is not taken for a table without rows; asked again, the rows are there."""
    writes = [Write(_key(), "Lead", {"LastName": "W"}), *_leads(SOME)]
    job = _job(SALESFORCE.write(account, writes)[0])
    SALESFORCE.poll(account, job, writes)
    box.fault(kind="html", method="GET", path=path)

    with pytest.raises(ContractBroken):
        SALESFORCE.poll(account, job, writes)

    outcomes = SALESFORCE.poll(account, job, writes)
    assert [one.error is None for one in outcomes] == [False, *[True] * SOME]


def test_results_that_end_too_early_are_uncertain(box, account, api):
    """Rows that were told are delivered; those that are in no table are asked for by key."""
    writes = _leads(SOME)
    job = _job(SALESFORCE.write(account, writes)[0])
    SALESFORCE.poll(account, job, writes)
    box.fault(kind="malformed", path="successfulResults")

    outcomes = SALESFORCE.poll(account, job, writes)

    told = [one for one in outcomes if one.record]
    assert 0 < len(told) < SOME
    assert all(isinstance(one.error, Uncertain) for one in outcomes if not one.record)
    again = SALESFORCE.poll(account, job, writes)
    assert [o.record for o, one in zip(again, outcomes, strict=True) if one.record] == [
        one.record for one in told
    ]


# Tables.


def test_a_table_is_what_the_guide_says():
    """Commas and line feeds, quotes doubled, an empty cell where nothing is said, #N/A to clear."""
    columns = ["Afterbeep_Key__c", "Name", "Is", "N", "At"]
    lines = [
        bulk_csv.header(columns),
        bulk_csv.line(columns, {"Afterbeep_Key__c": "k", "Name": 'a "b",\nc', "Is": True}),
        bulk_csv.line(columns, {"Name": None, "N": 1.5, "At": "2026-11-22T09:30:00+02:00"}),
        bulk_csv.line(columns, {"Name": ["a", "b"], "N": 0, "Is": False, "At": "2026-11-22"}),
    ]

    assert b"".join(lines).decode() == (
        '"Afterbeep_Key__c","Name","Is","N","At"\n'
        '"k","a ""b"",\nc","true",,\n'
        ',#N/A,,"1.5","2026-11-22T07:30:00.000Z"\n'
        ',"a;b","false","0","2026-11-22"\n'
    )


@pytest.mark.parametrize(
    ("value", "is_fit"),
    [
        ("x" * 32_000, True),
        ("x" * 32_001, False),
        ("#N/A", False),
        (" #N/A", True),
        ({"a": "b"}, False),
        (None, True),
        (["#N/A"], False),
    ],
)
def test_what_a_table_can_hold(value, is_fit):
    """Everything else goes another way, rather than arrive as something else."""
    assert bulk_csv.fits({"Description": value}) is is_fit


def test_half_a_character_does_not_stop_a_table():
    """A lone surrogate has no form in UTF-8; the rest of the words arrive."""
    assert bulk_csv.line(["Description"], {"Description": "a\ud83db"}) == b'"a?b"\n'
