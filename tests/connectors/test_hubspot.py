"""HubSpot: what the conformance suite, which every connector passes, does not cover."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import running

from connectors.errors import (
    Ambiguous,
    ContractBroken,
    NeedsReconnect,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
)
from connectors.hubspot.connector import HubSpot
from connectors.hubspot.sandbox_webhooks import signature
from connectors.hubspot.values import property_value
from connectors.record import Account, Lookup, RecordId, WebhookRequest, Write
from connectors.sandbox.oauth import CLIENT_SECRET

HUBSPOT = HubSpot()
DUE = "2026-11-23T09:00:00Z"


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Sandbox]:
    with running.sandbox("hubspot", tmp_path_factory.mktemp("hubspot")) as box:
        yield box


@pytest.fixture(name="account")
def _account(box: running.Sandbox) -> Iterator[Account]:
    """Give a connected, prepared account whose limits are out of the way."""
    box.set(limits={"requests": 100_000, "search": 100_000}, token_lifetime_s=1800)
    account = running.account(box, HUBSPOT, running.authorise(box, HUBSPOT.oauth))
    HUBSPOT.prepare(account)
    yield account
    box.clear_faults()
    _set(box, names_rows=True, webhook_url=None)


def _set(box: running.Sandbox, **settings: object) -> None:
    box.http.post(f"{box.url}/_hubspot/settings", json=settings).raise_for_status()


def _contacts(number: int, **fields: str) -> list[Write]:
    tag = uuid.uuid4().hex[:12]
    return [
        Write(f"{tag}-{i}", "contacts", {"lastname": f"Whitfield {i}", **fields})
        for i in range(number)
    ]


def _calls(box: running.Sandbox, part: str) -> int:
    return sum(count for rule, count in box.stats()["calls"].items() if part in rule)


def _one(account: Account, object_name: str, **fields: object) -> str:
    write = Write(uuid.uuid4().hex, object_name, fields)
    (outcome,) = HUBSPOT.write(account, [write])
    assert outcome.record is not None, outcome.error
    return outcome.record.id


def _associated(box: running.Sandbox, account: Account, kind: str, record_id: str) -> list[int]:
    answer = box.http.post(
        f"{box.url}/crm/associations/2026-03/{kind}/contacts/batch/read",
        json={"inputs": [{"id": record_id}]},
        headers={"Authorization": f"Bearer {account.token}"},
    )
    return [to["toObjectId"] for to in answer.json()["results"][0]["to"]]


# Writing.


def test_a_bad_row_is_refused_alone_when_hubspot_names_it(
    box: running.Sandbox, account: Account
) -> None:
    """A batch with one bad row costs one call, and the other rows are written."""
    writes = _contacts(20)
    writes[7] = replace(writes[7], fields={"lifecyclestage": "no such stage"})
    before = _calls(box, "batch/upsert")

    outcomes = HUBSPOT.write(account, writes)

    assert [i for i, outcome in enumerate(outcomes) if outcome.error] == [7]
    assert isinstance(outcomes[7].error, Rejected)
    assert outcomes[7].error.field == "lifecyclestage"
    assert _calls(box, "batch/upsert") - before == 1


def test_outcomes_belong_to_their_writes_in_any_order_of_results(
    box: running.Sandbox, account: Account
) -> None:
    """Outcome i is the record of write i, although the sandbox answers in reverse."""
    writes = _contacts(5)

    outcomes = HUBSPOT.write(account, writes)

    kept = {one["id"]: one["fields"]["afterbeep_key"] for one in box.records("contacts")}
    assert [kept[outcome.record.id] for outcome in outcomes] == [write.key for write in writes]


def test_a_batch_refused_whole_is_halved_until_the_bad_rows_stand_alone(
    box: running.Sandbox, account: Account
) -> None:
    """Without names in the refusal, 98 of 100 rows are still written within the calls of one batch."""
    _set(box, names_rows=False)
    writes = _contacts(100, lifecyclestage="lead")
    for bad in (3, 71):
        writes[bad] = replace(writes[bad], fields={"lifecyclestage": "wrong"})
    before = _calls(box, "batch/upsert")

    outcomes = HUBSPOT.write(account, writes)

    refused = [i for i, outcome in enumerate(outcomes) if isinstance(outcome.error, Rejected)]
    put_off = [i for i, outcome in enumerate(outcomes) if isinstance(outcome.error, Throttled)]
    assert set(refused) <= {3, 71}
    assert set(refused) | set(put_off) >= {3, 71}
    assert len(put_off) < 5
    assert _calls(box, "batch/upsert") - before <= 24


def test_a_batch_put_off_is_finished_by_the_next_one(
    box: running.Sandbox, account: Account
) -> None:
    """Sending the put-off rows again ends with every good row written once and every bad one refused."""
    _set(box, names_rows=False)
    writes = _contacts(60, lifecyclestage="lead")
    bad = set(range(0, 60, 7))
    writes = [
        replace(w, fields={"lifecyclestage": "wrong"}) if i in bad else w
        for i, w in enumerate(writes)
    ]
    waiting, refused = dict(enumerate(writes)), set[int]()

    for _ in range(10):
        outcomes = HUBSPOT.write(account, list(waiting.values()))
        settled = dict(zip(list(waiting), outcomes, strict=True))
        refused |= {i for i, outcome in settled.items() if isinstance(outcome.error, Rejected)}
        waiting = {i: writes[i] for i, o in settled.items() if isinstance(o.error, Throttled)}
        if not waiting:
            break

    assert refused == bad
    assert box.stats()["duplicate_keys"] == []


def test_an_unknown_property_refuses_every_row_that_has_it_at_once(
    box: running.Sandbox, account: Account
) -> None:
    """A mapping to a property that is gone costs two calls, not a search for the bad rows."""
    _set(box, names_rows=False)
    writes = [*_contacts(30, gone_property="x"), *_contacts(10)]
    before = _calls(box, "batch/upsert")

    outcomes = HUBSPOT.write(account, writes)

    assert [isinstance(outcome.error, Rejected) for outcome in outcomes] == [True] * 30 + [
        False
    ] * 10
    assert _calls(box, "batch/upsert") - before == 2


def test_a_missing_key_property_refuses_all_rows_in_one_call(
    box: running.Sandbox, account: Account
) -> None:
    """An account that was not prepared costs one call, and the sentence says what to do."""
    address = f"{box.url}/crm/properties/2026-03/companies/afterbeep_key"
    box.http.delete(address, headers={"Authorization": f"Bearer {account.token}"})
    writes = [Write(f"co-{n}", "companies", {"name": "Whitfield"}) for n in range(20)]
    before = _calls(box, "batch/upsert")

    outcomes = HUBSPOT.write(account, writes)
    called = _calls(box, "batch/upsert") - before
    HUBSPOT.prepare(account)

    assert called == 1
    assert all("press Check" in o.error.detail for o in outcomes if o.error)
    assert all(o.record for o in HUBSPOT.write(account, writes))


def test_rows_keep_their_outcome_when_the_budget_ends_in_between(
    box: running.Sandbox, account: Account
) -> None:
    """A budget that allows three calls leaves the written rows written and puts off the others."""
    _set(box, names_rows=False)
    spent: list[dict[str, int]] = []

    def spend(**units: int) -> None:
        if len(spent) == 3:
            raise Throttled("budget", retry_after_s=5.0)
        spent.append(units)

    writes = _contacts(40, lifecyclestage="lead")
    writes[0] = replace(writes[0], fields={"lifecyclestage": "wrong"})

    outcomes = HUBSPOT.write(replace(account, spend=spend), writes)

    assert spent == [{"requests": 1}] * 3
    assert all(isinstance(o.error, Throttled) for o in outcomes[:20])
    assert not any(isinstance(o.error, Rejected) for o in outcomes)
    assert all(o.error.retry_after_s == 5.0 for o in outcomes if o.error)


def test_a_budget_that_allows_nothing_throttles_the_whole_batch(account: Account) -> None:
    """Nothing is sent, so the error is raised and no row has an outcome."""

    def spend(**units: int) -> None:
        raise Throttled("budget", retry_after_s=5.0)

    with pytest.raises(Throttled):
        HUBSPOT.write(replace(account, spend=spend), _contacts(3))


def test_the_same_key_twice_in_a_batch_is_one_record(account: Account) -> None:
    """Later fields win, and both writes get the record."""
    first, *_ = _contacts(1)
    second = replace(first, fields={"lastname": "Later"})

    one, two = HUBSPOT.write(account, [first, second])

    assert one.record == two.record
    (found,) = HUBSPOT.find(account, [Lookup("contacts", key=first.key, read=("lastname",))])
    assert [c.values for c in found.candidates] == [{"lastname": "Later"}]


def test_a_known_record_is_updated_and_no_other_is_made(account: Account) -> None:
    """With a record id nothing is created, our key is not set, and None clears a property."""
    email = f"{uuid.uuid4().hex}@whitfield.example"
    known = _one(account, "contacts", email=email, city="Trenton", company="Whitfield")

    (outcome,) = HUBSPOT.write(
        account, [Write(uuid.uuid4().hex, "contacts", {"city": "Newark", "company": None}, known)]
    )

    page = f"{account.base_url}/records/contacts/{known}"
    assert (outcome.record, outcome.is_new) == (RecordId("contacts", known, page), False)
    (found,) = HUBSPOT.find(
        account, [Lookup("contacts", by={"hs_object_id": known}, read=("city", "company", "email"))]
    )
    assert found.candidates[0].values == {"city": "Newark", "company": None, "email": email}


def test_an_update_of_a_record_that_is_gone_is_refused(account: Account) -> None:
    """The row is parked, and the others of its batch are written."""
    known = _one(account, "contacts", lastname="Here")

    gone, here = HUBSPOT.write(
        account,
        [
            Write("g", "contacts", {"city": "A"}, "999"),
            Write("h", "contacts", {"city": "B"}, known),
        ],
    )

    assert isinstance(gone.error, Rejected)
    assert here.record is not None
    assert here.record.id == known


def test_an_email_that_another_contact_has_gives_that_contact_to_choose(account: Account) -> None:
    """A conflict parks the row with the record that HubSpot names."""
    email = f"{uuid.uuid4().hex}@whitfield.example"
    existing = _one(account, "contacts", email=email)

    clash, fine = HUBSPOT.write(
        account, [*_contacts(1, email=email), *_contacts(1, email=f"other-{email}")]
    )

    assert isinstance(clash.error, Ambiguous)
    assert [c.record for c in clash.error.candidates] == [RecordId("contacts", existing)]
    assert email not in str(clash.error)
    assert fine.record is not None


def test_a_refusal_repeats_nothing_that_the_caller_said(account: Account) -> None:
    """HubSpot quotes the wrong value; our sentence names the property only."""
    (outcome,) = HUBSPOT.write(account, _contacts(1, email="dana at home, call me"))

    assert outcome.error is not None
    assert "dana" not in outcome.error.detail
    assert '"email"' in outcome.error.detail


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, ""),
        (True, "true"),
        (12.0, "12"),
        (12.5, "12.5"),
        (["BUDGET_HOLDER", "CHAMPION"], "BUDGET_HOLDER;CHAMPION"),
        ("2026-11-22T10:00:00+01:00", "2026-11-22T09:00:00.000Z"),
        ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z"),
        ("at 10:00+01:00", "at 10:00+01:00"),
    ],
)
def test_property_values_are_strings(value: object, sent: str) -> None:
    """HubSpot takes only strings, moments in UTC, and "" for nothing."""
    assert property_value(value) == sent


def test_only_date_based_paths_are_called(box: running.Sandbox, account: Account) -> None:
    """No call goes to the versions that end in 2027."""
    _one(account, "contacts", lastname="Whitfield")

    assert [rule for rule in box.stats()["calls"] if re.search(r"/v\d", rule)] == []


# Associations.


def test_a_batch_of_tasks_is_associated_in_one_call(box: running.Sandbox, account: Account) -> None:
    """Fifty tasks with their contact cost two calls, as write_cost says, and again the same two."""
    contact = _one(account, "contacts", lastname="Whitfield")
    fields = {"hs_timestamp": DUE, "hs_task_subject": "Call back", "association:contacts": contact}
    writes = [Write(uuid.uuid4().hex, "tasks", fields) for _ in range(50)]
    calls: list[dict[str, int]] = []
    counted = replace(account, spend=lambda **units: calls.append(units))

    outcomes = HUBSPOT.write(counted, writes)
    again = HUBSPOT.write(counted, writes)

    assert HUBSPOT.write_cost(writes) == {"requests": 2}
    assert calls == [{"requests": 1}] * 4
    assert [o.record for o in again] == [o.record for o in outcomes]
    assert _associated(box, account, "tasks", outcomes[49].record.id) == [int(contact)]


def test_a_wrong_association_parks_its_row_only(box: running.Sandbox, account: Account) -> None:
    """The record is written all the same, and the sentence says so."""
    contact = _one(account, "contacts", lastname="Whitfield")
    base = {"hs_timestamp": DUE, "hs_note_body": "Called"}

    good, bad = HUBSPOT.write(
        account,
        [
            Write(uuid.uuid4().hex, "notes", {**base, "association:contacts": contact}),
            Write(uuid.uuid4().hex, "notes", {**base, "association:contacts": "31415"}),
        ],
    )

    assert _associated(box, account, "notes", good.record.id) == [int(contact)]
    assert isinstance(bad.error, Rejected)
    assert bad.error.field == "association:contacts"
    assert "The record is written" in bad.error.detail


def test_an_association_that_hubspot_does_not_know_is_refused_unsent(account: Account) -> None:
    """The sentence names what there is."""
    (outcome,) = HUBSPOT.write(
        account, [Write("x", "notes", {"hs_timestamp": DUE, "association:invoices": "1"})]
    )

    assert isinstance(outcome.error, Rejected)
    assert "association:contacts" in outcome.error.detail


@pytest.mark.parametrize("path", ["associate/default", "batch/upsert"])
def test_a_lost_answer_ends_with_one_associated_record(
    box: running.Sandbox, account: Account, path: str
) -> None:
    """Whichever answer is lost, the row comes again in full: nothing twice, nothing unassociated."""
    contact = _one(account, "contacts", lastname="Whitfield")
    fields = {"hs_timestamp": DUE, "hs_note_body": "Called", "association:contacts": contact}
    write = Write(uuid.uuid4().hex, "notes", fields)
    box.fault(kind="cut_after", path=path)

    try:
        (first,) = HUBSPOT.write(account, [write])
        error = first.error
    except Unavailable as err:
        error = err
    (second,) = HUBSPOT.write(account, [write])

    assert isinstance(error, Unavailable)
    assert second.record is not None
    assert _associated(box, account, "notes", second.record.id) == [int(contact)]
    assert box.stats()["duplicate_keys"] == []


def test_a_throttled_association_puts_the_row_off(account: Account) -> None:
    """A budget that ends between record and association asks for the row again."""
    contact = _one(account, "contacts", lastname="Whitfield")
    spent: list[int] = []

    def spend(**units: int) -> None:
        if spent:
            raise Throttled("budget", retry_after_s=7.0)
        spent.append(1)

    write = Write(uuid.uuid4().hex, "notes", {"hs_timestamp": DUE, "association:contacts": contact})

    with pytest.raises(Throttled) as caught:
        HUBSPOT.write(replace(account, spend=spend), [write])

    assert caught.value.retry_after_s == 7.0


# Refusals of whole calls.


@pytest.mark.parametrize(
    ("status", "error", "at_least_s"),
    [(423, Throttled, 2.0), (429, Throttled, 1.0), (477, Throttled, 120.0)],
)
def test_what_says_later_is_told_with_its_wait(
    box: running.Sandbox, account: Account, status: int, error: type[Throttled], at_least_s: float
) -> None:
    """423 waits two seconds, 477 as long as it says; none is tried again by the SDK."""
    box.fault(kind="status", status=status, path="batch/upsert")
    before = _calls(box, "batch/upsert")

    with pytest.raises(error) as caught:
        HUBSPOT.write(account, _contacts(2))

    assert caught.value.retry_after_s >= at_least_s
    assert _calls(box, "batch/upsert") - before <= 1


def test_a_real_limit_is_hit_and_told(box: running.Sandbox, account: Account) -> None:
    """The window's own refusal throttles, and its headers say what is left."""
    seen: list[tuple[int, dict[str, str]]] = []
    watched = replace(account, observe=lambda status, headers, _ms: seen.append((status, headers)))
    box.set(limits={"requests": 0})

    with pytest.raises(Throttled):
        HUBSPOT.identify(watched)

    status, headers = seen[-1]
    (reading,) = HUBSPOT.read_limits(status, headers)
    assert status == 429
    assert (reading.name, reading.capacity, reading.remaining) == ("requests", 0, 0)
    assert reading.resets_in_s == 10.0


