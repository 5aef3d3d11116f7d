"""The sandbox's tickets and users: what Zendesk accepts of them, and how it shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox import clock
from connectors.sandbox.store import Record, Store
from connectors.zendesk.sandbox_setup import (
    PRIORITIES,
    STATUSES,
    TYPES,
    Document,
    agent_of,
    custom_problem,
)

TICKET, USER = "Ticket", "User"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MAX_COMMENT_CHARS = 65_535
_CHOICES = {"priority": PRIORITIES, "type": TYPES, "status": STATUSES}
_PLAIN = (
    *("subject", "priority", "status", "type", "external_id", "due_at"),
    *("group_id", "assignee_id", "organization_id", "brand_id", "ticket_form_id"),
)
_USER_PLAIN = (
    *("name", "email", "phone", "notes", "details", "time_zone", "locale"),
    *("organization_id", "external_id", "user_fields"),
)
_FIRST_USER = 900_000_000_000

Changed = Callable[[Record, str], None]


class RefusedError(Exception):
    """A request that is refused: the status and Zendesk's error document."""

    def __init__(self, status: int, document: Document) -> None:
        """Keep both."""
        super().__init__(document.get("description", ""))
        self.status = status
        self.document = document


def invalid(field: str, sentence: str, *, code: str = "InvalidValue") -> RefusedError:
    """Refuse a record for one of its fields."""
    return RefusedError(
        422,
        {
            "error": "RecordInvalid",
            "description": "Record validation errors",
            "details": {field: [{"description": sentence, "error": code}]},
        },
    )


def no_record() -> RefusedError:
    """Refuse what is about a record that is not there."""
    return RefusedError(404, {"error": "RecordNotFound", "description": "Not found"})


