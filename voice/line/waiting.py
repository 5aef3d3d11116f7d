"""The clocks round a vendor's answer: a filler, another try, another line (DESIGN §7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from voice.clock import elapsed
from voice.dialogue.types import Patience
from voice.line.timers import Timers, Work

#: Seconds without a sound after which each step is taken.
FILLER_S, AGAIN_S, GIVE_UP_S = 0.8, 2.5, 6.0
#: Speech that nothing has come of for so long, besides what the vendor's patience allows, was perhaps not noticed.
DEAF_S: Mapping[Patience, float] = {Patience.NORMAL: 1.5, Patience.DIGITS: 3.0}
_GIVE_UP = "give up"


class Waiting:
    """One wait at a time for the vendor's first sound, or for more of one that fell silent."""

    def __init__(
        self,
        timers: Timers,
        *,
        fill: Work,
        again: Work,
        give_up: Callable[[float | None], Awaitable[None]],
    ) -> None:
        """``give_up`` is told since when (in milliseconds) the wait goes on, if it was begun on a guess."""
        self._timers = timers
        self._fill = fill
        self._again = again
        self._give_up = give_up

    @property
    def is_on(self) -> bool:
        """Whether something is waited for."""
        return self._timers.is_set(_GIVE_UP)

    def begin(self, *, guess_since_ms: float | None = None) -> None:
        """Wait from now on, or, on a guess, since a moment that has passed."""
        passed = 0.0 if guess_since_ms is None else elapsed() - guess_since_ms / 1000
        self._timers.stop("silence")
        self._timers.set("filler", FILLER_S - passed, self._fill)
        self._timers.set("again", AGAIN_S - passed, self._again)
        self._timers.set(_GIVE_UP, GIVE_UP_S - passed, lambda: self._give_up(guess_since_ms))

    def stop(self) -> None:
        """Wait no longer."""
        for name in ("filler", "again", _GIVE_UP, "deaf"):
            self._timers.stop(name)
