"""What happens when a line fails, is not there, or may not be used: a message can always be left."""

from __future__ import annotations

import pytest

from tests.voice.service.world import NUMBER, profile_of, text_of, world
from voice.sandbox import virtual
from voice.sandbox.twilio.caller import HangUp, Press, Speak, Wait

ALL = "Hi, this is Dana Whitfield, my kitchen tap is leaking, call me at 415 555 0132."


def held(redis_url, tmp_path, *caller, **how):
    """Hold a call and give report, session and world."""

    async def play():
        async with world(redis_url, tmp_path, **how) as made:
            report = await made.call(*caller)
            return report, await made.session(report.sid), made

    return virtual.run(play())


def test_a_socket_that_drops_is_replaced_and_nobody_is_greeted_twice(redis_url, tmp_path):
    """The call goes on with the question that was asked last."""
    report, session, _ = held(
        redis_url,
        tmp_path,
        Speak("My kitchen tap is leaking badly."),
        Speak("Dana Whitfield.", hears="name, please"),
        Speak("Dana Whitfield.", hears="say that again"),
        Speak("Yes.", hears="best one"),
        HangUp(),
        faults=[{"at": "twilio.relay", "do": "disconnect", "after": 12}],
    )

    assert "relay:dropped" in session.fallbacks
    assert text_of(report).count("I'm the automated assistant") == 1
    assert session.talk.slots["name"] == "Dana Whitfield"


def test_a_relay_that_cannot_be_reached_is_replaced_by_questions_without_a_socket(
    redis_url, tmp_path
):
    """After two misses the dialogue goes on with Gather, and the message is whole."""
    report, session, made = held(
        redis_url,
        tmp_path,
        Speak(ALL, hears="reason for your call"),
        Speak("Yes, that's right."),
        Speak("No, it is not."),
        Speak("No, that's all."),
        faults=[{"at": "twilio.relay.connect", "do": "refuse", "times": 9}],
    )

    assert session.line == "record"
    assert "relay:failed" in session.fallbacks
    assert session.talk.slots["name"] == "Dana Whitfield"
    assert session.talk.slots["number"] == "+14155550132"
    assert text_of(report).endswith("Goodbye.")
    assert report.sid in made.hub.events


def test_the_line_record_needs_no_socket(redis_url, tmp_path):
    """A tenant may choose the line without sockets; keys are taken, too."""
    report, session, _ = held(
        redis_url,
        tmp_path,
        Speak("This is Dana Whitfield, my kitchen tap is leaking."),
        Speak("No, another one."),
        Press("6285550199"),
        Speak("Yes."),
        Speak("No."),
        Speak("No, that's all, goodbye."),
        profile=profile_of(line="record"),
    )

    assert session.talk.slots["number"] == "+16285550199"
    assert report.errors == []


def test_a_caller_who_is_not_understood_gets_the_tone(redis_url, tmp_path):
    """Silence towards Gather ends with Record, and what is then said is recorded."""
    report, session, made = held(
        redis_url,
        tmp_path,
        Speak("This is Dana, please call me back.", hears="after the tone"),
        Wait(12),
        profile=profile_of(line="record"),
    )

    assert session.recordings
    assert report.sid in made.hub.events


def test_a_number_that_nobody_has_takes_a_message(redis_url, tmp_path):
    """Without a tenant a message is recorded all the same."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            made.phone.number("+14155559999")
            report = await made.call(
                Speak("This is Dana, please call me back.", hears="after the tone"),
                Wait(12),
                to="+14155559999",
            )
            return report, await made.session(report.sid)

    report, session = virtual.run(play())

    assert session.profile.tenant_id == ""
    assert session.recordings
    assert report.errors == []


def test_forwarding_finds_the_tenant_only_where_the_dialled_number_does_not(redis_url, tmp_path):
    """ForwardedFrom is a hint."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            made.phone.number("+14155559999")
            report = await made.call(Wait(4), HangUp(), to="+14155559999", forwarded_from=NUMBER)
            return await made.session(report.sid)

    session = virtual.run(play())

    assert session.profile.tenant_id == "ten_1"


