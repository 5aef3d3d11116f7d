"""Time as voice code reads it, so that a simulation can pass hours in milliseconds.

All waiting is asyncio's (``asyncio.sleep``, ``asyncio.timeout``), all durations come from
:func:`elapsed`, all moments from :func:`now`. On an ordinary loop these are the machine's clocks. A loop with time of
its own (``voice.sandbox.virtual``) has ``wall()`` and ``outside()``: the first gives its moment, the second
keeps its time standing while an answer comes from another process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def now() -> datetime:
    """Give this moment, aware and in UTC."""
    wall = getattr(asyncio.get_running_loop(), "wall", None)
    return wall() if wall else datetime.now(UTC)


def elapsed() -> float:
    """Give seconds since some moment, for differences."""
    return asyncio.get_running_loop().time()


@contextmanager
def outside() -> Iterator[None]:
    """Say that what is awaited in the block comes from another process, which keeps real time."""
    hold = getattr(asyncio.get_running_loop(), "outside", None)
    if hold is None:
        yield
        return
    with hold():
        yield
