"""What the sandbox's accounts have: fields with their JSON types, pipelines, labels, activity types.

Read from Pipedrive's API documents of versions 1 and 2 (2026-11-22).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]

KEY_NAME = "Afterbeep key"
KEY_FIELD = "afterbeep_key"
WORDS = {
    "Person": "person",
    "Organization": "organization",
    "Deal": "deal",
    "Lead": "lead",
    "Activity": "activity",
    "Note": "note",
}
OBJECTS = {word: name for name, word in WORDS.items()}
#: Whose custom fields an object has.
FIELD_OWNERS = {"Person": "person", "Organization": "organization", "Deal": "deal", "Lead": "deal"}
V1_OBJECTS = frozenset({"Lead", "Note"})
#: Only accounts that sync their contacts have these.
SYNCED = frozenset({"job_title", "notes", "birthday", "postal_address", "im"})
SYNCING_ACCOUNT = "7301"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a property of a request must be: its JSON type, whether creating needs it, what it points to."""

    type: str
    is_required: bool = False
    target: str | None = None
    max_chars: int | None = None


_TEXT, _WHOLE, _NUMBER, _FLAG = Shape("string"), Shape("integer"), Shape("number"), Shape("boolean")
_DATE, _ADDRESS, _LABELS = Shape("date"), Shape("address"), Shape("integers")
_PERSON = Shape("integer", target="Person")
_ORGANIZATION = Shape("integer", target="Organization")
_DEAL, _LEAD = Shape("integer", target="Deal"), Shape("string", target="Lead")
_TITLE = Shape("string", is_required=True)

SHAPES: Mapping[str, Mapping[str, Shape]] = {
    "Person": {
        "name": _TITLE,
        "owner_id": _WHOLE,
        "org_id": _ORGANIZATION,
        "add_time": _TEXT,
        "emails": Shape("contacts"),
        "phones": Shape("contacts"),
        "visible_to": _WHOLE,
        "label_ids": _LABELS,
        "postal_address": _ADDRESS,
        "notes": Shape("string", max_chars=10_000),
        "im": Shape("contacts"),
        "birthday": _DATE,
        "job_title": _TEXT,
        "marketing_status": _TEXT,
    },
    "Organization": {
        "name": _TITLE,
        "owner_id": _WHOLE,
        "add_time": _TEXT,
        "visible_to": _WHOLE,
        "label_ids": _LABELS,
        "address": _ADDRESS,
        "website": _TEXT,
        "linkedin": _TEXT,
        "industry": _WHOLE,
        "annual_revenue": _WHOLE,
        "employee_count": _WHOLE,
    },
    "Deal": {
        "title": _TITLE,
        "owner_id": _WHOLE,
        "person_id": _PERSON,
        "org_id": _ORGANIZATION,
        "pipeline_id": _WHOLE,
        "stage_id": _WHOLE,
        "value": _NUMBER,
        "currency": _TEXT,
        "is_archived": _FLAG,
        "status": _TEXT,
        "probability": _NUMBER,
        "lost_reason": _TEXT,
        "visible_to": _WHOLE,
        "close_time": _TEXT,
        "won_time": _TEXT,
        "lost_time": _TEXT,
        "expected_close_date": _DATE,
        "label_ids": _LABELS,
    },
    "Lead": {
        "title": _TITLE,
        "owner_id": _WHOLE,
        "label_ids": Shape("strings"),
        "person_id": _PERSON,
        "organization_id": _ORGANIZATION,
        "is_archived": _FLAG,
        "value": Shape("money"),
        "expected_close_date": _DATE,
        "visible_to": _TEXT,
        "was_seen": _FLAG,
        "origin_id": _TEXT,
        "channel": _WHOLE,
        "channel_id": _TEXT,
    },
    "Activity": {
        "subject": _TEXT,
        "type": _TEXT,
        "owner_id": _WHOLE,
        "deal_id": _DEAL,
        "lead_id": _LEAD,
        "org_id": _ORGANIZATION,
        "due_date": _DATE,
        "due_time": _TEXT,
        "duration": _TEXT,
        "busy": _FLAG,
        "done": _FLAG,
        "location": _ADDRESS,
        "participants": Shape("participants"),
        "attendees": Shape("attendees"),
        "public_description": _TEXT,
        "priority": _WHOLE,
        "note": _TEXT,
    },
    "Note": {
        "content": _TITLE,
        "lead_id": _LEAD,
        "deal_id": _DEAL,
        "person_id": _PERSON,
        "org_id": _ORGANIZATION,
        "user_id": _WHOLE,
        "add_time": _TEXT,
        **{
            f"pinned_to_{name}_flag": _NUMBER for name in ("lead", "deal", "organization", "person")
        },
    },
}

