"""Named timers of one call: each runs a coroutine once, later, unless it is stopped or set again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[None]]


class Timers:
    """Timers by name. What a timer's work raises goes to ``failed``."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        """Begin without timers."""
        self._failed = failed
        self._handles: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def set(self, name: str, after_s: float, work: Work) -> None:
        """Run ``work`` after so many seconds, instead of what the timer was set to before."""
        self.stop(name)
        loop = asyncio.get_running_loop()
        self._handles[name] = loop.call_later(max(0.0, after_s), self._due, name, work)

    def stop(self, name: str) -> None:
        """Let nothing happen; what already runs goes on."""
        if handle := self._handles.pop(name, None):
            handle.cancel()

    def is_set(self, name: str) -> bool:
        """Tell whether a timer is still to come."""
        return name in self._handles

    def start(self, name: str, work: Work) -> None:
        """Run something beside everything else, now."""
        task = asyncio.create_task(self._run(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop all timers and whatever they have started."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _due(self, name: str, work: Work) -> None:
        self._handles.pop(name, None)
        self.start(name, work)

    async def _run(self, work: Work) -> None:
        try:
            await work()
        except Exception as err:  # noqa: BLE001 - whatever it is, the call goes on elsewhere
            self._failed(err)
