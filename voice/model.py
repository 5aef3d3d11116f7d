"""The conversation with Anthropic's model: one turn of the agent is a stream of words and of tools that it uses.

A turn may take several requests: the model asks for tools, gets what came of them, and goes on. To whoever reads the
stream it is one. Errors are left to the reader (:mod:`voice.watchdog`); :class:`Circuit` remembers them, so
that a model that is down costs a few callers a moment and not each of them six seconds.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from anthropic import (
    APIError,
    APIStatusError,
    AsyncAnthropic,
    AuthenticationError,
    DefaultAsyncHttpxClient,
    Timeout,
)

from voice import clock
from voice.session import Turn, Voice
from voice.settings import VoiceSettings
from voice.store import SessionStore
from voice.surface import QUIET
from voice.tls import trusted

_LOG = structlog.get_logger(module=__name__)
_VENDOR = "anthropic"
#: Spoken answers are short; one that is not is cut.
_MAX_TOKENS = 400
#: A model that goes on asking for tools is stopped.
_MAX_ROUNDS = 5
#: So many turns of the conversation are told to the model, the newest.
_MAX_TURNS = 60
_READ_S = 15.0
_FAILURES = 3
_PAUSE_S = (15.0, 30.0, 60.0, 120.0)
_KEY_PAUSE_S = 300.0
_NOTE = "circuit:anthropic"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The model used a tool; ``answer`` is what it was told. Nothing is to be spoken of it."""

    name: str
    arguments: Any
    answer: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The model has ended its turn. ``waited_s`` is the time that was spent waiting for it."""

    reason: str | None
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class RoundOver:
    """The model waits to hear what came of its tools; whoever knows what to say by now need not ask it again."""

    model: str


#: What a turn is made of: words as they come, tools that were used, and the end.
Piece = str | ToolUse | RoundOver | Finish
RunTool = Callable[[str, Any], Awaitable[str]]


@dataclass(slots=True)
class Circuit:
    """Whether the vendor is worth asking. Shared by all processes through the store."""

    store: SessionStore
    failures: int = 0
    opened: int = 0
    until: float = 0.0
    _shared: set[str] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        """Whether the model should be left alone for now."""
        return clock.now().timestamp() < self.until

    def worked(self) -> None:
        """Note an answer."""
        self.failures = 0
        self.opened = 0

    async def failed(self, error: BaseException | None) -> None:
        """Note a failure; after several in a row nobody asks for a while."""
        self.failures += 1
        is_key = isinstance(error, AuthenticationError)
        if self.failures < _FAILURES and not is_key:
            return
        pause = _KEY_PAUSE_S if is_key else _PAUSE_S[min(self.opened, len(_PAUSE_S) - 1)]
        self.failures = _FAILURES - 1  # after the pause a single failure opens it again
        self.opened += 1
        self.until = clock.now().timestamp() + pause
        _LOG.warning("model left alone", vendor=_VENDOR, for_s=pause, is_key=is_key)
        await self.store.note(_NOTE, json.dumps(self.until).encode(), for_s=pause)

    async def refresh(self) -> None:
        """Take over what other processes know."""
        if noted := await self.store.noted(_NOTE):
            self.until = max(self.until, float(json.loads(noted)))


class Model:
    """A client of the Messages API, and its circuit."""

    def __init__(self, settings: VoiceSettings, store: SessionStore) -> None:
        """Talk to the API of the settings; needs a key."""
        key = settings.anthropic_api_key
        self._client = AsyncAnthropic(
            api_key=key.get_secret_value() if key else "",
            base_url=settings.anthropic_base_url,
            max_retries=0,
            timeout=Timeout(_READ_S, connect=settings.anthropic_connect_s),
            http_client=DefaultAsyncHttpxClient(verify=trusted()),
        )
        self._default = settings.anthropic_model
        self.circuit = Circuit(store)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def turn(
        self,
        *,
        model: str | None,
        system: Sequence[Mapping[str, Any]],
        history: Sequence[Turn],
        tools: Sequence[Mapping[str, Any]],
        run_tool: RunTool,
    ) -> AsyncIterator[Piece]:
        """Open the stream of one turn of the agent; connecting is over when this returns.

        ``system`` are the instructions, with the mark up to which they are cached; what comes before it is kept,
        tools included. Raises what the client raises (anthropic.APIError).
        """
        request: dict[str, Any] = {
            "model": model or self._default,
            "max_tokens": _MAX_TOKENS,
            "system": list(system),
            "messages": messages(history),
            "tools": list(tools),
        }
        first = await self._client.messages.create(**request, stream=True)
        return self._pieces(first, request, run_tool)

    async def _pieces(
        self, stream: Any, request: dict[str, Any], run_tool: RunTool
    ) -> AsyncIterator[Piece]:
        for number in range(1, _MAX_ROUNDS + 1):
            round_ = _Round()
            try:
                async for event in stream:
                    if text := round_.take(event):
                        yield text
            finally:
                await stream.close()
            if not round_.is_whole:
                raise Broken("the stream ended without message_stop")
            if not round_.uses or round_.stop_reason != "tool_use" or number == _MAX_ROUNDS:
                break
            results, is_done = [], bool(round_.text.strip())
            for use in round_.uses:
                answer = await run_tool(use["name"], use["input"])
                yield ToolUse(use["name"], use["input"], answer)
                is_done = is_done and use["name"] in QUIET and not _is_refused(answer)
                results.append({"type": "tool_result", "tool_use_id": use["id"], "content": answer})
            if is_done:
                break  # it has spoken, and has nothing to say about what it noted
            yield RoundOver(request["model"])
            request["messages"] = [
                *request["messages"],
                {"role": "assistant", "content": round_.content()},
                {"role": "user", "content": results},
            ]
            stream = await self._client.messages.create(**request, stream=True)
        yield round_.finish(request["model"])


class Broken(Exception):
    """The stream ended in the middle, or was not what the API describes."""


class _Round:
    """One answer of the API, as its events build it."""

    def __init__(self) -> None:
        self.text = ""
        self.uses: list[dict[str, Any]] = []
        self.stop_reason: str | None = None
        self.is_whole = False
        self._usage: dict[str, int] = {}
        self._json: list[str] | None = None

    def take(self, event: Any) -> str | None:
        """Take one event; gives words to speak, if it brings some."""
        match event.type:
            case "message_start":
                self._count(event.message.usage)
            case "content_block_start" if event.content_block.type == "tool_use":
                block = event.content_block
                self.uses.append({"id": block.id, "name": block.name, "input": {}})
                self._json = []
            case "content_block_delta" if event.delta.type == "text_delta":
                text: str = event.delta.text
                self.text += text
                return text
            case "content_block_delta" if event.delta.type == "input_json_delta":
                if self._json is not None:
                    self._json.append(event.delta.partial_json)
            case "content_block_stop" if self._json is not None:
                self.uses[-1]["input"] = _arguments("".join(self._json))
                self._json = None
            case "message_delta":
                self.stop_reason = event.delta.stop_reason
                self._count(event.usage)
            case "message_stop":
                self.is_whole = True
        return None

    def content(self) -> list[dict[str, Any]]:
        """Give the answer as it is told back to the model."""
        said = [{"type": "text", "text": self.text}] if self.text.strip() else []
        return [
            *said,
            *({**use, "type": "tool_use", "input": _object(use["input"])} for use in self.uses),
        ]

    def finish(self, model: str) -> Finish:
        """Sum up."""
        return Finish(
            self.stop_reason,
            model,
            self._usage.get("input_tokens", 0),
            self._usage.get("output_tokens", 0),
            self._usage.get("cache_read_input_tokens", 0),
        )

    def _count(self, usage: Any) -> None:
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens"):
            if value := getattr(usage, name, None):
                self._usage[name] = value


def _is_refused(answer: str) -> bool:
    return "error" in _object(_arguments(answer))


def _arguments(text: str) -> Any:
    """Read a tool's arguments; text that is no JSON stays text, which the tool refuses."""
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return text


