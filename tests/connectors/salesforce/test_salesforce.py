"""What is Salesforce's own, beyond what every connector must do."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import running

from connectors.errors import (
    Ambiguous,
    NeedsReconnect,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.record import Account, Lookup, OAuth, RecordId, Write
from connectors.registry import connector
from connectors.salesforce.refusals import refused_record, refused_request

SALESFORCE = connector("salesforce")
assert isinstance(SALESFORCE.oauth, OAuth)
FACTS = SALESFORCE.oauth
LOCKED = "00Dbm00000Locked3"


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory) -> Iterator[running.Sandbox]:
    with running.sandbox("salesforce", tmp_path_factory.mktemp("salesforce")) as box:
        yield box


@pytest.fixture(name="account", scope="module")
def _account(box) -> Account:
    account = running.account(box, SALESFORCE, running.authorise(box, FACTS))
    assert list(SALESFORCE.prepare(account)) == []
    return account


@pytest.fixture(name="api")
def _api(box, account) -> Iterator[httpx.Client]:
    """Give the REST API as another program of the customer would use it."""
    headers = {"Authorization": f"Bearer {account.token}"}
    base = f"{box.url}/services/data/v62.0/"
    with httpx.Client(base_url=base, headers=headers) as api:
        yield api
    box.clear_faults()


#: The id of an account that is not there.
NOBODY = "001bm00000Nobody00"


def _key() -> str:
    return uuid.uuid4().hex


def _lead(key: str | None = None, **fields: object) -> Write:
    return Write(key or _key(), "Lead", {"LastName": "Whitfield", "Company": "W", **fields})


# Errors of one record.


@pytest.mark.parametrize(
    ("object_name", "fields", "code", "field"),
    [
        ("Lead", {"LastName": "Whitfield"}, "REQUIRED_FIELD_MISSING", "Company"),
        ("Lead", {"LastName": "W" * 81, "Company": "W"}, "STRING_TOO_LONG", "LastName"),
        (
            "Lead",
            {"LastName": "W", "Company": "W", "Urgency__c": "Later"},
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Urgency__c",
        ),
        (
            "Lead",
            {"LastName": "W", "Company": "Do not contact"},
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "Company",
        ),
        (
            "Lead",
            {"LastName": "W", "Company": "W", "Email": "dana at home"},
            "INVALID_EMAIL_ADDRESS",
            "Email",
        ),
        ("Lead", {"LastName": "W", "Company": "W", "Nope__c": "x"}, "INVALID_FIELD", "Nope__c"),
        (
            "Lead",
            {"LastName": "W", "Company": "W", "IsConverted": True},
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "IsConverted",
        ),
        ("Lead", {"LastName": None, "Company": "W"}, "REQUIRED_FIELD_MISSING", "LastName"),
        ("Task", {"WhoId": "00Qbm000000zzzzEAA"}, "INVALID_CROSS_REFERENCE_KEY", "WhoId"),
        ("Task", {"WhoId": "500bm000000zzzzEAA"}, "MALFORMED_ID", "WhoId"),
        ("Task", {"ActivityDate": "tomorrow"}, "JSON_PARSER_ERROR", None),
        ("Task", {"IsReminderSet": "yes"}, "JSON_PARSER_ERROR", None),
    ],
)
def test_refused_records(account, object_name, fields, code, field):
    """Each of the org's rules parks its row with the code and the field."""
    (outcome,) = SALESFORCE.write(account, [Write(_key(), object_name, fields)])

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.code == code
    assert outcome.error.field == field


def test_the_duplicate_rule_rejects(account):
    """A contact that the org's duplicate rule knows is refused, not made twice."""
    fields = {"LastName": "Whitfield", "Email": f"{_key()}@whitfield.example"}
    writes = [Write(_key(), "Contact", fields) for _ in range(2)]
    outcomes = [SALESFORCE.write(account, [write])[0] for write in writes]

    assert outcomes[0].error is None
    assert isinstance(outcomes[1].error, Rejected)
    assert outcomes[1].error.code == "DUPLICATES_DETECTED"


