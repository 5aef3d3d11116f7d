"""Starts the processes of an installation on one machine, keeps them running, and stops them.

Every program runs in a session of its own: Ctrl-C in the terminal reaches only the supervisor, which stops the
others in order. What dies is started again, after a pause that grows. When the supervisor itself is
killed, :mod:`hub.guardian` stops the programs.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Self

from hub import log
from hub.embedded import Services
from hub.settings import SettingsProblem

_LOG = log.get(__name__)
#: A worker finishes its batch when it is asked to stop, and a call to a vendor may take 30 s; what takes longer is
#: taken back from it later.
_STOP_S = 35.0
_LONGEST_PAUSE_S = 30.0
#: A program that ran this long was well; the pause before it is started again is short again.
_WELL_S = 60.0
_LOOK_S = 0.25
_PORTS = range(12_000, 32_000)


class DidNotStart(Exception):
    """A program ended, or did not answer, before it was ready; the message says which and where its log is."""


@dataclass(frozen=True, slots=True)
class Program:
    """A command of ours to keep running; ``is_ready`` tells whether it answers yet."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool] | None = None

    @classmethod
    def of(cls, name: str, *words: str, is_ready: Callable[[], bool] | None = None) -> Program:
        """Make a program of an ``afterbeep`` command."""
        return cls(name, (sys.executable, "-m", "hub.cli", *words), is_ready)


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    started_at: float = field(default_factory=time.monotonic)
    deaths: int = 0
    again_at: float | None = None


