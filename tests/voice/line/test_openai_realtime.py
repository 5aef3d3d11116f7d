"""Calls over Media Streams to OpenAI's Realtime API, on virtual time."""

import asyncio

import pytest

from tests.voice.line.service import service
from voice.clock import elapsed
from voice.profile import Consent, Emergency
from voice.sandbox import speech
from voice.sandbox.faults import Faults
from voice.sandbox.openai import OpenAI
from voice.sandbox.openai_conversation import Delays
from voice.sandbox.virtual import run
from voice.session import Voice

GREETING = "reason for your call"
PROBLEM = "Hi, this is Dana Whitfield, my kitchen sink is leaking."


def _faulty(*faults, **fields):
    return OpenAI(faults=Faults(faults), **fields)


def _sound_after(phone, moment):
    return sum(size for at, size in phone.ear.sent if at > moment)


def test_a_message_is_taken_in_full():
    """Greeting, name, reason, number read back digit by digit, goodbye; then the call is told to end."""

    async def call():
        async with service() as made, made.phone() as phone:
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
            await asyncio.wait_for(phone.is_closed.wait(), 15)
            heard = phone.heard()
        return made, heard

    made, heard = run(call())

    session = made.session
    assert heard.startswith("Hello, this is Brightsmile.")
    assert heard.endswith("Goodbye.")
    assert (session.after, session.failed_lines, session.fallbacks) == ("end", [], [])
    assert session.talk.slots["name"] == "Dana Whitfield"
    assert session.talk.slots["number"] == "+14155550132"
    assert session.talk.is_number_confirmed
    assert [turn.voice for turn in session.turns] == [Voice.AGENT, Voice.CALLER] * 5 + [Voice.AGENT]
    assert [one.tool for one in session.tools] == [*["save_slot"] * 4, "end_call"]
    assert made.openai.sessions[0].errors == []
    assert max(session.latency["own_share"]) < 30


def test_the_first_answer_comes_within_a_second():
    """Half a second of silence, a model that takes 0.3 s, and nothing of ours."""

    async def call():
        async with service() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            ended = await phone.speak("Hello?")
            return await phone.hears_something() - ended, made.session

    after_s, session = run(call())

    assert after_s < 1.0
    assert session.latency["first_audio"][-1] == pytest.approx(after_s * 1000, abs=45)


@pytest.mark.parametrize("is_beta", [False, True])
def test_a_caller_who_interrupts_is_listened_to_at_once(is_beta):
    """Clear within 250 ms of the first sound, the model's memory cut where hearing ended, nothing after."""

    async def call():
        async with service(openai=OpenAI(is_beta=is_beta)) as made, made.phone() as phone:
            await phone.hears_something()
            await asyncio.sleep(
                1.5
            )  # in the middle of the greeting, of which more is still being made
            began = elapsed()
            phone.say("Wait, I have a question about my appointment.")
            await asyncio.sleep(1.0)
            cleared = list(phone.ear.clears)
            late = _sound_after(phone, cleared[0])
            await phone.quiet(3.0)
            return made, began, cleared, late, phone.heard()

    made, began, cleared, late, heard = run(call())

    first = made.session.turns[0]
    talk = made.openai.sessions[0]
    assert cleared[0] - began < 0.25
    assert len(cleared) == 1
    assert late == 0
    assert made.session.latency["barge_in"] == [pytest.approx((cleared[0] - began) * 1000, abs=25)]
    assert first.heard
    assert first.text.startswith(first.heard)
    assert first.heard != first.text
    assert heard.startswith(first.heard)
    assert talk.errors == []
    assert list(talk.session.truncated.values()) == [pytest.approx(1620, abs=40)]


def test_an_answer_that_was_sent_long_ago_is_cleared_as_well():
    """All its sound was sent seconds before, and the response is done: the caller still hears it, so it is stopped."""

    async def call():
        async with (
            service(openai=OpenAI(delays=Delays(speed=100.0))) as made,
            made.phone() as phone,
        ):
            await phone.hears_something()
            await asyncio.sleep(3.0)
            is_done = "response.done" in made.openai.sessions[0].sent
            phone.say("Wait, I have a question.")
            await asyncio.sleep(0.6)
            cleared = phone.ear.clears[0]
            return is_done, len(phone.ear.clears), _sound_after(phone, cleared), made

    is_done, clears, late, made = run(call())

    assert is_done
    assert (clears, late) == (1, 0)
    assert len(made.openai.sessions[0].session.truncated) == 1
    assert made.openai.sessions[0].errors == []


def test_a_burst_that_was_on_its_way_is_dropped():
    """After a cancelled response its sound still comes; none of it is heard."""

    async def call():
        openai = _faulty({"at": "openai.cancel", "do": "duplicate"})
        async with service(openai=openai) as made, made.phone() as phone:
            await phone.hears_something()
            await asyncio.sleep(1.0)
            phone.say("Wait, wait, wait a moment please.")
            await asyncio.sleep(1.5)
            return openai, _sound_after(phone, phone.ear.clears[0])

    openai, late = run(call())

    assert not openai.faults.left
    assert late == 0


