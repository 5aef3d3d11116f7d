"""Ports for servers that a test starts in another process."""

from __future__ import annotations

import random
import socket

#: Below those that the system gives to whoever connects to something, or asks for any: nobody takes one meanwhile.
_RANGE = range(12_000, 32_000)


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on, and that the system gives to nobody."""
    while True:
        port = random.choice(_RANGE)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
