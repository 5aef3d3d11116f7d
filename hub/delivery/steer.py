"""An operator's hand on a connection: pause, resume and configure. A pause loses nothing; rows wait."""

from __future__ import annotations

from sqlalchemy import select

from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.connections import Connection
from hub.delivery.budget import Budget
from hub.delivery.configure import Change, Wrong, WrongSettings, configure
from hub.delivery.remote_account import AccountKey
from hub.delivery.wake import awake, wake

__all__ = ["Change", "Wrong", "WrongSettings", "configure", "pause", "resume"]


def pause(hub: Hub, tenant_id: str, connection_id: str, *, actor: str) -> None:
    """Stop sending on a connection until somebody resumes it."""
    with hub.tenant(tenant_id) as session:
        row = session.scalars(select(Connection).where(Connection.id == connection_id)).one()
        if row.paused_at is None:
            row.paused_at, row.paused_by = now(), actor
            session.flush()
            audit.record(session, actor=actor, action="connection.paused", target=connection_id)


def resume(hub: Hub, tenant_id: str, connection_id: str, *, actor: str) -> None:
    """Send again, at once: a back-off that was running is cut short, the vendor's own "not now" too."""
    with hub.tenant(tenant_id) as session:
        row = session.scalars(select(Connection).where(Connection.id == connection_id)).one()
        row.paused_at = row.paused_by = None
        row.retry_at = row.wake_at = None
        session.flush()
        audit.record(session, actor=actor, action="connection.resumed", target=connection_id)
    Budget(hub).forgive(AccountKey.of(row, hub.settings.account_share))
    awake(hub, connection_id)  # nor does a wait for more budget keep the ring from being heard
    wake(hub, [connection_id], is_urgent=True)
