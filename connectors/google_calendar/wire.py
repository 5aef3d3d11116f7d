"""Calls to Google Calendar: requests made and read by Google's SDK, sent by our own transport.

The SDK takes for httplib2's client anything that sends as that does. Ours sends through ``connectors.http``: budget
before, observation after, both timeouts, no redirect, connections that threads share. It holds the token
and no credentials, so that nothing refreshes behind our back, and it sends **once**: where the SDK
sends again (parts of a batch that got 401), it hears the answer that is there already.

httplib2 itself would send a write again, unseen, when a kept connection turns out to be closed.
Source: https://github.com/httplib2/httplib2/blob/master/httplib2/__init__.py (2026-11-22)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httplib2  # type: ignore[import-untyped] # has no types
import requests
from googleapiclient.discovery import build  # type: ignore[import-untyped] # has no types
from googleapiclient.errors import (  # type: ignore[import-untyped] # has no types
    BatchError,
    Error,
    HttpError,
)
from googleapiclient.http import (  # type: ignore[import-untyped] # has no types
    BatchHttpRequest,
    HttpRequest,
)

from connectors.errors import ConnectorError, ContractBroken, Rejected, Unavailable, Uncertain
from connectors.google_calendar.refusals import refused
from connectors.http import Transport
from connectors.record import Account

#: Calls in one batch; Google allows 1000, and each counts by itself.
#: Source: https://developers.google.com/workspace/calendar/api/guides/batch (2026-11-22)
MAX_PARTS = 50
APP_LIMIT, USER_LIMIT = "app_minute", "user_minute"
#: A patch counts three times.
#: Source: https://developers.google.com/workspace/calendar/api/v3/reference/events/patch (2026-11-22)
PATCH_UNITS = 3
_BATCH = "/batch/calendar/v3"
#: The request line of a part. What callers say stands in JSON, where a line break is written as \n.
_PART = re.compile(rb"^(GET|POST|PUT|PATCH|DELETE) /\S* HTTP/1\.1\r?$", re.MULTILINE)
#: What the SDK raises when the answer to a batch is not what it should be.
_GARBLED = (Error, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Google answered to a request that it carried out; an empty body is {}."""

    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that Google refused: the error to raise, with Google's status and reason."""

    error: ConnectorError
    status: int
    reason: str


def units(n: int) -> dict[str, int]:
    """Give what *n* calls cost of each limit."""
    return {APP_LIMIT: n, USER_LIMIT: n}


def _cost(request: requests.PreparedRequest) -> Mapping[str, int]:
    """Count a request, or the parts of a batch."""
    methods = [str(request.method).encode()]
    if str(request.path_url).startswith(_BATCH):
        body = request.body if isinstance(request.body, bytes) else b""
        methods = _PART.findall(body)
    return units(sum(PATCH_UNITS if method == b"PATCH" else 1 for method in methods))


_TRANSPORT = Transport("Google Calendar", cost=_cost)


class _Http:
    """Sends one request of one account, and no second one; the SDK takes it for httplib2's client."""

    def __init__(self, account: Account, *, is_write: bool) -> None:
        self._account = account
        self._is_write = is_write
        self._answer: tuple[Any, bytes] | None = None

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> tuple[Any, bytes]:
        """Give the answer's headers and body; raises the error that tells what happens next."""
        if self._answer is None:
            self._answer = self._send(uri, method, body, dict(headers or {}))
        return self._answer

    def _send(
        self, uri: str, method: str, body: str | bytes | None, headers: dict[str, str]
    ) -> tuple[Any, bytes]:
        headers["authorization"] = f"Bearer {self._account.token}"
        raw = body.encode() if isinstance(body, str) else body
        # requests counts the bytes; the SDK counts characters.
        headers.pop("content-length", None)
        session = _TRANSPORT.session(self._account)
        try:
            answer = session.request(method, uri, data=raw, headers=headers, allow_redirects=False)
        except Uncertain as err:
            if self._is_write:
                raise
            # Free/busy and batches are asked by POST although they change nothing.
            raise Unavailable("Google Calendar did not answer.", code=err.code) from err
        told = {name.lower(): value for name, value in answer.headers.items()}
        response = httplib2.Response({**told, "status": str(answer.status_code)})
        response.reason = answer.reason
        return response, answer.content

    def close(self) -> None:
        """Leave the connections open: other calls use them."""


class _Unused:
    """Stands where the SDK wants a client that each of our calls brings along itself."""

    def request(self, *_: object, **__: object) -> tuple[Any, bytes]:
        """Refuse: nothing is sent without an account."""
        raise RuntimeError("a request to Google Calendar was sent without an account")

    def close(self) -> None:
        """Do nothing."""


@lru_cache(maxsize=32)
def _service(base_url: str) -> Any:
    """Give the SDK's description of the API, which comes with the package; it holds no connection."""
    return build(
        "calendar",
        "v3",
        http=_Unused(),
        client_options={"api_endpoint": f"{base_url}/calendar/v3/"},
        static_discovery=True,
        cache_discovery=False,
    )