def test_a_missing_scope_is_named(box: running.Sandbox, account: Account) -> None:
    """Reconnecting is what helps, and the sentence says with which scope."""
    scopes = tuple(s for s in HUBSPOT.oauth.scopes if s != "crm.objects.deals.write")
    tokens = running.authorise(box, replace(HUBSPOT.oauth, scopes=scopes))
    limited = running.account(box, HUBSPOT, tokens)
    fields = {"dealname": "Boiler", "dealstage": "contractsent"}

    with pytest.raises(NeedsReconnect) as caught:
        HUBSPOT.write(limited, [Write("d", "deals", fields)])

    assert not isinstance(caught.value, TokenExpired)
    assert "crm.objects.deals.write" in caught.value.detail


def test_a_redirect_is_not_followed(account: Account) -> None:
    """The token goes to no other address."""
    server = HTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        with pytest.raises(ContractBroken):
            HUBSPOT.identify(replace(account, base_url=f"http://127.0.0.1:{server.server_port}"))
    finally:
        thread.join(timeout=10)
        server.server_close()


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends every request away."""

    def do_GET(self) -> None:
        """Answer a redirect to an address that must not be called."""
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:9/stolen")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def test_nobody_listening_is_unavailable(account: Account) -> None:
    """Nothing was sent, so nothing was written."""
    with pytest.raises(Unavailable):
        HUBSPOT.write(replace(account, base_url="http://127.0.0.1:9"), _contacts(1))


# Preparing and describing.


def test_prepare_creates_once_and_then_only_looks(box: running.Sandbox, account: Account) -> None:
    """The second account needs six properties; a second time nothing is created."""
    other = running.account(box, HUBSPOT, running.authorise(box, HUBSPOT.oauth, account="48291036"))
    before = _calls(box, "POST /crm/properties")

    first, created = HUBSPOT.prepare(other), _calls(box, "POST /crm/properties")
    second, after = HUBSPOT.prepare(other), _calls(box, "POST /crm/properties")

    assert (list(first), list(second)) == ([], [])
    assert created - before in {0, 12}
    assert after == created


def test_prepare_says_which_scope_is_missing(box: running.Sandbox, account: Account) -> None:
    """Without the scope for deals' properties an admin is told; contacts are fine."""
    headers = {"Authorization": f"Bearer {account.token}"}
    address = f"{box.url}/crm/properties/2026-03/deals/afterbeep_key"
    box.http.delete(address, headers=headers)
    scopes = tuple(s for s in HUBSPOT.oauth.scopes if s != "crm.schemas.deals.write")
    limited = running.account(
        box, HUBSPOT, running.authorise(box, replace(HUBSPOT.oauth, scopes=scopes))
    )

    (todo,) = HUBSPOT.prepare(limited)

    assert "deal" in todo.title
    assert "crm.schemas.deals.write" in todo.how
    assert not todo.is_blocking