def test_a_locked_row_comes_again_later(box, account, api):
    """UNABLE_TO_LOCK_ROW concerns one row, and only for now."""
    keys = [_key(), _key()]
    box.fault(kind="row", code="UNABLE_TO_LOCK_ROW", path="/composite/")
    outcomes = SALESFORCE.write(account, [_lead(key) for key in keys])

    assert isinstance(outcomes[0].error, Unavailable)
    assert outcomes[1].error is None


def test_two_tasks_with_our_key_are_ambiguous(account, api):
    """An Activity field may not be unique; two records of a key are a person's choice."""
    key = _key()
    row = {"attributes": {"type": "Task"}, "Subject": "Call", "Afterbeep_Key__c": key}
    made = api.post("composite/sobjects", json={"records": [row, row]}).json()
    (outcome,) = SALESFORCE.write(account, [Write(key, "Task", {"Subject": "Call"})])

    assert isinstance(outcome.error, Ambiguous)
    assert {c.record.id for c in outcome.error.candidates} == {one["id"] for one in made}
    assert all(c.record.url for c in outcome.error.candidates)


def test_rows_of_a_refused_collection_are_found_by_halving(box, account, api):
    """A value of the wrong type refuses all 200; only its row is parked, in few calls."""
    keys = [_key() for _ in range(200)]
    writes = [_lead(key) for key in keys]
    writes[77] = _lead(keys[77], Description={"said": "x"})
    before = box.stats()["calls_total"]
    outcomes = SALESFORCE.write(account, writes)

    assert [i for i, outcome in enumerate(outcomes) if outcome.error] == [77]
    assert box.stats()["calls_total"] - before <= 17
    (found,) = SALESFORCE.find(account, [Lookup("Lead", key=keys[199])])
    assert found.candidates[0].record == outcomes[199].record


def test_a_missing_key_field_is_told(account):
    """An object that was never set up says what to do."""
    (outcome,) = SALESFORCE.write(account, [Write(_key(), "Account", {"Name": "W"})])

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.code == "key_field_missing"


def test_new_and_known_records_cost_one_call(box, account):
    """Both kinds go in one request, which counts once; outcomes stay with their writes."""
    (known,) = SALESFORCE.write(account, [_lead()])
    update = Write(_key(), "Lead", {"Title": "Owner"}, known.record.id)
    calls = []

    outcomes = SALESFORCE.write(
        replace(account, spend=lambda **units: calls.append(units)), [_lead(), update, _lead()]
    )

    assert calls == [{"requests": 1}]
    assert [outcome.is_new for outcome in outcomes] == [True, False, True]
    assert outcomes[1].record.id == known.record.id


def test_what_is_refused_as_a_whole_does_not_keep_the_other_kind_back(account):
    """The object has no key field, so nothing new can be written; the known record is changed all the same."""
    made = SALESFORCE.write(account, [Write(_key(), "Account", {"Name": "W"}, NOBODY)])
    both = SALESFORCE.write(
        account,
        [Write(_key(), "Account", {"Name": "W"}), Write(_key(), "Account", {"Name": "W"}, NOBODY)],
    )

    assert both[0].error.code == "key_field_missing"
    assert both[1].error.code == made[0].error.code


def test_the_second_call_of_a_batch_fails_alone(account):
    """Known records are changed although the new ones, refused as a whole, find no budget to be sent apart."""
    calls = []

    def spend(**units: int) -> None:
        calls.append(units)
        if len(calls) > 1:
            raise Throttled("the budget is spent", retry_after_s=60)

    outcomes = SALESFORCE.write(
        replace(account, spend=spend),
        [Write(_key(), "Account", {"Name": "W"}), Write(_key(), "Account", {"Name": "W"}, NOBODY)],
    )

    assert isinstance(outcomes[0].error, Throttled)
    assert isinstance(outcomes[1].error, Rejected)


def test_multi_select_values_are_joined(box, account):
    """A list is written as Salesforce reads several values."""
    (outcome,) = SALESFORCE.write(account, [_lead(Description=["Roof", "Gutter"])])
    record = next(r for r in box.records("Lead") if r["id"] == outcome.record.id)

    assert record["fields"]["Description"] == "Roof;Gutter"


