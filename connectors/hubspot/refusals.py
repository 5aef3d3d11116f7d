"""HubSpot's refusals, turned into errors that say what happens next.

A refusal comes with the status of a call, or with a row of a 207 answer. HubSpot says that every
field of an error may be missing, so each is looked for and none is counted on.
Source: https://developers.hubspot.com/docs/api-reference/error-handling (2026-11-22)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
)
from connectors.http import redacted
from connectors.hubspot.objects import KEY
from connectors.record import Candidate, RecordId

_UNAUTHORIZED, _FORBIDDEN, _TIMEOUT, _CONFLICT = 401, 403, 408, 409
_LOCKED, _TOO_MANY, _MIGRATING = 423, 429, 477
_SERVER_ERRORS, _BAD_REQUEST = 500, 400

#: "Contact already exists. Existing ID: 123"
#: Source: https://github.com/HubSpot/hubspot-api-python/issues/51 (2026-11-22)
_EXISTING = re.compile(r"[Ee]xisting ID: ?(\d+)")
#: A validation error quotes what is wrong as a list of JSON objects inside a sentence.
#: Source: https://github.com/Atlas-Authority/marketing-automation/issues/174 (2026-11-22)
_INVALID = re.compile(r"Property values were not valid: (\[.*\])", re.DOTALL)

#: Codes of validation errors in words; the vendor's own sentence would repeat the value.
_REASONS = {
    "PROPERTY_DOESNT_EXIST": "there is no such property",
    "INVALID_OPTION": "the value is not one of the property's options",
    "INVALID_EMAIL": "the value is not an e-mail address",
    "INVALID_INTEGER": "the value is not a whole number",
    "INVALID_NUMBER": "the value is not a number",
    "INVALID_LONG": "the value is not a date or time",
    "INVALID_DATE": "the value is not a date",
    "READ_ONLY_VALUE": "the property cannot be set",
    "MISSING_REQUIRED_PROPERTY": "the property is required",
    "MISSING_CONDITIONAL_REQUIRED_PROPERTY": "the account's rules require the property here",
}


@dataclass(frozen=True, slots=True)
class Invalid:
    """A property that HubSpot finds wrong, and its code for why."""

    name: str
    code: str


def refused(status: int, headers: Mapping[str, str], body: Mapping[str, Any]) -> ConnectorError:
    """Give the error for a whole call that was refused; header names in lower case."""
    category = str(body.get("category") or body.get("errorType") or "") or None
    if status == _UNAUTHORIZED:
        # HubSpot answers the same status to an expired and to a revoked token; only a refresh tells
        # them apart. Source: https://developers.hubspot.com/docs/api/usage-details (2026-11-22)
        return TokenExpired("HubSpot refuses the access token.", code=category, status=status)
    if status == _FORBIDDEN:
        return NeedsReconnect(_missing_scopes(body), code=category, status=status)
    if status in {_LOCKED, _TOO_MANY, _MIGRATING}:
        return _throttled(status, headers, body)
    if status >= _SERVER_ERRORS or status == _TIMEOUT:
        # What was done before it failed does no harm: every write of ours may be repeated.
        return Unavailable(f"HubSpot failed with {status}.", code=category, status=status)
    if status < _BAD_REQUEST:
        return ContractBroken(
            "HubSpot wants to send us to another address, which we do not follow.", status=status
        )
    return row_refused(body, status=status)


def row_refused(
    error: Mapping[str, Any],
    *,
    object_name: str = "",
    status: int = 207,
    sent: Mapping[str, str] | None = None,
) -> ConnectorError:
    """Give the error for one record that was refused; its sentence repeats nothing that was sent."""
    category = str(error.get("category") or "")
    message = str(error.get("message") or "")
    passing = _not_the_records_fault(error, category, status)
    if passing is not None:
        return passing
    existing = _EXISTING.search(message)
    if existing:
        record = RecordId(object_name, existing[1])
        return Ambiguous(
            f"HubSpot already has this record, with the id {existing[1]}. Use it, or change the "
            "value that must be unique.",
            candidates=[Candidate(record, f"HubSpot record {existing[1]}")],
        )
    if "non-unique" in message:
        return Rejected(
            f'HubSpot keeps no unique values in the property "{KEY}". Open the connection and press '
            "Check, or follow what it lists to do.",
            code=category or None,
            status=status,
        )
    wrong = invalid_properties(error)
    if wrong:
        said = "; ".join(f'"{w.name}": {_REASONS.get(w.code, w.code)}' for w in wrong)
        return Rejected(
            f"HubSpot refused the record: {said}.",
            field=wrong[0].name,
            code=wrong[0].code,
            status=status,
        )
    if not category and not message:
        return ContractBroken(f"HubSpot refused with {status} and no reason.", status=status)
    return Rejected(
        f'HubSpot refused the record: "{redacted(message, (sent or {}).values())}"',
        code=category or None,
        status=status,
    )


def _not_the_records_fault(
    error: Mapping[str, Any], category: str, status: int
) -> ConnectorError | None:
    if "RATE_LIMIT" in category:
        return Throttled("HubSpot's limit is reached.", retry_after_s=10.0, code=category)
    if category == "MISSING_SCOPES":
        return NeedsReconnect(_missing_scopes(error), code=category, status=status)
    if category in {"INTERNAL_ERROR", "SERVER_ERROR", "TIMEOUT"}:
        return Unavailable("HubSpot could not write this record now.", code=category, status=status)
    return None


def invalid_properties(error: Mapping[str, Any]) -> list[Invalid]:
    """List the properties that a validation error names."""
    found: list[Invalid] = []
    quoted = _INVALID.search(str(error.get("message") or ""))
    if quoted:
        try:
            listed = json.loads(quoted[1])
        except ValueError:
            listed = []
        found += [
            Invalid(str(row["name"]), str(row.get("error") or "INVALID"))
            for row in listed
            if isinstance(row, Mapping) and row.get("name")
        ]
    found += [
        Invalid(name, "MISSING_REQUIRED_PROPERTY") for name in _texts(context(error), "properties")
    ]
    for detail in details(error):
        names = _texts(context(detail), "propertyName") or _texts(detail, "in")
        code = str(detail.get("code") or detail.get("subCategory") or "INVALID")
        found += [Invalid(name, code) for name in names]
    return list(dict.fromkeys(found))


def context(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an error's context; an empty one when there is none."""
    found = error.get("context")
    return found if isinstance(found, Mapping) else {}


