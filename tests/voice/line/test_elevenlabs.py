"""Calls over Media Streams to an agent of ElevenLabs, on virtual time."""

import asyncio

import pytest

from tests.voice.line.service import service
from voice.clock import elapsed
from voice.profile import Emergency, LineKind
from voice.sandbox.elevenlabs import Agent, ElevenLabs
from voice.sandbox.faults import Faults
from voice.sandbox.virtual import run

GREETING = "reason for your call"
PROBLEM = "Hi, this is Dana Whitfield, my kitchen sink is leaking."


def _calling(elevenlabs=None, **fields):
    return service(line=LineKind.ELEVENLABS, elevenlabs=elevenlabs, **fields)


def _faulty(*faults, **fields):
    return ElevenLabs(faults=Faults(faults), **fields)


def test_a_message_is_taken_in_full():
    """Our greeting in the agent's voice, tools by way of our side, an end when all is said."""

    async def call():
        async with _calling() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            await phone.speak(PROBLEM)
            await phone.hears("number you are calling from")
            await phone.quiet()
            await phone.speak("Four one five, five five five, oh one three two.")
            await phone.hears("4 1 5, 5 5 5, 0 1 3 2. Is that right?")
            await phone.quiet()
            await phone.speak("Yes, that's right.")
            await phone.hears("urgent")
            await phone.quiet()
            await phone.speak("No.")
            await phone.hears("anything else")
            await phone.quiet()
            await phone.speak("No, that is all. Goodbye.")
            await asyncio.wait_for(phone.is_closed.wait(), 20)
            return made, phone.heard()

    made, heard = run(call())

    session, talk = made.session, made.elevenlabs.conversations[0]
    assert heard.startswith("Hello, this is Brightsmile.")
    assert heard.endswith("Goodbye.")
    assert (session.after, session.failed_lines, session.fallbacks) == ("end", [], [])
    assert session.talk.slots["name"] == "Dana Whitfield"
    assert [one.tool for one in session.tools] == [*["save_slot"] * 4, "end_call"]
    assert talk.override["language"] == "en"
    assert "Brightsmile" in talk.override["prompt"]["prompt"]
    assert talk.pongs == talk.sent.count("ping") > 3
    results = [one for one in talk.received if one.get("type") == "client_tool_result"]
    assert [one["is_error"] for one in results] == [False] * 5
    assert any("word for word: I have 4 1 5" in one["result"] for one in results)


@pytest.mark.parametrize("is_late", [False, True])
def test_an_interruption_clears_and_drops_what_is_older(is_late):
    """Clear in the moment of the event; sound with older ids is never heard; the turn ends where the agent says."""

    async def call():
        faults = [{"at": "elevenlabs.interruption", "do": "duplicate"}] if is_late else []
        async with _calling(_faulty(*faults)) as made, made.phone() as phone:
            await phone.hears_something()
            await asyncio.sleep(2.0)
            began = elapsed()
            phone.say("Wait, I have a question about my appointment.")
            await asyncio.sleep(1.0)
            cleared = list(phone.ear.clears)
            late = sum(size for at, size in phone.ear.sent if at > cleared[0])
            await phone.quiet(3.0)
            return made.session, cleared, began, late, phone.heard()

    session, cleared, began, late, heard = run(call())

    assert len(cleared) == 1
    assert cleared[0] - began < 0.25
    assert late == 0
    first = session.turns[0]
    assert first.heard
    assert first.text.startswith(first.heard)
    assert first.heard != first.text
    assert heard.startswith(first.heard)
    assert session.turns[1].text == "Wait, I have a question about my appointment."


def test_transcripts_of_dots_are_no_turns():
    """One in ten is."""

    async def call():
        elevenlabs = _faulty({"at": "elevenlabs.transcript", "do": "malformed"})
        async with _calling(elevenlabs) as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            await phone.speak(PROBLEM)
            await phone.hears("number you are calling from")
            return made

    assert run(call()).said("caller") == []


