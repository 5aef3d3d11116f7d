"""How long one waits: for a fuller batch, after failures, and when a vendor says so."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from connectors.registry import connector
from hub.delivery import backoff, pace
from hub.delivery.outlook import LimitOutlook

DAY_S = 86_400.0


LIMIT = {"requests": 1}
MOST_S = pace.most_s({})


def day(affordable_per_s: float, recent_per_s: float) -> LimitOutlook:
    """Give the outlook of a day's limit, by what it can afford and what is being spent."""
    return LimitOutlook(
        name="requests",
        kind="day",
        capacity=3_000,
        granted=3_000,
        used=0,
        remaining=3_000,
        period_s=DAY_S,
        blocked_for_s=0.0,
        source="a test",
        affordable_per_s=affordable_per_s,
        recent_per_s=recent_per_s,
    )


def test_at_ease_nothing_waits_longer_than_a_moment() -> None:
    """An account that spends a fifth of what it can afford sends at once, however small its day."""
    for affordable in (0.01, 1.0):
        found = pace.pace([day(affordable, affordable / 5)], units=LIMIT, most=MOST_S)

        assert found == pace.Pace(pace.LEAST_S, 0.0)
    assert pace.pace([], units=LIMIT, most=MOST_S) == pace.Pace()


@given(affordable=st.floats(1e-6, 10), spent=st.floats(0, 5), more=st.floats(0, 5))
def test_the_more_is_spent_the_longer_the_wait(
    affordable: float, spent: float, more: float
) -> None:
    """Waits never shrink as spending grows, end somewhere, and an urgent row never waits longer than others."""
    less, after = (
        pace.pace([day(affordable, affordable * part)], units=LIMIT, most=MOST_S)
        for part in (spent, spent + more)
    )

    assert less.ordinary_s <= after.ordinary_s <= pace.MOST_STRETCHED_S
    assert less.urgent_s <= after.urgent_s <= after.ordinary_s


def test_the_tenants_target_bounds_the_wait() -> None:
    """Two thirds of the time to the first touch, while the account can afford it; seconds for urgent rows."""
    strained = [day(0.03, 0.045)]

    assert pace.pace(strained, units=LIMIT, most=pace.most_s({})).ordinary_s == 200
    assert (
        pace.pace(strained, units=LIMIT, most=pace.most_s({"first_touch_s": 150})).ordinary_s == 100
    )
    assert pace.pace(strained, units=LIMIT, most=MOST_S).urgent_s == pace.MOST_URGENT_S


def test_more_than_the_account_can_afford_stretches_every_wait() -> None:
    """At five times the affordable rate rows are late by minutes, rather than those of the evening by a night."""
    found = pace.pace([day(0.01, 0.05)], units=LIMIT, most=MOST_S)

    assert found == pace.Pace(2 * MOST_S, 4 * pace.MOST_URGENT_S)
    assert pace.pace([day(0.0, 0.04)], units=LIMIT, most=MOST_S).ordinary_s == pace.MOST_STRETCHED_S


def test_the_scarcest_limit_decides() -> None:
    """Of several limits the one with the longest wait; a limit that the batch does not cost says nothing."""
    scarce = pace.pace([day(0.01, 1)], units=LIMIT, most=MOST_S)

    assert pace.pace([day(5, 1), day(0.01, 1)], units=LIMIT, most=MOST_S) == scarce
    assert pace.pace([day(0.01, 1)], units={"search": 1}, most=MOST_S) == pace.Pace()


def test_a_vendor_without_batches_keeps_nobody_waiting() -> None:
    """Where every record costs its own call, company saves nothing."""
    assert pace.saves_calls(connector("salesforce"), "Lead")
    assert not pace.saves_calls(connector("pipedrive"), "Person")
    assert not pace.saves_calls(connector("twilio_sms"), "message")


@given(failures=st.integers(1, 100_000))
def test_waits_grow_to_an_hour_and_spread(failures: int) -> None:
    """Doubling from two seconds, half of it random, so that not all come back in the same moment."""
    longest = min(2.0 * 2.0 ** min(failures - 1, 20), 3_600.0)

    found = {backoff.delay_s(failures) for _ in range(20)}

    assert all(longest / 2 <= wait <= longest for wait in found)
    assert len(found) > 1


@given(told=st.floats(allow_nan=True, allow_infinity=True))
def test_whatever_a_vendor_says_is_a_wait_within_a_day(told: float) -> None:
    """A header that makes no sense neither breaks a drain nor keeps it away for ever."""
    found = backoff.told_s(told)

    assert 0 <= found <= DAY_S
    assert not math.isnan(found)
