"""Callers in danger hear what to do first, and once."""

import pytest

from voice.dialogue.types import Heard, Say, SpeakIn, Transfer
from voice.profile import Consent, Emergency, Escalation, Staff

IN_DANGER = [
    ("My husband has chest pain and can't breathe", "emergency_medical"),
    ("There's a strong smell of gas in the kitchen", "emergency_fire_gas"),
    ("the outlet is on fire and there's smoke coming out", "emergency_fire_gas"),
]


@pytest.mark.parametrize(("text", "line"), IN_DANGER)
def test_the_emergency_text_comes_first_and_once(call, text, line):
    """Whatever was asked before, and although the caller says it again."""
    talking = call().hears(text)

    assert talking.lines[0] == line
    assert "9 1 1" in talking.text()
    assert not talking.says[0].is_interruptible
    assert line not in talking.hears(text).lines


def test_the_message_is_then_taken_quickly(call):
    """The name, and the number that the call comes from; nothing else."""
    talking = call().hears(IN_DANGER[0][0])

    assert talking.lines == ["emergency_medical", "ask_name"]
    assert not talking.now.may_think
    assert talking.hears("Marcus Lee").is_over
    assert talking.slots["number"] == "+14155550132"
    assert talking.slots["urgency"] == "critical"


def test_a_caller_without_number_is_asked_for_it(call):
    """A call back in an emergency needs one."""
    talking = call(caller_id=None).plays(IN_DANGER[1][0], "Marcus Lee")

    assert talking.lines == ["ask_number"]


def test_the_tenants_own_text_wins(call):
    """In the caller's language; else the fixed line is understood better."""
    emergency = Emergency(texts={"en": "Leave the house. Our emergency team is on 555 0100."})

    assert call(emergency=emergency).hears(IN_DANGER[1][0]).text().startswith("Leave the house.")

    spanish = call(emergency=emergency, languages=("en-US", "es-US"))
    spanish.hears("Huele mucho a gas en la cocina, por favor ayuda, estoy en mi casa")

    assert spanish.lines[0] == "emergency_fire_gas"
    assert isinstance(spanish.acts[0], SpeakIn)


def test_callers_in_danger_are_put_through_where_the_tenant_wants_it(call):
    """After the text, to the emergency number, else to the staff."""
    escalation = Escalation(critical="transfer")
    both = call(
        escalation=escalation,
        emergency=Emergency(number="+14155550199"),
        staff=Staff(transfer_to="+14155550111"),
    ).hears(IN_DANGER[0][0])

    assert [type(act) for act in both.acts] == [Say, Say, Transfer]
    assert both.transfer == Transfer("+14155550199", "emergency")

    staff = call(escalation=escalation, staff=Staff(transfer_to="+14155550111")).hears(
        IN_DANGER[0][0]
    )

    assert staff.transfer.number == "+14155550111"
    assert call(escalation=escalation).hears(IN_DANGER[0][0]).transfer is None


def test_an_emergency_goes_before_consent(call):
    """Nobody in danger is asked about a recording."""
    talking = call(consent=Consent.ASK).hears(IN_DANGER[0][0])

    assert talking.lines == ["emergency_medical", "ask_name"]
    assert "recording_consent" not in talking.slots


@pytest.mark.parametrize(
    "text",
    [
        "There is no smoke, it just smells a bit dusty",
        "Do you repair gas leaks?",
        "My kitchen tap is dripping, no rush",
        "I'd like to book my yearly boiler service",
    ],
)
def test_daily_bread_is_no_emergency(call, text):
    """Negated, merely asked about, or harmless."""
    talking = call().hears(text)

    assert talking.talk.emergency is None


def test_that_the_text_was_heard_is_known_after_the_next_input(call):
    """Until then no tool may end or transfer the call."""
    talking = call().hears(IN_DANGER[0][0])

    assert not talking.talk.is_emergency_heard
    assert talking.hears(Heard("okay")).talk.is_emergency_heard


@pytest.mark.parametrize(
    ("language", "text", "line"),
    [
        ("es-US", "mi padre tiene dolor en el pecho y no puede respirar", "emergency_medical"),
        ("fr-FR", "ça sent le gaz dans l'appartement", "emergency_fire_gas"),
        ("de-DE", "bei uns riecht es stark nach Gas, Gasgeruch im Keller", "emergency_fire_gas"),
        ("zh-CN", "我闻到煤气味，漏气了", "emergency_fire_gas"),
        ("ja-JP", "父が倒れて意識がないんです", "emergency_medical"),
        ("ru-RU", "у нас сильно пахнет газом", "emergency_fire_gas"),
        ("pt-BR", "tem cheiro de gás na cozinha", "emergency_fire_gas"),
        ("ar-SA", "في ريحة غاز قوية في المطبخ", "emergency_fire_gas"),
    ],
)
def test_danger_is_understood_in_many_languages(call, language, text, line):
    """The text comes in the caller's language."""
    talking = call(languages=(language,)).hears(text)

    assert talking.lines[0] == line
