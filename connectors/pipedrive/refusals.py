"""Pipedrive's refusals, turned into errors that say what happens next.

A refusal is ``{"success": false, "error": ..., "error_info": ...}``, with ``code`` and ``field_code`` where Pipedrive
gives them; every field may be missing. A limit refuses in four ways: 429 for two seconds' burst, 429 for
the day's tokens, 403 with a page of HTML from Cloudflare for whoever does not heed a 429, and 403
``feature_capping_...`` for the plan's number of records, which no waiting cures.
Source: https://pipedrive.readme.io/docs/core-api-concepts-http-status-codes (2026-11-22)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    Rejected,
    Throttled,
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.http import redacted
from connectors.record import JSON

_UNAUTHORIZED, _PAYMENT, _FORBIDDEN, _NOT_FOUND, _TIMEOUT, _GONE = 401, 402, 403, 404, 408, 410
_TOO_MANY, _BAD_REQUEST, _SERVER_ERRORS = 429, 400, 500
#: A gateway says these; what stands behind it may have done what was asked.
_GATEWAYS = frozenset({502, 504, 520, 522, 524})
_BURST_S = 2.0
#: Cloudflare lets nobody through for a while who did not heed a 429; it does not say for how long.
_BLOCKED_S = 300.0
#: A 429 that does not say which limit it is, while the burst's own count is not used up.
_UNCLEAR_S = 900.0
#: Our clock and Pipedrive's may differ by so much.
_SLACK_S = 60.0
ON_ITS_WAY_S = 30.0
#: 'Validation failed: org_id: Expected integer', '"org_id" must be a number', "Parameter 'org_id' ..."
_FIELD = (
    re.compile(r"(?:failed|error)\W+([a-z][\w.]*|[0-9a-f]{40})\s*:", re.IGNORECASE),
    re.compile(r"""["']([a-z][\w.]*|[0-9a-f]{40})["']"""),
)
#: What our fields are called where Pipedrive's body has another name.
_OUR_NAMES = {"phones": "phone", "emails": "email"}


def refused(
    status: int,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | None,
    *,
    is_write: bool,
    tokens: int,
    sent: Mapping[str, JSON],
) -> ConnectorError:
    """Give the error for a call that was refused; *body* is None when the answer was not JSON.

    *tokens* is what the call costs, *sent* what was to be written, of which nothing is repeated.
    """
    if status == _TOO_MANY:
        return _throttled(headers, body or {}, tokens=tokens)
    if status == _UNAUTHORIZED:
        return TokenExpired("Pipedrive refuses the access token.", status=status)
    if status >= _SERVER_ERRORS or status == _TIMEOUT:
        return _failed(status, is_write=is_write)
    if status < _BAD_REQUEST:
        return ContractBroken(
            "Pipedrive wants to send us to another address, which we do not follow.", status=status
        )
    return _unreadable(status) if body is None else _read(status, body, sent)


def _failed(status: int, *, is_write: bool) -> ConnectorError:
    if is_write and status in _GATEWAYS:
        return Uncertain(
            f"Pipedrive's gateway failed with {status} while it was asked to write.",
            ask_after_s=ON_ITS_WAY_S,
            status=status,
        )
    return Unavailable(f"Pipedrive failed with {status}.", status=status)


def _unreadable(status: int) -> ConnectorError:
    if status != _FORBIDDEN:
        return ContractBroken(f"Pipedrive's refusal with {status} cannot be read.", status=status)
    # Source: https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting (2026-11-22)
    return Throttled(
        "Pipedrive's firewall lets us through no more for a while, after too many calls.",
        retry_after_s=_BLOCKED_S,
        code="blocked",
        status=status,
    )