class Api:
    """Makes requests for one account; nothing is sent until ``call`` or ``batch``."""

    def __init__(self, account: Account) -> None:
        """Take the account whose base URL and quota the requests are for."""
        self._service = _service(account.base_url.rstrip("/"))
        # Keeps the users of one app apart when Google counts; at most 40 characters.
        # Source: https://cloud.google.com/apis/docs/system-parameters (2026-11-22)
        digest = hashlib.sha256(account.id.encode()).hexdigest()[:32]
        self._always = {"quotaUser": digest} if account.id else {}

    def events(self, verb: str, **parameters: Any) -> HttpRequest:
        """Give a request about events: get, insert, list, patch or watch."""
        return self._make(self._service.events(), verb, parameters)

    def calendars(self, verb: str, **parameters: Any) -> HttpRequest:
        """Give a request about the person's list of calendars: get or list."""
        return self._make(self._service.calendarList(), verb, parameters)

    def free_busy(self, body: Mapping[str, Any]) -> HttpRequest:
        """Give the request for when calendars are busy."""
        return self._make(self._service.freebusy(), "query", {"body": body})

    def stop(self, body: Mapping[str, Any]) -> HttpRequest:
        """Give the request that ends a push channel."""
        return self._make(self._service.channels(), "stop", {"body": body})

    def _make(self, resource: Any, verb: str, parameters: Mapping[str, Any]) -> HttpRequest:
        request = getattr(resource, verb)(**parameters, **self._always)
        request.postproc = _as_it_is
        return request


def _as_it_is(_response: object, content: bytes) -> bytes:
    """Keep the SDK from reading an answer: one that cannot be read must not spoil a whole batch."""
    return content


def call(account: Account, request: HttpRequest, *, is_write: bool = False) -> Mapping[str, Any]:
    """Send one request and give what it answers; raises the error that says what happens next."""
    made = attempt(account, request, is_write=is_write)
    if isinstance(made, Refusal):
        raise made.error
    return made.body


def attempt(account: Account, request: HttpRequest, *, is_write: bool = False) -> Answer | Refusal:
    """Send one request and give its answer or its refusal."""
    try:
        content = request.execute(http=_Http(account, is_write=is_write), num_retries=0)
    except HttpError as err:
        return _refusal(err)
    return _answer(content)


def batch(
    account: Account, made: Sequence[HttpRequest], *, is_write: bool = False
) -> list[Answer | Refusal]:
    """Send up to ``MAX_PARTS`` requests in one call; answer i belongs to request i.

    A part that cannot be read is that part's ContractBroken. Raises what holds for the whole batch.
    """
    if not made:
        return []
    answers: dict[str, Answer | Refusal] = {}

    def keep(name: str, content: bytes | None, err: HttpError | None) -> None:
        try:
            answers[name] = _answer(content or b"") if err is None else _refusal(err)
        except ContractBroken as broken:
            answers[name] = Refusal(broken, 0, "unreadable")

    # new_batch_http_request() of the SDK would send to googleapis.com whatever the account's address.
    # Source: https://github.com/googleapis/google-api-python-client/issues/1107 (2026-11-22)
    parts = BatchHttpRequest(callback=keep, batch_uri=account.base_url.rstrip("/") + _BATCH)
    for number, request in enumerate(made):
        parts.add(request, request_id=str(number))
    try:
        parts.execute(http=_Http(account, is_write=is_write))
    except BatchError as err:
        # One of the SDK's HttpErrors, without an answer in it.
        raise ContractBroken("Google Calendar's answer to a batch cannot be read.") from err
    except HttpError as err:
        error = _refusal(err).error
        # A batch cannot be refused for what one record holds.
        raise _not_a_batch(err) if isinstance(error, Rejected) else error from err
    except ConnectorError:
        raise
    except _GARBLED as err:
        raise ContractBroken("Google Calendar's answer to a batch cannot be read.") from err
    return [answers[str(number)] for number in range(len(made))]


def _not_a_batch(err: HttpError) -> ContractBroken:
    status = int(err.resp.status)
    return ContractBroken(f"Google Calendar refused a whole batch with {status}.", status=status)


def _answer(content: bytes) -> Answer:
    """Read a body; raises ContractBroken when it is not a JSON object."""
    if not content.strip():
        return Answer()
    try:
        read = json.loads(content)
    except ValueError as err:
        raise ContractBroken("Google Calendar's answer cannot be read.") from err
    if not isinstance(read, dict):
        raise ContractBroken("Google Calendar's answer is not a JSON object.")
    return Answer(read)


def _refusal(err: HttpError) -> Refusal:
    status = int(err.resp.status)
    try:
        said = json.loads(err.content)
    except (ValueError, TypeError):
        said = {}
    error, reason = refused(status, said if isinstance(said, dict) else {})
    return Refusal(error, status, reason)
