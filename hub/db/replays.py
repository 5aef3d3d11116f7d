"""Replays: each time that somebody asked for deliveries to be sent again.

::

    counting ──▶ running ──▶ done         counting: rows are still put into it, chunk by chunk, by their ids
        └───────────┴──────▶ cancelled    running: all are in it, and some are not sent yet

A replay is done when none of its rows waits or is being sent. When it is cancelled, rows that still wait go back to
what they were; it has ended when all have.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id


class ReplayState(StrEnum):
    """Where a replay stands."""

    COUNTING = "counting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class Replay(TenantOwned, Created, Base):
    """Somebody's wish to send a selection again; only rows that were there, and as they were, at ``created_at``.

    ``version`` is ``kept``, ``newest``, or the number of a version of the one mapping that the selection names.
    ``counted`` rows fitted then; ``marked`` are in it so far, up to the id ``marked_until``; ``put_back`` went back to
    what they were when it was cancelled. ``touched_at`` is when somebody last worked on it. ``result`` are its rows by
    state at ``ended_at``, since later replays may take them over.
    """

    __tablename__ = "replays"
    __table_args__ = (
        CheckConstraint("state in ('counting', 'running', 'done', 'cancelled')", name="state"),
        Index("ix_replays_latest", "tenant_id", "id"),
        Index("ix_replays_open", "touched_at", postgresql_where="ended_at is null"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("rpl"))
    selection: Mapped[dict[str, Any]]
    version: Mapped[str]
    actor: Mapped[str]
    state: Mapped[str]
    counted: Mapped[int]
    marked: Mapped[int] = mapped_column(server_default="0", default=0)
    marked_until: Mapped[str] = mapped_column(server_default="", default="")
    put_back: Mapped[int] = mapped_column(server_default="0", default=0)
    touched_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    note: Mapped[str | None]
