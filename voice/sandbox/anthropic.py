"""Anthropic's Messages API in miniature: streaming and not, tools, prompt caching, and everything that goes wrong.

Places where faults happen (``voice.sandbox.faults``):

- ``anthropic.messages``: a request. refuse and error (with a status; 529 if none is named), stall (before any answer),
  disconnect, malformed (a body that is no JSON)
- ``anthropic.stream``: each event of a streamed answer. stall, drip (before each further event), stop, disconnect,
  malformed, error (an ``error`` event; overloaded_error if the status is 529 or none)

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming and anthropic 2.14.0, types/ (2026-11-30)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quart import Quart, Response, request

from voice.sandbox.anthropic_mind import Thought, think
from voice.sandbox.faults import Do, Fault, Faults

PLACES = ("anthropic.messages", "anthropic.stream")
#: Error types by status. Source: https://docs.anthropic.com/en/api/errors (2026-11-30)
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_PIECE = re.compile(r"\s*\S+|\s+$")
_LETTERS_A_TOKEN = 4
_FEWEST_CACHED = 1_024
_FOREVER_S = 86_400.0

Mind = Callable[[Mapping[str, Any]], Thought]


class _Cut(Exception):
    """The connection is cut."""


@dataclass
class Anthropic:
    """The API and what it remembers. ``script`` answers in order, then ``mind`` does.

    ``first_s`` is the time to the first event, ``token_s`` between two; either may be a function that draws it.
    """

    key: str = "sandbox-anthropic-key"
    faults: Faults = field(default_factory=Faults)
    script: list[Thought] = field(default_factory=list)
    mind: Mind = think
    first_s: float | Callable[[], float] = 0.3
    token_s: float | Callable[[], float] = 0.02
    requests: list[dict[str, Any]] = field(default_factory=list)
    #: Answers that were cut off by the client, such as by an interruption.
    cancelled: int = 0
    _cached: set[str] = field(default_factory=set)
    _number: int = 0

    def app(self) -> Quart:
        """Make the API as an app; ``base_url`` is its address."""
        app = Quart("anthropic", static_folder=None)
        app.add_url_rule("/v1/messages", "messages", self._messages, methods=["POST"])
        app.config["RESPONSE_TIMEOUT"] = None
        return app

    async def _messages(self) -> Response:
        fault = self.faults.take("anthropic.messages")
        if fault and fault.do in {Do.ERROR, Do.REFUSE}:
            return _error(fault.status or 529)
        if fault and fault.do in {Do.STALL, Do.STOP}:
            await asyncio.sleep(fault.for_s or _FOREVER_S)
        if fault and fault.do is Do.MALFORMED:
            return Response("<html>It works!</html>", 200, content_type="text/html")
        if self.key not in _keys():
            return _error(401)
        body = await request.get_json(force=True, silent=True)
        if (problem := _problem(body)) is not None:
            return _error(400, problem)
        self.requests.append(body)
        thought = self.script.pop(0) if self.script else self.mind(body)
        message = self._message(body, thought)
        if not body.get("stream"):
            await asyncio.sleep(_drawn(self.first_s))
            return Response(json.dumps(message), content_type="application/json")
        is_cut = fault is not None and fault.do is Do.DISCONNECT
        answer = Response(self._stream(message, is_cut=is_cut), content_type="text/event-stream")
        answer.timeout = None
        return answer

    async def _stream(self, message: dict[str, Any], *, is_cut: bool) -> AsyncIterator[bytes]:
        is_whole, drip_s = False, 0.0
        try:
            await asyncio.sleep(_drawn(self.first_s))
            if is_cut:
                raise _Cut
            for number, event in enumerate(_events(message)):
                fault = self.faults.take("anthropic.stream")
                if fault and fault.do is Do.DRIP:
                    drip_s = fault.for_s
                async for piece in _broken(fault):
                    yield piece
                if fault and fault.do in {Do.ERROR, Do.REFUSE}:
                    is_whole = True
                    return
                if number and event["type"] == "content_block_delta":
                    await asyncio.sleep(_drawn(self.token_s))
                await asyncio.sleep(drip_s)
                yield _sse(event)
            is_whole = True
        finally:
            self.cancelled += not is_whole

    def _message(self, body: Mapping[str, Any], thought: Thought) -> dict[str, Any]:
        self._number += 1
        content: list[dict[str, Any]] = []
        if thought.text or not thought.tools:
            content.append({"type": "text", "text": thought.text})
        for number, (name, given) in enumerate(thought.tools, 1):
            identity = f"toolu_{self._number:04d}{number:02d}"
            content.append({"type": "tool_use", "id": identity, "name": name, "input": dict(given)})
        return {
            "id": f"msg_{self._number:06d}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": "tool_use" if thought.tools else "end_turn",
            "stop_sequence": None,
            "usage": self._usage(body, content),
        }

    def _usage(
        self, body: Mapping[str, Any], content: Sequence[Mapping[str, Any]]
    ) -> dict[str, int]:
        """Count tokens, with what the cache holds: everything up to the last mark, if that is long enough."""
        whole = _tokens([body.get("tools"), body.get("system"), body.get("messages")])
        marked = _marked(body)
        cached = _tokens(marked) if marked else 0
        usage = {"output_tokens": _tokens(content)}
        if cached < _FEWEST_CACHED:
            return {"input_tokens": whole, **usage}
        digest = hashlib.sha256(json.dumps(marked).encode()).hexdigest()
        is_known = digest in self._cached
        self._cached.add(digest)
        return {
            "input_tokens": whole - cached,
            "cache_creation_input_tokens": 0 if is_known else cached,
            "cache_read_input_tokens": cached if is_known else 0,
            **usage,
        }


def _keys() -> tuple[str, ...]:
    """Give what the client shows: SDKs up to 2.12 send x-api-key, 2.14 sends a bearer token."""
    # Source: anthropic 2.14.0, _client.py, auth_headers (2026-11-30)
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key", ""), bearer


def _problem(body: Any) -> str | None:
    if not isinstance(body, dict):
        return "The body is not a JSON object."
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            return f"{name}: Field required"
    messages = body["messages"]
    if not messages or messages[0].get("role") != "user":
        return "messages: first message must use the user role"
    for message in messages:
        content = message.get("content")
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        if any(b.get("type") == "text" and not str(b.get("text") or "").strip() for b in blocks):
            return "messages: text content blocks must be non-empty"
    return None


def _error(status: int, message: str | None = None) -> Response:
    kind = _ERRORS.get(status, "api_error")
    body = {"type": "error", "error": {"type": kind, "message": message or kind}}
    return Response(json.dumps(body), status, content_type="application/json")


async def _broken(fault: Fault | None) -> AsyncIterator[bytes]:
    """Do what a fault says at this event."""
    match fault.do if fault else None:
        case Do.STALL if fault:
            await asyncio.sleep(fault.for_s)
        case Do.STOP:
            await asyncio.sleep(_FOREVER_S)
        case Do.DISCONNECT:
            raise _Cut
        case Do.MALFORMED:
            yield b'event: content_block_delta\ndata: {"type": "content_bl\n\n'
        case Do.ERROR | Do.REFUSE if fault:
            kind = _ERRORS.get(fault.status or 529, "api_error")
            yield _sse({"type": "error", "error": {"type": kind, "message": kind}})


def _events(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the events of a streamed answer."""
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    found: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            start: dict[str, Any] = {"type": "text", "text": ""}
            deltas = [
                {"type": "text_delta", "text": part} for part in _PIECE.findall(block["text"])
            ]
        else:
            start = {**block, "input": {}}
            text = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
            parts = [text[at : at + 12] for at in range(0, len(text), 12)]
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *parts)]
        found.append({"type": "content_block_start", "index": index, "content_block": start})
        found += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        found.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    tokens = {"output_tokens": usage["output_tokens"]}
    found.append({"type": "message_delta", "delta": delta, "usage": tokens})
    found.append({"type": "message_stop"})
    return found


def _sse(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _marked(body: Mapping[str, Any]) -> list[Any]:
    """Give what stands before the last ``cache_control`` mark of the instructions, tools included."""
    system = body.get("system")
    blocks = system if isinstance(system, list) else []
    marks = [number for number, block in enumerate(blocks) if block.get("cache_control")]
    return [body.get("tools"), *blocks[: marks[-1] + 1]] if marks else []


def _tokens(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False)) // _LETTERS_A_TOKEN


def _drawn(seconds: float | Callable[[], float]) -> float:
    return seconds() if callable(seconds) else seconds
