"""Outcomes: what became of delivered records at the vendor, and what people said of pages.

::

    delivered ──▶ touched      somebody has begun (acknowledged, answered, a text that arrived)
              ──▶ closed       won, solved, done; or lost, where ``is_success`` is false
              ──▶ reopened     it is open again; the close before it counts no more
              ──▶ failed       a text that did not reach the caller

The history of a delivery is kept; ``is_current`` marks what counts now: at most one row of each kind.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, TenantOwned, new_id


class Kind(StrEnum):
    """What happened to a record."""

    TOUCHED = "touched"
    CLOSED = "closed"
    REOPENED = "reopened"
    FAILED = "failed"


class Source(StrEnum):
    """How we know: the vendor reported it, or we asked."""

    WEBHOOK = "webhook"
    POLL = "poll"


class Outcome(TenantOwned, Base):
    """Something that happened to the record of a delivery; ``result`` is the vendor's word for it."""

    __tablename__ = "outcomes"
    __table_args__ = (
        CheckConstraint("kind in ('touched', 'closed', 'reopened', 'failed')", name="kind"),
        CheckConstraint("source in ('webhook', 'poll')", name="source"),
        UniqueConstraint("delivery_id", "kind", "at"),
        Index(
            "uq_outcomes_current",
            "delivery_id",
            "kind",
            unique=True,
            postgresql_where="is_current",
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("out"))
    delivery_id: Mapped[str] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"))
    kind: Mapped[str]
    at: Mapped[datetime]
    result: Mapped[str]
    is_success: Mapped[bool]
    is_current: Mapped[bool]
    source: Mapped[str]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PageVerdict(TenantOwned, Base):
    """What a person said of a voicemail that paged somebody: whether it was right to."""

    __tablename__ = "page_verdicts"

    event_id: Mapped[str] = mapped_column(
        ForeignKey("events.id", ondelete="CASCADE"), primary_key=True
    )
    is_false: Mapped[bool]
    decided_by: Mapped[str]
    decided_at: Mapped[datetime]


class OutcomePoll(TenantOwned, Base):
    """How far a connection's records have been asked about, and when to look again.

    A record is asked about when certain spans have gone by since it was delivered; what fell due until
    ``looked_until`` has been put into ``record_checks``. ``reported_at`` is when the vendor last reported to us.
    ``subscribe_at`` says when to look after the subscription, ``looked_after_at`` when that was last done.
    """

    __tablename__ = "outcome_polls"
    __table_args__ = (Index("ix_outcome_polls_due", "due_at"),)

    connection_id: Mapped[str] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True
    )
    looked_until: Mapped[datetime]
    due_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(server_default="0", default=0)
    problem: Mapped[str | None]
    reported_at: Mapped[datetime | None]
    subscribe_at: Mapped[datetime]
    looked_after_at: Mapped[datetime | None]


class RecordCheck(TenantOwned, Base):
    """A record that the vendor is to be asked about; removed when it has answered."""

    __tablename__ = "record_checks"
    __table_args__ = (Index("ix_record_checks_wanted", "connection_id", "wanted_at"),)

    connection_id: Mapped[str] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True
    )
    object: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[str] = mapped_column(primary_key=True)
    wanted_at: Mapped[datetime]