def test_a_hub_that_is_down_silences_nobody(redis_url, tmp_path):
    """With an older profile calls go on as before, also in a process that never saw the hub up."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            await made.call(Wait(2), HangUp())
        async with world(redis_url, tmp_path) as made:
            made.hub.is_down = True
            report = await made.call(Speak(ALL), Speak("Yes."), HangUp())
            session = await made.session(report.sid)
            return report, session

    report, session = virtual.run(play())

    assert "Harbor Home Services" in text_of(report)
    assert session.talk.slots["name"] == "Dana Whitfield"


def test_webhooks_that_come_twice_change_nothing(redis_url, tmp_path):
    """Twilio repeats what it is not sure of; the caller hears everything once."""
    report, session, made = held(
        redis_url,
        tmp_path,
        Speak(ALL),
        Speak("Yes, that's right."),
        Speak("No."),
        Speak("No, that's all."),
        profile=profile_of(line="record"),
        faults=[
            {"at": "twilio.webhook", "do": "duplicate", "for_s": 0.5, "times": 5},
            {"at": "twilio.callback", "do": "duplicate", "for_s": 0.5, "times": 5},
        ],
    )

    assert session.talk.inputs == 4
    assert len([turn for turn in session.turns if turn.voice == "caller"]) == 4
    assert list(made.hub.events) == [report.sid]


def test_twilios_fallback_takes_a_message(redis_url, tmp_path):
    """When Twilio cannot reach us for once, the fallback address gives the tone."""
    report, session, _ = held(
        redis_url,
        tmp_path,
        Speak("This is Dana, please call me back.", hears="after the tone"),
        Wait(12),
        faults=[{"at": "twilio.webhook", "do": "refuse"}],
    )

    assert "technical problem" in text_of(report)
    assert session.recordings


def test_health_data_is_not_in_twiml(redis_url, tmp_path):
    """A clinic's returning caller is not greeted by name, and no parameter or hint holds one."""

    async def play():
        profile = profile_of(is_phi=True, models={"baa": ["twilio"]})
        async with world(redis_url, tmp_path, profile=profile) as made:
            made.hub.callers["+14155550132"] = {"name": "Dana Whitfield", "calls": 3}
            return await made.call(Speak("I need an appointment for my knee."), Wait(6), HangUp())

    report = virtual.run(play())

    assert not any("Whitfield" in one.answer for one in report.posted)


def test_a_returning_caller_is_known(redis_url, tmp_path):
    """Who called before is greeted by name and is not asked for it."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            made.hub.callers["+14155550132"] = {"name": "Dana Whitfield", "calls": 3}
            report = await made.call(Speak("My kitchen tap is leaking again."), Wait(6), HangUp())
            return report, await made.session(report.sid)

    report, session = virtual.run(play())

    assert "Dana Whitfield" in report.heard[0].text
    assert "May I have your name" not in text_of(report)
    assert session.talk.slots["name"] == "Dana Whitfield"


def test_both_sides_are_recorded_where_the_tenant_records(redis_url, tmp_path):
    """The recording has two channels and starts once."""
    _, session, _ = held(
        redis_url,
        tmp_path,
        Speak(ALL),
        Speak("Yes."),
        HangUp(),
        profile=profile_of(records=True, consent="announce"),
    )

    assert [one.channels for one in session.recordings] == [2]
    assert session.recording_sid == session.recordings[0].sid


@pytest.mark.parametrize(
    ("spoken_well", "repeated"),
    [
        (1, "Is the number you are calling from the best one to reach you?"),
        (4, "Thank you. I've noted your number and I'll pass your message on. Goodbye."),
    ],
    ids=["question", "goodbye"],
)
def test_what_a_failed_voice_should_have_said_is_said_by_another(
    redis_url, tmp_path, spoken_well, repeated
):
    """Once, word for word, by another provider's voice, which then keeps the call."""
    report, session, _ = held(
        redis_url,
        tmp_path,
        Speak("This is Dana Whitfield, my kitchen tap is leaking."),
        *(Speak(answer) for answer in ("Yes, this number.", "No.", "No, that's all.")),
        faults=[{"at": "twilio.relay.voice", "do": "error", "after": spoken_well}],
    )
    voices = {one.voice for one in report.heard[:spoken_well]}

    assert [one.text for one in report.heard].count(repeated) == 1
    assert report.heard[spoken_well].text == repeated
    assert len(voices) == 1
    assert not voices & {one.voice for one in report.heard[spoken_well:]}
    assert session.fallbacks == ["relay:voice"]
    assert session.talk.slots["number"] == "+14155550132"
    assert report.heard[-1].text.endswith("Goodbye.")


def test_a_voice_that_fails_within_the_models_words_costs_no_sentence(redis_url, tmp_path):
    """What the model was still saying is heard from the beginning of its sentence."""
    report, session, _ = held(
        redis_url,
        tmp_path,
        Speak("This is Dana Whitfield, my kitchen tap is leaking."),
        Speak("Yes, this number."),
        HangUp(),
        has_model=True,
        faults=[{"at": "twilio.relay.voice", "do": "error", "after": 6}],
    )
    asked = "number you are calling from the best one to reach you?"

    assert session.fallbacks == ["relay:voice"]
    assert text_of(report).count("the best one to reach you?") == 1
    assert any(asked in one.text for one in report.heard)
    assert "say that again" not in text_of(report)
