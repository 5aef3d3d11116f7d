"""The sandbox's properties, pipelines and custom objects, and its rules for property values.

Written from HubSpot's documents, apart from the connector: neither reads the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

OBJECT_NUMBERS = {
    "contacts": "0-1",
    "companies": "0-2",
    "deals": "0-3",
    "tickets": "0-5",
    "tasks": "0-27",
    "notes": "0-46",
}
CUSTOM_OBJECT = "2-1184023"
NAMES = {number: name for name, number in OBJECT_NUMBERS.items()}
SINGULAR = {
    "contacts": "Contact",
    "companies": "Company",
    "deals": "Deal",
    "tickets": "Ticket",
    "tasks": "Task",
    "notes": "Note",
    CUSTOM_OBJECT: "Service visit",
}
#: What a record must have when it is created.
REQUIRED = {
    "deals": ("dealname", "dealstage"),
    "tickets": ("subject", "hs_pipeline_stage"),
    "tasks": ("hs_timestamp",),
    "notes": ("hs_timestamp",),
    CUSTOM_OBJECT: ("visit_name",),
}
_MAX_CHARS = 65_536
_WHEN = "2024-02-01T09:00:00.000Z"

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


@dataclass(frozen=True, slots=True)
class Property:
    """A property as the account has it."""

    name: str
    label: str
    type: str = "string"
    field_type: str = "text"
    group: str = ""
    options: tuple[tuple[str, str], ...] = ()
    is_unique: bool = False
    is_readonly: bool = False
    is_calculated: bool = False
    is_hidden: bool = False
    is_standard: bool = True
    refers_to: str = ""
    description: str = ""

    def document(self) -> dict[str, Any]:
        """Give the property as the API answers it."""
        document: dict[str, Any] = {
            "updatedAt": _WHEN,
            "createdAt": _WHEN,
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": [
                {"label": label, "value": value, "displayOrder": order, "hidden": False}
                for order, (value, label) in enumerate(self.options)
            ],
            "displayOrder": -1,
            "calculated": self.is_calculated,
            "externalOptions": bool(self.refers_to),
            "archived": False,
            "hasUniqueValue": self.is_unique,
            "hidden": self.is_hidden,
            "modificationMetadata": {
                "archivable": not self.is_standard,
                "readOnlyDefinition": self.is_standard,
                "readOnlyValue": self.is_readonly,
            },
            "formField": False,
        }
        if self.is_standard:
            document["hubspotDefined"] = True
        if self.refers_to:
            document["referencedObjectType"] = self.refers_to
        return document


def _read_only(name: str, label: str, kind: str = "datetime", **more: Any) -> Property:
    field_type = {"datetime": "date", "number": "number"}.get(kind, "text")
    return Property(name, label, kind, field_type, is_readonly=True, **more)


def _choice(name: str, label: str, *values: str, field_type: str = "select") -> Property:
    options = tuple((value, value.replace("_", " ").capitalize()) for value in values)
    return Property(name, label, "enumeration", field_type, options=options)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a pipeline; ``metadata`` as the API answers it."""

    id: str
    label: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_closed(self) -> bool:
        """Say whether a record in this stage is closed."""
        return (
            self.metadata.get("isClosed") == "true" or self.metadata.get("ticketState") == "CLOSED"
        )


#: Each account has one pipeline of an object; HubSpot makes these for every new account.
PIPELINES: dict[str, tuple[str, str, tuple[Stage, ...]]] = {
    "deals": (
        "default",
        "Sales Pipeline",
        (
            Stage("appointmentscheduled", "Appointment Scheduled", {"probability": "0.2"}),
            Stage("qualifiedtobuy", "Qualified To Buy", {"probability": "0.4"}),
            Stage("contractsent", "Contract Sent", {"probability": "0.9"}),
            Stage("closedwon", "Closed Won", {"isClosed": "true", "probability": "1.0"}),
            Stage("closedlost", "Closed Lost", {"isClosed": "true", "probability": "0.0"}),
        ),
    ),
    "tickets": (
        "0",
        "Support Pipeline",
        (
            Stage("1", "New", {"ticketState": "OPEN"}),
            Stage("2", "Waiting on contact", {"ticketState": "OPEN"}),
            Stage("3", "Waiting on us", {"ticketState": "OPEN"}),
            Stage("4", "Closed", {"ticketState": "CLOSED"}),
        ),
    ),
}
#: Which property holds the stage, and which one HubSpot sets when a record closes.
STAGE_PROPERTIES = {
    "deals": ("dealstage", "closedate"),
    "tickets": ("hs_pipeline_stage", "closed_date"),
    "tasks": ("hs_task_status", "hs_task_completion_date"),
}


