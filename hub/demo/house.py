"""The sample tenant: a plumbing and heating firm, its owner's sign-in and an API key, made once and kept."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import select

from hub.context import Hub
from hub.db import audit, keys, people
from hub.db.tenants import Tenant

NAME = "Harbor Home Services"
SLUG = "harbor"
VERTICAL = "home_services"
TIMEZONE = "America/Los_Angeles"
EMAIL = "owner@afterbeep.example"
_SCOPES = tuple(keys.Scope)


@dataclass(frozen=True, slots=True)
class House:
    """The sample tenant and the secrets that open it; kept in the data folder for its owner only."""

    tenant_id: str
    person_id: str
    email: str
    password: str
    api_key: str


def house(hub: Hub, file: Path) -> tuple[House, bool]:
    """Give the sample tenant, made now when it is missing; tells whether it was made now."""
    kept = _read(file)
    if kept:
        with hub.everyone("the demonstration looks for its tenant") as session:
            if session.get(Tenant, kept.tenant_id) is not None:
                return kept, False
    made = _make(hub)
    _write(file, made)
    return made, True


def _make(hub: Hub) -> House:
    password = secrets.token_urlsafe(12)
    with hub.everyone("the demonstration's tenant") as session:
        taken = session.scalars(select(Tenant.id).where(Tenant.slug == SLUG)).first()
        tenant = Tenant(
            slug=f"{SLUG}-{secrets.token_hex(3)}" if taken else SLUG,
            name=NAME,
            vertical=VERTICAL,
            timezone=TIMEZONE,
        )
        session.add(tenant)
        session.flush()
        tenant_id = tenant.id
    with hub.tenant(tenant_id) as session:
        person = session.scalars(
            select(people.Person).where(people.Person.email == EMAIL)
        ).one_or_none()
        if person is None:
            person = people.create_person(
                session, email=EMAIL, name="Robin Harbor", password=password
            )
        else:
            people.set_password(session, person_id=person.id, password=password)
        people.add_member(session, person_id=person.id, role=people.Role.OWNER)
        key = keys.create(session, name="Demonstration", scopes=_SCOPES)
        audit.record(session, actor="command", action="tenant.created", target=tenant_id)
        return House(tenant_id, person.id, EMAIL, password, key.secret)


def _read(file: Path) -> House | None:
    try:
        return House(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # missing, or of another release: a new tenant is made


def _write(file: Path, made: House) -> None:
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump(asdict(made), out)
