"""Tells what an account has: its objects, custom ones too, and the properties of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.errors import NeedsReconnect, Rejected, TokenExpired
from connectors.hubspot import paths
from connectors.hubspot.associating import association_fields
from connectors.hubspot.calls import ask, call
from connectors.hubspot.objects import KEY, KINDS
from connectors.record import Account, Choice, Field, FieldType, Object

#: By fieldType where that says more than the type, else by type.
#: Source: https://developers.hubspot.com/docs/api-reference/latest/crm/properties/guide.md (2026-11-22)
_BY_FIELD_TYPE: dict[str, FieldType] = {
    "textarea": "text",
    "html": "html",
    "phonenumber": "phone",
    "checkbox": "multipicklist",
    "booleancheckbox": "boolean",
    "radio": "picklist",
    "select": "picklist",
}
_BY_TYPE: dict[str, FieldType] = {
    "string": "string",
    "number": "number",
    "date": "date",
    "datetime": "datetime",
    "bool": "boolean",
    "enumeration": "picklist",
    "phone_number": "phone",
}
#: Properties that HubSpot declares as plain text although they are more.
_BY_NAME: dict[str, FieldType] = {
    "hs_object_id": "id",
    "hs_note_body": "html",
    "hs_task_body": "html",
    "email": "email",
    "phone": "phone",
    "mobilephone": "phone",
    "website": "url",
}
#: Custom objects go by their type id.
_CUSTOM = re.compile(r"\d+-\d+")
#: Bodies of notes and tasks hold HTML, up to this many characters.
#: Source: https://developers.hubspot.com/docs/api-reference/latest/crm/activities/notes/guide (2026-11-22)
_BODIES = {"hs_note_body": 65_536, "hs_task_body": 65_536}


def describe_objects(account: Account) -> list[Object]:
    """List the standard objects that we write, and the account's custom objects.

    A custom object's name is its type id, such as "2-123456", which every address takes. Accounts
    without custom objects (all but Enterprise) refuse to list them; they then have none.
    """
    found = [Object(kind.name, kind.label) for kind in KINDS.values()]
    try:
        answer = ask(account, paths.SCHEMAS)
    except TokenExpired:
        raise
    except NeedsReconnect:
        return found
    for schema in answer.results if answer else []:
        number = str(schema.get("objectTypeId") or "")
        if number:
            label = str((schema.get("labels") or {}).get("singular") or schema.get("name"))
            found.append(Object(number, label, is_custom=True))
    return found


def describe_fields(account: Account, object_name: str) -> list[Field]:
    """List the properties of an object that a person may map, and its associations."""
    if object_name not in KINDS and not _CUSTOM.fullmatch(object_name):
        known = ", ".join(KINDS)
        raise Rejected(f'HubSpot has no object "{object_name}". There are: {known}.')
    answer = ask(account, paths.properties(object_name))
    if answer is None:
        raise Rejected(f'This HubSpot account has no object "{object_name}".')
    required = _required(account, object_name)
    listed = [p for p in answer.results if not p.get("hidden") and not p.get("archived")]
    fields = [_field(p, required=required, object_name=object_name) for p in listed]
    return [f for f in fields if f.name != KEY] + association_fields(object_name)


def _required(account: Account, object_name: str) -> frozenset[str]:
    kind = KINDS.get(object_name)
    if kind is not None:
        return frozenset(kind.required)
    schema = call(account, "GET", f"{paths.SCHEMAS}/{object_name}").body
    return frozenset(map(str, schema.get("requiredProperties") or ()))


def _field(prop: Mapping[str, Any], *, required: frozenset[str], object_name: str) -> Field:
    name = str(prop.get("name"))
    kind = _type(prop)
    readonly = bool((prop.get("modificationMetadata") or {}).get("readOnlyValue"))
    can_set = not readonly and not prop.get("calculated")
    is_list = kind in {"picklist", "multipicklist"}
    options = prop.get("options") or []
    referenced = str(prop.get("referencedObjectType") or "").lower()
    return Field(
        name=name,
        label=str(prop.get("label") or name),
        type=kind,
        is_required=name in required,
        max_chars=_BODIES.get(name),
        choices=tuple(
            Choice(str(option.get("value")), str(option.get("label") or option.get("value")))
            for option in options
            if is_list and not option.get("hidden")
        ),
        # Options that HubSpot keeps elsewhere (owners, campaigns) are not all listed here.
        is_restricted=is_list and not prop.get("externalOptions"),
        is_custom=not prop.get("hubspotDefined"),
        is_unique=bool(prop.get("hasUniqueValue")) or (object_name, name) == ("contacts", "email"),
        can_create=can_set,
        can_update=can_set,
        can_match=kind not in {"text", "html"},
        references=("owners",) if referenced == "owner" else (),
        help=str(prop.get("description") or ""),
    )


def _type(prop: Mapping[str, Any]) -> FieldType:
    name, given = str(prop.get("name")), str(prop.get("type"))
    if name in _BY_NAME:
        return _BY_NAME[name]
    if str(prop.get("referencedObjectType") or "").upper() == "OWNER":
        return "reference"
    field_type = str(prop.get("fieldType"))
    if given in {"string", "enumeration", "bool"} and field_type in _BY_FIELD_TYPE:
        return _BY_FIELD_TYPE[field_type]
    return _BY_TYPE.get(given, "string")
