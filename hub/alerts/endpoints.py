"""Webhook endpoints of a tenant: made, changed, given a new secret, tried and removed by a person.

A secret is shown once and kept sealed. After a rotation both sign for a day, so that a receiver can change over.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import func, select

from hub.alerts import outbox, outside
from hub.alerts.words import CHOOSABLE
from hub.context import Hub
from hub.db import audit
from hub.db.alerts import AlertSending, SendingState, WebhookEndpoint
from hub.db.base import new_id, now
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant

PER_TENANT: Final = 10
OLD_SECRET_LASTS: Final = timedelta(hours=24)
LONGEST_NOTE: Final = 120
#: Standard Webhooks asks for 24 to 64 bytes.
#: Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (2026-11-22)
_SECRET_BYTES: Final = 32


class UnknownEndpoint(LookupError):
    """The tenant has no such endpoint."""


class WrongEndpoint(ValueError):
    """It cannot be kept so; the message says what to change, ``member`` where: ``url`` or ``types``."""

    def __init__(self, message: str, *, member: str = "url") -> None:
        """Keep what is wrong."""
        super().__init__(message)
        self.member = member


class TooMany(WrongEndpoint):
    """The tenant has as many as it may have."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An endpoint and a secret that was just made, which a person sees once."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


def host(url: str) -> str:
    """Give the part of an address that may be told to others; the rest may hold a secret."""
    return urlsplit(url).netloc


def every(session: TenantSession) -> list[WebhookEndpoint]:
    """Give all endpoints of the session's tenant, oldest first."""
    query = select(WebhookEndpoint).order_by(WebhookEndpoint.created_at, WebhookEndpoint.id)
    return list(session.scalars(query))


