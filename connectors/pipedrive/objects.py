"""The objects that we write, with their standard fields as Pipedrive's document gives them.

Custom fields differ in each account and are asked for; so are the choices of a list.
Source: https://developers.pipedrive.com/docs/api/v1 (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from connectors.pipedrive.paths import OBJECTS, Paths
from connectors.record import FieldType

#: The custom field that keeps our key, by the name that a person sees.
KEY_NAME = "Afterbeep key"

#: How a value stands in Pipedrive's JSON.
Shape = Literal[
    "plain",
    "whole",
    "number",
    "boolean",
    "contacts",
    "address",
    "numbers",
    "words",
    "person",
    "amount",
    "currency",
    "due",
]


@dataclass(frozen=True, slots=True)
class Standard:
    """A field that every account has, as a mapping names it.

    ``body`` is its name in Pipedrive's JSON where that differs. ``is_synced`` marks those that exist only where the
    account syncs its contacts.
    """

    name: str
    label: str
    type: FieldType
    shape: Shape = "plain"
    body: str = ""
    is_required: bool = False
    max_chars: int | None = None
    can_match: bool = False
    can_write: bool = True
    references: tuple[str, ...] = ()
    is_synced: bool = False
    help: str = ""

    @property
    def key(self) -> str:
        """Give the name in Pipedrive's JSON."""
        return self.body or self.name


@dataclass(frozen=True, slots=True)
class Kind:
    """An object.

    ``word`` is Pipedrive's own word for it in searches and webhooks. ``fields`` names whose custom fields it has (a
    lead has the deal's). ``title`` is the field by which a person knows a record. ``marker`` is the field whose text
    holds our key where there are no custom fields, and ``links`` the fields by which its list can be narrowed.
    """

    name: str
    word: str
    title: str
    standard: tuple[Standard, ...]
    fields: str | None = None
    marker: str | None = None
    links: tuple[str, ...] = ()

    @property
    def paths(self) -> Paths:
        """Give the object's addresses."""
        return OBJECTS[self.name]

    @property
    def is_v1(self) -> bool:
        """Say whether it lives in the first version of the API, whose JSON differs."""
        return self.paths.root.startswith("/api/v1")

    def standard_field(self, name: str) -> Standard | None:
        """Give a standard field by the name that mappings use."""
        return next((one for one in self.standard if one.name == name), None)


_ID = Standard("id", "ID", "id", "whole", can_write=False, can_match=True)
_UUID = Standard("id", "ID", "id", can_write=False, can_match=True)
_OWNER = Standard("owner_id", "Owner", "integer", "whole", help="The id of a Pipedrive user.")
_PERSON = Standard(
    "person_id", "Person", "reference", "whole", can_match=True, references=("Person",)
)
_ORG = Standard(
    "org_id", "Organization", "reference", "whole", can_match=True, references=("Organization",)
)
_DEAL = Standard("deal_id", "Deal", "reference", "whole", can_match=True, references=("Deal",))
_LEAD = Standard("lead_id", "Lead", "reference", can_match=True, references=("Lead",))
_LABELS = Standard("label_ids", "Labels", "multipicklist", "numbers")
_VISIBLE = Standard("visible_to", "Visible to", "picklist", "whole")
_CLOSE_ON = Standard("expected_close_date", "Expected close date", "date")