def _object(arguments: Any) -> dict[str, Any]:
    return arguments if isinstance(arguments, dict) else {}


def messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Give the conversation as the API wants it: as it was heard, both sides in turn, the caller first."""
    found: list[dict[str, Any]] = []
    for turn in turns[-_MAX_TURNS:]:
        is_caller = turn.voice is Voice.CALLER
        text = turn.text if turn.heard is None else turn.heard
        if turn.heard is not None and text.strip():
            text = f"{text.rstrip()} …"  # the caller cut in here
        if not text.strip():
            continue
        role = "user" if is_caller else "assistant"
        if found and found[-1]["role"] == role:
            found[-1]["content"] += f"\n{text}"
        else:
            found.append({"role": role, "content": text})
    if not found or found[0]["role"] != "user":
        found.insert(0, {"role": "user", "content": "(The telephone rings.)"})
    if found[-1]["role"] != "user":
        found.append({"role": "user", "content": "(The caller says nothing.)"})
    return found


def why(error: BaseException | None) -> str:
    """Name a failure for ``session.fallbacks`` and figures: ``anthropic:529``, and so on."""
    if isinstance(error, APIStatusError):
        return f"{_VENDOR}:{error.status_code}"
    if isinstance(error, APIError):
        return f"{_VENDOR}:connection"
    return f"{_VENDOR}:broken"
