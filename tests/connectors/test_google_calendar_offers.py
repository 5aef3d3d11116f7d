"""Google Calendar: free times for a caller to choose from, by the rules that holds are placed by."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import running

from connectors.errors import Rejected
from connectors.google_calendar.connector import GoogleCalendar
from connectors.interface import OffersTimes
from connectors.record import Account, Write

GOOGLE = GoogleCalendar()
MONDAY = datetime(2030, 3, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Sandbox]:
    with running.sandbox("google_calendar", tmp_path_factory.mktemp("google")) as box:
        yield box


@pytest.fixture(name="account")
def _account(box: running.Sandbox) -> Account:
    """A connected account that is open on Mondays from nine to five, in UTC."""
    account = running.account(box, GOOGLE, running.authorise(box, GOOGLE.oauth))
    hours = {"mon": ["09:00-12:00", "13:00-17:00"]}
    return replace(account, settings={"business_hours": hours, "time_zone": "UTC"})


def times(account: Account, start: datetime, end: datetime, minutes: int = 60, most: int = 50):
    """Give when one could begin, as hours of the clock."""
    found = GOOGLE.free_times(account, start, end, minutes, most)
    return [one.strftime("%H:%M") for one in found]


def test_it_is_one_of_those_that_can() -> None:
    """The hub asks by what a connector can, not by its name."""
    assert isinstance(GOOGLE, OffersTimes)


def test_times_are_free_in_order_and_do_not_overlap(account: Account) -> None:
    """A whole day, then what is left of it after somebody booked, with the buffer that is kept."""
    day = (MONDAY, MONDAY + 24 * HOUR)
    whole = times(account, *day)
    booked = {"start": (MONDAY + 10 * HOUR).isoformat(), "end": (MONDAY + 11 * HOUR).isoformat()}
    GOOGLE.write(account, [Write(uuid.uuid4().hex, "event", {"summary": "Dentist", **booked})])
    buffered = replace(account, settings={**account.settings, "buffer_minutes": 30})

    assert whole == ["09:00", "10:00", "11:00", "13:00", "14:00", "15:00", "16:00"]
    assert times(account, *day) == ["09:00", "11:00", "13:00", "14:00", "15:00", "16:00"]
    assert times(buffered, *day, minutes=30)[:3] == ["09:00", "11:30", "13:00"]
    assert times(account, *day, most=2) == ["09:00", "11:00"]


def test_asking_costs_one_call_and_takes_nothing(account: Account) -> None:
    """However many times are found: the calendar and its busy times, in one batch."""
    spent: list[dict[str, int]] = []
    counting = replace(account, spend=lambda **units: spent.append(units))
    day = MONDAY + timedelta(days=7)

    first, second = (times(counting, day, day + 24 * HOUR, minutes=15) for _ in range(2))

    assert first == second
    assert [units["user_minute"] for units in spent] == [2, 2]


def test_a_time_that_is_over_has_nothing_to_offer(account: Account) -> None:
    """Nor has one that is too near; neither is an error."""
    now = datetime.now(UTC)

    assert times(account, now - 48 * HOUR, now - 24 * HOUR) == []
    assert times(account, now, now + timedelta(minutes=10)) == []


def test_a_wrong_setting_is_named(account: Account) -> None:
    """As for a hold."""
    wrong = replace(account, settings={"slot_minutes": 0})

    with pytest.raises(Rejected, match="slot_minutes"):
        GOOGLE.free_times(wrong, MONDAY, MONDAY + 24 * HOUR, 30, 6)


def test_a_calendar_that_is_not_there_is_an_error(account: Account) -> None:
    """It is not free all day because nothing is known of it."""
    other = replace(account, settings={**account.settings, "calendar": "nobody@harbor.example"})

    with pytest.raises(Rejected, match="no calendar"):
        GOOGLE.free_times(other, MONDAY, MONDAY + 24 * HOUR, 30, 6)
