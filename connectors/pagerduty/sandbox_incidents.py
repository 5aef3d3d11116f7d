"""The sandbox's incidents and notes: PagerDuty's rules for keys, states and fields.

Source: PagerDuty/api-schema @ 91a06fb, https://developer.pagerduty.com/docs/incident-creation-api (2026-11-22)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.pagerduty.sandbox_documents import (
    ARGUMENTS,
    CUSTOM_FIELDS,
    INCIDENT_TYPES,
    SET_UPS,
    Document,
    RefusedError,
    SetUp,
    Thing,
    incident_document,
    invalid,
    missing,
    note_document,
    stamp,
)
from connectors.sandbox import clock
from connectors.sandbox.store import Record, Store

KEY = "afterbeep_key"
_MARK = re.compile(r"\[afterbeep ([0-9a-f]+)\]\s*$")
_URGENCIES = ("high", "low")
_MAX_NOTES = 2_000
_MAX_PAGE, _MAX_LISTED = 100, 10_000
_MONTH = timedelta(days=31)

Told = Callable[[str, Record], None]


class Incidents:
    """Incidents and notes of all accounts over one store; ``told`` hears of changed states."""

    def __init__(self, store: Store, *, new_number: Callable[[], int], told: Told) -> None:
        """Make look-ups by key and by incident fast."""
        self._store, self._new_number, self._told = store, new_number, told
        store.index("incident_key")
        store.index("incident")

    def create(self, account: str, sent: object) -> Document:
        """Open an incident; raises RefusedError in PagerDuty's words."""
        asked = _part(sent, "incident")
        set_up = SET_UPS[account]
        title, key = asked.get("title"), asked.get("incident_key")
        if not isinstance(title, str) or not title.strip():
            raise invalid("Title can't be blank")
        service = _referred(asked.get("service"), set_up.services)
        if service is None:
            raise invalid("Service not found")
        if not service.is_enabled:
            raise invalid("Service is disabled")
        fields = {"title": title, "service": service.id, **_changed(asked, set_up)}
        details = (asked.get("body") or {}).get("details")
        if details is not None and not isinstance(details, str):
            raise invalid("Body details must be a string")
        if key is not None and self._is_open(account, service.id, str(key)):
            words = "Open incident with matching dedup key already exists on this service"
            raise RefusedError(400, ARGUMENTS, "Arguments Caused Error", words)
        number = self._new_number()
        fields = {
            "urgency": "high",
            "escalation_policy": set_up.policies[0].id,
            "incident_type": INCIDENT_TYPES[0][0],
            **fields,
            "details": details,
            "status": "triggered",
            "incident_number": number,
            "incident_key": str(key) if key is not None else f"{number:032x}",
            "last_status_change_at": stamp(),
            KEY: key,
        }
        record = self._store.insert(account, "incident", _id("Q", number), fields)
        return incident_document(record, set_up)

    def _is_open(self, account: str, service: str, key: str) -> bool:
        same = self._store.find(account, "incident", {"incident_key": key})
        return any(
            r.fields["service"] == service and r.fields["status"] != "resolved" for r in same
        )

    def update(self, account: str, record_id: str, sent: object) -> Document:
        """Change an incident."""
        record = self._one(account, record_id)
        asked, set_up = _part(sent, "incident"), SET_UPS[account]
        if record.fields["status"] == "resolved":
            raise RefusedError(400, 1001, "Incident Already Resolved")
        fields = _changed(asked, set_up)
        if "title" in asked:
            if not isinstance(asked["title"], str) or not asked["title"].strip():
                raise invalid("Title can't be blank")
            fields["title"] = asked["title"]
        changed = self._store.update(record, fields)
        return incident_document(changed, set_up)

    def set_custom(self, account: str, record_id: str, sent: object) -> list[Document]:
        """Set values of custom fields."""
        record = self._one(account, record_id)
        values = sent.get("custom_fields") if isinstance(sent, Mapping) else None
        if not isinstance(values, list):
            raise invalid("custom_fields must be an array")
        known = {name: (label, options) for name, label, options in CUSTOM_FIELDS}
        answer: list[Document] = []
        for one in values:
            name, value = one.get("name"), one.get("value")
            if name not in known:
                raise invalid(f"Field {name} does not exist")
            label, options = known[name]
            if options and value is not None and value not in options:
                raise invalid(f"Value is not an option of the field {name}")
            record = self._store.update(record, {f"custom_{name}": value})
            answer.append(
                {
                    "id": f"PSBXCF{list(known).index(name)}",
                    "type": "field_value",
                    "name": name,
                    "display_name": label,
                    "data_type": "string",
                    "field_type": "single_value_fixed" if options else "single_value",
                    "description": label,
                    "value": value,
                }
            )
        return answer

    def read(self, account: str, record_id: str) -> Document:
        """Give one incident."""
        return incident_document(self._one(account, record_id), SET_UPS[account])

    def listed(self, account: str, asked: Mapping[str, list[str]]) -> Document:
        """List incidents as the query asks: a month back unless it says otherwise."""
        limit, offset = _number(asked, "limit", 25), _number(asked, "offset", 0)
        limit = min(limit, _MAX_PAGE)
        if offset + limit > _MAX_LISTED:
            raise invalid("Offset plus limit must not exceed 10000")
        keys = asked.get("incident_key")
        records = (
            self._store.find(account, "incident", {"incident_key": keys[0]})
            if keys
            else self._store.scan(account, "incident")
        )
        for name, field in (
            ("statuses[]", "status"),
            ("service_ids[]", "service"),
            ("urgencies[]", "urgency"),
        ):
            if name in asked:
                records = [record for record in records if record.fields[field] in asked[name]]
        if asked.get("date_range") != ["all"]:
            since, until = _span(asked)
            records = [record for record in records if since <= record.created_at <= until]
        way = (asked.get("sort_by") or ["created_at:asc"])[0].split(",")[0]
        records.sort(key=lambda r: r.fields["incident_number"], reverse=way.endswith(":desc"))
        part = records[offset : offset + limit]
        return {
            "incidents": [incident_document(record, SET_UPS[account]) for record in part],
            "limit": limit,
            "offset": offset,
            "total": None,
            "more": offset + limit < len(records),
        }

    def notes(self, account: str, record_id: str) -> list[Document]:
        """Give an incident's notes, newest first."""
        self._one(account, record_id)
        found = self._store.find(account, "note", {"incident": record_id})
        return [note_document(note, SET_UPS[account]) for note in reversed(found)]

    def add_note(self, account: str, record_id: str, sent: object) -> Document:
        """Write a note on an incident."""
        self._one(account, record_id)
        content = _part(sent, "note").get("content")
        if not isinstance(content, str) or not content.strip():
            raise invalid("Content can't be blank")
        if len(self._store.find(account, "note", {"incident": record_id})) >= _MAX_NOTES:
            raise RefusedError(400, 2019, "Product Limit Reached")
        mark = _MARK.search(content)
        fields = {"incident": record_id, "content": content, KEY: mark[1] if mark else None}
        number = self._new_number()
        note = self._store.insert(account, "note", _id("N", number), fields)
        return note_document(note, SET_UPS[account])

    def act(self, record_id: str, what: str) -> Record | None:
        """Do what somebody on call does: acknowledge or resolve; ``timeout`` is the service's own doing."""
        record = self._store.get("incident", record_id)
        if record is None or record.fields["status"] == "resolved":
            return None
        now = stamp()
        if what == "acknowledge":
            fields = {"status": "acknowledged", "acknowledged_at": now}
        else:
            agent = "service" if what == "timeout" else "user"
            fields = {"status": "resolved", "resolved_at": now, "resolved_by": agent}
        changed = self._store.update(record, {**fields, "last_status_change_at": now})
        kind = "incident.acknowledged" if what == "acknowledge" else "incident.resolved"
        self._told(kind, changed)
        return changed

    def _one(self, account: str, record_id: str) -> Record:
        record = self._store.get("incident", record_id, account=account)
        if record is None:
            raise missing()
        return record


