"""People, what they may do in which tenant, and their sign-ins.

A sign-in is a row here and a random token in a cookie, of which only the hash is kept. It lasts as long
as it is used, and at most :data:`LONGEST`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, select, update
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id, now
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant

#: A sign-in ends after this time even when it is used without a break.
LONGEST = timedelta(days=30)
#: A used sign-in is written again after this time at the earliest, to save writes.
_RENEW_AFTER = timedelta(minutes=5)
SHORTEST_PASSWORD = 10
_LONGEST_PASSWORD = 1_000


class Role(StrEnum):
    """What a person may do in a tenant, most first."""

    OWNER = "owner"
    ADMIN = "admin"
    MAPPER = "mapper"
    OPERATOR = "operator"
    VIEWER = "viewer"

    def covers(self, other: Role) -> bool:
        """Tell whether this role may do everything that ``other`` may."""
        order = list(Role)
        return order.index(self) <= order.index(other)


class Person(Created, Base):
    """Someone who signs in. People are not tenant-owned: one may work for several tenants."""

    __tablename__ = "people"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("per"))
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    disabled_at: Mapped[datetime | None]


class Membership(TenantOwned, Created, Base):
    """A person's role in a tenant."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("tenant_id", "person_id"),
        CheckConstraint("role in ('owner', 'admin', 'mapper', 'operator', 'viewer')", name="role"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("mem"))
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), index=True)
    role: Mapped[str]


class SignIn(TenantOwned, Created, Base):
    """A browser that is signed in; the cookie holds a random token of which we keep the hash."""

    __tablename__ = "sign_ins"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("ses"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), index=True)
    csrf_token: Mapped[str]
    user_agent: Mapped[str] = mapped_column(default="")
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class WeakPassword(ValueError):
    """A password is too short or too long; the message says so to the person."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A tenant in which a person works, and as what."""

    tenant_id: str
    tenant_name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page: the person, the tenant that they look at, and what they may do there."""

    sign_in_id: str
    csrf_token: str
    person_id: str
    person_name: str
    email: str
    role: Role
    tenant_id: str
    tenant_name: str
    timezone: str
    is_phi: bool
    seats: tuple[Seat, ...]

    @property
    def actor(self) -> str:
        """The person as the audit log names them."""
        return f"person:{self.person_id}"

    def may(self, role: Role | str) -> bool:
        """Tell whether they may do what ``role`` may."""
        return self.role.covers(Role(role))


@cache
def _hasher() -> PasswordHasher:
    # The library's defaults are RFC 9106's second recommendation: 64 MiB, three passes, argon2id.
    return PasswordHasher()


@cache
def _nobody() -> str:
    """Give a hash that no password fits, so that an unknown address takes as long as a known one."""
    return _hasher().hash(secrets.token_urlsafe(32))


@dataclass(frozen=True, slots=True)
class Former:
    """A sign-in that may be over: whose it was, and at which tenant."""

    sign_in_id: str
    person_id: str
    tenant_id: str


def plain_email(email: str) -> str:
    """Write an address as it is kept: no spaces around it, lower case."""
    return email.strip().lower()


def hash_password(password: str) -> str:
    """Hash a new password with argon2id; raises WeakPassword when it is too short or too long."""
    if len(password) < SHORTEST_PASSWORD:
        raise WeakPassword(f"A password needs at least {SHORTEST_PASSWORD} characters.")
    if len(password) > _LONGEST_PASSWORD:
        raise WeakPassword(f"A password may have at most {_LONGEST_PASSWORD} characters.")
    return _hasher().hash(password)


def create_person(session: TenantSession, *, email: str, name: str, password: str) -> Person:
    """Add a person who can sign in; they see nothing until they are a member of a tenant.

    Raises WeakPassword, and IntegrityError when the address is taken.
    """
    person = Person(email=plain_email(email), name=name, password_hash=hash_password(password))
    session.add(person)
    session.flush()
    return person


def by_email(session: TenantSession, email: str) -> Person | None:
    """Give the person of an address; they may be disabled."""
    return session.scalars(select(Person).where(Person.email == plain_email(email))).one_or_none()


def create_without_password(session: TenantSession, *, email: str, name: str) -> Person:
    """Add a person who signs in by a provider only."""
    person = Person(email=plain_email(email), name=name, password_hash=None)
    session.add(person)
    session.flush()
    return person


def add_member(session: TenantSession, *, person_id: str, role: Role) -> Membership:
    """Give a person a role in the session's tenant."""
    membership = Membership(person_id=person_id, role=role.value)
    session.add(membership)
    session.flush()
    return membership


