"""gunicorn as it serves the hub: threads that stay with a busy connection, and an end that loses no connection.

gunicorn's own thread worker gives a connection back to its main thread after every answer, and that thread
waits for the next request. For a client that sends one request after the other that handing over cost more
than answering. Here a thread waits a moment for the next request itself, unless other connections need it.

At its end gunicorn leaves connections that the system has taken and no worker has yet: they hang, and are reset when
the last process ends. Here the system is told first to take no more (whoever asks then asks again, and is refused a
moment later), and then those that it has taken are answered.
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import time
from typing import Any, Final

from gunicorn import arbiter  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

_PATIENCE_MS: Final = 20
_MOST_IN_A_ROW: Final = 200
#: Longer than the rest of a handshake takes whose beginning the system had seen.
_HANDSHAKE_MS: Final = 250
_LONGEST_S: Final = 3.0
#: Linux' number of the option; Python has no name for it.
#: Source: https://man7.org/linux/man-pages/man7/socket.7.html (2026-11-22)
_SO_ATTACH_FILTER: Final = 26
#: Drops packets that begin a connection (SYN without ACK) and lets all others through: code, jumps, value.
#: Source: https://www.kernel.org/doc/Documentation/networking/filter.txt (2026-11-22)
_NO_MORE: Final = (
    (0x30, 0, 0, 13),  # load the byte with the flags of TCP's header
    (0x54, 0, 0, 0x12),  # of these SYN and ACK
    (0x15, 0, 1, 0x02),  # is it SYN alone?
    (0x06, 0, 0, 0),  # then drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else take it whole
)


def refuse_more(listener: Any) -> None:
    """Have the system take no more connections for a listening socket; those that it has taken stay."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in _NO_MORE))
    with contextlib.suppress(OSError):  # not on Linux: then what comes now may be reset
        listener.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            struct.pack("HL", len(_NO_MORE), ctypes.addressof(program)),
        )


class Arbiter(arbiter.Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's master process, which lets nobody in any more before it stops its workers."""

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002 - gunicorn's signature
        """Stop the workers; first of all no more connections are taken."""
        for one in self.LISTENERS:
            refuse_more(one.sock)
        super().stop(graceful)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A thread worker that answers the requests of a busy connection in a row."""

    sockets: list[Any]

    def handle(self, conn: Any) -> Any:
        """Answer a request, and those that follow it at once on the same connection."""
        result = super().handle(conn)
        for _ in range(_MOST_IN_A_ROW):
            if result is not True or not self.alive or conn.is_http2:
                return result
            if not self._is_next_near(conn):
                return result
            self.notify()
            result = super().handle(conn)
        return result

    def _is_next_near(self, conn: Any) -> bool:
        """Wait briefly for the connection's next request, unless another connection needs the thread."""
        if conn.parser.unreader.buf.getvalue():
            return False  # read ahead already; the worker's own way knows what to do
        if self.tpool._work_queue.qsize():  # noqa: SLF001 - the pool tells nobody else
            return False
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        return bool(poll.poll(_PATIENCE_MS))

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - gunicorn's signature
        """Accept or do not; at the end, first those whose connections the system has taken already."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        until = time.monotonic() + _LONGEST_S  # other processes may go on to listen
        for listener in self.sockets:
            while time.monotonic() < until and _is_readable(listener, _HANDSHAKE_MS):
                self.accept(listener)
            listener.close()
        self.sockets = []


def _is_readable(listener: Any, for_ms: int) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(for_ms))
