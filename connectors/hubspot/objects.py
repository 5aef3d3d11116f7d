"""What HubSpot's standard objects are called, and which of their properties mean what."""

from __future__ import annotations

from dataclasses import dataclass

#: Our own unique property; ``prepare`` creates it, and every record that we create holds its key.
KEY = "afterbeep_key"
GROUP = "afterbeep"
ASSOCIATION = "association:"


@dataclass(frozen=True, slots=True)
class Kind:
    """A standard object.

    ``number`` is HubSpot's object type id, which stands in record addresses. ``label_from`` names the
    properties by which a person knows a record. ``required`` are properties that creating needs.
    ``targets`` are the objects to which a mapping may associate a record of this kind.
    """

    name: str
    label: str
    number: str
    label_from: tuple[str, ...]
    required: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    #: Properties that hold telephone numbers, to the property in which HubSpot keeps their digits.
    phones: tuple[tuple[str, str], ...] = ()


_CRM = ("contacts", "companies", "deals", "tickets")
#: What happens with those; the types of activities are not associated with each other.
_ACTIVITIES = ("tasks", "notes")

# Type ids: https://developers.hubspot.com/docs/guides/api/crm/understanding-the-crm (2026-11-22)
# Required properties: the guide of each object below .../api-reference/latest/crm/objects/ (2026-11-22)
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "contacts",
            "Contact",
            "0-1",
            ("firstname", "lastname", "email", "phone"),
            targets=("companies", "deals", "tickets", *_ACTIVITIES),
            # HubSpot searches numbers by their national digits, in properties of its own.
            # Source: https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm (2026-11-22)
            phones=(
                ("phone", "hs_searchable_calculated_phone_number"),
                ("mobilephone", "hs_searchable_calculated_mobile_number"),
            ),
        ),
        Kind(
            "companies",
            "Company",
            "0-2",
            ("name", "domain"),
            targets=("contacts", "deals", "tickets", *_ACTIVITIES),
            phones=(("phone", "hs_searchable_calculated_phone_number"),),
        ),
        Kind(
            "deals",
            "Deal",
            "0-3",
            ("dealname",),
            required=("dealname", "dealstage"),
            targets=("contacts", "companies", "tickets", *_ACTIVITIES),
        ),
        Kind(
            "tickets",
            "Ticket",
            "0-5",
            ("subject",),
            required=("subject", "hs_pipeline_stage"),
            targets=("contacts", "companies", "deals", *_ACTIVITIES),
        ),
        Kind(
            "tasks", "Task", "0-27", ("hs_task_subject",), required=("hs_timestamp",), targets=_CRM
        ),
        Kind("notes", "Note", "0-46", ("hs_note_body",), required=("hs_timestamp",), targets=_CRM),
    )
}

#: Which scopes an object's properties need, for telling an admin what is missing.
SCHEMA_SCOPES = {
    "contacts": "crm.schemas.contacts.write",
    "companies": "crm.schemas.companies.write",
    "deals": "crm.schemas.deals.write",
    "tickets": "tickets",
    "tasks": "crm.schemas.contacts.write",
    "notes": "crm.schemas.contacts.write",
}


def type_number(object_name: str) -> str:
    """Give the object type id that stands in a record's address."""
    kind = KINDS.get(object_name)
    return object_name if kind is None else kind.number


def object_of(number: str) -> str:
    """Give the name of the object with this type id; a custom object's name is its type id."""
    return next((kind.name for kind in KINDS.values() if kind.number == number), number)


def label_of(object_name: str, values: dict[str, str | None]) -> str:
    """Give what a person knows a record by: its first two telling values, at most 80 characters."""
    kind = KINDS.get(object_name)
    names = kind.label_from if kind else ()
    told = [value for name in names if (value := values.get(name))]
    return " ".join(told[:2])[:80] or "(without a name)"
