"""The objects and fields of the org in miniature, as a describe call tells them.

Names, types and lengths follow the object reference; not all fields are here.
Source: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/ (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SandboxField:
    """One field; ``default`` is what a new record gets when nothing is sent."""

    name: str
    label: str
    type: str = "string"
    length: int = 0
    is_required: bool = False
    can_create: bool = True
    can_update: bool = True
    is_restricted: bool = False
    is_unique: bool = False
    is_external_id: bool = False
    default: Any = None
    values: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def is_custom(self) -> bool:
        """Say whether an admin made this field."""
        return self.name.endswith("__c")

    def described(self) -> dict[str, Any]:
        """Give the field as ``describe`` answers it."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "length": self.length,
            "nillable": not self.is_required and self.type not in {"boolean", "id"},
            "createable": self.can_create,
            "updateable": self.can_update,
            "defaultedOnCreate": self.default is not None or self.type in {"boolean", "id"},
            "filterable": self.type != "textarea",
            "externalId": self.is_external_id,
            "unique": self.is_unique,
            "idLookup": self.is_external_id or self.type == "id",
            "custom": self.is_custom,
            "caseSensitive": self.is_unique,
            "restrictedPicklist": self.is_restricted,
            "picklistValues": [
                {
                    "active": True,
                    "defaultValue": value == self.default,
                    "label": value,
                    "value": value,
                }
                for value in self.values
            ],
            "referenceTo": list(self.references),
            "inlineHelpText": None,
            "htmlFormatted": False,
            "deprecatedAndHidden": False,
        }


@dataclass(frozen=True, slots=True)
class SandboxObject:
    """One object; ``prefix`` is the first three characters of its record ids."""

    name: str
    label: str
    prefix: str
    fields: tuple[SandboxField, ...]
    is_setup: bool = False
    closed_statuses: tuple[str, ...] = ()
    by_name: Mapping[str, SandboxField] = field(default_factory=dict)
    defaulted: tuple[SandboxField, ...] = ()

    def described(self) -> dict[str, Any]:
        """Give the object as the global describe answers it."""
        return {
            "name": self.name,
            "label": self.label,
            "labelPlural": f"{self.label}s",
            "keyPrefix": self.prefix,
            "custom": False,
            "createable": True,
            "updateable": True,
            "queryable": True,
            "layoutable": not self.is_setup,
            "deprecatedAndHidden": False,
            "customSetting": False,
        }


F = SandboxField
_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
_URGENCY = ("Low", "Normal", "High", "Critical")


def _read_only(name: str, label: str, kind: str = "string", length: int = 0) -> SandboxField:
    return F(name, label, kind, length, can_create=False, can_update=False)


