"""Whose turn it is: generations, what was heard, backchannels, patience, duplicates."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice import turns
from voice.dialogue.types import Patience, Say, Stage, Talk
from voice.turns import Floor, Prompts, heard_until

TALK = Talk(near="+14155550132", caller_id="+14155550132")


def test_what_comes_late_of_an_interrupted_answer_is_dropped():
    """Text and audio of a cancelled generation go nowhere."""
    floor = Floor()
    first = floor.begin()

    assert floor.send(first, "One moment, ", 0.0)

    floor.interrupt_at_text("One")

    assert not floor.send(first, "please.", 0.1)
    assert not floor.play(first, 20.0, "m1")

    second = floor.begin()

    assert second == first + 1
    assert not floor.send(first, "please.", 0.2)
    assert floor.send(second, "Yes?", 0.2)


def test_a_new_answer_supersedes_the_one_before():
    """Without an interruption too."""
    floor = Floor()
    first = floor.begin()
    floor.begin()

    assert not floor.is_current(first)


def test_generations_go_on_where_another_process_left_off():
    """So that a late message of the dead process cannot be taken for a new one."""
    assert Floor(7).begin() == 8


@pytest.mark.parametrize(
    ("sent", "until", "heard"),
    [
        (
            ["Hello, this is ", "Harbor ", "Plumbing. Tell me."],
            "Hello, this is Harbor",
            "Hello, this is Harbor",
        ),
        (["Hello, this is Harbor."], "hello this is", "Hello, this is"),
        (
            ["We open at 9 on Mondays, and ", "close at 5."],
            "We open at nine on Mondays",
            "We open at 9 on Mondays",
        ),
        (["I have 4 1 5, 5 5 5. Right?"], "415", "I have 4 1 5"),
        (
            ["Guten Tag, hier ist Müller."],
            "Guten Tag hier ist Muller",
            "Guten Tag, hier ist Müller",
        ),
        (["您好，这里是阳光牙科。请问您的姓名？"], "您好这里是阳光牙科", "您好，这里是阳光牙科"),
        (["All right."], "", ""),
        (["Something quite different here"], "xyzzy plugh", "Something"),
    ],
)
def test_the_history_keeps_what_was_heard(sent, until, heard):
    """Across several tokens, and although the line normalises what it speaks."""
    floor = Floor()
    generation = floor.begin()
    for token in sent:
        floor.send(generation, token, 0.0)
    cut = floor.interrupt_at_text(until)

    assert cut.heard == heard
    assert (cut.heard + cut.rest).replace(" ", "") == "".join(sent).replace(" ", "")


def test_the_rest_of_the_sentence_can_be_said_after_a_false_interruption():
    """It begins at a word."""
    floor = Floor()
    floor.send(floor.begin(), "Is the number you are calling from the best one?", 0.0)

    assert floor.interrupt_at_text("Is the number you").rest == "are calling from the best one?"


def test_audio_is_cut_by_the_milliseconds_played():
    """To the word that had begun."""
    floor = Floor()
    generation = floor.begin()
    floor.play(generation, 4000.0, "m1")
    floor.caption(generation, "Is the number you are calling from the best one?")
    cut = floor.interrupt_at_ms(2000.0)

    assert cut.heard == "Is the number you are"
    assert floor.interrupt_at_ms(0.0).heard == ""


def test_the_agent_speaks_until_the_last_mark_is_echoed():
    """That all audio was sent long ago proves nothing."""
    floor = Floor()
    generation = floor.begin()
    floor.play(generation, 8000.0, "m1")
    floor.finish(generation)

    assert floor.is_speaking(1.0)

    floor.echoed("m1")

    assert not floor.is_speaking(1.0)


def test_the_agent_speaks_as_long_as_the_text_takes():
    """Where there are no marks."""
    floor = Floor()
    floor.send(floor.begin(), "x" * 140, 100.0)

    assert floor.is_speaking(105.0)
    assert not floor.is_speaking(111.0)


def test_the_line_is_believed_where_it_tells():
    """ConversationRelay's speaker events know better than an estimate."""
    floor = Floor()
    floor.send(floor.begin(), "x" * 140, 100.0)
    floor.told(is_speaking=False)

    assert not floor.is_speaking(101.0)


