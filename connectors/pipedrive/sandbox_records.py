"""The sandbox's records: strict validation, storing, and the documents that are answered."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.pipedrive.sandbox_schema import (
    CUSTOM_SHAPES,
    FIELD_OWNERS,
    KEY_FIELD,
    KEY_NAME,
    SHAPES,
    STAGES,
    SYNCED,
    SYNCING_ACCOUNT,
    V1_OBJECTS,
    WORDS,
    Document,
    Shape,
    first_customs,
)
from connectors.pipedrive.sandbox_search import Index
from connectors.sandbox.kit import Sandbox
from connectors.sandbox.store import Record, Store

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MARKED = re.compile(r"Afterbeep (\w+)")
_MARKERS = {"Activity": "note", "Note": "content"}
_LINKS = ("lead_id", "deal_id", "person_id", "org_id")
_STATUSES = {"open", "won", "lost"}
_USER = 11


class RefusedError(Exception):
    """A request that is refused: the status and Pipedrive's error document."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        """Keep both."""
        super().__init__(error)
        self.status = status
        self.document: Document = {
            "success": False,
            "error": error,
            "error_info": "Please check developers.pipedrive.com for more information about Pipedrive API.",
            "data": None,
            "additional_data": None,
            **more,
        }


def invalid(name: str, reason: str) -> RefusedError:
    """Refuse a request for one of its properties, as version 2 does."""
    return RefusedError(
        400,
        f"Validation failed: {name}: {reason}",
        code="ERR_SCHEMA_VALIDATION_FAILED",
        field_code=name,
    )


