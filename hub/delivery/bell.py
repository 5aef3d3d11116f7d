"""Rings for accepted events beside their answers: one thread per process, one ring for many events.

Who posts an event waits for the commit, not for Redis. Rings that come while the thread is busy are put
together. A drain that lets rows wait a moment for company has it ring again when the moment is over: sooner than the
sweep would look. What is lost when the process dies in between, the sweep finds in the table.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import Final

from hub.context import Hub
from hub.delivery.wake import wake

#: After a round the thread rests, so that a busy process rings for many events at once.
_REST_S: Final = 0.005


class Bell:
    """Wakes workers for connections, soon and in the background."""

    def __init__(self, hub: Hub) -> None:
        """Ring in the hub's Redis; the thread starts with the first ring."""
        self._hub = hub
        self._lock = threading.Lock()
        self._ringing = threading.Lock()
        self._has_rung = threading.Event()
        self._resting = threading.Event()  # never set: waiting on it is a rest
        self._due: dict[str, bool] = {}
        #: Connections to ring for, and when, by the monotonic clock.
        self._later: dict[str, float] = {}
        self._pid = 0

    def ring(self, connection_ids: Iterable[str], *, is_urgent: bool) -> None:
        """Wake workers for these connections soon; returns at once."""
        with self._lock:
            for connection_id in connection_ids:
                self._due[connection_id] = is_urgent or self._due.get(connection_id, False)
            self._start()
        self._has_rung.set()

    def ring_later(self, connection_id: str, after_s: float) -> None:
        """Wake a worker for this connection after a while, unless that is going to happen sooner."""
        at = time.monotonic() + after_s
        with self._lock:
            self._later[connection_id] = min(at, self._later.get(connection_id, at))
            self._start()
        self._has_rung.set()

    def _start(self) -> None:
        if self._pid != os.getpid():  # threads do not cross a fork
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="bell", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._has_rung.wait(self._until_next_s())
            self._has_rung.clear()
            self.flush()
            self._resting.wait(_REST_S)

    def _until_next_s(self) -> float | None:
        with self._lock:
            next_at = min(self._later.values(), default=None)
        return None if next_at is None else max(0.0, next_at - time.monotonic())

    def flush(self) -> None:
        """Come back when everything that was to be rung has been: by this thread, or by the bell's own."""
        with self._ringing:
            with self._lock:
                due, self._due = self._due, {}
                at = time.monotonic()
                for connection_id in [one for one, when in self._later.items() if when <= at]:
                    del self._later[connection_id]
                    due.setdefault(connection_id, False)
            wake(self._hub, sorted(one for one in due if due[one]), is_urgent=True)
            wake(self._hub, sorted(one for one in due if not due[one]))


def flush() -> None:
    """Come back when all bells of this process have rung what was to be rung; for its end."""
    for one in list(_BELLS.values()):
        one.flush()


_BELLS: Final[dict[tuple[int, int], Bell]] = {}
_BELLS_LOCK: Final = threading.Lock()


def bell(hub: Hub) -> Bell:
    """Give this process's bell for a hub."""
    which = (id(hub.engine), id(hub.redis))  # the bell keeps both, so no other gets their ids
    found = _BELLS.get(which)
    if found is None:
        with _BELLS_LOCK:
            found = _BELLS.setdefault(which, Bell(hub))
    return found
