"""A whole message is taken without a model, in the caller's own language."""

from pathlib import Path

import phonenumbers
import pytest
import yaml

from voice import languages
from voice.analyse.country import regions
from voice.languages.catalogue import language

SCRIPTS = yaml.safe_load(Path(__file__).with_name("scripts.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", SCRIPTS)
def test_a_caller_is_served_in_their_language(call, language):
    """Reason, name, number and urgency are found out in seven turns, in all these languages."""
    script = SCRIPTS[language]
    own = script["caller_id"]
    talking = call(caller_id=own, languages=(language,), number=own[:-1] + "0")

    talking.plays(script["reason"], script["name"])

    assert talking.lines == ["offer_caller_id"], talking.slots

    talking.plays(script["refusal"], script["digits"])

    assert talking.lines == ["confirm_number"], (talking.slots, talking.talk.digits)

    talking.plays(script["yes"], script["urgent"])

    assert talking.lines == ["anything_else"], talking.slots

    talking.hears(script["nothing"])

    assert talking.is_over
    assert talking.lines == ["goodbye_callback"]
    assert talking.slots["number"] == script["number"]
    assert talking.slots["urgency"] in {"low", "normal"}
    assert talking.slots["reason"]
    assert talking.slots["name"]
    assert talking.talk.language == language


@pytest.mark.parametrize("language", SCRIPTS)
def test_a_caller_is_understood_where_another_language_is_expected(call, language):
    """On an English line, a sentence in another language is answered in that one."""
    script = SCRIPTS[language]
    talking = call(caller_id=script["caller_id"], number=script["caller_id"][:-1] + "0")
    talking.plays(f"{script['reason']}. {script['name']}.")

    assert talking.talk.language.split("-")[0] == language.split("-")[0]
    assert talking.slots["reason"]


@pytest.mark.parametrize("tag", languages.supported())
def test_yes_no_and_digits_are_enough_in_every_language(call, tag):
    """With each language's own words for yes, no and the digits as they are read back, a message is whole."""
    words = language(tag)["words"]
    yes, no = words["yes"].split(",")[0], words["no"].split(",")[0]
    number = example_number(tag)
    own = number[:-1] + str((int(number[-1]) + 3) % 10)
    talking = call(languages=(tag,), caller_id=own, number=own).plays(
        "Lorem ipsum dolor", "Dana Whitfield"
    )
    asked = [
        talking.hears(text).lines[0] for text in (no, languages.digits(number, tag), yes, no, no)
    ]

    assert asked == [
        "ask_number",
        "confirm_number",
        "ask_urgency",
        "anything_else",
        "goodbye_callback",
    ]
    assert talking.slots["number"] == number
    assert talking.slots["urgency"] == "low"
    assert talking.talk.language == tag


def example_number(tag):
    """Give a mobile number of a place where a language is spoken."""
    region = regions(tag, None)[0]
    found = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
