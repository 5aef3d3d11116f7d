"""What goes wrong, at random but by a seed: processes die, Redis is emptied, PostgreSQL restarts, vendors misbehave."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import redis

from tests.connectors import running
from tests.e2e.installation import Installation

#: Faults that vendors are given, with how often each is chosen; each hits the next few requests.
FAULTS: tuple[tuple[int, dict[str, object]], ...] = (
    (5, {"kind": "cut_after", "method": "POST"}),
    (2, {"kind": "cut_after", "method": "PATCH"}),
    (3, {"kind": "cut_before"}),
    (3, {"kind": "status", "status": 429}),
    (3, {"kind": "status", "status": 503}),
    (2, {"kind": "status", "status": 500}),
    (2, {"kind": "malformed"}),
    (1, {"kind": "html"}),
    (3, {"kind": "slow", "seconds": 1.5}),
)


@dataclass
class Done:
    """What was done so far."""

    kills: Counter[str] = field(default_factory=Counter)
    wipes: int = 0
    restarts: int = 0
    cuts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    revocations: int = 0
    expirations: int = 0


class Monkeys:
    """Threads that break things until told to stop."""

    def __init__(self, one: Installation, seed: int) -> None:
        """Take the installation and its vendors."""
        self._one = one
        self._dice = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monkeys", daemon=True)
        self.done = Done()
        self.problem: BaseException | None = None

    def start(self) -> None:
        """Begin to break things."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and let every vendor behave again."""
        self._stop.set()
        self._thread.join(60)
        for box in self._one.boxes.values():
            box.clear_faults()

    def _run(self) -> None:
        acts: tuple[tuple[int, Callable[[], None]], ...] = (
            (14, self._misbehave),
            (4, self._kill_worker),
            (2, self._kill_hub),
            (2, self._kill_sweep),
            (2, self._kill_sandbox),
            (2, self._wipe_redis),
            (1, self._kill_redis),
            (1, self._restart_postgresql),
            (2, self._expire_tokens),
            (1, self._revoke),
        )
        weights, doing = zip(*acts, strict=True)
        # Everything happens at least once, in a random order; after that by its weight.
        first = list(doing)
        self._dice.shuffle(first)
        try:
            while not self._stop.is_set():
                act = first.pop() if first else self._dice.choices(doing, weights)[0]
                act()
                self._stop.wait(self._dice.uniform(0.4, 2.2))
        except BaseException as err:  # noqa: BLE001 - told at the end, where it fails the run
            self.problem = err

    def _box(self) -> running.Sandbox:
        return self._one.boxes[self._dice.choice(sorted(self._one.boxes))]

    def _misbehave(self) -> None:
        weights, kinds = zip(*FAULTS, strict=True)
        fault = dict(self._dice.choices(kinds, weights)[0])
        number = self._dice.randint(1, 3)
        with suppress(httpx.HTTPError):  # it may be dead at the moment
            self._box().fault(**fault, next=number)
            kind = str(fault["kind"])
            self.done.faults[kind] += number
            self.done.cuts += number if kind.startswith("cut") else 0

    def _children(self, word: str) -> list[psutil.Process]:
        found = []
        for one in psutil.Process(self._one.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if word in one.cmdline()[-1:]:
                    found.append(one)
        return found

    def _kill_one_of(self, word: str) -> None:
        found = self._children(word)
        if found:
            with suppress(psutil.NoSuchProcess):
                self._dice.choice(found).kill()
                self.done.kills[word] += 1

    def _kill_worker(self) -> None:
        self._kill_one_of("worker")

    def _kill_hub(self) -> None:
        self._kill_one_of("serve")

    def _kill_sweep(self) -> None:
        self._kill_one_of("sweep")

    def _kill_sandbox(self) -> None:
        box = self._box()
        port = int(box.url.rpartition(":")[2])
        box.kill()
        self.done.kills["sandbox"] += 1
        time.sleep(self._dice.uniform(0.2, 1.5))
        again = running.start(box.name, box.folder, port=port)
        # Everybody keeps the record of the sandbox that they have.
        box.process, box.http = again.process, again.http

    def _wipe_redis(self) -> None:
        with suppress(
            redis.RedisError
        ):  # it was killed a moment ago, and is empty when it comes back
            self._one.hub.redis.flushall()
            self.done.wipes += 1

    def _kill_redis(self) -> None:
        for one in psutil.process_iter():
            with suppress(psutil.Error):
                is_ours = str(self._one.data_dir) in " ".join(one.cmdline())
                if is_ours and one.name().startswith("redis"):
                    one.kill()
                    self.done.kills["redis"] += 1
                    self.done.wipes += 1  # it keeps nothing on disk that we rely on

    def _restart_postgresql(self) -> None:
        """Crash the server: all connections are cut, and it recovers from its log."""
        file = next(Path(self._one.data_dir).glob("**/postmaster.pid"), None)
        if file is None:
            return
        os.kill(int(file.read_text().splitlines()[0]), signal.SIGQUIT)
        self.done.restarts += 1

    def _expire_tokens(self) -> None:
        with suppress(httpx.HTTPError):
            self._box().post("expire")
            self.done.expirations += 1

    def _revoke(self) -> None:
        with suppress(httpx.HTTPError):
            self._box().post("revoke")
            self.done.revocations += 1