def one(session: TenantSession, endpoint_id: str, *, is_to_change: bool = False) -> WebhookEndpoint:
    """Give one endpoint of the session's tenant; raises UnknownEndpoint."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id)
    found = session.scalars(query.with_for_update() if is_to_change else query).one_or_none()
    if found is None:
        raise UnknownEndpoint("There is no such webhook.")
    return found


def create(
    hub: Hub, tenant_id: str, *, url: str, note: str = "", types: Sequence[str] = (), actor: str
) -> Shown:
    """Add an endpoint; raises WrongEndpoint."""
    wanted = _checked(hub, url, types)
    endpoint_id, secret = new_id("whk"), _new_secret()
    # Before the tenant's row is locked: a tenant's first sealed value makes its key in a transaction of its own.
    sealed = _sealed(hub, tenant_id, endpoint_id, "secret", secret)
    with hub.tenant(tenant_id) as session:
        # The tenant's row keeps two of these from passing the count together.
        session.scalars(
            select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True)
        ).one()
        count = session.scalar(select(func.count(WebhookEndpoint.id))) or 0
        if count >= PER_TENANT:
            raise TooMany(f"There are {PER_TENANT} webhooks, which is the most. Remove one.")
        row = WebhookEndpoint(
            id=endpoint_id,
            url=url,
            note=_line(note),
            types=wanted,
            secret=sealed,
        )
        session.add(row)
        session.flush()
        session.refresh(row)
        facts = {"host": host(url), "types": wanted}
        audit.record(
            session, actor=actor, action="webhook.created", target=endpoint_id, facts=facts
        )
    return Shown(row, secret)


def change(
    hub: Hub,
    tenant_id: str,
    endpoint_id: str,
    *,
    actor: str,
    url: str | None = None,
    note: str | None = None,
    types: Sequence[str] | None = None,
    is_enabled: bool | None = None,
) -> WebhookEndpoint:
    """Change what is given; an endpoint that is enabled again starts without its past.

    Raises UnknownEndpoint and WrongEndpoint.
    """
    with hub.tenant(tenant_id) as session:
        row = one(session, endpoint_id, is_to_change=True)
        wanted = _checked(hub, url or row.url, row.types if types is None else types)
        row.url, row.types = url or row.url, wanted
        row.note = row.note if note is None else _line(note)
        if is_enabled and row.disabled_at is not None:
            row.disabled_at = row.disabled_reason = row.failing_since = None
        if is_enabled is False and row.disabled_at is None:
            row.disabled_at, row.disabled_reason = now(), "Somebody turned it off."
        session.flush()
        facts = {"host": host(row.url), "types": wanted, "is_enabled": row.disabled_at is None}
        audit.record(
            session, actor=actor, action="webhook.changed", target=endpoint_id, facts=facts
        )
    return row


def rotate(hub: Hub, tenant_id: str, endpoint_id: str, *, actor: str) -> Shown:
    """Give an endpoint a new secret; the one before goes on signing for a day. Raises UnknownEndpoint."""
    secret = _new_secret()
    with hub.tenant(tenant_id) as session:
        row = one(session, endpoint_id, is_to_change=True)
        before = _opened(hub, row, "secret", row.secret)
        row.previous_secret = _sealed(hub, tenant_id, row.id, "previous_secret", before)
        row.previous_until = now() + OLD_SECRET_LASTS
        row.secret = _sealed(hub, tenant_id, row.id, "secret", secret)
        session.flush()
        audit.record(session, actor=actor, action="webhook.secret_rotated", target=endpoint_id)
    return Shown(row, secret)


def remove(hub: Hub, tenant_id: str, endpoint_id: str, *, actor: str) -> None:
    """Remove an endpoint with its log. Raises UnknownEndpoint."""
    with hub.tenant(tenant_id) as session:
        row = one(session, endpoint_id, is_to_change=True)
        facts = {"host": host(row.url)}
        session.delete(row)
        session.flush()
        audit.record(
            session, actor=actor, action="webhook.removed", target=endpoint_id, facts=facts
        )


def test(hub: Hub, tenant_id: str, endpoint_id: str, *, actor: str) -> AlertSending:
    """Send an endpoint a test, the way that alerts go; gives its row in the log.

    Raises UnknownEndpoint, and WrongEndpoint for one that is turned off.
    """
    with hub.tenant(tenant_id) as session:
        row = one(session, endpoint_id)
        if row.disabled_at is not None:
            raise WrongEndpoint("This webhook is turned off. Turn it on first.")
        alert = outbox.write_test(session, tenant_id, now(), endpoint=row)
        sending = session.scalars(
            select(AlertSending).where(AlertSending.alert_id == alert.id)
        ).one()
        audit.record(session, actor=actor, action="webhook.tested", target=endpoint_id)
    return sending


def send_again(
    hub: Hub, tenant_id: str, endpoint_id: str, sending_id: str, *, actor: str
) -> AlertSending:
    """Try a line of an endpoint's log now, whatever came of it; it carries the same ``webhook-id`` as before.

    Raises UnknownEndpoint, also for a line that it does not have, and WrongEndpoint for an endpoint that is turned
    off and for a line that is on its way.
    """
    with hub.tenant(tenant_id) as session:
        endpoint = one(session, endpoint_id)
        row = session.scalars(
            select(AlertSending)
            .where(AlertSending.id == sending_id, AlertSending.endpoint_id == endpoint_id)
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise UnknownEndpoint("There is no such line in the log.")
        if endpoint.disabled_at is not None:
            raise WrongEndpoint("This webhook is turned off. Turn it on first.")
        is_open = row.state == SendingState.WAITING.value
        if is_open and row.attempts > len(row.tries):
            raise WrongEndpoint("It is on its way just now.")
        row.state, row.due_at, row.settled_at = SendingState.WAITING.value, now(), None
        session.flush()
        facts = {"sending": sending_id, "alert": row.alert_id}
        audit.record(
            session, actor=actor, action="webhook.sent_again", target=endpoint_id, facts=facts
        )
    return row


def secrets(hub: Hub, row: WebhookEndpoint, at: datetime) -> list[str]:
    """Give the secrets that sign now, the newest first."""
    found = [_opened(hub, row, "secret", row.secret)]
    if row.previous_secret and row.previous_until and row.previous_until > at:
        found.append(_opened(hub, row, "previous_secret", row.previous_secret))
    return found


def _checked(hub: Hub, url: str, types: Sequence[str]) -> list[str]:
    try:
        outside.check(url, allow_loopback=hub.settings.allow_loopback_vendors)
    except outside.NotAllowed as err:
        raise WrongEndpoint(str(err)) from None
    unknown = sorted(set(types) - set(CHOOSABLE))
    if unknown:
        message = f"There is no alert of the type {unknown[0][:40]!r} to choose."
        raise WrongEndpoint(message, member="types")
    return [kind for kind in CHOOSABLE if kind in types]


def _line(note: str) -> str:
    # The database keeps no NUL, and what cannot be seen has no place in a note.
    return " ".join("".join(one if one.isprintable() else " " for one in note).split())[
        :LONGEST_NOTE
    ]


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def _about(endpoint_id: str, column: str) -> str:
    return f"webhook_endpoints.{column}:{endpoint_id}"


def _sealed(hub: Hub, tenant_id: str, endpoint_id: str, column: str, secret: str) -> bytes:
    return hub.vault.seal_text(tenant_id, secret, about=_about(endpoint_id, column))


def _opened(hub: Hub, row: WebhookEndpoint, column: str, sealed: bytes) -> str:
    return hub.vault.open_text(row.tenant_id, sealed, about=_about(row.id, column))
