"""A small made-up account whose fields have every type, for checks of the left side."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.record import Choice, Field


def _choices(*values: str) -> tuple[Choice, ...]:
    return tuple(Choice(value, value) for value in values)


_LEAD = (
    Field("Id", "Record ID", "id", can_create=False, can_update=False, is_unique=True),
    Field("LastName", "Last Name", "string", is_required=True, max_chars=80),
    Field("Company", "Company", "string", max_chars=20),
    Field("Phone", "Phone", "phone", max_chars=40),
    Field("Email", "Email", "email", max_chars=80),
    Field("Rating", "Rating", "picklist", choices=_choices("Hot", "Warm", "Cold")),
    Field("Urgency", "Urgency", "picklist", choices=_choices("Low", "High"), is_restricted=True),
    Field("Topics", "Topics", "multipicklist", choices=_choices("Leak", "Gas"), is_restricted=True),
    Field("Description", "Description", "text", max_chars=32_000, can_match=False),
    Field("Page", "Page", "html"),
    Field("Score", "Score", "integer"),
    Field("Amount", "Amount", "number"),
    Field("Urgent", "Urgent", "boolean"),
    Field("CallDate", "Call Date", "date"),
    Field("CalledAt", "Called At", "datetime"),
    Field("Website", "Website", "url", max_chars=255),
    Field("Channel", "Channel", "string", max_chars=40, can_update=False),
    Field("LastTouch", "Last Touch", "datetime", can_create=False),
)
_TASK = (
    Field("Subject", "Subject", "string", is_required=True, max_chars=255),
    Field("LeadId", "Lead", "reference", references=("Lead",)),
    Field("CaseId", "Case", "reference", references=("Case",)),
)


def schema(object_name: str) -> Sequence[Field] | None:
    """Give the fields of an object, None when the account has no such object."""
    return {"Lead": _LEAD, "Task": _TASK}.get(object_name)
