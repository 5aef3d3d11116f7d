"""Writing alerts down, each with a row for everybody who is told, in the transaction of whoever has news."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from connectors.registry import CONNECTORS
from hub.alerts import preferences, words
from hub.alerts.words import About
from hub.context import Hub
from hub.db.alerts import Alert, AlertSending, AlertType, Channel, WebhookEndpoint
from hub.db.base import new_id
from hub.db.connections import Connection
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Item:
    """News of one tenant, about a connection or about none."""

    tenant_id: str
    type: AlertType
    since: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    connection: Connection | None = None


@dataclass(frozen=True, slots=True)
class _Audience:
    endpoints: tuple[WebhookEndpoint, ...]
    addresses: tuple[str, ...]


def about(connection: Connection | None) -> About:
    """Say how people call a connection and its vendor."""
    if connection is None:
        return About()
    vendor, _ = CONNECTORS.get(connection.connector, (connection.connector, ""))
    return About(" ".join(connection.label.split()), vendor)


def write(hub: Hub, session: TenantSession, items: Iterable[Item], at: datetime) -> list[Alert]:
    """Write alerts and their sendings, due at once; gives the alerts. Nobody is told before the commit."""
    audiences: dict[str, _Audience] = {}
    found = []
    for item in items:
        if item.tenant_id not in audiences:
            audiences[item.tenant_id] = _audience(hub, session, item.tenant_id)
        alert = _alert(item, at)
        session.add(alert)
        session.flush()
        session.add_all(_sendings(alert, audiences[item.tenant_id], at))
        found.append(alert)
    session.flush()
    return found


def write_test(
    session: TenantSession, tenant_id: str, at: datetime, *, endpoint: WebhookEndpoint
) -> Alert:
    """Write a test that goes to one endpoint only, whatever it wants to be told."""
    alert = _alert(Item(tenant_id, AlertType.TEST, at), at)
    session.add(alert)
    session.flush()
    session.add(_to_endpoint(alert, endpoint, at))
    session.flush()
    return alert


def write_test_mail(
    session: TenantSession, tenant_id: str, at: datetime, *, addresses: Iterable[str]
) -> Alert:
    """Write a test that goes to some mail addresses only."""
    alert = _alert(Item(tenant_id, AlertType.TEST, at), at)
    session.add(alert)
    session.flush()
    session.add_all(_to_address(alert, one, at) for one in addresses)
    session.flush()
    return alert


def _audience(hub: Hub, session: TenantSession, tenant_id: str) -> _Audience:
    endpoints = session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.tenant_id == tenant_id, WebhookEndpoint.disabled_at.is_(None))
        .order_by(WebhookEndpoint.id)
    ).all()
    addresses: list[str] = []
    if hub.settings.sends_mail:
        settings = session.scalars(select(Tenant.settings).where(Tenant.id == tenant_id)).one()
        chosen = preferences.Preferences.of(settings)
        addresses = preferences.addresses(session, tenant_id, chosen)
    return _Audience(tuple(endpoints), tuple(addresses))


def _alert(item: Item, at: datetime) -> Alert:
    return Alert(
        id=new_id("alr"),
        tenant_id=item.tenant_id,
        connection_id=item.connection.id if item.connection else None,
        type=item.type.value,
        reason=words.sentence(item.type, item.facts, about(item.connection)),
        since=item.since,
        facts=dict(item.facts),
        created_at=at,
    )


def _sendings(alert: Alert, audience: _Audience, at: datetime) -> list[AlertSending]:
    wanted = [one for one in audience.endpoints if not one.types or alert.type in one.types]
    return [_to_endpoint(alert, one, at) for one in wanted] + [
        _to_address(alert, one, at) for one in audience.addresses
    ]


def _to_endpoint(alert: Alert, endpoint: WebhookEndpoint, at: datetime) -> AlertSending:
    return AlertSending(
        tenant_id=alert.tenant_id,
        alert_id=alert.id,
        channel=Channel.WEBHOOK.value,
        endpoint_id=endpoint.id,
        address="",
        due_at=at,
    )


def _to_address(alert: Alert, address: str, at: datetime) -> AlertSending:
    return AlertSending(
        tenant_id=alert.tenant_id,
        alert_id=alert.id,
        channel=Channel.MAIL.value,
        address=address,
        due_at=at,
    )
