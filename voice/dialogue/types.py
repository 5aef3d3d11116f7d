"""What goes into the dialogue, what comes out, and what it remembers. Plain values: a call is rebuilt from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """Where a call is."""

    GREETING = "greeting"
    CONSENT = "consent"
    REASON = "reason"
    NAME = "name"
    NUMBER = "number"
    CONFIRM_NUMBER = "confirm_number"
    URGENCY = "urgency"
    WHEN = "when"
    OFFER = "offer"
    SMS_CONSENT = "sms_consent"
    ANYTHING_ELSE = "anything_else"
    OVER = "over"


class Slot(StrEnum):
    """What the agent finds out."""

    NAME = "name"
    NUMBER = "number"
    REASON = "reason"
    URGENCY = "urgency"
    WHEN = "when"
    SERVICE = "service"
    RECORDING_CONSENT = "recording_consent"
    SMS_CONSENT = "sms_consent"


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """What earlier events say of whoever calls from this number."""

    name: str | None = None
    language: str | None = None
    calls: int = 0
    last_bucket: str | None = None
    last_summary: str | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """What the dialogue remembers. ``slots`` are settled values; NUMBER is E.164, consents are "yes" or "no".

    ``asked`` counts how often each stage was asked; ``said`` holds all that the caller said, for the deterministic
    reading of slots. ``offered`` are start times (ISO 8601) that were offered.
    """

    stage: Stage = Stage.GREETING
    language: str = "en-US"
    caller_id: str | None = None
    slots: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    silences: int = 0
    is_number_confirmed: bool = False
    emergency: str | None = None
    known: KnownCaller | None = None
    offered: tuple[str, ...] = ()
    wants_person: bool = False
    #: What was asked last, to say it again.
    last: tuple[Say, ...] = ()
    #: A number that is being dictated in pieces, in the caller's words so far.
    digits: str = ""
    #: A number (E.164) that was read back and waits for a yes.
    pending: str | None = None
    #: Something has happened after the emergency text, so that it was spoken.
    is_emergency_heard: bool = False
    #: A number of the place that the call belongs to, for numbers said without country or area: the caller's own,
    #: else the tenant's.
    near: str | None = None
    #: How many inputs there were; a call that goes on for ever is brought to an end.
    inputs: int = 0


# Inputs: what happened.


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller said something and has stopped. ``language`` is what the line takes it for, if it tells."""

    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Pressed:
    """The caller pressed keys."""

    digits: str


@dataclass(frozen=True, slots=True)
class Silent:
    """The caller has said nothing for the patience that was given."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A model has understood a slot."""

    slot: str
    value: str


@dataclass(frozen=True, slots=True)
class ToolDone:
    """A tool has answered; ``result`` is its JSON, or None when it failed."""

    tool: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class HungUp:
    """The caller is gone."""


Input = Heard | Pressed | Silent | Saved | ToolDone | HungUp


# Acts: what to do, in order.


class Patience(StrEnum):
    """How long a pause ends a turn: ``digits`` while a number is dictated."""

    NORMAL = "normal"
    DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class Say:
    """Speak. ``line`` names a fixed line (``voice.languages``) with ``values`` put in; else ``text`` as it stands.

    ``is_fixed`` acts are never left to a model: consent, emergencies, read-back, re-prompts, goodbye.
    """

    line: str | None = None
    text: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    is_interruptible: bool = True
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait for the caller; :class:`Silent` after ``silence_s``."""

    patience: Patience = Patience.NORMAL
    silence_s: float = 7.0


@dataclass(frozen=True, slots=True)
class SpeakIn:
    """Switch the spoken and the heard language (BCP 47)."""

    language: str


@dataclass(frozen=True, slots=True)
class UseTool:
    """Ask a tool of the surface (``voice.tools``); the answer comes back as :class:`ToolDone`."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartRecording:
    """The caller has agreed, or none has to: record from here on."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Put the caller through to this number; if nobody answers, they leave a message."""

    number: str
    reason: str


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Give up talking and record a message."""


@dataclass(frozen=True, slots=True)
class End:
    """Hang up when all has been spoken."""


Act = Say | Listen | SpeakIn | UseTool | StartRecording | Transfer | TakeMessage | End


@dataclass(frozen=True, slots=True)
class Step:
    """The dialogue after an input, and what to do.

    ``may_think`` says that a model may answer the caller in its own words instead of the speech in ``acts`` that is
    not fixed; ``goal`` then tells it what this turn is for. Without a model, or when it fails, ``acts`` are spoken.
    """

    talk: Talk
    acts: tuple[Act, ...]
    may_think: bool = False
    goal: str | None = None
