"""Calls to Twilio through its SDK, whose own HTTP client is replaced.

What the SDK's client would do otherwise: wait for ever (no timeout), write recipients' numbers into the
log, and hide the headers of refusals. Ours stands on :mod:`connectors.http`. Every refusal becomes an
error here, before the SDK sees it; the SDK reads only good answers.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from connectors.errors import ContractBroken, NeedsReconnect
from connectors.http import Transport
from connectors.record import Account
from connectors.twilio_sms.refusals import refused

#: Every call holds one of the places that an account has at the same time.
CONCURRENCY = "concurrency"
_TRANSPORT = Transport("Twilio", cost=lambda _request: {CONCURRENCY: 1})
_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_FINE = range(200, 300)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a person has pasted. The Auth Token signs webhooks and opens the account's own page."""

    account_sid: str
    api_key_sid: str
    api_key_secret: str = field(repr=False)
    auth_token: str = field(repr=False)


def keys_of(account: Account) -> Keys:
    """Read the account's keys; raises NeedsReconnect when they cannot be those of Twilio."""
    try:
        read = json.loads(account.token)
        keys = Keys(
            *(
                str(read.get(name) or "").strip()
                for name in ("account_sid", "api_key_sid", "api_key_secret", "auth_token")
            )
        )
    except (ValueError, AttributeError) as err:
        raise NeedsReconnect("The keys cannot be read. Enter them again.") from err
    if not _ACCOUNT_SID.fullmatch(keys.account_sid):
        raise NeedsReconnect('The Account SID must be "AC" and 32 hexadecimal digits.')
    if not keys.api_key_sid or not keys.api_key_secret:
        raise NeedsReconnect("The API key has two parts, SID and secret; one is missing.")
    return keys


def client(account: Account, *, with_auth_token: bool = False) -> Client:
    """Give the SDK for this account; with the API key, or with the Auth Token where that is needed."""
    keys = keys_of(account)
    user, password = keys.api_key_sid, keys.api_key_secret
    if with_auth_token:
        user, password = keys.account_sid, keys.auth_token
    made = Client(
        user,
        password,
        keys.account_sid,
        http_client=_Http(account),
        # Without it the SDK reads the machine's environment, which could name another host.
        environment={"TWILIO_EDGE": ""},
    )
    made.api.base_url = account.base_url
    made.messaging.base_url = messaging_url(account.base_url)
    return made


def charged(account: Account, **units: int) -> Account:
    """Give the account such that each call costs these units too."""

    def spend(**others: int) -> None:
        account.spend(**others, **units)

    return replace(account, spend=spend)


def messaging_url(base_url: str) -> str:
    """Give where Messaging Services are, which have a host of their own; a sandbox has but one."""
    # api.twilio.com and messaging.twilio.com; api.dublin.ie1.twilio.com and so on for regions.
    # Source: https://www.twilio.com/docs/global-infrastructure/using-the-twilio-rest-api-in-a-non-us-region
    # seen 2026-11-22
    parts = urlsplit(base_url)
    if not is_twilio(base_url) or not parts.netloc.startswith("api."):
        return base_url
    return urlunsplit(parts._replace(netloc="messaging." + parts.netloc.removeprefix("api.")))


def is_twilio(base_url: str) -> bool:
    """Say whether this is Twilio itself and no sandbox."""
    return (urlsplit(base_url).hostname or "").endswith(".twilio.com")


@contextmanager
def reading() -> Iterator[None]:
    """Turn what the SDK raises over an answer that it cannot read into ContractBroken."""
    try:
        yield
    except (TwilioException, ValueError, TypeError, LookupError, AttributeError) as err:
        raise ContractBroken("Twilio's answer is not what its documents say.") from err


class _Http(HttpClient):  # type: ignore[misc] # has no types
    """What the SDK sends its requests with."""

    def __init__(self, account: Account) -> None:
        super().__init__(logging.getLogger(__name__), False)
        self._account = account

    def request(  # noqa: PLR0917 - the SDK calls it so
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - the SDK calls it so
    ) -> Response:
        """Send once, within the account's timeouts; raises the error that says what happens next."""
        del timeout, allow_redirects
        session = _TRANSPORT.session(replace(self._account, base_url=self._base_of(uri)))
        answer = session.request(
            method,
            uri,
            params=_plain(params),
            data=_plain(data),
            headers=dict(headers or {}),
            auth=auth,
            allow_redirects=False,
        )
        is_write = method.upper() == "POST"
        if answer.status_code not in _FINE:
            raise refused(
                answer.status_code,
                {name.lower(): value for name, value in answer.headers.items()},
                answer.text,
                sent=[*(data or {}).values(), *(params or {}).values()],
                is_write=is_write,
            )
        _require_object(answer)
        return Response(answer.status_code, answer.text, answer.headers)

    def _base_of(self, uri: str) -> str:
        """Give which of the account's two addresses *uri* is at; the next page's is named by an answer."""
        bases = (self._account.base_url, messaging_url(self._account.base_url))
        for base in bases:
            if uri.startswith(base.rstrip("/") + "/"):
                return base
        raise ContractBroken("Twilio names another host for its next page.")


def _plain(values: Mapping[str, object] | None) -> dict[str, Any] | None:
    return None if values is None else dict(values)


def _require_object(answer: requests.Response) -> None:
    try:
        read = json.loads(answer.text)
    except ValueError as err:
        raise ContractBroken("Twilio's answer cannot be read.", status=answer.status_code) from err
    if not isinstance(read, dict):
        raise ContractBroken("Twilio's answer is not a JSON object.", status=answer.status_code)