_SYSTEM = (
    _read_only("Id", "Record ID", "id", 18),
    F("OwnerId", "Owner ID", "reference", 18, default="owner", references=("User",)),
    _read_only("IsDeleted", "Deleted", "boolean"),
    _read_only("CreatedDate", "Created Date", "datetime"),
    _read_only("LastModifiedDate", "Last Modified Date", "datetime"),
    _read_only("SystemModstamp", "System Modstamp", "datetime"),
)
_PERSON = (
    F("LastName", "Last Name", length=80, is_required=True),
    F("FirstName", "First Name", length=40),
    F("Salutation", "Salutation", "picklist", 40, values=("Mr.", "Ms.", "Mrs.", "Dr.", "Mx.")),
    _read_only("Name", "Full Name", length=121),
    F("Title", "Title", length=128),
    F("Phone", "Phone", "phone", 40),
    F("MobilePhone", "Mobile Phone", "phone", 40),
    F("Email", "Email", "email", 80),
    F("LeadSource", "Lead Source", "picklist", 255, values=_SOURCES),
    F("Description", "Description", "textarea", 32_000),
    F("DoNotCall", "Do Not Call", "boolean"),
)
_LEAD = (
    F("Company", "Company", length=255, is_required=True),
    F("Website", "Website", "url", 255),
    F(
        "Status",
        "Lead Status",
        "picklist",
        255,
        is_required=True,
        default="Open - Not Contacted",
        values=("Open - Not Contacted", "Working - Contacted", "Closed - Not Converted"),
    ),
    F("Rating", "Rating", "picklist", 255, values=("Hot", "Warm", "Cold")),
    F("Industry", "Industry", "picklist", 255, values=("Construction", "Healthcare", "Other")),
    F("AnnualRevenue", "Annual Revenue", "currency"),
    F("NumberOfEmployees", "No. of Employees", "int"),
    F("Street", "Street", "textarea", 255),
    F("City", "City", length=40),
    F("PostalCode", "Zip/Postal Code", length=20),
    F("Country", "Country", length=80),
    _read_only("IsConverted", "Converted", "boolean"),
    _read_only("ConvertedDate", "Converted Date", "date"),
    # Made by this org's admin: a custom picklist that takes only its own values.
    F("Urgency__c", "Urgency", "picklist", 255, is_restricted=True, values=_URGENCY),
)
_CONTACT = (
    F("AccountId", "Account ID", "reference", 18, references=("Account",)),
    F("Department", "Department", length=80),
    F("HomePhone", "Home Phone", "phone", 40),
    F("Birthdate", "Birthdate", "date"),
    F("MailingStreet", "Mailing Street", "textarea", 255),
    F("MailingCity", "Mailing City", length=40),
)
_TASK = (
    F("WhoId", "Name ID", "reference", 18, references=("Contact", "Lead")),
    F("WhatId", "Related To ID", "reference", 18, references=("Account", "Opportunity", "Case")),
    F("Subject", "Subject", "combobox", 255, values=("Call", "Email", "Send Letter", "Other")),
    F("ActivityDate", "Due Date Only", "date"),
    F(
        "Status",
        "Status",
        "picklist",
        255,
        is_required=True,
        default="Not Started",
        values=("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"),
    ),
    F(
        "Priority",
        "Priority",
        "picklist",
        255,
        is_required=True,
        default="Normal",
        values=("High", "Normal", "Low"),
    ),
    F("Description", "Description", "textarea", 32_000),
    F("CallType", "Call Type", "picklist", 40, values=("Internal", "Inbound", "Outbound")),
    F("CallDurationInSeconds", "Call Duration", "int"),
    F("TaskSubtype", "Task Subtype", "picklist", 40, can_update=False, values=("Task", "Call")),
    F("IsReminderSet", "Reminder Set", "boolean"),
    F("ReminderDateTime", "Reminder Date/Time", "datetime"),
    _read_only("IsClosed", "Closed", "boolean"),
    _read_only("CompletedDateTime", "Completed Date/Time", "datetime"),
)
_CASE = (
    _read_only("CaseNumber", "Case Number", length=30),
    F("ContactId", "Contact ID", "reference", 18, references=("Contact",)),
    F("AccountId", "Account ID", "reference", 18, references=("Account",)),
    F("Subject", "Subject", length=255),
    F("Description", "Description", "textarea", 32_000),
    F(
        "Status",
        "Status",
        "picklist",
        255,
        default="New",
        values=("New", "Working", "Escalated", "Closed"),
    ),
    F("Origin", "Case Origin", "picklist", 255, values=("Phone", "Email", "Web")),
    F(
        "Priority",
        "Priority",
        "picklist",
        255,
        default="Medium",
        values=("High", "Medium", "Low"),
    ),
    F("Type", "Case Type", "picklist", 255, values=("Problem", "Question", "Other")),
    F("SuppliedName", "Web Name", length=80),
    F("SuppliedEmail", "Web Email", "email", 80),
    F("SuppliedPhone", "Web Phone", length=40),
    F("SuppliedCompany", "Web Company", length=80),
    _read_only("IsClosed", "Closed", "boolean"),
    _read_only("ClosedDate", "Closed Date", "datetime"),
)
_ACCOUNT = (
    F("Name", "Account Name", length=255, is_required=True),
    F("Phone", "Account Phone", "phone", 40),
    F("Website", "Website", "url", 255),
    F("Industry", "Industry", "picklist", 255, values=("Construction", "Healthcare", "Other")),
    F("Type", "Account Type", "picklist", 255, values=("Prospect", "Customer", "Other")),
    F("Description", "Account Description", "textarea", 32_000),
)
_OPPORTUNITY = (
    F("Name", "Name", length=120, is_required=True),
    F("AccountId", "Account ID", "reference", 18, references=("Account",)),
    F("Description", "Description", "textarea", 32_000),
    F(
        "StageName",
        "Stage",
        "picklist",
        255,
        is_required=True,
        values=("Prospecting", "Negotiation/Review", "Closed Won", "Closed Lost"),
    ),
    F("Amount", "Amount", "currency"),
    F("CloseDate", "Close Date", "date", is_required=True),
    _read_only("IsClosed", "Closed", "boolean"),
    _read_only("IsWon", "Won", "boolean"),
)
_PERMISSION_SET = (
    F("Name", "Permission Set Name", length=80, is_required=True),
    F("Label", "Permission Set Label", length=80, is_required=True),
    F("Description", "Description", length=255),
)
_FIELD_PERMISSIONS = (
    F("ParentId", "Parent ID", "reference", 18, is_required=True, references=("PermissionSet",)),
    F("SobjectType", "Sobject Type Name", length=40, is_required=True),
    F("Field", "Field Name", length=255, is_required=True),
    F("PermissionsRead", "Read Field", "boolean"),
    F("PermissionsEdit", "Edit Field", "boolean"),
)
_ASSIGNMENT = (
    F("PermissionSetId", "PermissionSet ID", "reference", 18, references=("PermissionSet",)),
    F("AssigneeId", "Assignee ID", "reference", 18, references=("User",)),
)


def _object(
    name: str,
    label: str,
    prefix: str,
    fields: tuple[SandboxField, ...],
    *,
    is_setup: bool = False,
    closed_statuses: tuple[str, ...] = (),
) -> SandboxObject:
    everything = (*_SYSTEM, *fields)
    by_name = {one.name: one for one in everything}
    defaulted = tuple(one for one in everything if one.default is not None)
    return SandboxObject(
        name, label, prefix, everything, is_setup, closed_statuses, by_name, defaulted
    )


OBJECTS = {
    found.name: found
    for found in (
        _object("Lead", "Lead", "00Q", (*_PERSON, *_LEAD)),
        _object("Contact", "Contact", "003", (*_PERSON, *_CONTACT)),
        _object("Task", "Task", "00T", _TASK, closed_statuses=("Completed",)),
        _object("Case", "Case", "500", _CASE, closed_statuses=("Closed",)),
        _object("Account", "Account", "001", _ACCOUNT),
        _object(
            "Opportunity",
            "Opportunity",
            "006",
            _OPPORTUNITY,
            closed_statuses=("Closed Won", "Closed Lost"),
        ),
        _object("PermissionSet", "Permission Set", "0PS", _PERMISSION_SET, is_setup=True),
        _object("FieldPermissions", "Field Permissions", "01k", _FIELD_PERMISSIONS, is_setup=True),
        _object("PermissionSetAssignment", "Assignment", "0Pa", _ASSIGNMENT, is_setup=True),
    )
}
