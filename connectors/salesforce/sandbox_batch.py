"""sObject Collections in miniature: up to 200 records, each written and answered for itself.

Source: https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections-upsert
(2026-11-22)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.salesforce.sandbox_org import Org, Refused, RowError
from connectors.sandbox.store import Store

Row = Mapping[str, Any]
WriteRow = Callable[[Row], dict[str, Any]]

#: Objects that only a user with set-up rights may write.
SETUP_OBJECTS = frozenset({"FieldPermissions", "PermissionSetAssignment"})
_MAX_RECORDS = 200
#: A composite request takes 25 parts, five of which may be queries or collections.
_MAX_COLLECTIONS = 5
_COLLECTION = re.compile(
    r"/services/data/v\d+\.0/composite/sobjects(?:/(?P<name>\w+)/(?P<external>\w+))?"
)


def records(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the records of a request body; raises Refused when it is not well formed."""
    found = body.get("records")
    if set(body) - {"allOrNone", "records"} or not isinstance(found, list) or not found:
        raise Refused(400, "JSON_PARSER_ERROR", "expected allOrNone and records")
    if len(found) > _MAX_RECORDS:
        raise Refused(400, "EXCEEDED_ID_LIMIT", "exceeded max number of records, maximum is 200")
    for row in found:
        if not isinstance(row, dict) or not type_of(row):
            raise Refused(400, "INVALID_INPUT", "attributes.type must be given for each record")
    return found


@dataclass(frozen=True, slots=True)
class Part:
    """One change of a collection within a composite request; ``upserts`` names object and external id."""

    reference: str
    body: Mapping[str, Any]
    upserts: tuple[str, str] | None


def parts(body: Mapping[str, Any]) -> list[Part]:
    """Read the parts of a composite request; raises Refused for what this sandbox does not know."""
    asked = body.get("compositeRequest")
    if not isinstance(asked, list) or not 0 < len(asked) <= _MAX_COLLECTIONS:
        raise Refused(400, "INVALID_INPUT", "compositeRequest must hold 1 to 5 collections")
    found = []
    for one in asked:
        match = _COLLECTION.fullmatch(str(one.get("url"))) if isinstance(one, dict) else None
        reference = one.get("referenceId") if isinstance(one, dict) else None
        if match is None or one.get("method") != "PATCH" or not isinstance(reference, str):
            raise Refused(400, "INVALID_INPUT", "only changes of collections are known here")
        inner = one.get("body")
        upserts = (match["name"], match["external"]) if match["name"] else None
        found.append(Part(reference, inner if isinstance(inner, dict) else {}, upserts))
    if len({part.reference for part in found}) < len(found):
        raise Refused(400, "INVALID_INPUT", "referenceId must be unique")
    return found


def type_of(row: Row) -> str:
    """Give the object that a record is of; empty when it does not say."""
    attributes = row.get("attributes")
    return str(attributes.get("type", "")) if isinstance(attributes, dict) else ""


def creating(org: Org) -> WriteRow:
    """Give the function that creates one record."""
    return lambda row: _saved(org.insert(type_of(row), _fields(row)))


def updating(org: Org) -> WriteRow:
    """Give the function that updates one record by its id."""

    def write(row: Row) -> dict[str, Any]:
        record = org.get(type_of(row), str(row.get("id") or row.get("Id") or ""))
        if record is None:
            return _saved(RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"))
        return _saved(org.update(record, _fields(row)))

    return write


def upserting(org: Org, name: str, external: str, rows: Sequence[Row]) -> WriteRow:
    """Give the function that creates or updates one of *rows* by its external id.

    Raises Refused when the object has no such external id field.
    """
    field = org.fields(name).get(external)
    if field is None or not field.is_external_id:
        message = f"Provided external ID field does not exist or is not accessible: {external}"
        raise Refused(404, "NOT_FOUND", message)
    keys = [row.get(external) for row in rows]
    found = org.by_field(name, external, [key for key in keys if key is not None])
    seen: dict[Any, int] = {}
    for key in keys:
        seen[key] = seen.get(key, 0) + 1

    def write(row: Row) -> dict[str, Any]:
        key = row.get(external)
        if type_of(row) != name:
            return _saved(RowError("INVALID_TYPE", f"expected {name}, got {type_of(row)}"))
        if key is None:
            return _saved(RowError("MISSING_ARGUMENT", f"{external} not specified"))
        if seen[key] > 1:
            message = f"Duplicate external id specified: {key}"
            return _saved(RowError("DUPLICATE_VALUE", message, (external,)))
        same = found.get(key, [])
        if len(same) > 1:
            ids = ", ".join(record.id for record in same)
            message = f"{external}: more than one record found for external id field: [{ids}]"
            return _saved(RowError("DUPLICATE_EXTERNAL_ID", message, (external,)))
        if same:
            return _saved(org.update(same[0], _fields(row)), created=False)
        return _saved(org.insert(name, _fields(row)), created=True)

    return write


class _TakenBackError(Exception):
    """Ends the transaction of an allOrNone request."""


def write_each(
    store: Store, rows: Sequence[Row], write: WriteRow, *, is_all_or_none: bool, refused: str | None
) -> list[dict[str, Any]]:
    """Write row by row and answer in the same order.

    With *is_all_or_none* one bad row takes all back. *refused* is an error code with which the
    first row is refused, because a fault asks for it.
    """
    answers: list[dict[str, Any]] = []
    try:
        with store.transaction():
            for place, row in enumerate(rows):
                if place == 0 and refused:
                    answers.append(_saved(RowError(refused, "refused by a fault switch")))
                else:
                    answers.append(write(row))
            _take_back(answers, is_all_or_none=is_all_or_none)
    except _TakenBackError:
        message = "Record rolled back because not all records were valid."
        back = RowError("ALL_OR_NONE_OPERATION_ROLLED_BACK", message)
        answers = [_saved(back) if answer["success"] else answer for answer in answers]
    return answers


def _take_back(answers: Sequence[Row], *, is_all_or_none: bool) -> None:
    if is_all_or_none and not all(answer["success"] for answer in answers):
        raise _TakenBackError


def _fields(row: Row) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k not in {"attributes", "id", "Id"}}


def _saved(made: str | RowError, *, created: bool | None = None) -> dict[str, Any]:
    if isinstance(made, RowError):
        error = {"statusCode": made.code, "message": made.message, "fields": list(made.fields)}
        return {"success": False, "errors": [error]}
    answer: dict[str, Any] = {"id": made, "success": True, "errors": []}
    return answer if created is None else {**answer, "created": created}
