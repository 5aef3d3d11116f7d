"""What Zendesk's objects are called, and which of their fields a mapping may name.

A mapping's names are Zendesk's own, with these of ours, as Zendesk keeps those values inside of others:

- ``description`` is the text of a ticket's first comment; ``comment_public`` says whether the requester may read it
- ``requester_name`` and ``requester_email`` are the requester, where no ``requester_id`` is given
- ``custom_fields.<id>`` is a custom field of tickets, ``user_fields.<key>`` one of users
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.record import JSON

TICKET, USER = "Ticket", "User"
#: Where our key stands in every record that we make. Zendesk does not keep it unique for tickets.
KEY = "external_id"
LABELS = {TICKET: "Ticket", USER: "User"}
#: An object's name in addresses and answers: many, and one.
PATHS = {TICKET: "tickets", USER: "users"}
SINGULAR = {TICKET: "ticket", USER: "user"}

_CUSTOM = re.compile(r"custom_fields\.(\d{1,18})")
_OWN = re.compile(r"user_fields\.(\w{1,255})")
#: Fields whose value is another record's number.
REFERENCES = frozenset(
    {"requester_id", "assignee_id", "group_id", "organization_id", "brand_id", "ticket_form_id"}
)
_TICKET = frozenset({"subject", "priority", "status", "type", "due_at"}) | REFERENCES
_USER = frozenset(
    {"name", "email", "phone", "notes", "details", "organization_id", "time_zone", "locale"}
)
#: Only a new ticket has these: to write them again would add a comment.
_NEW_ONLY = frozenset({"description", "comment_public", "requester_name", "requester_email"})


def unknown_field(object_name: str, fields: Mapping[str, JSON]) -> str | None:
    """Give the first field that this object cannot have; None when all are known.

    Zendesk itself says nothing of names that it does not know, and leaves them out.
    """
    return next((name for name in fields if not _is_known(object_name, name)), None)


def _is_known(object_name: str, name: str) -> bool:
    if object_name == USER:
        return name in _USER or bool(_OWN.fullmatch(name))
    return name in _TICKET | _NEW_ONLY | {"tags"} or bool(_CUSTOM.fullmatch(name))


def new_record(object_name: str, fields: Mapping[str, JSON], key: str) -> dict[str, Any]:
    """Give a new record as Zendesk takes it, with our key; fields of None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    record: dict[str, Any] = _shared(object_name, given)
    record[KEY] = key
    if object_name == USER:
        # A caller has asked for no account, so Zendesk writes them no letter about one.
        # Source: https://developer.zendesk.com/api-reference/ticketing/users/users/#create-user (2026-11-22)
        record["skip_verify_email"] = True
        return record
    comment: dict[str, Any] = {"body": str(given.get("description", ""))}
    if "comment_public" in given:
        comment["public"] = bool(given["comment_public"])
    record["comment"] = comment
    if "tags" in given:
        record["tags"] = _tags(given["tags"])
    if "requester_id" not in given and ("requester_email" in given or "requester_name" in given):
        email = given.get("requester_email")
        record["requester"] = {
            "name": str(given.get("requester_name") or email),
            **({"email": email} if email else {}),
        }
    return record


def changed_record(object_name: str, fields: Mapping[str, JSON]) -> dict[str, Any]:
    """Give the changes of a record as Zendesk takes them; None clears a field.

    What only a new ticket has is left out. Tags are added, not replaced, which only ``update_many`` can do.
    """
    record = _shared(object_name, fields)
    if "tags" in fields:
        if fields["tags"] is None:
            record["tags"] = []
        else:
            record["additional_tags"] = _tags(fields["tags"])
    return record


def _shared(object_name: str, fields: Mapping[str, JSON]) -> dict[str, Any]:
    plain = _USER if object_name == USER else _TICKET
    record: dict[str, Any] = {
        name: _number(value) if name in REFERENCES else value
        for name, value in fields.items()
        if name in plain
    }
    custom = [
        {"id": int(found[1]), "value": value}
        for name, value in fields.items()
        if (found := _CUSTOM.fullmatch(name))
    ]
    own = {found[1]: value for name, value in fields.items() if (found := _OWN.fullmatch(name))}
    if custom:
        record["custom_fields"] = custom
    if own:
        record["user_fields"] = own
    return record


def value_of(record: Mapping[str, Any], name: str) -> JSON:
    """Give a field's present value of a record that Zendesk answered."""
    if found := _CUSTOM.fullmatch(name):
        parts = record.get("custom_fields") or []
        return next((part.get("value") for part in parts if str(part.get("id")) == found[1]), None)
    if found := _OWN.fullmatch(name):
        own: JSON = (record.get("user_fields") or {}).get(found[1])
        return own
    value: JSON = record.get(name)
    return str(value) if name in {"id", *REFERENCES} and value is not None else value


def label_of(object_name: str, record: Mapping[str, Any]) -> str:
    """Give what a person knows a record by, at most 80 characters."""
    if object_name == TICKET:
        return f"#{record.get('id')} {record.get('subject') or ''}".strip()[:80]
    told = [str(record[name]) for name in ("name", "email", "phone") if record.get(name)]
    return " · ".join(told[:2])[:80] or f"User {record.get('id')}"


def _tags(value: JSON) -> list[str]:
    """Give tags as Zendesk keeps them: in small letters, without spaces."""
    words = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return ["_".join(str(word).lower().split()) for word in words if word]


def _number(value: JSON) -> JSON:
    return int(value) if isinstance(value, str) and value.isdecimal() else value
