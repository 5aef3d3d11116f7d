"""The caller: a script of what they do, and when, in answer to what they hear.

Each action says when it happens:

- by default when it is the caller's turn: the agent has said something since the caller's last action (matching
  ``hears``, a regular expression, if there is one) and has been silent for ``after`` seconds;
- ``over=s``: into the agent's speech, ``s`` seconds after its next utterance has begun (with ``hears``: after
  these words);
- ``at=s``: so many seconds after the call was answered, whatever the agent does;
- ``turn=False``: ``after`` seconds after the action before, whatever the agent does.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

from voice.sandbox.twilio.report import Heard
from voice.sandbox.twilio.sound import Listener, Sound

_POLL_S = 0.02
_KEY_S = 0.25


class When(TypedDict, total=False):
    """The times of an action, as keywords."""

    after: float
    hears: str | None
    over: float | None
    at: float | None
    turn: bool


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that the caller does, and when."""

    after: float = 0.4
    hears: str | None = None
    over: float | None = None
    at: float | None = None
    turn: bool = True


class Speak(Action):
    """Say something. Numbers between texts are pauses in seconds: ``Speak("415 555", 2.0, "0132")``."""

    parts: tuple[str | float, ...]
    language: str | None

    def __init__(  # noqa: D107 - the class says it
        self, *parts: str | float, language: str | None = None, **when: Unpack[When]
    ) -> None:
        super().__init__(**when)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "language", language)


@dataclass(frozen=True)
class Press(Action):
    """Press keys."""

    digits: str


@dataclass(frozen=True)
class Cough(Action):
    """Make a noise without words."""

    seconds: float = 0.3


@dataclass(frozen=True)
class Wait(Action):
    """Stay silent for so long, whatever the agent does."""

    seconds: float


@dataclass(frozen=True)
class HangUp(Action):
    """Hang up."""


@dataclass(frozen=True, kw_only=True)
class Answer(Action):
    """Answer each question until the agent says goodbye: what is said to the first pattern that was heard.

    ``replies`` are (regular expression, words) in order; words None hang up, as ``otherwise`` None does when nothing
    fits. After ``most`` answers the caller hangs up in any case.
    """

    replies: tuple[tuple[str, str | None], ...]
    otherwise: str | None = None
    most: int = 12


class Impatient(Exception):
    """What the caller waited for did not come."""


class CallerSide(Listener):
    """Plays a script on a call's sound."""

    def __init__(  # noqa: D107 - the class says it
        self,
        sound: Sound,
        script: Sequence[Action],
        *,
        language: str,
        patience_s: float,
        stays_s: float,
    ) -> None:
        self._sound = sound
        self._script = script
        self._language = language
        self._patience_s = patience_s
        self._stays_s = stays_s
        self._news = asyncio.Event()
        self._since = 0.0
        self._answered = 0.0

    async def run(self) -> None:
        """Play the script from the moment of the answer on, then stay for a while; return to hang up."""
        self._answered = self._sound.now
        self._since = 0.0
        for number, action in enumerate(self._script, 1):
            if isinstance(action, Wait):
                await asyncio.sleep(action.seconds)
                continue
            if isinstance(action, Answer):
                await self._answer(number, action)
                return
            await self._until(number, action)
            if isinstance(action, HangUp):
                return
            await self._act(action)
            self._since = self._sound.now
        await asyncio.sleep(self._stays_s)

    async def _until(self, number: int, action: Action) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._moment(action)
        except TimeoutError:
            raise Impatient(_what(number, action, self._patience_s)) from None

    async def _answer(self, number: int, action: Answer) -> None:
        """Answer until there is nothing to say; the caller then hangs up."""
        for _ in range(action.most):
            await self._until(number, action)
            asked = self._heard_since()
            found = [
                words
                for pattern, words in action.replies
                if re.search(pattern, asked, re.IGNORECASE)
            ]
            words = found[0] if found else action.otherwise
            if words is None:
                return
            await self._sound.say(words, language=self._language)
            self._since = self._sound.now

    def agent_started(self, heard: Heard) -> None:
        """Look up."""
        del heard
        self._news.set()

    def agent_stopped(self, heard: Heard) -> None:
        """Look up."""
        del heard
        self._news.set()

    async def _act(self, action: Action) -> None:
        match action:
            case Speak(parts=parts):
                for part in parts:
                    if isinstance(part, str):
                        await self._sound.say(part, language=action.language or self._language)
                    else:
                        await asyncio.sleep(part)
            case Press(digits=digits):
                for digit in digits:
                    self._sound.press(digit)
                    await asyncio.sleep(_KEY_S)
            case Cough(seconds=seconds):
                await self._sound.say("", language=self._language, seconds=seconds)
            case _:
                raise TypeError(f"A caller cannot {action!r}.")

    async def _moment(self, action: Action) -> None:
        if action.at is not None:
            await asyncio.sleep(max(0.0, self._answered + action.at - self._sound.now))
        elif action.over is not None:
            await self._into_speech(action.over, action.hears)
        elif not action.turn:
            await asyncio.sleep(action.after)
        else:
            await self._turn(action.after, action.hears)

    async def _turn(self, after: float, hears: str | None) -> None:
        while True:
            self._news.clear()
            left = None
            if self._sound.agent is None and self._has_heard(hears):
                left = self._sound.agent_until + after - self._sound.now
                if left <= 1e-6:  # noqa: PLR2004 - the clock's own resolution
                    return
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _into_speech(self, over: float, hears: str | None) -> None:
        while True:
            agent = self._sound.agent
            if agent and self._has_heard(hears, of=agent):
                break
            await asyncio.sleep(_POLL_S)
        begun = self._sound.now if hears else agent.start_s
        await asyncio.sleep(max(0.0, begun + over - self._sound.now))

    def _has_heard(self, hears: str | None, of: Heard | None = None) -> bool:
        text = self._heard_since(of)
        if hears is None:
            return of is not None or bool(text.strip())
        return re.search(hears, text, re.IGNORECASE) is not None

    def _heard_since(self, of: Heard | None = None) -> str:
        """Give what was heard since the caller's last action, of all or of one utterance."""
        now = self._sound.now + 1e-6
        return " ".join(
            "".join(
                word.text
                for word in heard.words
                if word.start_s >= self._since - 1e-6 and word.end_s <= now
            )
            for heard in ([of] if of else self._sound.report.heard)
        )


def _what(number: int, action: Action, patience_s: float) -> str:
    waited = f"to hear /{action.hears}/" if action.hears else "for their turn"
    return (
        f"The caller waited {patience_s:g} s {waited} (action {number}, {type(action).__name__})."
    )
