"""Alerts: what a tenant is told of its connections, to whom, and whether it arrived.

::

    connections, deliveries, budgets ──what is──▶ compare with alert_states (what was last told)
                                                       │ one transaction
                                     alerts ◀──────────┤
                                     alert_sendings ◀──┘──▶ waiting ──▶ sent | failed

An alert and its sendings are written in the transaction that notes what was told, so that a crash
neither loses nor doubles one. Nothing here holds what a caller said.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id


class AlertType(StrEnum):
    """What an alert tells; the ``type`` of the payload that is sent."""

    DEGRADED = "connection.degraded"
    NEEDS_RECONNECT = "connection.needs_reconnect"
    RECOVERED = "connection.recovered"
    PAUSED = "connection.paused"
    RESUMED = "connection.resumed"
    QUEUE_OLD = "queue.old"
    QUEUE_RECOVERED = "queue.recovered"
    BUDGET_USED = "budget.used"
    PARKED = "deliveries.parked"
    WEBHOOK_DISABLED = "webhook.disabled"
    TEST = "test"


class Channel(StrEnum):
    """How an alert is sent."""

    WEBHOOK = "webhook"
    MAIL = "mail"


class SendingState(StrEnum):
    """Whether an alert arrived."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class WebhookEndpoint(TenantOwned, Created, Base):
    """An address of the tenant's that is told of alerts, signed by Standard Webhooks.

    ``secret`` and, until ``previous_until``, ``previous_secret`` are sealed; both sign. ``types`` names the
    alerts that it wants; empty means all. ``failing_since`` is when the first of an unbroken row of
    failures was. A disabled endpoint is kept: only a person removes one.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("whk"))
    url: Mapped[str]
    note: Mapped[str] = mapped_column(default="")
    types: Mapped[list[str]] = mapped_column(default=list)
    secret: Mapped[bytes]
    previous_secret: Mapped[bytes | None]
    previous_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]


class AlertState(TenantOwned, Base):
    """What was last told of one subject of a connection; no row means that all was well.

    ``subject`` is ``health``, ``pause``, ``queue_age``, ``parked`` or ``budget:<limit>``; ``level`` is what was told,
    ``since`` from when on it holds, and ``told_at`` when the last alert about it was written.
    """

    __tablename__ = "alert_states"

    connection_id: Mapped[str] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True
    )
    subject: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[str]
    since: Mapped[datetime]
    told_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Alert(TenantOwned, Created, Base):
    """Something that a tenant is told, once. ``facts`` are numbers and names of ours, never a caller's data."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_newest", "tenant_id", "id"),
        Index("ix_alerts_connection", "connection_id", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("alr"))
    connection_id: Mapped[str | None] = mapped_column(
        ForeignKey("connections.id", ondelete="CASCADE")
    )
    type: Mapped[str]
    reason: Mapped[str]
    since: Mapped[datetime]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)


class AlertSending(TenantOwned, Created, Base):
    """One alert on its way to one endpoint or one mail address.

    A waiting row is tried when it is due; whoever takes it puts ``due_at`` off and counts the attempt first, so
    that the row of a process that died comes up again. ``tries`` keeps each try:
    ``at``, ``status``, ``ms`` and ``problem``.
    """

    __tablename__ = "alert_sendings"
    __table_args__ = (
        CheckConstraint("channel in ('webhook', 'mail')", name="channel"),
        CheckConstraint("state in ('waiting', 'sent', 'failed')", name="state"),
        CheckConstraint("(channel = 'webhook') = (endpoint_id is not null)", name="endpoint"),
        Index("ix_alert_sendings_due", "due_at", postgresql_where="state = 'waiting'"),
        Index("ix_alert_sendings_endpoint", "endpoint_id", "id"),
        Index("ix_alert_sendings_newest", "tenant_id", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("snd"))
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), index=True)
    channel: Mapped[str]
    endpoint_id: Mapped[str | None] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE")
    )
    address: Mapped[str]
    state: Mapped[str] = mapped_column(default=SendingState.WAITING.value)
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default="0")
    tries: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    settled_at: Mapped[datetime | None]
