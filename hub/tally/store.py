"""Adding up in the process, sending to Redis beside the work; nobody who counts waits or fails for it."""

from __future__ import annotations

import atexit
import os
import threading
from bisect import bisect_left
from collections import defaultdict
from typing import Final

import redis

from hub import log
from hub.tally.families import Counter, Histogram

KEY: Final = "metrics"
_REST_S: Final = 1.0
#: Names of one kind, such as the objects of a vendor, that become labels of their own; the others are "other".
_MOST_NAMES: Final = 40
OTHER: Final = "other"
_log = log.get(__name__)

#: Lets a name into a set that has room; gives 1 when it is in.
_KEEP: Final = """
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 1 end
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
return 1
"""


class Tally:
    """Counts of one process for one Redis."""

    def __init__(self, store: redis.Redis) -> None:
        """Send to ``store``; the thread starts with the first count."""
        self.store = store
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._has_some = threading.Event()
        self._resting = threading.Event()  # never set: waiting on it is a rest
        self._counts: defaultdict[str, float] = defaultdict(float)
        self._names: dict[tuple[str, str], str] = {}
        self._pid = 0

    def add(self, field: str, number: float) -> None:
        """Count; returns at once."""
        with self._lock:
            if (
                self._pid != os.getpid()
            ):  # threads do not cross a fork, and what was counted is our parent's
                if self._pid:
                    self._counts = defaultdict(float)
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="tally", daemon=True).start()
            self._counts[field] += number
        self._has_some.set()

    def _run(self) -> None:
        while True:
            self._has_some.wait()
            self._resting.wait(_REST_S)
            self._has_some.clear()
            self.flush()

    def flush(self) -> None:
        """Send what was counted; keeps it when Redis is gone."""
        with self._sending:
            with self._lock:
                counts, self._counts = self._counts, defaultdict(float)
            if not counts:
                return
            try:
                with self.store.pipeline(transaction=True) as pipe:
                    for field, number in counts.items():
                        pipe.hincrbyfloat(KEY, field, number)
                    pipe.execute()
            except redis.RedisError as err:
                _log.debug("metrics were not sent", kind=type(err).__name__)
                with self._lock:
                    for field, number in counts.items():
                        self._counts[field] += number

    def kept(self, kind: str, name: str) -> str:
        """Give the name when it is among the first few of its kind, "other" when there are too many."""
        which = (kind, name)
        if which not in self._names:
            try:
                is_in = self.store.eval(_KEEP, 1, f"{KEY}:{kind}", name, str(_MOST_NAMES))
            except redis.RedisError:
                return OTHER
            self._names[which] = name if is_in else OTHER
        return self._names[which]


_TALLIES: Final[dict[int, Tally]] = {}
_LOCK: Final = threading.Lock()


def tally(store: redis.Redis) -> Tally:
    """Give this process's tally for a Redis."""
    found = _TALLIES.get(id(store))  # the tally keeps the client, so no other gets its id
    if found is None:
        with _LOCK:
            found = _TALLIES.setdefault(id(store), Tally(store))
    return found


def flush() -> None:
    """Send everything that this process has counted; for its end."""
    for one in list(_TALLIES.values()):
        one.flush()


atexit.register(flush)


def count(store: redis.Redis, what: Counter, *labels: str, number: float = 1) -> None:
    """Count, with a value for each label of ``what``."""
    tally(store).add(_field(what.name, labels), number)


def observe(
    store: redis.Redis, what: Histogram, size: float, *labels: str, number: int = 1
) -> None:
    """Count something of a size, in seconds or pieces, with a value for each label of ``what``."""
    mine = tally(store)
    place = bisect_left(what.bounds, size)
    bound = str(what.bounds[place]) if place < len(what.bounds) else "+Inf"
    mine.add(_field(what.name, (*labels, bound)), number)
    mine.add(_field(f"{what.name}.sum", labels), size * number)


def kept(store: redis.Redis, kind: str, name: str | None) -> str:
    """Give a name that tenants may choose as a label: the first forty of a kind as they are, the rest as "other"."""
    return tally(store).kept(kind, name) if name else OTHER


def _field(name: str, labels: tuple[str, ...]) -> str:
    return "|".join((name, *(label.replace("|", "/") for label in labels)))
