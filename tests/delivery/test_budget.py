"""What an account may cost: never more than granted, whoever asks, and whatever happens to Redis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from connectors.errors import Throttled
from connectors.record import LimitReading
from connectors.registry import connector
from hub.context import Hub, open_hub
from hub.db.base import new_id
from hub.db.connections import CallCount, Connection
from hub.delivery.budget import Budget
from hub.delivery.remote_account import AccountKey
from hub.settings import Settings
from tests.conftest import Company

REQUESTS = next(one for one in connector("hubspot").limits if one.name == "requests")

#: A moment that is no round number in any unit.
START = 1_900_000_123.4
HOUR_S = 3_600.0
DAY_S = 86_400.0


@dataclass
class Clock:
    """A clock that the test moves."""

    at: float = START

    def __call__(self) -> float:
        """Give the seconds since 1970."""
        return self.at


def hubspot(company: Company, **grants: int) -> AccountKey:
    """Give an account with two windows, 110 requests in 10 s and 5 searches in 1 s, all granted to us."""
    name = new_id("acc")
    return AccountKey(new_id("con"), company.tenant_id, "hubspot", name, 1.0, grants)


def salesforce(hub: Hub, company: Company, **grants: int) -> AccountKey:
    """Give an account with a day's limit; its connection is in the database, where days are counted."""
    connection_id = new_id("con")
    with hub.tenant(company.tenant_id) as session:
        session.add(
            Connection(
                id=connection_id,
                connector="salesforce",
                label="Org",
                account_id=new_id("acc"),
                login_url="https://login.salesforce.com",
                budget={"share": 1.0, "grants": grants},
            )
        )
        session.flush()
        found = session.scalars(select(Connection).where(Connection.id == connection_id)).one()
        return AccountKey.of(found, 1.0)


def connection_of(hub: Hub, company: Company, key: AccountKey) -> Connection:
    """Read the connection of an account."""
    with hub.tenant(company.tenant_id) as session:
        return session.scalars(select(Connection).where(Connection.id == key.connection_id)).one()


def taken(budget: Budget, key: AccountKey, *, is_urgent: bool = True, **units: int) -> bool:
    """Tell whether these units could be charged."""
    try:
        budget.take(key, units, is_urgent=is_urgent)
    except Throttled:
        return False
    return True


