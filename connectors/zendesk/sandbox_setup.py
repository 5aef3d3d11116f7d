"""What a sandbox's account is set up with: fields, groups, brands, the agent; in the shape that Zendesk lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.sandbox.oauth import SandboxAccount

Document = dict[str, Any]

ACCOUNTS = (
    SandboxAccount("whitfield", "Whitfield Plumbing"),
    SandboxAccount("lakeside", "Lakeside Dental"),
)
SCOPES = tuple(
    ["read", "write"]
    + [f"{one}:{act}" for one in ("tickets", "users", "webhooks") for act in ("read", "write")]
)
PRIORITIES = ("low", "normal", "high", "urgent")
TYPES = ("question", "incident", "problem", "task")
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
_BEGAN = "2024-02-01T09:00:00Z"
#: Custom fields: id, type, title, choices.
_CUSTOM: tuple[tuple[int, str, str, tuple[str, ...]], ...] = (
    (8101, "text", "Device", ()),
    (8102, "text", "Callback number", ()),
    (8103, "tagger", "Product", ("boiler", "pump", "drain")),
    (8104, "checkbox", "Warranty", ()),
    (8105, "integer", "Floor", ()),
)


def number_of(account: str) -> int:
    """Give the number from which an account's brand, groups and agent count."""
    return 10_000 * (1 + [one.id for one in ACCOUNTS].index(account))


def agent_of(account: str) -> Document:
    """Give the agent who has connected us."""
    who = next(one for one in ACCOUNTS if one.id == account)
    return {
        "id": number_of(account) + 1,
        "name": who.user,
        "email": who.email,
        "role": "admin",
        "active": True,
        "created_at": _BEGAN,
        "updated_at": _BEGAN,
    }


def brands_of(account: str) -> list[Document]:
    """Give an account's brands."""
    who = next(one for one in ACCOUNTS if one.id == account)
    brand = {
        "id": number_of(account) + 5,
        "name": who.name,
        "subdomain": account,
        "brand_url": f"https://{account}.zendesk.example",
        "active": True,
        "default": True,
    }
    return [brand]


def groups_of(account: str) -> list[Document]:
    """Give an account's groups."""
    return [
        {"id": number_of(account) + place, "name": name, "default": place == 11, "deleted": False}  # noqa: PLR2004 - the first one
        for place, name in ((11, "Support"), (12, "Billing"))
    ]


def ticket_fields() -> list[Document]:
    """Give the fields of tickets, those of every account first."""
    system: list[tuple[str, str, Sequence[str]]] = [
        ("subject", "Subject", ()),
        ("description", "Description", ()),
        ("status", "Status", STATUSES[1:]),
        ("tickettype", "Type", TYPES),
        ("priority", "Priority", PRIORITIES),
        ("group", "Group", ()),
        ("assignee", "Assignee", ()),
    ]
    found = [
        _field(8000 + place, kind, title, position=place)
        | ({"system_field_options": _options(choices)} if choices else {})
        | {"removable": False}
        for place, (kind, title, choices) in enumerate(system)
    ]
    for place, (number, kind, title, choices) in enumerate(_CUSTOM):
        one = _field(number, kind, title, position=20 + place) | {"removable": True}
        if choices:
            one["custom_field_options"] = [
                {"id": number * 10 + order, **option}
                for order, option in enumerate(_options(choices))
            ]
        found.append(one)
    return found


def custom_problem(number: int, value: object) -> str | None:
    """Say what is wrong with a custom field's value; None when nothing is, or nobody knows the field."""
    known = next((one for one in _CUSTOM if one[0] == number), None)
    if known is None or value is None:
        return None
    _, kind, title, choices = known
    is_bad = (
        (bool(choices) and value not in choices)
        or (kind == "checkbox" and not isinstance(value, bool))
        or (kind == "integer" and not str(value).lstrip("-").isdigit())
    )
    return f"{title}: '{value}' is not valid" if is_bad else None


def user_fields() -> list[Document]:
    """Give the account's own fields of users."""
    return [_field(8201, "text", "Customer since", position=1) | {"key": "customer_since"}]


def _field(number: int, kind: str, title: str, *, position: int) -> Document:
    return {
        "id": number,
        "type": kind,
        "title": title,
        "raw_title": title,
        "description": "",
        "raw_description": "",
        "position": position,
        "active": True,
        "required": False,
        "created_at": _BEGAN,
        "updated_at": _BEGAN,
    }


def _options(values: Sequence[str]) -> list[Document]:
    return [{"name": value.capitalize(), "value": value} for value in values]
