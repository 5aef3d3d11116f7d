"""Business hours where the clock is changed, and choices spread over days: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from hub.voice.hours import STEP, free_times, spread
from hub.voice.settings import DAYS

NEW_YORK = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)


def offered(hours: dict, start: datetime, days: int = 1, duration: timedelta = HOUR) -> list[str]:
    """Give what is offered, as the wall clock shows it."""
    end = start + timedelta(days=days)
    found = free_times(hours, NEW_YORK, start=start, end=end, duration=duration)
    return [one.astimezone(NEW_YORK).isoformat()[11:] for one in found]


def test_an_hour_that_does_not_exist_is_not_offered() -> None:
    """On the night of the change the clock goes from two to three."""
    night = datetime(2027, 3, 14, tzinfo=NEW_YORK)

    assert offered({"sun": ["01:00-04:00"]}, night) == [
        "01:00:00-05:00",
        "01:30:00-05:00",
        "03:00:00-04:00",
    ]


def test_an_hour_that_comes_twice_is_offered_twice() -> None:
    """An opening over the change back lasts an hour longer."""
    night = datetime(2027, 11, 7, tzinfo=NEW_YORK)

    assert offered({"sun": ["00:30-02:00"]}, night) == [
        "00:30:00-04:00",
        "01:00:00-04:00",
        "01:30:00-04:00",
        "01:00:00-05:00",
    ]


def test_a_day_may_last_until_midnight() -> None:
    """24:00 is its end, and what is asked for in the midst of an opening keeps the grid."""
    evening = datetime(2027, 3, 8, 22, 10, tzinfo=NEW_YORK)

    assert offered({"mon": ["21:00-24:00"]}, evening) == ["22:30:00-05:00", "23:00:00-05:00"]


@given(
    st.integers(0, 4 * 366 * 24 * 60).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.integers(1, 30),
    st.sampled_from([15, 30, 60, 120]),
)
def test_what_is_offered_fits(start: datetime, days: int, minutes: int) -> None:
    """In order, within what was asked for and within the hours, whatever the clock does."""
    hours = {day: ["09:00-12:00", "13:00-17:30"] for day in DAYS[:5]}
    end, duration = start + timedelta(days=days), timedelta(minutes=minutes)

    found = list(free_times(hours, NEW_YORK, start=start, end=end, duration=duration))

    assert found == sorted(set(found))
    for one in found:
        local = one.astimezone(NEW_YORK)
        assert start <= one < end
        assert local.weekday() < 5
        assert local.minute % 30 == 0
        assert local.strftime("%H:%M") >= "09:00"
        assert (local + duration).strftime("%H:%M") <= "17:30"


@given(st.lists(st.integers(0, 400), unique=True, max_size=60), st.integers(1, 6))
def test_spreading_loses_nothing_that_there_is_room_for(steps: list[int], a_day: int) -> None:
    """As many as there are, at most six, in order, and nothing made up."""
    start = datetime(2027, 3, 8, tzinfo=UTC)
    moments = [start + step * STEP for step in sorted(steps)]

    chosen = spread(moments, NEW_YORK, most=6, a_day=a_day)

    assert len(chosen) == min(6, len(moments))
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(moments)
