"""People, what they may do in which tenant, and their sign-ins."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id


class Role(StrEnum):
    """What a person may do in a tenant, most first."""

    OWNER = "owner"
    ADMIN = "admin"
    MAPPER = "mapper"
    OPERATOR = "operator"
    VIEWER = "viewer"


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