@given(
    steps=st.lists(
        st.tuples(
            st.floats(0, 15), st.integers(1, 40), st.integers(0, 3), st.booleans(), st.booleans()
        ),
        max_size=40,
    ),
    granted=st.integers(0, 110),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_window_ever_costs_more_than_granted(
    hub: Hub, company: Company, steps: list[tuple[float, int, int, bool, bool]], granted: int
) -> None:
    """For any sequence of questions, dry or not, every span of a limit's period keeps its grant."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    key = hubspot(company, requests=granted)
    charged: list[tuple[float, int]] = []
    for pause_s, requests, searches, is_urgent, is_dry in steps:
        clock.at += pause_s
        units = {"requests": requests, "search": searches}
        if is_dry:
            budget.check(key, units, is_urgent=is_urgent)
        elif taken(budget, key, is_urgent=is_urgent, **units):
            charged.append((clock.at, requests))

    spans = [sum(units for at, units in charged if end - 10 < at <= end) for end, _ in charged]
    assert max(spans, default=0) <= granted


def test_several_limits_are_charged_together_or_not_at_all(hub: Hub, company: Company) -> None:
    """A call that one limit refuses costs nothing of the other."""
    budget = Budget(hub, clock=Clock())
    key = hubspot(company)

    was_taken = taken(budget, key, requests=10, search=6)

    assert not was_taken
    assert taken(budget, key, requests=110)


def test_a_wait_that_was_told_is_long_enough(hub: Hub, company: Company) -> None:
    """Whoever comes back after the seconds that they were told is let through."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    key = hubspot(company)
    budget.take(key, {"requests": 60}, is_urgent=True)
    clock.at += 4
    budget.take(key, {"requests": 50}, is_urgent=True)

    wait_s = budget.check(key, {"requests": 55}, is_urgent=True)
    clock.at += wait_s

    assert 5 < wait_s <= 7.1
    assert taken(budget, key, requests=55)


def test_the_reserve_is_for_urgent_rows(hub: Hub, company: Company) -> None:
    """Ordinary rows leave a tenth, which urgent ones may use."""
    budget = Budget(hub, clock=Clock())
    key = hubspot(company, requests=100)

    ordinary = sum(taken(budget, key, is_urgent=False, requests=1) for _ in range(110))
    urgent = sum(taken(budget, key, is_urgent=True, requests=1) for _ in range(20))

    assert (ordinary, urgent) == (90, 10)


def test_a_share_leaves_the_rest_to_others(hub: Hub, company: Company) -> None:
    """Other programs of the account's owner do not starve: we take no more than the share granted."""
    budget = Budget(hub, clock=Clock())
    key = replace(hubspot(company), share=0.5)

    assert taken(budget, key, requests=55)
    assert not taken(budget, key, requests=1)


def test_a_grant_of_nothing_is_nothing(hub: Hub, company: Company) -> None:
    """A tenant that grants no calls gets none made."""
    budget = Budget(hub, clock=Clock())
    key = hubspot(company, requests=0)

    assert not taken(budget, key, requests=1)


def test_a_batch_that_costs_more_than_ever_granted_is_not_put_off_for_good(
    hub: Hub, company: Company
) -> None:
    """Its calls are charged one by one, so asking beforehand must not wait for what can never be."""
    budget = Budget(hub, clock=Clock())
    key = hubspot(company, requests=2)

    assert budget.check(key, {"requests": 3}, is_urgent=True) == 0


def test_two_connections_to_one_account_share_its_budget(hub: Hub, company: Company) -> None:
    """What one tenant's connection spends, another's to the same account does not have."""
    budget = Budget(hub, clock=Clock())
    key = hubspot(company)
    other = replace(key, connection_id=new_id("con"), tenant_id=new_id("ten"))
    budget.take(key, {"requests": 110}, is_urgent=True)

    assert not taken(budget, other, requests=1)


def test_a_header_corrects_what_we_thought(hub: Hub, company: Company) -> None:
    """When the vendor says that little remains, we spend no more than that."""
    budget = Budget(hub, clock=Clock())
    key = hubspot(company)

    budget.observe(key, [LimitReading("requests", capacity=110, remaining=2)])
    spent = sum(taken(budget, key, requests=1) for _ in range(5))

    assert spent == 2


def test_a_header_that_says_nothing_is_left_stops_us(hub: Hub, company: Company) -> None:
    """Until the vendor's window starts anew, nothing is called."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    key = hubspot(company)

    budget.observe(key, [LimitReading("requests", capacity=110, remaining=0, resets_in_s=7)])
    wait_s = budget.check(key, {"requests": 1}, is_urgent=True)
    clock.at += 11

    assert wait_s == pytest.approx(7, abs=0.01)
    assert taken(budget, key, requests=1)


def test_a_larger_account_may_spend_more(hub: Hub, company: Company) -> None:
    """The capacity that the vendor states replaces the documented one."""
    budget = Budget(hub, clock=Clock())
    key = hubspot(company)

    budget.observe(key, [LimitReading("requests", capacity=190, remaining=190)])

    assert taken(budget, key, requests=190)


def test_a_refusal_stops_slows_and_recovers(hub: Hub, company: Company) -> None:
    """After a 429 nothing is called for the time told, then half as much, and after clean time all again."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    key = hubspot(company)
    budget.throttled(key, 20)

    blocked_s = budget.check(key, {"requests": 1}, is_urgent=True)
    clock.at += 20
    lowered = sum(taken(budget, key, requests=1) for _ in range(120))
    clock.at += 60
    whole = sum(taken(budget, key, requests=1) for _ in range(120))

    assert blocked_s == pytest.approx(20, abs=0.01)
    assert lowered == 77  # half, and a tenth more for each clean window of 10 s
    assert whole == 110


def test_a_refusal_to_one_account_closes_nothing_to_others(hub: Hub, company: Company) -> None:
    """What all accounts of our app share is neither blocked nor slowed by one of them."""
    budget = Budget(hub, clock=Clock())
    one, other = (
        AccountKey(new_id("con"), company.tenant_id, "google_calendar", new_id("acc"), 1.0, {})
        for _ in range(2)
    )
    units = {limit.name: 600 for limit in connector("google_calendar").limits}

    budget.throttled(one, 1_800)

    assert budget.check(one, units, is_urgent=True) == pytest.approx(1_800, abs=1)
    assert budget.check(other, units, is_urgent=True) == 0
    assert taken(budget, other, **units)


def test_an_old_refusal_does_not_deepen_a_new_one(hub: Hub, company: Company) -> None:
    """A rate that has recovered is halved from where it is now, not from where it once was."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    key = hubspot(company)
    for _ in range(3):
        budget.throttled(key, 1)
    clock.at += 150

    budget.throttled(key, 1)
    clock.at += 1.01
    allowed = sum(taken(budget, key, requests=1) for _ in range(110))

    assert allowed == 55


def test_an_answer_to_another_call_does_not_lift_a_block(hub: Hub, company: Company) -> None:
    """The headers of a call that was on its way do not shorten how long the block is remembered."""
    budget = Budget(hub, clock=Clock())
    key = hubspot(company)
    budget.throttled(key, 900)

    budget.observe(key, [LimitReading("requests", capacity=110, remaining=50)])

    assert hub.redis.pttl(key.redis_key(REQUESTS)) > 800_000


def test_a_wiped_redis_rebuilds_the_day(hub: Hub, company: Company) -> None:
    """A day's calls are counted in the database too, and are not granted twice."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    key = salesforce(hub, company, requests=10)
    for _ in range(4):
        assert taken(budget, key, requests=2)
        clock.at += 1.5 * HOUR_S

    hub.redis.flushall()
    spent = sum(taken(budget, key, requests=1) for _ in range(10))

    assert spent == 2


def test_a_rebuilt_day_gives_nothing_back_too_early(hub: Hub, company: Company) -> None:
    """The database counts by the hour; a call made late in an hour is held for its whole day."""
    clock = Clock(at=START - START % HOUR_S + HOUR_S - 60)
    budget = Budget(hub, clock=clock)
    key = salesforce(hub, company, requests=5)
    budget.take(key, {"requests": 5}, is_urgent=True)

    hub.redis.flushall()
    clock.at += DAY_S - HOUR_S / 2

    assert not taken(budget, key, requests=1)


def test_an_account_that_rested_for_a_month_starts_fresh(hub: Hub, company: Company) -> None:
    """What was spent long ago counts for nothing."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    key = salesforce(hub, company, requests=5)
    budget.take(key, {"requests": 5}, is_urgent=True)

    clock.at += 30 * DAY_S

    assert taken(budget, key, requests=5)


def test_calls_are_counted_in_the_database_by_hour(hub: Hub, company: Company) -> None:
    """One row per connection, limit and hour, however many calls."""
    budget = Budget(hub, clock=Clock())
    key = salesforce(hub, company)
    for _ in range(3):
        budget.take(key, {"requests": 2}, is_urgent=True)

    with hub.tenant(company.tenant_id) as session:
        units = session.scalars(select(CallCount.units)).all()

    assert units == [6]


def test_without_redis_nobody_calls(hub: Hub, company: Company) -> None:
    """The account's quota is not ours to risk: without the budget everything waits."""
    settings: Settings = hub.settings.model_copy(
        update={"redis_url": type(hub.settings.redis_url)("redis://127.0.0.1:1/0")}
    )
    blind = open_hub(settings)
    key = hubspot(company)

    with pytest.raises(Throttled) as caught:
        Budget(blind).take(key, {"requests": 1}, is_urgent=True)

    assert caught.value.code == "budget"
    assert caught.value.retry_after_s > 0


def test_the_outlook_says_what_is_granted_used_and_left(hub: Hub, company: Company) -> None:
    """A person sees each limit of the account, with its source."""
    key = salesforce(hub, company, requests=100)
    budget = Budget(hub)
    budget.take(key, {"requests": 30}, is_urgent=True)
    with hub.tenant(company.tenant_id) as session:
        connection = session.scalars(
            select(Connection).where(Connection.id == key.connection_id)
        ).one()

    shown = {one.name: one for one in budget.outlook(connection)}

    day = shown["requests"]
    assert (day.granted, day.used, day.remaining) == (100, 30, 70)
    assert set(shown) == {limit.name for limit in connector("salesforce").limits}
    assert day.source


def test_a_day_that_is_kept_to_its_affordable_rate_is_never_refused(
    hub: Hub, company: Company
) -> None:
    """Whoever spends no faster than the outlook says finds a call at any moment of two days."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    key = salesforce(hub, company, requests=96)
    connection = connection_of(hub, company, key)
    refused = 0
    for _ in range(30):
        refused += not taken(budget, key, requests=1)
        clock.at += 60
    while clock.at < START + 2 * DAY_S:
        found = next(one for one in budget.outlook(connection) if one.kind == "day")
        assert found.affordable_per_s
        clock.at += 1 / found.affordable_per_s + 1
        refused += not taken(budget, key, requests=1)

    assert refused == 0


def test_places_among_simultaneous_calls_are_given_back(hub: Hub, company: Company) -> None:
    """No more calls at a time than granted; a place is free again when left, or when its time is over."""
    clock = Clock()
    budget = Budget(hub, clock=clock)
    limit = next(one for one in connector("twilio_sms").limits if one.kind == "concurrency")
    key = AccountKey(
        new_id("con"), company.tenant_id, "twilio_sms", new_id("acc"), 1.0, {limit.name: 2}
    )
    first = budget.take(key, {limit.name: 1}, is_urgent=True)
    budget.take(key, {limit.name: 1}, is_urgent=True)
    was_full = not taken(budget, key, **{limit.name: 1})

    budget.leave(first)
    after_leaving = taken(budget, key, **{limit.name: 1})
    clock.at += limit.period_s + 1
    after_its_time = taken(budget, key, **{limit.name: 2})

    assert (was_full, after_leaving, after_its_time) == (True, True, True)
