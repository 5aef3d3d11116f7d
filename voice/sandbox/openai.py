"""OpenAI's Realtime API in miniature: a WebSocket that hears words in mu-law, thinks, and speaks faster than real time.

Read from OpenAI's documents, apart from ``voice.line``. What it knows: authorisation, session.created and
updated, server and semantic turn detection, transcripts, responses with sound or function calls (beside the
conversation too), cancel, truncate with its errors, both dialects of event names, rate limits, a session's
longest time.

Places of faults (``voice.sandbox.faults``):

======================  =========================================================================================
``openai.connect``      ``refuse`` (status), ``stall``, ``disconnect``
``openai.session``      after session.created: ``error`` (401, 402: no quota, 404: beta shape), ``disconnect``
``openai.transcript``   ``stop`` (never comes), ``error`` (failed), ``stall``
``openai.response``     before the first sound: ``stall``, ``stop``, ``disconnect``, ``malformed``, ``error``
                        (402: no quota, 429: rate limit, others: server error)
``openai.delta``        before a piece of sound: ``stall``, ``drip``, ``stop``, ``disconnect``, ``malformed``
``openai.cancel``       ``duplicate``: what was on its way still comes after a cancelled response's end
======================  =========================================================================================

Source: openai-python 3.22 types/realtime (2026-11-30)
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from quart import Blueprint, Response, websocket

from voice.sandbox.faults import Do, Faults
from voice.sandbox.openai_conversation import Conversation, Delays

PLACES = frozenset(
    f"openai.{place}"
    for place in ("connect", "session", "transcript", "response", "delta", "cancel")
)


@dataclass(slots=True)
class OpenAI:
    """The vendor: accounts with keys, and all sessions that there were."""

    api_key: str = "sk-sandbox"
    models: tuple[str, ...] = ("gpt-realtime",)
    is_beta: bool = False
    delays: Delays = field(default_factory=Delays)
    faults: Faults = field(default_factory=Faults)
    longest_s: float = 3600.0
    #: Whether the model speaks in the same response in which it uses tools.
    speaks_with_tools: bool = False
    sessions: list[Conversation] = field(default_factory=list)

    def blueprint(self) -> Blueprint:
        """Give the routes, to be mounted at the root."""
        routes = Blueprint("openai_sandbox", __name__)
        routes.websocket("/v1/realtime")(self._realtime)
        return routes

    async def _realtime(self) -> Response | None:
        if fault := self.faults.take("openai.connect"):
            if fault.do is Do.REFUSE:
                return _refusal(fault.status or 503, "refused")
            if fault.do is Do.DISCONNECT:
                return _refusal(500, "gone")
            await asyncio.sleep(fault.for_s)
        if websocket.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _refusal(401, "invalid_api_key")
        if websocket.args.get("model") not in self.models:
            return _refusal(404, "model_not_found")
        await asyncio.sleep(self.delays.connect_s)
        await websocket.accept()
        conversation = Conversation(self)
        self.sessions.append(conversation)
        await conversation.run()
        return None


def _refusal(status: int, code: str) -> Response:
    return Response(json.dumps({"error": {"code": code}}), status, content_type="application/json")