#: What a custom field's value must be, by the field's type.
CUSTOM_SHAPES: Mapping[str, Shape] = {
    "varchar": Shape("string", max_chars=255),
    "varchar_auto": Shape("string", max_chars=255),
    "text": Shape("string", max_chars=65_000),
    "double": _NUMBER,
    "phone": Shape("string", max_chars=255),
    "date": _DATE,
    "enum": _WHOLE,
    "set": _LABELS,
    "address": _ADDRESS,
    "org": _ORGANIZATION,
    "people": _PERSON,
    "user": _WHOLE,
    "monetary": Shape("money"),
}
CREATABLE_TYPES = frozenset({*CUSTOM_SHAPES, "daterange", "time", "timerange"})
SEARCHABLE_TYPES = frozenset({"varchar", "varchar_auto", "text", "double", "phone", "address"})

_NAMES = {
    "person": {
        "name": "varchar",
        "phone": "phone",
        "email": "varchar",
        "org_id": "org",
        "owner_id": "user",
    },
    "organization": {
        "name": "varchar",
        "address": "address",
        "owner_id": "user",
        "website": "varchar",
    },
    "deal": {
        "title": "varchar",
        "value": "double",
        "currency": "varchar",
        "person_id": "people",
        "org_id": "org",
        "stage_id": "stage",
        "status": "status",
        "expected_close_date": "date",
        "owner_id": "user",
        "lost_reason": "varchar_options",
    },
}
_SYNCED_TYPES = {
    "job_title": "varchar",
    "notes": "text",
    "birthday": "date",
    "postal_address": "address",
}
_LABEL_OPTIONS = [
    {"id": 1, "label": "Customer", "color": "green"},
    {"id": 2, "label": "Hot lead", "color": "red"},
]

PIPELINES: tuple[Document, ...] = (
    {
        "id": 1,
        "name": "Sales",
        "order_nr": 1,
        "is_deleted": False,
        "is_deal_probability_enabled": True,
    },
)
STAGES: tuple[Document, ...] = tuple(
    {
        "id": place,
        "order_nr": place,
        "name": name,
        "is_deleted": False,
        "deal_probability": 100,
        "pipeline_id": 1,
        "is_deal_rot_enabled": False,
    }
    for place, name in enumerate(
        ("Qualified", "Contact made", "Demo scheduled", "Proposal made", "Negotiations started"), 1
    )
)
ACTIVITY_TYPES: tuple[Document, ...] = tuple(
    {
        "id": place,
        "order_nr": place,
        "name": word.capitalize(),
        "key_string": word,
        "icon_key": word,
        "active_flag": True,
        "color": "FFFFFF",
        "is_custom_flag": False,
    }
    for place, word in enumerate(("call", "meeting", "task", "deadline", "email", "lunch"), 1)
)
LEAD_LABELS: tuple[Document, ...] = (
    {"id": "f08b42a0-4e75-11ea-9643-03698ef1cfd6", "name": "Hot", "color": "red"},
    {"id": "f08b42a1-4e75-11ea-9643-03698ef1cfd6", "name": "Cold", "color": "blue"},
)


def new_code(account: str, owner: str, name: str) -> str:
    """Give a custom field's code: forty signs that differ in every account."""
    return hashlib.sha1(f"{account}:{owner}:{name}".encode(), usedforsecurity=False).hexdigest()


def first_customs(account: str) -> dict[tuple[str, str], Document]:
    """Give the custom fields that an account has from the start, by owner and code."""
    given: tuple[tuple[str, str, str, list[Document] | None], ...] = (
        (
            "person",
            "Customer type",
            "enum",
            [{"id": 27, "label": "Private"}, {"id": 28, "label": "Company"}],
        ),
        (
            "person",
            "Interests",
            "set",
            [{"id": 31, "label": "Repair"}, {"id": 32, "label": "Service"}],
        ),
        ("person", "Reference", "varchar", None),
        (
            "deal",
            "Urgency",
            "enum",
            [{"id": 41, "label": "Today"}, {"id": 42, "label": "This week"}],
        ),
        ("deal", "Budget", "monetary", None),
        ("deal", "Story", "text", None),
    )
    return {
        (owner, new_code(account, owner, name)): {
            "field_name": name,
            "field_type": kind,
            "options": options,
        }
        for owner, name, kind, options in given
    }


def field_document(code: str, kept: Mapping[str, Any], *, is_custom: bool) -> Document:
    """Give a field as version 2 lists it."""
    return {
        "field_name": kept["field_name"],
        "field_code": code,
        "description": "",
        "field_type": kept["field_type"],
        "options": kept.get("options"),
        "subfields": None,
        "is_custom_field": is_custom,
        "is_optional_response_field": False,
    }


def standard_fields(account: str, owner: str) -> list[Document]:
    """List the fields that every account has, with what comes with contact sync."""
    names = dict(_NAMES[owner])
    if owner == "person" and account == SYNCING_ACCOUNT:
        names |= _SYNCED_TYPES
    rows = [
        field_document(
            code,
            {"field_name": code.replace("_", " ").capitalize(), "field_type": kind},
            is_custom=False,
        )
        for code, kind in names.items()
    ]
    labels = {"field_name": "Labels", "field_type": "set", "options": _LABEL_OPTIONS}
    return [*rows, field_document("label_ids", labels, is_custom=False)]
