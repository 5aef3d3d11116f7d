"""One call, whole: everything that is needed to go on with it in another process, or to make the event of it.

A session is plain data. ``voice.store`` keeps it in Redis, sealed, after each change; sockets come and go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from voice.dialogue.types import Talk
from voice.profile import LineKind, Profile


class Phase(StrEnum):
    """How far a call is: being talked to, over but not yet made into an event, or done."""

    OPEN = "open"
    ENDED = "ended"
    DONE = "done"


class Voice(StrEnum):
    """Who speaks a turn."""

    CALLER = "caller"
    AGENT = "agent"


@dataclass(slots=True)
class Turn:
    """What one side said; times are seconds from the call's start.

    ``heard`` is the part of the agent's words that the caller heard before interrupting (None: all of it).
    """

    voice: Voice
    text: str
    start_s: float
    end_s: float
    language: str | None = None
    heard: str | None = None


@dataclass(slots=True)
class ToolCall:
    """A tool that was used in the call, in order; ``result`` is JSON, or None when it failed with ``error``."""

    number: int
    at: datetime
    tool: str
    arguments: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None = None
    ms: float = 0.0
    #: Whether the hub has it in its audit log.
    is_logged: bool = False


@dataclass(slots=True)
class Recording:
    """A recording at Twilio."""

    sid: str
    url: str
    duration_s: float | None = None
    channels: int = 1
    #: What Twilio itself wrote down of it, if it was asked to.
    transcript: str | None = None


@dataclass(slots=True)
class CallSession:
    """One call by its CallSid.

    ``token`` opens its sockets. ``version`` grows with each save, so that of two nodes that believe they have the
    call only the later one can save.
    """

    sid: str
    token: str
    profile: Profile
    started_at: datetime
    line: LineKind
    from_: str | None = None
    to: str | None = None
    forwarded_from: str | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    phase: Phase = Phase.OPEN
    talk: Talk = field(default_factory=Talk)
    turns: list[Turn] = field(default_factory=list)
    #: Turns by Twilio's real-time transcription or from the recording, where the line itself heard nothing.
    transcribed: list[Turn] = field(default_factory=list)
    tools: list[ToolCall] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    #: Milliseconds by stage, in the order measured: first_audio, first_token, barge_in, own_share, …
    latency: dict[str, list[float]] = field(default_factory=dict)
    #: What had to be done in another way than planned, such as "anthropic:stalled" or "relay:dropped".
    fallbacks: list[str] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)
    #: Lines that have failed in this call and are not tried again.
    failed_lines: list[str] = field(default_factory=list)
    #: How Twilio says that the call ended: completed, busy, failed, no-answer, canceled.
    status: str | None = None
    version: int = 0
    #: The socket that holds the call. A newer one takes it over; what the older one still wants to save is dropped.
    owner: str | None = None
    #: What the line has decided comes after it: ``transfer``, ``message`` or ``end``; None while it talks.
    after: str | None = None
    #: Whom ``transfer`` rings.
    transfer_to: str | None = None
    #: What has happened since the socket before, for the next one to tell: ``transfer_failed``, ``voice_failed``.
    news: str | None = None
    #: The line's usual voice failed at Twilio; another provider's is used.
    is_voice_replaced: bool = False
    #: Times that each line lost its socket in this call.
    drops: dict[str, int] = field(default_factory=dict)
    #: A person took the call, at first or by transfer.
    is_answered: bool = False
    #: The recording that was started by us while the call was talked to.
    recording_sid: str | None = None
    #: "browser" for a call from the hub's call page; None for one that came by telephone.
    placed_in: str | None = None
    #: What each webhook was answered with, so that one that comes twice changes nothing.
    answered: dict[str, str] = field(default_factory=dict)
