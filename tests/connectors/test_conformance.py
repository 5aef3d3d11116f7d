"""What every connector must do, whatever the vendor; run against the vendor's sandbox over HTTP.

A new vendor is added with a line in the registry and a Case in ``vendors.py``.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import running
from vendors import CASES, Case

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
from connectors.http import is_allowed_base
from connectors.interface import Configurable, Connector, WorksLater
from connectors.record import (
    JSON,
    Account,
    Candidate,
    Field,
    KeyAuth,
    Lookup,
    OAuth,
    Object,
    Outcome,
    RecordId,
    WebhookRequest,
    Write,
)
from connectors.registry import CONNECTORS, connector

#: A job that is not done by then has failed the test.
_MOST_POLLS = 200


@dataclass
class Bench:
    """A vendor's sandbox, its connector, and an account that was connected as a person does."""

    case: Case
    box: running.Sandbox
    vendor: Connector
    account: Account
    tokens: dict[str, str]
    wrote: dict[str, Mapping[str, JSON]] = field(default_factory=dict)

    @property
    def oauth(self) -> OAuth:
        """Give the OAuth facts; for a vendor that is reached with keys the test is skipped."""
        if not isinstance(self.vendor.oauth, OAuth):
            pytest.skip("this vendor is reached with keys that a person pastes, not through OAuth")
        return self.vendor.oauth

    def needs(self, what: str) -> None:
        """Skip the test for a vendor that has no such thing, with the reason."""
        if what in self.case.lacks:
            pytest.skip(self.case.lacks[what])

    def connect(self, account: str | None = None) -> Account:
        """Connect one of the sandbox's accounts."""
        settings = dict(self.case.settings)
        return running.connect(self.box, self.vendor, account=account, settings=settings)[0]

    def fault_in_writing(self, **fault: object) -> None:
        """Switch a fault on for the next write."""
        self.box.fault(path=self.case.write_path, method=self.case.write_method, **fault)

    def key(self) -> str:
        """Give a key that no other test uses."""
        return uuid.uuid4().hex

    def phone(self) -> str:
        """Give a number that no other test uses."""
        return f"+1415555{uuid.uuid4().int % 10_000:04d}{uuid.uuid4().int % 1_000:03d}"

    def writing(self, key: str, **fields: object) -> Write:
        """Make a good write, with these fields too."""
        write = self.write_of(key, self.case.object, self.case.fields)
        self.wrote[key] = {**write.fields, **fields}
        return replace(write, fields=self.wrote[key])

    def write_of(self, key: str, object_name: str, fields: Mapping[str, JSON]) -> Write:
        """Make a write that differs from others where the vendor goes by what a record holds."""
        name = self.case.told_apart_by
        apart = {} if name is None else {name: f"{fields[name]} {key}"}
        return Write(key, object_name, {**fields, **apart})

    def lookup(self, key: str, *read: str) -> Lookup:
        """Ask for the record that was, or would be, written with this key."""
        fields = self.wrote.get(key) or self.writing(key).fields
        return Lookup(self.case.object, key=key, read=read, fields=fields)

    def changing(self, key: str, record: RecordId) -> Write:
        """Make a write of a record that is known, as far as this vendor lets one change it."""
        fields = {self.case.clear: "Owner"} if self.case.clear else {}
        return Write(key, self.case.object, fields, record.id)

    def write(self, *writes: Write, **parts: object) -> list[Outcome]:
        """Write with this account; what the vendor works on is asked about until it is done."""
        account = replace(self.account, **parts)
        outcomes = list(self.vendor.write(account, writes))
        for _ in range(_MOST_POLLS):
            jobs = {o.error.job for o in outcomes if isinstance(o.error, NotYet) and o.error.job}
            if not jobs:
                break
            assert isinstance(self.vendor, WorksLater)
            time.sleep(0.02)
            for job in jobs:
                self._poll(account, job, writes, outcomes)
        return outcomes

    def _poll(
        self, account: Account, job: str, writes: Sequence[Write], outcomes: list[Outcome]
    ) -> None:
        places = [i for i, o in enumerate(outcomes) if getattr(o.error, "job", None) == job]
        assert isinstance(self.vendor, WorksLater)
        told = self.vendor.poll(account, job, [writes[i] for i in places])
        for place, outcome in zip(places, told, strict=True):
            outcomes[place] = outcome

    def candidates(self, key: str, *read: str) -> tuple[Candidate, ...]:
        """Ask the vendor for our key."""
        (found,) = self.vendor.find(self.account, [self.lookup(key, *read)])
        return found.candidates

    def value(self, key: str, field: str) -> object:
        """Ask the vendor what a field of the record with our key holds; "" and None are alike."""
        (candidate,) = self.candidates(key, field)
        return candidate.values.get(field) or None


