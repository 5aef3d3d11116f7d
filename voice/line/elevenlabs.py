"""Line (c): an agent of ElevenLabs. Sound goes in and comes out as mu-law; the agent hears, thinks and speaks.

The agent belongs to the tenant's (or the operator's) account at ElevenLabs. What must be set there: input and
output format ``ulaw_8000``, the tools of :func:`voice.tools.for_elevenlabs` as client tools, and that prompt,
first message and language may be overridden. It cannot be made to speak given words in the middle of a call:
where that must be, the next line goes on.

Source: elevenlabs-python 2.78 conversational_ai/conversation.py (2026-11-30)
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from voice.dialogue.types import Patience
from voice.line import vendor as v
from voice.line.media_messages import BYTES_PER_MS
from voice.line.playout import Heard
from voice.profile import LineKind
from voice.tls import trusted
from voice.turns import speaking_s

FORMAT = "ulaw_8000"
PING_S = 5.0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
#: Less sound than this share of the time that the words take: the rest is missing.
WHOLE_SHARE = 0.4
#: How long other calls leave the vendor alone after these HTTP statuses, in seconds.
PAUSES: Mapping[int, float] = {401: 600.0, 403: 600.0, 404: 600.0, 429: 30.0, 500: 10.0, 503: 15.0}
_LONG_S, _SHORT_S = 600.0, 30.0

Json = Mapping[str, Any]


class ElevenLabs:
    """A conversation with an agent. With an API key it is opened by a signed URL, as private agents want."""

    kind = LineKind.ELEVENLABS
    speaks_lines = False

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None,
        agent_id: str,
        connect_s: float = 3.0,
    ) -> None:
        """Talk to an agent at ``base_url`` (https://…); nothing is connected yet."""
        self.model = agent_id
        self._base_url = base_url
        self._api_key = api_key
        self._connect_s = connect_s
        self._socket: ClientConnection | None = None
        self._interrupted_id = -1
        self._utterance = 0
        self._has_begun = False
        self._texts: list[str] = []
        self._sound_ms = 0.0
        self._is_open = False
        self._is_cut = False
        self._late_text: str | None = None

    async def open(self, opening: v.Opening) -> None:
        """Connect and start the conversation with our prompt, first words and language."""
        try:
            async with asyncio.timeout(self._connect_s):
                self._socket = await connect(
                    await self._address(),
                    ping_interval=PING_S,
                    ping_timeout=PING_S,
                    max_size=MAX_MESSAGE_BYTES,
                    open_timeout=None,
                )
                await self._send(_initiation(opening))
                await self._check_formats()
        except TimeoutError as err:
            raise v.VendorFailed("connect") from err
        except InvalidStatus as err:
            raise _refused(err.response.status_code) from err
        except ConnectionClosed as err:
            raise _closed(err) from err
        except (InvalidHandshake, InvalidURI, httpx.HTTPError, OSError) as err:
            raise v.VendorFailed("connect") from err

    async def events(self) -> AsyncGenerator[v.Event, None]:
        """Give what happens, until the conversation is over; raises VendorFailed when it breaks off."""
        socket = self._connected()
        try:
            async for text in socket:
                message = _message(text)
                if message is None:
                    yield v.Told("elevenlabs:malformed")
                    continue
                if message.get("type") == "ping":
                    await self._pong(message)
                for event in self._read(message):
                    yield event
        except ConnectionClosed as err:
            raise _closed(err) from err
        raise v.VendorFailed("disconnected")

    async def hear(self, audio: bytes) -> None:
        """Pass on what the caller says."""
        await self._send_text(f'{{"user_audio_chunk":"{base64.b64encode(audio).decode()}"}}')

    async def say(self, text: str) -> None:
        """Fail: an agent speaks in its own words, and this must be said in ours."""
        del text
        raise v.VendorFailed("own_words")

    async def tell(self, text: str) -> None:
        """Let the agent know something, without an answer."""
        await self._send({"type": "contextual_update", "text": text})

    async def interrupted(self, heard: Sequence[Heard], dead: frozenset[str]) -> None:
        """Do nothing: the vendor interrupts by itself, and corrects its own memory."""
        del heard, dead

    async def answer(self, call_id: str, result: str, *, is_error: bool, speak: bool) -> None:
        """Give a tool's result; the agent speaks by itself."""
        del speak
        await self._send(
            {
                "type": "client_tool_result",
                "tool_call_id": call_id,
                "result": result,
                "is_error": is_error,
            }
        )

    async def be_patient(self, patience: Patience) -> None:
        """Do nothing: patience with digits is a setting of the agent (``spelling_patience``)."""
        # Source: elevenlabs-python 2.78 types/turn_config_override.py: no override of it (2026-11-30)
        del patience

    async def again(self) -> bool:
        """Do nothing: an agent cannot be asked without words of the caller."""
        return False

    async def filler(self) -> bytes:
        """Give nothing: an agent fills its own waits (``soft_timeout_config``)."""
        return b""

    async def close(self) -> None:
        """End the conversation."""
        if self._socket is not None:
            await self._socket.close()

    async def _address(self) -> str:
        if not self._api_key:
            base = f"ws{self._base_url.removeprefix('http')}"
            return f"{base}/v1/convai/conversation?{urlencode({'agent_id': self.model})}"
        # Source: elevenlabs-python 2.78 conversational_ai/conversations/raw_client.py (2026-11-30)
        async with httpx.AsyncClient(timeout=self._connect_s, verify=trusted()) as client:
            answer = await client.get(
                f"{self._base_url}/v1/convai/conversation/get-signed-url",
                params={"agent_id": self.model},
                headers={"xi-api-key": self._api_key},
            )
        if answer.status_code != httpx.codes.OK:
            raise _refused(answer.status_code)
        try:
            return self._trusted(str(answer.json()["signed_url"]))
        except (ValueError, KeyError, TypeError) as err:
            raise v.VendorFailed("signed_url") from err

    def _trusted(self, url: str) -> str:
        host, ours = urlsplit(url).hostname or "", urlsplit(self._base_url).hostname
        if host != ours and not host.endswith(".elevenlabs.io"):
            raise v.VendorFailed("signed_url")
        return url

    async def _check_formats(self) -> None:
        message = _message(await self._connected().recv())
        found = (message or {}).get("conversation_initiation_metadata_event") or {}
        formats = (found.get("agent_output_audio_format"), found.get("user_input_audio_format"))
        if formats != (FORMAT, FORMAT):
            raise v.VendorFailed("audio_format", pause_s=_LONG_S)

    def _read(self, message: Json) -> list[v.Event]:
        reader = _READERS.get(str(message.get("type")))
        try:
            return reader(self, message) if reader else [v.Alive()]
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
            return [v.Told("elevenlabs:malformed")]

    def _sound(self, message: Json) -> list[v.Event]:
        event = message["audio_event"]
        number = int(event["event_id"])
        if number <= self._interrupted_id:
            return []
        audio = base64.b64decode(event["audio_base_64"], validate=True)
        events = self._again_after_cut()
        self._has_begun = True
        self._sound_ms += len(audio) / BYTES_PER_MS
        events.append(v.Sound(str(number), self._item(), audio))
        return events + self._over_if_whole()

    def _agent_said(self, message: Json) -> list[v.Event]:
        text = str(message["agent_response_event"]["agent_response"]).strip()
        if self._is_cut:
            self._late_text = (
                text  # of the answer that was cut, or of the next one: its sound tells
            )
            return []
        events: list[v.Event] = []
        self._has_begun = True
        self._texts.append(text)
        if not self._is_open:
            self._is_open = True
            events.append(v.ResponseBegan(self._item()))
        events.append(v.AgentSaid(self._item(), " ".join(self._texts)))
        return events + self._over_if_whole()

    def _corrected(self, message: Json) -> list[v.Event]:
        event = message["agent_response_correction_event"]
        text = str(event["corrected_agent_response"]).strip()
        if not self._texts:
            return []
        self._texts[-1] = text
        return [v.AgentCorrected(self._item(), " ".join(self._texts).strip())]

    def _complete(self, _: Json) -> list[v.Event]:
        return self._over()

    def _interruption(self, message: Json) -> list[v.Event]:
        number = int(message["interruption_event"]["event_id"])
        self._interrupted_id = max(self._interrupted_id, number)
        self._is_cut = True
        return [*self._over(), v.CallerStarted()]

    def _caller_said(self, message: Json) -> list[v.Event]:
        text = str(message["user_transcription_event"]["user_transcript"]).strip()
        # One in ten transcripts of telephone calls is "..." alone.
        # Source: https://github.com/elevenlabs/elevenlabs-python/issues/493 (2026-11-22)
        if not text.strip(".… "):
            return [v.Alive()]
        self._is_cut, self._late_text = False, None
        events = self._over()
        self._next()
        return [*events, v.CallerStopped(), v.CallerSaid(text)]

    def _error(self, message: Json) -> list[v.Event]:
        # Source: https://github.com/elevenlabs/packages/issues/911: {"type": "error", "message": …} (2026-11-30)
        told = json.dumps(message).lower()
        if "quota" in told:
            raise v.VendorFailed("quota", pause_s=_LONG_S)
        return [v.Told("elevenlabs:error")]

    def _tool(self, message: Json) -> list[v.Event]:
        call = message["client_tool_call"]
        parameters = call.get("parameters")
        table = parameters if isinstance(parameters, dict) else {}
        return [v.ToolWanted(str(call["tool_call_id"]), str(call["tool_name"]), table)]

    def _again_after_cut(self) -> list[v.Event]:
        """The agent goes on without words of the caller: the interruption was none."""
        if not self._is_cut:
            return []
        self._is_cut = False
        self._next()
        events: list[v.Event] = [v.CallerStopped()]
        if self._late_text is not None:
            self._texts.append(self._late_text)
            events.append(v.AgentSaid(self._item(), self._late_text))
        self._late_text = None
        return events

    def _over_if_whole(self) -> list[v.Event]:
        needed_ms = speaking_s(" ".join(self._texts)) * 1000 * WHOLE_SHARE
        return self._over() if self._texts and self._sound_ms >= needed_ms else []

    def _over(self) -> list[v.Event]:
        was_open, self._is_open = self._is_open, False
        return [v.ResponseOver(self._item())] if was_open else []

    def _next(self) -> None:
        if self._has_begun:
            self._utterance += 1
            self._has_begun = self._is_open = False
            self._texts, self._sound_ms = [], 0.0

    def _item(self) -> str:
        return f"utterance-{self._utterance}"

    async def _pong(self, message: Json) -> None:
        event = message.get("ping_event")
        number = event.get("event_id") if isinstance(event, dict) else None
        await self._send({"type": "pong", "event_id": number})

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
            raise _closed(err) from err


def _initiation(opening: v.Opening) -> Json:
    # Source: elevenlabs-python 2.78 types/agent_config_override_input.py (2026-11-30)
    prompt = opening.instructions
    if opening.said:
        before = "\n".join(f"{who}: {text}" for who, text in opening.said)
        prompt = f"{prompt}\n\nSaid in this call so far, only as a record:\n{before}"
    agent: dict[str, Any] = {
        "prompt": {"prompt": prompt},
        "language": opening.language.split("-", 1)[0].lower(),
    }
    if opening.first:
        agent["first_message"] = " ".join(opening.first)
    return {
        "type": "conversation_initiation_client_data",
        "conversation_config_override": {"agent": agent},
        "custom_llm_extra_body": {},
        "dynamic_variables": {},
    }


def _message(text: str | bytes) -> Json | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refused(status: int) -> v.VendorFailed:
    return v.VendorFailed(f"refused_{status}", pause_s=PAUSES.get(status, 0.0))


def _closed(err: ConnectionClosed) -> v.VendorFailed:
    code = err.rcvd.code if err.rcvd else None
    reason = err.rcvd.reason.lower() if err.rcvd else ""
    if "quota" in reason or "credit" in reason:
        return v.VendorFailed("quota", pause_s=_LONG_S)
    # Overrides that the agent's settings forbid close the conversation at once.
    # Source: https://github.com/elevenlabs/packages/issues/337 (2026-11-30)
    if "override" in reason:
        return v.VendorFailed("overrides_forbidden", pause_s=_LONG_S)
    if code == 1011 and "duration" in reason:  # noqa: PLR2004 - the code of an unexpected end
        return v.VendorFailed("max_duration")
    if code == 1008:  # noqa: PLR2004 - the code of a broken policy
        return v.VendorFailed("policy", pause_s=_SHORT_S)
    return v.VendorFailed("disconnected")


_READERS: Mapping[str, Callable[[ElevenLabs, Json], list[v.Event]]] = {
    "audio": ElevenLabs._sound,  # noqa: SLF001 - the class's own table
    "agent_response": ElevenLabs._agent_said,  # noqa: SLF001
    "agent_response_correction": ElevenLabs._corrected,  # noqa: SLF001
    "agent_response_complete": ElevenLabs._complete,  # noqa: SLF001
    "interruption": ElevenLabs._interruption,  # noqa: SLF001
    "user_transcript": ElevenLabs._caller_said,  # noqa: SLF001
    "client_tool_call": ElevenLabs._tool,  # noqa: SLF001
    "client_error": ElevenLabs._error,  # noqa: SLF001
    "error": ElevenLabs._error,  # noqa: SLF001
}
