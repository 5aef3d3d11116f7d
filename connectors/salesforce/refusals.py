"""What Salesforce's refusals mean for us: error codes to consequences, for requests and records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.errors import (
    Ambiguous,
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
from connectors.record import Candidate, RecordId

#: The limit is one of a rolling day and no header says when calls come free again, so we ask again
#: after a part of it that loses little of what comes free.
# Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm (2026-11-22)
_DAY_LIMIT_RETRY_S = 900.0
_CONCURRENCY_RETRY_S = 30.0
_BUSY_RETRY_S = 60.0

#: Codes that say the account no longer takes our calls, whatever the token.
_CLOSED_TO_US = frozenset(
    {"API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED", "INACTIVE_OWNER_OR_USER", "LOGIN_DENIED"}
)
#: Codes of a record that a later attempt can get through.
_LATER = frozenset(
    {
        "UNABLE_TO_LOCK_ROW",
        "SERVER_UNAVAILABLE",
        "QUERY_TIMEOUT",
        "REQUEST_RUNNING_TOO_LONG",
        "UNKNOWN_EXCEPTION",
    }
)
#: Codes of an external id that more than one record has.
_MANY = frozenset({"DUPLICATE_EXTERNAL_ID", "MULTIPLE_RECORDS"})
_RECORD_ID = re.compile(r"\b[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?\b")
_UNAUTHORISED, _FORBIDDEN, _MANY_REQUESTS, _SERVER = 401, 403, 429, 500
#: A gateway gave up waiting: what it had passed on may have been carried out.
_GATEWAY = frozenset({502, 504})


def refused_request(
    status: int, content: object, headers: Mapping[str, str], *, is_write: bool
) -> ConnectorError:
    """Give the error that an answer with this status stands for; nothing was written unless it says so."""
    code, sentence, fields = _first_error(content)
    if status in _GATEWAY and is_write:
        return Uncertain(
            "Salesforce was asked to write, and a gateway lost the answer.", status=status
        )
    if status == _MANY_REQUESTS or code == "REQUEST_LIMIT_EXCEEDED":
        return _throttled(status, code, sentence, headers)
    if status >= _SERVER:
        return Unavailable(f"Salesforce cannot answer now ({status}).", code=code, status=status)
    if status == _UNAUTHORISED or code in _CLOSED_TO_US:
        kind = TokenExpired if code == "INVALID_SESSION_ID" else NeedsReconnect
        return kind("Salesforce no longer accepts our access.", code=code, status=status)
    if code is None:
        text = f"Salesforce answered {status} in a way its documents do not describe."
        return ContractBroken(text, status=status)
    return Rejected(
        f'Salesforce refused the request: "{redacted(sentence)}"',
        field=next(iter(fields), None),
        code=code,
        status=status,
    )


def refused_record(
    object_name: str, errors: Sequence[Mapping[str, Any]], sent: Mapping[str, Any], base_url: str
) -> ConnectorError:
    """Give the error that a record's own errors stand for; *sent* values are kept out of it."""
    first = errors[0] if errors else {}
    code = str(first.get("statusCode") or "UNKNOWN")
    message = str(first.get("message") or "")
    fields = [str(name) for name in first.get("fields") or []]
    if code in _LATER:
        return Unavailable(f"Salesforce could not write the {object_name} now.", code=code)
    if code == "REQUEST_LIMIT_EXCEEDED":
        return _throttled(_FORBIDDEN, code, message, {})
    if code in _MANY:
        candidates = [
            Candidate(RecordId(object_name, found, record_url(base_url, object_name, found)), found)
            for found in _RECORD_ID.findall(message)
        ]
        text = f"More than one {object_name} in Salesforce has our key."
        return Ambiguous(text, candidates=candidates)
    # Ids are kept out of the hidden values: "duplicates value on record with id" is of use.
    sentence = redacted(message, sent.values())
    return Rejected(
        f'Salesforce refused the {object_name}: "{sentence}"',
        field=next(iter(fields), None) or _named_field(message, sent),
        code=code,
    )


def record_url(base_url: str, object_name: str, record_id: str) -> str:
    """Give the address of a record's page in Lightning Experience."""
    return f"{base_url.rstrip('/')}/lightning/r/{object_name}/{record_id}/view"


def _throttled(
    status: int, code: str | None, sentence: str, headers: Mapping[str, str]
) -> Throttled:
    if code != "REQUEST_LIMIT_EXCEEDED":
        wait_s = _BUSY_RETRY_S
    elif "concurrent" in sentence.lower():
        wait_s = _CONCURRENCY_RETRY_S
    else:
        wait_s = _DAY_LIMIT_RETRY_S
    told = headers.get("retry-after", "")
    if told.isdigit():
        wait_s = float(told)
    text = "Salesforce's API calls are used up for now."
    return Throttled(text, retry_after_s=wait_s, code=code, status=status)


def _first_error(content: object) -> tuple[str | None, str, Sequence[str]]:
    """Read ``[{"errorCode", "message", "fields"}]``, as a value or as JSON text."""
    if isinstance(content, str | bytes):
        try:
            content = json.loads(content)
        except ValueError:
            return None, "", ()
    first = content[0] if isinstance(content, list) and content else content
    if not isinstance(first, Mapping) or "errorCode" not in first:
        return None, "", ()
    fields = first.get("fields")
    names = [str(name) for name in fields] if isinstance(fields, list) else []
    return str(first["errorCode"]), str(first.get("message", "")), names


def _named_field(message: str, sent: Mapping[str, Any]) -> str | None:
    """Find the field that a sentence speaks of, such as "No such column 'X' on sobject"."""
    return next((name for name in sent if re.search(rf"\b{re.escape(name)}\b", message)), None)
