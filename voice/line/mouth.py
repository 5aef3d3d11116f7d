"""What goes to the caller's ear over Twilio's socket: sound with marks, and ``clear``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from voice.clock import elapsed
from voice.line import media_messages as twilio
from voice.line.playout import MARK_GRACE_MS, Heard, Playout
from voice.line.timers import Timers, Work


class Mouth:
    """The agent's side of one stream. ``marks_are_lost`` is called when marks are too late to be believed in."""

    def __init__(
        self,
        stream_sid: str,
        send: Callable[[str], Awaitable[None]],
        timers: Timers,
        marks_are_lost: Work,
    ) -> None:
        """Nothing is sent yet."""
        self._stream = stream_sid
        self._send = send
        self._timers = timers
        self._marks_are_lost = marks_are_lost
        self._playout = Playout()

    @property
    def is_speaking(self) -> bool:
        """Whether the caller still hears something."""
        return self._playout.is_speaking(_ms())

    async def play(self, item: str, audio: bytes) -> None:
        """Send sound of an item, unless it is interrupted in between."""
        pieces = self._playout.add(item, audio, _ms())
        epoch = self._playout.epoch
        for piece in pieces:
            if self._playout.epoch != epoch:
                return
            await self._send(twilio.media(self._stream, piece.audio))
            await self._send(twilio.mark(self._stream, piece.mark))
        self._timers.stop("silence")
        late_s = (self._playout.over_at_ms(_ms()) + MARK_GRACE_MS - _ms()) / 1000
        self._timers.set("marks", late_s, self._marks_are_lost)

    def echoed(self, mark: str) -> bool:
        """Take note of a mark that came back; tells whether it was the last one out."""
        is_last = self._playout.echoed(mark, _ms())
        if is_last:
            self._timers.stop("marks")
        return is_last

    async def clear(self) -> tuple[Heard, ...]:
        """Let the caller hear nothing more of what was sent; gives what was not heard to its end."""
        heard = self.cut()
        await self._send(twilio.clear(self._stream))
        return heard

    def cut(self) -> tuple[Heard, ...]:
        """Give what was not heard to its end, and forget it: the stream is over, or is being cleared."""
        self._timers.stop("marks")
        return self._playout.cut(_ms())

    def settle(self) -> None:
        """Take all that is out for played."""
        self._playout.settle()

    def items(self) -> tuple[str, ...]:
        """Name what was played last, in order."""
        return self._playout.items()


def _ms() -> float:
    return elapsed() * 1000
