"""What a call is about is read from the turns that say it, not from those that only answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mappings.event import Call, Segment, Speaker
from voice.analyse import analysis, signals, substance
from voice.analyse.name import introduction
from voice.analyse.phone import wanted

_URGENT = "Is this urgent?"
_OFFER = "Is the number you are calling from the best one to reach you?"


def _talk(*said: str) -> tuple[Segment, ...]:
    who = (Speaker.AGENT, Speaker.CALLER)
    return tuple(
        Segment(speaker=who[at % 2], start_s=float(at), end_s=float(at), text=text)
        for at, text in enumerate(said)
    )


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("Yes, that is the best number.", _OFFER),
        ("No, please use another one.", _OFFER),
        ("It is six two eight, five five five, zero one nine nine.", ""),
        ("No, it is 415 555 0164.", "I have 4 1 5, 5 5 5, 0 1 4 6. Is that right?"),
        ("It would be nice to have it sorted out this week.", _URGENT),
        ("No, there is no hurry.", _URGENT),
        ("No, that is all, please hurry.", ""),
        ("My name is Marcus Bell.", ""),
        ("Sorry, could you say that again?", ""),
    ],
)
def test_answers_are_of_no_substance(said: str, asked: str) -> None:
    """Yes, no, numbers, names, how pressing it is, and goodbye do not say what a call is about."""
    assert substance.is_answer(said, "en-US", asked=asked)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("ja", "いいえ、急ぎではありません。"),
        ("de", "Nein, es eilt nicht."),
        ("es", "No, no es urgente."),
        ("pl", "Nie, to nie jest pilne."),
        ("ar", "نعم."),
        ("fr", "Je m'appelle Luc Tremblay."),
        ("it", "No, grazie, arrivederci."),
    ],
)
def test_answers_are_known_in_other_languages(language: str, said: str) -> None:
    """The same holds in the languages that have lines."""
    assert substance.is_answer(said, language)


@pytest.mark.parametrize(
    "said",
    [
        "Yes, my basement is flooding.",
        "Yes, also the door squeaks.",
        "The printer does not print.",
        "My order number is 33421 and it has not arrived.",
        "No, this is fine, I need a quote for a roof.",
    ],
)
def test_what_adds_something_is_kept(said: str) -> None:
    """A turn that begins with yes or no may still say what matters."""
    assert not substance.is_answer(said, "en-US", asked="Is there anything else you'd like to add?")


def test_a_summary_is_not_the_last_word() -> None:
    """The summary and the bucket are of the reason, the number and the urgency of the whole call."""
    found = analysis.analyse(
        _talk(
            "Hello, this is Beacon IT.",
            "This is Dana Whitfield, I would like a quote for a new kitchen tap.",
            _OFFER,
            "No, use 415 555 0146.",
            _URGENT,
            "No, there is no hurry.",
            "Is there anything else you'd like to add?",
            "No, that's all, thank you.",
        ),
        call=Call.model_validate({"id": "1", "from": "+14155550132"}),
        received_at=datetime(2026, 12, 1, tzinfo=UTC),
        caller_id="+14155550132",
    )
    assert found.summary == "Dana Whitfield: I would like a quote for a new kitchen tap"
    assert found.bucket == "new_lead"
    assert found.callback.number == "+14155550146"
    assert found.urgency.level in {"low", "normal"}
    assert len(found.transcript.segments) == 8


def test_a_call_of_answers_alone_keeps_them() -> None:
    """Where nothing is of substance, everything counts."""
    said = _talk("Is this urgent?", "No.", "Anything else?", "No, goodbye.")
    assert substance.of(said, "en") == "No. No, goodbye."


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Hello, this is Mia Lindqvist, do you do bridal make-up?", "Mia Lindqvist"),
        ("Hi, this is Ben Carter from Northgate.", "Ben Carter"),
        ("I'm Will, I am calling about the fence.", "Will"),
        ("It's June already and nobody has come.", None),
    ],
)
def test_names_that_are_words_too(said: str, name: str | None) -> None:
    """Mia, Ben, Will and June are names where they are written and stand like names."""
    assert introduction(said, "en").full == name


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("I have a question about my last invoice, call me at 415 555 0146.", "+14155550146"),
        ("A question about my invoice please call me at 415 555 0146.", "+14155550146"),
        ("I ask about invoice number 415 555 0146.", "+14155550132"),
        ("My order number is 4155550146.", "+14155550132"),
    ],
)
def test_a_code_word_counts_for_its_own_number(said: str, number: str) -> None:
    """An invoice that was spoken of does not take the telephone number that follows."""
    assert wanted(said, language="en-US", caller_id="+14155550132") == number


def test_a_fire_is_heard_in_french() -> None:
    """There is a fire in the kitchen; traffic lights and friteries are none."""
    kinds = {one.kind for one in signals.find("Au secours, il y a le feu dans ma cuisine !", "fr")}
    assert "hazard" in kinds
    assert not signals.find("Le feu rouge au coin est cassé", "fr")
