"""One connection to OpenAI's Realtime API in miniature: what the client sends, what the model does, what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from quart import websocket

from voice.sandbox import speech
from voice.sandbox.ears import Ears
from voice.sandbox.faults import Do, Faults
from voice.sandbox.openai_session import Say, Session, message_item, response_of
from voice.sandbox.talker import Talker


@dataclass(frozen=True, slots=True)
class Delays:
    """How long things take, in seconds; ``speed`` is how much faster than real time sound is made."""

    connect_s: float = 0.0
    onset_s: float = 0.1
    think_s: float = 0.3
    transcript_s: float = 0.2
    piece_s: float = 0.2
    speed: float = 5.0


class Server(Protocol):
    """What a connection needs to know of the vendor that it belongs to."""

    is_beta: bool
    delays: Delays
    faults: Faults
    longest_s: float
    speaks_with_tools: bool


class _Closed(Exception):
    """The server closes the connection."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Conversation:
    """One connection. ``received`` holds what the client sent (sound left out), ``sent`` the events' names."""

    def __init__(self, server: Server) -> None:  # noqa: D107 - the class says it
        self._server = server
        self.session = Session(is_beta=server.is_beta)
        self.received: list[Mapping[str, Any]] = []
        self.sent: list[str] = []
        self.errors: list[str] = []
        self._talker = Talker()
        self._ears = Ears()
        self._active: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve the connection until one side ends it."""
        await self._send("session.created", session=self.session.described())
        if fault := self._server.faults.take("openai.session"):
            await self._session_fault(fault.do, fault.status)
        self._start(self._read())
        self._start(self._expire())
        try:
            await self._closing
        except _Closed as err:
            await websocket.close(err.code, err.reason)
        finally:
            for task in [*self._tasks, *self._active.values()]:
                task.cancel()

    # The client's events.

    async def _read(self) -> None:
        while True:
            text = await websocket.receive()
            try:
                message = json.loads(text)
                kind = message["type"]
            except (ValueError, KeyError, TypeError):
                await self._error("invalid_request_error", "invalid_json")
                continue
            if kind != "input_audio_buffer.append":
                self.received.append(message)
            reader = _CLIENT.get(kind)
            if reader is None:
                await self._error("invalid_request_error", "invalid_value", param="type")
                continue
            try:
                await reader(self, message)
            except (KeyError, TypeError, ValueError, binascii.Error):
                await self._error("invalid_request_error", "invalid_value")

    async def _update(self, message: Mapping[str, Any]) -> None:
        if problem := self.session.update(message["session"]):
            await self._error("invalid_request_error", "unknown_parameter", param=problem)
            return
        self._talker.tools = self.session.tool_names()
        self._talker.instructions = str(self.session.settings.get("instructions") or "")
        await self._send("session.updated", session=self.session.described())

    async def _append(self, message: Mapping[str, Any]) -> None:
        turns = self.session.turn_detection
        for kind, at_ms, text in self._ears.feed(
            base64.b64decode(message["audio"]),
            onset_s=self._server.delays.onset_s,
            silence_s=self.session.silence_s(),
        ):
            if not turns:
                continue
            if kind == "started":
                await self._speech_started(at_ms)
            else:
                await self._speech_stopped(at_ms, text)

    async def _speech_started(self, at_ms: int) -> None:
        item = self._new("item")
        self._ears.item = item
        await self._send("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=item)
        if self.session.turn_detection.get("interrupt_response", True):
            for response in list(self._active):
                await self._cancel_one(response, "turn_detected")

    async def _speech_stopped(self, at_ms: int, text: str) -> None:
        item = self._ears.item
        await self._send("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=item)
        await self._send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        user = {"id": item, "type": "message", "role": "user", "content": content}
        await self._added(user)
        self.session.heard.append(text)
        if self.session.transcribes:
            self._start(self._transcribe(item, text))
        if self.session.turn_detection.get("create_response", True):
            if self._active:
                await self._error(
                    "invalid_request_error", "conversation_already_has_active_response"
                )
            else:
                self._respond({})

    async def _transcribe(self, item: str, text: str) -> None:
        fault = self._server.faults.take("openai.transcript")
        await asyncio.sleep(self._server.delays.transcript_s + (fault.for_s if fault else 0.0))
        name = "conversation.item.input_audio_transcription"
        if fault and fault.do is Do.STOP:
            return
        if fault and fault.do is Do.ERROR:
            error = {"type": "server_error", "code": "audio_unintelligible", "message": ""}
            await self._send(f"{name}.failed", item_id=item, content_index=0, error=error)
            return
        await self._send(f"{name}.completed", item_id=item, content_index=0, transcript=text)

    async def _create_item(self, message: Mapping[str, Any]) -> None:
        item = {"id": self._new("item"), **message["item"]}
        if item["type"] == "function_call_output" and item["call_id"] not in self.session.calls:
            await self._error("invalid_request_error", "invalid_value", param="item.call_id")
            return
        self.session.items.append(item)
        if item.get("role") == "system":
            self._talker.told(" ".join(str(part.get("text")) for part in item.get("content", ())))
        await self._added(item)

    async def _truncate(self, message: Mapping[str, Any]) -> None:
        item, end_ms = str(message["item_id"]), int(message["audio_end_ms"])
        length = self.session.sound_ms.get(item)
        if length is None:
            await self._error("invalid_request_error", "item_truncate_invalid_item_id")
        elif end_ms > length or end_ms < 0:
            await self._error("invalid_request_error", "invalid_value", param="audio_end_ms")
        else:
            self.session.truncated[item] = end_ms
            await self._send(
                "conversation.item.truncated", item_id=item, content_index=0, audio_end_ms=end_ms
            )

    async def _create(self, message: Mapping[str, Any]) -> None:
        wanted = message.get("response") or {}
        if wanted.get("conversation") != "none" and self._active:
            await self._error("invalid_request_error", "conversation_already_has_active_response")
            return
        self._respond(wanted)

    async def _cancel(self, message: Mapping[str, Any]) -> None:
        wanted = message.get("response_id")
        found = [one for one in self._active if wanted in (None, one)]
        if not found:
            await self._error("invalid_request_error", "response_cancel_not_active")
        for response in found:
            await self._cancel_one(response, "client_cancelled")

    async def _cancel_one(self, response: str, reason: str) -> None:
        self._active.pop(response).cancel()
        details = {"type": "cancelled", "reason": reason}
        await self._send("response.done", response=response_of(response, "cancelled", details))
        if self._server.faults.take("openai.cancel"):
            late = base64.b64encode(speech.noise(self._server.delays.piece_s)).decode()
            item = self.session.last_item
            for _ in range(5):
                await self._send(
                    "response.output_audio.delta", response_id=response, item_id=item, delta=late
                )

    async def _clear(self, _: Mapping[str, Any]) -> None:
        self._ears = Ears()
        await self._send("input_audio_buffer.cleared")

    # What the model does.

    def _respond(self, wanted: Mapping[str, Any]) -> None:
        response = self._new("resp")
        work = self._answer(response, wanted)
        if wanted.get("conversation") == "none":
            self._start(work)
            return
        task = asyncio.create_task(self._guarded(work), name=response)
        self._active[response] = task

    async def _answer(self, response: str, wanted: Mapping[str, Any]) -> None:
        metadata = wanted.get("metadata")
        created = {"id": response, "object": "realtime.response", "status": "in_progress"}
        await self._send("response.created", response={**created, "metadata": metadata})
        await asyncio.sleep(self._server.delays.think_s)
        if fault := self._server.faults.take("openai.response"):
            if fault.do is Do.ERROR:
                await self._fail(response, fault.status)
                return
            await self._stumble(fault.do, fault.for_s)
        output = await self._output(response, wanted)
        self._active.pop(response, None)
        done = response_of(response, "completed", None, output)
        await self._send("response.done", response={**done, "metadata": metadata})
        await self._send("rate_limits.updated", rate_limits=[])

    async def _output(self, response: str, wanted: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        said = self.session.exact_words(wanted)
        if said is None:
            heard, self.session.heard = " ".join(self.session.heard), []
            if heard or not self.session.has_answered:
                uses = self._talker.uses(heard) if wanted.get("tool_choice") != "none" else []
                if uses:
                    self.session.has_answered = True
                    spoken: list[Mapping[str, Any]] = []
                    if self._server.speaks_with_tools and (said := self._talker.answer()):
                        item = self._new("item")
                        await self._speak(response, item, Say(said))
                        spoken.append(message_item(item, said))
                    calls = [await self._call(response, use.tool, use.arguments) for use in uses]
                    return [*spoken, *calls]
            said = self._talker.answer()
        if not said:
            return []
        item = self._new("item")
        await self._speak(response, item, Say(said, is_kept=wanted.get("conversation") != "none"))
        return [message_item(item, said)]

    async def _call(
        self, response: str, tool: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        call_id, item_id = self._new("call"), self._new("item")
        self.session.calls.add(call_id)
        item = {"id": item_id, "type": "function_call", "call_id": call_id, "name": tool}
        about = {"response_id": response, "item_id": item_id, "output_index": 0}
        await self._send("response.output_item.added", response_id=response, item=item)
        written = json.dumps(arguments)
        name = "response.function_call_arguments"
        await self._send(f"{name}.delta", **about, call_id=call_id, delta=written)
        await self._send(f"{name}.done", **about, call_id=call_id, name=tool, arguments=written)
        return {**item, "arguments": written, "status": "completed"}

    async def _speak(self, response: str, item: str, say: Say) -> None:
        about = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        await self._send(
            "response.output_item.added", response_id=response, item=message_item(item, None)
        )
        if say.is_kept:
            self.session.sound_ms[item] = 0
            self.session.last_item = item
        for text, sound in say.pieces(self._server.delays.piece_s):
            if fault := self._server.faults.take("openai.delta"):
                await self._stumble(fault.do, fault.for_s)
            if text:
                await self._send("response.output_audio_transcript.delta", **about, delta=text)
            delta = base64.b64encode(sound).decode()
            if say.is_kept:
                self.session.sound_ms[item] += len(sound) * 1000 // speech.RATE
            await self._send("response.output_audio.delta", **about, delta=delta)
            await asyncio.sleep(self._server.delays.piece_s / self._server.delays.speed)
        await self._send("response.output_audio.done", **about)
        await self._send("response.output_audio_transcript.done", **about, transcript=say.text)
        await self._send(
            "response.output_item.done", response_id=response, item=message_item(item, say.text)
        )

    async def _fail(self, response: str, status: int | None) -> None:
        code = {429: "rate_limit_exceeded", 402: "insufficient_quota"}.get(
            status or 500, "server_overloaded"
        )
        self._active.pop(response, None)
        details = {"type": "failed", "error": {"type": "failed", "code": code}}
        await self._send("response.done", response=response_of(response, "failed", details))

    # What goes wrong.

    async def _stumble(self, do: Do, for_s: float) -> None:
        if do in {Do.STALL, Do.DRIP}:
            await asyncio.sleep(for_s)
        elif do is Do.STOP:
            await asyncio.Event().wait()
        elif do is Do.MALFORMED:
            await websocket.send('{"type": "response.output_audio.del')
        elif do is Do.DISCONNECT:
            raise _Closed(1011, "internal error")

    async def _session_fault(self, do: Do, status: int | None) -> None:
        if do is Do.ERROR:
            codes = {
                401: "invalid_api_key",
                402: "insufficient_quota",
                404: "beta_api_shape_disabled",
            }
            code = codes.get(status or 500, "server_error")
            await self._error("invalid_request_error", code)
            await websocket.close(4000, f"invalid_request_error.{code}")
        else:
            await self._stumble(do, 0.0)

    async def _expire(self) -> None:
        await asyncio.sleep(self._server.longest_s)
        await self._error("invalid_request_error", "session_expired")
        raise _Closed(1001, "session expired")

    async def _added(self, item: Mapping[str, Any]) -> None:
        await self._send("conversation.item.added", item=item, previous_item_id=None)
        if not self._server.is_beta:
            await self._send("conversation.item.done", item=item, previous_item_id=None)

    async def _error(self, kind: str, code: str, *, param: str | None = None) -> None:
        self.errors.append(code)
        error = {"type": kind, "code": code, "message": f"{code}.", "param": param}
        await self._send("error", error=error)

    async def _send(self, kind: str, **fields: Any) -> None:
        name = self.session.name(kind)
        self.sent.append(name)
        await websocket.send(json.dumps({"type": name, "event_id": self._new("event"), **fields}))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Exception as err:  # noqa: BLE001 - whatever it is, it ends the connection
            if not self._closing.done():
                self._closing.set_exception(err)

    def _new(self, kind: str) -> str:
        self._number += 1
        return f"{kind}_{self._number:04d}"


_CLIENT = {
    "session.update": Conversation._update,  # noqa: SLF001 - the class's own table
    "input_audio_buffer.append": Conversation._append,  # noqa: SLF001
    "input_audio_buffer.clear": Conversation._clear,  # noqa: SLF001
    "conversation.item.create": Conversation._create_item,  # noqa: SLF001
    "conversation.item.truncate": Conversation._truncate,  # noqa: SLF001
    "response.create": Conversation._create,  # noqa: SLF001
    "response.cancel": Conversation._cancel,  # noqa: SLF001
}
