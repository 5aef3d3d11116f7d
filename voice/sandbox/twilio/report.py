"""What happened in a call, as an observer with a stop-watch beside the caller would write it down.

All times are seconds since the call was placed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from voice.sandbox.speech import Word

_SAME = 1e-6


@dataclass(slots=True)
class Heard:
    """Something that the caller heard without a break: ``words`` are those heard to their end.

    ``text`` is what they say together; ``cut`` tells that it was stopped in the middle, ``source`` how it was played:
    say, play, relay or media.
    """

    start_s: float
    end_s: float
    language: str | None
    voice: str | None
    source: str
    words: list[Word] = field(default_factory=list)
    cut: bool = False
    is_over: bool = False

    @property
    def text(self) -> str:
        """What was heard, in whole words."""
        return "".join(word.text for word in self.words).strip()

    def until(self, moment: float) -> str:
        """Give what had been heard at a moment."""
        return "".join(word.text for word in self.words if word.end_s <= moment + _SAME)


@dataclass(slots=True)
class Said:
    """Something that the caller said; a noise has no text."""

    start_s: float
    end_s: float
    text: str
    language: str
    words: list[Word] = field(default_factory=list)
    is_over: bool = False

    def after(self, moment: float) -> str:
        """Give the words that began after a moment."""
        return "".join(word.text for word in self.words if word.start_s >= moment - _SAME).strip()

    def until(self, moment: float) -> str:
        """Give the words that were over at a moment."""
        return "".join(word.text for word in self.words if word.end_s <= moment + _SAME).strip()


@dataclass(frozen=True, slots=True)
class Posted:
    """A request that Twilio made: when, where, with what, and what came back after how long.

    ``status`` is None when nothing came back in time; ``why`` is voice, action, status, recording, transcription, …
    """

    at_s: float
    why: str
    url: str
    form: dict[str, str]
    status: int | None
    answer: str
    took_s: float


@dataclass(frozen=True, slots=True)
class Problem:
    """What Twilio would have in its debugger for this call. ``number`` is of its error dictionary, 0 for our own."""

    at_s: float
    number: int
    message: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A message on a socket: ``is_ours`` when Twilio sent it."""

    at_s: float
    is_ours: bool
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialled:
    """A leg of <Dial>, and how it ended: completed, busy, no-answer, failed or canceled."""

    at_s: float
    number: str
    status: str
    talked_s: float


@dataclass(slots=True)
class Report:
    """A call, whole."""

    sid: str
    heard: list[Heard] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    pressed: list[tuple[float, str]] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    #: Messages of sockets; audio is left out.
    frames: list[Frame] = field(default_factory=list)
    dialled: list[Dialled] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    #: Sids of recordings.
    recordings: list[str] = field(default_factory=list)
    #: Moments at which the application cleared what was buffered.
    cleared: list[float] = field(default_factory=list)
    #: Seconds of audio that the application sent after it had been told of the caller's speech and had cleared,
    #: and that was played before the caller was done.
    after_clear_s: float = 0.0
    status: str = "queued"
    answered_s: float | None = None
    ended_s: float = 0.0
    #: Who ended the call: caller, twilio (the TwiML was over or said so), api.
    ended_by: str = ""

    @property
    def duration_s(self) -> float:
        """How long the call was connected."""
        return self.ended_s - self.answered_s if self.answered_s is not None else 0.0

    @property
    def transcript(self) -> str:
        """The call as a text, a line a turn, for people who look why a scenario failed."""
        lines = [(one.start_s, f"agent  {one.text}{' …' if one.cut else ''}") for one in self.heard]
        lines += [(one.start_s, f"caller {one.text or '(a noise)'}") for one in self.said]
        lines += [(at, f"caller presses {digits}") for at, digits in self.pressed]
        return "\n".join(f"{at:7.2f} {line}" for at, line in sorted(lines))

    @property
    def answer_s(self) -> list[float]:
        """From the end of each thing that the caller said to the agent's first sound, where the caller waits for it."""
        waits = []
        for number, said in enumerate(self.said):
            following = (
                self.said[number + 1].start_s if number + 1 < len(self.said) else float("inf")
            )
            starts = [one.start_s for one in self.heard if said.end_s <= one.start_s < following]
            if said.text and starts and not self._was_speaking(said.end_s):
                waits.append(min(starts) - said.end_s)
        return waits

    @property
    def barge_in_s(self) -> list[float]:
        """From each onset of the caller's speech within the agent's to the agent's silence."""
        return [
            heard.end_s - said.start_s
            for said in self.said
            for heard in self.heard
            if said.text and heard.start_s < said.start_s < heard.end_s
        ]

    @property
    def spoken_over_s(self) -> list[float]:
        """Moments at which the agent began to speak while the caller spoke."""
        return [
            heard.start_s
            for heard in self.heard
            for said in self.said
            if said.text and said.start_s < heard.start_s < said.end_s
        ]

    def posts(self, why: str) -> list[Posted]:
        """Give the requests of one kind."""
        return [one for one in self.posted if one.why == why]

    def _was_speaking(self, moment: float) -> bool:
        return any(one.start_s < moment < one.end_s for one in self.heard)