def _read(status: int, body: Mapping[str, Any], sent: Mapping[str, JSON]) -> ConnectorError:
    code = str(body.get("code") or "") or None
    said = _sentence(body, sent)
    if status == _PAYMENT:
        # Source: https://pipedrive.readme.io/docs/core-api-concepts-http-status-codes (2026-11-22)
        return NeedsReconnect(
            f'The Pipedrive account is not open: "{said}" Its owner settles this with Pipedrive; then '
            "connect it again.",
            code=code or "payment_required",
            status=status,
        )
    if status == _FORBIDDEN and "scope" in said.lower():
        return NeedsReconnect(
            f'Pipedrive does not let this connection do that: "{said}" Give the app all scopes, then '
            "connect again.",
            code=code,
            status=status,
        )
    if code and code.startswith("feature_capping"):
        return Rejected(
            f'The plan of this Pipedrive account allows no more such records: "{said}"',
            code=code,
            status=status,
        )
    if status in {_NOT_FOUND, _GONE}:
        return Rejected(f'Pipedrive has no such record: "{said}"', code=code, status=status)
    if not said:
        return ContractBroken(f"Pipedrive refused with {status} and no reason.", status=status)
    return Rejected(
        f'Pipedrive refused the record: "{said}"',
        field=_field(body, sent),
        code=code,
        status=status,
    )


def _sentence(body: Mapping[str, Any], sent: Mapping[str, JSON]) -> str:
    """Give Pipedrive's sentence without what was sent; webhooks answer ``errors`` by field."""
    words = body.get("error") or body.get("message") or ""
    listed = body.get("errors")
    if not words and isinstance(listed, Mapping):
        words = "; ".join(f"{name}: {value}" for name, value in listed.items())
    return redacted(str(words), sent.values())


def _field(body: Mapping[str, Any], sent: Mapping[str, JSON]) -> str | None:
    """Give the field that was refused, as a mapping calls it."""
    # Source: https://developers.pipedrive.com/changelog (2026-05-21: errors name a field_code)
    named = body.get("field_code")
    names = [str(named)] if named else []
    text = str(body.get("error") or "")
    for pattern in _FIELD:
        names += pattern.findall(text)
    custom = sent.get("custom_fields")
    known = {*sent, *(custom if isinstance(custom, Mapping) else ())}
    for name in names:
        first = name.removeprefix("custom_fields.").partition(".")[0]
        if named or first in known:
            return _OUR_NAMES.get(first, first)
    return None


def _throttled(headers: Mapping[str, str], body: Mapping[str, Any], *, tokens: int) -> Throttled:
    """Tell the day's limit from the burst's.

    The two say 429 alike. The day's is known by what remains of the tokens (less than the call costs), else by the
    sentence. Source: https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting (2026-11-22)
    """
    left_today = number(headers.get("x-daily-ratelimit-token-remaining"))
    left_now = number(headers.get("x-ratelimit-remaining"))
    words = f"{body.get('error') or ''} {body.get('error_info') or ''}".lower()
    is_daily = left_today < tokens if left_today is not None else "daily" in words
    if is_daily:
        return Throttled(
            "The Pipedrive account has used up its tokens of the day.",
            retry_after_s=until_midnight_s(headers),
            code="daily",
            status=_TOO_MANY,
        )
    told = number(headers.get("retry-after")) or number(headers.get("x-ratelimit-reset"))
    if left_today is None and left_now is not None and left_now > 0 and not told:
        return Throttled(
            "Pipedrive refuses for a limit that it does not name.",
            retry_after_s=_UNCLEAR_S,
            code="unclear",
            status=_TOO_MANY,
        )
    return Throttled(
        "Pipedrive's limit of calls in two seconds is reached.",
        retry_after_s=float(told or _BURST_S),
        code="burst",
        status=_TOO_MANY,
    )


def until_midnight_s(headers: Mapping[str, str]) -> float:
    """Give the seconds until the day's tokens are given anew: at midnight of the server, which keeps UTC.

    The answer's own date is taken, since our clock may be wrong.
    """
    now = datetime.now(UTC)
    with suppress(TypeError, ValueError):  # Without a date, our clock is the only one.
        now = parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - now).total_seconds() + _SLACK_S


def number(value: str | None) -> int | None:
    """Read a whole number of a header; None when it is none."""
    return int(value) if value and value.strip().isdigit() else None
