"""The gunicorn worker that serves the hub: threads that stay with a connection while it is busy.

gunicorn's own thread worker gives a connection back to its main thread after every answer, and that thread
waits for the next request. For a client that sends one request after the other that handing over cost more
than answering. Here a thread waits a moment for the next request itself, unless other connections need it.
"""

from __future__ import annotations

import select
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

_PATIENCE_MS: Final = 20
_MOST_IN_A_ROW: Final = 200


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A thread worker that answers the requests of a busy connection in a row."""

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
