"""The one line for triage, sentiment, lead score and the requested appointment."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.event import Bucket, Caller, Name
from voice.analyse import signals
from voice.analyse.appointment import appointment
from voice.analyse.lead_score import lead_score
from voice.analyse.name import introduction
from voice.analyse.sentiment import sentiment
from voice.analyse.summary import summarise

SUNDAY = datetime(2026, 11, 22, 15, tzinfo=UTC)


def line(text, language="en"):
    """Give the one-line summary."""
    who = introduction(text, language)
    return summarise(text, who=who, signals=signals.find(text, language), language=language).line


def test_the_line_names_the_caller_and_the_trouble():
    """Greeting, self-introduction and number are left out; what is wrong stays, after the name."""
    text = (
        "Hi, this is Dana Whitfield. Water is pouring through my kitchen ceiling and I need a plumber today. "
        "Please call me back at four one five, five five five, oh one three two. Thank you."
    )

    assert line(text) == (
        "Dana Whitfield: Water is pouring through my kitchen ceiling and I need a plumber today"
    )


def test_the_line_stays_in_the_caller_s_language():
    """A French message gives a French line."""
    text = "Bonjour, je m'appelle Yanis. Je voudrais un devis pour repeindre deux chambres. Merci."

    assert line(text, "fr") == "Yanis: Je voudrais un devis pour repeindre deux chambres"


def test_nothing_said_gives_no_line():
    """An empty message has no summary."""
    assert line("") is None


@given(st.text(max_size=600), st.sampled_from(["en", "zh", "ar", None]))
@settings(max_examples=100, deadline=None)
def test_a_line_is_never_longer_than_140(text, language):
    """Whatever was said fits on the line."""
    assert len(line(text, language) or "") <= 140


@pytest.mark.parametrize(
    ("text", "bucket", "expected"),
    [
        ("This is unacceptable, I'm furious", Bucket.BILLING, "negative"),
        ("Thank you so much, you did a wonderful job", Bucket.OTHER, "positive"),
        ("I'd like to know your opening hours", Bucket.NEW_LEAD, "neutral"),
        ("You owe money, unacceptable", Bucket.SPAM, "neutral"),
    ],
)
def test_sentiment_follows_the_words(text, bucket, expected):
    """Anger is negative, praise positive, spam has no feelings."""
    assert sentiment(text, signals.find(text, "en"), bucket) == expected


def score(text, bucket, number=None, caller=None):
    """Give the lead score."""
    heard = signals.find(text, "en")
    return lead_score(text, bucket=bucket, signals=heard, caller=caller or Caller(), number=number)


def test_a_ready_buyer_scores_above_a_vague_one():
    """Intent, size, timeframe and contact raise the score; spam has none."""
    caller = Caller(name=Name(full="Dana"), company="Whitfield")
    ready = score(
        "We need a quote for forty units, this week", Bucket.NEW_LEAD, "+14155550132", caller
    )
    vague = score("Hello, I was thinking about something", Bucket.NEW_LEAD)

    assert ready == 100
    assert vague == 45
    assert score("We need a quote for forty units", Bucket.SPAM, "+14155550132", caller) == 0


def window(text, language="en", timezone="America/New_York", bucket=Bucket.APPOINTMENT):
    """Give the requested window as ISO texts, or None."""
    found = appointment(
        text, bucket=bucket, language=language, received_at=SUNDAY, timezone=timezone
    ).window
    return found.start and (found.start.isoformat(), found.end.isoformat())


@pytest.mark.parametrize(
    ("language", "text", "start"),
    [
        ("en", "Can I book a color for Friday at 3 pm", "2026-11-27T20:00:00+00:00"),
        ("en", "tomorrow afternoon would be good for my appointment", "2026-11-23T17:00:00+00:00"),
        ("en", "move my appointment from Tuesday to Thursday morning", "2026-11-26T13:00:00+00:00"),
        ("de", "Ich möchte einen Termin am Mittwoch um 15 Uhr", "2026-11-25T20:00:00+00:00"),
        ("fr", "un rendez-vous demain à 14h30", "2026-11-23T19:30:00+00:00"),
        ("es", "quiero una cita el jueves por la tarde", "2026-11-26T17:00:00+00:00"),
    ],
)
def test_a_day_and_time_become_a_window_in_the_tenant_s_zone(language, text, start):
    """Days count from the call, times are the tenant's."""
    assert window(text, language)[0] == start


@pytest.mark.parametrize(
    "text",
    [
        "Tuesday or Thursday would work for the appointment",
        "any day next week except Monday for the appointment",
        "I have to cancel my appointment on Friday",
        "book me the week beginning the ninth",
    ],
)
def test_an_open_or_cancelled_day_gives_no_window(text):
    """Where the day is not certain, nothing is said of it."""
    assert window(text) is None


def test_an_unknown_zone_counts_as_utc():
    """A wrong zone name does not lose the voicemail."""
    assert window("appointment tomorrow at 3 pm", timezone="Nowhere/At_All")[0] == (
        "2026-11-23T15:00:00+00:00"
    )
