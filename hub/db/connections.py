"""Connections: a tenant's authorised account at a vendor, and the one truth about its health."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id, now


class Health(StrEnum):
    """What a person sees of a connection. A pause by an operator is kept apart and never overwritten."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    PAUSED = "paused"
    NEEDS_RECONNECT = "needs_reconnect"
    DISCONNECTED = "disconnected"


class Connection(TenantOwned, Created, Base):
    """A tenant's account at a vendor.

    ``access_token`` and ``refresh_token`` are sealed. ``token_version`` grows with every new token; a refresh is
    stored only if the version is still the one it began with. ``retry_at`` holds the whole connection back
    after a failure that is not a row's fault; ``failures`` counts such failures in a row.
    """

    __tablename__ = "connections"
    __table_args__ = (
        CheckConstraint(
            "health in ('healthy', 'degraded', 'needs_reconnect', 'disconnected')", name="health"
        ),
        Index("ix_connections_wake", "wake_at", postgresql_where="wake_at is not null"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("con"))
    connector: Mapped[str]
    label: Mapped[str]
    account_id: Mapped[str | None]
    account_name: Mapped[str | None]
    login_url: Mapped[str]
    base_url: Mapped[str | None]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    granted_scopes: Mapped[list[str]] = mapped_column(default=list)
    todos: Mapped[list[str]] = mapped_column(default=list)
    budget: Mapped[dict[str, Any]] = mapped_column(default=dict)

    health: Mapped[str] = mapped_column(default=Health.DISCONNECTED.value)
    health_reason: Mapped[str | None]
    health_at: Mapped[datetime] = mapped_column(default=now)
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
    failures: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[datetime | None]
    wake_at: Mapped[datetime | None]
    #: Until then live deliveries need what is left of the day's calls, and replayed ones wait.
    replays_wake_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]

    access_token: Mapped[bytes | None]
    refresh_token: Mapped[bytes | None]
    token_version: Mapped[int] = mapped_column(default=0)
    token_expires_at: Mapped[datetime | None]
    token_refreshed_at: Mapped[datetime | None]
    refresh_lease: Mapped[str | None]
    refresh_lease_until: Mapped[datetime | None]
    refresh_failures: Mapped[int] = mapped_column(default=0)

    @property
    def state(self) -> Health:
        """What a person sees: a pause covers everything but a broken authorisation."""
        health = Health(self.health)
        if self.paused_at and health not in {Health.NEEDS_RECONNECT, Health.DISCONNECTED}:
            return Health.PAUSED
        return health

    @property
    def may_deliver(self) -> bool:
        """Whether rows may be sent at all, apart from budget and back-off."""
        return self.state in {Health.HEALTHY, Health.DEGRADED}


class FieldList(TenantOwned, Created, Base):
    """The last known objects (``object_name`` empty) or fields of one object of an account."""

    __tablename__ = "field_lists"
    __table_args__ = (UniqueConstraint("connection_id", "object_name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("fld"))
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id", ondelete="CASCADE"))
    object_name: Mapped[str]
    content: Mapped[dict[str, Any]]
    read_at: Mapped[datetime]


class ConnectFlow(TenantOwned, Created, Base):
    """A person who is at the vendor's authorise page now; removed when they come back."""

    __tablename__ = "connect_flows"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("flo"))
    state_hash: Mapped[str] = mapped_column(unique=True)
    connector: Mapped[str]
    connection_id: Mapped[str | None] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), index=True
    )
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(default="")
    login_url: Mapped[str]
    verifier: Mapped[bytes]
    expires_at: Mapped[datetime]


class RecordLink(TenantOwned, Created, Base):
    """A person's record at the vendor, remembered by the fingerprint of what matched it."""

    __tablename__ = "record_links"

    connection_id: Mapped[str] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True
    )
    object: Mapped[str] = mapped_column(primary_key=True)
    match_hash: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[str]
    record_url: Mapped[str | None]
    is_chosen: Mapped[bool] = mapped_column(default=False)


class CallCount(TenantOwned, Base):
    """Units of a vendor's limit that an account has cost in one hour; outlives a wiped Redis."""

    __tablename__ = "call_counts"

    connection_id: Mapped[str] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True
    )
    limit_name: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    units: Mapped[int] = mapped_column(default=0)
