"""What Twilio plays of a stream: a buffer in real time, marks in it, and a clear that empties both."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from voice.sandbox import speech
from voice.sandbox.faults import Do
from voice.sandbox.twilio.report import Heard

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

#: Audio is taken from the buffer in pieces of so many bytes: 20 ms.
_PIECE = 160
#: Shorter gaps do not end what the caller hears as one utterance.
_GAP_S = 0.25


class MediaPlayer:
    """The buffer of one stream."""

    def __init__(self, call: Call, echo: Callable[[str], None]) -> None:  # noqa: D107 - the class says it
        self._call = call
        self._sound = call.sound
        self._echo = echo
        self._queue: deque[bytes | str] = deque()
        self._news = asyncio.Event()
        self._decoder = speech.Decoder(_GAP_S)
        #: The stream position 0 of the decoder, on the call's clock.
        self._zero = 0.0
        self._heard: Heard | None = None
        #: What is being played right now, and since when.
        self._piece = b""
        self._piece_began: float | None = None
        self._loud_until = 0.0
        self._task = asyncio.create_task(self._play_all())

    def add(self, audio: bytes) -> None:
        """Play this after what waits."""
        self._queue.extend(audio[at : at + _PIECE] for at in range(0, len(audio), _PIECE))
        self._news.set()

    def mark(self, name: str) -> None:
        """Tell when all before it has been played."""
        self._queue.append(name)
        self._news.set()

    def clear(self) -> None:
        """Play nothing of what waits; its marks come back at once."""
        marks = [one for one in self._queue if isinstance(one, str)]
        self._restart()
        for name in marks:
            self._mark_reached(name)

    def stop(self) -> None:
        """The stream is over."""
        self._restart(again=False)

    def _restart(self, *, again: bool = True) -> None:
        is_cut = bool(self._queue) or self._piece_began is not None
        self._queue.clear()
        self._task.cancel()
        self._finish(cut=is_cut)
        if again:
            self._task = asyncio.create_task(self._play_all())

    async def _play_all(self) -> None:
        while True:
            while not self._queue:
                self._news.clear()
                await self._wait()
            one = self._queue.popleft()
            if isinstance(one, str):
                self._mark_reached(one)
                continue
            began = self._sound.now
            self._piece, self._piece_began = one, began
            self._listen(one)
            await asyncio.sleep(len(one) / speech.RATE)
            self._piece_began = None
            self._played(one, began)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_GAP_S if self._heard else None):
                await self._news.wait()
        except TimeoutError:
            self._finish(cut=False)

    def _listen(self, audio: bytes) -> None:
        if self._heard is None and audio.strip(bytes([speech.SILENCE])):
            self._decoder = speech.Decoder(_GAP_S)
            self._zero = self._loud_until = self._sound.now
            self._heard = self._sound.begin(language=None, voice=None, source="media")

    def _played(self, audio: bytes, start_s: float) -> None:
        self._sound.played.append((start_s, audio))
        seconds = len(audio) / speech.RATE
        if audio.strip(bytes([speech.SILENCE])):
            self._loud_until = round(start_s + seconds, 6)
            self._count_after_clear(start_s, seconds)
        if self._heard is not None:
            self._hear(audio, start_s)

    def _hear(self, audio: bytes, start_s: float) -> None:
        gap = start_s - self._zero - self._decoder.position_s
        events = self._decoder.feed(speech.silence(gap)) if gap > 1 / speech.RATE else []
        if self._heard:
            self._take(self._heard, [*events, *self._decoder.feed(audio)])
        if start_s + len(audio) / speech.RATE - self._loud_until >= _GAP_S:
            self._finish(cut=False)

    def _finish(self, *, cut: bool) -> None:
        if self._piece_began is not None:
            began, self._piece_began = self._piece_began, None
            self._played(self._piece[: round((self._sound.now - began) * speech.RATE)], began)
        heard, self._heard = self._heard, None
        if heard:
            self._take(heard, self._decoder.finish())
            self._sound.end(heard, at=self._loud_until, cut=cut)

    def _take(self, heard: Heard, events: list[speech.Event]) -> None:
        for event in events:
            if isinstance(event, speech.Word) and event.share == 1:
                speech.part(heard.words, event.text)
                start = round(self._zero + event.start_s, 6)
                end = round(self._zero + event.end_s, 6)
                heard.words.append(speech.Word(event.text, start, end))

    def _count_after_clear(self, start_s: float, seconds: float) -> None:
        caller, cleared = self._sound.caller, self._call.report.cleared
        if caller and caller.text and cleared and caller.start_s <= cleared[-1] <= start_s:
            self._call.report.after_clear_s += seconds

    def _mark_reached(self, name: str) -> None:
        fault = self._call.faults.take("twilio.mark")
        match fault.do if fault else None:
            case Do.STOP:
                return
            case Do.STALL:
                self._call.later(self._late(name, fault.for_s if fault else 0))
            case _:
                self._echo(name)

    async def _late(self, name: str, for_s: float) -> None:
        await asyncio.sleep(for_s)
        self._echo(name)
