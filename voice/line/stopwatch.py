"""How long callers wait, and how much of it is ours: moments of one call, and the figures made of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from voice.clock import elapsed, now


class Stopwatch:
    """The moments of a bridged call, in milliseconds of the loop's clock."""

    def __init__(self, measured: Callable[[str, float], None]) -> None:
        """Give each figure to ``measured``: its stage and milliseconds."""
        self._measured = measured
        self._turn_ended_ms: float | None = None
        self._event_ms = 0.0
        self._forward_ms = 0.0

    def event(self) -> None:
        """The vendor has told something."""
        self._event_ms = ms()

    def has_told_since(self, at_ms: float) -> bool:
        """Tell whether the vendor has told something since a moment."""
        return self._event_ms >= at_ms

    def forwarded(self, since_ms: float) -> None:
        """A frame of the caller's was passed on, which came at this moment."""
        self._forward_ms = ms() - since_ms

    def turn_ended(self, at_ms: float | None) -> None:
        """The caller has finished: then, or just now."""
        self._turn_ended_ms = ms() if at_ms is None else at_ms

    def sounded(self) -> None:
        """Sound of the vendor's was sent to the caller; the first of an answer is measured."""
        if self._turn_ended_ms is None:
            return
        self._measured("first_audio", ms() - self._turn_ended_ms)
        self._measured("own_share", ms() - self._event_ms + self._forward_ms)
        self._turn_ended_ms = None

    def cleared(self, since_ms: float) -> None:
        """What the agent said was cleared for a caller who has spoken since this moment."""
        self._measured("barge_in", ms() - since_ms)


def ms() -> float:
    """Give the loop's clock in milliseconds."""
    return elapsed() * 1000


class CallTime:
    """Seconds since a call began, for what is written down of it."""

    def __init__(self, started_at: datetime) -> None:
        """Count from this moment."""
        self._began = (now() - started_at).total_seconds() - elapsed()

    def now_s(self) -> float:
        """Give the seconds until now."""
        return self.at_s(None)

    def at_s(self, at_ms: float | None) -> float:
        """Give the seconds until a moment of the loop's clock; None: until now."""
        at = ms() if at_ms is None else at_ms
        return round(max(0.0, at / 1000 + self._began), 3)