@pytest.fixture(name="running_box", scope="module", params=sorted(CONNECTORS))
def _running_box(request, tmp_path_factory) -> Iterator[tuple[running.Sandbox, Case]]:
    name = request.param
    with running.sandbox(name, tmp_path_factory.mktemp(name)) as box:
        yield box, CASES[name]


@pytest.fixture(name="bench")
def _bench(running_box) -> Iterator[Bench]:
    box, case = running_box
    vendor = connector(case.name)
    case.prepare_box(box)
    # Many quick tests would meet a window that is fit for a customer; limits have tests of their own.
    before = box.http.get(f"{box.url}/_sandbox/settings").json()["limits"]
    box.set(limits=dict.fromkeys(before, 1_000_000))
    account, tokens = running.connect(box, vendor, settings=dict(case.settings))
    assert vendor.prepare(account) in ((), [])
    yield Bench(case, box, vendor, account, tokens)
    box.clear_faults()
    box.set(limits=before)


# Connecting.


def test_identify_names_the_account(bench):
    """The vendor's id and a name for people come from the account that was chosen."""
    account_id, name = bench.vendor.identify(bench.account)

    assert account_id
    assert name


def test_two_accounts_are_kept_apart(bench):
    """A record of one account is not found in another."""
    page = bench.box.http.get(f"{bench.box.url}/_sandbox/stats.json").json()
    other_id = list(page["limits"])[1]
    other = bench.connect(other_id)
    bench.vendor.prepare(other)
    key = bench.key()
    bench.write(bench.writing(key))

    (found,) = bench.vendor.find(other, [bench.lookup(key)])

    assert found.candidates == ()
    assert bench.vendor.identify(other)[0] != bench.vendor.identify(bench.account)[0]


def test_a_person_can_deny(bench):
    """Clicking "Deny" leads back with the error that OAuth names for it."""
    with pytest.raises(PermissionError, match="access_denied"):
        running.authorise(bench.box, bench.oauth, decision="deny")


def test_expired_token_asks_for_a_refresh(bench):
    """An expired token is TokenExpired, nothing is written, and the refreshed token works."""
    oauth, key = bench.oauth, bench.key()
    bench.box.post("expire")

    with pytest.raises(TokenExpired):
        bench.write(bench.writing(key))

    answer = running.token(
        bench.box,
        oauth,
        grant_type="refresh_token",
        refresh_token=bench.tokens["refresh_token"],
    )
    bench.account = replace(bench.account, token=answer.json()["access_token"])
    assert bench.candidates(key) == ()


def test_withdrawn_access_needs_a_person(bench):
    """After revocation calls raise NeedsReconnect and a refresh is refused as invalid_grant."""
    bench.box.post("revoke")

    with pytest.raises(NeedsReconnect):
        bench.vendor.identify(bench.account)

    if isinstance(bench.vendor.oauth, KeyAuth):
        return
    answer = running.token(
        bench.box,
        bench.oauth,
        grant_type="refresh_token",
        refresh_token=bench.tokens["refresh_token"],
    )
    assert answer.status_code == 400
    assert "grant" in answer.text.lower() or "token" in answer.text.lower()


def test_revoke_address_withdraws_access(bench):
    """The revoke address of the vendor's OAuth facts ends the access."""
    revoke_url = bench.oauth.revoke_url
    assert (revoke_url is None) == ("revoke" in bench.case.lacks)
    bench.needs("revoke")
    assert revoke_url is not None
    url = revoke_url.format(base=bench.box.url, api=bench.box.url, tokens=bench.box.url)
    form = {
        "token": bench.tokens["refresh_token"],
        "client_id": running.CLIENT_ID,
        "client_secret": running.CLIENT_SECRET,
    }
    if bench.oauth.revoke_by == "bearer":
        bearer = {"Authorization": f"Bearer {bench.tokens['access_token']}"}
        bench.box.http.delete(url, headers=bearer).raise_for_status()
    else:
        bench.box.http.post(url, data=form).raise_for_status()

    with pytest.raises(NeedsReconnect):
        bench.vendor.identify(bench.account)


