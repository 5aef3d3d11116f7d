"""ConversationRelay speaks: text tokens become speech in order, until somebody interrupts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice.sandbox import speech
from voice.sandbox.speech import Word
from voice.sandbox.twilio.prompts import media
from voice.sandbox.twilio.report import Heard, Said
from voice.sandbox.twilio.schema import DEFAULT_VOICES
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

Send = Callable[[dict[str, Any]], None]

#: The error of a voice that cannot be had; the session goes on, and what is to be spoken is not heard.
# Source: https://www.twilio.com/docs/api/errors/64111 (2026-11-30)
_VOICE_FAILED = 64111
#: How long half a word waits for its other half [not documented; our assumption].
_HALF_WORD_S = 0.5


def interruptible_by(value: str | bool | None) -> frozenset[str]:  # noqa: FBT001 - the documents allow both
    """Give by what speech may be interrupted: speech, dtmf, both or neither."""
    match value:
        case None | True | "true" | "any":
            return frozenset({"speech", "dtmf"})
        case False | "false" | "none":
            return frozenset()
        case _:
            return frozenset({str(value)})


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something to be played: text, or the sound at an address."""

    text: str
    language: str | None = None
    interruptible: frozenset[str] = frozenset({"speech", "dtmf"})
    is_preemptible: bool = False
    source: str | None = None
    loop: int = 1
    #: Of which talk it is a part: talks end with ``last``.
    talk: int = 0
    is_last: bool = False