def _named(name: str, label: str) -> Standard:
    return Standard(name, label, "string", is_required=True, can_match=True)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "Person",
            "person",
            "name",
            (
                _ID,
                _named("name", "Name"),
                Standard("phone", "Phone", "phone", "contacts", body="phones", can_match=True),
                Standard("email", "Email", "email", "contacts", body="emails", can_match=True),
                _ORG,
                _OWNER,
                _LABELS,
                _VISIBLE,
                Standard("job_title", "Job title", "string", is_synced=True),
                Standard("birthday", "Birthday", "date", is_synced=True),
                Standard("postal_address", "Postal address", "string", "address", is_synced=True),
                # Source: https://developers.pipedrive.com/docs/api/v1/Persons#addPerson (2026-11-22)
                Standard("notes", "Notes", "text", max_chars=10_000, is_synced=True),
            ),
            fields="person",
            links=("org_id",),
        ),
        Kind(
            "Organization",
            "organization",
            "name",
            (
                _ID,
                _named("name", "Name"),
                Standard("address", "Address", "string", "address"),
                Standard("website", "Website", "url"),
                Standard("linkedin", "LinkedIn", "url"),
                Standard("annual_revenue", "Annual revenue", "integer", "whole"),
                Standard("employee_count", "Employees", "integer", "whole"),
                _OWNER,
                _LABELS,
                _VISIBLE,
            ),
            fields="organization",
        ),
        Kind(
            "Lead",
            "lead",
            "title",
            (
                _UUID,
                _named("title", "Title"),
                _PERSON,
                Standard(
                    "organization_id",
                    "Organization",
                    "reference",
                    "whole",
                    can_match=True,
                    references=("Organization",),
                    help="A lead needs a person or an organization.",
                ),
                _OWNER,
                Standard("label_ids", "Labels", "multipicklist", "words"),
                Standard("value", "Value", "number", "amount", help="Set the currency too."),
                Standard("currency", "Currency", "string", "currency", max_chars=3),
                _CLOSE_ON,
                Standard("visible_to", "Visible to", "picklist"),
                Standard("channel", "Marketing channel", "integer", "whole"),
                Standard("channel_id", "Marketing channel's own id", "string"),
            ),
            fields="deal",
            links=("person_id", "organization_id"),
        ),
        Kind(
            "Deal",
            "deal",
            "title",
            (
                _ID,
                _named("title", "Title"),
                _PERSON,
                _ORG,
                _OWNER,
                Standard("pipeline_id", "Pipeline", "picklist", "whole"),
                Standard("stage_id", "Stage", "picklist", "whole"),
                Standard("status", "Status", "picklist"),
                Standard("value", "Value", "number", "number"),
                Standard("currency", "Currency", "string", max_chars=3),
                Standard("probability", "Probability", "number", "number"),
                Standard("lost_reason", "Lost reason", "string"),
                _CLOSE_ON,
                _LABELS,
                _VISIBLE,
            ),
            fields="deal",
            links=("person_id", "org_id"),
        ),
        Kind(
            "Activity",
            "activity",
            "subject",
            (
                _ID,
                Standard("subject", "Subject", "string"),
                Standard("type", "Type", "picklist"),
                Standard("note", "Note", "html"),
                Standard(
                    "due",
                    "Due date and time",
                    "datetime",
                    "due",
                    help="Afterbeep splits it into due_date and due_time.",
                ),
                Standard("due_date", "Due date", "date"),
                Standard("due_time", "Due time (UTC, HH:MM)", "string", max_chars=8),
                Standard("duration", "Duration (HH:MM)", "string", max_chars=8),
                Standard("done", "Done", "boolean", "boolean"),
                Standard("busy", "Busy", "boolean", "boolean"),
                Standard("priority", "Priority", "integer", "whole"),
                Standard("location", "Location", "string", "address"),
                Standard("public_description", "Public description", "text"),
                Standard(
                    "person_id",
                    "Person",
                    "reference",
                    "person",
                    body="participants",
                    can_match=True,
                    references=("Person",),
                ),
                _DEAL,
                _LEAD,
                _ORG,
                _OWNER,
            ),
            marker="note",
            # The narrowest first: what hangs on a lead is less than what hangs on its person.
            links=("lead_id", "deal_id", "person_id", "org_id"),
        ),
        Kind(
            "Note",
            "note",
            "content",
            (
                _ID,
                Standard("content", "Content", "html", is_required=True),
                _LEAD,
                _DEAL,
                _PERSON,
                _ORG,
            ),
            marker="content",
            links=("lead_id", "deal_id", "person_id", "org_id"),
        ),
    )
}
