"""Mappings and all their saved versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import audit
from hub.db.base import Base, Created, TenantOwned, new_id, now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery, State
from hub.db.tenancy import TenantSession
from hub.db.tenants import touch_plan
from mappings.event import EVENT_TYPE


class FieldMapping(TenantOwned, Created, Base):
    """A mapping of events onto one connection; ``version`` is the published one."""

    __tablename__ = "mappings"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("map"))
    connection_id: Mapped[str] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str]
    event_type: Mapped[str] = mapped_column(default=EVENT_TYPE)
    version: Mapped[int]
    is_active: Mapped[bool] = mapped_column(default=True)
    archived_at: Mapped[datetime | None]


class MappingVersion(TenantOwned, Created, Base):
    """A saved state of a mapping; it never changes."""

    __tablename__ = "mapping_versions"

    mapping_id: Mapped[str] = mapped_column(
        ForeignKey("mappings.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
    source: Mapped[str]
    author: Mapped[str]
    note: Mapped[str] = mapped_column(default="")


class EditConflict(Exception):
    """Somebody saved a newer version since this one was opened; ``newest`` is its number."""

    def __init__(self, newest: int) -> None:
        """Keep the newest version's number."""
        super().__init__(f"Version {newest} was saved in the meantime.")
        self.newest = newest


class NameTaken(Exception):
    """The tenant has another mapping of this name."""


def save(
    session: TenantSession,
    *,
    connection_id: str,
    name: str,
    document: dict[str, Any],
    source: str,
    author: str,
    note: str = "",
    mapping_id: str | None = None,
    expected_version: int | None = None,
) -> FieldMapping:
    """Save and publish a new mapping, or the next version of one; check it before.

    Raises EditConflict when ``expected_version`` is no longer the newest, NameTaken, and
    LookupError when there is no such mapping or connection.
    """
    _refuse_taken_name(session, name, mapping_id)
    if session.scalars(select(Connection.id).where(Connection.id == connection_id)).first() is None:
        raise LookupError("There is no such connection.")
    if mapping_id is None:
        row = FieldMapping(connection_id=connection_id, name=name, version=0)
        session.add(row)
        session.flush()
        newest = 0
    else:
        row = locked(session, mapping_id)
        newest = newest_number(session, mapping_id)
        if expected_version is not None and expected_version != newest:
            raise EditConflict(newest)
        row.connection_id, row.name = connection_id, name
    row.version = newest + 1
    session.add(
        MappingVersion(
            mapping_id=row.id,
            number=row.version,
            document=document,
            source=source,
            author=author,
            note=note,
        )
    )
    _changed(session, row, author, "mapping.saved", {"version": row.version, "note": bool(note)})
    return row


def publish(session: TenantSession, mapping_id: str, number: int, *, actor: str) -> FieldMapping:
    """Make an older (or the newest) version the one that new events are planned by.

    Raises LookupError when there is no such version.
    """
    row = locked(session, mapping_id)
    if session.get(MappingVersion, (mapping_id, number)) is None:
        raise LookupError(f"The mapping has no version {number}.")
    row.version = number
    _changed(session, row, actor, "mapping.published", {"version": number})
    return row


def set_active(
    session: TenantSession, mapping_id: str, *, is_active: bool, actor: str
) -> FieldMapping:
    """Let a mapping apply to new events, or not; what is planned goes on."""
    row = locked(session, mapping_id)
    row.is_active = is_active
    _changed(session, row, actor, "mapping.activated" if is_active else "mapping.deactivated", {})
    return row


def archive(session: TenantSession, mapping_id: str, *, actor: str) -> None:
    """Put a mapping away; its versions and the rows that name them stay."""
    row = locked(session, mapping_id)
    row.is_active, row.archived_at = False, now()
    row.name = f"{row.name} (archived {row.id[-6:]})"
    _changed(session, row, actor, "mapping.archived", {})


def locked(session: TenantSession, mapping_id: str) -> FieldMapping:
    """Give a mapping for changing it; raises LookupError."""
    row = session.scalars(
        select(FieldMapping)
        .where(FieldMapping.id == mapping_id, FieldMapping.archived_at.is_(None))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise LookupError("There is no such mapping.")
    return row


def newest_number(session: TenantSession, mapping_id: str) -> int:
    """Give the number of the newest saved version, which need not be the published one."""
    return session.scalars(
        select(func.max(MappingVersion.number)).where(MappingVersion.mapping_id == mapping_id)
    ).one()


def made_by_earlier(
    session: TenantSession, mapping_id: str, number: int, *, most: int = 10_000
) -> int:
    """Count the records that other versions of a mapping made, ``most`` at the most."""
    found = (
        select(Delivery.id)
        .where(
            Delivery.mapping_id == mapping_id,
            Delivery.mapping_version != number,
            Delivery.state.in_((State.DELIVERED.value, State.PARKED.value)),
        )
        .limit(most)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(found)) or 0


def _refuse_taken_name(session: TenantSession, name: str, mapping_id: str | None) -> None:
    other = session.scalars(select(FieldMapping.id).where(FieldMapping.name == name)).first()
    if other is not None and other != mapping_id:
        raise NameTaken(f'There is a mapping named "{name}" already.')


def _changed(
    session: TenantSession, row: FieldMapping, actor: str, action: str, facts: dict[str, Any]
) -> None:
    session.flush()
    touch_plan(session)
    audit.record(session, actor=actor, action=action, target=row.id, facts=facts)