# Refusals of a whole request.


@pytest.mark.parametrize(
    ("status", "content", "is_write", "kind"),
    [
        (401, [{"errorCode": "INVALID_SESSION_ID", "message": "x"}], True, TokenExpired),
        (401, [{"errorCode": "INVALID_AUTH_HEADER", "message": "x"}], True, NeedsReconnect),
        (403, [{"errorCode": "API_DISABLED_FOR_ORG", "message": "x"}], True, NeedsReconnect),
        (403, [{"errorCode": "INSUFFICIENT_ACCESS", "message": "x"}], True, Rejected),
        (403, '[{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "x"}]', True, Throttled),
        (429, "Too many", True, Throttled),
        (500, "<html>", True, Unavailable),
        (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "x"}], True, Unavailable),
        (504, "<html>", True, Uncertain),
        (504, "<html>", False, Unavailable),
    ],
)
def test_refused_requests(status, content, is_write, kind):
    """The status and Salesforce's code decide what happens next."""
    error = refused_request(status, content, {}, is_write=is_write)

    assert type(error) is kind


@pytest.mark.parametrize(
    ("message", "headers", "wait_s"),
    [
        ("TotalRequests Limit exceeded.", {}, 900),
        ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", {}, 30),
        ("TotalRequests Limit exceeded.", {"retry-after": "7"}, 7),
    ],
)
def test_how_long_to_wait(message, headers, wait_s):
    """A day's limit takes longer than that of calls at the same time."""
    content = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": message}]
    error = refused_request(403, content, headers, is_write=True)

    assert isinstance(error, Throttled)
    assert error.retry_after_s == wait_s


def test_ids_in_a_sentence_stay():
    """What helps a person is not hidden: the record that has the value already."""
    error = refused_record(
        "Lead",
        [
            {
                "statusCode": "DUPLICATE_VALUE",
                "message": "duplicate value found: Code__c duplicates value on record with id: "
                "00Qbm000000003OEAQ",
            }
        ],
        {"Code__c": "A-1"},
        "https://x.my.salesforce.com",
    )

    assert "00Qbm000000003OEAQ" in error.detail
    assert isinstance(error, Rejected)
    assert error.field == "Code__c"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("api-usage=10018/100000; api-bursts=1/750", (100_000, 89_982)),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=sample-app)", (250, 233)),
        ("api-usage=5001/5000", (5_000, 0)),
    ],
)
def test_the_limit_header(header, expected):
    """The tighter of the org's and the app's limit counts."""
    (reading,) = SALESFORCE.read_limits(200, {"sforce-limit-info": header})

    assert (reading.capacity, reading.remaining) == expected
    assert reading.name == "requests"


@pytest.mark.parametrize("headers", [{}, {"sforce-limit-info": "nonsense"}])
def test_no_limit_header(headers):
    """Answers without the header say nothing."""
    assert list(SALESFORCE.read_limits(200, headers)) == []


# Finding.


@pytest.mark.parametrize(
    "typed", ["(415) 555-0188", "+1 415-555-0188", "4155550188", "14155550188"]
)
def test_phones_are_found_as_people_type_them(account, typed):
    """The person's record is found though an agent typed the number with brackets."""
    title = _key()
    (made,) = SALESFORCE.write(account, [_lead(Phone=typed, Title=title)])
    (found,) = SALESFORCE.find(
        account, [Lookup("Lead", by={"Phone": "+14155550188", "Title": title}, read=("Phone",))]
    )

    assert [c.record.id for c in found.candidates] == [made.record.id]
    assert found.candidates[0].values == {"Phone": typed}


def test_converted_leads_are_no_candidates(box, account):
    """A converted lead refuses updates, so it is found by key only."""
    key, title = _key(), _key()
    (made,) = SALESFORCE.write(account, [_lead(key, Title=title)])
    box.http.post(f"{box.url}/_sandbox/leads/{made.record.id}/convert").raise_for_status()
    by_title, by_key = SALESFORCE.find(
        account, [Lookup("Lead", by={"Title": title}), Lookup("Lead", key=key)]
    )

    assert by_title.candidates == ()
    assert len(by_key.candidates) == 1