def test_prepare_finds_a_property_that_is_not_unique(
    box: running.Sandbox, account: Account
) -> None:
    """HubSpot cannot make a property unique later, so a person must delete it first."""
    headers = {"Authorization": f"Bearer {account.token}"}
    address = f"{box.url}/crm/properties/2026-03/tickets"
    box.http.delete(f"{address}/afterbeep_key", headers=headers)
    document = {"name": "afterbeep_key", "label": "x", "type": "string", "fieldType": "text"}
    box.http.post(
        address, json={**document, "groupName": "afterbeep"}, headers=headers
    ).raise_for_status()

    (todo,) = HUBSPOT.prepare(account)
    box.http.delete(f"{address}/afterbeep_key", headers=headers)

    assert "Delete the property" in todo.how
    assert list(HUBSPOT.prepare(account)) == []


def test_describe_tells_types_choices_and_associations(account: Account) -> None:
    """Fields are what a mapping needs to be checked; our own key is not among them."""
    fields = {field.name: field for field in HUBSPOT.describe(account, "tasks")}

    assert "afterbeep_key" not in fields
    assert fields["hs_timestamp"].is_required
    assert fields["hs_timestamp"].type == "datetime"
    assert (fields["hs_task_body"].type, fields["hs_task_body"].max_chars) == ("html", 65_536)
    assert [c.value for c in fields["hs_task_type"].choices] == ["EMAIL", "CALL", "TODO"]
    assert fields["hs_task_type"].is_restricted
    assert not fields["hs_object_id"].can_update
    assert fields["hubspot_owner_id"].references == ("owners",)
    assert (fields["association:contacts"].type, fields["association:contacts"].references) == (
        "reference",
        ("contacts",),
    )


