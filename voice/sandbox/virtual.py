"""An event loop whose time passes only when everybody waits for it.

Sleeps of hours take no time, and a message on its way over a loopback socket is never overtaken by a timer. All that
keeps real time (Redis, the hub, threads) is waited for within :meth:`VirtualLoop.outside`, or in an executor.
"""

from __future__ import annotations

import asyncio
import heapq
import io
import selectors
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime, timedelta
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: A Tuesday morning in winter time.
START = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)

#: How long, in real seconds, an answer from outside may take before timers go on, so that time-outs can happen.
OUTSIDE_PATIENCE_S = 60.0
#: … and a thread, which nothing can time out: so long that only a hung one reaches it.
THREAD_PATIENCE_S = 600.0
#: How long, in real seconds, a thread or a signal may still wake a loop in which nothing else can happen.
DEADLOCK_PATIENCE_S = 0.5
#: How often the sockets are looked at before time goes on.
LOOKS = 3
#: Timers nearer to each other than this are due together.
RESOLUTION_S = 1e-6


class Deadlock(RuntimeError):
    """Nothing can happen any more: no message is on its way and no timer runs."""


class TooLate(RuntimeError):
    """More virtual time has passed than was allowed: something goes round for ever."""


class _Timer(asyncio.TimerHandle):
    # Of two timers for the same moment the one that was set first runs first.
    __slots__ = ("order",)

    order: int

    _when: float

    def __lt__(self, other: object) -> bool:
        if isinstance(other, _Timer):
            return (self._when, self.order) < (other._when, other.order)
        return NotImplemented


class _Wire:
    """A datagram to oneself: the loopback device delivers in order, so what was sent before it has arrived with it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(self._socket.getsockname())
        self._socket.settimeout(0.1)

    def settle(self) -> None:
        try:
            self._socket.send(b"?")
            self._socket.recv(1)
        except OSError:  # no more than a hint was lost
            return

    def close(self) -> None:
        self._socket.close()


class _PatientSelector(selectors.DefaultSelector):
    """Looks at the sockets for real; when all are quiet, lets the loop's time go on instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: VirtualLoop | None = None
        #: Sockets for which bytes wait in this process.
        self.writing: set[int] = set()
        self._wire = _Wire()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready, in the order of the sockets' numbers."""
        events = self._look(0)
        if events or timeout == 0 or self.loop is None:
            return events
        for _ in range(LOOKS):
            self._wire.settle()
            if events := self._look(0):
                return events
        return self.loop.pass_time(self._look)

    def close(self) -> None:
        self._wire.close()
        super().close()

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        """Watch a socket."""
        return self._note(super().register(fileobj, events, data))

    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        """Watch a socket for something else."""
        return self._note(super().modify(fileobj, events, data))

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """Watch a socket no longer."""
        key = super().unregister(fileobj)
        self.writing.discard(key.fd)
        return key

    def _note(self, key: selectors.SelectorKey) -> selectors.SelectorKey:
        if key.events & selectors.EVENT_WRITE:
            self.writing.add(key.fd)
        else:
            self.writing.discard(key.fd)
        return key

    def _look(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(timeout)
        if len(found) > 1:
            found.sort(key=lambda event: event[0].fd)
        return found


Look = Callable[[float], list[tuple[selectors.SelectorKey, int]]]


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with its own clock, which begins at ``start`` and never passes ``limit`` after it."""

    _scheduled: list[asyncio.TimerHandle]

    def __init__(  # noqa: D107 - the class says it
        self, start: datetime = START, limit: timedelta | None = timedelta(days=30)
    ) -> None:
        self._now = 0.0
        self._start = start.astimezone(UTC)
        self._limit_s = limit.total_seconds() if limit else float("inf")
        self._holds = 0
        self._threads = 0
        self._timers_set = 0
        self._patient = _PatientSelector()
        super().__init__(self._patient)
        self._patient.loop = self
        self._clock_resolution = RESOLUTION_S

    def time(self) -> float:
        """Give virtual seconds since the loop was made."""
        return self._now

    def wall(self) -> datetime:
        """Give the virtual moment, in UTC."""
        return self._start + timedelta(seconds=self._now)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Keep time standing while the block waits for something that keeps real time."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer; moments are whole microseconds, so that sums of sleeps are exact."""
        self._check_closed()  # type: ignore[attr-defined]  # of BaseEventLoop; typeshed leaves it out
        self._timers_set += 1
        timer = _Timer(round(when, 6), callback, args, self, context)
        timer.order = self._timers_set
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001 - as BaseEventLoop.call_at does
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer so many seconds from now."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run in a thread, which keeps real time: no virtual time passes until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._release)
        return future

    async def shutdown_default_executor(self, *_: Any) -> None:
        """Wait for the threads, in real time (newer Pythons pass a time-out)."""
        self._threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._threads -= 1

    def pass_time(self, look: Look) -> list[tuple[selectors.SelectorKey, int]]:
        """Everybody waits: wait for what is outside, else let the next timer be due."""
        patience = THREAD_PATIENCE_S if self._threads else OUTSIDE_PATIENCE_S
        if (self._holds or self._threads) and (events := look(patience)):
            return events
        if self._patient.writing and (events := look(0.001)):
            return events
        if not self._scheduled:
            if events := look(DEADLOCK_PATIENCE_S):
                return events
            raise Deadlock(f"Nothing can happen any more at {self._now:.3f} s.\n{self._stacks()}")
        self._now = max(self._now, round(self._scheduled[0].when(), 6))
        if self._now > self._limit_s:
            raise TooLate(f"{self._now:.0f} s have passed, more than allowed.\n{self._stacks()}")
        return []

    def _release(self, _: object) -> None:
        self._threads -= 1

    def _stacks(self) -> str:
        text = io.StringIO()
        for task in sorted(asyncio.all_tasks(self), key=lambda one: one.get_name()):
            text.write(f"{task.get_name()} waits in\n")
            for code, line in _where(task.get_coro()):
                text.write(f'  File "{code.co_filename}", line {line}, in {code.co_qualname}\n')
        return text.getvalue()


def _where(coroutine: Any) -> Iterator[tuple[CodeType, int]]:
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            yield frame.f_code, frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def run(
    main: Coroutine[Any, Any, T],
    *,
    start: datetime = START,
    limit: timedelta | None = timedelta(days=30),
) -> T:
    """Run on a virtual loop of its own, as ``asyncio.run`` does, and give what ``main`` gives."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start, limit)) as runner:
        return runner.run(main)
