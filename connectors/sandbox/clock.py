"""The one clock of a sandbox. It is the machine's, unless a simulation moves its own."""

from __future__ import annotations

import time
from collections.abc import Callable

_source: Callable[[], float] = time.time


def seconds() -> float:
    """Give the seconds since 1970."""
    return _source()


def use(source: Callable[[], float]) -> None:
    """Take the time from ``source`` from now on, in this process."""
    global _source  # noqa: PLW0603 - a process has one clock, and this is where it is kept
    _source = source
