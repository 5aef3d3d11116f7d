"""Deliveries: the queue of record. Each event × step is in exactly one state.

::

              approve            claim             settle
    held ──────────────▶ waiting ─────▶ sending ─────────────▶ delivered
      │ reject             ▲  ▲            │ │
      ▼                    │  └────────────┘ └──────────────▶ parked
    rejected               │   later, or lease over             │
                           └──────────── replay ────────────────┘
    dropped   (a rule said so; replay under a new mapping may plan it anew)
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, TenantOwned, new_id


class State(StrEnum):
    """Where a delivery stands."""

    HELD = "held"
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    PARKED = "parked"
    REJECTED = "rejected"
    DROPPED = "dropped"


class Delivery(TenantOwned, Base):
    """One step of one mapping for one event.

    ``key`` is derived from event, mapping and step. ``claim`` names the drain that holds a row in
    ``sending`` until ``lease_until``. ``job`` names the vendor's job that has taken the row and is asked what became of
    it; such a row is never sent again. ``waits_for`` are deliveries whose record ids this one needs. ``detail``
    (the vendor's sentence) and ``candidates`` are sealed, since a vendor may quote the caller's data.

    ``replay_id`` is the latest replay that the row was put into. ``is_replay`` puts it behind all rows that are not,
    until it is done. So long ``replayed_from`` keeps what it was before, for when the replay is cancelled;
    ``before_detail`` and ``before_candidates`` are the sealed part of that, sealed as those of the row itself.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(
            "state in ('held', 'waiting', 'sending', 'delivered', 'parked', 'rejected', 'dropped')",
            name="state",
        ),
        CheckConstraint(
            "(state = 'sending') = (claim is not null)", name="claim_only_while_sending"
        ),
        CheckConstraint(
            "state <> 'delivered' or record_id is not null", name="delivered_has_record"
        ),
        Index("uq_deliveries_step", "event_id", "mapping_id", "step", unique=True),
        Index(
            "ix_deliveries_next",
            "connection_id",
            "is_replay",
            text("is_urgent desc"),
            "due_at",
            postgresql_where="state = 'waiting' and not is_blocked",
        ),
        Index(
            "ix_deliveries_next_object",
            "connection_id",
            "object",
            "is_replay",
            text("is_urgent desc"),
            "due_at",
            postgresql_where="state = 'waiting' and not is_blocked",
        ),
        Index(
            "ix_deliveries_replay",
            "replay_id",
            "state",
            postgresql_where="replay_id is not null",
        ),
        Index("ix_deliveries_lease", "lease_until", postgresql_where="state = 'sending'"),
        Index("ix_deliveries_state", "tenant_id", "state", "updated_at", "id"),
        Index("ix_deliveries_connection", "connection_id", "state", "updated_at"),
        Index("ix_deliveries_created", "tenant_id", "id"),
        Index(
            "ix_deliveries_record",
            "connection_id",
            "record_id",
            postgresql_where="record_id is not null",
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("dlv"))
    event_id: Mapped[str] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    connection_id: Mapped[str | None] = mapped_column(
        ForeignKey("connections.id", ondelete="RESTRICT")
    )
    mapping_id: Mapped[str | None] = mapped_column(
        ForeignKey("mappings.id", ondelete="RESTRICT"), index=True
    )
    mapping_version: Mapped[int | None]
    step: Mapped[str]
    object: Mapped[str | None]
    key: Mapped[str]
    state: Mapped[str]
    is_urgent: Mapped[bool] = mapped_column(server_default="false")
    is_blocked: Mapped[bool] = mapped_column(server_default="false")
    waits_for: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    first_failed_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    claim: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    job: Mapped[str | None]
    is_uncertain: Mapped[bool] = mapped_column(server_default="false")
    record_id: Mapped[str | None]
    record_url: Mapped[str | None]
    chosen_record_id: Mapped[str | None]
    delivered_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    reason_path: Mapped[str | None]
    detail: Mapped[bytes | None]
    candidates: Mapped[bytes | None]
    decided_by: Mapped[str | None]
    replay_id: Mapped[str | None] = mapped_column(ForeignKey("replays.id", ondelete="SET NULL"))
    is_replay: Mapped[bool] = mapped_column(server_default="false")
    replayed_from: Mapped[dict[str, Any] | None]
    before_detail: Mapped[bytes | None]
    before_candidates: Mapped[bytes | None]


class Attempt(TenantOwned, Base):
    """One try to write one delivery, kept for good."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("ix_attempts_delivery", "delivery_id", "id"),
        Index("ix_attempts_at", "tenant_id", "at"),
    )

    #: Found through the index with the moment, instead of one of its own.
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    delivery_id: Mapped[str] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    batch: Mapped[str]
    batch_size: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    ms: Mapped[float]
    outcome: Mapped[str]
    mapping_version: Mapped[int | None]
    status: Mapped[int | None]
    code: Mapped[str | None]
    detail: Mapped[bytes | None]