def _part(sent: object, name: str) -> Mapping[str, Any]:
    part = sent.get(name) if isinstance(sent, Mapping) else None
    if not isinstance(part, Mapping):
        raise invalid(f"{name} must be an object")
    return part


def _changed(asked: Mapping[str, Any], set_up: SetUp) -> dict[str, Any]:
    """Read what creating and changing have in common."""
    fields: dict[str, Any] = {}
    if asked.get("urgency") is not None:
        if asked["urgency"] not in _URGENCIES:
            raise invalid(f"Urgency must be one of: high, low; {asked['urgency']} is not")
        fields["urgency"] = asked["urgency"]
    if asked.get("priority") is not None:
        priority = _referred(asked["priority"], set_up.priorities)
        if priority is None:
            raise RefusedError(400, 1020, "Invalid Priority")
        fields["priority"] = priority.id
    if asked.get("escalation_policy") is not None:
        policy = _referred(asked["escalation_policy"], set_up.policies)
        if policy is None:
            raise RefusedError(404, 1014, "Escalation Policy Not Found")
        fields["escalation_policy"] = policy.id
    if asked.get("incident_type") is not None:
        name = asked["incident_type"].get("name")
        if name not in {known for known, _ in INCIDENT_TYPES}:
            raise invalid("Incident type is invalid")
        fields["incident_type"] = name
    return fields


def _referred(sent: object, things: tuple[Thing, ...]) -> Thing | None:
    wanted = sent.get("id") if isinstance(sent, Mapping) else None
    return next((thing for thing in things if thing.id == wanted), None)


def _number(asked: Mapping[str, list[str]], name: str, default: int) -> int:
    given = (asked.get(name) or [str(default)])[0]
    if not given.isdigit():
        raise invalid(f"{name} must be an integer")
    return int(given)


def _span(asked: Mapping[str, list[str]]) -> tuple[float, float]:
    now = datetime.fromtimestamp(clock.seconds(), UTC)
    try:
        until = datetime.fromisoformat(asked["until"][0]) if "until" in asked else now
        since = datetime.fromisoformat(asked["since"][0]) if "since" in asked else until - _MONTH
    except ValueError as err:
        raise RefusedError(
            400, 2004, "Invalid time values in 'since' and/or 'until' parameters"
        ) from err
    if until - since > 6 * _MONTH:
        raise RefusedError(400, 2005, "Invalid Query Date Range")
    # A moment later than now: what was made in this very second counts.
    return since.timestamp(), until.timestamp() + 1


def _id(letter: str, number: int) -> str:
    """Give an id of PagerDuty's shape: a letter, then digits and capitals."""
    signs, text = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", ""
    while number:
        number, place = divmod(number, 36)
        text = signs[place] + text
    return letter + text.rjust(13, "0")
