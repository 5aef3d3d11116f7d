"""Line (b): OpenAI's Realtime API. Sound goes in and comes out as mu-law; the model hears, thinks and speaks.

The session is set up in the GA shape; the names of beta servers (and of gateways that still speak them) are
understood as well. Responses are begun by the server when the caller's turn is over, but interrupted by us:
what must be heard to its end, such as an emergency text, is not cut off by a cough.

Source: openai-python 3.22 types/realtime (2026-11-30)
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from voice.dialogue.types import Patience
from voice.line import vendor as v
from voice.line.openai_names import PAUSES, fault_of, refusal, today
from voice.line.playout import Heard
from voice.profile import LineKind

_LOG = structlog.get_logger(module=__name__)

# Source: openai-python 3.22 types/realtime/audio_transcription.py (2026-11-30)
TRANSCRIBER = "gpt-4o-mini-transcribe"
VOICE = "marin"
#: How long a pause ends the caller's turn. The API's own default is 500 ms; a tenth less is a tenth sooner.
# Source: openai-python 3.22 types/realtime/realtime_audio_input_turn_detection.py (2026-11-30)
SILENCE_MS: Mapping[Patience, int] = {Patience.NORMAL: 400, Patience.DIGITS: 1_800}
#: A dead connection is noticed within twice this time.
PING_S = 5.0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
#: The metadata that marks a response made to be kept, not played.
FILLER = {"afterbeep": "filler"}
_EXACTLY = (
    "Say the following to the caller word for word, in the same language, and nothing else:\n\n"
)

Fillers = dict[tuple[str, str, str], bytes]
Json = Mapping[str, Any]


class OpenAIRealtime:
    """A conversation with OpenAI's Realtime API.

    ``fillers`` keeps the sound of the filler line by model, voice and language: it is made once, beside a
    conversation that has none.
    """

    kind = LineKind.OPENAI
    speaks_lines = True

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        model: str,
        voice: str | None = None,
        connect_s: float = 3.0,
        language: str = "en",
        filler_line: str = "",
        fillers: Fillers | None = None,
    ) -> None:
        """Talk to ``model`` at ``base_url`` (wss://…); nothing is connected yet."""
        self.model = model
        self._url = f"{base_url}/v1/realtime?model={model}"
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._voice = voice or VOICE
        self._connect_s = connect_s
        self._filler_line = filler_line
        self._fillers = fillers if fillers is not None else {}
        self._language = language
        self._socket: ClientConnection | None = None
        self._open: dict[str, bool] = {}
        self._kept: dict[str, bytearray] = {}
        self._asks_filler = False
        self._words: dict[str, str] = {}
        self._patience = Patience.NORMAL
        #: Words that were asked for exactly and are not yet spoken to their end.
        self._exact: str | None = None

    async def open(self, opening: v.Opening) -> None:
        """Connect, set the session up and have the first words spoken."""
        try:
            async with asyncio.timeout(self._connect_s):
                self._socket = await connect(
                    self._url,
                    additional_headers=self._headers,
                    ping_interval=PING_S,
                    ping_timeout=PING_S,
                    max_size=MAX_MESSAGE_BYTES,
                    open_timeout=None,
                )
        except TimeoutError as err:
            raise v.VendorFailed("connect") from err
        except InvalidStatus as err:
            status = err.response.status_code
            raise v.VendorFailed(f"refused_{status}", pause_s=PAUSES.get(status, 0.0)) from err
        except (InvalidHandshake, InvalidURI, OSError) as err:
            raise v.VendorFailed("connect") from err
        await self._send({"type": "session.update", "session": self._session(opening)})
        for who, text in opening.said:
            await self._send({"type": "conversation.item.create", "item": _said(who, text)})
        if opening.first:
            await self.say(" ".join(opening.first))
        else:
            await self._send({"type": "response.create"})

    async def events(self) -> AsyncGenerator[v.Event, None]:
        """Give what happens, until the conversation is over; raises VendorFailed when it breaks off."""
        socket = self._connected()
        try:
            async for text in socket:
                for event in self._read(text):
                    yield event
                if self._asks_filler:
                    await self._make_filler()
        except ConnectionClosed as err:
            raise self._closed(err) from err
        raise self._closed(None)

    async def hear(self, audio: bytes) -> None:
        """Pass on what the caller says."""
        payload = base64.b64encode(audio).decode()
        await self._send_text(f'{{"type":"input_audio_buffer.append","audio":"{payload}"}}')

    async def say(self, text: str) -> None:
        """Have exactly these words spoken now, instead of whatever is being made."""
        await self._cancel(self._open)
        self._exact = text
        # Source: openai-python 3.22 types/realtime/realtime_response_create_params_param.py (2026-11-30)
        await self._send(
            {
                "type": "response.create",
                "response": {"instructions": _EXACTLY + text, "tool_choice": "none"},
            }
        )

    async def tell(self, text: str) -> None:
        """Let the model know something, without an answer."""
        await self._send({"type": "conversation.item.create", "item": _said("system", text)})

    async def interrupted(self, heard: Sequence[Heard], dead: frozenset[str]) -> None:
        """Cancel what is being made, and cut from the model's memory what was not heard."""
        await self._cancel(dead)
        if heard:
            self._exact = None
        for one in heard:
            await self._send(
                {
                    "type": "conversation.item.truncate",
                    "item_id": one.item,
                    "content_index": 0,
                    # Behind the end of the sound it is an error.
                    "audio_end_ms": min(one.played_ms, one.sent_ms),
                }
            )

    async def answer(self, call_id: str, result: str, *, is_error: bool, speak: bool) -> None:
        """Give a tool's result; errors are told in it."""
        del is_error
        item = {"type": "function_call_output", "call_id": call_id, "output": result}
        await self._send({"type": "conversation.item.create", "item": item})
        if speak:
            await self._send({"type": "response.create"})

    async def be_patient(self, patience: Patience) -> None:
        """Let pauses be longer, or not any more."""
        if patience is self._patience:
            return
        self._patience = patience
        session = {"type": "realtime", "audio": {"input": {"turn_detection": self._turns()}}}
        await self._send({"type": "session.update", "session": session})

    async def again(self) -> bool:
        """Ask once more for an answer that does not come, or for the words that were not spoken."""
        if self._exact is not None:
            await self.say(self._exact)
            return True
        await self._cancel(self._open)
        await self._send({"type": "response.create"})
        return True

    async def filler(self) -> bytes:
        """Give the filler line's sound, if it has been made."""
        return self._fillers.get(self.filler_key, b"")

    async def close(self) -> None:
        """End the conversation."""
        if self._socket is not None:
            await self._socket.close()

    def _session(self, opening: v.Opening) -> Json:
        # Source: openai-python 3.22 types/realtime/realtime_session_create_request_param.py (2026-11-30)
        sound = {"type": "audio/pcmu"}
        # The language is not given: callers may speak another one than we greet in.
        transcription = {"model": TRANSCRIBER}
        return {
            "type": "realtime",
            "model": self.model,
            "output_modalities": ["audio"],
            "instructions": opening.instructions,
            "audio": {
                "input": {
                    "format": sound,
                    "turn_detection": self._turns(),
                    "transcription": transcription,
                },
                "output": {"format": sound, "voice": self._voice},
            },
            "tools": list(opening.tools),
            "tool_choice": "auto",
        }

    def _turns(self) -> Json:
        return {
            "type": "server_vad",
            "silence_duration_ms": SILENCE_MS[self._patience],
            "create_response": True,
            "interrupt_response": False,
        }

    def _read(self, text: str | bytes) -> list[v.Event]:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return [v.Told("openai:malformed")]
        if not isinstance(message, dict):
            return [v.Told("openai:malformed")]
        kind = today(str(message.get("type")))
        reader = _READERS.get(kind)
        try:
            return reader(self, message) if reader else [v.Alive()]
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
            return [v.Told("openai:malformed")]

    def _began(self, message: Json) -> list[v.Event]:
        response = str(message["response"]["id"])
        if (message["response"].get("metadata") or {}) == FILLER:
            self._kept[response] = bytearray()
            return [v.Alive()]
        self._open[response] = True
        return [v.ResponseBegan(response)]

    def _sound(self, message: Json) -> list[v.Event]:
        response = str(message["response_id"])
        audio = base64.b64decode(message["delta"], validate=True)
        if response in self._kept:
            self._kept[response] += audio
            return [v.Alive()]
        return [v.Sound(response, str(message["item_id"]), audio)]

    def _transcript_part(self, message: Json) -> list[v.Event]:
        item = str(message["item_id"])
        if str(message.get("response_id")) in self._kept:
            return []
        self._words[item] = self._words.get(item, "") + str(message["delta"])
        return [v.AgentSaid(item, self._words[item])]

    def _transcript(self, message: Json) -> list[v.Event]:
        item = str(message["item_id"])
        self._words.pop(item, None)
        if str(message.get("response_id")) in self._kept:
            return []
        return [v.AgentSaid(item, str(message["transcript"]))]

    def _done(self, message: Json) -> list[v.Event]:
        found = message["response"]
        response = str(found["id"])
        if (kept := self._kept.pop(response, None)) is not None:
            if found.get("status") == "completed":
                self._fillers[self.filler_key] = bytes(kept)
            return [v.Alive()]
        self._open.pop(response, None)
        if found.get("status") == "completed":
            self._exact = None
        self._asks_filler = bool(self._filler_line) and self.filler_key not in self._fillers
        fault = fault_of(found)
        wanted = [] if fault else [_tool(item, response) for item in found.get("output") or ()]
        return [*(one for one in wanted if one), v.ResponseOver(response, fault)]

    def _caller_said(self, message: Json) -> list[v.Event]:
        # Source: openai-python 3.22 types/audio/transcription_language.py (2026-11-30)
        found = message.get("languages") or ()
        language = found[0].get("code") if found and isinstance(found[0], dict) else None
        text = str(message["transcript"]).strip()
        return [v.CallerSaid(text, language)] if text else [v.Alive()]

    def _error(self, message: Json) -> list[v.Event]:
        error = message.get("error") or {}
        failure = refusal(str(error.get("type")), str(error.get("code")))
        if failure is not None:
            raise failure
        code = str(error.get("code") or error.get("type") or "error")[:60]
        _LOG.info("vendor refused a message", vendor="openai", code=code)
        return [v.Alive()]

    async def _make_filler(self) -> None:
        # Beside the conversation: several responses may be made at once, but only one of them may belong to it.
        # Source: openai-python 3.22 types/realtime/response_create_event_param.py (2026-11-30)
        self._asks_filler = False
        self._fillers[self.filler_key] = b""
        response = {
            "conversation": "none",
            "metadata": FILLER,
            "input": [],
            "tool_choice": "none",
            "instructions": _EXACTLY + self._filler_line,
        }
        await self._send({"type": "response.create", "response": response})

    async def _cancel(self, responses: Mapping[str, bool] | frozenset[str]) -> None:
        for response in [one for one in responses if one in self._open]:
            del self._open[response]
            await self._send({"type": "response.cancel", "response_id": response})

    @property
    def filler_key(self) -> tuple[str, str, str]:
        """What a filler's sound depends on, besides its words: model, voice, language."""
        return self.model, self._voice, self._language

    def _connected(self) -> ClientConnection:
        if self._socket is None:
            raise v.VendorFailed("connect")
        return self._socket

    async def _send(self, message: Json) -> None:
        await self._send_text(json.dumps(message))

    async def _send_text(self, text: str) -> None:
        try:
            await self._connected().send(text)
        except ConnectionClosed as err:
            raise self._closed(err) from err

    def _closed(self, err: ConnectionClosed | None) -> v.VendorFailed:
        code = err.rcvd.code if err and err.rcvd else None
        reason = err.rcvd.reason if err and err.rcvd else ""
        return refusal(reason, str(code)) or v.VendorFailed("disconnected")


def _said(who: str, text: str) -> Json:
    kind = "output_text" if who == "assistant" else "input_text"
    return {"type": "message", "role": who, "content": [{"type": kind, "text": text}]}


def _tool(item: Json, response: str) -> v.ToolWanted | None:
    if item.get("type") != "function_call":
        return None
    try:
        arguments = json.loads(item.get("arguments") or "{}")
    except ValueError:
        arguments = {}
    table = arguments if isinstance(arguments, dict) else {}
    return v.ToolWanted(str(item["call_id"]), str(item["name"]), table, response)


_READERS: Mapping[str, Callable[[OpenAIRealtime, Json], list[v.Event]]] = {
    "response.created": OpenAIRealtime._began,  # noqa: SLF001 - the class's own table
    "response.output_audio.delta": OpenAIRealtime._sound,  # noqa: SLF001
    "response.output_audio_transcript.delta": OpenAIRealtime._transcript_part,  # noqa: SLF001
    "response.output_audio_transcript.done": OpenAIRealtime._transcript,  # noqa: SLF001
    "response.done": OpenAIRealtime._done,  # noqa: SLF001
    "input_audio_buffer.speech_started": lambda _self, _message: [v.CallerStarted()],
    "input_audio_buffer.speech_stopped": lambda _self, _message: [v.CallerStopped()],
    "conversation.item.input_audio_transcription.completed": OpenAIRealtime._caller_said,  # noqa: SLF001
    "conversation.item.input_audio_transcription.failed": lambda _self, _message: [
        v.Told("openai:transcription")
    ],
    "error": OpenAIRealtime._error,  # noqa: SLF001
}
