"""Events as they were accepted: the body sealed, the impersonal facts beside it for lists and sums."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, TenantOwned, new_id


class StoredEvent(TenantOwned, Base):
    """An accepted event. ``body`` is the sealed JSON of the whole envelope, empty when it was expunged.

    ``caller_hash`` is a keyed fingerprint of the number that called, by which earlier calls are found.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source", "event_id"),
        Index("ix_events_received", "tenant_id", "received_at", "id"),
        Index("ix_events_urgency", "tenant_id", "urgency_score", "received_at"),
        Index(
            "ix_events_caller",
            "tenant_id",
            "caller_hash",
            "received_at",
            postgresql_where="caller_hash is not null",
        ),
        Index("ix_events_call", "tenant_id", "event_id"),
        Index("ix_events_bucket", "tenant_id", "bucket", "received_at"),
        Index("ix_events_escalated", "tenant_id", "received_at", postgresql_where="escalate"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("evt"))
    source: Mapped[str]
    event_id: Mapped[str]
    type: Mapped[str]
    time: Mapped[datetime | None]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    body_hash: Mapped[str]
    body: Mapped[bytes]
    bucket: Mapped[str]
    urgency_score: Mapped[int]
    urgency_level: Mapped[str]
    lead_score: Mapped[int | None]
    language: Mapped[str | None]
    escalate: Mapped[bool]
    planned: Mapped[int]
    expunged_at: Mapped[datetime | None]
    caller_hash: Mapped[str | None]
