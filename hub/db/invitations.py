"""Invitations: a link by which somebody becomes a member of a tenant, once, for a week."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, Index, select, update
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id, now
from hub.db.people import Membership, Person, Role, plain_email
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant

LASTS = timedelta(days=7)
#: Of these that are open, a tenant may have so many.
MOST_OPEN = 200


class Invitation(TenantOwned, Created, Base):
    """Somebody who may become a member; the link holds a random token of which we keep the hash."""

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint("role in ('owner', 'admin', 'mapper', 'operator', 'viewer')", name="role"),
        Index(
            "uq_invitations_open",
            "tenant_id",
            "email",
            unique=True,
            postgresql_where="accepted_at is null and revoked_at is null",
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("inv"))
    email: Mapped[str]
    role: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    invited_by: Mapped[str]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    @property
    def is_over(self) -> bool:
        """Whether its link opens nothing any more."""
        return self.expires_at <= now()


class CannotInvite(ValueError):
    """Somebody cannot be invited; the message says why, to the person who tries."""


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation just made; ``token`` is in its link and kept nowhere."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Open:
    """An invitation as its link finds it, and whether its address signs in here already."""

    id: str
    tenant_id: str
    tenant_name: str
    email: str
    role: Role
    has_account: bool


def invite(session: TenantSession, *, email: str, role: Role, by: str) -> Invited:
    """Invite an address, or invite it anew: an earlier link then opens nothing any more. Raises CannotInvite."""
    address = plain_email(email)
    member = session.scalars(
        select(Membership.id)
        .join(Person, Person.id == Membership.person_id)
        .where(Person.email == address)
    ).first()
    if member:
        raise CannotInvite(f"{address} is a member already.")
    if len(every_open(session)) >= MOST_OPEN:
        raise CannotInvite("Too many invitations are open. Take some back first.")
    session.execute(
        update(Invitation).where(Invitation.email == address, *_OPEN).values(revoked_at=now())
    )
    token = secrets.token_urlsafe(32)
    row = Invitation(
        email=address,
        role=role.value,
        token_hash=_hash(token),
        invited_by=by,
        expires_at=now() + LASTS,
    )
    session.add(row)
    session.flush()
    return Invited(row.id, token)


_OPEN = (Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None))


def every_open(session: TenantSession) -> list[Invitation]:
    """List the invitations that nobody has taken up or taken back, newest first; some may be over."""
    return list(
        session.scalars(
            select(Invitation).where(*_OPEN).order_by(Invitation.created_at.desc(), Invitation.id)
        )
    )


def revoke(session: TenantSession, invitation_id: str) -> Invitation | None:
    """Take an invitation back; None when there is none that is open."""
    row = session.scalars(
        select(Invitation).where(Invitation.id == invitation_id, *_OPEN)
    ).one_or_none()
    if row is not None:
        row.revoked_at = now()
    return row


def find(session: TenantSession, token: str) -> Open | None:
    """Give what a link opens, or None when it is unknown, taken up, taken back or over.

    Needs a session across tenants: it is the token that tells the tenant.
    """
    found = session.execute(
        select(Invitation, Tenant.name, Person.password_hash)
        .join(Tenant, Tenant.id == Invitation.tenant_id)
        .outerjoin(Person, Person.email == Invitation.email)
        .where(Invitation.token_hash == _hash(token), *_OPEN, Invitation.expires_at > now())
    ).one_or_none()
    if found is None:
        return None
    return _opened(*found)


def _opened(row: Invitation, name: str, password: str | None) -> Open:
    return Open(
        row.id, row.tenant_id, name, row.email, Role(row.role), has_account=password is not None
    )


def for_address(session: TenantSession, email: str) -> list[Open]:
    """Give what an address is invited to, the oldest first; needs a session across tenants.

    Whoever asks has made sure that the address is the person's.
    """
    found = session.execute(
        select(Invitation, Tenant.name, Person.password_hash)
        .join(Tenant, Tenant.id == Invitation.tenant_id)
        .outerjoin(Person, Person.email == Invitation.email)
        .where(Invitation.email == plain_email(email), *_OPEN, Invitation.expires_at > now())
        .order_by(Invitation.created_at, Invitation.id)
    )
    return [_opened(row, name, password) for row, name, password in found.tuples()]


def accept(session: TenantSession, invitation_id: str, person_id: str) -> bool:
    """Make a person a member by an invitation; False when somebody was faster.

    The invitation's row is locked until the commit, so that one link makes one member.
    """
    row = session.scalars(
        select(Invitation)
        .where(Invitation.id == invitation_id, *_OPEN, Invitation.expires_at > now())
        .with_for_update()
    ).one_or_none()
    if row is None:
        return False
    row.accepted_at = now()
    is_member = session.scalars(
        select(Membership.id).where(Membership.person_id == person_id)
    ).first()
    if is_member is None:
        session.add(Membership(person_id=person_id, role=row.role))
    session.flush()
    return True


def _hash(token: str) -> str:
    """Hash a link's token; a plain hash is enough because it has 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
