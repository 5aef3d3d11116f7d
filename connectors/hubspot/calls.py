"""One call to HubSpot, through the machinery of its SDK.

The SDK's methods know only the v3 paths that end in 2027, so we hand date-based paths to the
``ApiClient`` on which those methods stand: it authorises, serialises, pools connections and
raises. Its own retries are off. One client serves all accounts at a base URL, since the token goes
with each call.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hubspot.crm.objects import ApiClient, ApiException, Configuration
from urllib3.exceptions import HTTPError

from connectors.errors import ConnectorError, ContractBroken, Unavailable
from connectors.http import network_error
from connectors.hubspot.refusals import refused
from connectors.record import Account

_NOT_FOUND = 404
_FINE = range(200, 300)


@dataclass(frozen=True, slots=True)
class Answer:
    """What HubSpot answered; header names in lower case, an empty body is {}."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """Give the list of results; an answer without one gives none."""
        found = self.body.get("results")
        return found if isinstance(found, list) else []

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """Give the errors of a 207 answer."""
        found = self.body.get("errors")
        return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that HubSpot refused: the error to raise, and what HubSpot said."""

    error: ConnectorError
    answer: Answer


def call(
    account: Account,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    is_write: bool = False,
    limit: str = "requests",
) -> Answer:
    """Call HubSpot and give a 2xx answer; raises the error that says what happens next."""
    made = attempt(account, method, path, body=body, is_write=is_write, limit=limit)
    if isinstance(made, Refusal):
        raise made.error
    return made


def ask(account: Account, path: str) -> Answer | None:
    """Read something that may not exist: None then."""
    made = attempt(account, "GET", path)
    if isinstance(made, Answer):
        return made
    if made.answer.status == _NOT_FOUND:
        return None
    raise made.error


def attempt(
    account: Account,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    is_write: bool = False,
    limit: str = "requests",
) -> Answer | Refusal:
    """Call HubSpot and give its answer or its refusal.

    ``is_write`` says that a lost answer leaves us uncertain. Raises Throttled from the budget
    before anything is sent, Unavailable when HubSpot cannot be reached, and Uncertain when the
    answer to a write is lost.
    """
    account.spend(**{limit: 1})
    started = time.perf_counter()
    status, headers, raw = _send(account, method, path, body, is_write=is_write)
    account.observe(status, headers, (time.perf_counter() - started) * 1000)
    if status in _FINE:
        return Answer(status, headers, _read(raw, status))
    try:
        said = json.loads(raw)
    except ValueError:
        said = {}
    answer = Answer(status, headers, said if isinstance(said, dict) else {})
    error = refused(status, headers, answer.body)
    return Refusal(error, answer)


def _send(
    account: Account, method: str, path: str, body: Mapping[str, Any] | None, *, is_write: bool
) -> tuple[int, Mapping[str, str], str]:
    try:
        response = _client(account.base_url, os.getpid()).call_api(
            path,
            method,
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            auth_settings=["oauth2"],
            _preload_content=False,
            _request_timeout=(account.connect_timeout_s, account.read_timeout_s),
            _request_auth={
                "in": "header",
                "key": "Authorization",
                "value": f"Bearer {account.token}",
            },
        )
        return response.status, _lower(response.headers), response.data.decode(errors="replace")
    except ApiException as err:
        if not err.status:
            raise Unavailable("HubSpot cannot be reached safely: TLS failed.") from err
        return err.status, _lower(err.headers or {}), err.body or ""
    except HTTPError as err:
        raise network_error(err, vendor="HubSpot", is_write=is_write) from err
    except UnicodeDecodeError as err:
        raise ContractBroken("HubSpot's refusal cannot be read.") from err


def _read(raw: str, status: int) -> Mapping[str, Any]:
    if not raw.strip():
        return {}
    try:
        read = json.loads(raw)
    except ValueError as err:
        raise ContractBroken("HubSpot's answer cannot be read.", status=status) from err
    if not isinstance(read, dict):
        raise ContractBroken("HubSpot's answer is not a JSON object.", status=status)
    return read


@lru_cache(maxsize=32)
def _client(base_url: str, process_id: int) -> ApiClient:
    """Give the SDK's client for a base URL; a forked process gets connections of its own."""
    del process_id
    configuration = Configuration(host=base_url)
    # urllib3 would else try a connection four times and follow redirects with the token.
    configuration.retries = False
    client = ApiClient(configuration)
    client.user_agent = "Afterbeep"
    return client


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
