"""ConversationRelay's messages as values. What is not understood is nothing: None, never an exception.

Source: https://www.twilio.com/docs/voice/conversationrelay/websocket-messages (2026-11-30)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Longer messages are not read at all; a prompt is what somebody says in one breath.
MAX_MESSAGE_CHARS = 64_000
_LONGEST_TEXT = 8_000
_SPEAKING = frozenset({"start", "on", "true", "started"})


@dataclass(frozen=True, slots=True)
class Setup:
    """The socket is for this call; ``parameters`` are those of the TwiML."""

    session_id: str
    call_sid: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The caller said something; more follows unless ``is_last``."""

    text: str
    language: str | None
    is_last: bool


@dataclass(frozen=True, slots=True)
class Key:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The caller cut in; ``heard`` is what was spoken until then."""

    heard: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something failed at Twilio; the session goes on."""

    description: str

    @property
    def is_of_voice(self) -> bool:
        """Whether it was the voice that failed: what we say is not heard."""
        # Source: https://www.twilio.com/docs/api/errors/64111, …/64112 (2026-11-30)
        return any(sign in self.description for sign in ("64111", "64112", "TTS", "tts"))


@dataclass(frozen=True, slots=True)
class Speaking:
    """Who begins or stops speaking, as far as Twilio tells (``speaker-events``)."""

    is_agent: bool
    is_on: bool


Message = Setup | Prompt | Key | Interrupt | Trouble | Speaking


def read(raw: str | bytes) -> Message | None:
    """Read a message; None for what is none, or is one that we have no use for."""
    if not isinstance(raw, str) or len(raw) > MAX_MESSAGE_CHARS:
        return None
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return _read(found) if isinstance(found, dict) else None


def _read(found: dict[str, Any]) -> Message | None:
    understood = _READERS.get(str(found.get("type")))
    return understood(found) if understood else None


def _setup(found: dict[str, Any]) -> Setup:
    parameters = found.get("customParameters")
    given = parameters if isinstance(parameters, dict) else {}
    return Setup(
        _text(found, "sessionId"),
        _text(found, "callSid"),
        {str(name): str(value) for name, value in given.items()},
    )


def _prompt(found: dict[str, Any]) -> Prompt:
    language = _text(found, "lang") or None
    return Prompt(_text(found, "voicePrompt"), language, found.get("last", True) is not False)


def _key(found: dict[str, Any]) -> Key | None:
    digit = _text(found, "digit")
    return Key(digit) if len(digit) == 1 and digit in "0123456789*#" else None


def _info(found: dict[str, Any]) -> Speaking | None:
    if found.get("name") not in {"agentSpeaking", "clientSpeaking"}:
        return None
    is_on = str(found.get("value")).lower() in _SPEAKING
    return Speaking(found["name"] == "agentSpeaking", is_on)


_READERS: Mapping[str, Callable[[dict[str, Any]], Message | None]] = {
    "setup": _setup,
    "prompt": _prompt,
    "dtmf": _key,
    "interrupt": lambda found: Interrupt(_text(found, "utteranceUntilInterrupt")),
    "error": lambda found: Trouble(_text(found, "description")),
    "info": _info,
}


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def text(token: str, *, is_last: bool, language: str, is_interruptible: bool) -> str:
    """Write words to be spoken; spaces at their ends are kept."""
    message = {"type": "text", "token": token, "last": is_last, "lang": language}
    if not is_interruptible:
        message["interruptible"] = False
    return json.dumps(message, ensure_ascii=False)


def language(tag: str, *, hears: str | None) -> str:
    """Write a change of the spoken and, unless None, of the heard language."""
    message = {"type": "language", "ttsLanguage": tag}
    if hears:
        message["transcriptionLanguage"] = hears
    return json.dumps(message)


def end(following: str | None) -> str:
    """Write the end of the session; what follows is all that is said of the call."""
    if following is None:
        return json.dumps({"type": "end"})
    return json.dumps({"type": "end", "handoffData": json.dumps({"next": following})})
