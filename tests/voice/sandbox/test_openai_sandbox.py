"""OpenAI's Realtime API in miniature does what OpenAI says of its own."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import pytest
from quart import Quart
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from voice.clock import elapsed
from voice.sandbox import speech
from voice.sandbox.faults import Faults
from voice.sandbox.openai import OpenAI
from voice.sandbox.serving import serving
from voice.sandbox.virtual import run

SESSION = {
    "type": "realtime",
    "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}},
    "tools": [{"type": "function", "name": "save_slot", "parameters": {}}],
}


class Client:
    """A connection; keeps what came."""

    def __init__(self, socket):
        """Begin with nothing."""
        self._socket = socket
        self.events = []

    async def send(self, kind, **fields):
        """Send an event."""
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind):
        """Read until an event of this name comes, and give it."""
        async with asyncio.timeout(30):
            while True:
                event = json.loads(await self._socket.recv())
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def say(self, text, silence_s=1.0):
        """Say words, and be silent."""
        sound = speech.encode(text, speech.Pace().seconds(text)) + speech.silence(silence_s)
        for start in range(0, len(sound), 160):
            audio = base64.b64encode(sound[start : start + 160]).decode()
            await self.send("input_audio_buffer.append", audio=audio)
            await asyncio.sleep(0.02)

    def names(self):
        """Name what came."""
        return [event["type"] for event in self.events]


@asynccontextmanager
async def connected(server=None, key="sk-sandbox", model="gpt-realtime"):
    """Connect to a server of its own."""
    app = Quart("openai")
    app.register_blueprint((server or OpenAI()).blueprint())
    async with serving(app) as at:
        headers = {"Authorization": f"Bearer {key}"}
        url = f"ws://{at}/v1/realtime?model={model}"
        async with connect(url, additional_headers=headers) as socket:
            client = Client(socket)
            await client.until("session.created")
            yield client


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"key": "sk-another"}, 401),
        ({"model": "gpt-none"}, 404),
        (
            {
                "server": OpenAI(
                    faults=Faults([{"at": "openai.connect", "do": "refuse", "status": 429}])
                )
            },
            429,
        ),
    ],
)
def test_the_upgrade_is_refused_with_a_status(how, status):
    """A wrong key, an unknown model, too many requests."""

    async def call():
        async with connected(**how):
            pass

    with pytest.raises(InvalidStatus) as refused:
        run(call())

    assert refused.value.response.status_code == status


@pytest.mark.parametrize("is_beta", [False, True])
def test_a_turn_has_its_events_in_order(is_beta):
    """Speech, commit, answer with a function call, its result, an answer with sound; in the dialect's names."""

    async def call():
        async with connected(OpenAI(is_beta=is_beta)) as client:
            await client.send("session.update", session=SESSION)
            await client.say("Hi, this is Dana Whitfield.")
            done = await client.until("response.done")
            call_id = done["response"]["output"][0]["call_id"]
            item = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
            await client.send("conversation.item.create", item=item)
            await client.send("response.create")
            await client.until("response.done")
            return done, client.names()

    done, names = run(call())

    added = "conversation.item.created" if is_beta else "conversation.item.added"
    sound = "response.audio.delta" if is_beta else "response.output_audio.delta"
    expected = [
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        added,
        "response.created",
        "conversation.item.input_audio_transcription.completed",
        "response.function_call_arguments.done",
        "response.done",
        sound,
    ]
    assert expected == sorted(set(expected), key=names.index)
    assert json.loads(done["response"]["output"][0]["arguments"]) == {
        "slot": "name",
        "value": "Dana Whitfield",
    }


def test_sound_comes_faster_than_it_is_played():
    """Five times."""

    async def call():
        async with connected() as client:
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            began = elapsed()
            await client.until("response.done")
            sound = [e["delta"] for e in client.events if e["type"].endswith("output_audio.delta")]
            size = sum(len(base64.b64decode(one)) for one in sound)
            return size / speech.RATE, elapsed() - began

    played_s, made_s = run(call())

    assert played_s == pytest.approx(5 * made_s, rel=0.05)


def test_truncating_behind_the_end_is_an_error():
    """And at the end it is none."""

    async def call():
        async with connected() as client:
            await client.send("response.create")
            await client.until("response.done")
            sound = [e for e in client.events if e["type"] == "response.output_audio.delta"]
            length = sum(len(base64.b64decode(one["delta"])) for one in sound) // 8
            item = {"item_id": sound[0]["item_id"], "content_index": 0}
            await client.send("conversation.item.truncate", **item, audio_end_ms=length + 1)
            error = await client.until("error")
            await client.send("conversation.item.truncate", **item, audio_end_ms=length)
            return error, await client.until("conversation.item.truncated"), length

    error, truncated, length = run(call())

    assert error["error"]["param"] == "audio_end_ms"
    assert truncated["audio_end_ms"] == length


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "response.cancel"}, "response_cancel_not_active"),
        ({"type": "tomorrow"}, "invalid_value"),
        (
            {"type": "session.update", "session": {"type": "realtime", "voice": "x"}},
            "unknown_parameter",
        ),
        ({"type": "session.update", "session": {"modalities": ["audio"]}}, "unknown_parameter"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "call_none", "output": ""},
            },
            "invalid_value",
        ),
    ],
)
def test_a_wrong_event_is_an_error_and_the_session_goes_on(message, code):
    """Most errors are recoverable."""

    async def call():
        async with connected() as client:
            await client.send(
                **{"kind": message["type"], **{k: v for k, v in message.items() if k != "type"}}
            )
            error = await client.until("error")
            await client.send("response.create")
            await client.until("response.done")
            return error

    assert run(call())["error"]["code"] == code


def test_one_response_at_a_time_but_any_number_beside_the_conversation():
    """The second one is refused; one outside the conversation is not."""

    async def call():
        async with connected() as client:
            await client.send("response.create")
            await client.send("response.create")
            error = await client.until("error")
            await client.send(
                "response.create", response={"conversation": "none", "metadata": {"a": "b"}}
            )
            await client.until("response.done")
            await client.until("response.done")
            return error, client.names().count("response.created")

    error, created = run(call())

    assert error["error"]["code"] == "conversation_already_has_active_response"
    assert created == 2


def test_a_session_ends_after_its_longest_time():
    """With an error before the close."""

    async def call():
        async with connected(OpenAI(longest_s=3600.0)) as client:
            await asyncio.sleep(3601)
            with pytest.raises(ConnectionClosed):
                await client.until("nothing")
            return client.events[-1]

    assert run(call())["error"]["code"] == "session_expired"
