"""Subscriptions: webhooks of ours at vendors that report on each account to an address of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id


class HeldSubscription(TenantOwned, Created, Base):
    """A connection's subscription. ``secret`` is sealed; ``url`` is the address as the vendor was told it.

    ``remote_id`` is None while there is none yet: ``problem`` says why, ``failures`` how often in a row.
    """

    __tablename__ = "subscriptions"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("sub"))
    connection_id: Mapped[str] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), unique=True
    )
    url: Mapped[str]
    remote_id: Mapped[str | None]
    secret: Mapped[bytes | None]
    expires_at: Mapped[datetime | None]
    state: Mapped[dict[str, Any]] = mapped_column(default=dict)
    renewed_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default="0", default=0)
    problem: Mapped[str | None]
