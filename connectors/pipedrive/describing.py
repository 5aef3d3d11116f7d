"""Tells what an account has: our six objects, their standard fields, and the account's custom fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connectors.pipedrive import paths
from connectors.pipedrive.calls import Row, call
from connectors.pipedrive.finding import kind_of
from connectors.pipedrive.keys import KeyFields, customs_in, list_fields
from connectors.pipedrive.objects import KEY_NAME, KINDS, Kind, Standard
from connectors.pipedrive.values import CUSTOM_TYPES
from connectors.record import Account, Choice, Field, Object

_TEXT_CHARS, _LINE_CHARS = 65_000, 255
#: Source: https://developers.pipedrive.com/docs/api/v1/PersonFields#addPersonField (2026-11-22)
_MAX_CHARS = {
    "varchar": _LINE_CHARS,
    "varchar_auto": _LINE_CHARS,
    "phone": _LINE_CHARS,
    "text": _TEXT_CHARS,
}
_SEARCHABLE = frozenset({"varchar", "varchar_auto", "text", "phone", "address", "double"})
_CUSTOM_REFERENCES = {"org": ("Organization",), "people": ("Person",)}
#: What a status may be set to; deleting is not ours.
_STATUSES = (Choice("open", "Open"), Choice("won", "Won"), Choice("lost", "Lost"))
#: Source: https://developers.pipedrive.com/docs/api/v1/Leads#addLead (2026-11-22)
_VISIBILITY = (
    Choice("1", "Owner and followers"),
    Choice("3", "Entire company, or owner's group"),
    Choice("5", "Owner's group and below"),
    Choice("7", "Entire company"),
)

Choices = Mapping[str, tuple[Choice, ...]]


def describe_objects() -> list[Object]:
    """List the objects; they are the same in every account, so that nothing is asked."""
    return [Object(kind.name, kind.name) for kind in KINDS.values()]


def describe_fields(account: Account, keys: KeyFields, object_name: str) -> list[Field]:
    """List the fields of an object that a person may map; raises Rejected when there is no such object."""
    kind = kind_of(object_name)
    rows: list[Row] = []
    if kind.fields is not None:
        rows = list_fields(account, kind.fields)
        keys.keep(account, kind, customs_in(rows))
    choices = {**_listed_options(kind, rows), **_asked_choices(account, kind)}
    return fields_of(kind, rows, choices)


def fields_of(kind: Kind, rows: list[Row], choices: Choices) -> list[Field]:
    """Give an object's fields from what Pipedrive lists."""
    codes = {str(row.get("field_code")) for row in rows}
    fields = [
        _standard(one, choices)
        for one in kind.standard
        # What comes with contact sync is there only where the account's fields say so.
        if not one.is_synced or one.name in codes
    ]
    fields += [_custom(row) for row in rows if row.get("is_custom_field")]
    return [one for one in fields if one.label != KEY_NAME]


def _standard(one: Standard, choices: Choices) -> Field:
    known = choices.get(one.name, ())
    is_list = one.type in {"picklist", "multipicklist"}
    return Field(
        name=one.name,
        label=one.label,
        type=one.type,
        is_required=one.is_required,
        max_chars=one.max_chars,
        choices=known if is_list else (),
        is_restricted=is_list and bool(known),
        is_unique=one.type == "id",
        can_create=one.can_write,
        can_update=one.can_write,
        can_match=one.can_match,
        references=one.references,
        help=one.help,
    )


def _custom(row: Row) -> Field:
    given = str(row.get("field_type"))
    known = CUSTOM_TYPES.get(given)
    is_list = given in {"enum", "set"}
    return Field(
        name=str(row.get("field_code")),
        label=str(row.get("field_name") or row.get("field_code")),
        type=known[0] if known else "string",
        max_chars=_MAX_CHARS.get(given),
        choices=_options(row) if is_list else (),
        is_restricted=is_list,
        is_custom=True,
        can_create=known is not None,
        can_update=known is not None,
        can_match=given in _SEARCHABLE,
        references=_CUSTOM_REFERENCES.get(given, ()),
        help="" if known else f"Afterbeep cannot fill a field of Pipedrive's type {given} yet.",
    )


def _options(row: Mapping[str, Any]) -> tuple[Choice, ...]:
    """Give the options by id, which is what Pipedrive takes; the label is what a person chooses."""
    listed = row.get("options")
    rows = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    return tuple(
        Choice(str(one["id"]), str(one.get("label") or one["id"]))
        for one in rows
        if one.get("id") is not None
    )


def _listed_options(kind: Kind, rows: list[Row]) -> dict[str, tuple[Choice, ...]]:
    """Give the choices of standard fields that the list of fields holds, and those that never change."""
    found: dict[str, tuple[Choice, ...]] = {"visible_to": _VISIBILITY}
    if kind.name == "Deal":
        found["status"] = _STATUSES
    for row in rows:
        if not row.get("is_custom_field") and (options := _options(row)) and kind.name != "Lead":
            found.setdefault(str(row.get("field_code")), options)
    return found


def _asked_choices(account: Account, kind: Kind) -> dict[str, tuple[Choice, ...]]:
    """Ask for the choices that have addresses of their own."""
    if kind.name == "Deal":
        pipelines = call(account, paths.PIPELINES).rows
        names = {row.get("id"): str(row.get("name")) for row in pipelines}
        stages = call(account, paths.STAGES).rows
        return {
            "pipeline_id": _by_id(pipelines),
            "stage_id": tuple(
                replace(one, label=f"{names.get(row.get('pipeline_id'), '')}: {one.label}")
                for row, one in zip(stages, _by_id(stages), strict=True)
            ),
        }
    if kind.name == "Lead":
        return {"label_ids": _by_id(call(account, paths.LEAD_LABELS).rows)}
    if kind.name == "Activity":
        listed = call(account, paths.ACTIVITY_TYPES).rows
        return {
            "type": tuple(
                Choice(str(row.get("key_string")), str(row.get("name")))
                for row in listed
                if row.get("active_flag", True)
            )
        }
    return {}


def _by_id(rows: list[Row]) -> tuple[Choice, ...]:
    return tuple(Choice(str(row.get("id")), str(row.get("name"))) for row in rows)