class Supervisor:
    """Runs programs beside the embedded servers. Use it from the main thread, as a context manager."""

    def __init__(self, services: Services, *, log_dir: Path | None = None) -> None:
        """Watch over ``services``; what programs say goes to files in ``log_dir``, or to our own output."""
        self._services = services
        self._log_dir = log_dir
        self._running: list[_Running] = []
        self._guard: subprocess.Popen[bytes] | None = None
        self._told: set[int] = set()
        if log_dir:
            log_dir.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        """Put the guardian in place first, so that nothing is ever without one."""
        self._keep_guard()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop everything that was started."""
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The process of each running program by its name."""
        return {
            one.program.name: one.process.pid for one in self._running if one.process.poll() is None
        }

    def start(self, *programs: Program, within_s: float = 60.0) -> None:
        """Start programs together and wait until all are ready; raises DidNotStart."""
        fresh = [_Running(program, self._spawn(program)) for program in programs]
        self._running += fresh
        self._tell_guard()
        until = time.monotonic() + within_s
        for one in fresh:
            while not self._is_ready(one):
                if time.monotonic() > until:
                    raise DidNotStart(f"{one.program.name} did not get ready.{self._where(one)}")
                time.sleep(0.05)

    def tend(self) -> None:
        """Start again what died, programs and embedded servers. Never raises for a program's sake."""
        try:
            for name in self._services.revive():
                _LOG.warning("server started again", server=name)
        except (SettingsProblem, OSError, RuntimeError, subprocess.SubprocessError) as err:
            _LOG.warning("server could not be started again", error=type(err).__name__)
        for one in self._running:
            self._tend(one)
        self._keep_guard()
        self._tell_guard()

    def run(self) -> NoReturn:
        """Tend for good; ends by an exception, such as Stopped."""
        while True:
            time.sleep(_LOOK_S)
            self.tend()

    def stop(self) -> None:
        """Stop the programs, those that take in work first, then the servers, then the guardian."""
        for one in self._running:
            if one.process.poll() is None:
                one.process.terminate()
        until = time.monotonic() + _STOP_S
        for one in self._running:
            try:
                one.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _LOG.warning("program had to be killed", program=one.program.name)
                one.process.kill()
                one.process.wait()
        self._running.clear()
        self._services.stop()
        if self._guard:
            self._say("bye")
            self._close_guard()

    def _is_ready(self, one: _Running) -> bool:
        code = one.process.poll()
        if code is not None:
            raise DidNotStart(f"{one.program.name} ended with code {code}.{self._where(one)}")
        return one.program.is_ready is None or one.program.is_ready()

    def _where(self, one: _Running) -> str:
        if self._log_dir is None:
            return " What it said stands above."
        file = self._log_file(one.program)
        said = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f" Its last words: {said[-1] if said else '(none)'} The whole log: {file}"

    def _log_file(self, program: Program) -> Path:
        return (self._log_dir or Path()) / f"{program.name}.log"

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        with self._output(program) as target:
            return subprocess.Popen(  # noqa: S603 - our own commands
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=target,
                start_new_session=True,
            )

    @contextmanager
    def _output(self, program: Program) -> Iterator[int]:
        if self._log_dir is None:
            yield sys.stderr.fileno()  # standard output is for answers
            return
        with self._log_file(program).open("ab") as file:
            yield file.fileno()

    def _tend(self, one: _Running) -> None:
        code = one.process.poll()
        if code is None:
            return
        if one.again_at is None:
            is_well = code == 0 or time.monotonic() - one.started_at > _WELL_S
            one.deaths = 1 if is_well else one.deaths + 1
            pause_s = min(_LONGEST_PAUSE_S, 0.25 * 2 ** (one.deaths - 1))
            one.again_at = time.monotonic() + pause_s
            # A worker that is worn out ends by itself.
            write = _LOG.info if code == 0 else _LOG.warning
            write("program ended", program=one.program.name, code=code, again_in_s=pause_s)
        if time.monotonic() >= one.again_at:
            one.process, one.again_at = self._spawn(one.program), None
            one.started_at = time.monotonic()

    def _keep_guard(self) -> None:
        if self._guard and self._guard.poll() is None:
            return
        if self._guard:
            self._close_guard()
        folder = self._services.postgresql_folder
        self._guard = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "hub.guardian", *([str(folder)] if folder else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._told = set()
        self._tell_guard()

    def _tell_guard(self) -> None:
        now_running = {*self.pids.values()}
        if self._services.redis_pid:
            now_running.add(self._services.redis_pid)
        for pid in self._told - now_running:
            self._say(f"-{pid}")
        for pid in now_running - self._told:
            self._say(f"+{pid}")
        self._told = now_running

    def _say(self, line: str) -> None:
        if self._guard and self._guard.stdin:
            try:
                self._guard.stdin.write(f"{line}\n".encode())
                self._guard.stdin.flush()
            except BrokenPipeError:
                _LOG.warning("guardian was gone")  # the next tending puts another in place

    def _close_guard(self) -> None:
        if self._guard and self._guard.stdin:
            try:
                self._guard.stdin.close()
            except BrokenPipeError:
                _LOG.debug("guardian was gone")
            self._guard.wait()
        self._guard = None


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep a second supervisor away from a data folder; raises SettingsProblem that names the first."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "running.lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SettingsProblem(
                f"Afterbeep runs already on the data folder {folder} (process {file.read().strip()}). "
                "Stop it, or choose another folder with AFTERBEEP_DATA_DIR."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


class Stopped(BaseException):
    """Somebody asked this process to stop: Ctrl-C, SIGTERM, or the terminal was closed."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped in the block at the first signal that says stop; further ones do not disturb the clean-up."""
    is_stopping = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopping
        if not is_stopping:
            is_stopping = True
            raise Stopped

    with _on_signals(on_signal):
        yield


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """Give an event that the signals that say stop set."""
    stop = threading.Event()
    with _on_signals(lambda _number, _frame: stop.set()):
        yield stop


@contextmanager
def _on_signals(react: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before: dict[signal.Signals, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.signal(number, react)
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on, below those that the system gives away to whoever asks.

    So nobody takes it before the process that it is for.
    """
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - no secret
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def answers(url: str, *, fine: Sequence[int] = (200,)) -> Callable[[], bool]:
    """Give a check that tells whether an address answers as it should."""
    import httpx  # noqa: PLC0415 - only what starts servers needs it

    def check() -> bool:
        try:
            return httpx.get(url, timeout=2.0, trust_env=False).status_code in fine
        except httpx.HTTPError:
            return False

    return check
