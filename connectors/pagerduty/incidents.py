"""Incidents: what a mapping writes becomes a page, once for each key, whatever has become of it since.

PagerDuty refuses a second incident with the same key on the same service only while the first is open; a
resolved one lets the same key page again. So a key that may have been sent before is looked for first, among
all services, states and times: one call more, and no second page years later. A key that was certainly never
sent (``Write.is_first``) pages at once. Two that come at the same moment are kept apart by PagerDuty's own rule.
Source: https://developer.pagerduty.com/api-reference/a7d81b0e9200f-create-an-incident (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.errors import (
    ConnectorError,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.pagerduty.calls import Body, call, one, rows, segment
from connectors.pagerduty.refusals import ALREADY_RESOLVED, SameKey
from connectors.pagerduty.services import default_service
from connectors.record import JSON, Account, Outcome, RecordId, Write

INCIDENT = "incident"
#: The limit of its own that creating incidents has.
CREATES = "creates"
CUSTOM = "custom:"
#: What an existing incident can be given; the rest is said once, when it is made.
CHANGEABLE = ("title", "urgency", "priority", "escalation_policy", "incident_type")
_MADE_ONCE = ("service", "details")
_FIELDS = frozenset({*CHANGEABLE, *_MADE_ONCE})
_RESOLVED = "resolved"


class IncidentWriter:
    """Writes incidents of one batch; the default service is asked for once."""

    def __init__(self, account: Account) -> None:
        """Take the account."""
        self._account = account
        self._service: str | None = None

    def write(self, one_write: Write) -> Outcome:
        """Write one incident: by its id, or by its key."""
        fields = _checked(one_write.fields)
        if one_write.record_id is not None:
            return self._change(one_write.record_id, fields)
        found = [] if one_write.is_first else by_key(self._account, one_write.key)
        if found:
            return self._again(found[0], fields)
        try:
            made = self._create(one_write.key, fields)
        except SameKey as err:
            found = by_key(self._account, one_write.key)
            if not found:
                raise NotYet(
                    "PagerDuty has this incident, but does not show it yet.", retry_after_s=5.0
                ) from err
            return self._again(found[0], fields)
        self._complete(str(made["id"]), fields)
        return Outcome(record=record_of(made), is_new=True)

    def _create(self, key: str, fields: Mapping[str, JSON]) -> Body:
        if not fields.get("title"):
            raise Rejected("A PagerDuty incident needs a title.", field="title")
        service = fields.get("service") or self._default()
        incident: dict[str, Any] = {
            "type": "incident",
            "title": fields["title"],
            "service": {"id": service, "type": "service_reference"},
            "incident_key": key,
        }
        incident.update(_changes({n: v for n, v in fields.items() if n != "title"}))
        if fields.get("details"):
            incident["body"] = {"type": "incident_body", "details": fields["details"]}
        answer = call(
            self._account,
            "POST",
            "/incidents",
            body={"incident": incident},
            operation=CREATES,
            hidden=fields.values(),
        )
        return one(answer, "incident")

    def _default(self) -> str:
        if self._service is None:
            self._service = default_service(self._account).id
        return self._service

    def _again(self, incident: Body, fields: Mapping[str, JSON]) -> Outcome:
        """Bring an incident that our key has made up to date; a resolved one has done its work and stays."""
        found = Outcome(record=record_of(incident), is_new=False)
        for name in ("title", "priority", "escalation_policy"):
            if name in fields and fields[name] is None and incident.get(name):
                raise _cannot_clear(name)
        if incident.get("status") == _RESOLVED:
            return found
        new = {name: fields[name] for name in CHANGEABLE if fields.get(name)}
        changed = {n: v for n, v in new.items() if v != present(incident, n)}
        if changed:
            self._put(str(incident["id"]), changed)
        self._set_custom(str(incident["id"]), fields)
        return found

    def _change(self, record_id: str, fields: Mapping[str, JSON]) -> Outcome:
        cleared = next((n for n in CHANGEABLE if n in fields and fields[n] is None), None)
        if cleared is not None:
            raise _cannot_clear(cleared)
        new = {name: fields[name] for name in CHANGEABLE if fields.get(name)}
        found = RecordId(INCIDENT, record_id)
        if new:
            found = self._put(record_id, new) or found
        else:
            answer = call(self._account, "GET", f"/incidents/{segment(record_id)}")
            found = record_of(one(answer, "incident"))
        self._set_custom(record_id, fields)
        return Outcome(record=found, is_new=False)

    def _put(self, record_id: str, fields: Mapping[str, JSON]) -> RecordId | None:
        """Change an incident; None when it is resolved, and stays as it is."""
        body = {"incident": {"type": "incident", **_changes(fields)}}
        path = f"/incidents/{segment(record_id)}"
        try:
            answer = call(self._account, "PUT", path, body=body, hidden=fields.values())
        except Rejected as err:
            if err.code == str(ALREADY_RESOLVED):
                return None
            raise
        return record_of(one(answer, "incident"))

    def _complete(self, record_id: str, fields: Mapping[str, JSON]) -> None:
        """Set the custom fields of an incident that was made just now.

        Whatever happens here, the page has gone out. An error that says "nothing was written" would have the same key
        sent again as if for the first time, and by then the incident may be resolved: PagerDuty would page again. After
        Unavailable the key is looked for first, and the fields are set.
        """
        try:
            self._set_custom(record_id, fields)
        except (Throttled, NeedsReconnect, Uncertain) as err:
            raise Unavailable(
                f"The incident is written, its custom fields are not yet: {err.detail}",
                code=err.code,
                status=err.status,
            ) from err

    def _set_custom(self, record_id: str, fields: Mapping[str, JSON]) -> None:
        """Set custom fields, which takes a call of its own."""
        values = [
            {"name": name.removeprefix(CUSTOM), "value": value}
            for name, value in fields.items()
            if name.startswith(CUSTOM)
        ]
        if not values:
            return
        path = f"/incidents/{segment(record_id)}/custom_fields/values"
        try:
            call(self._account, "PUT", path, body={"custom_fields": values}, hidden=fields.values())
        except Rejected as err:
            raise Rejected(
                f"The incident is written, but its custom fields are not: {err.detail}",
                field=f"{CUSTOM}{values[0]['name']}" if len(values) == 1 else None,
                code=err.code,
                status=err.status,
            ) from err


def cost(one_write: Write) -> tuple[int, int]:
    """Count the calls that a write costs when all is well: in all, and of those that create."""
    custom = any(name.startswith(CUSTOM) for name in one_write.fields)
    if one_write.record_id is not None:
        return 1 + custom, 0
    return (1 if one_write.is_first else 2) + custom, 1


def by_key(account: Account, key: str) -> list[Body]:
    """Give the incidents that our key has made, oldest first, in one call."""
    answer = call(
        account,
        "GET",
        "/incidents",
        params={
            "incident_key": key,
            "date_range": "all",
            "sort_by": "created_at:asc",
            "limit": 10,
        },
    )
    found = rows(answer, "incidents")
    # An incident whose alert has the key is given without a key of its own.
    # Source: the parameter incident_key in PagerDuty/api-schema @ 91a06fb (2026-11-22)
    return [row for row in found if row.get("id") and row.get("incident_key") in {key, None}]


def record_of(incident: Body) -> RecordId:
    """Give an incident as a record, with the address that PagerDuty gives for people."""
    url = incident.get("html_url")
    return RecordId(INCIDENT, str(incident["id"]), url if isinstance(url, str) else None)


def present(incident: Body, name: str) -> JSON:
    """Give the value that an incident has now in a field of ours."""
    value = incident.get(name)
    if name == "incident_type":
        return value.get("name") if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        return str(value.get("id") or "") or None
    return value if isinstance(value, str) else None


def _checked(fields: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Give the fields; raises Rejected for one that incidents do not have, or that is no text."""
    for name, value in fields.items():
        if name.startswith(CUSTOM):
            continue
        if name not in _FIELDS:
            raise Rejected(f'PagerDuty\'s incidents have no field "{name}".', field=name)
        if value is not None and not isinstance(value, str):
            raise Rejected(f"{name} of an incident takes text.", field=name)
    if fields.get("title") is not None and not str(fields["title"]).strip():
        raise Rejected("A PagerDuty incident needs a title.", field="title")
    return fields


def _changes(fields: Mapping[str, JSON]) -> dict[str, Any]:
    """Give the fields that can be changed, as PagerDuty takes them."""
    sent: dict[str, Any] = {}
    for name in CHANGEABLE:
        value = fields.get(name)
        if not value:
            continue
        if name in {"priority", "escalation_policy"}:
            sent[name] = {"id": value, "type": f"{name}_reference"}
        elif name == "incident_type":
            sent[name] = {"name": value}
        else:
            sent[name] = value
    return sent


def _cannot_clear(name: str) -> ConnectorError:
    return Rejected(f"PagerDuty cannot take {name} away from an incident.", field=name)
