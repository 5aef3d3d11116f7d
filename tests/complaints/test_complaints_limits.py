"""Complaints about limits: hit all the time, taken from others, slept through, or waited for in vain."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from connectors.errors import Throttled
from connectors.registry import connector
from hub.db.base import new_id
from hub.delivery.budget import Budget
from hub.delivery.remote_account import AccountKey
from tests.complaints.firm import Firm, holds, processes
from tests.connectors import running
from tests.e2e.installation import Installation

pytestmark = pytest.mark.processes

#: An account of the sandbox that no other complaint uses, so that its day is its own.
OTHERS = "Harbour Dental Care"
DAY = 100_000
URGENT = {"score": 90, "level": "critical"}


@pytest.fixture(name="limited")
def _limited(firm: Firm) -> Iterator[Firm]:
    """A company whose vendor has its usual limits again afterwards."""
    yield firm
    firm.one.boxes["salesforce"].set(limits={"requests": DAY})


def used(firm: Firm, account: str) -> int:
    """Tell how many calls of the day the vendor has counted for an account."""
    return int(firm.sandbox.stats()["limits"][account]["requests"]["used"])


def objects(firm: Firm) -> str | None:
    """Ask the vendor for its objects; gives what was in the way."""
    path = f"/v1/connections/{firm.connection_id}/objects"
    problem: str | None = firm.get(path, refresh=True)["problem"]
    return problem


def account_named(box: running.Sandbox, name: str) -> str:
    """Give the id of an account on the vendor's page where a person chooses."""
    salesforce = connector("salesforce")
    for account in box.stats()["limits"]:
        tokens = running.authorise(box, salesforce.oauth, account=account)
        if salesforce.identify(running.account(box, salesforce, tokens))[1] == name:
            return str(account)
    raise AssertionError(f"the sandbox has no account {name}")


def test_complaints_13_and_14_the_rest_of_the_account_is_left_to_others(limited: Firm) -> None:
    """A sync hit the limit all the time, and every other program of the account starved; no share could be set.

    With a quarter granted we stop there, without a single refusal by the vendor; another program then works as it
    likes, the voicemail waits in good health, and we go on when a person grants more.
    """
    firm, account = limited, account_named(limited.one.boxes["salesforce"], OTHERS)
    firm.connect(account=account)
    firm.publish()
    firm.change(budget={"share": 0.25})
    firm.sandbox.set(limits={"requests": 160})
    refused = firm.statuses(403)

    problems = [objects(firm) for _ in range(50)]
    ours = used(firm, account)
    firm.post(1)
    others = running.authorise(firm.sandbox, connector("salesforce").oauth, account=account)
    other = running.account(firm.sandbox, connector("salesforce"), others)
    for _ in range(80):
        connector("salesforce").describe(other, None)

    assert problems[0] is None
    assert problems[-1] is not None
    # A few calls that identify the account while it is being connected come before it has a budget.
    assert 20 < ours <= 0.25 * 160 + 10
    assert firm.statuses(403) == refused
    assert firm.states() == {"waiting": 1}
    assert firm.seen()["state"] == "healthy"
    firm.change(budget={"share": 0.9})
    assert objects(firm) is None


def test_complaints_15_16_and_17_a_spent_day_stops_cleanly_and_goes_on_tomorrow(
    one: Installation, limited: Firm, neighbour: Firm
) -> None:
    """With the day's calls gone a sync slept for hours with its worker, or ended as failed.

    Here one call is refused; then nobody calls, no attempt is used, the connection stays healthy, both workers are
    free for others, and the same voicemails go out the next day.
    """
    firm = limited.ready()
    firm.post(1)
    firm.delivered(1)
    today = used(firm, firm.connection().account_id)
    firm.sandbox.set(limits={"requests": today})
    refused = firm.statuses(403)
    firm.post(3)
    holds(lambda: firm.statuses(403) == refused + 1)
    holds(lambda: {row.reason for row in firm.rows()} != {None})
    calls = firm.calls()
    time.sleep(2.5)  # the sweep looks once a second
    waiting = firm.deliveries(state="waiting")

    assert firm.calls() == calls
    assert [row["attempts"] for row in waiting] == [0, 0, 0]
    assert firm.seen()["state"] == "healthy"
    with running.sandbox("salesforce", one.data_dir / "elsewhere") as box:
        # An organisation of its own: one budget serves all connections to one.
        neighbour.connect(box, account=account_named(box, OTHERS))
        neighbour.publish()
        neighbour.post(2)
        neighbour.delivered(2)
    firm.sandbox.set(limits={"requests": DAY})
    one.hub.redis.flushall()  # what was counted today is over
    firm.hurry()
    firm.delivered(4)


def test_complaint_18_the_days_limit_is_known(limited: Firm) -> None:
    """The limit of a second was handled, and of the day's nobody knew; here it is read from every answer and shown."""
    firm = limited.ready()
    firm.sandbox.set(limits={"requests": 5_000})
    firm.post(1)
    firm.delivered(1)

    (line,) = [one for one in firm.seen()["budget"] if one["kind"] == "day"]

    assert line["capacity"] == 5_000
    assert line["remaining"] <= 5_000 - used(firm, firm.connection().account_id)
    assert line["used"] > 0


def test_complaint_19_a_refusal_does_not_end_it(firm: Firm) -> None:
    """One "too many" and the whole flow was dead. Here it waits as it is told, again and again; nothing is given up."""
    firm.ready()
    firm.sandbox.fault(kind="status", status=429, path="/composite/", next=3)
    before = firm.statuses(403)  # as Salesforce says it
    firm.post(2, urgency=URGENT)
    for number in (1, 2, 3):
        holds(lambda number=number: firm.statuses(403) == before + number)
        holds(lambda: firm.connection().wake_at is not None)
        assert firm.seen()["state"] == "healthy"
        firm.one.hub.redis.flushall()
        firm.hurry()

    firm.delivered(2)
    assert {row["attempts"] for row in firm.deliveries()} == {1}


def test_complaint_20_a_window_may_be_spent_at_once(one: Installation) -> None:
    """A limit of so many in ten seconds was spread evenly over them; here a burst that fits goes at once."""
    limit = next(each for each in connector("hubspot").limits if each.name == "requests")
    key = AccountKey(new_id("con"), one.home.tenant_id, "hubspot", new_id("acc"), 1.0, {})
    budget = Budget(one.hub, clock=lambda: 1_900_000_123.4)  # no time goes by

    for _ in range(limit.capacity):
        budget.take(key, {"requests": 1}, is_urgent=True)

    with pytest.raises(Throttled):
        budget.take(key, {"requests": 1}, is_urgent=True)


def test_complaint_21_nothing_waits_for_a_tick(one: Installation, firm: Firm) -> None:
    """Messages waited for the next tick though nothing else was to be done.

    While the process that ticks is stopped, an urgent voicemail to an idle account is delivered all the same.
    """
    firm.ready()
    (ticking,) = processes(one, "sweep")
    ticking.send_signal(signal.SIGSTOP)
    try:
        firm.post(1, urgency=URGENT)
        firm.delivered(1)
    finally:
        ticking.send_signal(signal.SIGCONT)
