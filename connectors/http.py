"""The transport that connectors hand to SDKs built on requests: one place for what is easy to forget.

Every request asks ``account.spend`` first and every answer, errors too, is told to
``account.observe``; both timeouts are set; no redirect is followed and no other host than the account's
is reached; nothing is retried. A failure of the network is raised as the error that says what
happens next::

    nothing was sent  (refused, no such name, TLS, no connection in time)   Unavailable
    the answer was lost (read timeout, connection cut)     of a write       Uncertain
                                                           of a read        Unavailable

``Transport`` keeps connections open between calls and may be shared by threads.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from connectors.errors import ConnectorError, ContractBroken, Unavailable, Uncertain
from connectors.record import Account

#: Methods that change nothing at the vendor.
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_NOTHING_SENT = (
    ConnectTimeoutError,
    NewConnectionError,
    NameResolutionError,
    ProxyError,
    SSLError,
    requests.exceptions.ConnectTimeout,
    requests.exceptions.ProxyError,
    requests.exceptions.SSLError,
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_POOLED_HOSTS = 16
_POOLED_CONNECTIONS = 8

Cost = Callable[[requests.PreparedRequest], Mapping[str, int]]


def is_nothing_sent(err: BaseException) -> bool:
    """Say whether this failure of requests or urllib3 happened before the request was sent."""
    return any(isinstance(cause, _NOTHING_SENT) for cause in _causes(err))


def network_error(err: BaseException, *, vendor: str, is_write: bool) -> ConnectorError:
    """Give the error that a failure of the network stands for.

    *err* comes from requests or urllib3. The words of *err* are not repeated: they may hold
    addresses with secrets.
    """
    if is_nothing_sent(err):
        return Unavailable(f"{vendor} could not be reached.", code="unreachable")
    if is_write:
        return Uncertain(
            f"{vendor} was asked to write, and its answer was lost.", code="answer_lost"
        )
    return Unavailable(f"{vendor} did not answer.", code="answer_lost")


class Transport:
    """Makes sessions for one vendor's SDK; all of them share the open connections."""

    def __init__(self, vendor: str, *, cost: Cost) -> None:
        """Take the vendor's label for error sentences, and what each request costs of its limits."""
        self._vendor = vendor
        self._cost = cost
        self._lock = threading.Lock()
        self._pool: tuple[int, HTTPAdapter] | None = None

    def session(self, account: Account) -> requests.Session:
        """Give a session for this account; it costs nothing to make and need not be closed."""
        session = requests.Session()
        # The operator's proxy and certificates are used, but never to reach this machine itself.
        session.trust_env = urlsplit(account.base_url).hostname not in _LOOPBACK
        # With a session.auth of its own, requests leaves .netrc alone, which would otherwise
        # replace the Authorization header.
        session.auth = _leave_as_is
        session.adapters.clear()
        adapter = _Watched(self._connections(), account, vendor=self._vendor, cost=self._cost)
        session.mount(account.base_url.rstrip("/") + "/", adapter)
        return session

    def _connections(self) -> HTTPAdapter:
        # A worker forks for its jobs; a connection used by parent and child would mix their answers.
        with self._lock:
            if self._pool is None or self._pool[0] != os.getpid():
                adapter = HTTPAdapter(
                    pool_connections=_POOLED_HOSTS,
                    pool_maxsize=_POOLED_CONNECTIONS,
                    max_retries=0,
                )
                self._pool = (os.getpid(), adapter)
            return self._pool[1]


def _leave_as_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Watched(BaseAdapter):
    """Sends one account's requests through shared connections, with everything said above."""

    def __init__(self, inner: HTTPAdapter, account: Account, *, vendor: str, cost: Cost) -> None:
        super().__init__()
        self._inner = inner
        self._account = account
        self._vendor = vendor
        self._cost = cost

    def send(  # noqa: PLR0917 - requests calls it so
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - requests calls it so
        timeout: Any = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002 - requests calls it so
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send, or raise the ConnectorError that tells what happens next."""
        del stream, timeout  # The whole answer is read here, within the account's own timeouts.
        account = self._account
        account.spend(**self._cost(request))
        started = time.perf_counter()
        try:
            answer = self._inner.send(
                request,
                stream=True,
                timeout=(account.connect_timeout_s, account.read_timeout_s),
                verify=verify,
                cert=cert,
                proxies=proxies,
            )
            _ = answer.content
        except requests.RequestException as err:
            is_write = request.method not in READ_METHODS
            raise network_error(err, vendor=self._vendor, is_write=is_write) from err
        taken_ms = (time.perf_counter() - started) * 1_000
        headers = {name.lower(): value for name, value in answer.headers.items()}
        account.observe(answer.status_code, headers, taken_ms)
        if answer.status_code in _REDIRECTS:
            raise ContractBroken(
                f"{self._vendor} wants to send us to another address, which we do not follow.",
                code="redirect",
                status=answer.status_code,
            )
        return answer

    def close(self) -> None:
        """Leave the connections open: other sessions use them."""


def is_allowed_base(base_url: str, hosts: Iterable[str], *, allow_loopback: bool) -> bool:
    """Say whether an account may be called at this base URL.

    It must be https, on one of *hosts* (a leading dot stands for subdomains). With
    *allow_loopback*, http and https on this machine are allowed too: a sandbox.
    """
    try:
        parts = urlsplit(base_url)
        host, _port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return False
    if parts.username or parts.password or parts.query or parts.fragment:
        return False
    if allow_loopback and parts.scheme in {"http", "https"} and host in _LOOPBACK:
        return True
    return parts.scheme == "https" and any(
        host.endswith(allowed) if allowed.startswith(".") else host == allowed for allowed in hosts
    )


_SECRETS = re.compile(
    r"(?i)(bearer\s+\S+|(?:access|refresh)_token\S*|\b00D[\w]{9,15}![\w.]+)"
    r"|(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+|(?<!\w)\+?\d[\d ().-]{6,}\d(?!\w)"
)
_HIDDEN = "…"
_LONGEST_CHARS = 4_000
_MIN_HIDDEN_CHARS = 3


def redacted(sentence: str, values: Iterable[object] = (), *, max_chars: int = 400) -> str:
    """Give a vendor's sentence without what we sent (*values*), addresses, numbers and tokens.

    Vendors quote the refused value; a caller's words must not reach logs and error texts.
    """
    texts = {text for text in _texts(values) if len(text) >= _MIN_HIDDEN_CHARS}
    for text in sorted(texts, key=len, reverse=True):
        sentence = sentence.replace(text, _HIDDEN)
    return _SECRETS.sub(_HIDDEN, sentence[:_LONGEST_CHARS])[:max_chars]


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, Iterable):
            yield from _texts(value)


def _causes(err: BaseException) -> Iterator[BaseException]:
    """Give *err* and what it was raised from, through the wrappings of requests and urllib3."""
    seen: set[int] = set()
    queue: list[BaseException] = [err]
    while queue:
        cause = queue.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner: list[object] = [*cause.args, cause.__cause__]
        if isinstance(cause, MaxRetryError):
            inner.append(cause.reason)
        queue += [found for found in inner if isinstance(found, BaseException)]