def test_an_emergency_goes_to_a_line_that_can_say_our_words():
    """An agent cannot be made to speak a given text: the next line says it first."""

    async def call():
        emergency = Emergency(texts={"en": "Please hang up and dial nine one one now."})
        async with _calling(emergency=emergency) as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            ended = await phone.speak("My father has chest pain and he cannot breathe.")
            await asyncio.wait_for(phone.is_closed.wait(), 10)
            return made.session, elapsed() - ended

    session, took_s = run(call())

    assert session.talk.emergency
    assert session.talk.last
    assert session.failed_lines == ["elevenlabs"]
    assert session.fallbacks == ["elevenlabs:own_words"]
    assert took_s < 1.0


FAILING = {
    "wrong key": (ElevenLabs(api_key="another"), "elevenlabs:refused_401"),
    "too many": (
        _faulty({"at": "elevenlabs.connect", "do": "refuse", "status": 429}),
        "elevenlabs:refused_429",
    ),
    "slow to connect": (
        _faulty({"at": "elevenlabs.connect", "do": "stall", "for_s": 30}),
        "elevenlabs:connect",
    ),
    "overrides": (
        ElevenLabs(agents=(Agent(may_override=False),)),
        "elevenlabs:overrides_forbidden",
    ),
    "format": (ElevenLabs(agents=(Agent(output_format="pcm_16000"),)), "elevenlabs:audio_format"),
    "no such agent": (ElevenLabs(agents=()), "elevenlabs:refused_404"),
    "longest": (ElevenLabs(agents=(Agent(longest_s=6.0),)), "elevenlabs:max_duration"),
    "stops in the middle": (
        _faulty({"at": "elevenlabs.audio", "do": "stop", "after": 4}),
        "elevenlabs:stalled",
    ),
    "is gone": (
        _faulty({"at": "elevenlabs.audio", "do": "disconnect", "after": 4}),
        "elevenlabs:disconnected",
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_vendor_that_fails_hands_the_call_on(name):
    """The stream is closed, the session says that the line has failed, and the talk is kept."""
    elevenlabs, told = FAILING[name]

    async def call():
        async with _calling(elevenlabs) as made, made.phone() as phone:
            await asyncio.wait_for(phone.is_closed.wait(), 30)
            return made.session

    session = run(call())

    assert session.failed_lines == ["elevenlabs"]
    assert session.fallbacks == [told]
    assert session.after is None
    assert session.talk.last


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"do": "stop"}, "elevenlabs:stalled"),
        ({"do": "error", "status": 402}, "elevenlabs:quota"),
    ],
)
def test_a_vendor_that_fails_in_an_answer_hands_the_call_on(fault, told):
    """Six seconds of patience for a stall, none for an empty purse."""

    async def call():
        elevenlabs = _faulty({"at": "elevenlabs.response", **fault})
        async with _calling(elevenlabs) as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            ended = await phone.speak(PROBLEM)
            await asyncio.wait_for(phone.is_closed.wait(), 30)
            return made.session, elapsed() - ended

    session, took_s = run(call())

    assert session.fallbacks == [told]
    assert took_s < 7.0
    assert session.talk.slots["name"] == "Dana Whitfield"


def test_a_silent_caller_is_asked_by_the_agent_and_the_call_ends():
    """The agent asks in its own way; the end is ours."""

    async def call():
        async with _calling() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await asyncio.wait_for(phone.is_closed.wait(), 90)
            return made.session, phone.heard()

    session, heard = run(call())

    assert "Are you still there?" in heard
    assert session.after == "end"


def test_a_number_dictated_with_pauses_is_one_number():
    """Patience with spelling is the agent's own; nothing of ours gets in its way."""

    async def call():
        async with _calling() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            await phone.speak(PROBLEM)
            await phone.hears("number you are calling from")
            await phone.quiet()
            for part in ("Two one two,", "five five five,", "oh one", "seven seven."):
                phone.say(part)
                phone.pause(1.0)
            await phone.hears("2 1 2, 5 5 5, 0 1 7 7")
            return made

    assert run(call()).session.talk.pending == "+12125550177"