def test_describe_knows_email_phone_and_hidden_properties(account: Account) -> None:
    """HubSpot declares them as text; hidden ones cannot be mapped."""
    fields = {field.name: field for field in HUBSPOT.describe(account, "contacts")}

    assert (fields["email"].type, fields["email"].is_unique) == ("email", True)
    assert fields["phone"].type == "phone"
    assert fields["hs_buying_role"].type == "multipicklist"
    assert "hs_searchable_calculated_phone_number" not in fields


def test_an_unknown_object_is_refused(account: Account) -> None:
    """A mapping to an object that is not there is told so."""
    with pytest.raises(Rejected):
        HUBSPOT.describe(account, "invoices_of_mars")


def test_custom_objects_are_listed_when_granted(box: running.Sandbox, account: Account) -> None:
    """An account that grants custom objects shows them; one that does not shows the standard six."""
    scopes = (*HUBSPOT.oauth.scopes, *HUBSPOT.oauth.authorize_params["optional_scope"].split())
    granted = running.account(
        box, HUBSPOT, running.authorise(box, replace(HUBSPOT.oauth, scopes=scopes))
    )

    custom = [one for one in HUBSPOT.describe(granted) if one.is_custom]

    assert [(one.name, one.label) for one in custom] == [("2-1184023", "Service visit")]
    assert len(HUBSPOT.describe(account)) == 6
    fields = {field.name: field for field in HUBSPOT.describe(granted, "2-1184023")}
    assert fields["visit_name"].is_required


