"""Which messages ConversationRelay takes from the application.

Source: https://www.twilio.com/docs/voice/conversationrelay/websocket-messages (2026-11-30)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_SHOWN = 200


class BadMessage(Exception):
    """A message that Twilio answers with an error and drops; ``is_unknown``: not even its type is known."""

    def __init__(self, why: str, *, is_unknown: bool = False) -> None:  # noqa: D107 - the class says it
        super().__init__(why)
        self.is_unknown = is_unknown


def _text(value: object) -> bool:
    return isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _barge(value: object) -> bool:
    return isinstance(value, bool) or value in {"none", "dtmf", "speech", "any"}


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _keys(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9w#*]+", value) is not None


def _tag(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z]{2,3}(-\w+)*|multi", value) is not None


_FIELDS: Mapping[str, Mapping[str, Callable[[object], bool]]] = {
    "text": {
        "token": _text,
        "last": _flag,
        "lang": _tag,
        "interruptible": _barge,
        "preemptible": _flag,
    },
    "play": {"source": _text, "loop": _count, "preemptible": _flag, "interruptible": _barge},
    "sendDigits": {"digits": _keys},
    "language": {"ttsLanguage": _tag, "transcriptionLanguage": _tag},
    "end": {"handoffData": _text},
}
_NEEDED = {"text": "token", "play": "source", "sendDigits": "digits"}


def check(raw: str | bytes) -> dict[str, Any]:
    """Read a message, or say why it is none."""
    if isinstance(raw, bytes):
        raise BadMessage("binary frames are not taken", is_unknown=True)
    try:
        message = json.loads(raw)
    except ValueError as error:
        raise BadMessage(raw[:_SHOWN], is_unknown=True) from error
    if not isinstance(message, dict) or message.get("type") not in _FIELDS:
        raise BadMessage(raw[:_SHOWN], is_unknown=True)
    fields = _FIELDS[message["type"]]
    for name, value in message.items():
        if name != "type" and (name not in fields or not fields[name](value)):
            raise BadMessage(f"'{name}' in {raw[:_SHOWN]}")
    needed = _NEEDED.get(message["type"])
    if (needed and needed not in message) or message == {"type": "language"}:
        raise BadMessage(f"incomplete: {raw[:_SHOWN]}")
    return message
