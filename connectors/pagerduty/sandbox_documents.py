"""The documents that the sandbox answers: errors, incidents, notes, what an account consists of, tokens."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox import clock
from connectors.sandbox.oauth import CLIENT_ID, Grant
from connectors.sandbox.store import Record

Document = dict[str, Any]

INVALID, ARGUMENTS = 2001, 2002
SCOPES = ("read", "write")
_BEGAN = "2024-02-01T09:00:00Z"


class RefusedError(Exception):
    """A request that is refused: the status, PagerDuty's code, its message and its details."""

    def __init__(self, status: int, code: int, message: str, *errors: str) -> None:
        """Keep them."""
        super().__init__(message)
        self.status = status
        self.document = error(code, message, *errors)


def error(code: int, message: str, *errors: str) -> Document:
    """Give an error document; without details it has no list of them."""
    document: Document = {"message": message, "code": code}
    return {"error": {**document, "errors": list(errors)} if errors else document}


def invalid(*errors: str) -> RefusedError:
    """Give the refusal of input that is wrong."""
    return RefusedError(400, INVALID, "Invalid Input Provided", *errors)


def missing() -> RefusedError:
    """Give the refusal of what is not there."""
    return RefusedError(404, 2100, "Not Found")


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that an account is set up with: a service, a priority, an escalation policy."""

    id: str
    name: str
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class SetUp:
    """How an account is set up: what an admin made there before we came."""

    subdomain: str
    region: str
    services: tuple[Thing, ...]
    policies: tuple[Thing, ...]
    priorities: tuple[Thing, ...]

    @property
    def host(self) -> str:
        """Give the host of the account's pages."""
        return f"{self.subdomain}{'.eu' if self.region == 'Europe' else ''}.pagerduty.com"

    def page(self, *parts: str) -> str:
        """Give the address of one of the account's pages."""
        return f"https://{self.host}/" + "/".join(parts)


_PRIORITIES = (Thing("PSBXPR1", "P1"), Thing("PSBXPR2", "P2"), Thing("PSBXPR3", "P3"))
#: By account id. One account has a single service in use; the other has several, and lies in Europe.
SET_UPS = {
    "PSBXAC1": SetUp(
        "whitfield-plumbing",
        "UnitedStates",
        (Thing("PSBXSV1", "Emergency line"), Thing("PSBXSV2", "Old pager", is_enabled=False)),
        (Thing("PSBXEP1", "Plumbers on call"), Thing("PSBXEP2", "Owner")),
        _PRIORITIES,
    ),
    "PSBXAC2": SetUp(
        "lakeside-dental",
        "Europe",
        (Thing("PSBXSV3", "Practice"), Thing("PSBXSV4", "Voicemail"), Thing("PSBXSV5", "IT")),
        (Thing("PSBXEP3", "Dentist on call"),),
        _PRIORITIES,
    ),
}
#: Custom fields that both accounts have on every incident: name, label, values (any text without).
CUSTOM_FIELDS = (("branch", "Branch", ()), ("building", "Building", ("North", "South")))
INCIDENT_TYPES = (("incident_default", "Base Incident"), ("major_incident", "Major Incident"))


