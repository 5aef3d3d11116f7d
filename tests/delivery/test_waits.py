"""How long one waits: for a fuller batch, after failures, and when a vendor says so."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hub.delivery import backoff, pace
from hub.delivery.budget import LimitOutlook

DAY_S = 86_400.0


def day(granted: int, remaining: int) -> LimitOutlook:
    """Give the outlook of a day's limit."""
    return LimitOutlook(
        name="requests",
        kind="day",
        capacity=granted,
        granted=granted,
        used=granted - remaining,
        remaining=remaining,
        period_s=DAY_S,
        blocked_for_s=0.0,
        source="a test",
    )


def test_with_plenty_left_nothing_waits_longer_than_a_moment() -> None:
    """An idle account sends at once; messages do not wait for a tick."""
    assert pace.wait_s([day(100_000, 100_000)]) == pace.LEAST_S
    assert pace.wait_s([]) == pace.LEAST_S


@given(granted=st.integers(1, 200_000), data=st.data())
def test_the_scarcer_the_calls_the_longer_the_wait(granted: int, data: st.DataObject) -> None:
    """Never shorter with less left, and never past the bound that keeps callers' first touch in time."""
    more = data.draw(st.integers(0, granted))
    less = data.draw(st.integers(0, more))

    waits = [pace.wait_s([day(granted, left)]) for left in (more, less)]

    assert pace.LEAST_S <= waits[0] <= waits[1] <= pace.MOST_S


def test_a_small_budget_lasts_for_the_day() -> None:
    """With three thousand calls a day and most of them spent, calls come no faster than they come free."""
    assert pace.wait_s([day(3_000, 300)]) >= DAY_S / 3_000


def test_the_scarcest_limit_decides() -> None:
    """Of several limits the one with the longest wait."""
    scarce = pace.wait_s([day(1_000, 10)])

    assert pace.wait_s([day(100_000, 100_000), day(1_000, 10)]) == scarce


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
