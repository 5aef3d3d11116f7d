"""Google's refusals, turned into errors that say what happens next.

A refusal is ``{"error": {"code", "message", "errors": [{"domain", "reason", "message"}]}}``, of a whole call or
of a batch's part. The same 403 means "too fast", "not yours" or "not granted": the reason tells.
Source: https://developers.google.com/workspace/calendar/api/guides/errors (2026-11-22)
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
)
from connectors.http import redacted

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TIMEOUT = 401, 403, 404, 408
_CONFLICT, _GONE, _CHANGED, _TOO_MANY, _SERVER_ERRORS = 409, 410, 412, 429, 500
_BAD_REQUEST = 400

DUPLICATE = "duplicate"
#: Reasons that mean "not so fast", with the seconds to wait; windows are a minute and slide, and Google tells
#: no time. A calendar's own limits last for hours.
#: Source: https://developers.google.com/workspace/calendar/api/guides/quota (2026-11-22)
#: Source: https://knowledge.workspace.google.com/admin/calendar/avoid-calendar-use-limits (2026-11-22)
_WAITS = {
    "userRateLimitExceeded": 30.0,
    "rateLimitExceeded": 30.0,
    "quotaExceeded": 1_800.0,
    "dailyLimitExceeded": 3_600.0,
}
_WAIT_S = 30.0
#: Reasons for which the person must connect again, or somebody must change the app or the domain.
_RECONNECT = {
    "insufficientPermissions": "Google did not grant everything that is needed. Connect Google "
    "Calendar again and leave every box ticked.",
    "accessNotConfigured": "The Google Calendar API is not switched on in the Google Cloud project of "
    "this app; its operator switches it on under APIs and services.",
    "domainPolicy": "The administrator of this Google Workspace does not let apps use its calendars.",
}
#: Google's sentences that tell which field is wrong; it names none.
#: Source: https://github.com/alextselegidis/easyappointments/pull/1466 (2026-11-22) for attendees
_SAID_OF = (
    ("attendee", "attendees"),
    ("color", "colorId"),
    ("start time", "start"),
    ("end time", "end"),
    ("time range", "end"),
    ("time zone", "start"),
    ("visibility", "visibility"),
    ("transparency", "transparency"),
    ("reminder", "reminder_minutes"),
)


def refused(status: int, said: Mapping[str, Any]) -> tuple[ConnectorError, str]:
    """Give the error for a refusal, and Google's reason for it ("" when it names none)."""
    detail = _detail(said)
    reason = str(detail.get("reason") or "")
    return _error(status, reason, detail), reason


def _error(status: int, reason: str, detail: Mapping[str, Any]) -> ConnectorError:
    code = reason or None
    if status == _UNAUTHORIZED:
        # An expired and a revoked token get the same answer; only a refresh tells them apart.
        return TokenExpired("Google refuses the access token.", code=code, status=status)
    if status == _TOO_MANY or (status == _FORBIDDEN and reason in _WAITS):
        return _throttled(status, reason)
    if status == _FORBIDDEN and reason in _RECONNECT:
        return NeedsReconnect(_RECONNECT[reason], code=code, status=status)
    if status in {_CONFLICT, _CHANGED, _TIMEOUT} or status >= _SERVER_ERRORS:
        # Every write of ours may be repeated, so it does no harm if this one was carried out.
        return Unavailable(f"Google Calendar failed with {status}.", code=code, status=status)
    if status < _BAD_REQUEST or not detail:
        sentence = f"Google Calendar answered {status} and no reason."
        return ContractBroken(sentence, code=code, status=status)
    return _rejected(status, code, str(detail.get("message") or ""))


def _rejected(status: int, code: str | None, message: str) -> Rejected:
    if status == _FORBIDDEN:
        return Rejected(
            "The connected person may not write to this calendar, or not change this event.",
            field="calendar",
            code=code,
            status=status,
        )
    if status in {_NOT_FOUND, _GONE}:
        return Rejected(
            "There is no such event or calendar in Google Calendar; somebody may have deleted it.",
            code=code,
            status=status,
        )
    sentence = redacted(message)
    return Rejected(
        f'Google Calendar refused the event: "{sentence}"',
        field=_field_of(sentence),
        code=code,
        status=status,
    )


def rejection(error: Rejected, sent: Iterable[object]) -> Rejected:
    """Give the same refusal without what was sent, which Google's sentence may quote."""
    detail = redacted(error.detail, sent)
    return Rejected(detail, field=error.field, code=error.code, status=error.status)


def _throttled(status: int, reason: str) -> Throttled:
    wait_s = _WAITS.get(reason, _WAIT_S)
    sentence = (
        "Google Calendar's limit for this calendar is reached; it lasts for hours."
        if wait_s > _WAIT_S
        else "Google Calendar's limit of calls in a minute is reached."
    )
    # Google asks for random waits, so that those who were refused together do not come back together.
    wait_s *= random.uniform(1.0, 1.5)  # noqa: S311 - spreads calls, guards nothing
    return Throttled(sentence, retry_after_s=wait_s, code=reason or None, status=status)


def _detail(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the first entry of the list of errors, filled up from the error itself."""
    error = said.get("error")
    if not isinstance(error, Mapping):
        return {}
    listed = error.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else {}
    found = dict(first) if isinstance(first, Mapping) else {}
    if error.get("message") and not found.get("message"):
        found["message"] = error["message"]
    return found


def _field_of(sentence: str) -> str | None:
    low = sentence.lower()
    return next((name for words, name in _SAID_OF if words in low), None)