def is_closing(object_name: str, value: str) -> bool:
    """Say whether this stage or status means that a record is closed."""
    if object_name == "tasks":
        return value == "COMPLETED"
    _, _, stages = PIPELINES.get(object_name, ("", "", ()))
    return any(stage.id == value and stage.is_closed for stage in stages)


def _stages(name: str, label: str, object_name: str) -> Property:
    options = tuple((stage.id, stage.label) for stage in PIPELINES[object_name][2])
    return Property(name, label, "enumeration", "radio", options=options)


def _pipeline(name: str, object_name: str) -> Property:
    number, label, _ = PIPELINES[object_name]
    return Property(name, "Pipeline", "enumeration", "select", options=((number, label),))


_EVERYWHERE = (
    _read_only("hs_object_id", "Record ID", "number"),
    _read_only("hs_createdate", "Object create date/time"),
    _read_only("hs_lastmodifieddate", "Object last modified date/time"),
    Property("hubspot_owner_id", "Owner", "enumeration", "select", refers_to="OWNER"),
)
_PHONE = _read_only(
    "hs_searchable_calculated_phone_number",
    "Calculated phone number",
    "string",
    is_calculated=True,
    is_hidden=True,
)
_STANDARD: dict[str, tuple[Property, ...]] = {
    "contacts": (
        Property("email", "Email"),
        Property("firstname", "First name"),
        Property("lastname", "Last name"),
        Property("phone", "Phone number", field_type="phonenumber"),
        Property("mobilephone", "Mobile phone number", field_type="phonenumber"),
        Property("company", "Company name"),
        Property("jobtitle", "Job title"),
        Property("website", "Website URL"),
        Property("address", "Street address"),
        Property("city", "City"),
        Property("zip", "Postal code"),
        Property("hs_language", "Preferred language"),
        Property("message", "Message", field_type="textarea"),
        Property("annualrevenue", "Annual revenue", "number", "number"),
        _choice(
            "lifecyclestage", "Lifecycle stage", "subscriber", "lead", "opportunity", "customer",
            "other", field_type="radio",
        ),
        _choice("hs_lead_status", "Lead status", "NEW", "OPEN", "IN_PROGRESS", "CONNECTED"),
        _choice("hs_buying_role", "Buying role", "BUDGET_HOLDER", "CHAMPION", "DECISION_MAKER",
                field_type="checkbox"),
        _read_only("hs_additional_emails", "Additional email addresses", "string"),
        _read_only("createdate", "Create date"),
        _read_only("lastmodifieddate", "Last modified date"),
        _PHONE,
        _read_only(
            "hs_searchable_calculated_mobile_number", "Calculated mobile number", "string",
            is_calculated=True, is_hidden=True,
        ),
    ),
    "companies": (
        Property("name", "Company name"),
        Property("domain", "Company domain name"),
        Property("phone", "Phone number", field_type="phonenumber"),
        Property("city", "City"),
        Property("description", "Description", field_type="textarea"),
        Property("numberofemployees", "Number of employees", "number", "number"),
        _read_only("createdate", "Create date"),
        _PHONE,
    ),
    "deals": (
        Property("dealname", "Deal name"),
        Property("amount", "Amount", "number", "number"),
        Property("closedate", "Close date", "datetime", "date"),
        Property("description", "Deal description", field_type="textarea"),
        _choice("hs_priority", "Priority", "low", "medium", "high"),
        _stages("dealstage", "Deal stage", "deals"),
        _pipeline("pipeline", "deals"),
        _read_only("createdate", "Create date"),
    ),
    "tickets": (
        Property("subject", "Ticket name"),
        Property("content", "Ticket description", field_type="textarea"),
        _choice("hs_ticket_priority", "Priority", "LOW", "MEDIUM", "HIGH", "URGENT"),
        _choice("hs_ticket_category", "Category", "PRODUCT_ISSUE", "BILLING_ISSUE",
                "GENERAL_INQUIRY", field_type="checkbox"),
        _choice("source_type", "Source", "CHAT", "EMAIL", "FORM", "PHONE"),
        _stages("hs_pipeline_stage", "Ticket status", "tickets"),
        _pipeline("hs_pipeline", "tickets"),
        _read_only("closed_date", "Close date"),
        _read_only("createdate", "Create date"),
    ),
    "tasks": (
        Property("hs_timestamp", "Due date", "datetime", "date"),
        Property("hs_task_subject", "Task title"),
        Property("hs_task_body", "Task notes", field_type="textarea"),
        _choice("hs_task_status", "Task status", "NOT_STARTED", "IN_PROGRESS", "WAITING",
                "DEFERRED", "COMPLETED"),
        _choice("hs_task_priority", "Priority", "NONE", "LOW", "MEDIUM", "HIGH"),
        _choice("hs_task_type", "Task type", "EMAIL", "CALL", "TODO"),
        _read_only("hs_task_completion_date", "Completed at"),
    ),
    "notes": (
        Property("hs_timestamp", "Activity date", "datetime", "date"),
        Property("hs_note_body", "Note body", field_type="textarea"),
        Property("hs_attachment_ids", "Attached file ids"),
    ),
    CUSTOM_OBJECT: (
        Property("visit_name", "Visit name", is_standard=False),
        Property("visit_date", "Visit date", "date", "date", is_standard=False),
    ),
}  # fmt: skip

