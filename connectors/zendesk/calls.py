"""One call to Zendesk, through zenpy's one way out on a session of our own.

zenpy's methods for tickets and users hide what we live on: the answer's headers (limits, whether an
``Idempotency-Key`` was known) and a job's refused rows. They all stand on ``Api._call_api``, which takes any
address and gives the answer as it came; that is what is called here, as zenpy's own methods do. Around it:

- The session is ours (``connectors.http``): budget, observation, both timeouts, no redirect, no other host.
- zenpy waits and asks again for ever while it is answered 429. It never sees one: a response hook raises
  before zenpy looks at the status. Source: zenpy 2.0.57, zenpy/lib/api.py, ``_call_api`` (2026-11-22)
- zenpy writes whole requests into the debug log, callers' words too. Its loggers are kept at warnings.
- It keeps what it has read in memory for others to find. That is switched off.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from zenpy import Zenpy  # type: ignore[import-untyped]  # zenpy has no types

from connectors.errors import ConnectorError, ContractBroken, TokenExpired
from connectors.http import Transport
from connectors.record import Account
from connectors.zendesk.refusals import refused

logging.getLogger("zenpy").setLevel(logging.WARNING)

_FINE = range(200, 300)
_NOT_FOUND = 404
_NO_CONTENT = 204
#: These queue a job, of which an account may have thirty.
_JOBS = re.compile(r"/(create|update)_many$")
_ONE_TICKET = re.compile(r"/api/v2/tickets/\d+$")


@dataclass(frozen=True, slots=True)
class Answer:
    """What Zendesk answered; header names in lower case, an empty body is {}."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    def listed(self, name: str) -> list[Mapping[str, Any]]:
        """Give the list of this name; raises ContractBroken when there is none."""
        found = self.body.get(name)
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            raise ContractBroken(f'Zendesk\'s answer has no list "{name}".', status=self.status)
        return found

    def one(self, name: str) -> Mapping[str, Any]:
        """Give the object of this name; raises ContractBroken when there is none."""
        found = self.body.get(name)
        if not isinstance(found, Mapping):
            raise ContractBroken(f'Zendesk\'s answer has no "{name}".', status=self.status)
        return found


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that Zendesk refused: the error to raise, and what Zendesk said."""

    error: ConnectorError
    answer: Answer


class _Refused(Exception):
    """Carries a refusal past zenpy."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.response = response


def price(method: str, path: str) -> dict[str, int]:
    """Give what a call costs of each limit."""
    units = {"requests": 1}
    if _JOBS.search(path):
        units["jobs"] = 1
    elif method == "PUT" and _ONE_TICKET.fullmatch(path):
        units["update_tickets"] = 1
    elif method == "GET" and path == "/api/v2/tickets":
        units["list_tickets"] = 1
    return units


def _cost(request: requests.PreparedRequest) -> Mapping[str, int]:
    return price(request.method or "", urlsplit(request.url or "").path)


_TRANSPORT = Transport("Zendesk", cost=_cost)


def call(
    account: Account,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, str] | None = None,
) -> Answer:
    """Call Zendesk and give a 2xx answer; raises the error that says what happens next."""
    made = attempt(account, method, path, body=body, params=params)
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
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer | Refusal:
    """Call Zendesk and give its answer or its refusal; *path* begins behind ``/api/v2``.

    Raises Throttled from the budget before anything is sent, Unavailable when Zendesk cannot be
    reached, Uncertain when the answer to a write is lost, ContractBroken when it cannot be read.
    """
    session = _TRANSPORT.session(account)
    session.headers.update({"Accept": "application/json", "User-Agent": "Afterbeep"})
    session.headers.update(headers or {})
    session.hooks["response"] = [_stop_refusals]
    if not account.token:
        # Without a token zenpy's error would print everything that it was given.
        raise TokenExpired("There is no access token for Zendesk.")
    zendesk = Zenpy(
        subdomain="account", oauth_token=account.token, session=session, disable_cache=True
    )
    try:
        response = zendesk.tickets._call_api(  # noqa: SLF001 - what every method of zenpy calls; see above
            getattr(session, method.lower()),
            f"{account.base_url.rstrip('/')}/api/v2{path}",
            **({"json": body} if body is not None else {}),
            **({"params": params} if params is not None else {}),
        )
    except _Refused as err:
        return _refusal(err.response, body)
    except requests.RequestException as err:
        raise ContractBroken("Zendesk cannot be called at this address.") from err
    return Answer(response.status_code, _lower(response.headers), _read(response))


def _stop_refusals(response: requests.Response, *_args: object, **_kwargs: object) -> None:
    if response.status_code not in _FINE:
        raise _Refused(response)


def _refusal(response: requests.Response, sent: Mapping[str, Any] | None) -> Refusal:
    try:
        said = response.json()
    except ValueError:
        said = None  # A limit is told in plain text, trouble in HTML.
    answer = Answer(
        response.status_code,
        _lower(response.headers),
        said if isinstance(said, Mapping) else {},
    )
    error = refused(answer.status, answer.headers, answer.body, sent=sent or {})
    return Refusal(error, answer)


def _read(response: requests.Response) -> Mapping[str, Any]:
    if response.status_code == _NO_CONTENT or not response.content.strip():
        return {}
    try:
        read = response.json()
    except ValueError as err:
        raise ContractBroken(
            "Zendesk's answer cannot be read.", status=response.status_code
        ) from err
    if not isinstance(read, Mapping):
        raise ContractBroken("Zendesk's answer is not a JSON object.", status=response.status_code)
    return read


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
