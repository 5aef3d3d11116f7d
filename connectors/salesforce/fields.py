"""Reads ``describe`` answers: which objects and fields an org has, in our types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.errors import ContractBroken
from connectors.record import Choice, Field, FieldType, Object

#: Salesforce's field types to ours; compound and binary types are left out, they cannot be mapped.
# Source (2026-11-22):
# https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/field_types.htm
_TYPES: Mapping[str, FieldType] = {
    "string": "string",
    "encryptedstring": "string",
    "time": "string",
    "textarea": "text",
    "int": "integer",
    "long": "integer",
    "double": "number",
    "currency": "number",
    "percent": "number",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "email": "email",
    "phone": "phone",
    "url": "url",
    "picklist": "picklist",
    "combobox": "picklist",
    "multipicklist": "multipicklist",
    "reference": "reference",
    "id": "id",
}
#: What voicemails become; these come first in lists.
_USUAL = ("Lead", "Contact", "Task", "Case", "Opportunity", "Account", "Event")


def objects_of(answer: Any) -> Sequence[Object]:
    """Give the objects that records can be written to, the usual ones first."""
    found = [
        Object(str(one["name"]), str(one.get("label") or one["name"]), bool(one.get("custom")))
        for one in _list(answer, "sobjects")
        if one.get("createable")
        and one.get("updateable")
        and one.get("queryable")
        and one.get("layoutable")
        and not one.get("deprecatedAndHidden")
        and not one.get("customSetting")
    ]
    order = {name: place for place, name in enumerate(_USUAL)}
    return sorted(found, key=lambda one: (order.get(one.name, len(order)), one.label.casefold()))


def fields_of(answer: Any, *, without: frozenset[str]) -> Sequence[Field]:
    """Give the fields of a described object, except the names in *without*."""
    return [
        _field(one)
        for one in _list(answer, "fields")
        if one.get("type") in _TYPES and one.get("name") not in without
    ]


def _field(one: Mapping[str, Any]) -> Field:
    can_create = bool(one.get("createable"))
    length = int(one.get("length") or 0)
    kind = _TYPES[str(one["type"])]
    if one.get("htmlFormatted") and kind in {"text", "string"}:
        kind = "html"
    choices = [
        Choice(str(choice["value"]), str(choice.get("label") or choice["value"]))
        for choice in one.get("picklistValues") or []
        if choice.get("active", True)
    ]
    return Field(
        name=str(one["name"]),
        label=str(one.get("label") or one["name"]),
        type=kind,
        is_required=can_create and not one.get("nillable") and not one.get("defaultedOnCreate"),
        max_chars=length if length > 0 and kind not in {"reference", "id"} else None,
        choices=tuple(choices),
        is_restricted=bool(one.get("restrictedPicklist")),
        is_custom=bool(one.get("custom")),
        is_unique=bool(one.get("unique")),
        can_create=can_create,
        can_update=bool(one.get("updateable")),
        can_match=bool(one.get("filterable")),
        references=tuple(str(name) for name in one.get("referenceTo") or []),
        help=str(one.get("inlineHelpText") or ""),
    )


def _list(answer: Any, name: str) -> Sequence[Mapping[str, Any]]:
    found = answer.get(name) if isinstance(answer, Mapping) else None
    if not isinstance(found, list) or not all(
        isinstance(one, Mapping) and "name" in one for one in found
    ):
        raise ContractBroken(f"Salesforce described the account without {name}.")
    return found
