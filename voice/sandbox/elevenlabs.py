"""ElevenLabs' agents in miniature: signed URLs, and a WebSocket that hears words in mu-law, thinks and speaks.

Read from ElevenLabs' documents, apart from ``voice.line``. What it knows: private agents, overrides (allowed or
not), event ids, pings, interruptions with corrections, client tools, contextual updates, the turn's time-out, a
conversation's longest time.

Places of faults (``voice.sandbox.faults``):

==========================  =====================================================================================
``elevenlabs.connect``      ``refuse`` (status), ``stall``, ``disconnect`` before the conversation begins
``elevenlabs.transcript``   ``malformed``: the transcript is "..."
``elevenlabs.response``     before an answer: ``stall``, ``stop``, ``disconnect``, ``malformed``, ``error`` (quota)
``elevenlabs.audio``        before a piece of sound: ``stall``, ``drip``, ``stop``, ``disconnect``, ``malformed``
``elevenlabs.interruption`` ``duplicate``: sound that was on its way still comes after it
==========================  =====================================================================================

Source: elevenlabs-python 2.78 conversational_ai/conversation.py and types/ (2026-11-30)
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quart import Blueprint, Response, jsonify, request, websocket

from voice.clock import elapsed
from voice.sandbox import speech
from voice.sandbox.ears import Ears
from voice.sandbox.faults import Do, Faults
from voice.sandbox.talker import Talker

PLACES = frozenset(
    f"elevenlabs.{place}"
    for place in ("connect", "transcript", "response", "audio", "interruption")
)
_TOOLS = ("save_slot", "look_up_caller", "offer_times", "transfer", "end_call")
_DIGITS = frozenset(
    ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "double")
)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent's settings at ElevenLabs."""

    agent_id: str = "agent_1"
    is_private: bool = True
    may_override: bool = True
    output_format: str = "ulaw_8000"
    input_format: str = "ulaw_8000"
    first_message: str = "Hello, how can I help you?"
    tools: tuple[str, ...] = _TOOLS
    turn_timeout_s: float = 7.0
    longest_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Delays:
    """How long things take, in seconds; ``speed`` is how much faster than real time sound is made."""

    onset_s: float = 0.15
    turn_end_s: float = 0.6
    spelling_end_s: float = 1.6
    think_s: float = 0.35
    piece_s: float = 0.25
    speed: float = 4.0
    ping_s: float = 2.0


@dataclass(slots=True)
class ElevenLabs:
    """The vendor: its agents, and all conversations that there were."""

    api_key: str = "xi-sandbox"
    agents: tuple[Agent, ...] = (Agent(),)
    delays: Delays = field(default_factory=Delays)
    faults: Faults = field(default_factory=Faults)
    conversations: list[Conversation] = field(default_factory=list)
    _signatures: set[str] = field(default_factory=set)

    def blueprint(self) -> Blueprint:
        """Give the routes, to be mounted at the root."""
        routes = Blueprint("elevenlabs_sandbox", __name__)
        routes.get("/v1/convai/conversation/get-signed-url")(self._signed_url)
        routes.websocket("/v1/convai/conversation")(self._conversation)
        return routes

    def _agent(self, agent_id: str | None) -> Agent | None:
        return next((agent for agent in self.agents if agent.agent_id == agent_id), None)

    async def _signed_url(self) -> Response:
        if request.headers.get("xi-api-key") != self.api_key:
            return _problem(401, "invalid_api_key")
        agent = self._agent(request.args.get("agent_id"))
        if agent is None:
            return _problem(404, "agent_not_found")
        signature = f"cvtkn_{secrets.token_hex(8)}"
        self._signatures.add(signature)
        query = f"agent_id={agent.agent_id}&conversation_signature={signature}"
        url = f"ws://{request.host}/v1/convai/conversation?{query}"
        return jsonify({"signed_url": url})

    async def _conversation(self) -> Response | None:
        if fault := self.faults.take("elevenlabs.connect"):
            if fault.do in {Do.REFUSE, Do.DISCONNECT}:
                return _problem(fault.status or 503, "refused")
            await asyncio.sleep(fault.for_s)
        agent = self._agent(websocket.args.get("agent_id"))
        if agent is None:
            return _problem(404, "agent_not_found")
        signature = websocket.args.get("conversation_signature", "")
        if agent.is_private and signature not in self._signatures:
            return _problem(403, "unauthorized")
        self._signatures.discard(signature)
        await websocket.accept()
        conversation = Conversation(self, agent)
        self.conversations.append(conversation)
        await conversation.run()
        return None


