"""What users of other products complained of, at HubSpot: each complaint is a fact here.

The numbers are those of public issues: nango, pipedream, PostHog, segment-docs, integration-templates.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
import running

from connectors.errors import NeedsReconnect, Throttled, TokenExpired, Uncertain
from connectors.hubspot.connector import HubSpot
from connectors.hubspot.refusals import refused
from connectors.record import Account, Write

HUBSPOT = HubSpot()


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Sandbox]:
    with running.sandbox("hubspot", tmp_path_factory.mktemp("complaints")) as box:
        yield box


@pytest.fixture(name="account")
def _account(box: running.Sandbox) -> Iterator[Account]:
    box.set(limits={"requests": 100_000, "search": 100_000})
    account = running.account(box, HUBSPOT, running.authorise(box, HUBSPOT.oauth))
    HUBSPOT.prepare(account)
    yield account
    box.clear_faults()
    box.set(limits={"requests": 100_000, "search": 100_000})


def _contact() -> Write:
    return Write(uuid.uuid4().hex, "contacts", {"lastname": "Whitfield"})


@pytest.mark.parametrize(
    ("policy", "wait_s"),
    [("SECONDLY", 1.0), ("TEN_SECONDLY_ROLLING", 10.0), ("DAILY", 3_600.0)],
)
def test_each_limit_is_told_from_the_others(policy, wait_s):
    """Nango PR#4046, pipedream#18328: a second's limit passes at once, the day's does not.

    Either way the rows wait, and none of them has failed.
    """
    body = {"status": "error", "errorType": "RATE_LIMIT", "policyName": policy}
    error = refused(429, {}, body)

    assert isinstance(error, Throttled)
    assert error.retry_after_s == wait_s
    assert error.code == policy


def test_an_app_without_a_limit_of_the_day_declares_none():
    """Nango PR#4046: nobody knew. An OAuth app of HubSpot has none; what an account has left is read."""
    assert {limit.kind for limit in HUBSPOT.limits} == {"window"}
    (reading,) = HUBSPOT.read_limits(
        429,
        {
            "x-hubspot-ratelimit-max": "190",
            "x-hubspot-ratelimit-remaining": "0",
            "x-hubspot-ratelimit-interval-milliseconds": "10000",
        },
    )
    assert (reading.name, reading.capacity, reading.remaining, reading.resets_in_s) == (
        "requests",
        190,
        0,
        10.0,
    )


def test_a_spent_window_stops_cleanly_and_goes_on_later(box, account):
    """Airbyte#8690, #52151: no sleeping, no failure; the same rows go when there are calls."""
    writes = [_contact() for _ in range(20)]
    box.set(limits={"requests": 0})

    with pytest.raises(Throttled):
        HUBSPOT.write(account, writes)

    box.set(limits={"requests": 100_000})
    assert all(one.is_new for one in HUBSPOT.write(account, writes))
    assert box.stats()["duplicate_keys"] == []


def test_a_missing_scope_needs_a_person_and_not_a_refresh(box, account):
    """PostHog#53339: 403 MISSING_SCOPES. It says which scope, and is no expired token."""
    scopes = tuple(s for s in HUBSPOT.oauth.scopes if s != "tickets")
    tokens = running.authorise(box, replace(HUBSPOT.oauth, scopes=scopes))
    poor = running.account(box, HUBSPOT, tokens)
    fields = {"subject": "Boiler", "hs_pipeline": "0", "hs_pipeline_stage": "1"}

    with pytest.raises(NeedsReconnect) as caught:
        HUBSPOT.write(poor, [Write(uuid.uuid4().hex, "tickets", fields)])

    assert not isinstance(caught.value, TokenExpired)
    assert "tickets" in caught.value.detail


def test_an_expired_token_stops_discovery_as_it_stops_a_write(box, account):
    """Action-destinations PR#1962: lists of fields died with the token; here they ask for a refresh."""
    own = running.account(box, HUBSPOT, running.authorise(box, HUBSPOT.oauth))
    box.post("expire")

    for name in (None, "contacts"):
        with pytest.raises(TokenExpired):
            HUBSPOT.describe(own, name)


def test_a_write_that_timed_out_makes_no_second_record(box, account):
    """Segment-docs PR#3459: retry after a timeout duplicated records. A unique key cannot."""
    write = _contact()
    box.fault(kind="slow", seconds=0.6, path="/batch/upsert")

    with pytest.raises(Uncertain):
        HUBSPOT.write(replace(account, read_timeout_s=0.2), [write])

    box.clear_faults()
    (again,) = HUBSPOT.write(account, [write])
    (third,) = HUBSPOT.write(account, [write])
    assert again.record
    assert (third.record, third.is_new) == (again.record, False)
    assert box.stats()["duplicate_keys"] == []


def test_creating_what_exists_gives_its_id(account):
    """Integration-templates PR#88: creating met duplicates; here the id comes either way."""
    write = _contact()
    (made,) = HUBSPOT.write(account, [write])
    (found,) = HUBSPOT.write(account, [write])

    assert (made.is_new, found.is_new) == (True, False)
    assert found.record == made.record


def test_what_is_left_is_read_from_every_answer(box, account):
    """Refusals tell it too, so that the budget learns from them."""
    seen: list[tuple[int, int | None]] = []

    def observe(status: int, headers: Mapping[str, str], ms: float) -> None:
        (reading,) = HUBSPOT.read_limits(status, headers)
        seen.append((status, reading.remaining))

    watched = replace(account, observe=observe)
    HUBSPOT.write(watched, [_contact()])
    box.set(limits={"requests": 0})
    with pytest.raises(Throttled):
        HUBSPOT.write(watched, [_contact()])

    (first, left), (second, nothing) = seen
    assert (first, second, nothing) == (200, 429, 0)
    assert left is not None
    assert left > 0
