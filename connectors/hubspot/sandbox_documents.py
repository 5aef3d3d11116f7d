"""The documents that the sandbox answers: errors, records, pipelines, custom objects, the account."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.hubspot.sandbox_schema import (
    CUSTOM_OBJECT,
    OBJECT_NUMBERS,
    PIPELINES,
    standard_properties,
)
from connectors.sandbox.store import Record

MAX_INPUTS = 100
_BEGAN = "2024-02-01T09:00:00.000Z"

Document = dict[str, Any]

_CRM = ("contacts", "companies", "deals")
SCOPES = (
    "oauth",
    *(f"crm.objects.{name}.{act}" for name in (*_CRM, "custom") for act in ("read", "write")),
    *(f"crm.schemas.{name}.{act}" for name in (*_CRM, "custom") for act in ("read", "write")),
    "crm.objects.owners.read",
    "tickets",
)


class RefusedError(Exception):
    """A request that is refused whole: the status and HubSpot's error document."""

    def __init__(self, status: int, document: Document) -> None:
        """Keep both."""
        super().__init__(document["message"])
        self.status = status
        self.document = document


def error(category: str, message: str, **more: Any) -> Document:
    """Give an error document in HubSpot's shape."""
    return {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.uuid4()),
        "category": category,
        **more,
    }


def batch_document(
    results: Sequence[Document], errors: Sequence[Document], *, started: str
) -> Document:
    """Give the answer to a batch; it names errors only when there are some."""
    document: Document = {
        "status": "COMPLETE",
        "results": list(results),
        "startedAt": started,
        "completedAt": stamp(),
    }
    if errors:
        document |= {"numErrors": len(errors), "errors": list(errors)}
    return document


def row_error(category: str, message: str, context: Mapping[str, Sequence[str]]) -> Document:
    """Give an error as it stands in a batch's answer."""
    return {
        "status": "error",
        "category": category,
        "message": message,
        "context": {name: list(values) for name, values in context.items()},
        "errors": [],
        "links": {},
    }


def need_scope(
    granted: Sequence[str], object_name: str, act: str, *, area: str = "objects"
) -> None:
    """Refuse a call for which the token has no scope."""
    if object_name not in {*OBJECT_NUMBERS, CUSTOM_OBJECT}:
        raise no_object(object_name)
    owner = "contacts" if object_name in {"tasks", "notes"} else object_name
    owner = owner if owner in {*_CRM, "tickets"} else "custom"
    scope = "tickets" if owner == "tickets" else f"crm.{area}.{owner}.{act}"
    if scope in granted:
        return
    text = "This app hasn't been granted all required scopes to make this call."
    needed = {"requiredGranularScopes": [scope]}
    details = [{"message": "One or more of the following scopes are required.", "context": needed}]
    raise RefusedError(403, error("MISSING_SCOPES", text, errors=details))


def no_object(object_name: str) -> RefusedError:
    """Refuse an object that the account does not have."""
    text = f"Unable to infer object type from: {object_name}"
    return RefusedError(400, error("VALIDATION_ERROR", text))


def throttle_document(policy: str) -> Document:
    """Give the error of a limit that is reached."""
    return {
        "status": "error",
        "message": f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()),
        "policyName": policy,
    }


def too_many(number: int) -> RefusedError:
    """Refuse a batch that is too large."""
    text = (
        f"The maximum number of inputs supported in a batch request is {MAX_INPUTS}; got {number}."
    )
    return RefusedError(400, error("VALIDATION_ERROR", text))


def not_unique(object_name: str, name: str, account: str) -> RefusedError:
    """Refuse to tell records apart by a property whose values are not unique."""
    number = OBJECT_NUMBERS.get(object_name, object_name)
    text = (
        f"Unable to perform update/upsert by non-unique {number} property {name} "
        f"in portal ID {account}"
    )
    return RefusedError(400, error("VALIDATION_ERROR", text))


def result_document(record: Record, properties: Sequence[str]) -> Document:
    """Give a record as the API answers it; a property without a value is null."""
    values = {name: record.fields.get(name) for name in properties}
    values["hs_object_id"] = record.id
    values["hs_lastmodifieddate"] = record.fields.get("hs_lastmodifieddate")
    return {
        "id": record.id,
        "properties": values,
        "createdAt": stamp(record.created_at),
        "updatedAt": stamp(record.updated_at),
        "archived": False,
    }


def account_document(account: str) -> Document:
    """Give an account's details."""
    return {
        "portalId": int(account),
        "accountType": "DEVELOPER_TEST",
        "timeZone": "US/Eastern",
        "companyCurrency": "USD",
        "additionalCurrencies": [],
        "utcOffset": "-05:00",
        "utcOffsetMilliseconds": -18_000_000,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "na1",
    }


def pipeline_document(object_name: str) -> Document:
    """Give an object's pipeline with its stages."""
    number, label, stages = PIPELINES[object_name]
    return {
        "id": number,
        "label": label,
        "displayOrder": 0,
        "archived": False,
        "createdAt": _BEGAN,
        "updatedAt": _BEGAN,
        "stages": [
            {
                "id": stage.id,
                "label": stage.label,
                "displayOrder": order,
                "metadata": dict(stage.metadata),
                "archived": False,
                "createdAt": _BEGAN,
                "updatedAt": _BEGAN,
            }
            for order, stage in enumerate(stages)
        ],
    }


def schema_document() -> Document:
    """Give the custom object that each account has."""
    return {
        "objectTypeId": CUSTOM_OBJECT,
        "id": CUSTOM_OBJECT.partition("-")[2],
        "name": "service_visit",
        "fullyQualifiedName": "p48291035_service_visit",
        "labels": {"singular": "Service visit", "plural": "Service visits"},
        "primaryDisplayProperty": "visit_name",
        "requiredProperties": ["visit_name"],
        "properties": [prop.document() for prop in standard_properties(CUSTOM_OBJECT).values()],
    }


def stamp(at: float | None = None) -> str:
    """Give a moment (seconds since 1970; now when not given) as the API writes it."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
