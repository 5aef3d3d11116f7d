"""The number to call back: offered, dictated, corrected, keyed, refused."""

import pytest

from voice.dialogue.number import is_cut_short
from voice.dialogue.types import Listen, Patience, Pressed, Silent

START = ("Hi, this is Dana Whitfield, I need a quote for a new bathroom", "no")


@pytest.fixture
def asked(call):
    """A call in which the number has been asked for."""
    talking = call().plays(*START)
    assert talking.lines == ["ask_number"]
    return talking


def test_the_callers_own_number_is_offered(call):
    """A yes is enough: it needs no read-back."""
    talking = call().plays(START[0], "yes it is")

    assert talking.slots["number"] == "+14155550132"
    assert talking.talk.is_number_confirmed
    assert "confirm_number" not in talking.all_lines()


@pytest.mark.parametrize(
    "text",
    [
        "the number I'm calling from",
        "never mind, the number you have",
        "this number is fine",
        "just use this number",
    ],
)
def test_callers_may_point_at_the_number_they_call_from(call, text):
    """Instead of a yes, or instead of digits."""
    assert call().plays(START[0], text).slots["number"] == "+14155550132"
    assert call().plays(*START, text).slots["number"] == "+14155550132"


def test_digits_are_read_back(asked):
    """Every dictated number is confirmed."""
    asked.hears("four one five five five five oh one three three")

    assert asked.lines == ["confirm_number"]
    assert asked.talk.pending == "+14155550133"
    assert not asked.talk.is_number_confirmed
    assert asked.hears("that's right").talk.is_number_confirmed


def test_a_number_may_come_in_pieces(asked):
    """Nothing is said between the pieces, and there is more patience."""
    for piece in ("four one five", "five five five", "oh one"):
        asked.hears(piece)

        assert asked.says == []
        assert asked.acts == (Listen(Patience.DIGITS, 4.0),)

    assert asked.hears("three three").slots["number"] == "+14155550133"


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("no, 0134", "+14155550134"),
        ("no, it's oh one three four", "+14155550134"),
        ("no, the last four are 0134", "+14155550134"),
        ("no, 415 555 0134", "+14155550134"),
        ("no, six two eight, five five five, oh one nine nine", "+16285550199"),
        ("0134", "+14155550134"),
    ],
)
def test_a_correction_replaces_what_it_corrects(asked, answer, number):
    """And the new digits are read back in turn."""
    asked.plays("415 555 0133", answer)

    assert asked.lines == ["confirm_number"]
    assert asked.slots["number"] == number


@pytest.mark.parametrize("answer", ["yes, 0133", "415 555 0133, yes", "0133, that's right"])
def test_repeated_digits_confirm(asked, answer):
    """Who says the same digits again agrees."""
    assert asked.plays("415 555 0133", answer).talk.is_number_confirmed


def test_a_wrong_number_is_asked_again_twice_and_then_the_own_one_is_kept(asked):
    """Nobody dictates a number for ever."""
    asked.plays("415 555 0133", "no")

    assert asked.lines == ["number_wrong"]
    assert "number" not in asked.slots
    assert asked.plays("415 555 0134", "no").lines == ["number_wrong"]

    asked.plays("415 555 0135", "no")

    assert asked.lines == ["ask_urgency"]
    assert asked.slots["number"] == "+14155550132"


def test_without_caller_id_a_refused_number_is_left_out(call):
    """A withheld number is not offered, and a refusal is accepted."""
    talking = call(caller_id=None).plays(START[0])

    assert talking.lines == ["ask_number"]
    assert talking.hears("no, I'd rather not").lines == ["ask_urgency"]
    assert "number" not in talking.slots


def test_digits_may_be_keyed(asked):
    """Key by key; nothing is said until the number is whole."""
    for key in "415555013":
        assert asked.hears(Pressed(key)).says == []

    assert asked.hears(Pressed("3")).talk.pending == "+14155550133"


def test_a_star_begins_the_keyed_number_anew(asked):
    """For fingers that slipped."""
    asked.hears(Pressed("999*4155550133"))

    assert asked.talk.pending == "+14155550133"


def test_a_number_that_stays_short_is_asked_again(asked):
    """Half a number is none."""
    asked.plays("415 555 01", Silent())

    assert asked.lines == ["number_wrong"]
    assert "number" not in asked.slots


def test_a_local_number_gets_the_callers_area(asked):
    """Seven digits are enough for neighbours, once no more come."""
    asked.plays("555 0133", Silent())

    assert asked.talk.pending == "+14155550133"


def test_a_number_is_read_with_the_tenants_country_where_the_callers_is_withheld(call):
    """Digits without country are the tenant's neighbours'."""
    talking = call(caller_id=None, number="+442079460100", languages=("en-GB",))
    talking.plays(START[0], "oh two oh, seven nine four six, oh nine five eight")

    assert talking.slots["number"] == "+442079460958"


def test_a_doubtful_answer_has_the_digits_read_once_more(asked):
    """After that they stay, unconfirmed."""
    asked.plays("415 555 0133", "hmm let me think")

    assert asked.lines == ["confirm_number"]
    assert asked.hears("hmm I wonder").lines == ["ask_urgency"]
    assert asked.slots["number"] == "+14155550133"
    assert not asked.talk.is_number_confirmed


@pytest.mark.parametrize(
    ("text", "is_cut"),
    [
        ("my number is four one five", True),
        ("four one five five five five", True),
        ("you can reach me at, my number is", True),
        ("four one five five five five oh one three three", False),
        ("my son is three", False),
        ("there were 3 of us in 204 yesterday", False),
        ("", False),
    ],
)
def test_a_number_in_the_making_is_recognised(text, is_cut):
    """Who has begun to dictate needs more patience."""
    assert is_cut_short(text, "en-US", "+14155550132") is is_cut