# Finding.


def test_a_phone_is_found_however_it_was_typed_and_never_a_similar_one(account: Account) -> None:
    """Numbers are compared in full: another country's number with the same digits does not match."""
    last = f"{int(time.time() * 1000) % 10_000:04d}"
    typed = _one(account, "contacts", lastname="A", phone=f"(907) 555-{last}")
    _one(account, "contacts", lastname="B", phone=f"+44 907 555 {last}")

    found, none = HUBSPOT.find(
        account,
        [
            Lookup("contacts", by={"phone": f"+1907555{last}"}, read=("phone",)),
            Lookup("contacts", by={"phone": f"+1908555{last}"}),
        ],
    )

    assert [c.record.id for c in found.candidates] == [typed]
    assert none.candidates == ()


def test_a_hundred_phones_are_looked_up_in_a_few_searches(account: Account) -> None:
    """Lookups share searches, which HubSpot allows only five times a second."""
    calls: list[dict[str, int]] = []
    counted = replace(account, spend=lambda **units: calls.append(units))
    lookups = [Lookup("contacts", by={"phone": f"+1907555{n:04d}"}) for n in range(100)]

    HUBSPOT.find(counted, lookups)

    assert len(calls) <= 2
    assert set(map(str, calls)) == {"{'search': 1}"}


