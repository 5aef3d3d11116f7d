"""Ends what a supervisor started when the supervisor itself was killed.

``python -m hub.guardian [FOLDER]`` reads lines from standard input: ``+123`` means that process 123 was started,
``-123`` that it ended, ``bye`` that all is in order. When the input ends without a ``bye``, the supervisor
is gone, however that happened: what is still running is asked to stop, killed after a grace, and the embedded
PostgreSQL in FOLDER is released. A pipe's end reaches us even after SIGKILL, on every Unix.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

_GRACE_S = 25.0


def main() -> None:
    """Watch until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of the input may end the guard
    remaining = _watch(sys.stdin)
    if remaining is None:
        return
    _end(remaining)
    if len(sys.argv) > 1:
        _release_postgresql(Path(sys.argv[1]))


def _watch(lines: Iterable[str]) -> list[psutil.Process] | None:
    """Keep the list that the lines tell; gives what is left at their end, None after a ``bye``."""
    running: dict[int, psutil.Process] = {}
    for line in lines:
        word = line.strip()
        if word == "bye":
            return None
        pid = int(word[1:])
        if word.startswith("+"):
            # Remembers when the process began, and so never takes a later one of that number for it.
            with contextlib.suppress(psutil.NoSuchProcess):
                running[pid] = psutil.Process(pid)
        else:
            running.pop(pid, None)
    return list(running.values())


def _end(processes: Iterable[psutil.Process]) -> None:
    family: list[psutil.Process] = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            family += [process, *process.children(recursive=True)]
            process.terminate()
    _, stubborn = psutil.wait_procs(family, timeout=_GRACE_S)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _release_postgresql(folder: Path) -> None:
    """Stop the server unless another live process uses it: its list of users is cleared of the dead."""
    from hub import embedded  # noqa: PLC0415 - the guard stays small until it is needed

    embedded.release_postgresql(folder)


if __name__ == "__main__":
    main()
