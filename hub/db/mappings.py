"""Mappings and all their saved versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id
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
