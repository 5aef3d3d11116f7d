"""What holds for every answer, whoever gives it: its id, its safe headers, its line in the log."""

from __future__ import annotations

import re
import time
from typing import Final

import redis

from hub import log, tally
from hub.db.base import new_id
from hub.tally import families

_log = log.get(__name__)
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_YEAR_S: Final = 31_536_000

#: Headers of every answer that does not set them itself.
SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Added where browsers reach the hub over HTTPS.
HTTPS: Final = {"Strict-Transport-Security": f"max-age={_YEAR_S}"}


def begin(sent: str) -> str:
    """Begin a request: give its id, the sender's own when it is a plain one, and bind it to the log."""
    request_id = sent if _PLAIN_ID.match(sent) else new_id("req")
    log.clear()
    log.bind(request_id=request_id)
    return request_id


def record(
    store: redis.Redis,
    *,
    method: str,
    route: str,
    status: int,
    began: float,
    size_bytes: int | None,
) -> None:
    """Count a request, and write its one line in the log; ``began`` is of ``time.perf_counter``."""
    seconds = time.perf_counter() - began
    tally.observe(store, families.HTTP_S, seconds, method, route, str(status))
    write = _log.debug if route in _QUIET else _log.info
    write(
        "request answered",
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1_000, 2),
        size_bytes=size_bytes,
    )