def test_many_keys_take_few_queries(box, account):
    """200 keys are one query; 1,000 are as many as addresses hold, and all are answered."""
    before = box.stats()["calls_total"]
    SALESFORCE.find(account, [Lookup("Lead", key=_key()) for _ in range(200)])
    assert box.stats()["calls_total"] - before == 1

    keys = [_key() for _ in range(200)]
    SALESFORCE.write(account, [_lead(key) for key in keys])
    lookups = [Lookup("Lead", key=_key()) for _ in range(800)]
    lookups[400:400] = [Lookup("Lead", key=key) for key in keys]
    found = SALESFORCE.find(account, lookups)

    assert [i for i, one in enumerate(found) if one.candidates] == list(range(400, 600))


def test_a_lookup_by_something_that_is_no_field(account):
    """A mapping with a broken field name is rejected, not sent."""
    with pytest.raises(Rejected):
        SALESFORCE.find(account, [Lookup("Lead", by={"Phone = '1' OR Name": "x"})])


# Closing.


def test_closures(box, account, api):
    """Cases, leads and opportunities are closed in their own ways; others never are."""
    case, open_case = (
        one.record
        for one in SALESFORCE.write(
            account, [Write(_key(), "Case", {"Subject": "Leak"}) for _ in range(2)]
        )
    )
    (lead,) = (one.record for one in SALESFORCE.write(account, [_lead()]))
    api.patch(f"sobjects/Case/{case.id}", json={"Status": "Closed"}).raise_for_status()
    box.http.post(f"{box.url}/_sandbox/leads/{lead.id}/convert").raise_for_status()
    deal = api.post(
        "sobjects/Opportunity",
        json={"Name": "Roof", "StageName": "Closed Won", "CloseDate": "2026-11-22"},
    ).json()["id"]
    ids = [case, open_case, lead, RecordId("Opportunity", deal), RecordId("Contact", "003x")]
    closures = SALESFORCE.closed(account, ids)

    assert {(one.record.id, one.result) for one in closures} == {
        (case.id, "closed"),
        (lead.id, "converted"),
        (deal, "won"),
    }
    assert all(one.closed_at.tzinfo for one in closures)


# Setting up.


def test_a_user_without_rights_gets_the_steps(box):
    """Where we may not make the field, an admin is told how; until then the rows are parked."""
    tokens = running.authorise(box, FACTS, account=LOCKED)
    account = running.account(box, SALESFORCE, tokens)
    todos = SALESFORCE.prepare(account)

    assert [todo.title for todo in todos] == [
        f"Create the key field on {name}" for name in ("Lead", "Contact", "Task", "Case")
    ]
    assert all("Afterbeep_Key" in todo.how and "External ID" in todo.how for todo in todos)
    assert "Activity" in todos[2].how


def test_prepare_without_the_identity_url(box):
    """The user's id is asked for when the token answer did not tell it."""
    tokens = running.authorise(box, FACTS, account="00Dbm0000000002EAA")
    account = replace(running.account(box, SALESFORCE, tokens), settings={})

    assert list(SALESFORCE.prepare(account)) == []
    assert [o.error for o in SALESFORCE.write(account, [_lead()])] == [None]


def test_the_sdk_is_loaded_on_first_use():
    """Asking for the connector's facts does not load the SDK, nor the sandbox."""
    script = (
        "import sys; from connectors.registry import connector; c = connector('salesforce');"
        "c.read_limits(200, {}); print([m for m in ('simple_salesforce', 'zeep', 'flask',"
        " 'connectors.salesforce.sandbox') if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert ended.stdout.strip() == "[]"


def test_our_account_of_a_token_is_silent():
    """A token is in no error and no representation."""
    assert "secret" not in repr(Account("a", "https://x.my.salesforce.com", "secret"))
