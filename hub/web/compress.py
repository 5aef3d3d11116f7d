"""Sends our own style and script files gzipped. Pages themselves are sent as they are.

A page holds the token of its reader's sign-in beside words that others may choose, and the size of a compressed answer
would tell something of both (BREACH, https://breachattack.com, 2026-11-30). Files hold neither.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from typing import Final

from flask import Response, request

_TYPES: Final = frozenset(
    {"text/css", "text/javascript", "application/javascript", "image/svg+xml"}
)
#: Below this a packet is one packet either way.
_LEAST_BYTES: Final = 1_000


def compress(response: Response) -> Response:
    """Gzip a file for browsers that take it."""
    is_file = request.endpoint == "web.static" and response.status_code == 200  # noqa: PLR2004 - HTTP's OK
    if not is_file or response.mimetype not in _TYPES:
        return response
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings["gzip"] or "Range" in request.headers:
        return response
    response.direct_passthrough = False
    whole = response.get_data()
    if len(whole) >= _LEAST_BYTES:
        response.set_data(_packed(whole))
        response.headers["Content-Encoding"] = "gzip"
        etag, _ = response.get_etag()
        if etag:
            response.set_etag(f"{etag}-gzip")
    return response


@lru_cache(maxsize=64)
def _packed(whole: bytes) -> bytes:
    return gzip.compress(whole, compresslevel=9, mtime=0)