# Setting up and describing.


def test_prepare_again_changes_nothing(bench):
    """A second set-up finds everything in place and writes no record."""
    before = bench.box.stats()["records"]

    todos = list(bench.vendor.prepare(bench.account))

    assert todos == []
    assert bench.box.stats()["records"] == before


def test_describe_lists_objects(bench):
    """The objects that the suite writes are listed."""
    names = {one.name for one in bench.vendor.describe(bench.account)}

    assert {bench.case.object, bench.case.closable} <= names
    assert all(isinstance(one, Object) for one in bench.vendor.describe(bench.account))


def test_describe_lists_fields(bench):
    """Fields come with what a mapping's check needs; our own key field is not offered."""
    fields = {one.name: one for one in bench.vendor.describe(bench.account, bench.case.object)}

    assert all(isinstance(one, Field) for one in fields.values())
    case = bench.case
    assert {*case.fields, case.text, case.match, case.clear} - {""} <= set(fields)
    assert case.clear == "" or fields[case.clear].can_update
    assert {one.can_update for one in fields.values()} == {False} or "update" not in case.lacks
    assert {one.can_match for one in fields.values()} == {False} or "match" not in case.lacks
    assert not [name for name in fields if "afterbeep" in name.lower() and fields[name].can_create]


def test_describe_of_an_unknown_object_is_rejected(bench):
    """A mapping may name an object that the account does not have."""
    with pytest.raises(Rejected):
        bench.vendor.describe(bench.account, "Nonexistent_thing")


# Writing.


def test_a_write_makes_a_record(bench):
    """The outcome names a record that the vendor has, and a page for people."""
    key = bench.key()
    (outcome,) = bench.write(bench.writing(key))

    assert outcome.error is None
    assert outcome.is_new
    assert [c.record.id for c in bench.candidates(key)] == [outcome.record.id]
    url = bench.vendor.record_url(bench.account, outcome.record)
    assert bench.box.http.get(url, follow_redirects=True).status_code == 200


def test_the_same_write_twice_makes_one_record(bench):
    """Writing a key again gives the same record and does not make a second."""
    key = bench.key()
    (first,) = bench.write(bench.writing(key))
    (second,) = bench.write(bench.writing(key))

    assert second.record.id == first.record.id
    assert not second.is_new
    assert len(bench.candidates(key)) == 1
    assert bench.box.stats()["duplicate_keys"] == []


def test_a_key_twice_in_one_batch_makes_one_record(bench):
    """Both writes of a key in one batch get the one record."""
    key = bench.key()
    outcomes = bench.write(bench.writing(key), bench.writing(bench.key()), bench.writing(key))

    assert [o.error for o in outcomes] == [None, None, None]
    assert outcomes[0].record.id == outcomes[2].record.id != outcomes[1].record.id
    assert len(bench.candidates(key)) == 1


def test_a_full_batch_keeps_its_order(bench):
    """The largest batch is answered row by row, in the order of the request."""
    keys = [bench.key() for _ in range(bench.vendor.max_batch)]
    outcomes = bench.write(*(replace(bench.writing(key), is_first=True) for key in keys))
    found = bench.vendor.find(bench.account, [bench.lookup(key) for key in reversed(keys)])

    assert {repr(o.error) for o in outcomes} == {"None"}
    assert [o.record.id for o in outcomes] == [
        f.candidates[0].record.id for f in reversed(list(found))
    ]
    assert len({o.record.id for o in outcomes}) == len(keys)


