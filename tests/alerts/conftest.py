"""A company with a connection, and people who want to be told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from hub.alerts import endpoints
from hub.alerts.send import send_due
from hub.alerts.watch import watch
from hub.context import Hub
from hub.db.alerts import Alert, AlertSending, WebhookEndpoint
from hub.db.base import new_id, now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.tenants import Tenant
from tests.alerts.receiving import Mailbox, Receiver, mailbox, receiver
from tests.conftest import Company


@pytest.fixture
def received() -> Iterator[Receiver]:
    """An HTTP server that is told."""
    with receiver() as found:
        yield found


@pytest.fixture
def mails() -> Iterator[Mailbox]:
    """A mail server."""
    with mailbox() as found:
        yield found


@dataclass
class Told:
    """A company whose connection is watched at moments that the test names."""

    hub: Hub
    company: Company
    connection_id: str
    at: datetime

    def after(self, **span: float) -> datetime:
        """Let time pass."""
        self.at += timedelta(**span)
        return self.at

    def set(self, **columns: Any) -> None:
        """Change the connection as the delivery engine does: in its row."""
        with self.hub.tenant(self.company.tenant_id) as session:
            session.execute(
                update(Connection).where(Connection.id == self.connection_id).values(**columns)
            )

    def degrade(self) -> None:
        """Let the vendor fail at this moment."""
        self.set(
            health=Health.DEGRADED.value,
            health_at=self.at,
            health_reason="Dana Whitfield +14155550132 is no valid name",
        )

    def succeed(self) -> None:
        """Let a delivery go through at this moment, and the connection be well again."""
        self.set(
            health=Health.HEALTHY.value,
            health_reason=None,
            health_at=self.at,
            last_success_at=self.at,
        )

    def prefer(self, **settings: Any) -> None:
        """Set what the tenant wants of alerts."""
        with self.hub.tenant(self.company.tenant_id) as session:
            session.execute(
                update(Tenant)
                .where(Tenant.id == self.company.tenant_id)
                .values(settings={"alerts": settings})
            )

    def look(self, *, is_thorough: bool = True) -> list[str]:
        """Look as of this moment; gives the types of this company's new alerts."""
        written = watch(self.hub, self.at, is_thorough=is_thorough)
        return [one.type for one in written if one.tenant_id == self.company.tenant_id]

    def send(self) -> int:
        """Send what is due at this moment."""
        return send_due(self.hub, self.at)

    def alerts(self) -> list[Alert]:
        """Give all alerts, oldest first."""
        return self._all(select(Alert).order_by(Alert.id))

    def sendings(self) -> list[AlertSending]:
        """Give all sendings, oldest first."""
        return self._all(select(AlertSending).order_by(AlertSending.id))

    def endpoint(self, url: str, *types: str) -> endpoints.Shown:
        """Add a webhook."""
        return endpoints.create(
            self.hub, self.company.tenant_id, url=url, types=types, actor="command"
        )

    def reread(self, endpoint_id: str) -> WebhookEndpoint:
        """Read a webhook again."""
        (found,) = self._all(select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id))
        return found

    def rows(self, number: int, *, state: str, at: datetime, **columns: Any) -> list[str]:
        """Put deliveries of the connection into a state."""
        ids = [new_id("dlv") for _ in range(number)]
        tenant_id = self.company.tenant_id
        with self.hub.tenant(tenant_id) as session:
            event = StoredEvent(
                id=new_id("evt"),
                source="/voice/lines/main",
                event_id=new_id("evn"),
                type="com.afterbeep.voicemail.completed.v1",
                time=at,
                received_at=at,
                bucket="new_lead",
                urgency_score=10,
                urgency_level="low",
                escalate=False,
                planned=number,
                body_hash="0",
                body=b"",
            )
            session.add(event)
            session.flush()
            for one in ids:
                session.add(
                    Delivery(
                        id=one,
                        event_id=event.id,
                        connection_id=self.connection_id,
                        step=one,
                        key=one,
                        state=state,
                        due_at=at,
                        updated_at=at,
                        **columns,
                    )
                )
        return ids

    def settle(self, ids: list[str], state: str) -> None:
        """Move deliveries on."""
        record = {"record_id": "00Q1"} if state == "delivered" else {}
        with self.hub.tenant(self.company.tenant_id) as session:
            session.execute(
                update(Delivery)
                .where(Delivery.id.in_(ids))
                .values(state=state, updated_at=self.at, **record)
            )

    def _all(self, query: Any) -> list[Any]:
        with self.hub.tenant(self.company.tenant_id) as session:
            return list(session.scalars(query))


@pytest.fixture
def told(hub: Hub, company: Company) -> Told:
    """A healthy connection; what other tests left to be sent is out of the way."""
    at = now()
    with hub.everyone("a test clears what others left") as session:
        session.execute(
            update(AlertSending).where(AlertSending.state == "waiting").values(state="failed")
        )
    with hub.tenant(company.tenant_id) as session:
        row = Connection(
            connector="salesforce",
            label="Harbor CRM",
            login_url="http://127.0.0.1:9",
            account_id=new_id("org"),
            health=Health.HEALTHY.value,
            health_at=at,
        )
        session.add(row)
        session.flush()
        return Told(hub, company, row.id, at)


@pytest.fixture
def mailing(told: Told, mails: Mailbox) -> Told:
    """The same, with a mail server in the settings."""
    from hub.settings import load

    settings = load(
        data_dir=told.hub.settings.data_dir,
        database_url=told.hub.settings.database_url.get_secret_value(),
        redis_url=told.hub.settings.redis_url.get_secret_value(),
        allow_loopback_vendors=True,
        smtp_url=mails.url,
        mail_from="alerts@hub.example",
    )
    told.hub = replace(told.hub, settings=settings)
    return told
