"""Whether this process was asked to stop; a drain then ends after the batch it is at."""

from __future__ import annotations

import threading

_ASKED = threading.Event()


def ask() -> None:
    """Ask the drains of this process to end after their batch; safe in a signal's function."""
    _ASKED.set()


def is_asked() -> bool:
    """Tell whether somebody asked."""
    return _ASKED.is_set()