def set_password(session: TenantSession, *, person_id: str, password: str) -> None:
    """Change a password and end every sign-in of the person."""
    hashed = hash_password(password)
    session.execute(update(Person).where(Person.id == person_id).values(password_hash=hashed))
    session.execute(
        update(SignIn)
        .where(SignIn.person_id == person_id, SignIn.ended_at.is_(None))
        .values(ended_at=now())
    )


def check_password(session: TenantSession, *, email: str, password: str) -> Person | None:
    """Give the person whose address and password these are, or None.

    Takes as long for an address that nobody has.
    """
    person = by_email(session, email)
    known = person.password_hash if person and person.disabled_at is None else None
    try:
        _hasher().verify(known or _nobody(), password[:_LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return None
    if person is None or known is None:
        return None
    if _hasher().check_needs_rehash(known):
        person.password_hash = _hasher().hash(password)
    return person


def seats(session: TenantSession, person_id: str) -> tuple[Seat, ...]:
    """List the tenants of a person by name; needs a session across tenants."""
    rows = session.execute(
        select(Tenant.id, Tenant.name, Membership.role)
        .join(Membership, Membership.tenant_id == Tenant.id)
        .where(Membership.person_id == person_id)
        .order_by(Tenant.name, Tenant.id)
    )
    return tuple(Seat(tenant_id, name, Role(role)) for tenant_id, name, role in rows)


def start_sign_in(
    session: TenantSession, *, person_id: str, lasts: timedelta, user_agent: str = ""
) -> str:
    """Sign a person in at the session's tenant; gives the token for the cookie, which is not kept."""
    token = secrets.token_urlsafe(32)
    moment = now()
    session.add(
        SignIn(
            token_hash=_hash_token(token),
            person_id=person_id,
            csrf_token=secrets.token_urlsafe(32),
            user_agent=user_agent[:255],
            last_used_at=moment,
            expires_at=moment + lasts,
        )
    )
    session.flush()
    return token


def viewer(session: TenantSession, *, token: str, lasts: timedelta) -> Viewer | None:
    """Give who holds this token, and prolong their sign-in; None when it is over or unknown.

    Needs a session across tenants: it is the token that tells the tenant.
    """
    moment = now()
    found: Sequence[tuple[SignIn, Person, Tenant]] = (
        session.execute(
            select(SignIn, Person, Tenant)
            .join(Person, Person.id == SignIn.person_id)
            .join(Tenant, Tenant.id == SignIn.tenant_id)
            .where(
                SignIn.token_hash == _hash_token(token),
                SignIn.ended_at.is_(None),
                SignIn.expires_at > moment,
                Person.disabled_at.is_(None),
            )
        )
        .tuples()
        .all()
    )
    if not found:
        return None
    sign_in, person, tenant = found[0]
    if sign_in.created_at + LONGEST <= moment:
        return None
    places = seats(session, person.id)
    here = next((seat for seat in places if seat.tenant_id == tenant.id), None)
    if here is None:
        return None  # the membership was taken away since
    if moment - sign_in.last_used_at >= _RENEW_AFTER:
        sign_in.last_used_at = moment
        sign_in.expires_at = moment + lasts
    return Viewer(
        sign_in_id=sign_in.id,
        csrf_token=sign_in.csrf_token,
        person_id=person.id,
        person_name=person.name,
        email=person.email,
        role=here.role,
        tenant_id=tenant.id,
        tenant_name=tenant.name,
        timezone=tenant.timezone,
        is_phi=tenant.is_phi,
        seats=places,
    )


def former(
    session: TenantSession, *, token: str | None = None, sign_in_id: str | None = None
) -> Former | None:
    """Tell whose a sign-in was, by its token or its id, though it opens nothing any more; None when it is unknown.

    Needs a session across tenants.
    """
    wanted = SignIn.id == sign_in_id if token is None else SignIn.token_hash == _hash_token(token)
    row = session.scalars(select(SignIn).where(wanted)).one_or_none()
    return Former(row.id, row.person_id, row.tenant_id) if row else None


def end_sign_in(session: TenantSession, sign_in_id: str) -> None:
    """End a sign-in at once; its token opens nothing any more."""
    session.execute(
        update(SignIn)
        .where(SignIn.id == sign_in_id, SignIn.ended_at.is_(None))
        .values(ended_at=now())
    )


def _hash_token(token: str) -> str:
    """Hash a cookie's token; a plain hash is enough because it has 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