def test_a_number_dictated_with_pauses_is_one_number():
    """While a number is asked for, pauses of more than a second end nothing."""

    async def call():
        async with service() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            await phone.speak(PROBLEM)
            await phone.hears("number you are calling from")
            await phone.quiet()
            await phone.speak("No, another one.")
            await phone.hears("which number")
            await phone.quiet()
            for part in ("Two one two,", "five five five,", "oh one", "seven seven."):
                phone.say(part)
                phone.pause(1.2)
            while phone.is_speaking:  # noqa: ASYNC110 - a telephone has frames
                await asyncio.sleep(0.1)
            await phone.hears("2 1 2, 5 5 5, 0 1 7 7")
            return made, phone

    made, phone = run(call())

    assert made.said("caller")[2:] == ["Two one two, five five five, oh one seven seven."]
    assert phone.ear.clears == []


def test_what_is_said_twice_in_one_breath_is_spoken_once():
    """A model that speaks and notes in the same response is not asked to speak again."""

    async def call():
        async with service(openai=OpenAI(speaks_with_tools=True)) as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            await phone.speak(PROBLEM)
            await phone.hears("number you are calling from")
            await phone.quiet(1.5)
            return made, phone.heard()

    made, heard = run(call())

    assert heard.count("number you are calling from") == 1
    assert len(made.session.tools) == 2


def test_silence_is_asked_about_twice_and_then_the_call_ends():
    """Seven seconds each."""

    async def call():
        async with service() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await asyncio.wait_for(phone.is_closed.wait(), 60)
            return made.session, phone.heard()

    session, heard = run(call())

    assert "Are you still there?" in heard
    assert "I can't hear you." in heard
    assert heard.endswith("Goodbye.")
    assert session.after == "end"


def test_an_emergency_text_is_heard_to_its_end():
    """It comes at once, in the tenant's words, and a caller who talks on does not cut it off."""

    async def call():
        text = "Please hang up and dial nine one one now."
        fields = {"emergency": Emergency(texts={"en": text})}
        async with service(**fields) as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            await phone.speak("My father has chest pain and he cannot breathe.")
            await phone.hears("Please hang up")
            phone.say("Oh my god please help me")
            await phone.hears(f"{text} May", within_s=6.0)
            return made.session, phone.ear.clears

    session, clears = run(call())

    assert session.talk.emergency
    turn = next(turn for turn in session.turns if "nine one one" in turn.text)
    assert "nine one one now." in (turn.heard or turn.text)
    assert clears == []


def test_consent_comes_before_everything_else():
    """The first words are the announcement, and they are not cut off."""

    async def call():
        async with service(consent=Consent.ANNOUNCE, records=True) as made, made.phone() as phone:
            await phone.hears_something()
            phone.cough(0.4)
            await phone.hears("recorded")
            await phone.hears(GREETING)
            return phone.heard(), phone.ear.clears

    heard, clears = run(call())

    assert heard.index("recorded") < heard.index(GREETING)
    assert clears == []


