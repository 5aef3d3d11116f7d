"""One call to Pipedrive over httpx: budget before, observation after, both timeouts, no retries.

httpx follows no redirect and repeats nothing unless told to. One client for each process keeps connections open; the
token goes with each call. A failure of the network is raised as the error that says what happens next, as
:mod:`connectors.http` does for requests.
"""

from __future__ import annotations

import atexit
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.errors import ConnectorError, ContractBroken, Unavailable, Uncertain
from connectors.pipedrive.paths import Call
from connectors.pipedrive.refusals import refused
from connectors.record import JSON, Account

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NOT_FOUND = frozenset({404, 410})
_FINE = range(200, 300)
#: What httpx raises before anything was sent.
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
#: After a write whose answer was lost, Pipedrive may still be at work on it for so long.
_ON_ITS_WAY_S = 10.0

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What Pipedrive answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Row

    @property
    def one(self) -> Row:
        """Give the record of an answer; raises ContractBroken when there is none."""
        found = self.body.get("data")
        if not isinstance(found, Mapping):
            raise ContractBroken("Pipedrive's answer holds no record.", status=self.status)
        return found

    @property
    def rows(self) -> list[Row]:
        """Give the records of a list; v1 says null where there are none."""
        found = self.body.get("data")
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
            raise ContractBroken("Pipedrive's answer holds no list.", status=self.status)
        return list(found)

    @property
    def cursor(self) -> str | None:
        """Give where the next page of a v2 list begins."""
        more = self.body.get("additional_data")
        found = more.get("next_cursor") if isinstance(more, Mapping) else None
        return str(found) if found else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that Pipedrive refused: the error to raise, and the status."""

    error: ConnectorError
    status: int


def call(
    account: Account,
    to: Call,
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, JSON] | None = None,
) -> Answer:
    """Call Pipedrive and give a 2xx answer; raises the error that says what happens next."""
    made = attempt(account, to, query=query, body=body)
    if isinstance(made, Refusal):
        raise made.error
    return made


def ask(account: Account, to: Call, *, query: Mapping[str, str] | None = None) -> Answer | None:
    """Read something that may not exist: None then."""
    made = attempt(account, to, query=query)
    if isinstance(made, Answer):
        return made
    if made.status in _NOT_FOUND:
        return None
    raise made.error


def attempt(
    account: Account,
    to: Call,
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, JSON] | None = None,
) -> Answer | Refusal:
    """Call Pipedrive and give its answer or its refusal.

    Raises Throttled from the budget before anything is sent, Unavailable when Pipedrive cannot be
    reached, and Uncertain when the answer to a write is lost.
    """
    account.spend(**to.units)
    started = time.perf_counter()
    try:
        response = _client(os.getpid(), is_near=_is_near(account.base_url)).request(
            to.method,
            account.base_url + to.path,
            params=dict(query or {}),
            # Written here, since httpx would fail on half of a surrogate pair instead of sending it.
            content=None if body is None else json.dumps(dict(body)).encode(),
            headers={
                "Authorization": f"Bearer {account.token}",
                "Accept": "application/json",
                **({} if body is None else {"Content-Type": "application/json"}),
            },
            timeout=_timeout(account),
        )
    except httpx.HTTPError as err:
        raise _network_error(err, is_write=to.is_write) from err
    headers = {name.lower(): value for name, value in response.headers.items()}
    account.observe(response.status_code, headers, (time.perf_counter() - started) * 1000)
    read = _read(response.content)
    if response.status_code in _FINE:
        if read is None:
            raise ContractBroken("Pipedrive's answer cannot be read.", status=response.status_code)
        if read.get("success") is False:
            raise ContractBroken("Pipedrive says 2xx and no success.", status=response.status_code)
        return Answer(response.status_code, headers, read)
    error = refused(
        response.status_code, headers, read, is_write=to.is_write, tokens=to.tokens, sent=body or {}
    )
    return Refusal(error, response.status_code)


def _read(raw: bytes) -> Row | None:
    """Give the JSON object of an answer; None when it is none. An empty body is {}."""
    if not raw.strip():
        return {}
    try:
        read = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _network_error(err: httpx.HTTPError, *, is_write: bool) -> ConnectorError:
    """Give the error that a failure of httpx stands for; its words may hold addresses and are not repeated."""
    if isinstance(err, _NOTHING_SENT):
        return Unavailable("Pipedrive could not be reached.", code="unreachable")
    if is_write:
        return Uncertain(
            "Pipedrive was asked to write, and its answer was lost.",
            ask_after_s=_ON_ITS_WAY_S,
            code="answer_lost",
        )
    return Unavailable("Pipedrive did not answer.", code="answer_lost")


def _timeout(account: Account) -> httpx.Timeout:
    return httpx.Timeout(account.read_timeout_s, connect=account.connect_timeout_s)


def _is_near(base_url: str) -> bool:
    return urlsplit(base_url).hostname in _LOOPBACK


@lru_cache(maxsize=4)
def _client(process_id: int, *, is_near: bool) -> httpx.Client:
    """Give the client of this process: one that was forked must not use its parent's connections.

    The operator's proxy is used, but never to reach this machine itself.
    """
    del process_id
    client = httpx.Client(
        follow_redirects=False,
        trust_env=not is_near,
        headers={"User-Agent": "Afterbeep"},
        limits=httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=5.0),
    )
    # It lives as long as the process, whose end would otherwise warn of its open connections.
    atexit.register(client.close)
    return client
