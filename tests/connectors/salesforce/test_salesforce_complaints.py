"""What users of other products complained of, at Salesforce: each complaint is a fact here.

The numbers are those of public issues: n8n, airbyte, nango, segment-docs, integration-templates.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
import running

from connectors.errors import NeedsReconnect, NotYet, Throttled, Uncertain
from connectors.record import Account, OAuth, Write
from connectors.registry import connector
from connectors.salesforce.connector import Salesforce

SALESFORCE = connector("salesforce")
assert isinstance(SALESFORCE, Salesforce)
assert isinstance(SALESFORCE.oauth, OAuth)
FACTS = SALESFORCE.oauth
DAY = 100_000


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory) -> Iterator[running.Sandbox]:
    with running.sandbox("salesforce", tmp_path_factory.mktemp("complaints")) as box:
        settings = {"bulk_delay_s": 0, "bulk_rows_per_s": 1e9}
        box.http.post(f"{box.url}/_salesforce/settings", json=settings).raise_for_status()
        yield box


@pytest.fixture(name="account")
def _account(box) -> Iterator[Account]:
    account = running.account(box, SALESFORCE, running.authorise(box, FACTS))
    SALESFORCE.prepare(account)
    yield account
    box.set(limits={"requests": DAY})


def _leads(number: int) -> list[Write]:
    fields = {"LastName": "Whitfield", "Company": "W"}
    return [Write(uuid.uuid4().hex, "Lead", fields) for _ in range(number)]


def _leave(box: running.Sandbox, calls: int) -> None:
    """Let the org have so many calls left for today."""
    used = next(iter(box.stats()["limits"].values()))["requests"]["used"]
    box.set(limits={"requests": used + calls})


def test_the_oldest_connection_of_a_user_may_be_revoked(box, account):
    """Segment's Salesforce guide: the sixth approval of an app by one user ends the first.

    That connection needs its person again, and says so; the others of the same user work on.
    """
    tokens = running.authorise(box, FACTS)
    oldest = running.account(box, SALESFORCE, tokens)
    revoke = f"{box.url}/services/oauth2/revoke"
    box.http.post(revoke, data={"token": tokens["refresh_token"]}).raise_for_status()

    with pytest.raises(NeedsReconnect):
        SALESFORCE.identify(oldest)

    again = running.token(
        box, FACTS, grant_type="refresh_token", refresh_token=tokens["refresh_token"]
    )
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert SALESFORCE.identify(account)


@pytest.mark.parametrize("rows", [200, 230])
def test_a_spent_day_stops_cleanly_and_goes_on_later(box, account, rows):
    """Airbyte#8690, PR#9499, #52151: no sleeping, no failure; the same rows go when there are calls.

    Rows that would go at once, and rows of which a job has taken the table.
    """
    writes = _leads(rows)
    _leave(box, 0 if rows <= SALESFORCE.max_batch else 1)

    with pytest.raises(Throttled) as caught:
        SALESFORCE.write(account, writes)

    assert caught.value.code == "REQUEST_LIMIT_EXCEEDED"
    assert caught.value.retry_after_s >= 900
    box.set(limits={"requests": DAY})
    outcomes = SALESFORCE.write(account, writes)
    taken = outcomes[0].error
    if isinstance(taken, NotYet):
        SALESFORCE.poll(account, taken.job or "", writes)
        outcomes = SALESFORCE.poll(account, taken.job or "", writes)
    assert all(one.is_new for one in outcomes)
    assert box.stats()["duplicate_keys"] == []


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_day_that_is_spent_while_a_job_works_loses_nothing(box, account, calls):
    """The same for the question what became of a job: it is asked tomorrow, for the same rows."""
    writes = [Write(uuid.uuid4().hex, "Lead", {"LastName": "W"}), *_leads(230)]
    taken = SALESFORCE.write(account, writes)[0].error
    assert isinstance(taken, NotYet)
    SALESFORCE.poll(account, taken.job or "", writes)
    _leave(box, calls)

    with pytest.raises(Throttled):
        SALESFORCE.poll(account, taken.job or "", writes)

    box.set(limits={"requests": DAY})
    outcomes = SALESFORCE.poll(account, taken.job or "", writes)
    assert [one.error is None for one in outcomes] == [False, *[True] * 230]


def test_the_days_limit_is_known_from_every_answer(box, account):
    """Nango PR#4046: nobody knew of the daily limit. Refusals tell it too, and tables of results."""
    seen: list[tuple[int, int | None, int | None]] = []

    def observe(status: int, headers: Mapping[str, str], ms: float) -> None:
        (reading,) = SALESFORCE.read_limits(status, headers)
        assert reading.name == "requests"
        seen.append((status, reading.capacity, reading.remaining))

    watched = replace(account, observe=observe)
    writes = _leads(230)
    taken = SALESFORCE.write(watched, writes)[0].error
    assert isinstance(taken, NotYet)
    SALESFORCE.poll(watched, taken.job or "", writes)
    SALESFORCE.poll(watched, taken.job or "", writes)
    _leave(box, 0)
    with pytest.raises(Throttled):
        SALESFORCE.write(watched, _leads(1))

    assert [status for status, _, _ in seen] == [200, 201, 200, 200, 200, 200, 403]
    remaining = [left for _, _, left in seen]
    assert {capacity for _, capacity, _ in seen[:6]} == {DAY}
    assert remaining[:6] == list(range(remaining[0], remaining[0] - 6, -1))
    assert remaining[6] == 0


def test_a_write_that_timed_out_makes_no_second_record(box, account):
    """Segment-docs PR#3459: retry after a timeout duplicated records. A key cannot."""
    (write,) = _leads(1)
    box.fault(kind="slow", seconds=0.6, path="/composite/")

    with pytest.raises(Uncertain):
        SALESFORCE.write(replace(account, read_timeout_s=0.2), [write])

    box.clear_faults()
    (again,) = SALESFORCE.write(account, [write])
    (third,) = SALESFORCE.write(account, [write])
    assert again.record
    assert (third.record, third.is_new) == (again.record, False)
    assert box.stats()["duplicate_keys"] == []


def test_creating_what_exists_gives_its_id(account):
    """Integration-templates PR#88: create-lead met duplicates; here the id comes either way."""
    (write,) = _leads(1)
    (made,) = SALESFORCE.write(account, [write])
    (found,) = SALESFORCE.write(account, [write])

    assert (made.is_new, found.is_new) == (True, False)
    assert found.record == made.record
    assert made.record is not None
    assert made.record.id
