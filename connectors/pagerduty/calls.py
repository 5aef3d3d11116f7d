"""One call to PagerDuty through its SDK: budget before, observation after, timeouts set, nothing retried."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
from pagerduty import Error, RestApiV2Client

from connectors.errors import ConnectorError, ContractBroken, Rejected
from connectors.pagerduty.preferences import preferences
from connectors.pagerduty.refusals import refused
from connectors.pagerduty.transport import Refused, Watched
from connectors.record import Account

#: The largest page that PagerDuty gives.
#: Source: https://developer.pagerduty.com/api-reference/9d0b4b12e36f9-list-incidents (2026-11-22)
PAGE = 100
_MAX_PAGES = 20
_NOT_FOUND = 404
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Body = Mapping[str, Any]


def _base(client: _Client) -> str:
    return client._url or ""  # noqa: SLF001 - the SDK's own place for it


def _set_base(client: _Client, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ContractBroken("PagerDuty is only called by https.", code="not_https")
    client._url = url  # noqa: SLF001 - the SDK's own place for it


class _Client(RestApiV2Client):
    """The SDK's client, which may also call a sandbox on this machine, and which never waits.

    The transport below it lets no refusal and no failure of the network through, so the loops in the
    SDK's ``request`` have nothing to repeat; the figures here say the same once more.
    """

    _url: str | None
    max_http_attempts = 0
    max_network_attempts = 0
    sleep_timer = 0
    # The SDK's own property refuses http, and so every sandbox.
    url = property(_base, _set_base)

    def postprocess(self, response: httpx2.Response, suffix: str | None = None) -> None:
        """Keep no counts and write no log: ``account.observe`` was told."""


def call(
    account: Account,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: Body | None = None,
    operation: str = "",
    ask_after_s: float = 0.0,
    hidden: Iterable[object] = (),
) -> Body:
    """Call PagerDuty and give the JSON object that it answers; {} for an answer without a body.

    ``operation`` names the limit of its own that this operation has. ``ask_after_s`` is how long a write
    without an answer may still be carried out. *hidden* are the values that no error may repeat. Raises
    Throttled from the budget before anything is sent.
    """
    cost = {"requests": 1, **({operation: 1} if operation else {})}
    transport = Watched(account, cost=cost, operation=operation, ask_after_s=ask_after_s)
    client = _Client(
        account.token,
        default_from=_from_email(account),
        auth_type="bearer",
        base_url=account.base_url,
        transport=transport,
    )
    timeout = httpx2.Timeout(account.read_timeout_s, connect=account.connect_timeout_s)
    # The SDK hands it on to httpx2, which takes more than the whole number that the SDK declares.
    client.timeout = timeout  # type: ignore[assignment] # the SDK declares int
    sent: dict[str, Any] = {}
    if params:
        sent["params"] = dict(params)
    if body is not None:
        sent["json"] = dict(body)
    try:
        answer = client.request(method, path, **sent)
    except Refused as err:
        raise refused(err, method=method, hidden=hidden, ask_after_s=ask_after_s) from err
    except ConnectorError:
        raise
    except (Error, httpx2.HTTPError, httpx2.InvalidURL) as err:
        # The SDK refuses to send, or found in a good answer what no document describes.
        raise ContractBroken("PagerDuty's SDK could not do this call.", code="sdk") from err
    return _read(answer)


def ask(account: Account, path: str) -> Body | None:
    """Read something that may not exist: None then."""
    try:
        return call(account, "GET", path)
    except ConnectorError as err:
        if err.status == _NOT_FOUND:
            return None
        raise


def listed(
    account: Account, path: str, name: str, *, params: Mapping[str, Any] | None = None
) -> Iterator[Body]:
    """Give what a list holds, page by page; 2,000 at most. Each page is one call."""
    for page in range(_MAX_PAGES):
        asked = {**(params or {}), "limit": PAGE, "offset": page * PAGE}
        answer = call(account, "GET", path, params=asked)
        yield from rows(answer, name)
        if answer.get("more") is not True:
            return


def rows(answer: Body, name: str) -> Sequence[Body]:
    """Give the list of this name in an answer; raises ContractBroken when it is none."""
    found = answer.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ContractBroken(f'PagerDuty\'s answer has no list "{name}".')
    return found


def one(answer: Body, name: str) -> Body:
    """Give the record of this name in an answer; raises ContractBroken when it has no id."""
    found = answer.get(name)
    if not isinstance(found, dict) or not isinstance(found.get("id"), str) or not found["id"]:
        raise ContractBroken(f'PagerDuty\'s answer has no "{name}" with an id.')
    return found


def segment(value: object) -> str:
    """Give an id as a part of an address; raises Rejected for what is no id, and could lead elsewhere."""
    text = str(value)
    if not _ID.fullmatch(text):
        raise Rejected("This is no id of a PagerDuty record.")
    return text


def _from_email(account: Account) -> str | None:
    """Give the user in whose name an account's own key writes; a user's token needs none."""
    # Source: default_from of the pagerduty SDK 7.2.0, and (seen 2026-11-22)
    # https://docs.newrelic.com/docs/workflow-automation/setup-and-configure/actions-catalog/pagerduty/pagerduty-incident-create/
    return preferences(account.settings).from_email


def _read(answer: httpx2.Response) -> Body:
    if not answer.content.strip():
        return {}
    try:
        read = json.loads(answer.content)
    except ValueError as err:
        raise ContractBroken(
            "PagerDuty's answer cannot be read.", status=answer.status_code
        ) from err
    if not isinstance(read, dict):
        raise ContractBroken("PagerDuty's answer is not a JSON object.", status=answer.status_code)
    return read
