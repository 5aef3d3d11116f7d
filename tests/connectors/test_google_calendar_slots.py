"""Google Calendar: free slots, the settings that cut them, and times, without any calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import Rejected
from connectors.google_calendar.drafts import draft
from connectors.google_calendar.naming import event_id
from connectors.google_calendar.preferences import Preferences, preferences
from connectors.google_calendar.slots import Rules, Span, first_free, merged

NEW_YORK = ZoneInfo("America/New_York")
#: A Monday.
MONDAY = datetime(2026, 11, 23, tzinfo=NEW_YORK)
HOUR = timedelta(hours=1)


def _rules(**changed: object) -> Rules:
    usual = {
        "zone": NEW_YORK,
        "openings": Preferences().openings,
        "step": timedelta(minutes=30),
        "buffer": timedelta(0),
    }
    return Rules(**{**usual, **changed})


def _at(hour: int, minute: int = 0, *, day: int = 0) -> datetime:
    local = MONDAY + timedelta(days=day)
    return local.replace(hour=hour, minute=minute).astimezone(UTC)


def _first(rules: Rules, busy: list[Span], start: datetime, end: datetime, minutes: int = 60):
    return first_free(rules, merged(busy), starts=(start, end), duration=timedelta(minutes=minutes))


def test_the_first_slot_starts_with_the_opening_hours():
    """Asked for from midnight on, the slot is the first hour of the working day."""
    assert _first(_rules(), [], _at(0), _at(23)) == (_at(9), _at(10))


def test_a_slot_starts_on_the_grid():
    """Asked for from ten past nine on, the slot starts at half past."""
    assert _first(_rules(), [], _at(9, 10), _at(17))[0] == _at(9, 30)


def test_a_slot_ends_before_closing():
    """Two hours do not fit after three o'clock, so they are taken the next day."""
    found = _first(_rules(), [], _at(15, 30), _at(23, day=1), minutes=120)

    assert found == (_at(9, day=1), _at(11, day=1))


def test_closed_days_have_no_slots():
    """After Friday's closing comes Monday."""
    found = _first(_rules(), [], _at(17, day=4), _at(17, day=9))

    assert found == (_at(9, day=7), _at(10, day=7))


def test_busy_times_are_passed_over_with_the_buffer():
    """Busy until ten past ten, with a quarter of an hour kept free: the next point of the grid is 10:30."""
    rules = _rules(buffer=timedelta(minutes=15))

    assert _first(rules, [(_at(8), _at(10, 10))], _at(9), _at(17))[0] == _at(10, 30)


def test_the_buffer_is_kept_before_what_is_busy_too():
    """An hour from nine touches what starts at ten, so with a buffer it cannot be there."""
    busy = [(_at(10), _at(12))]

    assert _first(_rules(), busy, _at(9), _at(17))[0] == _at(9)
    assert _first(_rules(buffer=HOUR / 4), busy, _at(9), _at(17))[0] == _at(12, 30)


def test_a_slot_starts_within_the_window_and_may_end_after_it():
    """Who asks for three to four wants to start then; two hours may be held, and four is too late."""
    within = (_at(15), _at(15, 59))

    assert _first(_rules(), [], *within, minutes=120) == (_at(15), _at(17))
    assert _first(_rules(), [(_at(15), _at(16))], *within, minutes=60) is None


def test_a_day_without_room_has_no_slot():
    """Gaps that are too short are not taken."""
    busy = [(_at(9, 30), _at(12)), (_at(12, 30), _at(17))]

    assert _first(_rules(), busy, _at(0), _at(23)) is None


def test_opening_hours_follow_the_clock_of_the_house():
    """Nine o'clock is another hour in UTC after the clocks went back; the slot is at nine all the same."""
    sunday = datetime(2026, 11, 1, tzinfo=NEW_YORK)
    rules = _rules(openings=[[(60, 240)]] * 7)

    found = _first(rules, [], sunday.astimezone(UTC), (sunday + 24 * HOUR).astimezone(UTC), 30)

    assert found[0].astimezone(NEW_YORK).hour == 1
    # One to four lasts four hours in that night.
    assert _first(rules, [], sunday.astimezone(UTC), sunday.astimezone(UTC) + 9 * HOUR, 240)


def test_an_hour_that_does_not_exist_opens_nothing():
    """Half past two to three is left out in the night in which clocks go forward."""
    sunday = datetime(2026, 3, 8, tzinfo=NEW_YORK)
    rules = _rules(openings=[[(150, 180)]] * 7)

    found = _first(rules, [], sunday.astimezone(UTC), (sunday + 48 * HOUR).astimezone(UTC), 30)

    assert found is not None
    assert found[1] - found[0] == HOUR / 2


_minutes = st.integers(0, 7 * 24 * 60)


