"""ElevenLabs' agents in miniature do what ElevenLabs says of its own."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import httpx
import pytest
from quart import Quart
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from voice.sandbox import speech
from voice.sandbox.elevenlabs import Agent, ElevenLabs
from voice.sandbox.serving import serving
from voice.sandbox.virtual import run

OPEN = ElevenLabs(agents=(Agent(is_private=False),))


class Client:
    """A connection; keeps what came."""

    def __init__(self, socket):
        """Begin with nothing."""
        self.socket = socket
        self.events = []

    async def send(self, **fields):
        """Send a message."""
        await self.socket.send(json.dumps(fields))

    async def until(self, kind):
        """Read until a message of this type comes, and give it."""
        async with asyncio.timeout(30):
            while True:
                event = json.loads(await self.socket.recv())
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def say(self, text, silence_s=1.0):
        """Say words, and be silent."""
        sound = speech.encode(text, speech.Pace().seconds(text)) + speech.silence(silence_s)
        for start in range(0, len(sound), 160):
            await self.send(user_audio_chunk=base64.b64encode(sound[start : start + 160]).decode())
            await asyncio.sleep(0.02)


@asynccontextmanager
async def connected(server, override=None, query="agent_id=agent_1"):
    """Connect to a server and begin a conversation."""
    app = Quart("elevenlabs")
    app.register_blueprint(server.blueprint())
    async with serving(app) as at, connect(f"ws://{at}/v1/convai/conversation?{query}") as socket:
        client = Client(socket)
        await client.send(
            type="conversation_initiation_client_data",
            conversation_config_override={"agent": override or {}},
        )
        yield client


def test_a_private_agent_needs_a_signed_url_which_opens_once():
    """The key gets one; without it, or twice, the door is shut."""

    async def call():
        app = Quart("elevenlabs")
        app.register_blueprint(ElevenLabs().blueprint())
        async with serving(app) as at, httpx.AsyncClient(base_url=f"http://{at}") as client:
            path = "/v1/convai/conversation/get-signed-url?agent_id=agent_1"
            refused = await client.get(path, headers={"xi-api-key": "wrong"})
            url = (await client.get(path, headers={"xi-api-key": "xi-sandbox"})).json()[
                "signed_url"
            ]
            async with connect(url):
                pass
            with pytest.raises(InvalidStatus):
                await connect(url)
            with pytest.raises(InvalidStatus):
                await connect(f"ws://{at}/v1/convai/conversation?agent_id=agent_1")
            return refused.status_code

    assert run(call()) == 401


def test_overrides_that_the_agent_forbids_close_the_conversation():
    """With 1008 and the field's name."""

    async def call():
        server = ElevenLabs(agents=(Agent(is_private=False, may_override=False),))
        async with connected(server, {"first_message": "Hi"}) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.until("conversation_initiation_metadata")
            return closed.value.rcvd

    closed = run(call())

    assert (closed.code, closed.reason) == (
        1008,
        "Override for field 'first_message' is not allowed by config.",
    )


def test_an_interruption_names_the_last_sound_and_corrects_the_words():
    """Event ids rise with each piece of sound; the correction is a beginning of the words."""

    async def call():
        words = "Hello there, this is a long first message for you to interrupt."
        async with connected(OPEN, {"first_message": words}) as client:
            await client.until("conversation_initiation_metadata")
            await asyncio.sleep(1.0)
            await client.say("Wait please.")
            await client.until("agent_response_correction")
            await client.until("user_transcript")
            return client.events

    events = run(call())

    ids = [one["audio_event"]["event_id"] for one in events if one["type"] == "audio"]
    cut = next(one for one in events if one["type"] == "interruption")["interruption_event"]
    told = next(one for one in events if one["type"] == "agent_response_correction")
    words = told["agent_response_correction_event"]
    assert ids == list(range(1, len(ids) + 1))
    assert cut["event_id"] == ids[-1]
    assert words["original_agent_response"].startswith(words["corrected_agent_response"])
    assert 0 < len(words["corrected_agent_response"]) < len(words["original_agent_response"])
    assert events[-1]["user_transcription_event"]["user_transcript"] == "Wait please."


def test_a_tool_is_waited_for():
    """The agent goes on when the result has come."""

    async def call():
        async with connected(OPEN) as client:
            await client.until("agent_response_complete")
            await asyncio.sleep(3)
            await client.say("Hi, this is Dana Whitfield.")
            wanted = (await client.until("client_tool_call"))["client_tool_call"]
            await client.send(
                type="client_tool_result",
                tool_call_id=wanted["tool_call_id"],
                result="{}",
                is_error=False,
            )
            return wanted, await client.until("agent_response")

    wanted, answer = run(call())

    assert wanted["parameters"] == {"slot": "name", "value": "Dana Whitfield"}
    assert answer["agent_response_event"]["agent_response"] == "How can we help you today?"


def test_a_conversation_ends_after_its_longest_time():
    """With 1011."""

    async def call():
        server = ElevenLabs(agents=(Agent(is_private=False, longest_s=20.0),))
        async with connected(server) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.until("nothing")
            return closed.value.rcvd.code

    assert run(call()) == 1011
