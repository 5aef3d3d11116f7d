"""Zendesk's refusals, turned into errors that say what happens next.

A refusal comes with the status of a call, or with a row of a job. Zendesk's own sentence is given on, without
what we had sent: it quotes the refused value.
"""

from __future__ import annotations

import re
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

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TIMEOUT, _CONFLICT = 401, 403, 404, 408, 409
_TOO_MANY, _SERVER_ERRORS, _BAD_REQUEST = 429, 500, 400
#: When no Retry-After comes: a minute's window at most, and a place in the queue of jobs.
_MINUTE_S, _JOB_S = 60.0, 30.0
_LONGEST_WAIT_S = 3_600.0

#: The code of a refused ``Idempotency-Key``: it was used with another body.
#: Source: https://developer.zendesk.com/api-reference/ticketing/introduction/#idempotency (2026-11-22)
OTHER_BODY = "IdempotentRequestError"
#: A value that must be unique is taken.
TAKEN = "DuplicateValue"

#: What Zendesk calls a field in its errors, to what a mapping calls it.
_NAMES = {
    "comment": "description",
    "requester": "requester_id",
    "ticket_type": "type",
    "tickettype": "type",
    "group": "group_id",
    "assignee": "assignee_id",
    "organization": "organization_id",
    "brand": "brand_id",
    "form": "ticket_form_id",
    "ticket_form": "ticket_form_id",
}
_LABELLED = re.compile(r"^\s*([A-Z][\w ]{0,40}?):\s")


def refused(
    status: int,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    *,
    sent: Mapping[str, Any],
) -> ConnectorError:
    """Give the error for a call that was refused; header names in lower case."""
    code = error_code(body)
    if status == _TOO_MANY or code == "TooManyJobs":
        return _throttled(status, headers, code)
    if status == _UNAUTHORIZED:
        # Expired and withdrawn tokens are answered alike; only a refresh tells them apart.
        return TokenExpired("Zendesk refuses the access token.", code=code, status=status)
    if status == _FORBIDDEN:
        return NeedsReconnect(
            "Zendesk does not let this connection do that. Connect it again as an agent who may, "
            "with everything that is asked.",
            code=code,
            status=status,
        )
    if status >= _SERVER_ERRORS or status in {_TIMEOUT, _CONFLICT}:
        # A conflict: the same key is on its way, or somebody changes the record in this moment.
        return Unavailable(f"Zendesk failed with {status}.", code=code, status=status)
    if status < _BAD_REQUEST:
        return ContractBroken("Zendesk's answer is not one that it documents.", status=status)
    return rejected(body, status=status, sent=sent)


def rejected(
    error: Mapping[str, Any], *, status: int | None = None, sent: Mapping[str, Any]
) -> Rejected:
    """Give the error for one record that was refused; its sentence repeats nothing that was sent."""
    code = error_code(error)
    field, said = _said(error)
    if status == _NOT_FOUND or code in {"RecordNotFound", "TicketNotFound", "UserNotFound"}:
        return Rejected("Zendesk has no such record any more.", code=code, status=status)
    sentence = redacted(said, [sent])
    return Rejected(
        f'Zendesk refused the record: "{sentence}"' if said else "Zendesk refused the record.",
        field=field,
        code=code,
        status=status,
    )


def error_code(error: Mapping[str, Any]) -> str | None:
    """Give Zendesk's own word for what is wrong: it stands as text, or in an object with a title."""
    found = error.get("error")
    if isinstance(found, Mapping):
        found = found.get("code") or found.get("title")
    return str(found) if found else None


def is_taken(error: Mapping[str, Any], name: str) -> bool:
    """Say whether this refusal is about a value of field *name* that another record has already."""
    for field, part in _details(error.get("details")):
        words = str(part.get("description") or "").lower()
        is_double = part.get("error") == TAKEN or "already" in words
        if is_double and (field == name or name.replace("_", " ") in words):
            return True
    said = f"{error.get('details') or ''} {error.get('description') or ''}".lower()
    return "already" in said and name.split("_", maxsplit=1)[0] in said


def _said(error: Mapping[str, Any]) -> tuple[str | None, str]:
    """Give the field that a refusal names, and its sentence."""
    for field, part in _details(error.get("details")):
        words = str(part.get("description") or "")
        if field == "base":
            return _labelled(words), words
        return _NAMES.get(field, field), words
    words = str(error.get("details") or error.get("description") or error.get("message") or "")
    title = error.get("error")
    if not words and isinstance(title, Mapping):
        words = str(title.get("message") or "")
    return _labelled(words), words


def _labelled(sentence: str) -> str | None:
    """Give the field of a sentence such as "Priority: is invalid"."""
    found = _LABELLED.match(sentence)
    if found is None:
        return None
    name = found[1].strip().lower().replace(" ", "_")
    return _NAMES.get(name, name)


def _details(details: object) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if not isinstance(details, Mapping):
        return
    for field, parts in details.items():
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, Mapping):
                yield str(field), part


def _throttled(status: int, headers: Mapping[str, str], code: str | None) -> Throttled:
    is_jobs = code == "TooManyJobs"
    told = _seconds(headers.get("retry-after")) or _seconds(headers.get("ratelimit-reset"))
    return Throttled(
        "Zendesk has too many jobs of this account in its queue."
        if is_jobs
        else "Zendesk's limit of calls in a minute is reached.",
        retry_after_s=told or (_JOB_S if is_jobs else _MINUTE_S),
        code=code,
        status=status,
    )


def _seconds(value: str | None) -> float | None:
    try:
        told = float(value) if value else 0.0
    except ValueError:
        return None
    return min(told, _LONGEST_WAIT_S) if told > 0 else None