class RelayMouth:
    """The speech of a session."""

    def __init__(self, call: Call, verb: Verb, send: Send) -> None:  # noqa: D107 - the class says it
        self._call = call
        self._sound = call.sound
        self._verb = verb
        self._send = send
        self._language = verb.get("ttsLanguage") or verb.get("language") or "en-US"
        self._events = f"{verb.get('events') or ''} {verb.get('debug') or ''}".split()
        self._queue: deque[Utterance] = deque()
        self._half: Utterance | None = None
        self._news = asyncio.Event()
        self._talk = 0
        self._begun = 0.0
        self._heard: list[Heard] = []
        self._current: Utterance | None = None
        self._open: Heard | None = None
        self._is_voice_gone = False
        self._interrupted_by: Said | None = None
        self._interrupted_at = 0.0
        self._player = asyncio.create_task(self._play_all())

    @property
    def current(self) -> Utterance | None:
        """What is being played."""
        return self._current

    def say(self, utterance: Utterance, *, last: bool) -> None:
        """Queue a text; words are spoken when they are whole."""
        self._preempt(utterance)
        text = (self._half.text if self._half else "") + utterance.text
        self._half = None
        whole, half = (text, "") if last else _whole_words(text)
        talk = self._talk
        self._talk += last
        if whole or last:
            self._queue.append(_with(utterance, whole, talk, is_last=last))
        if half:
            self._half = _with(utterance, half, talk, is_last=False)
        self._news.set()

    def take_text(self, message: dict[str, Any]) -> None:
        """A ``text`` message."""
        self.say(self._utterance(message["token"], message), last=message.get("last", False))

    def take_play(self, message: dict[str, Any]) -> None:
        """A ``play`` message."""
        utterance = self._utterance("", message)
        self._preempt(utterance)
        times = message.get("loop", 1) or 1000
        self._flush_half()
        self._queue.append(
            Utterance(
                "", None, utterance.interruptible, utterance.is_preemptible, message["source"],
                times, self._talk, is_last=True,
            )
        )  # fmt: skip
        self._talk += 1
        self._news.set()

    def take_digits(self, digits: str) -> None:
        """A ``sendDigits`` message: the caller hears tones."""
        self._queue.append(Utterance("", source=f"dtmf:{digits}", talk=self._talk, is_last=True))
        self._talk += 1
        self._news.set()

    def switch(self, language: str | None) -> None:
        """Speak another language from now on."""
        self._language = language or self._language

    def interrupt(self, said: Said | None) -> None:
        """The caller speaks: be silent, forget what was to be said, and tell what was heard."""
        talk = self._current.talk if self._current else self._talk
        now, begun = self._sound.now, self._begun
        heard = self._heard
        self._silence()
        self._interrupted_by, self._interrupted_at = said, now
        self._talk = max(self._talk, talk + 1)
        text = " ".join(one.text for one in heard)
        milliseconds = round((now - begun) * 1000)
        self._send(
            {
                "type": "interrupt",
                "utteranceUntilInterrupt": text,
                "durationUntilInterruptMs": milliseconds,
            }
        )

    def stop(self) -> None:
        """The session is over."""
        self._player.cancel()
        self._close(cut=self._current is not None)

    def _utterance(self, text: str, message: dict[str, Any]) -> Utterance:
        allowed = message.get("interruptible", self._verb.get("interruptible"))
        preemptible = message.get("preemptible", self._verb.is_on("preemptible"))
        language = message.get("lang", self._language)
        return Utterance(text, language, interruptible_by(allowed), preemptible)

    def _preempt(self, utterance: Utterance) -> None:
        # A new talk takes the place of one that may be preempted.
        old = self._current or (self._queue[0] if self._queue else None)
        if old and old.is_preemptible and old.talk != self._talk:
            del utterance
            self._silence()

    def _silence(self) -> None:
        self._player.cancel()
        self._queue.clear()
        self._half = None
        self._close(cut=True)
        self._current = None
        self._heard = []
        self._player = asyncio.create_task(self._play_all())

    def _flush_half(self) -> None:
        if self._half:
            self._queue.append(self._half)
            self._half = None

    async def _play_all(self) -> None:
        while True:
            if not self._queue:
                self._current = None
                self._close(cut=False)
                await self._next()
                await asyncio.sleep(self._call.habits.synthesis_s)
            if not self._queue:
                continue
            self._current = self._queue.popleft()
            await self._play(self._current)
            if self._current.is_last:
                self._close(cut=False)
                self._heard = []

    async def _next(self) -> None:
        while not self._queue:
            self._news.clear()
            try:
                async with asyncio.timeout(_HALF_WORD_S if self._half else None):
                    await self._news.wait()
            except TimeoutError:
                self._flush_half()

    async def _play(self, utterance: Utterance) -> None:
        if utterance.source and utterance.source.startswith("dtmf:"):
            await asyncio.sleep(0.2 * len(utterance.source[5:]))
            return
        if utterance.source:
            found = await media(self._call, utterance.source)
            if found:
                seconds, text = found
                for _ in range(utterance.loop):
                    self._open_for(None, "play")
                    await self._speak(text, seconds / max(1, _weight(text)))
                    self._close(cut=False)
            return
        language = utterance.language or self._language
        rate = self._call.habits.pace.seconds("x", language)
        if utterance.text.strip() and self._has_voice():
            self._open_for(language, "relay")
            await self._speak(utterance.text, rate)
            if "tokens-played" in self._events:
                self._send({"type": "info", "name": "tokensPlayed", "value": utterance.text})

    def _has_voice(self) -> bool:
        if not self._is_voice_gone and self._call.faults.take("twilio.relay.voice"):
            self._is_voice_gone = True
            why = f"Error {_VOICE_FAILED}: Text-to-Speech request failed"
            self._call.problem(_VOICE_FAILED, why)
            self._send({"type": "error", "description": why})
        return not self._is_voice_gone

    async def _speak(self, text: str, seconds_a_word: float) -> None:
        for piece in speech.pieces(text):
            start = self._sound.now
            took = seconds_a_word * speech.weight(piece)
            if self._open and took:
                self._open.words.append(Word(piece, start, round(start + took, 6)))
            await asyncio.sleep(took)

    def _open_for(self, language: str | None, source: str) -> None:
        voice = self._voice(language) if language else None
        if self._open and (self._open.language, self._open.voice) == (language, voice):
            return
        self._close(cut=False)
        if not self._heard:
            self._begun = self._sound.now
        self._open = self._sound.begin(language=language, voice=voice, source=source)
        self._heard.append(self._open)
        self._tell("on")

    def _close(self, *, cut: bool) -> None:
        if self._open:
            opened, self._open = self._open, None
            self._sound.end(opened, cut=cut)
            self._count_after_interrupt(opened)
            self._tell("off")

    def _count_after_interrupt(self, heard: Heard) -> None:
        said = self._interrupted_by
        if said and heard.start_s >= self._interrupted_at:
            until = min(heard.end_s, said.end_s)
            self._call.report.after_clear_s += round(max(0.0, until - heard.start_s), 6)

    def _tell(self, value: str) -> None:
        if "speaker-events" in self._events:
            self._send({"type": "info", "name": "agentSpeaking", "value": value})

    def _voice(self, language: str) -> str:
        for child in self._verb.children:
            if child.name == "Language" and child.get("code") == language:
                provider = child.get("ttsProvider") or self._verb.get("ttsProvider") or ""
                return child.get("voice") or self._verb.get("voice") or DEFAULT_VOICES[provider]
        return self._verb.get("voice") or DEFAULT_VOICES[self._verb.get("ttsProvider") or ""]


def _whole_words(text: str) -> tuple[str, str]:
    parts = speech.pieces(text)
    if not parts or parts[-1][-1].isspace():
        return text, ""
    return "".join(parts[:-1]), parts[-1]


def _with(utterance: Utterance, text: str, talk: int, *, is_last: bool) -> Utterance:
    return Utterance(
        text,
        utterance.language,
        utterance.interruptible,
        utterance.is_preemptible,
        talk=talk,
        is_last=is_last,
    )


def _weight(text: str) -> int:
    return sum(map(speech.weight, speech.pieces(text)))
