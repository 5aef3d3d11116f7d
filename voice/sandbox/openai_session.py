"""What OpenAI's Realtime API in miniature keeps of a session: its settings in both dialects, its items, its words.

Source: openai-python 3.22 types/realtime and types/beta/realtime (2026-11-30)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from voice.sandbox import speech

_BETA_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}
_KNOWN = frozenset(
    {
        "type",
        "model",
        "output_modalities",
        "instructions",
        "audio",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "include",
        "prompt",
        "tracing",
        "truncation",
        "reasoning",
        "parallel_tool_calls",
    }
)
_FORMAT = {"type": "audio/pcmu"}
#: How long semantic turn detection waits at most.
_EAGERNESS_S = {"low": 8.0, "medium": 4.0, "auto": 4.0, "high": 2.0}
#: A model that is asked for these words speaks what follows them.
_VERBATIM = "word for word"


@dataclass(slots=True)
class Session:
    """The settings and the memory of one connection."""

    is_beta: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    turn_detection: dict[str, Any] = field(default_factory=lambda: {"type": "server_vad"})
    transcribes: bool = False
    items: list[Mapping[str, Any]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)
    #: Sound of each of the model's items, in milliseconds, and where it was cut.
    sound_ms: dict[str, int] = field(default_factory=dict)
    truncated: dict[str, int] = field(default_factory=dict)
    last_item: str = ""
    has_answered: bool = False

    def update(self, wanted: Mapping[str, Any]) -> str | None:
        """Take new settings; gives the name of a parameter that there is not, and then changes nothing."""
        if not self.is_beta:
            unknown = sorted(set(wanted) - _KNOWN)
            if unknown or wanted.get("type") != "realtime":
                return f"session.{unknown[0] if unknown else 'type'}"
        self.settings.update(wanted)
        heard = (wanted.get("audio") or {}).get("input") or {}
        if "turn_detection" in heard:
            self.turn_detection = dict(heard["turn_detection"] or {})
        if "transcription" in heard:
            self.transcribes = heard["transcription"] is not None
        return None

    def described(self) -> Mapping[str, Any]:
        """Give the session as its events hold it."""
        return {"type": "realtime", "object": "realtime.session", **self.settings}

    def silence_s(self) -> float:
        """Give how long a pause ends a turn."""
        if self.turn_detection.get("type") == "semantic_vad":
            # Without knowing what words mean: a quarter of the longest wait.
            return _EAGERNESS_S[str(self.turn_detection.get("eagerness", "auto"))] / 4
        return float(self.turn_detection.get("silence_duration_ms", 500)) / 1000

    def tool_names(self) -> tuple[str, ...]:
        """Name the tools that the model was given."""
        return tuple(str(tool.get("name")) for tool in self.settings.get("tools") or ())

    def exact_words(self, wanted: Mapping[str, Any]) -> str | None:
        """Give what a response was told to say, or None when it is free."""
        instructions = str(wanted.get("instructions") or "")
        head, _, words = instructions.partition("\n\n")
        return words.strip() if _VERBATIM in head and words.strip() else None

    def name(self, event: str) -> str:
        """Give an event's name in the dialect that is spoken."""
        return _BETA_NAMES.get(event, event) if self.is_beta else event


@dataclass(frozen=True, slots=True)
class Say:
    """Words that the model says; ``is_kept``: they belong to the conversation."""

    text: str
    is_kept: bool = True

    def pieces(self, piece_s: float) -> Iterator[tuple[str, bytes]]:
        """Give the sound in pieces, each with the words that begin in it."""
        pace = speech.Pace()
        seconds = max(0.2, pace.seconds(self.text))
        sound = speech.encode(self.text, seconds)
        words = speech.schedule(self.text, seconds)
        step = round(piece_s * speech.RATE)
        for start in range(0, len(sound), step):
            since, until = start / speech.RATE, (start + step) / speech.RATE
            text = "".join(word.text for word in words if since <= word.start_s < until)
            yield text, sound[start : start + step]


def message_item(item: str, text: str | None) -> Mapping[str, Any]:
    """Give an item in which the model speaks; None: nothing yet."""
    content = [] if text is None else [{"type": "output_audio", "transcript": text}]
    return {"id": item, "type": "message", "role": "assistant", "content": content}


def response_of(
    response: str, status: str, details: Any, output: list[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Give a response that is over, as ``response.done`` holds it."""
    return {
        "id": response,
        "object": "realtime.response",
        "status": status,
        "status_details": details,
        "output": output or [],
    }
