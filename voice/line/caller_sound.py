"""When the caller speaks, by loudness: for measuring, and for noticing that a vendor has gone deaf.

It decides nothing about turns; vendors do that better. Mu-law is a logarithmic code, so the mean of the codes'
magnitudes is a loudness.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice.line.media_messages import BYTES_PER_MS

#: Magnitude (0 to 127) of each code; a code's bits are stored inverted, the first one is the sign.
_MAGNITUDE = bytes((~code) & 0x7F for code in range(256))
#: About -36 dBFS.
LOUD = 36.0
#: A click is shorter, a pause between words too.
ONSET_MS = 40.0
PAUSE_MS = 300.0
#: What is shorter need not be noticed by anybody.
LOUD_ENOUGH_MS = 250.0


def loudness(audio: bytes) -> float:
    """Give the mean magnitude of a piece of mu-law, 0 to 127."""
    return sum(audio.translate(_MAGNITUDE)) / len(audio) if audio else 0.0


@dataclass(slots=True)
class CallerSound:
    """The caller's latest utterance, in milliseconds of the clock that is passed in."""

    #: When it began and ended; ``ended_ms`` is the last loud moment so far.
    began_ms: float | None = None
    ended_ms: float | None = None
    is_speaking: bool = False
    _loud_since: float | None = None

    def feed(self, audio: bytes, now_ms: float) -> None:
        """Take what came in now."""
        start = now_ms - len(audio) / BYTES_PER_MS
        if loudness(audio) >= LOUD:
            self._loud(start, now_ms)
        elif self.is_speaking and self.ended_ms is not None and now_ms - self.ended_ms >= PAUSE_MS:
            self.is_speaking, self._loud_since = False, None
        elif not self.is_speaking:
            self._loud_since = None

    def spoken_ms(self) -> float:
        """Give how long the latest utterance is, from its first to its last loud moment."""
        if self.began_ms is None or self.ended_ms is None:
            return 0.0
        return self.ended_ms - self.began_ms

    def is_worth_an_answer(self) -> bool:
        """Tell whether the latest utterance is long enough to have been words."""
        return self.spoken_ms() >= LOUD_ENOUGH_MS

    def _loud(self, start: float, now_ms: float) -> None:
        if self._loud_since is None:
            self._loud_since = start
        if not self.is_speaking and now_ms - self._loud_since >= ONSET_MS:
            self.is_speaking, self.began_ms = True, self._loud_since
        if self.is_speaking:
            self.ended_ms = now_ms