def stamp(at: float | None = None) -> str:
    """Give a time as PagerDuty writes it."""
    moment = datetime.fromtimestamp(clock.seconds() if at is None else at, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def reference(kind: str, thing: Thing, set_up: SetUp) -> Document:
    """Refer to something of the account."""
    return {
        "id": thing.id,
        "type": f"{kind}_reference",
        "summary": thing.name,
        "html_url": set_up.page(kind, thing.id),
    }


def _named(things: Sequence[Thing], wanted: object) -> Thing | None:
    return next((thing for thing in things if thing.id == wanted), None)


def incident_document(record: Record, set_up: SetUp) -> Document:
    """Give an incident as the API does."""
    fields = record.fields
    service = _named(set_up.services, fields["service"]) or set_up.services[0]
    policy = _named(set_up.policies, fields.get("escalation_policy")) or set_up.policies[0]
    priority = _named(set_up.priorities, fields.get("priority"))
    status = fields["status"]
    taken = fields.get("acknowledged_at") if status == "acknowledged" else None
    return {
        "id": record.id,
        "type": "incident",
        "summary": f"[#{fields['incident_number']}] {fields['title']}",
        "html_url": set_up.page("incidents", record.id),
        "incident_number": fields["incident_number"],
        "title": fields["title"],
        "created_at": stamp(record.created_at),
        "updated_at": stamp(record.updated_at),
        "status": status,
        "incident_key": fields["incident_key"],
        "service": reference("service", service, set_up),
        "assignments": [],
        "assigned_via": "escalation_policy",
        "last_status_change_at": fields["last_status_change_at"],
        "last_status_change_by": _agent(fields, service, set_up),
        "resolved_at": fields.get("resolved_at"),
        "acknowledgements": [{"at": taken, "acknowledger": user_reference(set_up)}]
        if taken
        else [],
        "escalation_policy": reference("escalation_policy", policy, set_up),
        "teams": [],
        "priority": None if priority is None else _priority(priority),
        "incident_type": {"name": fields["incident_type"]},
        "urgency": fields["urgency"],
    }


def _agent(fields: Mapping[str, Any], service: Thing, set_up: SetUp) -> Document:
    if fields.get("resolved_by") == "service":
        return reference("service", service, set_up)
    return user_reference(set_up)


def _priority(thing: Thing) -> Document:
    return {"id": thing.id, "type": "priority", "summary": thing.name, "name": thing.name}


def note_document(record: Record, set_up: SetUp) -> Document:
    """Give a note as the API does."""
    return {
        "id": record.id,
        "user": user_reference(set_up),
        "channel": {"summary": "The PagerDuty website or APIs"},
        "content": record.fields["content"],
        "created_at": stamp(record.created_at),
        "updated_at": stamp(record.created_at),
    }


def user_reference(set_up: SetUp) -> Document:
    """Refer to the user who connected, who is also the one on call."""
    return {
        "id": "PSBXUS1",
        "type": "user_reference",
        "summary": "Alex Morgan",
        "html_url": set_up.page("users", "PSBXUS1"),
    }


def user_document(grant: Grant) -> Document:
    """Give the user whose token is used."""
    set_up = SET_UPS[grant.account.id]
    return {
        **user_reference(set_up),
        "type": "user",
        "name": grant.account.user,
        "email": grant.account.email,
        "time_zone": "Etc/UTC",
        "role": "admin",
    }


def service_document(thing: Thing, set_up: SetUp) -> Document:
    """Give a service."""
    return {
        **reference("service", thing, set_up),
        "type": "service",
        "name": thing.name,
        "created_at": _BEGAN,
        "status": "active" if thing.is_enabled else "disabled",
        "escalation_policy": reference("escalation_policy", set_up.policies[0], set_up),
    }


def policy_document(thing: Thing, set_up: SetUp) -> Document:
    """Give an escalation policy."""
    rule = {
        "id": f"{thing.id}R",
        "escalation_delay_in_minutes": 30,
        "targets": [user_reference(set_up)],
    }
    return {
        **reference("escalation_policy", thing, set_up),
        "type": "escalation_policy",
        "name": thing.name,
        "escalation_rules": [rule],
        "num_loops": 0,
    }


def priority_document(thing: Thing, _set_up: SetUp) -> Document:
    """Give a priority."""
    return _priority(thing)


def custom_field_documents() -> list[Document]:
    """Give the custom fields of every incident."""
    return [
        {
            "enabled": True,
            "id": f"PSBXCF{number}",
            "name": name,
            "type": "field",
            "summary": name,
            "self": f"https://api.pagerduty.com/incidents/custom_fields/PSBXCF{number}",
            "description": f"{label} of the caller",
            "field_type": "single_value_fixed" if values else "single_value",
            "data_type": "string",
            "created_at": _BEGAN,
            "updated_at": _BEGAN,
            "display_name": label,
            "default_value": None,
            "incident_type": "incident_default",
            "field_options": [
                {
                    "id": f"PSBXFO{number}{place}",
                    "type": "field_option",
                    "data": {"data_type": "string", "value": value},
                    "created_at": _BEGAN,
                    "updated_at": _BEGAN,
                }
                for place, value in enumerate(values)
            ],
        }
        for number, (name, label, values) in enumerate(CUSTOM_FIELDS)
    ]


def type_documents() -> list[Document]:
    """Give the incident types."""
    return [
        {
            "type": "incident_type",
            "name": name,
            "id": f"PSBXTY{number}",
            "created_at": _BEGAN,
            "updated_at": _BEGAN,
            "description": label,
            "display_name": label,
            "enabled": True,
        }
        for number, (name, label) in enumerate(INCIDENT_TYPES)
    ]


def token_answer(grant: Grant, *, public_url: str, has_id_token: bool) -> Document:
    """Give what the token answer holds besides the tokens; ``openid`` is granted to everybody."""
    answer: Document = {
        "client_info": "prefix_legacy_app",
        "token_type": "bearer",
        "scope": " ".join(("openid", *grant.scopes)),
    }
    return {**answer, "id_token": _id_token(grant, public_url)} if has_id_token else answer


def _id_token(grant: Grant, public_url: str) -> str:
    set_up = SET_UPS[grant.account.id]
    now = int(clock.seconds())
    claims = {
        "exp": now + 3600,
        "iat": now,
        "iss": f"{public_url}/global/oauth/anonymous",
        # The real one names https://api.pagerduty.com or https://api.eu.pagerduty.com.
        "aud": [public_url, CLIENT_ID],
        "sub": "PSBXUS1",
        "account_id": grant.account.id,
        "user_id": "PSBXUS1",
        "subdomain": set_up.subdomain,
        "region": set_up.region,
    }
    head = {"alg": "RS256", "kid": "1787345008"}
    parts = [urlsafe_b64encode(json.dumps(part).encode()) for part in (head, claims)]
    # Nobody here can check it: the sandbox has no key that others know.
    signature = secrets.token_urlsafe(64)
    return ".".join([*(part.decode().rstrip("=") for part in parts), signature])