def test_email_and_keys_are_read_without_searching(account: Account) -> None:
    """Reading by unique values sees at once what was written, and searches lag behind."""
    email = f"{uuid.uuid4().hex}@whitfield.example"
    write = Write(uuid.uuid4().hex, "contacts", {"email": email})
    (outcome,) = HUBSPOT.write(account, [write])
    calls: list[dict[str, int]] = []
    counted = replace(account, spend=lambda **units: calls.append(units))

    by_key, by_email, none = HUBSPOT.find(
        counted,
        [
            Lookup("contacts", key=write.key),
            Lookup("contacts", by={"email": email.upper()}),
            Lookup("contacts", key="not there"),
        ],
    )

    assert [c.record for c in by_key.candidates] == [outcome.record]
    assert [c.record for c in by_email.candidates] == [outcome.record]
    assert none.candidates == ()
    assert calls == [{"requests": 1}] * 2


def test_all_fields_of_a_lookup_must_be_equal(account: Account) -> None:
    """Two fields find the one record that has both."""
    tag = uuid.uuid4().hex
    right = _one(account, "contacts", lastname=tag, city="Trenton")
    _one(account, "contacts", lastname=tag, city="Newark")

    (found,) = HUBSPOT.find(account, [Lookup("contacts", by={"lastname": tag, "city": "Trenton"})])

    assert [c.record.id for c in found.candidates] == [right]


# Closing.


