"""The transport under PagerDuty's SDK, which stands on httpx2: what ``connectors.http`` is for requests.

Every request asks ``account.spend`` first, every answer is told to ``account.observe``. The SDK
gets to see good answers only: anything else leaves here as :class:`Refused` or as the error that says what
happens next, past the SDK's loops, which would sleep and try again (for 429 without an end), write a
part of the token into an exception (401), or count what it need not.

::

    nothing was sent    (no such name, no connection, no TLS)        Unavailable
    the answer was lost (read timeout, cut)       of a write         Uncertain
                                                  of a read          Unavailable
    a redirect                                                       ContractBroken
    any other status than 2xx                                        Refused
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from connectors.errors import ConnectorError, ContractBroken, Unavailable, Uncertain
from connectors.http import READ_METHODS
from connectors.record import Account

_NOTHING_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
_FINE, _REDIRECTS = range(200, 300), range(300, 400)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LIMITS = httpx2.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=5.0)

#: A header of ours on what ``account.observe`` is told: the operation whose own limit the answer speaks of.
OPERATION = "x-afterbeep-operation"


class Refused(Exception):
    """PagerDuty answered, and not with 2xx; header names in lower case."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the answer."""
        super().__init__(f"PagerDuty answered {status}")
        self.status, self.headers, self.body = status, headers, body


class Watched(httpx2.BaseTransport):
    """Sends one account's requests through shared connections, with everything said above."""

    def __init__(
        self, account: Account, *, cost: Mapping[str, int], operation: str, ask_after_s: float
    ) -> None:
        """Take what one request costs, and how long a write whose answer is lost may be on its way."""
        self._account, self._cost, self._operation = account, cost, operation
        self._ask_after_s = ask_after_s

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send, or raise what happened instead of a good answer."""
        account = self._account
        account.spend(**self._cost)
        started = time.perf_counter()
        try:
            answer = _connections(account.base_url).handle_request(request)
            try:
                body = answer.read()
            finally:
                answer.close()
        except httpx2.DecodingError as err:
            raise ContractBroken("PagerDuty's answer cannot be unpacked.") from err
        except httpx2.TransportError as err:
            raise self._lost(err, is_write=request.method not in READ_METHODS) from err
        headers = {name.lower(): value for name, value in answer.headers.items()}
        told = {**headers, OPERATION: self._operation} if self._operation else headers
        account.observe(answer.status_code, told, (time.perf_counter() - started) * 1_000)
        if answer.status_code in _REDIRECTS:
            raise ContractBroken(
                "PagerDuty wants to send us to another address, which we do not follow.",
                code="redirect",
                status=answer.status_code,
            )
        if answer.status_code not in _FINE:
            raise Refused(answer.status_code, headers, body)
        return answer

    def close(self) -> None:
        """Leave the connections open: other clients use them."""

    def _lost(self, err: httpx2.TransportError, *, is_write: bool) -> ConnectorError:
        if isinstance(err, _NOTHING_SENT):
            return Unavailable("PagerDuty could not be reached.", code="unreachable")
        if is_write:
            return Uncertain(
                "PagerDuty was asked to write, and its answer was lost.",
                ask_after_s=self._ask_after_s,
                code="answer_lost",
            )
        return Unavailable("PagerDuty did not answer.", code="answer_lost")


class _Pools:
    """The open connections of this process, by the proxy that they go through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = 0
        self._pools: dict[str | None, httpx2.HTTPTransport] = {}

    def get(self, proxy: str | None) -> httpx2.HTTPTransport:
        """Give the connections for this proxy; a forked process gets its own."""
        # A worker forks for its jobs; a connection used by parent and child would mix their answers.
        with self._lock:
            if self._process != os.getpid():
                self._process, self._pools = os.getpid(), {}
            if proxy not in self._pools:
                self._pools[proxy] = httpx2.HTTPTransport(limits=_LIMITS, proxy=proxy, retries=0)
            return self._pools[proxy]


_POOLS = _Pools()


def _connections(base_url: str) -> httpx2.HTTPTransport:
    """Give the connections to use: through the operator's proxy, but never to reach this machine itself."""
    host = urlsplit(base_url).hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return _POOLS.get(None)
    return _POOLS.get(getproxies().get("https"))