FAILING = {
    "refused": ({"at": "openai.connect", "do": "refuse", "status": 401}, "openai:refused_401"),
    "too many": ({"at": "openai.connect", "do": "refuse", "status": 429}, "openai:refused_429"),
    "slow to connect": ({"at": "openai.connect", "do": "stall", "for_s": 30}, "openai:connect"),
    "no quota": (
        {"at": "openai.session", "do": "error", "status": 402},
        "openai:insufficient_quota",
    ),
    "beta refused": (
        {"at": "openai.session", "do": "error", "status": 404},
        "openai:beta_api_shape_disabled",
    ),
    "never answers": ({"at": "openai.response", "do": "stop", "times": 9}, "openai:stalled"),
    "stops in the middle": (
        {"at": "openai.delta", "do": "stop", "after": 5, "times": 9},
        "openai:stalled",
    ),
    "is gone": ({"at": "openai.delta", "do": "disconnect", "after": 5}, "openai:disconnected"),
    "rate limit": (
        {"at": "openai.response", "do": "error", "status": 429},
        "openai:rate_limit_exceeded",
    ),
    "fails twice": (
        {"at": "openai.response", "do": "error", "status": 500, "times": 2},
        "openai:server_overloaded",
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_vendor_that_fails_hands_the_call_on(name):
    """The stream is closed within seconds, so that the next verb runs; the session says that the line has failed."""
    fault, told = FAILING[name]

    async def call():
        async with service(openai=_faulty(fault)) as made, made.phone() as phone:
            began = elapsed()
            await asyncio.wait_for(phone.is_closed.wait(), 30)
            return made, elapsed() - began

    made, took_s = run(call())

    assert made.session.failed_lines == ["openai"]
    assert told in made.session.fallbacks
    assert made.session.after is None
    assert took_s < 12.5


def test_a_model_that_stalls_once_is_filled_for_and_asked_again():
    """At 0.8 s a filler in its own voice, at 2.5 s another try; the call goes on."""

    async def call():
        openai = _faulty({"at": "openai.response", "do": "stop", "after": 2})
        async with service(openai=openai) as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet(1.0)
            ended = await phone.speak("Hello?")
            first = await phone.hears_something() - ended
            await phone.hears("How can we help", within_s=6.0)
            return made.session, first, phone.heard()

    session, first, heard = run(call())

    assert 1.1 < first < 1.4  # 0.4 s of silence, then 0.8 s of patience
    assert "One moment, please." in heard
    assert {"openai:filler", "openai:asked_again"} <= set(session.fallbacks)
    assert session.failed_lines == []


@pytest.mark.parametrize("do", ["stop", "error"])
def test_words_that_must_be_said_are_asked_for_again(do):
    """A greeting that stalls or fails is said after all, word for word, and not something else instead."""

    async def call():
        openai = _faulty({"at": "openai.response", "do": do})
        async with service(openai=openai) as made, made.phone() as phone:
            await phone.hears(GREETING)
            return made.session, phone.heard()

    session, heard = run(call())

    assert heard.startswith("Hello, this is Brightsmile.")
    assert session.failed_lines == []


def test_a_vendor_that_goes_deaf_is_noticed():
    """Nothing at all comes of what the caller says: after six seconds another line goes on."""

    async def call():
        async with service() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            for task in made.openai.sessions[0]._tasks:
                task.cancel()
            ended = await phone.speak("Hello, is anybody there?")
            await asyncio.wait_for(phone.is_closed.wait(), 20)
            return made.session, elapsed() - ended

    session, took_s = run(call())

    assert session.fallbacks[-1] == "openai:stalled"
    assert took_s == pytest.approx(6.0, abs=0.2)


def test_malformed_messages_are_passed_over():
    """They are noted once, and the call goes on."""

    async def call():
        openai = _faulty({"at": "openai.delta", "do": "malformed", "after": 2, "times": 3})
        async with service(openai=openai) as made, made.phone() as phone:
            await phone.hears(GREETING)
            return made.session

    session = run(call())

    assert session.fallbacks == ["openai:malformed"]


def test_a_session_that_expires_is_handed_on_with_all_that_was_said():
    """What the caller said is kept, so that the next line asks nothing twice."""

    async def call():
        async with service(openai=OpenAI(longest_s=25.0)) as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            await phone.speak(PROBLEM)
            await asyncio.wait_for(phone.is_closed.wait(), 30)
            return made.session

    session = run(call())

    assert session.fallbacks[-1] == "openai:session_expired"
    assert session.talk.slots["name"] == "Dana Whitfield"
    assert session.turns[1].text == PROBLEM


def test_a_dropped_socket_goes_on_where_it_was():
    """A new socket asks what was asked last, and the model is told what was said."""

    async def call():
        async with service() as made:
            async with made.phone() as phone:
                await phone.hears(GREETING)
                await phone.quiet()
                await phone.speak(PROBLEM)
                await phone.hears("number you are calling from")
            await asyncio.sleep(0.5)
            async with made.phone() as phone:
                await phone.hears_something()
                await phone.quiet()
                heard = phone.heard()
        told = [one for one in made.openai.sessions[1].received if "item" in one]
        return made, heard, told

    made, heard, told = run(call())

    assert "Hello, this is Brightsmile" not in heard
    assert "number" in heard
    assert PROBLEM in [
        one["item"]["content"][0]["text"] for one in told if "content" in one["item"]
    ]
    assert made.session.failed_lines == []


def test_an_interruption_by_noise_leaves_nobody_in_silence():
    """A cough stops the agent; since nothing was said it speaks again."""

    async def call():
        async with service() as made, made.phone() as phone:
            await phone.hears_something()
            await asyncio.sleep(2.0)
            phone.cough(0.3)
            await asyncio.sleep(1.0)
            at = elapsed()
            await phone.hears_something()
            return elapsed() - at, made.session

    took_s, session = run(call())

    assert took_s < 2.0
    assert session.failed_lines == []


def test_speech_costs_no_more_than_what_is_said():
    """The sound that was sent is what was heard: nothing twice, nothing lost."""

    async def call():
        async with service() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            return made.session.turns[0], phone.heard(), sum(size for _, size in phone.ear.sent)

    turn, heard, size = run(call())

    assert heard == turn.text
    assert size == pytest.approx(speech.Pace().seconds(turn.text) * speech.RATE, abs=2)
    assert turn.end_s - turn.start_s == pytest.approx(size / speech.RATE, abs=0.05)
