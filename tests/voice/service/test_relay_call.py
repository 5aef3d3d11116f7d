"""Calls on ConversationRelay, without a model: the dialogue takes the message by itself."""

from __future__ import annotations

from tests.voice.service.world import NUMBER, frames, profile_of, text_of, world
from voice.sandbox import virtual
from voice.sandbox.twilio.caller import Cough, HangUp, Press, Speak, Wait
from voice.sandbox.twilio.habits import Staff

ALL = "Hi, this is Dana Whitfield, my kitchen tap is leaking, call me at 415 555 0132."


def test_a_caller_who_says_everything_is_understood(redis_url, tmp_path):
    """Name, number and reason in one breath are all captured, and the call ends with an honest goodbye."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            report = await made.call(
                Speak(ALL),
                Speak("Yes, that's right."),
                Speak("No, it is not urgent."),
                Speak("No, that's all."),
            )
            return report, await made.session(report.sid), made.hub

    report, session, hub = virtual.run(play())

    assert text_of(report).endswith("Goodbye.")
    assert session.talk.slots["name"] == "Dana Whitfield"
    assert session.talk.slots["number"] == "+14155550132"
    assert report.errors == []
    assert list(hub.events) == [report.sid]


def test_the_first_words_come_within_a_second(redis_url, tmp_path):
    """From the end of the caller's speech to the agent's first sound it takes less than a second."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            return await made.call(Speak(ALL), Speak("Yes."), HangUp())

    report = virtual.run(play())

    assert report.answer_s
    assert max(report.answer_s) < 1.0


def test_an_interruption_is_remembered_as_far_as_it_was_heard(redis_url, tmp_path):
    """The history keeps what the caller heard of the greeting, and nothing is sent after the interruption."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            report = await made.call(Speak(ALL, over=3.0), HangUp())
            return report, await made.session(report.sid)

    report, session = virtual.run(play())
    greeting = session.turns[0]

    assert greeting.heard
    assert greeting.text.startswith(greeting.heard)
    assert len(greeting.heard) < len(greeting.text)
    assert report.heard[0].cut
    assert report.after_clear_s == 0.0
    assert session.talk.slots["name"] == "Dana Whitfield"


def test_a_noise_only_delays_what_is_said(redis_url, tmp_path):
    """A cough cuts the greeting off; as no words come, the rest of it is said."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            return await made.call(Cough(over=2.0, seconds=0.5), Speak(ALL), HangUp())

    report = virtual.run(play())

    assert "reason for your call" in text_of(report)


def test_silence_is_answered_twice_and_then_with_goodbye(redis_url, tmp_path):
    """A caller who says nothing is asked twice, then let go; the event still comes."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            report = await made.call(Wait(60))
            return report, made.hub

    report, hub = virtual.run(play())
    said = text_of(report)

    assert "Are you still there?" in said
    assert "I can't hear you." in said
    assert "I can't hear anyone" in said
    assert report.ended_by == "twilio"
    assert report.sid in hub.events


def test_a_number_dictated_with_a_pause_is_one_number(redis_url, tmp_path):
    """A pause within the digits does not end the caller's turn."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            report = await made.call(
                Speak(
                    "This is Dana Whitfield, my number is 628", 1.0, "555 0199, the tap is leaking."
                ),
                Speak("Yes."),
                HangUp(),
                from_="+14155550132",
            )
            return report, await made.session(report.sid)

    report, session = virtual.run(play())

    assert session.talk.slots.get("number") == "+16285550199"
    assert report.spoken_over_s == []


def test_keys_are_taken_as_a_number(redis_url, tmp_path):
    """A caller who is asked for a number may press it."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            report = await made.call(
                Speak("This is Dana Whitfield, my kitchen tap is leaking."),
                Speak("No, another one."),
                Press("6285550199"),
                Speak("Yes."),
                HangUp(),
            )
            return await made.session(report.sid)

    session = virtual.run(play())

    assert session.talk.slots.get("number") == "+16285550199"


def test_a_caller_who_asks_for_a_person_is_put_through(redis_url, tmp_path):
    """The staff's number is rung when the caller asks for a person."""
    profile = profile_of(staff={"transfer_to": "+14155550111"})
    staff = {"+14155550111": Staff(answers_after_s=3.0)}

    async def play():
        async with world(redis_url, tmp_path, profile=profile, staff=staff) as made:
            report = await made.call(Speak("I want to speak to a person, please."), Wait(30))
            return report, await made.session(report.sid)

    report, session = virtual.run(play())

    assert [(one.number, one.status) for one in report.dialled] == [("+14155550111", "completed")]
    assert session.is_answered
    assert "put you through" in text_of(report)


def test_a_transfer_that_nobody_takes_goes_on_with_the_message(redis_url, tmp_path):
    """When nobody answers the agent says so and asks on."""
    profile = profile_of(staff={"transfer_to": "+14155550111"})

    async def play():
        async with world(redis_url, tmp_path, profile=profile) as made:
            report = await made.call(
                Speak("I want to speak to a person, please."),
                Speak(ALL, hears="take a message"),
                Speak("Yes."),
                HangUp(),
            )
            return report, await made.session(report.sid)

    report, session = virtual.run(play())

    assert report.dialled[0].status == "no-answer"
    assert "transfer:unanswered" in session.fallbacks
    assert session.talk.slots["name"] == "Dana Whitfield"
    assert text_of(report).count("I'm the automated assistant") == 1


def test_the_agent_goes_on_in_the_callers_language(redis_url, tmp_path):
    """A caller who speaks Spanish is answered in Spanish, by a Spanish voice."""
    profile = profile_of(languages=["en-US", "es-US"])

    async def play():
        async with world(redis_url, tmp_path, profile=profile) as made:
            return await made.call(
                Speak(
                    "Hola, se está inundando mi cocina, necesito ayuda por favor.", language="es-US"
                ),
                Wait(8),
                HangUp(),
            )

    report = virtual.run(play())

    assert frames(report, "language")
    assert report.heard[-1].language == "es-US"


def test_staff_are_rung_first(redis_url, tmp_path):
    """Where staff answer, the agent does not; where they do not, it does."""
    profile = profile_of(staff={"ring_first": ["+14155550111"], "ring_s": 12})

    async def play(staff):
        async with world(redis_url, tmp_path, profile=profile, staff=staff) as made:
            report = await made.call(Speak(ALL, hears="automated"), HangUp())
            return report, await made.session(report.sid)

    answered, session = virtual.run(play({"+14155550111": Staff(answers_after_s=4, talks_s=5)}))
    unanswered, other = virtual.run(play({}))

    assert session.is_answered
    assert "automated assistant" not in text_of(answered)
    assert not other.is_answered
    assert "automated assistant" in text_of(unanswered)
    assert other.to == NUMBER