def test_closed_tells_won_lost_closed_and_done(account: Account) -> None:
    """The pipelines say which stages are closed; open records are left out."""
    deal = {"dealname": "Boiler", "hs_priority": "high"}
    won = _one(account, "deals", **deal, dealstage="closedwon")
    lost = _one(account, "deals", **deal, dealstage="closedlost")
    still = _one(account, "deals", **deal, dealstage="contractsent")
    ticket = _one(account, "tickets", subject="Invoice", hs_pipeline_stage="4")
    task = _one(account, "tasks", hs_timestamp=DUE, hs_task_status="COMPLETED")

    closures = HUBSPOT.closed(
        account,
        [
            *(RecordId("deals", one) for one in (won, lost, still)),
            RecordId("tickets", ticket),
            RecordId("tasks", task),
            RecordId("contacts", "1"),
        ],
    )

    results = {closure.record.id: closure.result for closure in closures}
    assert results == {won: "won", lost: "lost", ticket: "closed", task: "done"}
    assert [closure.record.id for closure in closures if not closure.is_success] == [lost]
    assert all(closure.closed_at.tzinfo for closure in closures)


class _Inbox(BaseHTTPRequestHandler):
    """Keeps the webhooks that arrive at its server's ``arrived``."""

    def do_POST(self) -> None:
        """Keep a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.arrived.append((headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.mark.parametrize("kind", ["deals", "tasks"])
def test_a_closed_record_arrives_as_a_signed_webhook(
    box: running.Sandbox, account: Account, kind: str
) -> None:
    """What the sandbox signs, the connector accepts, for this account and no other."""
    fields = {
        "deals": {"dealname": "Boiler", "dealstage": "contractsent"},
        "tasks": {"hs_timestamp": DUE, "hs_task_subject": "Call back"},
    }
    record = _one(account, kind, **fields[kind])
    server = HTTPServer(("127.0.0.1", 0), _Inbox)
    server.arrived = []
    url = f"http://127.0.0.1:{server.server_port}/hooks/hubspot"
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        _set(box, webhook_url=url)
        asked = {"object": kind, "id": record}
        box.http.post(f"{box.url}/_hubspot/close", json=asked).raise_for_status()
        thread.join(timeout=20)
    finally:
        server.server_close()
    ((headers, body),) = server.arrived
    request = WebhookRequest(headers, body, url, secret=CLIENT_SECRET)

    (closure,) = HUBSPOT.webhook(account, request)
    elsewhere = replace(account, settings={"hub_id": 1})

    assert closure.record == RecordId(kind, record)
    assert list(HUBSPOT.accounts_of(request)) == [str(account.settings["hub_id"])]
    assert list(HUBSPOT.changed(_silent(account), request)) == [RecordId(kind, record)]
    assert list(HUBSPOT.webhook(elsewhere, request)) == []
    for wrong in (
        replace(request, body=body + b" "),
        replace(request, secret="another"),
        replace(request, secret=""),
        replace(request, url=url + "x"),
        replace(request, headers={}),
    ):
        with pytest.raises(Rejected):
            HUBSPOT.webhook(account, wrong)
        with pytest.raises(Rejected):
            HUBSPOT.changed(account, wrong)


def _silent(account: Account) -> Account:
    """Give an account on which no call may be made."""

    def refuse(**units: int) -> None:
        raise AssertionError(units)

    return replace(account, spend=refuse)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"portalId"', b"[[]]"])
def test_a_body_that_is_no_webhook_is_refused(body: bytes) -> None:
    """It names no accounts, whoever sends it."""
    with pytest.raises(Rejected):
        HUBSPOT.accounts_of(WebhookRequest({}, body, "https://afterbeep.example/hooks"))


def test_an_old_webhook_is_refused(account: Account) -> None:
    """A signature is good for five minutes only, so that it cannot be played again."""
    url, old = "https://afterbeep.example/hooks", str(int((time.time() - 301) * 1000))
    headers = {
        "x-hubspot-request-timestamp": old,
        "x-hubspot-signature-v3": signature("POST", url, "[]", old),
    }

    with pytest.raises(Rejected, match="five minutes"):
        HUBSPOT.webhook(account, WebhookRequest(headers, b"[]", url, secret=CLIENT_SECRET))


def test_record_url_leads_to_the_right_page(box: running.Sandbox, account: Account) -> None:
    """In HubSpot by portal and type number, in a sandbox to its own page, which is there."""
    record = RecordId("contacts", _one(account, "contacts", lastname="Whitfield"))
    real = replace(account, base_url="https://api.hubapi.com")

    page = box.http.get(HUBSPOT.record_url(account, record))

    assert page.status_code == 200
    assert HUBSPOT.record_url(real, record) == (
        f"https://app.hubspot.com/contacts/48291035/record/0-1/{record.id}"
    )
