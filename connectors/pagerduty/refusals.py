"""PagerDuty's refusals, turned into errors that say what happens next.

An error is ``{"error": {"message", "code", "errors": [...]}}``; each part may be missing.
Source: https://developer.pagerduty.com/docs/14-errors, PagerDuty/developer-docs docs/REST-API/14-Errors.md (2026-11-22)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.http import READ_METHODS, redacted
from connectors.pagerduty.transport import Refused

_UNAUTHORIZED, _PAYMENT, _FORBIDDEN, _NOT_FOUND = 401, 402, 403, 404
_TIMEOUT, _TOO_MANY, _SERVER_ERRORS, _BAD_REQUEST = 408, 429, 500, 400

#: Codes of the list in PagerDuty's "Errors" page.
ALREADY_RESOLVED = 1001
_CHANGED_MEANWHILE = 1005
_LOST_ACCESS = frozenset({1018, 2018})
_ACCOUNT_CLOSED = {
    2007: "PagerDuty does not know this account any more.",
    2008: "PagerDuty has locked this account.",
    2012: "This PagerDuty account has expired and may not use the API.",
}
_FIELD_OF_CODE = {
    1014: "escalation_policy",
    1015: "escalation_policy",
    1020: "priority",
    5002: "service",
}

#: "Open incident with matching dedup key already exists on this service", with code 2002 or 2001.
#: Source: several public clients that look for these words, found by code search (2026-11-22)
_SAME_KEY = re.compile(r"matching dedup key already exists|incident[_ ]key.*already", re.IGNORECASE)
#: How the sentences in ``errors`` name what is wrong.
_NAMES = (
    ("escalation_policy", re.compile(r"escalation[_ ]policy", re.IGNORECASE)),
    ("incident_type", re.compile(r"incident[_ ]type", re.IGNORECASE)),
    ("priority", re.compile(r"priority", re.IGNORECASE)),
    ("urgency", re.compile(r"urgency", re.IGNORECASE)),
    ("service", re.compile(r"service", re.IGNORECASE)),
    ("title", re.compile(r"title", re.IGNORECASE)),
    ("details", re.compile(r"\bbody\b|details", re.IGNORECASE)),
    ("content", re.compile(r"content", re.IGNORECASE)),
)
_FROM = re.compile(r"\bFrom\b.*header|header.*\bFrom\b|Requester User Not Found", re.IGNORECASE)

#: What to wait when a 429 has no headers: PagerDuty says that this happens. Its windows last a minute.
#: Source: https://developer.pagerduty.com/docs/rest-api-rate-limits (2026-11-22)
_OWN_WAIT_S = 15.0
_MAX_WAIT_S = 900.0


class SameKey(Rejected):
    """An open incident of the service has this incident key already: it is there to be found."""


@dataclass(frozen=True, slots=True)
class Said:
    """What PagerDuty says in a refusal."""

    code: int | None
    message: str
    errors: tuple[str, ...]

    @property
    def text(self) -> str:
        """Give the sentences as one text."""
        return "; ".join((self.message, *self.errors) if self.message else self.errors)


def said_in(body: bytes) -> Said:
    """Read an error's body; a body that is none says nothing."""
    try:
        read = json.loads(body)
    except ValueError:
        read = {}
    error = read.get("error") if isinstance(read, dict) else None
    if isinstance(error, str):
        return Said(None, error, ())
    if not isinstance(error, dict):
        return Said(None, "", ())
    code, listed = error.get("code"), error.get("errors")
    errors = listed if isinstance(listed, list) else [listed] if listed else []
    return Said(
        code if isinstance(code, int) else None,
        str(error.get("message") or ""),
        tuple(str(one) for one in errors),
    )