def details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give the errors inside an error."""
    listed = error.get("errors")
    return [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []


def named_rows(error: Mapping[str, Any]) -> set[str]:
    """Give the trace ids and record ids to which an error belongs, as far as it says."""
    names: set[str] = set()
    for part in (context(error), *(context(detail) for detail in details(error))):
        for name in ("objectWriteTraceId", "ids", "id"):
            names.update(_texts(part, name))
    return names


def _missing_scopes(body: Mapping[str, Any]) -> str:
    # Source: https://github.com/HubSpot/hubspot-api-nodejs/issues/268 (2026-11-22)
    scopes: list[str] = []
    for part in (context(body), *(context(detail) for detail in details(body))):
        for name in ("requiredGranularScopes", "requiredScopes"):
            scopes += _texts(part, name)
    if not scopes:
        return "HubSpot does not let this connection do that. Connect it again with all scopes."
    named = ", ".join(dict.fromkeys(scopes))
    return f"This HubSpot connection lacks the scope {named}. Connect it again and grant it."


def _throttled(status: int, headers: Mapping[str, str], body: Mapping[str, Any]) -> Throttled:
    policy = str(body.get("policyName") or "")
    told = _seconds(headers.get("retry-after"))
    if status == _LOCKED:
        # 423: many writes to the same records; HubSpot asks for at least two seconds.
        # Source: https://developers.hubspot.com/docs/api-reference/error-handling (2026-11-22)
        wait, detail = max(told or 0.0, 2.0), "HubSpot has locked these records for a moment."
    elif status == _MIGRATING:
        # 477: the account moves between data centres; Retry-After says for how long (to 24 h).
        # Source: https://developers.hubspot.com/docs/api-reference/error-handling (2026-11-22)
        wait, detail = told or 3600.0, "HubSpot is moving this account to another data centre."
    elif "DAILY" in policy:
        wait, detail = told or 3600.0, "The HubSpot account has used up its calls of the day."
    elif "TEN_SECONDLY" in policy or not policy:
        wait, detail = told or 10.0, "HubSpot's limit of calls in ten seconds is reached."
    else:
        wait, detail = told or 1.0, "HubSpot's limit of calls in a second is reached."
    return Throttled(detail, retry_after_s=wait, code=policy or None, status=status)


def _seconds(value: str | None) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None


def _texts(part: Mapping[str, Any], name: str) -> list[str]:
    value = part.get(name)
    if isinstance(value, str | int) and value != "":
        return [str(value)]
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return [str(one) for one in value]
    return []
