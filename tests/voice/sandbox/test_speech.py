"""Audio that carries its words."""

from __future__ import annotations

import random

import pytest

from voice.sandbox import speech
from voice.sandbox.speech import Decoder, Ended, Pace, Started, Word


def hear(audio: bytes, *, chunk: int | None = 160, silence_s: float = 0.5):
    """Decode in chunks (None: of random sizes)."""
    decoder, events, rest, chance = Decoder(silence_s), [], audio, random.Random(1)
    while rest:
        size = chunk or chance.randint(1, 700)
        events += decoder.feed(rest[:size])
        rest = rest[size:]
    return events + decoder.finish()


@pytest.mark.parametrize("chunk", [1, 7, 160, 1000, 100_000, None])
@pytest.mark.parametrize(
    "text",
    [
        "My name is Dana Whitfield, 415 555 0132.",
        "こんにちは、水漏れです。",
        "سلام عليكم",
        "Grüß Gott  — ja",
        "สวัสดีครับ",
        "x",
    ],
)
def test_what_is_said_is_heard_whatever_the_chunks(text, chunk):
    """Text, start and end come back exactly."""
    audio = speech.silence(1.25) + speech.encode(text, 3.0) + speech.silence(1)
    events = hear(audio, chunk=chunk)
    assert events[0] == Started(1.25)
    assert events[-1] == Ended(4.25, text)
    words = [event for event in events if isinstance(event, Word)]
    assert "".join(word.text for word in words) == text
    assert words[-1].end_s == pytest.approx(4.25)


def test_the_length_is_exact():
    """So many seconds are so many bytes."""
    assert len(speech.encode("one two three", 1.0)) == 8000
    assert len(speech.encode("", 0.5)) == 4000


def test_a_cut_word_tells_how_much_of_it_was_heard():
    """After a cut in mid-word the share is less than one, and later speech is found again."""
    audio = speech.encode("one two three four", 2.0)[:6000] + speech.silence(1)
    audio += speech.encode("next", 0.5)
    words = [event for event in hear(audio) if isinstance(event, Word)]
    assert [(word.text, word.share) for word in words] == [
        ("one ", 1.0), ("two ", 0.5), ("next", 1.0),
    ]  # fmt: skip
    audio = speech.encode("one two three four", 2.0)[:5000]
    assert hear(audio)[-2:] == [Word("two ", 0.5, 0.625, 0.25), Ended(0.625, "one two")]


def test_a_pause_shorter_than_the_patience_is_not_an_end():
    """Two parts of a number are one utterance for a patient listener and two for a hasty one."""
    audio = speech.encode("415 555", 1) + speech.silence(0.8) + speech.encode("0132", 1)
    patient = [e for e in hear(audio, silence_s=1.0) if isinstance(e, Ended)]
    hasty = [e for e in hear(audio, silence_s=0.5) if isinstance(e, Ended)]
    assert patient == [Ended(2.8, "415 555 0132")]
    assert hasty == [Ended(1.0, "415 555"), Ended(2.8, "0132")]


def test_a_noise_has_no_words():
    """A cough starts and ends without text."""
    events = hear(speech.silence(0.1) + speech.noise(0.3) + speech.silence(1))
    assert events == [Started(0.1), Ended(0.4, "")]


def test_garbage_is_a_noise_and_does_not_hide_the_words_after_it():
    """Random bytes never raise."""
    garbage = random.Random(3).randbytes(3000)
    events = hear(garbage + speech.silence(1) + speech.encode("still here", 1))
    assert events[-1].text == "still here"


def test_a_number_is_read_digit_by_digit():
    """Pace counts digits as words."""
    pace = Pace({"": 2.0})
    assert pace.seconds("call me") == 1.0
    assert pace.seconds("4155550132") == 5.0
    assert Pace().seconds("你好", "zh-CN") == pytest.approx(2 / 4.4)


def test_too_little_time_is_refused():
    """A word that does not fit its seconds is an error, not a wrong word."""
    with pytest.raises(ValueError, match="too short"):
        speech.encode("antidisestablishmentarianism", 0.003)
