"""The two directions of a call's sound: what the agent plays, what the caller says, and who listens."""

from __future__ import annotations

import asyncio

from voice import clock
from voice.sandbox import speech
from voice.sandbox.speech import Word
from voice.sandbox.twilio.report import Heard, Report, Said


class Listener:
    """Somebody who is told what happens on the line, at the moment at which it happens."""

    def caller_started(self, said: Said) -> None:
        """The caller opens their mouth."""

    def caller_stopped(self, said: Said) -> None:
        """The caller is silent again; ``said`` is whole."""

    def caller_pressed(self, digit: str) -> None:
        """The caller has pressed a key."""

    def agent_started(self, heard: Heard) -> None:
        """The agent begins to be heard."""

    def agent_stopped(self, heard: Heard) -> None:
        """The agent is no longer heard, since ``heard.end_s``."""


class Sound:
    """A call's sound on one clock, which begins at 0 when the call is placed."""

    def __init__(self, report: Report, pace: speech.Pace) -> None:  # noqa: D107 - the class says it
        self.report = report
        self.pace = pace
        self.listeners: list[Listener] = []
        self.agent: Heard | None = None
        self.caller: Said | None = None
        #: When the agent was last heard.
        self.agent_until = 0.0
        self._began = clock.elapsed()
        #: What was really played, by its start: audio of streams, for recordings.
        self.played: list[tuple[float, bytes]] = []
        #: What the caller's telephone sends, by its start.
        self.spoken: list[tuple[float, bytes]] = []

    @property
    def now(self) -> float:
        """Give seconds since the call was placed."""
        return round(clock.elapsed() - self._began, 6)

    def begin(self, *, language: str | None, voice: str | None, source: str) -> Heard:
        """The agent begins to be heard."""
        heard = Heard(self.now, self.now, language, voice, source)
        self.agent = heard
        self.report.heard.append(heard)
        self._tell("agent_started", heard)
        return heard

    def end(self, heard: Heard, *, at: float | None = None, cut: bool = False) -> None:
        """The agent is silent; words that were not heard to their end are struck off."""
        if heard.is_over:
            return
        heard.end_s, heard.cut, heard.is_over = self.now if at is None else at, cut, True
        heard.words = [word for word in heard.words if word.end_s <= heard.end_s + 1e-6]
        self.agent_until = max(self.agent_until, heard.end_s)
        if self.agent is heard:
            self.agent = None
        self._tell("agent_stopped", heard)

    async def play(
        self,
        text: str,
        *,
        language: str | None,
        voice: str | None,
        source: str,
        seconds: float | None = None,
    ) -> None:
        """Say a text to the caller, and come back when it is said."""
        if seconds is None:
            seconds = self.pace.seconds(text, language)
        heard = self.begin(language=language, voice=voice, source=source)
        heard.words = shifted(speech.schedule(text, seconds), heard.start_s)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.end(heard, cut=self.now < heard.start_s + seconds - 1e-6)

    async def say(self, text: str, *, language: str, seconds: float | None = None) -> None:
        """The caller says a text; with no text it is a noise of so many seconds."""
        took = self.pace.seconds(text, language) if seconds is None else seconds
        said = Said(self.now, self.now + took, text, language)
        said.words = shifted(speech.schedule(text, took), said.start_s) if text else []
        self.caller = said
        self.report.said.append(said)
        audio = speech.encode(text, took) if text else speech.noise(took)
        self.spoken.append((said.start_s, audio))
        self._tell("caller_started", said)
        try:
            await asyncio.sleep(took)
        finally:
            self._close(said)

    def press(self, digit: str) -> None:
        """The caller presses a key."""
        self.report.pressed.append((self.now, digit))
        self._tell("caller_pressed", digit)

    def caller_audio(self, start_s: float, end_s: float) -> bytes:
        """Give what the caller's telephone sends in a stretch of time."""
        return mixed(self.spoken, start_s, end_s)

    def agent_audio(self, start_s: float, end_s: float) -> bytes:
        """Give what the caller hears in a stretch of time."""
        said = [
            (word.start_s, speech.encode(word.text, word.end_s - word.start_s))
            for heard in self.report.heard
            if heard.source != "media"
            for word in heard.words
        ]
        return mixed(said + self.played, start_s, end_s)

    def _close(self, said: Said) -> None:
        if said.end_s > self.now:  # cut short, as by hanging up
            said.end_s = self.now
            said.words = [word for word in said.words if word.end_s <= said.end_s + 1e-6]
            said.text = "".join(word.text for word in said.words).strip()
            start, audio = self.spoken[-1]
            self.spoken[-1] = start, audio[: round((said.end_s - start) * speech.RATE)]
        said.is_over = True
        self.caller = None
        self._tell("caller_stopped", said)

    def _tell(self, what: str, value: Heard | Said | str) -> None:
        for listener in list(self.listeners):
            getattr(listener, what)(value)


def shifted(words: list[Word], by_s: float) -> list[Word]:
    """Move words in time."""
    return [
        Word(word.text, round(word.start_s + by_s, 6), round(word.end_s + by_s, 6))
        for word in words
    ]


def mixed(parts: list[tuple[float, bytes]], start_s: float, end_s: float) -> bytes:
    """Give a stretch of mu-law in which parts lie at their places and all else is silence."""
    first, last = round(start_s * speech.RATE), round(end_s * speech.RATE)
    track = bytearray([speech.SILENCE]) * max(0, last - first)
    for at_s, audio in parts:
        at = round(at_s * speech.RATE)
        low, high = max(at, first), min(at + len(audio), last)
        if low < high:
            track[low - first : high - first] = audio[low - at : high - at]
    return bytes(track)
