"""Twilio's side of a Media Streams socket: who may open it, what comes over it, and what is left when it closes."""

import asyncio
import base64
import json

import pytest
from websockets.asyncio.client import connect

from tests.voice.line.phone import CALL, STREAM
from tests.voice.line.service import TOKEN, service
from voice.profile import LineKind
from voice.sandbox.faults import Faults
from voice.sandbox.openai import OpenAI
from voice.sandbox.virtual import run

GREETING = "reason for your call"


def test_a_socket_without_the_calls_token_is_refused():
    """Nothing is heard and the call is not touched."""

    async def call():
        async with service() as made, made.phone(token="another") as phone:
            await asyncio.wait_for(phone.is_closed.wait(), 5)
            return made, phone

    made, phone = run(call())

    assert phone.code == 1008
    assert phone.ear.sent == []
    assert made.openai.sessions == []


@pytest.mark.parametrize("first", ["", "{}", '{"event": "media"}', '{"event": "stop"}'])
def test_a_socket_that_does_not_say_which_call_it_is_is_closed(first):
    """After five seconds at most."""

    async def call():
        async with service() as made, connect(f"ws://{made.at}/twilio/media") as socket:
            await socket.send(first)
            async with asyncio.timeout(6):
                await socket.wait_closed()
            return socket.close_code

    assert run(call()) == 1008


def test_garbage_in_a_call_is_passed_over():
    """Unknown events, other tracks, broken JSON, frames of odd sizes, marks of nobody, a second start."""

    async def call():
        async with service() as made, made.phone(reverses_marks=True) as phone:
            phone.frame = 0.013
            await phone.hears_something()
            for text in ("", "{", "[]", '{"event": "tomorrow"}', "x" * 250_000):
                await phone._socket.send(text)
            await phone._socket.send(b"\x00\x01")
            await phone.send("mark", mark={"name": "of-nobody"})
            await phone.send("media", media={"track": "outbound", "payload": "AAAA"})
            await phone.send("start", start={})
            await phone.hears(GREETING)
            await phone.quiet()
            await phone.speak("Hi, this is Dana Whitfield, my kitchen sink is leaking.")
            await phone.hears("number you are calling from")
            return made.session

    session = run(call())

    assert session.talk.slots["name"] == "Dana Whitfield"
    assert session.fallbacks == []


def test_marks_that_never_come_back_do_not_hold_the_call_up():
    """The agent counts as silent after some grace, and the silent caller is asked."""

    async def call():
        async with service() as made, made.phone(loses_marks=True) as phone:
            await phone.hears(GREETING)
            await phone.hears("Are you still there?", within_s=15)
            return made.session

    assert "twilio:marks" in run(call()).fallbacks


def test_a_caller_who_hangs_up_in_mid_sentence_leaves_what_was_heard():
    """The turn is cut where the sound was, and nothing is wrong with the line."""

    async def call():
        async with service() as made, made.phone() as phone:
            await phone.hears("Brightsmile")
            await phone.hang_up()
            await asyncio.sleep(1)
            return made

    made = run(call())

    turn = made.session.turns[0]
    assert turn.heard in {"Hello, this is", "Hello, this is Brightsmile."}
    assert (made.session.after, made.session.failed_lines) == (None, [])
    assert made.context.store.held == ()


def test_keys_are_understood_though_the_model_cannot_hear_them():
    """The dialogue takes them and answers in our words."""

    async def call():
        async with service() as made, made.phone() as phone:
            await phone.hears(GREETING)
            await phone.quiet()
            for digit in "2125550177":
                await phone.send("dtmf", dtmf={"track": "inbound_track", "digit": digit})
            await phone.hears_something()
            return made.session

    run(call())


def test_a_tenant_with_health_data_and_no_agreement_is_never_bridged():
    """The line fails before anything is sent to the vendor."""

    async def call():
        async with service(is_phi=True) as made, made.phone() as phone:
            await asyncio.wait_for(phone.is_closed.wait(), 5)
            return made

    made = run(call())

    assert made.session.fallbacks == ["openai:not_allowed"]
    assert made.openai.sessions == []


@pytest.mark.parametrize("line", [LineKind.OPENAI, LineKind.ELEVENLABS])
def test_a_socket_that_another_one_took_over_goes_quiet(line):
    """Of two sockets of a call the later one has it."""

    async def call():
        async with service(line=line) as made, made.phone() as old:
            await old.hears_something()
            async with made.phone() as new:
                await asyncio.wait_for(old.is_closed.wait(), 5)
                await new.hears_something()
                return made.session.failed_lines

    assert run(call()) == []


def test_a_vendor_without_quota_is_left_alone_by_the_next_call(services):
    """For some minutes no call waits for it again."""

    async def call():
        faults = Faults([{"at": "openai.connect", "do": "refuse", "status": 401}])
        async with service(redis_url=services.redis_url, openai=OpenAI(faults=faults)) as made:
            async with made.phone() as phone:
                await asyncio.wait_for(phone.is_closed.wait(), 5)
            await made.context.store.change(CALL, lambda one: one.failed_lines.clear())
            async with made.phone() as phone:
                await asyncio.wait_for(phone.is_closed.wait(), 5)
            return made, await made.context.store.load(CALL)

    made, session = run(call())

    assert session.fallbacks == ["openai:refused_401", "openai:paused"]
    assert made.openai.sessions == []


def test_a_filler_that_was_made_once_is_ready_for_the_next_call(services):
    """It is shared by all calls and processes, sealed."""

    async def call():
        async with service(redis_url=services.redis_url) as made:
            async with made.phone() as phone:
                await phone.hears(GREETING)
                await phone.quiet(1.0)
            await asyncio.sleep(1)
            async with made.phone() as phone:
                await phone.hears_something()
                await phone.quiet(1.0)
            return made.openai.sessions

    first, second = run(call())

    assert ["afterbeep" in str(one.get("response")) for one in first.received].count(True) == 1
    assert not any("afterbeep" in str(one.get("response")) for one in second.received)


def test_fifty_frames_a_second_cost_the_vendor_every_byte():
    """Nothing of what the caller says is lost on the way, whatever the frames' sizes."""

    async def call():
        async with service() as made, connect(f"ws://{made.at}/twilio/media") as socket:
            start = {
                "streamSid": STREAM,
                "callSid": CALL,
                "customParameters": {"token": TOKEN},
            }
            await socket.send(json.dumps({"event": "start", "start": start}))
            await asyncio.sleep(1)
            sizes = [1, 159, 160, 161, 1000, 4000]
            for size in sizes:
                payload = base64.b64encode(b"\xff" * size).decode()
                media = {"track": "inbound", "payload": payload}
                await socket.send(json.dumps({"event": "media", "media": media}))
            await asyncio.sleep(1)
            heard_s = made.openai.sessions[0]._ears._decoder.position_s
            return round(heard_s * 8000), sum(sizes)

    heard, sent = run(call())

    assert heard == sent
