"""Whom we trust behind https: read once, because reading it takes 20 ms in which no caller is heard."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """Give the process's trust, for every client: certifi's roots, or those of ``SSL_CERT_FILE``."""
    return httpx.create_ssl_context()
