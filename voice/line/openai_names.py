"""OpenAI's names: of events, then and now, and of what goes wrong.

Source: openai-python 3.22 types/realtime and types/beta/realtime (2026-11-30)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voice.line.vendor import VendorFailed

#: Names of beta servers. OpenAI's own has refused the beta's shapes since May 2026; gateways still speak them.
# Source: https://community.openai.com "realtime WS connections are cut off", 2026-05-20 (2026-11-30)
_BETA = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "conversation.item.created": "conversation.item.added",
}

#: How long other calls leave the vendor alone after a status or an error of this kind, in seconds.
PAUSES: Mapping[int, float] = {401: 600.0, 403: 600.0, 404: 600.0, 429: 30.0, 500: 10.0, 503: 15.0}
_CODES: Mapping[str, float] = {
    "invalid_api_key": 600.0,
    "insufficient_quota": 600.0,
    "billing_hard_limit_reached": 600.0,
    "model_not_found": 600.0,
    "beta_api_shape_disabled": 600.0,
    "rate_limit_exceeded": 30.0,
    # The session's time is over: of this call only.
    "session_expired": 0.0,
}


def today(name: str) -> str:
    """Give the GA name of an event, whichever of the two it came with."""
    return _BETA.get(name, name)


def refusal(kind: str, code: str) -> VendorFailed | None:
    """Tell whether an error or a close means that the session cannot go on; most errors do not."""
    for known, pause_s in _CODES.items():
        if known in (kind, code) or kind.endswith(f".{known}"):
            return VendorFailed(known, pause_s=pause_s)
    if kind in {"server_error", "authentication_error"}:
        return VendorFailed(kind, pause_s=_SERVER_PAUSES_S[kind])
    return None


_SERVER_PAUSES_S = {"server_error": 10.0, "authentication_error": 600.0}


def fault_of(response: Mapping[str, Any]) -> str | None:
    """Tell why a response did not end well; None for one that was completed or was cancelled.

    Raises VendorFailed when no other response would end better.
    """
    status = response.get("status")
    if status not in {"failed", "incomplete"}:
        return None
    details = response.get("status_details") or {}
    error = details.get("error") or {}
    code = str(error.get("code") or "")
    failure = refusal(code, code) if status == "failed" else None
    if failure is not None:
        raise failure
    return str(details.get("reason") or code or error.get("type") or status)[:60]