def test_a_full_batch_that_was_tried_before_makes_one_record_of_each(bench):
    """Rows that a vendor must be asked for first may come with a later batch; each is settled, and none made twice."""
    keys = [bench.key() for _ in range(bench.vendor.max_batch)]
    bench.write(*(replace(bench.writing(key), is_first=True) for key in keys[: len(keys) // 2]))

    open_keys, outcomes = keys, {}
    while open_keys:
        told = bench.write(*(bench.writing(key) for key in open_keys))
        settled = {k: o for k, o in zip(open_keys, told, strict=True) if not _comes_later(o)}
        assert settled, "no row of the batch was settled"
        outcomes |= settled
        open_keys = [key for key in open_keys if key not in settled]

    assert {repr(o.error) for o in outcomes.values()} == {"None"}
    assert len({o.record.id for o in outcomes.values()}) == len(keys)
    assert bench.box.stats()["duplicate_keys"] == []


def _comes_later(outcome: Outcome) -> bool:
    return isinstance(outcome.error, NotYet) and not outcome.error.job


def test_a_bad_row_fails_alone(bench):
    """One record that the vendor refuses does not keep the others from being written."""
    keys = [bench.key() for _ in range(5)]
    writes = [bench.writing(key) for key in keys]
    writes[2] = bench.writing(keys[2], **bench.case.bad)
    outcomes = bench.write(*writes)

    assert [o.error is None for o in outcomes] == [True, True, False, True, True]
    assert isinstance(outcomes[2].error, Rejected)
    assert [len(bench.candidates(key)) for key in keys] == [1, 1, 0, 1, 1]
    assert [bench.candidates(k)[0].record.id for k in (keys[0], keys[4])] == [
        outcomes[0].record.id,
        outcomes[4].record.id,
    ]


def test_a_rejection_names_the_field_but_not_the_value(bench):
    """What the caller said stays out of the sentence for people and logs."""
    (outcome,) = bench.write(bench.writing(bench.key(), **bench.case.bad))

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == bench.case.bad_field
    assert bench.case.bad_value not in outcome.error.detail
    assert bench.account.token not in outcome.error.detail


def test_an_unknown_field_is_rejected_for_its_row(bench):
    """A mapping to a field that was deleted at the vendor parks the row that uses it."""
    good, bad = bench.key(), bench.key()
    outcomes = bench.write(bench.writing(good), bench.writing(bad, nonexistent_field="x"))

    assert isinstance(outcomes[1].error, Rejected)
    assert len(bench.candidates(bad)) == 0
    assert outcomes[0].error is None


def test_update_by_id(bench):
    """A write with a record id changes that record and creates none."""
    bench.needs("update")
    key, other = bench.key(), bench.key()
    (made,) = bench.write(bench.writing(key))
    update = Write(other, bench.case.object, {bench.case.clear: "Owner"}, made.record.id)
    before = bench.box.stats()["records"][bench.case.object]
    (outcome,) = bench.write(update)

    assert outcome.error is None
    assert outcome.record.id == made.record.id
    assert not outcome.is_new
    assert bench.value(key, bench.case.clear) == "Owner"
    assert bench.box.stats()["records"][bench.case.object] == before


def test_new_and_known_records_in_one_batch(bench):
    """Outcomes stay with their writes when a batch holds both kinds."""
    keys = [bench.key() for _ in range(4)]
    (made,) = bench.write(bench.writing(keys[0]))
    outcomes = bench.write(
        bench.writing(keys[1]),
        bench.changing(keys[2], made.record),
        bench.writing(keys[3]),
    )

    assert [o.error for o in outcomes] == [None, None, None]
    assert outcomes[1].record.id == made.record.id
    assert [o.is_new for o in outcomes] == [True, False, True]
    assert bench.candidates(keys[3])[0].record.id == outcomes[2].record.id


def test_an_update_of_a_record_that_is_gone_is_rejected(bench):
    """Somebody may have deleted the record; nothing else takes its place."""
    bench.needs("update")
    gone = "00Qbm00000zzzzzEAA" if bench.case.name == "salesforce" else "999999999"
    key = bench.key()
    write = Write(key, bench.case.object, {bench.case.clear: "Owner"}, gone)
    (outcome,) = bench.write(write)

    assert isinstance(outcome.error, Rejected)
    assert bench.candidates(key) == ()


def test_none_clears_a_field(bench):
    """None takes the value away, and leaves other fields alone; a vendor that cannot refuses the row."""
    bench.needs("update")
    key = bench.key()
    bench.write(bench.writing(key, **{bench.case.clear: "Owner"}))
    (outcome,) = bench.write(bench.writing(key, **{bench.case.clear: None}))

    if "clear" in bench.case.lacks:
        assert isinstance(outcome.error, Rejected)
        assert outcome.error.field == bench.case.clear
        assert bench.value(key, bench.case.clear) == "Owner"
        return

    assert bench.value(key, bench.case.clear) is None
    name = next(iter(bench.case.fields))
    assert bench.value(key, name) == bench.case.fields[name]


@pytest.mark.parametrize(
    "words",
    [
        "Zoë Müller-Łukasz, 王小明, مرحبا, שלום, 👩🏽‍🔧",
        'O\'Brien said "now" \\ and <b>then</b> & so; %27 {x} ${y}\nsecond line\tend',
    ],
)
def test_words_arrive_as_they_are(bench, words):
    """Scripts, quotes and signs of other languages arrive unchanged."""
    key = bench.key()
    (outcome,) = bench.write(bench.writing(key, **{bench.case.text: words}))

    assert outcome.error is None
    stored = bench.case.stored_as(outcome.record.id)
    record = next(r for r in bench.box.records(bench.case.object) if r["id"] == stored)
    assert record["fields"][bench.case.text] == words


def test_the_longest_text_arrives_whole(bench):
    """A transcript of the vendor's maximum length is kept to its last character."""
    key = bench.key()
    words = ("long " * bench.case.max_chars)[: bench.case.max_chars - 1] + "!"
    (outcome,) = bench.write(bench.writing(key, **{bench.case.text: words}))

    assert outcome.error is None
    stored = bench.case.stored_as(outcome.record.id)
    record = next(r for r in bench.box.records(bench.case.object) if r["id"] == stored)
    assert record["fields"][bench.case.text] == words


# Finding.


def test_find_answers_keys_in_the_order_asked(bench):
    """Known and unknown keys are answered each in its place."""
    keys = [bench.key() for _ in range(4)]
    outcomes = bench.write(bench.writing(keys[1]), bench.writing(keys[3]))
    found = bench.vendor.find(bench.account, [bench.lookup(key) for key in reversed(keys)])

    ids = [[candidate.record.id for candidate in one.candidates] for one in found]
    assert ids == [[outcomes[1].record.id], [], [outcomes[0].record.id], []]


def test_find_answers_in_the_order_asked(bench):
    """Known and unknown keys and values are answered each in its place."""
    bench.needs("match")
    key, phone = bench.key(), bench.phone()
    (made,) = bench.write(bench.writing(key, **{bench.case.match: phone}))
    found = bench.vendor.find(
        bench.account,
        [
            Lookup(bench.case.object, key=bench.key()),
            Lookup(bench.case.object, by={bench.case.match: phone}, read=(bench.case.match,)),
            Lookup(bench.case.object, by={bench.case.match: bench.phone()}),
            Lookup(bench.case.object, key=key),
        ],
    )

    ids = [[candidate.record.id for candidate in one.candidates] for one in found]
    assert ids == [[], [made.record.id], [], [made.record.id]]
    assert found[1].candidates[0].values == {bench.case.match: phone}
    assert found[1].candidates[0].label


def test_find_gives_all_candidates(bench):
    """Two people with one number are both given, for a person to choose."""
    bench.needs("match")
    phone = bench.phone()
    outcomes = bench.write(
        *(bench.writing(bench.key(), **{bench.case.match: phone}) for _ in range(2))
    )
    (found,) = bench.vendor.find(
        bench.account, [Lookup(bench.case.object, by={bench.case.match: phone})]
    )

    assert {c.record.id for c in found.candidates} == {o.record.id for o in outcomes}


def test_find_takes_quotes_as_text(bench):
    """A value with the signs of a query language finds nothing rather than everything."""
    bench.needs("match")
    bench.write(bench.writing(bench.key()))
    found = bench.vendor.find(
        bench.account,
        [
            Lookup(bench.case.object, by={bench.case.match: "x' OR Name != '"}),
            Lookup(bench.case.object, by={bench.case.match: "\\' OR '1'='1"}),
        ],
    )

    assert [one.candidates for one in found] == [(), ()]


# Closing.


def test_closed_tells_what_was_closed(bench):
    """Only the record that a user has closed is told, with the moment."""
    case = bench.case
    writes = [bench.write_of(bench.key(), case.closable, case.closable_fields) for _ in range(2)]
    records = [o.record for o in bench.write(*writes)]
    assert list(bench.vendor.closed(bench.account, records)) == []

    bench.case.close(bench.box, records[1])
    (closure,) = bench.vendor.closed(bench.account, records)

    assert closure.record.id == records[1].id
    assert closure.closed_at.tzinfo is not None
    assert closure.result


def test_an_unsigned_webhook_is_rejected(bench):
    """Nobody can close records by calling our address."""
    request = WebhookRequest({}, b"[]", "https://afterbeep.example/v1/hooks/x")

    with pytest.raises(Rejected):
        bench.vendor.webhook(bench.account, request)


# When things go wrong.


def test_a_lost_answer_is_uncertain_and_can_be_asked_for(bench):
    """Cut after the write: Uncertain, the record is found once, and writing again makes no second."""
    key = bench.key()
    bench.fault_in_writing(kind="cut_after")

    with pytest.raises(Uncertain):
        bench.write(bench.writing(key))

    (candidate,) = bench.candidates(key)
    (again,) = bench.write(bench.writing(key))
    assert again.record.id == candidate.record.id
    assert len(bench.candidates(key)) == 1
    assert bench.box.stats()["duplicate_keys"] == []


def test_a_cut_before_the_write_writes_nothing(bench):
    """Cut before the write: the vendor has no record, and the next attempt makes it."""
    key = bench.key()
    bench.fault_in_writing(kind="cut_before")

    with pytest.raises((Uncertain, Unavailable)):
        bench.write(bench.writing(key))

    assert bench.candidates(key) == ()
    (again,) = bench.write(bench.writing(key))
    assert again.is_new


def test_a_slow_answer_to_a_write_is_uncertain(bench):
    """The read timeout is kept, and a write that timed out may have been done."""
    bench.fault_in_writing(kind="slow", seconds=1.5)

    with pytest.raises(Uncertain):
        bench.write(bench.writing(bench.key()), read_timeout_s=0.2)


def test_a_slow_answer_to_a_read_is_unavailable(bench):
    """A read that timed out changes nothing and may be asked again."""
    bench.box.fault(kind="slow", seconds=1.5, path=bench.case.read_path)

    with pytest.raises(Unavailable):
        bench.vendor.describe(replace(bench.account, read_timeout_s=0.2), bench.case.object)


def test_a_closed_port_is_unavailable(bench):
    """Nobody listens: nothing was sent, so nothing was written."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(Unavailable):
        bench.write(bench.writing(bench.key()), base_url=f"http://127.0.0.1:{port}")


def test_a_refusal_by_the_rate_limit_is_throttled(bench):
    """The vendor's own words for "too many" become Throttled with a time, and nothing is written."""
    key = bench.key()
    bench.fault_in_writing(kind="status", status=429)

    with pytest.raises(Throttled) as caught:
        bench.write(bench.writing(key))

    assert caught.value.retry_after_s > 0
    assert bench.candidates(key) == ()


def test_a_spent_limit_is_throttled(bench):
    """The sandbox's real limits refuse too, and the connector reads what is left from the headers."""
    readings = []

    def observe(status: int, headers: dict[str, str], ms: float) -> None:
        readings.extend(bench.vendor.read_limits(status, headers))

    names = bench.box.http.get(f"{bench.box.url}/_sandbox/settings").json()["limits"]
    bench.write(bench.writing(bench.key()), observe=observe)
    assert [r.capacity for r in readings] == [1_000_000] * len(readings)
    assert readings or "limit_headers" in bench.case.lacks
    bench.box.set(limits=dict.fromkeys(names, 0))

    with pytest.raises(Throttled) as caught:
        bench.write(bench.writing(bench.key()))

    assert caught.value.retry_after_s > 0


@pytest.mark.parametrize("status", [500, 503])
def test_a_vendor_in_trouble_is_unavailable(bench, status):
    """5xx: later, with growing delay."""
    key = bench.key()
    bench.fault_in_writing(kind="status", status=status)

    with pytest.raises(Unavailable):
        bench.write(bench.writing(key))

    assert bench.candidates(key) == ()


@pytest.mark.parametrize("kind", ["malformed", "html"])
def test_an_answer_that_is_not_json_breaks_the_contract(bench, kind):
    """What the documents do not describe is told as such."""
    bench.fault_in_writing(kind=kind)

    with pytest.raises(ContractBroken):
        bench.write(bench.writing(bench.key()))


# Budget and observation.


def _calls(box: running.Sandbox) -> int:
    """Count calls once none is under way: one that an earlier test gave up may still be."""
    while (stats := box.stats())["in_flight"]:
        time.sleep(0.02)
    return stats["calls_total"]


def test_every_request_is_asked_for_and_every_answer_told(bench):
    """For each request that reaches the vendor there was one spend before and one observe after."""
    log: list[str] = []
    known = {limit.name for limit in bench.vendor.limits}

    def spend(**units: int) -> None:
        assert set(units) <= known
        log.append("spend")

    def observe(status: int, headers: dict[str, str], ms: float) -> None:
        assert all(name == name.lower() for name in headers)
        assert ms >= 0
        log.append(str(status))

    watched = replace(bench.account, spend=spend, observe=observe)
    key = bench.key()
    before = _calls(bench.box)
    bench.vendor.identify(watched)
    bench.vendor.describe(watched)
    bench.vendor.describe(watched, bench.case.object)
    bench.vendor.prepare(watched)
    match = {bench.case.match: bench.phone()} if bench.case.match else {}
    (made,) = bench.vendor.write(watched, [bench.writing(key, **match)])
    bench.vendor.find(watched, [bench.lookup(key)])
    if match:
        bench.vendor.find(watched, [Lookup(bench.case.object, by=match)])
    bench.vendor.closed(watched, [made.record])
    bench.fault_in_writing(kind="status", status=503)
    with pytest.raises(Unavailable):
        bench.vendor.write(watched, [bench.writing(bench.key())])

    made_calls = _calls(bench.box) - before
    assert log[::2] == ["spend"] * made_calls
    assert len(log) == 2 * made_calls
    assert log[-1] == "503"


def test_nothing_is_sent_without_budget(bench):
    """When the budget says no, the vendor hears nothing."""

    def refuse(**units: int) -> None:
        raise Throttled("the budget is spent", retry_after_s=60)

    poor = replace(bench.account, spend=refuse)
    before = _calls(bench.box)

    with pytest.raises(Throttled, match="the budget is spent"):
        bench.vendor.write(poor, [bench.writing(bench.key())])
    with pytest.raises(Throttled):
        bench.vendor.find(poor, [bench.lookup(bench.key())])
    with pytest.raises(Throttled):
        bench.vendor.describe(poor, bench.case.object)

    assert _calls(bench.box) == before


def test_write_cost_is_what_a_write_spends(bench):
    """What was announced is what is charged."""
    spent: dict[str, int] = {}

    def spend(**units: int) -> None:
        for name, number in units.items():
            spent[name] = spent.get(name, 0) + number

    (made,) = bench.write(bench.writing(bench.key()))
    writes = [
        bench.writing(bench.key()),
        bench.writing(bench.key()),
        bench.changing(bench.key(), made.record),
    ]
    # What a vendor works on is asked about later, and charged then.
    bench.vendor.write(replace(bench.account, spend=spend), writes)

    assert spent == dict(bench.vendor.write_cost(writes))


# Facts.


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_facts_have_sources(name):
    """Limits and OAuth facts name the page they come from, and say what the interface asks for."""
    vendor = connector(name)

    assert vendor.name == name
    assert vendor.label == CONNECTORS[name][0]
    assert vendor.limits
    assert all(limit.source.startswith("https://") for limit in vendor.limits)
    assert all(limit.capacity > 0 and limit.period_s > 0 for limit in vendor.limits)
    assert vendor.oauth.source.startswith("https://")
    assert vendor.oauth.login_url.startswith("https://")
    if isinstance(vendor.oauth, OAuth):
        assert vendor.oauth.scopes
    else:
        assert set() < vendor.oauth.secrets < set(vendor.oauth.fields)
        assert set(vendor.oauth.asks) == set(vendor.oauth.fields.values())
    assert vendor.repeats is None or isinstance(vendor.repeats, frozenset)


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_only_the_vendors_hosts_are_called(name):
    """A base URL must be https at the vendor; this machine only where the operator allows it."""
    hosts = connector(name).hosts
    good = f"https://{hosts[0].lstrip('.') if not hosts[0].startswith('.') else 'x' + hosts[0]}"

    assert is_allowed_base(good, hosts, allow_loopback=False)
    assert not is_allowed_base(good.replace("https", "http"), hosts, allow_loopback=True)
    assert not is_allowed_base("https://evil.example", hosts, allow_loopback=True)
    assert not is_allowed_base(good + ".evil.example", hosts, allow_loopback=True)
    assert not is_allowed_base(good.replace("//", "//a@"), hosts, allow_loopback=True)
    assert not is_allowed_base("http://127.0.0.1:8301", hosts, allow_loopback=False)
    assert is_allowed_base("http://127.0.0.1:8301", hosts, allow_loopback=True)
    assert not is_allowed_base("http://127.0.0.1.evil.example", hosts, allow_loopback=True)
    assert not is_allowed_base("http://169.254.169.254", hosts, allow_loopback=True)


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_a_readme_tells_the_facts(name):
    """The vendor's folder explains the vendor, down to each limit and scope."""
    text = (Path(__file__).parents[2] / "connectors" / name / "README.md").read_text("utf-8")
    vendor = connector(name)
    asked = vendor.oauth.scopes if isinstance(vendor.oauth, OAuth) else vendor.oauth.asks

    assert [one for one in asked if one not in text] == []
    assert [limit.name for limit in vendor.limits if limit.name not in text] == []
    assert str(vendor.max_batch) in text


_WRONG = {
    "text": 17,
    "number": "many",
    "boolean": "perhaps",
    "choice": 17,
    "choices": 17,
    "time_span": {"start": "late"},
    "week": {"someday": "09:00-17:00"},
    "json": 17,
}


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_what_an_admin_may_set_is_checked_and_told(name):
    """Defaults pass their check, a wrong value is named, the README names each, and no setting is the vendor's."""
    vendor = connector(name)
    if not isinstance(vendor, Configurable):
        pytest.skip("nothing can be set for a connection to this vendor")
    readme = (Path(__file__).parents[2] / "connectors" / name / "README.md").read_text()
    kept = vendor.oauth.keeps if isinstance(vendor.oauth, OAuth) else ()

    assert vendor.settings
    assert len({one.name for one in vendor.settings}) == len(vendor.settings)
    for one in vendor.settings:
        if one.default is not None:
            assert list(vendor.check_settings({one.name: one.default})) == []
        [said] = vendor.check_settings({one.name: _WRONG[one.kind]})
        assert one.name in said
        assert f"`{one.name}`" in readme
        assert one.name not in kept
        assert bool(one.choices) + one.is_from_account == (one.kind in {"choice", "choices"})
        assert one.help.endswith(".")


def test_choices_of_a_setting_come_from_the_account(bench):
    """What the account offers for a setting passes the setting's check."""
    if not isinstance(bench.vendor, Configurable):
        pytest.skip("nothing can be set for a connection to this vendor")
    offered = [one for one in bench.vendor.settings if one.is_from_account]
    if not offered:
        pytest.skip("no setting comes from the account")
    for one in offered:
        choices = bench.vendor.setting_choices(bench.account, one.name)
        values = [choice.value for choice in choices]

        assert values
        for value in values:
            chosen = [value] if one.kind == "choices" else value
            assert list(bench.vendor.check_settings({one.name: chosen})) == []


def test_every_vendor_has_a_case():
    """Nothing in the registry escapes this suite."""
    assert set(CASES) == set(CONNECTORS)


def test_errors_are_connector_errors():
    """What a connector raises is named by its consequence."""
    kinds = (Throttled, Unavailable, Rejected, NeedsReconnect, Uncertain, ContractBroken)

    assert all(issubclass(kind, ConnectorError) for kind in kinds)
    assert RecordId("Lead", "1").url is None
