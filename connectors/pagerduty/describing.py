"""Tells what an account has: incidents with its services, priorities, policies and custom fields, and notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.errors import ConnectorError, NeedsReconnect, Rejected, TokenExpired
from connectors.pagerduty.calls import Body, ask, listed, rows
from connectors.pagerduty.incidents import CUSTOM, INCIDENT
from connectors.pagerduty.notes import NOTE
from connectors.pagerduty.services import services
from connectors.record import Account, Choice, Field, FieldType, Object

#: PagerDuty names no limit for titles in its document; its events take summaries of so many characters.
#: Source: https://developer.pagerduty.com/docs/events-api-v2/trigger-events (2026-11-22)
_TITLE_CHARS = 1_024
#: The incident type that every account has, whose custom fields all incidents have.
#: Source: "List incident types" in PagerDuty/api-schema @ 91a06fb (2026-11-22)
_BASE_TYPE = "incident_default"
_TYPES: dict[str, FieldType] = {
    "boolean": "boolean",
    "integer": "integer",
    "float": "number",
    "string": "string",
    "datetime": "datetime",
    "url": "url",
}
_PAYMENT, _FORBIDDEN, _NOT_FOUND = 402, 403, 404


def describe_objects() -> list[Object]:
    """List what we write: incidents and notes on them."""
    return [Object(INCIDENT, "Incident"), Object(NOTE, "Note on an incident")]


def describe_fields(account: Account, object_name: str) -> list[Field]:
    """List the fields of an object; five calls for incidents, none for notes."""
    if object_name == NOTE:
        return note_fields()
    if object_name != INCIDENT:
        raise Rejected(f'PagerDuty has no object "{object_name}". There are: {INCIDENT}, {NOTE}.')
    return incident_fields(
        services=tuple(
            Choice(one.id, one.name if one.is_enabled else f"{one.name} (disabled)")
            for one in services(account)
        ),
        priorities=_choices(account, "/priorities", "priorities"),
        policies=_choices(account, "/escalation_policies", "escalation_policies"),
        types=_types(account),
        custom=_custom(account),
    )


def incident_fields(
    *,
    services: tuple[Choice, ...],
    priorities: tuple[Choice, ...] = (),
    policies: tuple[Choice, ...] = (),
    types: tuple[Choice, ...] = (),
    custom: tuple[Field, ...] = (),
) -> list[Field]:
    """Give the fields of incidents of an account that has these."""

    def listed_field(name: str, label: str, choices: tuple[Choice, ...], hint: str) -> Field:
        return Field(
            name,
            label,
            "picklist",
            choices=choices,
            is_restricted=True,
            can_update=name != "service",
            can_match=False,
            help=hint,
        )

    urgencies = (
        Choice("high", "High: pages the on-call at once"),
        Choice("low", "Low: as the on-call's rules for low urgency say"),
    )
    fields = [
        Field(
            "title",
            "Title",
            "string",
            is_required=True,
            max_chars=_TITLE_CHARS,
            can_match=False,
            help="Read out and pushed to the on-call: one line.",
        ),
        listed_field(
            "service",
            "Service",
            services,
            "Where the incident opens. Left out, it is the connection's service_id, or the account's only one.",
        ),
        listed_field("urgency", "Urgency", urgencies, "Left out, the service's rule decides."),
        Field(
            "details",
            "Details",
            "text",
            can_update=False,
            can_match=False,
            help="The incident's description. It cannot be changed once the incident is open.",
        ),
        listed_field(
            "escalation_policy",
            "Escalation policy",
            policies,
            "Who is paged. Left out, the service's own.",
        ),
    ]
    if priorities:
        fields.append(listed_field("priority", "Priority", priorities, "The account's priorities."))
    if types:
        fields.append(listed_field("incident_type", "Incident type", types, "The account's types."))
    return [*fields, *custom]


def note_fields() -> list[Field]:
    """Give the fields of notes."""
    return [
        Field(
            "incident",
            "Incident",
            "reference",
            is_required=True,
            can_update=False,
            can_match=False,
            references=(INCIDENT,),
            help="The incident that the note is for: id_of the step that opens it.",
        ),
        Field(
            "content",
            "Content",
            "text",
            is_required=True,
            can_update=False,
            can_match=False,
            help="Plain text. A mark of ours in square brackets is put at its end.",
        ),
    ]


def _choices(account: Account, path: str, name: str) -> tuple[Choice, ...]:
    """Give the choices of a list that an account may lack, as small plans lack priorities."""
    try:
        return tuple(
            Choice(str(row["id"]), str(row.get("name") or row.get("summary") or row["id"]))
            for row in listed(account, path, name)
            if row.get("id")
        )
    except ConnectorError as err:
        if _is_lacking(err):
            return ()
        raise


def _types(account: Account) -> tuple[Choice, ...]:
    return tuple(
        Choice(str(row["name"]), str(row.get("display_name") or row["name"]))
        for row in _optional(account, "/incidents/types", "incident_types")
        if row.get("name") and row.get("enabled") is not False
    )


def _custom(account: Account) -> tuple[Field, ...]:
    path = f"/incidents/types/{_BASE_TYPE}/custom_fields?include[]=field_options"
    return tuple(
        _custom_field(row)
        for row in _optional(account, path, "fields")
        if row.get("name") and row.get("enabled") is not False
    )


def _optional(account: Account, path: str, name: str) -> tuple[Body, ...]:
    """Give the rows of a feature that an account may not have."""
    try:
        answer = ask(account, path)
    except ConnectorError as err:
        if _is_lacking(err):
            return ()
        raise
    return () if answer is None else tuple(rows(answer, name))


def _is_lacking(err: ConnectorError) -> bool:
    if isinstance(err, TokenExpired):
        return False
    lacks = err.status in {_PAYMENT, _FORBIDDEN, _NOT_FOUND}
    return lacks and isinstance(err, Rejected | NeedsReconnect)


def _custom_field(row: Mapping[str, Any]) -> Field:
    is_fixed = str(row.get("field_type")).endswith("_fixed")
    is_many = str(row.get("field_type")).startswith("multi_value")
    kind: FieldType = _TYPES.get(str(row.get("data_type")), "string")
    if is_many:
        kind = "multipicklist"
    elif is_fixed:
        kind = "picklist"
    return Field(
        f"{CUSTOM}{row['name']}",
        str(row.get("display_name") or row["name"]),
        kind,
        choices=_options(row) if is_fixed else (),
        is_restricted=is_fixed,
        is_custom=True,
        can_match=False,
        help=str(row.get("description") or ""),
    )


def _options(row: Mapping[str, Any]) -> tuple[Choice, ...]:
    options = row.get("field_options")
    values = [
        option["data"]["value"]
        for option in (options if isinstance(options, list) else [])
        if isinstance(option, Mapping)
        and isinstance(option.get("data"), Mapping)
        and option["data"].get("value") is not None
    ]
    return tuple(Choice(str(value), str(value)) for value in values)
