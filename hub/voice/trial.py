"""Asks the voice package to try something, in a process of its own: the hub never loads the analyser.

``afterbeep trial`` is started at the first question and kept; it keeps nothing between questions, ends by itself when
nobody asks, and is killed when an answer takes too long. It gets none of the hub's settings, so it knows no secret.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Final

from hub import log
from hub.context import Hub
from hub.settings import bare_environment
from hub.voice.numbers import numbers
from hub.voice.profile import of_tenant

_LOG: Final = log.get(__name__)
_COMMAND: Final = (sys.executable, "-m", "voice.cli_trial")
_LARGEST_ANSWER: Final = 8_000_000


class NoAnswer(Exception):
    """The trial could not be made: the process is busy, slow or broken. Nothing is lost by it."""


class Trials:
    """One kept process; questions are asked one after the other."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: Mapping[str, Any], *, within_s: float = 10.0) -> dict[str, Any]:
        """Give the answer to a question of ``voice.trial``; raises NoAnswer."""
        until = time.monotonic() + within_s
        if not self._lock.acquire(timeout=within_s):
            raise NoAnswer("busy")
        try:
            found = self._asked(json.dumps(question).encode() + b"\n", until)
        finally:
            self._lock.release()
        if "error" in found:
            _LOG.warning("trial was not made", question=str(question.get("do")))
            raise NoAnswer("refused")
        return found

    def end(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _asked(self, line: bytes, until: float) -> dict[str, Any]:
        try:
            process = self._running()
            _write(process, line, until)
            found = json.loads(_read_line(process, until))
        except (OSError, ValueError, TimeoutError) as err:
            # Its message may quote what was asked; a half-read answer must not answer the next question.
            self.end()
            _LOG.warning("trial process was ended", kind=type(err).__name__)
            raise NoAnswer("slow or broken") from None
        return found if isinstance(found, dict) else {"error": "no object"}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.end()
        self._process = subprocess.Popen(  # noqa: S603 - our own program, by its full path
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=bare_environment(),
        )
        return self._process


def _write(process: subprocess.Popen[bytes], line: bytes, until: float) -> None:
    """Write all of a question; a process that does not read is not waited for beyond the time."""
    assert process.stdin is not None  # noqa: S101 - it was started with a pipe
    os.set_blocking(process.stdin.fileno(), False)
    rest = memoryview(line)
    while rest:
        if time.monotonic() > until:
            raise TimeoutError
        with contextlib.suppress(BlockingIOError):
            rest = rest[os.write(process.stdin.fileno(), rest) :]
            continue
        time.sleep(0.005)


def _read_line(process: subprocess.Popen[bytes], until: float) -> bytes:
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    found = bytearray()
    with DefaultSelector() as waiting:
        waiting.register(process.stdout, EVENT_READ)
        while not found.endswith(b"\n"):
            if not waiting.select(max(0.0, until - time.monotonic())):
                raise TimeoutError
            part = os.read(process.stdout.fileno(), 65_536)
            if not part or len(found) > _LARGEST_ANSWER:
                raise OSError
            found += part
    return bytes(found)


_TRIALS: Final = Trials()
atexit.register(_TRIALS.end)


def ask(question: Mapping[str, Any], *, within_s: float = 10.0) -> dict[str, Any]:
    """Ask this process's kept one; raises NoAnswer."""
    return _TRIALS.ask(question, within_s=within_s)


def profile_for_trial(
    hub: Hub, tenant_id: str, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give the profile that a call to the tenant would have; ``settings`` instead of what is saved."""
    own = numbers(hub, tenant_id)
    found = of_tenant(hub, tenant_id, own[0].number if own else "")
    return found | {name: value for name, value in (settings or {}).items() if name in found}