class Desk:
    """The records of all accounts."""

    def __init__(self, store: Store, *, new_number: Callable[[], int], changed: Changed) -> None:
        """Keep records in *store*; *changed* is told of each changed status and the one before."""
        self._store, self._new_number, self._changed = store, new_number, changed
        for name in ("email", "phone", "requester_id"):
            store.index(name)

    # Tickets.

    def create_ticket(self, account: str, asked: Mapping[str, Any]) -> Record:
        """Make a ticket; raises RefusedError."""
        comment = asked.get("comment")
        body = comment.get("body") if isinstance(comment, Mapping) else None
        if not isinstance(body, str) or not body.strip():
            raise invalid("base", "Description: cannot be blank", code="BlankValue")
        if len(body) > _MAX_COMMENT_CHARS:
            raise invalid("base", "Description: is too long", code="TooLong")
        fields = self._ticket_fields(account, asked)
        if "requester_id" not in fields:
            fields["requester_id"] = self._requester(account, asked.get("requester"))
        fields.setdefault("status", "open" if fields.get("assignee_id") else "new")
        fields["description"] = body
        fields["is_public"] = bool(isinstance(comment, Mapping) and comment.get("public", True))
        fields["tags"] = list(asked.get("tags") or [])
        if fields["status"] in {"solved", "closed"}:
            fields["solved_at"] = stamp(clock.seconds())
        return self._store.insert(account, TICKET, str(self._new_number()), fields)

    def update_ticket(self, account: str, number: str, asked: Mapping[str, Any]) -> Record:
        """Change a ticket; raises RefusedError. Tags are replaced, ``additional_tags`` added."""
        record = self._store.get(TICKET, number, account=account)
        if record is None:
            raise no_record()
        before = str(record.fields.get("status"))
        if before == "closed":
            raise invalid("status", "Status: closed prevents ticket update", code="InvalidValue")
        fields = self._ticket_fields(account, asked)
        if "custom_fields" in fields:
            kept = {one["id"]: one for one in record.fields.get("custom_fields", [])}
            kept |= {one["id"]: one for one in fields["custom_fields"]}
            fields["custom_fields"] = [one for one in kept.values() if one["value"] is not None]
        if "tags" in asked:
            fields["tags"] = list(asked["tags"] or [])
        if "additional_tags" in asked:
            old = list(record.fields.get("tags", []))
            fields["tags"] = list(dict.fromkeys([*old, *asked["additional_tags"]]))
        now = fields.get("status")
        is_changed = now is not None and now != before
        if is_changed:
            fields["status_updated_at"] = stamp(clock.seconds())
            if now == "solved":
                fields["solved_at"] = fields["status_updated_at"]
        record = self._store.update(record, fields)
        if is_changed:
            self._changed(record, before)
        return record

    def _ticket_fields(self, account: str, asked: Mapping[str, Any]) -> Document:
        fields: Document = {name: asked[name] for name in _PLAIN if name in asked}
        for name, choices in _CHOICES.items():
            value = fields.get(name)
            if value is not None and value not in choices:
                raise invalid(name, f"{name.capitalize()}: {value} is not valid")
        if asked.get("requester_id") is not None:
            number = str(asked["requester_id"])
            is_agent = number == str(agent_of(account)["id"])
            if not is_agent and self._store.get(USER, number, account=account) is None:
                raise invalid("requester", "Requester: is not valid")
            fields["requester_id"] = asked["requester_id"]
        if "custom_fields" in asked:
            for one in asked["custom_fields"]:
                problem = custom_problem(int(one["id"]), one.get("value"))
                if problem:
                    raise invalid("base", problem)
            fields["custom_fields"] = list(asked["custom_fields"])
        return fields

    def _requester(self, account: str, asked: object) -> int:
        if not isinstance(asked, Mapping):
            return int(agent_of(account)["id"])
        email = str(asked.get("email") or "")
        found = self._store.find(account, USER, {"email": email}) if email else []
        if found:
            return int(found[0].id)
        try:
            made = self.create_user(account, {"name": asked.get("name"), "email": email or None})
        except RefusedError as refused:
            details = refused.document.get("details", {})
            words = next((part[0]["description"] for part in details.values()), "is invalid")
            raise invalid("requester", f"Requester: {words}") from refused
        return int(made.id)

    # Users.

    def create_user(self, account: str, asked: Mapping[str, Any]) -> Record:
        """Make a user; raises RefusedError."""
        fields = {name: asked[name] for name in _USER_PLAIN if asked.get(name) is not None}
        if not str(fields.get("name") or "").strip():
            raise invalid("name", "Name: is too short (minimum is 1 character)", code="TooShort")
        self._check_user(account, fields, own=None)
        number = str(_FIRST_USER + self._new_number())
        return self._store.insert(account, USER, number, {**fields, "role": "end-user"})

    def update_user(self, account: str, number: str, asked: Mapping[str, Any]) -> Record:
        """Change a user; raises RefusedError."""
        record = self._store.get(USER, number, account=account)
        if record is None:
            raise no_record()
        fields = {name: asked[name] for name in _USER_PLAIN if name in asked}
        if "name" in fields and not str(fields["name"] or "").strip():
            raise invalid("name", "Name: is too short (minimum is 1 character)", code="TooShort")
        self._check_user(account, fields, own=number)
        if "user_fields" in fields:
            fields["user_fields"] = {
                **record.fields.get("user_fields", {}),
                **fields["user_fields"],
            }
        return self._store.update(record, fields)

    def _check_user(self, account: str, fields: Mapping[str, Any], *, own: str | None) -> None:
        email = fields.get("email")
        if email is not None and not _EMAIL.fullmatch(str(email)):
            raise invalid("email", f"Email: {email} is not properly formatted")
        for name, sentence in (
            ("email", "Email: {} is already being used by another user"),
            ("external_id", "External: {} has already been taken"),
        ):
            value = fields.get(name)
            others = self._store.find(account, USER, {name: value}) if value else []
            if any(other.id != own for other in others):
                raise invalid(name, sentence.format(value), code="DuplicateValue")

    # Reading.

    def records(self, account: str, kind: str, ids: Sequence[str]) -> list[Record]:
        """Give the records with these ids that are there."""
        return self._store.find_any(account, kind, "id", list(ids))

    def with_key(self, account: str, kind: str, keys: Sequence[str]) -> list[Record]:
        """Give the records with these external ids."""
        return self._store.find_any(account, kind, "external_id", list(keys))

    def search(self, account: str, query: str) -> list[Record]:
        """Give what a query finds: the same property twice means any of both values."""
        kind, wanted = "", dict[str, set[str]]()
        for name, quoted, plain in re.findall(r'(\w+):(?:"([^"]*)"|(\S+))', query):
            if name == "type":
                kind = {"ticket": TICKET, "user": USER}.get(plain, "")
            else:
                wanted.setdefault(name, set()).add((quoted or plain).casefold())
        if not kind or not wanted:
            return []
        return [
            record
            for record in self._store.scan(account, kind)
            if all(_searched(record, name) in values for name, values in wanted.items())
        ]


def _searched(record: Record, name: str) -> str:
    if name.startswith("custom_field_"):
        number = name.removeprefix("custom_field_")
        parts = record.fields.get("custom_fields", [])
        value = next((one["value"] for one in parts if str(one["id"]) == number), None)
    else:
        known = {"requester": "requester_id", "ticket_type": "type", "group": "group_id"}
        value = record.fields.get(known.get(name, name))
    return str(value).casefold() if value is not None else ""


def ticket_document(record: Record, *, with_metrics: bool = False) -> Document:
    """Give a ticket as Zendesk answers it."""
    fields = dict(record.fields)
    moments = {name: fields.pop(name, None) for name in ("solved_at", "status_updated_at")}
    document = {
        **fields,
        "id": int(record.id),
        "raw_subject": fields.get("subject"),
        "custom_fields": fields.get("custom_fields", []),
        "created_at": stamp(record.created_at),
        "updated_at": stamp(record.updated_at),
        "via": {"channel": "api"},
    }
    if with_metrics:
        document["metric_set"] = {"ticket_id": int(record.id), **moments}
    return document


def user_document(record: Record) -> Document:
    """Give a user as Zendesk answers them."""
    return {
        "role": "end-user",
        **record.fields,
        "id": int(record.id),
        "active": True,
        "verified": False,
        "created_at": stamp(record.created_at),
        "updated_at": stamp(record.updated_at),
    }


def stamp(at: float) -> str:
    """Give a moment (seconds since 1970) as the API writes it; whole seconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
