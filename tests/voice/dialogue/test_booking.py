"""Appointment times: offered, chosen in the caller's words, or none of them."""

from dataclasses import replace

import pytest

from voice.dialogue.types import ToolDone

ZONE = "America/Los_Angeles"
TIMES = ["2026-12-01T10:00:00-08:00", "2026-12-01T14:30:00-08:00", "2026-12-02T09:00:00-08:00"]
START = (
    "Hi, this is Marcus Lee, I'd like to book an appointment for a cleaning",
    "yes",
    "not urgent",
)
CLINIC = {"offers_times": True, "vertical": "healthcare", "timezone": ZONE}


@pytest.fixture
def waiting(call):
    """A caller who wants an appointment, while the calendar is being asked."""
    talking = call(**CLINIC).plays(*START)
    assert talking.asked_tool is not None
    return talking


@pytest.fixture
def offered(waiting):
    """The same caller, after the times were read."""
    return waiting.hears(
        ToolDone("offer_times", {"from_day": ""}, {"times": TIMES, "timezone": ZONE})
    )


def test_the_calendar_is_asked_and_the_caller_told_to_wait(waiting):
    """A moment of silence is explained."""
    assert waiting.lines == ["filler"]
    assert waiting.asked_tool.tool == "offer_times"


def test_the_times_are_read_in_words(offered):
    """At most three, in the tenant's time zone."""
    assert offered.lines == ["offer_times"]
    assert "Tuesday, December 1 at 10:00 AM" in offered.text()
    assert offered.talk.offered == tuple(TIMES)


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("the first one", 0),
        ("The second, please", 1),
        ("the last one works", 2),
        ("Wednesday", 2),
        ("ten o'clock", 0),
        ("two thirty is good", 1),
        ("Tuesday afternoon", 1),
        ("Wednesday at nine", 2),
        ("number two", 1),
        ("2:30", 1),
        ("any of them", 0),
    ],
)
def test_a_time_is_chosen_in_the_callers_words(offered, answer, choice):
    """By place, day, or hour."""
    offered.hears(answer)

    assert offered.slots["when"] == TIMES[choice]
    assert offered.lines[0] == "time_taken"
    assert offered.lines[1] == "anything_else"


@pytest.mark.parametrize(
    ("language", "answer", "choice"),
    [
        ("es-US", "la segunda, por favor", 1),
        ("de-DE", "Mittwoch um neun", 2),
        ("fr-FR", "mercredi", 2),
        ("pl-PL", "w środę", 2),
        ("ru-RU", "в среду", 2),
        ("it-IT", "martedì alle dieci", 0),
        ("nl-NL", "de laatste graag", 2),
    ],
)
def test_a_time_is_chosen_in_other_languages(call, language, answer, choice):
    """With their names of days."""
    talking = call(**CLINIC, languages=(language,)).plays(*START)
    offer = ToolDone("offer_times", {}, {"times": TIMES})
    talking.now = replace(talking.now, talk=replace(talking.talk, language=language))
    talking.plays(offer, answer)

    assert talking.slots["when"] == TIMES[choice]


def test_where_none_suits_the_caller_says_what_would(offered):
    """The wish is kept in their own words."""
    assert offered.hears("none of those work for me").lines == ["ask_when"]
    assert (
        offered.hears("some time next Friday morning").slots["when"]
        == "some time next Friday morning"
    )


def test_an_unclear_choice_is_asked_once_more(offered):
    """And then the wish is asked for in words."""
    assert offered.hears("hm, let me see").lines == ["offer_times"]
    assert offered.hears("I don't know, really").lines == ["ask_when"]


@pytest.mark.parametrize(
    "result", [None, {}, {"times": []}, {"times": ["tomorrow"]}, {"times": "x"}]
)
def test_without_times_the_wish_is_asked_for(waiting, result):
    """A calendar that does not answer keeps nobody from coming."""
    assert waiting.hears(ToolDone("offer_times", {}, result)).lines == ["ask_when"]


def test_a_wish_that_was_told_is_not_asked_for(call):
    """Where no times are offered, the caller's own day is enough."""
    talking = call(vertical="healthcare").plays(
        "This is Marcus Lee, I'd like an appointment on Tuesday morning", "yes", "not urgent"
    )

    assert talking.lines == ["anything_else"]
    assert "Tuesday" in talking.slots["when"]


def test_a_caller_without_wish_for_an_appointment_is_offered_none(call):
    """Times are offered to those who want one."""
    talking = call(**CLINIC).plays(
        "Marcus Lee here, I have a question about my invoice", "yes", "no"
    )

    assert talking.asked_tool is None
