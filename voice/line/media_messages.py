"""Twilio's Media Streams messages as values. What is not understood is nothing: None, never an exception.

Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages (2026-11-30)
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: A frame of Twilio's holds 20 ms; ten seconds in one message is no frame of a call.
MAX_AUDIO_BYTES = 80_000
#: Longer messages are not read at all.
MAX_MESSAGE_CHARS = 200_000
#: Bytes of mu-law in a millisecond of sound: 8,000 samples a second, one byte each.
BYTES_PER_MS = 8


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins; ``parameters`` are those of the TwiML."""

    stream_sid: str
    call_sid: str
    parameters: Mapping[str, str]
    is_mulaw: bool


@dataclass(frozen=True, slots=True)
class Media:
    """Sound of the caller, raw mu-law at 8,000 Hz. ``at_ms`` counts from the stream's start."""

    audio: bytes
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """What was sent before this mark has been played, or was flushed by ``clear``."""

    name: str


@dataclass(frozen=True, slots=True)
class Digit:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The stream is over: the caller hung up, or the call went elsewhere."""


Message = Start | Media | Mark | Digit | Stop


def read(text: str | bytes) -> Message | None:
    """Read one message; None for what is unknown, malformed or too long."""
    message = _object(text)
    match message.get("event"):
        case "media":
            return _media(_table(message, "media"))
        case "mark":
            name = _table(message, "mark").get("name")
            return Mark(name) if isinstance(name, str) else None
        case "dtmf":
            digit = _table(message, "dtmf").get("digit")
            return Digit(digit) if digit in tuple("0123456789*#ABCD") else None
        case "start":
            return _start(_table(message, "start"))
        case other:
            return Stop() if other == "stop" else None


def _object(text: str | bytes) -> Mapping[str, Any]:
    if isinstance(text, bytes) or len(text) > MAX_MESSAGE_CHARS:
        return {}
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def media(stream_sid: str, audio: bytes) -> str:
    """Write a message that plays sound."""
    payload = base64.b64encode(audio).decode()
    # Ids and base64 need no escaping, and this is written for every piece of sound.
    return f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"{payload}"}}}}'


def mark(stream_sid: str, name: str) -> str:
    """Write a message that is echoed when the sound before it has been played."""
    return f'{{"event":"mark","streamSid":"{stream_sid}","mark":{{"name":"{name}"}}}}'


def clear(stream_sid: str) -> str:
    """Write the message that stops what is playing and drops what is waiting."""
    return f'{{"event":"clear","streamSid":"{stream_sid}"}}'


def _table(message: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = message.get(key)
    return inner if isinstance(inner, dict) else {}


def _media(found: Mapping[str, Any]) -> Media | None:
    payload, track = found.get("payload"), found.get("track", "inbound")
    if not isinstance(payload, str) or track != "inbound":
        return None
    try:
        audio = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not 0 < len(audio) <= MAX_AUDIO_BYTES:
        return None
    at = found.get("timestamp")
    # Numbers are strings in this protocol.
    is_number = isinstance(at, int | str) and str(at).isdecimal() and len(str(at)) < 12  # noqa: PLR2004 - more is no call
    return Media(audio, int(at) if is_number and at is not None else None)


def _start(found: Mapping[str, Any]) -> Start | None:
    stream, call = found.get("streamSid"), found.get("callSid")
    if not (_is_sid(stream, "MZ") and _is_sid(call, "CA")):
        return None
    parameters = _table(found, "customParameters")
    encoding = _table(found, "mediaFormat")
    return Start(
        stream_sid=str(stream),
        call_sid=str(call),
        parameters={key: value for key, value in parameters.items() if isinstance(value, str)},
        is_mulaw=encoding.get("encoding", "audio/x-mulaw") == "audio/x-mulaw",
    )


def _is_sid(value: object, prefix: str) -> bool:
    # Ids are written into messages as they stand.
    return (
        isinstance(value, str)
        and value.startswith(prefix)
        and value.isalnum()
        and value.isascii()
        and len(value) <= 64  # noqa: PLR2004 - Twilio's have 34 characters
    )
