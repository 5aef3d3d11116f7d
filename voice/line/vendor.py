"""What a speech-to-speech vendor is to a call: sound in, sound and happenings out.

Each vendor's module turns its own protocol into these values; :mod:`voice.line.bridge` knows nothing of a
vendor but this.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from voice.dialogue.types import Patience
from voice.line.playout import Heard
from voice.profile import LineKind


class VendorFailed(Exception):
    """The vendor cannot go on with this call; another line must.

    ``reason`` is a word for logs and ``session.fallbacks``. ``pause_s``: so long no other call need try it either.
    """

    def __init__(self, reason: str, *, pause_s: float = 0.0) -> None:
        """Name the reason, such as ``unauthorised``."""
        super().__init__(reason)
        self.reason = reason
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound of the agent, mu-law at 8,000 Hz: a part of ``item``, made in ``response``."""

    response: str
    item: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class ResponseBegan:
    """The vendor thinks; sound or a tool call follows."""

    response: str


@dataclass(frozen=True, slots=True)
class ResponseOver:
    """No more of this response will come. ``fault`` tells why it did not end well; it was not interrupted."""

    response: str
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class CallerStarted:
    """The caller speaks: what the agent was saying is over."""


@dataclass(frozen=True, slots=True)
class CallerStopped:
    """The caller's turn is over, as far as the vendor is concerned; an answer follows."""


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """What the vendor understood of the caller."""

    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """The words of an item, as far as they are known: later ones replace earlier ones."""

    item: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentCorrected:
    """What of its last words the vendor believes to have been heard."""

    item: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolWanted:
    """The vendor's model wants a tool used; the answer goes back with :meth:`Vendor.answer`.

    ``response`` is the one that it belongs to, in which the model may have spoken as well.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    response: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """Something worth noting in the call's fallbacks, after which it goes on."""

    what: str


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life that means nothing else."""


Event = (
    Sound
    | ResponseBegan
    | ResponseOver
    | CallerStarted
    | CallerStopped
    | CallerSaid
    | AgentSaid
    | AgentCorrected
    | ToolWanted
    | Told
    | Alive
)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a vendor is told of a call before it begins.

    ``first`` are the words to be spoken before all else, one line after the other; ``language`` is BCP 47;
    ``said`` is what was said before, on another line, oldest first: (who, text).
    """

    instructions: str
    first: Sequence[str]
    language: str
    tools: Sequence[Mapping[str, Any]]
    said: Sequence[tuple[str, str]] = ()


class Vendor(Protocol):
    """A conversation with a vendor. All methods raise :class:`VendorFailed`."""

    kind: LineKind
    model: str
    #: Whether it can be made to speak given words in the middle of a call.
    speaks_lines: bool

    async def open(self, opening: Opening) -> None:
        """Connect, set everything up and have the first words spoken."""

    def events(self) -> AsyncGenerator[Event, None]:
        """Give what happens, until the conversation is over."""

    async def hear(self, audio: bytes) -> None:
        """Pass on what the caller says, mu-law at 8,000 Hz."""

    async def say(self, text: str) -> None:
        """Have exactly these words spoken now, instead of what is being made; only where ``speaks_lines``."""

    async def tell(self, text: str) -> None:
        """Let the model know something, without an answer."""

    async def interrupted(self, heard: Sequence[Heard], dead: frozenset[str]) -> None:
        """Tell that the caller heard no more than ``heard``, and that ``dead`` responses are not wanted."""

    async def answer(self, call_id: str, result: str, *, is_error: bool, speak: bool) -> None:
        """Give a tool's result, JSON; ``speak`` asks for an answer to the caller."""

    async def be_patient(self, patience: Patience) -> None:
        """Let pauses be longer, or not any more."""

    async def again(self) -> bool:
        """Ask once more for an answer that does not come; False if that cannot be done."""

    async def filler(self) -> bytes:
        """Give some ready sound for a wait, in the agent's voice; nothing if there is none."""

    async def close(self) -> None:
        """End the conversation; never raises."""