def test_nobody_speaks_after_an_interruption():
    """Nor do marks count that come back flushed."""
    floor = Floor()
    floor.play(floor.begin(), 8000.0, "m1")
    floor.interrupt_at_ms(10.0)

    assert not floor.is_speaking(0.1)


def test_an_estimate_cuts_where_nothing_else_is_known():
    """By the time that has passed."""
    floor = Floor()
    floor.send(floor.begin(), "one two three four five six seven", 0.0)
    half = turns.speaking_s("one two three four five six seven") / 2

    assert floor.interrupt(half).heard == "one two three"


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_words_give_a_place_in_the_text(sent, until):
    """Whatever a line sends."""
    assert 0 <= heard_until(sent, until) <= len(sent)


def test_a_sign_of_listening_changes_nothing_while_the_agent_speaks():
    """But it is an answer when one is expected, or when the agent is silent."""
    asked = replace(TALK, stage=Stage.CONFIRM_NUMBER)

    assert turns.is_ignored(replace(TALK, stage=Stage.REASON), "uh-huh", is_speaking=True)
    assert not turns.is_ignored(replace(TALK, stage=Stage.REASON), "uh-huh", is_speaking=False)
    assert not turns.is_ignored(asked, "yeah", is_speaking=True)
    assert not turns.is_ignored(replace(TALK, stage=Stage.REASON), "no, wait", is_speaking=True)


def test_the_offered_caller_id_expects_an_answer():
    """A yes to it counts while it is still being said."""
    offered = replace(TALK, stage=Stage.NUMBER, last=(Say("offer_caller_id"),))

    assert turns.expects_answer(offered)
    assert not turns.expects_answer(replace(offered, last=(Say("ask_number"),)))


@pytest.mark.parametrize(
    ("text", "waited", "is_false"),
    [
        (None, 0.5, False),
        (None, 2.0, True),
        ("", 2.5, True),
        ("mhm", 0.3, True),
        ("wait a moment", 0.3, False),
    ],
)
def test_a_cough_is_no_interruption(text, waited, is_false):
    """Noise without words for two seconds, or a murmur."""
    assert turns.is_false_interruption(TALK, text, waited) is is_false


@pytest.mark.parametrize(
    ("talk", "text", "patience"),
    [
        (TALK, "I need a plumber", Patience.NORMAL),
        (TALK, "my number is four one", Patience.DIGITS),
        (TALK, "four one five five five", Patience.DIGITS),
        (replace(TALK, stage=Stage.NUMBER, last=(Say("ask_number"),)), "", Patience.DIGITS),
        (replace(TALK, stage=Stage.NUMBER, last=(Say("offer_caller_id"),)), "", Patience.NORMAL),
        (replace(TALK, digits="415"), "", Patience.DIGITS),
    ],
)
def test_there_is_more_patience_while_digits_are_dictated(talk, text, patience):
    """A number is expected, or has begun."""
    assert turns.patience(talk, text) is patience


def test_a_turn_that_stops_in_a_number_is_kept_open():
    """And what comes next is joined to it."""
    assert turns.hold_s(TALK, "my number is four one five") > 1
    assert turns.hold_s(TALK, "my number is 415 555 0133") == 0
    assert turns.hold_s(replace(TALK, digits="415 555"), "01") > 1
    assert (
        turns.join("It's four one five.", "five five five") == "It's four one five, five five five"
    )
    assert turns.join("", "yes") == "yes"


def test_the_same_prompt_twice_is_one():
    """A line that delivers again is not a caller who repeats."""
    prompts = Prompts()

    assert prompts.is_new("Hello?", 1.0)
    assert not prompts.is_new("hello", 1.1)
    assert prompts.is_new("hello", 3.0)
    assert prompts.is_new("Hi", 3.1)