def _problem(status: int, code: str) -> Response:
    body = json.dumps({"detail": {"status": code}})
    return Response(body, status, content_type="application/json")


class _Closed(Exception):
    """The server closes the connection."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(slots=True)
class _Utterance:
    """What the agent is saying: since when the caller hears it (as the server believes), and how much was made."""

    text: str
    began_s: float
    made_s: float = 0.0

    def is_heard_at(self, now_s: float) -> bool:
        return now_s < self.began_s + self.made_s

    def heard_text(self, now_s: float) -> str:
        words = speech.schedule(self.text, max(0.2, speech.Pace().seconds(self.text)))
        return "".join(word.text for word in words if word.end_s <= now_s - self.began_s).strip()


class Conversation:
    """One connection. ``received`` holds what the client sent (sound left out), ``sent`` the messages' types."""

    def __init__(self, server: ElevenLabs, agent: Agent) -> None:  # noqa: D107 - the class says it
        self.agent = agent
        self.received: list[Mapping[str, Any]] = []
        self.sent: list[str] = []
        self.override: Mapping[str, Any] = {}
        self.pongs = 0
        self._server = server
        self._talker = Talker(agent.tools)
        self._ears = Ears()
        self._event_id = 0
        self._utterance: _Utterance | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._results: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._active_s = elapsed()
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve the connection until one side ends it."""
        try:
            await self._begin()
            for work in (self._read(), self._ping(), self._expire(), self._watch()):
                self._start(work)
            await self._closing
        except _Closed as err:
            await websocket.close(err.code, err.reason)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _begin(self) -> None:
        first = json.loads(await websocket.receive())
        self.received.append(first)
        if first.get("type") != "conversation_initiation_client_data":
            raise _Closed(1008, "First message must be conversation_initiation_client_data")
        override = (first.get("conversation_config_override") or {}).get("agent") or {}
        if override and not self.agent.may_override:
            name = min(override)
            raise _Closed(1008, f"Override for field '{name}' is not allowed by config.")
        self.override = override
        self._talker.instructions = str((override.get("prompt") or {}).get("prompt") or "")
        await self._send(
            "conversation_initiation_metadata",
            conversation_initiation_metadata_event={
                "conversation_id": f"conv_{len(self._server.conversations)}",
                "agent_output_audio_format": self.agent.output_format,
                "user_input_audio_format": self.agent.input_format,
            },
        )
        self._say(override.get("first_message") or self.agent.first_message)

    # The client's messages.

    async def _read(self) -> None:
        while True:
            message = json.loads(await websocket.receive())
            if "user_audio_chunk" in message:
                await self._hear(base64.b64decode(message["user_audio_chunk"]))
                continue
            self.received.append(message)
            match message.get("type"):
                case "pong":
                    self.pongs += 1
                case "client_tool_result":
                    self._talker.told(str(message.get("result")))
                    waiting = self._results.pop(message["tool_call_id"], None)
                    if waiting and not waiting.done():
                        waiting.set_result(message)
                case "user_message":
                    self._answer(str(message["text"]))
                case "contextual_update":
                    self._talker.told(str(message.get("text")))
                case "user_activity" | "feedback":
                    pass
                case _:
                    raise _Closed(1008, "Invalid message received")

    async def _hear(self, audio: bytes) -> None:
        delays = self._server.delays
        is_spelling = (
            bool(self._ears.words) and self._ears.words[-1].strip(",. ").lower() in _DIGITS
        )
        pause_s = delays.spelling_end_s if is_spelling else delays.turn_end_s
        for kind, _, text in self._ears.feed(audio, onset_s=delays.onset_s, silence_s=pause_s):
            self._active_s = elapsed()
            if kind == "started":
                await self._interrupt()
            else:
                await self._heard(text)

    async def _interrupt(self) -> None:
        utterance, now_s = self._utterance, elapsed()
        is_busy = self._speaking is not None and not self._speaking.done()
        if utterance is None or not (is_busy or utterance.is_heard_at(now_s)):
            return
        if self._speaking:
            self._speaking.cancel()
        last = self._event_id
        await self._send("interruption", interruption_event={"event_id": last})
        correction = {
            "original_agent_response": utterance.text,
            "corrected_agent_response": utterance.heard_text(now_s),
        }
        await self._send("agent_response_correction", agent_response_correction_event=correction)
        self._utterance = None
        if self._server.faults.take("elevenlabs.interruption"):
            for number in range(max(1, last - 2), last + 1):
                await self._audio(speech.noise(self._server.delays.piece_s), number)

    async def _heard(self, text: str) -> None:
        fault = self._server.faults.take("elevenlabs.transcript")
        told = "..." if fault or not text else text
        await self._send("user_transcript", user_transcription_event={"user_transcript": told})
        if text:
            self._answer(text)

    # What the agent does.

    def _answer(self, said: str) -> None:
        if self._speaking:
            self._speaking.cancel()
        self._speaking = self._start(self._think(said))

    def _say(self, text: str) -> None:
        self._speaking = self._start(self._speak(text))

    async def _think(self, said: str) -> None:
        await asyncio.sleep(self._server.delays.think_s)
        if fault := self._server.faults.take("elevenlabs.response"):
            if fault.do is Do.ERROR:
                await self._send("error", message="This request exceeds your quota limit.")
                raise _Closed(1002, "This request exceeds your quota limit.")
            await self._stumble(fault.do, fault.for_s)
        for use in self._talker.uses(said):
            call_id = f"call_{len(self.sent)}"
            waiting = self._results[call_id] = asyncio.get_running_loop().create_future()
            call = {
                "tool_name": use.tool,
                "tool_call_id": call_id,
                "parameters": dict(use.arguments),
            }
            await self._send("client_tool_call", client_tool_call=call)
            await asyncio.wait({waiting}, timeout=5.0)
        if said := self._talker.answer():
            await self._speak(said)

    async def _speak(self, text: str) -> None:
        delays = self._server.delays
        self._utterance = utterance = _Utterance(text, elapsed())
        await self._send("agent_response", agent_response_event={"agent_response": text})
        sound = speech.encode(text, max(0.2, speech.Pace().seconds(text)))
        step = round(delays.piece_s * speech.RATE)
        for start in range(0, len(sound), step):
            if fault := self._server.faults.take("elevenlabs.audio"):
                await self._stumble(fault.do, fault.for_s)
            self._event_id += 1
            utterance.made_s += len(sound[start : start + step]) / speech.RATE
            await self._audio(sound[start : start + step], self._event_id)
            await asyncio.sleep(delays.piece_s / delays.speed)
        await self._send("agent_response_complete")

    async def _audio(self, sound: bytes, number: int) -> None:
        event = {"audio_base_64": base64.b64encode(sound).decode(), "event_id": number}
        await self._send("audio", audio_event=event)

    async def _stumble(self, do: Do, for_s: float) -> None:
        if do in {Do.STALL, Do.DRIP}:
            await asyncio.sleep(for_s)
        elif do is Do.STOP:
            await asyncio.Event().wait()
        elif do is Do.MALFORMED:
            await websocket.send('{"type": "audio", "audio_ev')
        elif do is Do.DISCONNECT:
            raise _Closed(1006 if for_s else 1011, "internal error")

    # Clocks.

    async def _ping(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(self._server.delays.ping_s)
            number += 1
            await self._send("ping", ping_event={"event_id": number, "ping_ms": 50})

    async def _expire(self) -> None:
        await asyncio.sleep(self.agent.longest_s)
        raise _Closed(1011, "Maximum conversation duration exceeded.")

    async def _watch(self) -> None:
        """Ask whether the caller is still there."""
        while True:
            await asyncio.sleep(0.5)
            now_s, utterance = elapsed(), self._utterance
            is_busy = self._speaking is not None and not self._speaking.done()
            if is_busy or (utterance and utterance.is_heard_at(now_s)) or self._ears.is_speech:
                self._active_s = now_s
            elif now_s - self._active_s >= self.agent.turn_timeout_s:
                self._active_s = now_s
                self._say("Are you still there?")

    async def _send(self, kind: str, **fields: Any) -> None:
        self.sent.append(kind)
        await websocket.send(json.dumps({"type": kind, **fields}))

    def _start(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Exception as err:  # noqa: BLE001 - whatever it is, it ends the connection
            if not self._closing.done():
                self._closing.set_exception(err)