class Records:
    """Reads and writes records of all objects in one store."""

    def __init__(self, sandbox: Sandbox, index: Index) -> None:
        """Take the store; every account begins with a few custom fields."""
        self._sandbox = sandbox
        self._store: Store = sandbox.store
        self._index = index
        for account in sandbox.accounts:
            if not self._store.all_kept(f"field:{account.id}:person"):
                for (owner, code), kept in first_customs(account.id).items():
                    self._store.keep(f"field:{account.id}:{owner}", code, kept)

    def customs(self, account: str, object_name: str) -> dict[str, Document]:
        """Give the custom fields of an object by code."""
        owner = FIELD_OWNERS.get(object_name)
        return self._store.all_kept(f"field:{account}:{owner}") if owner else {}

    def create(self, account: str, object_name: str, body: Mapping[str, Any]) -> Record:
        """Store a new record; raises RefusedError with what is wrong."""
        fields = self._checked(account, object_name, body)
        for name, shape in SHAPES[object_name].items():
            if shape.is_required and not fields.get(name):
                raise invalid(name, f"A non-empty {object_name.lower()} {name} is required.")
        self._check_links(object_name, fields)
        made = {**_defaults(object_name), **fields}
        record_id = str(uuid.uuid4()) if object_name == "Lead" else str(self._sandbox.new_number())
        made |= _derived(object_name, None, made)
        self._note_key(account, object_name, made)
        record = self._store.insert(account, object_name, record_id, made)
        self._index.add(record, self.customs(account, object_name))
        return record

    def update(self, record: Record, body: Mapping[str, Any]) -> Record:
        """Change a record; raises RefusedError with what is wrong."""
        fields = self._checked(record.account, record.object, body)
        for name, shape in SHAPES[record.object].items():
            if shape.is_required and name in fields and not fields[name]:
                raise invalid(name, f"{name} must not be empty")
        fields |= _derived(record.object, record, fields)
        self._note_key(record.account, record.object, fields)
        customs = self.customs(record.account, record.object)
        self._index.drop(record, customs)
        after = self._store.update(record, fields)
        self._index.add(after, customs)
        return after

    def get(self, account: str, object_name: str, record_id: str) -> Record:
        """Give a record; raises RefusedError when there is none."""
        found = self._store.get(object_name, record_id, account=account)
        if found is None:
            word = WORDS[object_name]
            if object_name in V1_OBJECTS:
                raise RefusedError(404, f"requested {word} not found")
            raise RefusedError(404, f"{word.capitalize()} not found", code="ERR_NOT_FOUND")
        return found

    def drop(self, record: Record) -> None:
        """Delete a record."""
        self._index.drop(record, self.customs(record.account, record.object))
        self._store.delete(record.object, record.id)

    # Validation.

    def _checked(self, account: str, object_name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give the fields of a body, flat; raises RefusedError for the first that is wrong."""
        shapes, customs = SHAPES[object_name], self.customs(account, object_name)
        fields: dict[str, Any] = {}
        own: Mapping[str, Any] = {}
        for name, value in body.items():
            if (
                name == "custom_fields"
                and object_name not in V1_OBJECTS
                and isinstance(value, dict)
            ):
                own = value
            elif name in shapes:
                self._check_synced(account, object_name, name)
                fields[name] = self._value(account, name, shapes[name], value)
            elif name in customs and object_name == "Lead":
                own = {**own, name: value}
            elif object_name != "Note":
                raise invalid(name, "Unrecognized key in object")
        for code, value in own.items():
            if code not in customs:
                raise invalid(code, "Custom field does not exist")
            fields[code] = self._custom(account, code, customs[code], value)
        return fields

    def _check_synced(self, account: str, object_name: str, name: str) -> None:
        if object_name == "Person" and name in SYNCED and account != SYNCING_ACCOUNT:
            raise RefusedError(
                403, f"{name} can only be set when contact sync is enabled.", field_code=name
            )

    def _custom(self, account: str, code: str, kept: Document, value: Any) -> Any:
        shape = CUSTOM_SHAPES.get(kept["field_type"], Shape("object"))
        if kept["field_type"] == "set" and value == []:
            raise invalid(code, "Use null to clear the selection")
        checked = self._value(account, code, shape, value)
        chosen = checked if isinstance(checked, list) else [checked]
        options = {option["id"] for option in kept.get("options") or []}
        if options and any(one is not None and one not in options for one in chosen):
            raise invalid(code, "Option does not exist")
        return checked

    def _value(self, account: str, name: str, shape: Shape, value: Any) -> Any:
        if value is None:
            return None
        if not _CHECKS[shape.type](value):
            raise invalid(name, f"Expected {shape.type}, received {type(value).__name__}")
        if shape.max_chars is not None and len(value) > shape.max_chars:
            raise invalid(name, f"must be at most {shape.max_chars} characters")
        if shape.target and self._store.get(shape.target, str(value), account=account) is None:
            raise invalid(name, f"{shape.target} not found.")
        if name == "status" and value not in _STATUSES:
            raise invalid(name, "must be one of open, won, lost")
        if name == "stage_id" and all(stage["id"] != value for stage in STAGES):
            raise invalid(name, "Stage not found.")
        return value

    def _check_links(self, object_name: str, fields: Mapping[str, Any]) -> None:
        if object_name == "Lead" and not (fields.get("person_id") or fields.get("organization_id")):
            raise RefusedError(400, "A lead must be linked to a person or an organization.")
        if object_name == "Note" and not any(fields.get(name) for name in _LINKS):
            raise RefusedError(
                400, "At least one of deal_id, person_id, org_id, lead_id is required."
            )

    def _note_key(self, account: str, object_name: str, fields: dict[str, Any]) -> None:
        """Keep our own key where the statistics look for it."""
        for code, kept in self.customs(account, object_name).items():
            if kept["field_name"] == KEY_NAME and fields.get(code):
                fields[KEY_FIELD] = fields[code]
        text = fields.get(_MARKERS.get(object_name, ""))
        found = _MARKED.search(text) if isinstance(text, str) else None
        if found:
            fields[KEY_FIELD] = found[1]

    # Documents.

    def document(self, record: Record, *, customs_wanted: str | None = None) -> Document:
        """Give a record as the API answers it."""
        codes = self.customs(record.account, record.object)
        given = {n: v for n, v in record.fields.items() if n not in codes and n != KEY_FIELD}
        own = {code: record.fields.get(code) for code in codes}
        if customs_wanted is not None:
            own = {code: own[code] for code in customs_wanted.split(",") if code in own}
        is_v1 = record.object in V1_OBJECTS
        document: Document = {
            "id": record.id if record.object == "Lead" else int(record.id),
            **{name: None for name in SHAPES[record.object] if name not in SYNCED},
            **given,
            "add_time": stamp(record.created_at, is_v1=record.object == "Note"),
            "update_time": stamp(record.updated_at, is_v1=record.object == "Note"),
        }
        if is_v1:
            document |= {code: value for code, value in own.items() if value is not None}
            document |= {"active_flag": True} if record.object == "Note" else {}
            return document
        if record.object == "Activity":
            people = record.fields.get("participants") or []
            first = next((one for one in people if one.get("primary")), None)
            document["person_id"] = first["person_id"] if first else None
        document |= {"is_deleted": False}
        return document if record.object == "Activity" else {**document, "custom_fields": own}


def stamp(at: float, *, is_v1: bool = False) -> str:
    """Write a moment as version 2 does, or as version 1 does for notes."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if is_v1 else "%Y-%m-%dT%H:%M:%SZ")


def _defaults(object_name: str) -> dict[str, Any]:
    given: dict[str, dict[str, Any]] = {
        "Person": {"emails": [], "phones": [], "visible_to": 3, "label_ids": []},
        "Organization": {"visible_to": 3, "label_ids": []},
        "Deal": {
            "status": "open",
            "stage_id": 1,
            "pipeline_id": 1,
            "currency": "USD",
            "value": 0,
            "visible_to": 3,
            "label_ids": [],
            "is_archived": False,
            "origin": "API",
        },
        "Lead": {
            "is_archived": False,
            "was_seen": False,
            "visible_to": "3",
            "label_ids": [],
            "origin": "API",
            "source_name": "API",
        },
        "Activity": {"done": False, "busy": False, "type": "call", "subject": "Call"},
        "Note": {"user_id": _USER},
    }
    return {"owner_id": _USER, **given[object_name]} if object_name != "Note" else given["Note"]


def _derived(object_name: str, before: Record | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give what Pipedrive sets by itself when a record changes."""
    now = stamp(datetime.now(UTC).timestamp())
    held = before.fields if before else {}
    derived: dict[str, Any] = {}
    if object_name == "Deal":
        status = fields.get("status")
        if status in {"won", "lost"} and status != held.get("status"):
            derived |= {f"{status}_time": fields.get(f"{status}_time") or now, "close_time": now}
        if before and fields.get("stage_id") and fields["stage_id"] != held.get("stage_id"):
            derived["stage_change_time"] = now
    if object_name == "Activity" and fields.get("done") and not held.get("done"):
        derived["marked_as_done_time"] = now
    if object_name == "Lead" and fields.get("is_archived") and not held.get("is_archived"):
        derived["archive_time"] = now
    return derived


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_contacts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("value"), str)
        and set(one) <= {"value", "primary", "label"}
        for one in value
    )


def _is_money(value: Any) -> bool:
    return isinstance(value, dict) and {"amount", "currency"} <= set(value)


_CHECKS: Mapping[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "date": lambda value: isinstance(value, str) and bool(_DATE.fullmatch(value)),
    "address": lambda value: isinstance(value, dict) and isinstance(value.get("value"), str),
    "integers": lambda value: isinstance(value, list) and all(map(_is_integer, value)),
    "strings": lambda value: isinstance(value, list) and all(isinstance(o, str) for o in value),
    "contacts": _are_contacts,
    "participants": lambda value: (
        isinstance(value, list) and all(_is_integer(one.get("person_id")) for one in value)
    ),
    "attendees": lambda value: isinstance(value, list),
    "money": _is_money,
    "object": lambda value: isinstance(value, dict),
}
