"""Lists what a mapping may write in an account: tickets with their custom fields, and users with theirs.

Source: https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_fields/ (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.errors import Rejected
from connectors.record import Account, Choice, Field, FieldType, Object
from connectors.zendesk.calls import call
from connectors.zendesk.objects import LABELS, TICKET, USER

#: Zendesk cuts longer comments. The documents name kilobytes, so texts in other scripts may be cut earlier.
#: Source: https://support.zendesk.com/hc/en-us/articles/4408827707930 (2026-11-22)
MAX_COMMENT_CHARS = 65_535
_MAX_NAME_CHARS = 255
_MAX_TEXT_CHARS = 65_535

#: Types of custom fields. Dropdowns are "tagger": their values are tags.
_TYPES: dict[str, FieldType] = {
    "text": "string",
    "textarea": "text",
    "checkbox": "boolean",
    "date": "date",
    "integer": "integer",
    "decimal": "number",
    "regexp": "string",
    "partialcreditcard": "string",
    "tagger": "picklist",
    "dropdown": "picklist",
    "multiselect": "multipicklist",
    "lookup": "reference",
}
#: Choices of the fields that every account has, for where the account does not list them.
_PRIORITIES = ("low", "normal", "high", "urgent")
_TYPES_OF_TICKET = ("problem", "incident", "question", "task")
_STATUSES = ("new", "open", "pending", "hold", "solved")


def describe_objects() -> list[Object]:
    """List the objects that we write; every account has them."""
    return [Object(name, label) for name, label in LABELS.items()]


def describe_fields(account: Account, object_name: str) -> list[Field]:
    """List the fields of an object that a mapping may name."""
    if object_name == TICKET:
        listed = call(account, "GET", "/ticket_fields").listed("ticket_fields")
        groups = call(account, "GET", "/groups").listed("groups")
        return ticket_fields(listed, groups)
    if object_name == USER:
        return user_fields(call(account, "GET", "/user_fields").listed("user_fields"))
    raise Rejected(f'We write no "{object_name}" to Zendesk, only {" and ".join(LABELS)}.')


def ticket_fields(
    listed: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]
) -> list[Field]:
    """Give the fields of tickets, from what Zendesk lists of the account's fields and groups."""
    by_type = {str(one.get("type")): one for one in listed if one.get("active", True)}
    priority = by_type.get("priority") or by_type.get("basic_priority") or {}
    kind = by_type.get("tickettype") or {}
    status = by_type.get("status") or {}
    in_group = tuple(
        Choice(str(one.get("id")), str(one.get("name"))) for one in groups if not one.get("deleted")
    )
    number = Field("", "", "reference")
    fixed = [
        Field("subject", "Subject", "string", max_chars=_MAX_NAME_CHARS),
        Field(
            "description",
            "Description",
            "text",
            is_required=True,
            max_chars=MAX_COMMENT_CHARS,
            can_update=False,
            can_match=False,
            help="The ticket's first comment; later changes of the record leave it as it is.",
        ),
        Field(
            "comment_public",
            "Description is public",
            "boolean",
            can_update=False,
            can_match=False,
            help="Whether the requester may read the description. Zendesk takes true when it is not set.",
        ),
        replace(number, name="requester_id", label="Requester", references=(USER,)),
        Field("requester_name", "Requester's name", "string", max_chars=_MAX_NAME_CHARS,
              can_update=False, can_match=False, help="Only where no requester is given."),
        Field("requester_email", "Requester's e-mail", "email", can_update=False, can_match=False,
              help="Only where no requester is given; a user is made when nobody has it."),
        _picklist("priority", "Priority", priority, _PRIORITIES),
        _picklist("type", "Type", kind, _TYPES_OF_TICKET),
        _picklist("status", "Status", status, _STATUSES),
        Field("tags", "Tags", "multipicklist", can_match=False,
              help="Added to those that are there."),
        Field("group_id", "Group", "picklist", choices=in_group),
        replace(number, name="assignee_id", label="Assignee", references=(USER,)),
        replace(number, name="organization_id", label="Organization"),
        replace(number, name="brand_id", label="Brand", can_match=False),
        replace(number, name="ticket_form_id", label="Form", can_match=False),
        Field("due_at", "Due", "datetime", can_match=False, help="Only for tickets of type task."),
    ]  # fmt: skip
    custom = [
        _custom(f"custom_fields.{one.get('id')}", one)
        for one in listed
        if one.get("removable", True) and str(one.get("type")) in _TYPES and one.get("active", True)
    ]
    return [*fixed, *custom]


def user_fields(listed: Sequence[Mapping[str, Any]]) -> list[Field]:
    """Give the fields of users, from what Zendesk lists of the account's own."""
    fixed = [
        Field("name", "Name", "string", is_required=True, max_chars=_MAX_NAME_CHARS),
        Field("email", "E-mail", "email", is_unique=True, max_chars=_MAX_NAME_CHARS),
        Field("phone", "Phone", "phone", max_chars=_MAX_NAME_CHARS),
        Field("notes", "Notes", "text", max_chars=_MAX_TEXT_CHARS, can_match=False),
        Field("details", "Details", "text", max_chars=_MAX_TEXT_CHARS, can_match=False),
        Field("organization_id", "Organization", "reference"),
        Field("time_zone", "Time zone", "string", can_match=False),
        Field("locale", "Language", "string", can_match=False),
    ]
    own = [
        _custom(f"user_fields.{one.get('key')}", one)
        for one in listed
        if str(one.get("type")) in _TYPES and one.get("active", True)
    ]
    return [*fixed, *own]


def _picklist(name: str, label: str, listed: Mapping[str, Any], usual: Sequence[str]) -> Field:
    options = listed.get("system_field_options")
    choices = tuple(
        Choice(str(one.get("value")), str(one.get("name") or one.get("value")))
        for one in (options if isinstance(options, list) else [])
        # Only Zendesk itself closes tickets.
        if one.get("value") and one.get("value") != "closed"
    )
    return Field(
        name,
        label,
        "picklist",
        choices=choices or tuple(Choice(one, one.capitalize()) for one in usual),
        is_restricted=True,
    )


def _custom(name: str, one: Mapping[str, Any]) -> Field:
    kind = _TYPES[str(one.get("type"))]
    options = one.get("custom_field_options")
    help_words = [str(one.get("agent_description") or one.get("description") or "")]
    if one.get("required"):
        help_words.append("An agent must fill it before they solve the ticket.")
    return Field(
        name=name,
        label=str(one.get("title") or name),
        type=kind,
        max_chars=_MAX_TEXT_CHARS if kind in {"string", "text"} else None,
        choices=tuple(
            Choice(str(option.get("value")), str(option.get("name") or option.get("value")))
            for option in (options if isinstance(options, list) else [])
        ),
        is_restricted=kind in {"picklist", "multipicklist"},
        is_custom=True,
        can_match=kind != "text",
        help=" ".join(words for words in help_words if words),
    )