#: What HubSpot fills in when a record is created without it.
DEFAULTS = {
    "contacts": {"lifecyclestage": "lead"},
    "deals": {"pipeline": "default"},
    "tickets": {"hs_pipeline": "0"},
    "tasks": {"hs_task_status": "NOT_STARTED", "hs_task_type": "TODO", "hs_task_priority": "NONE"},
}


def standard_properties(object_name: str) -> dict[str, Property]:
    """Give the properties that every account has, by name; KeyError when there is no such object."""
    return {prop.name: prop for prop in (*_STANDARD[object_name], *_EVERYWHERE)}


def custom_property(document: Mapping[str, Any]) -> Property:
    """Read a property that was posted; raises ValueError with HubSpot's sentence."""
    name, kind = str(document.get("name", "")), str(document.get("type", ""))
    if not _NAME.fullmatch(name):
        raise ValueError(f"Property name {name} is invalid; use lower-case letters, digits and _.")
    if kind not in {"string", "number", "date", "datetime", "enumeration", "bool"}:
        raise ValueError(f"Unknown property type {kind}.")
    if not document.get("label") or not document.get("fieldType"):
        raise ValueError("Property label and fieldType are required.")
    return Property(
        name=name,
        label=str(document["label"]),
        type=kind,
        field_type=str(document["fieldType"]),
        group=str(document.get("groupName", "")),
        options=tuple(
            (str(option["value"]), str(option["label"])) for option in document.get("options") or ()
        ),
        is_unique=bool(document.get("hasUniqueValue")),
        is_standard=False,
        description=str(document.get("description") or ""),
    )


def problem_with(prop: Property | None, name: str, value: Any) -> tuple[str, str] | None:
    """Give HubSpot's code and sentence for a value that it refuses; None when it is fine."""
    if prop is None:
        return "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
    if prop.is_readonly or prop.is_calculated:
        return "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.'
    if not isinstance(value, str):
        return "INVALID_STRING", f"{name} must be given as a string."
    if value == "":
        return None
    if len(value) > _MAX_CHARS:
        return "VALUE_TOO_LONG", f"{name} is longer than {_MAX_CHARS} characters."
    return _problem_by_type(prop, value)


def _problem_by_type(prop: Property, value: str) -> tuple[str, str] | None:
    if prop.name == "email" and not _EMAIL.fullmatch(value):
        return "INVALID_EMAIL", f"Email address {value} is invalid"
    if prop.type == "number" and not _is_number(value):
        return "INVALID_NUMBER", f"{value} was not a valid number."
    if prop.type in {"date", "datetime"} and not _is_moment(value):
        return "INVALID_LONG", f"{value} was not a valid long."
    if prop.type == "bool" and value not in {"true", "false"}:
        return "INVALID_BOOLEAN", f"{value} was not a valid boolean."
    if prop.type == "enumeration" and not prop.refers_to:
        chosen = value.split(";") if prop.field_type == "checkbox" else [value]
        allowed = [option for option, _ in prop.options]
        wrong = [one for one in chosen if one and one not in allowed]
        if wrong:
            return "INVALID_OPTION", f"{wrong[0]} was not one of the allowed options: {allowed}"
    return None


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_moment(value: str) -> bool:
    """Accept milliseconds, a date, or a moment in UTC."""
    if value.lstrip("-").isdigit():
        return True
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return False
    offset = read.utcoffset()
    return offset is None or not offset
