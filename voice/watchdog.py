"""Three clocks round a model's stream: to connect, to the first useful token, and between tokens.

A model that answers too late is worse than one that fails: the caller hears nothing. :func:`watch` passes
a stream on and says, in between, that it stalls and how badly; the line then speaks a filler,
repeats, or transfers (DESIGN.md §7). A stream that fails before anything useful came is opened again,
after that never: nobody should hear a sentence begin twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from voice.clock import elapsed

T = TypeVar("T")


class Level(StrEnum):
    """How long there has been nothing useful, and so what should be done about it."""

    FILLER = "filler"
    REPEAT = "repeat"
    TRANSFER = "transfer"


LEVELS = (Level.FILLER, Level.REPEAT, Level.TRANSFER)


class Reason(StrEnum):
    """Why a stream was given up."""

    CONNECT = "connect"
    STALLED = "stalled"
    GAP = "gap"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds after which each level is reached. The last one ends the stream.

    ``first`` counts from the start, the connecting included, to the first useful token; ``gap`` from each
    token to the next. ``connect`` is one attempt's time; ``retries`` are further attempts.
    """

    connect: float = 3.0
    first: tuple[float, float, float] = (0.8, 2.5, 6.0)
    gap: tuple[float, float, float] = (1.5, 3.5, 7.0)
    retries: int = 1

    def __post_init__(self) -> None:
        """Refuse clocks that cannot run."""
        for name, times in (("first", self.first), ("gap", self.gap)):
            if not 0 < times[0] <= times[1] <= times[2]:
                raise ValueError(f"{name}: the three times must be positive and rise, not {times}")
        if self.connect <= 0 or self.retries < 0:
            raise ValueError("connect must be positive and retries not negative")


@dataclass(frozen=True, slots=True)
class Token(Generic[T]):
    """An item of the stream, as it came."""

    item: T


@dataclass(frozen=True, slots=True)
class Stalled:
    """Nothing useful for as long as this level allows; the stream goes on unless it is the last level."""

    level: Level
    after_s: float
    is_mid_stream: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The stream is over without its end. ``has_spoken`` tells whether anything useful had come."""

    reason: Reason
    has_spoken: bool
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The stream has ended by itself. ``has_spoken`` is false when it held nothing useful."""

    has_spoken: bool


Item = Token[T] | Stalled | Failed | Done
Opener = Callable[[], Awaitable[AsyncIterator[T]]]


@dataclass(frozen=True, slots=True)
class _Opened:
    """An attempt has connected."""


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None = None
    is_connect: bool = False


def is_useful_text(item: object) -> bool:
    """Tell whether a piece of text says anything; whatever is not text (a tool call) does."""
    return bool(item.strip()) if isinstance(item, str) else item is not None


async def watch(
    opener: Opener[T],
    clocks: Clocks | None = None,
    *,
    is_useful: Callable[[T], bool] = is_useful_text,
) -> AsyncIterator[Item[T]]:
    """Yield a stream's items as :class:`Token`, its stalls, and last of all :class:`Done` or :class:`Failed`.

    ``opener`` is awaited for the stream. Closing the generator (or cancelling its task) cancels the
    stream and waits until that is done.
    """
    watched = _Watched(opener, clocks or Clocks(), is_useful)
    try:
        async for item in watched.items():
            yield item
    finally:
        await watched.stop()


class _Watched(Generic[T]):
    """One watched stream: a task that reads it, and the clocks."""

    def __init__(self, opener: Opener[T], clocks: Clocks, is_useful: Callable[[T], bool]) -> None:
        self._opener = opener
        self._clocks = clocks
        self._is_useful = is_useful
        self._queue: asyncio.Queue[Token[T] | _Opened | _Ended] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._has_spoken = False
        self._since = elapsed()
        self._reached = 0
        self._connect_by: float | None = None
        self._retries = clocks.retries

    async def items(self) -> AsyncIterator[Item[T]]:
        """Read until the end, a failure, or the last level."""
        self._start()
        while True:
            got = await self._next()
            if isinstance(got, Token):
                self._saw(got.item)
                yield got
            elif isinstance(got, Stalled):
                yield got
                if got.level is LEVELS[-1]:
                    reason = Reason.GAP if got.is_mid_stream else Reason.STALLED
                    yield Failed(reason, self._has_spoken)
                    return
            elif isinstance(got, _Ended) and not await self._begins_again(got):
                yield self._outcome(got)
                return

    async def stop(self) -> None:
        """Cancel the reading and wait for it."""
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._task
        self._task = None

    def _start(self) -> None:
        self._connect_by = elapsed() + self._clocks.connect
        self._queue = asyncio.Queue()
        self._task = asyncio.create_task(self._read(self._queue))

    async def _read(self, queue: asyncio.Queue[Token[T] | _Opened | _Ended]) -> None:
        is_open = False
        try:
            stream = await self._opener()
            is_open = True
            queue.put_nowait(_Opened())
            async for item in stream:
                queue.put_nowait(Token(item))
        except Exception as error:  # noqa: BLE001  # whatever a vendor's client raises is one failure to us
            queue.put_nowait(_Ended(error, is_connect=not is_open))
        else:
            queue.put_nowait(_Ended())

    async def _next(self) -> Token[T] | Stalled | _Opened | _Ended:
        """Wait for the stream, the connect clock, or the next level, whichever is first."""
        times = self._clocks.gap if self._has_spoken else self._clocks.first
        due = self._since + times[self._reached]
        until = due if self._connect_by is None else min(due, self._connect_by)
        try:
            async with asyncio.timeout(max(0.0, until - elapsed())):
                got = await self._queue.get()
        except TimeoutError:
            if until < due:
                return _Ended(TimeoutError("no connection"), is_connect=True)
            level = LEVELS[self._reached]
            self._reached += 1
            return Stalled(level, times[self._reached - 1], self._has_spoken)
        if isinstance(got, _Opened):
            self._connect_by = None
        return got

    def _saw(self, item: T) -> None:
        if self._is_useful(item):
            self._has_spoken = True
        if self._has_spoken:
            self._since = elapsed()
            self._reached = 0

    async def _begins_again(self, ended: _Ended) -> bool:
        """Open the stream once more, if it failed while nothing useful had come."""
        if ended.error is None or self._has_spoken or not self._retries:
            return False
        self._retries -= 1
        await self.stop()
        self._start()
        return True

    def _outcome(self, ended: _Ended) -> Failed | Done:
        if ended.error is None:
            return Done(self._has_spoken)
        reason = Reason.CONNECT if ended.is_connect else Reason.ERROR
        return Failed(reason, self._has_spoken, ended.error)
