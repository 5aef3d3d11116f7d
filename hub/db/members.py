"""Who works in a tenant, as what, and from which browsers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update

from hub.db.base import now
from hub.db.people import Membership, Person, Role, SignIn
from hub.db.tenancy import TenantSession


class NotAllowed(ValueError):
    """A change of members that may not be; the message says why, to the person who tries."""


@dataclass(frozen=True, slots=True)
class Member:
    """A person with a role, and when they were last here (None: never signed in)."""

    person_id: str
    name: str
    email: str
    role: Role
    since: datetime
    last_used_at: datetime | None


def members(session: TenantSession) -> list[Member]:
    """List the members of the session's tenant, the most powerful first, then by name."""
    used = (
        select(SignIn.person_id, func.max(SignIn.last_used_at).label("at"))
        .group_by(SignIn.person_id)
        .subquery()
    )
    rows = session.execute(
        select(Membership, Person, used.c.at)
        .join(Person, Person.id == Membership.person_id)
        .outerjoin(used, used.c.person_id == Person.id)
    ).all()
    found = [
        Member(person.id, person.name, person.email, Role(row.role), row.created_at, at)
        for row, person, at in rows
    ]
    order = list(Role)
    return sorted(found, key=lambda one: (order.index(one.role), one.name.lower(), one.email))


def set_role(session: TenantSession, person_id: str, role: Role | None, *, by: Role) -> Role | None:
    """Give a member another role; gives the one before, or None when there is no such member or role.

    Raises NotAllowed when ``by`` does not cover both roles, or when no owner would be left.
    """
    row = _locked(session, person_id)
    if row is None or role is None:
        return None
    before = Role(row.role)
    _check(before, by)
    _check(role, by)
    if before is Role.OWNER and role is not Role.OWNER:
        _keep_an_owner(session, person_id)
    row.role = role.value
    return before


def remove(session: TenantSession, person_id: str, *, by: Role) -> Role | None:
    """Take a member out and end their sign-ins here; gives their role, or None when there is no such member."""
    row = _locked(session, person_id)
    if row is None:
        return None
    before = Role(row.role)
    _check(before, by)
    if before is Role.OWNER:
        _keep_an_owner(session, person_id)
    session.execute(delete(Membership).where(Membership.person_id == person_id))
    session.execute(
        update(SignIn)
        .where(SignIn.person_id == person_id, SignIn.ended_at.is_(None))
        .values(ended_at=now())
    )
    return before


def _locked(session: TenantSession, person_id: str) -> Membership | None:
    # All of the tenant's, so that two owners cannot take each other out at the same moment.
    rows = session.scalars(select(Membership).order_by(Membership.id).with_for_update()).all()
    return next((row for row in rows if row.person_id == person_id), None)


def _check(role: Role, by: Role) -> None:
    if not by.covers(role):
        raise NotAllowed(f"Only an {Role.OWNER} may decide about an {role}.")


def _keep_an_owner(session: TenantSession, but: str) -> None:
    others = session.scalar(
        select(func.count(Membership.id)).where(
            Membership.role == Role.OWNER.value, Membership.person_id != but
        )
    )
    if not others:
        raise NotAllowed("A company needs an owner. Make somebody else one first.")


def sign_ins(session: TenantSession, person_id: str) -> list[SignIn]:
    """List the browsers in which a person is signed in at the session's tenant, the last used first."""
    return list(
        session.scalars(
            select(SignIn)
            .where(
                SignIn.person_id == person_id,
                SignIn.ended_at.is_(None),
                SignIn.expires_at > now(),
            )
            .order_by(SignIn.last_used_at.desc(), SignIn.id)
        )
    )


def end_others(session: TenantSession, person_id: str, *, but: str) -> int:
    """End all sign-ins of a person at the session's tenant but one; gives how many."""
    ended = session.scalars(
        update(SignIn)
        .where(SignIn.person_id == person_id, SignIn.id != but, SignIn.ended_at.is_(None))
        .values(ended_at=now())
        .returning(SignIn.id)
    ).all()
    return len(ended)