@settings(max_examples=80, deadline=None)
@given(
    busy=st.lists(st.tuples(_minutes, st.integers(1, 600)), max_size=25),
    start=_minutes,
    span=st.integers(0, 5_000),
    duration=st.integers(5, 300),
    step=st.sampled_from([5, 15, 30, 60]),
    buffer=st.integers(0, 45),
)
def test_every_slot_is_free_open_and_in_its_window(  # noqa: PLR0917 - Hypothesis names them
    busy, start, span, duration, step, buffer
):
    """Whatever is busy: a slot that is found overlaps nothing, and one that is not found does not exist."""
    base = MONDAY.astimezone(UTC)
    taken = [
        (base + timedelta(minutes=a), base + timedelta(minutes=a + length)) for a, length in busy
    ]
    window = (base + timedelta(minutes=start), base + timedelta(minutes=start + span))
    rules = _rules(step=timedelta(minutes=step), buffer=timedelta(minutes=buffer))

    def is_good(at: datetime) -> bool:
        end, keep = at + timedelta(minutes=duration), timedelta(minutes=buffer)
        local = at.astimezone(NEW_YORK)
        opens, closes = local.replace(hour=9, minute=0), local.replace(hour=17, minute=0)
        return (
            local.weekday() < 5
            and opens <= local
            and end <= closes
            and window[0] <= at <= window[1]
            and not any(a < end + keep and b > at - keep for a, b in taken)
        )

    found = first_free(rules, merged(taken), starts=window, duration=timedelta(minutes=duration))

    grid = [base + timedelta(minutes=9 * 60 + n * step) for n in range(14 * 24 * 60 // step)]
    assert (found and found[0]) == next((at for at in grid if is_good(at)), None)


# Settings.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("calendar", 7),
        ("time_zone", "Mars/Olympus"),
        ("business_hours", {"monday": "09:00-17:00"}),
        ("business_hours", {"mon": "17:00-09:00"}),
        ("business_hours", {"mon": "9-17"}),
        ("business_hours", {"mon": "09:00-25:00"}),
        ("business_hours", {"sun": []}),
        ("business_hours", "always"),
        ("slot_minutes", 0),
        ("slot_minutes", "30"),
        ("duration_minutes", True),
        ("buffer_minutes", -1),
        ("notice_minutes", 1.5),
        ("search_days", 61),
        ("busy_calendars", [1]),
        ("busy_calendars", [f"c{n}@x.example" for n in range(50)]),
        ("hold_status", "maybe"),
    ],
)
def test_a_wrong_setting_is_named(name, value):
    """What an admin typed wrong is refused with its name, and never taken for something else."""
    with pytest.raises(Rejected) as caught:
        preferences({name: value})

    assert caught.value.field == name
    assert f'"{name}"' in caught.value.detail


def test_settings_are_read():
    """Lists of hours, midnight and a single calendar are understood."""
    read = preferences(
        {
            "business_hours": {"sat": ["14:00-18:00", "09:00 - 12:00"], "sun": "20:00-24:00"},
            "busy_calendars": "room@x.example",
            "time_zone": "Europe/Zurich",
        }
    )

    assert read.openings[5] == ((540, 720), (840, 1080))
    assert read.openings[6] == ((1200, 1440),)
    assert read.openings[0] == ()
    assert read.busy_calendars == ("room@x.example",)
    assert str(read.time_zone) == "Europe/Zurich"


# Times and fields.


def _body(object_name: str = "event", prefs: Preferences | None = None, **fields: object):
    return draft(object_name, fields, prefs or Preferences(), is_new=True).body


@pytest.mark.parametrize(
    ("start", "written"),
    [
        ("2026-11-23T10:00:00-08:00", "2026-11-23T10:00:00-08:00"),
        ("2026-11-23T18:00:00Z", "2026-11-23T18:00:00+00:00"),
        (1_795_456_800_000, "2026-11-23T18:00:00+00:00"),
    ],
)
def test_times_come_in_every_form_that_a_mapping_gives(start, written):
    """With an offset, in UTC, and in milliseconds."""
    body = _body(start=start, duration_minutes=45)

    assert body["start"]["dateTime"] == written
    assert datetime.fromisoformat(body["end"]["dateTime"]) - datetime.fromisoformat(
        written
    ) == timedelta(minutes=45)


def test_a_time_without_a_zone_needs_one():
    """It is refused with what to do, unless the connection says which zone is meant."""
    with pytest.raises(Rejected, match="local_datetime") as caught:
        _body(start="2026-11-23T10:00:00")

    body = _body(prefs=preferences({"time_zone": "Europe/Zurich"}), start="2026-11-23T10:00:00")
    assert caught.value.field == "start"
    assert body["start"]["timeZone"] == "Europe/Zurich"


def test_days_end_with_their_last_day():
    """Google's end is the day after; a person's is the last."""
    body = _body(start="2026-11-23", end="2026-11-24")

    assert (body["start"]["date"], body["end"]["date"]) == ("2026-11-23", "2026-11-25")
    assert _body(start="2026-11-23")["end"]["date"] == "2026-11-24"


@pytest.mark.parametrize(
    ("object_name", "fields", "named"),
    [
        ("event", {}, "start"),
        ("event", {"start": "tomorrow"}, "start"),
        ("event", {"start": "2026-11-23", "end": "2026-11-23T10:00:00Z"}, "end"),
        ("event", {"start": "2026-11-23", "search_until": "2026-11-24"}, "search_until"),
        ("hold", {"end": "2026-11-23"}, "end"),
        ("hold", {"duration_minutes": "an hour"}, "duration_minutes"),
        ("hold", {"duration_minutes": 0}, "duration_minutes"),
        ("hold", {"reminder_minutes": 50_000}, "reminder_minutes"),
        ("hold", {"sendUpdates": "everybody"}, "sendUpdates"),
        ("hold", {"summary": ["a", "b"]}, "summary"),
        ("hold", {"attendees": 7}, "attendees"),
    ],
)
def test_what_cannot_be_read_is_named(object_name, fields, named):
    """A field that makes no sense is refused before anything is sent, with its name."""
    with pytest.raises(Rejected) as caught:
        _body(object_name, **fields)

    assert caught.value.field == named


def test_ids_are_what_google_takes():
    """Letters a to v and digits; different keys give different ids."""
    ids = {event_id(str(number)) for number in range(200)}

    assert len(ids) == 200
    assert all(set(one) <= set("0123456789abcdefghijklmnopqrstuv") for one in ids)