def refused(
    answer: Refused, *, method: str, hidden: Iterable[object], ask_after_s: float
) -> ConnectorError:
    """Give the error for a call that was refused; its sentence repeats nothing that was sent."""
    said = said_in(answer.body)
    status, code = answer.status, None if said.code is None else str(said.code)
    is_write = method not in READ_METHODS
    if status == _UNAUTHORIZED:
        # An expired and a revoked token get the same answer; only a refresh tells them apart.
        return TokenExpired("PagerDuty refuses the access token.", code=code, status=status)
    if status == _TOO_MANY:
        return throttled(answer.headers, code=code)
    if status >= _SERVER_ERRORS or status == _TIMEOUT:
        return _failed(status, code, is_write=is_write, ask_after_s=ask_after_s)
    if said.code in _ACCOUNT_CLOSED:
        return NeedsReconnect(_ACCOUNT_CLOSED[said.code], code=code, status=status)
    if status == _FORBIDDEN:
        return _forbidden(said, is_write=is_write)
    return _rejected(said, status=status, hidden=hidden)


def _failed(status: int, code: str | None, *, is_write: bool, ask_after_s: float) -> ConnectorError:
    if status == _TIMEOUT and is_write:
        return Uncertain(
            "PagerDuty took too long to write this.",
            ask_after_s=ask_after_s,
            code=code,
            status=status,
        )
    # What was done before it failed does no harm: what comes again looks for its key first.
    return Unavailable(f"PagerDuty failed with {status}.", code=code, status=status)


def throttled(headers: Mapping[str, str], *, code: str | None) -> Throttled:
    """Give the error for a limit: wait as long as the headers say, else as long as we think best."""
    told = seconds(headers.get("ratelimit-reset")) or seconds(headers.get("retry-after"))
    wait = _OWN_WAIT_S if told is None else min(max(told, 1.0), _MAX_WAIT_S)
    return Throttled(
        "PagerDuty's limit of calls is reached.", retry_after_s=wait, code=code, status=_TOO_MANY
    )


def seconds(value: str | None) -> float | None:
    """Read a header that holds seconds; None when it holds none."""
    try:
        read = float(value) if value else None
    except ValueError:
        return None
    return read if read is not None and 0 <= read < float("inf") else None


def _forbidden(said: Said, *, is_write: bool) -> ConnectorError:
    """A token without the scope stops the connection; a user who may not touch one service parks that row."""
    code = None if said.code is None else str(said.code)
    about_one = is_write and "scope" not in said.text.lower()
    if about_one or said.code in _LOST_ACCESS:
        return Rejected(
            "PagerDuty does not let the connected user do this. Give that user a role that may create and "
            "change incidents of the service, or connect with another user.",
            code=code,
            status=_FORBIDDEN,
        )
    return NeedsReconnect(
        "PagerDuty does not let this connection do that. Connect it again, with read and write access "
        "and a user who may see services and incidents.",
        code=code,
        status=_FORBIDDEN,
    )


def _rejected(said: Said, *, status: int, hidden: Iterable[object]) -> ConnectorError:
    code = None if said.code is None else str(said.code)
    if _SAME_KEY.search(said.text):
        return SameKey("PagerDuty already has this incident.", code=code, status=status)
    if said.code == _CHANGED_MEANWHILE:
        return NotYet(
            "Somebody changed the incident at the same moment.", retry_after_s=2.0, code=code
        )
    if _FROM.search(said.text):
        return Rejected(
            "PagerDuty wants to know in whose name this is written. Set from_email of the connection to "
            "the e-mail address of one of the account's users.",
            code=code,
            status=status,
        )
    if status == _NOT_FOUND and not said.text:
        return Rejected("PagerDuty does not have what this names.", code=code, status=status)
    if not said.text or status < _BAD_REQUEST:
        return ContractBroken(f"PagerDuty refused with {status} and no reason.", status=status)
    is_plan = status == _PAYMENT
    why = (
        "The account's plan lacks what the mapping uses; PagerDuty says"
        if is_plan
        else "PagerDuty refused it"
    )
    return Rejected(
        f'{why}: "{redacted(said.text, hidden)}"', field=_field(said), code=code, status=status
    )


def _field(said: Said) -> str | None:
    """Name our field that the sentences speak of."""
    if said.code in _FIELD_OF_CODE:
        return _FIELD_OF_CODE[said.code]
    for text in (*said.errors, said.message):
        for name, pattern in _NAMES:
            if pattern.search(text):
                return name
    return None
