"""Rotation of a tenant's data key: everything sealed is sealed again under the newest key, while the hub runs.

It goes chunk by chunk, each a short transaction, and passes over rows that somebody is changing; a second pass, when
every process has learnt of the new key, takes those. A rotation that was interrupted is finished by the next call,
before any newer key is made. Old keys are kept: marked as retired, except the first, which makes fingerprints.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from hub.db import audit
from hub.db.alerts import WebhookEndpoint
from hub.db.base import now
from hub.db.connections import ConnectFlow, Connection
from hub.db.deliveries import Attempt, Delivery
from hub.db.events import StoredEvent
from hub.db.subscriptions import HeldSubscription
from hub.db.telephone import RecordingPart, VoiceToolCall
from hub.db.tenancy import TenantSession
from hub.db.vault import REMEMBERS_S, DataKey, Unreadable, Vault

_CHUNK: Final = 200
#: In the counts: values that could not be opened; they stay as they are.
UNREADABLE: Final = "unreadable"


class Hub(Protocol):
    """What is needed of ``hub.context.Hub``, which stands above this package."""

    @property
    def vault(self) -> Vault:
        """The vault that seals and opens."""

    def tenant(self, tenant_id: str) -> AbstractContextManager[TenantSession]:
        """Open a transaction that sees one tenant."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed values; ``owner`` is the column whose id the values are bound to.

    ``about`` names the column that values of this one were moved from, and still are sealed as.
    """

    column: InstrumentedAttribute[Any]
    key: InstrumentedAttribute[Any]
    owner: InstrumentedAttribute[str]
    about: str | None = None

    @property
    def name(self) -> str:
        """Table and column; values are sealed about it, unless ``about`` says otherwise."""
        return f"{self.column.class_.__tablename__}.{self.column.key}"


#: Every column that holds what the vault sealed.
SEALED: Final = (
    Sealed(Connection.access_token, Connection.id, Connection.id),
    Sealed(Connection.refresh_token, Connection.id, Connection.id),
    Sealed(ConnectFlow.verifier, ConnectFlow.id, ConnectFlow.id),
    Sealed(StoredEvent.body, StoredEvent.id, StoredEvent.id),
    Sealed(Delivery.detail, Delivery.id, Delivery.id),
    Sealed(Delivery.candidates, Delivery.id, Delivery.id),
    Sealed(Delivery.before_detail, Delivery.id, Delivery.id, "deliveries.detail"),
    Sealed(Delivery.before_candidates, Delivery.id, Delivery.id, "deliveries.candidates"),
    Sealed(Attempt.detail, Attempt.id, Attempt.delivery_id),
    Sealed(HeldSubscription.secret, HeldSubscription.id, HeldSubscription.id),
    Sealed(WebhookEndpoint.secret, WebhookEndpoint.id, WebhookEndpoint.id),
    Sealed(WebhookEndpoint.previous_secret, WebhookEndpoint.id, WebhookEndpoint.id),
    Sealed(VoiceToolCall.body, VoiceToolCall.id, VoiceToolCall.id),
    Sealed(RecordingPart.body, RecordingPart.id, RecordingPart.id),
)


def rotate(
    hub: Hub, tenant_id: str, *, actor: str = "command", settle_s: float = REMEMBERS_S
) -> dict[str, int]:
    """Seal a tenant's values under a new key; gives how many of each column, and of those that are unreadable.

    Takes ``settle_s`` seconds longer than the work: so long other processes may go on with the key before. Raises
    KeyMissing when a master key is not at hand.
    """
    hub.vault.forget(tenant_id)
    hub.vault.check(tenant_id)
    counts = _pass(hub, tenant_id)
    if not any(number for name, number in counts.items() if name != UNREADABLE):
        hub.vault.rotate(tenant_id)
        counts = _pass(hub, tenant_id)
    threading.Event().wait(settle_s)
    for name, number in _pass(hub, tenant_id).items():
        counts[name] = number if name == UNREADABLE else counts[name] + number
    _retire(hub, tenant_id, counts, actor)
    return counts


def _pass(hub: Hub, tenant_id: str) -> dict[str, int]:
    newest = hub.vault.newest(tenant_id)
    counts = {one.name: 0 for one in SEALED} | {UNREADABLE: 0}
    for one in SEALED:
        after: Any = None
        while True:
            after, done, unreadable = _chunk(hub, tenant_id, one, newest, after)
            counts[one.name] += done
            counts[UNREADABLE] += unreadable
            if after is None:
                break
    return counts


def _chunk(hub: Hub, tenant_id: str, one: Sealed, newest: int, after: Any) -> tuple[Any, int, int]:
    """Seal some values again; gives where to go on (None at the end), how many, and how many were unreadable."""
    query = (
        select(one.key, one.owner, one.column)
        .where(
            func.octet_length(one.column) > 0,
            func.substring(one.column, 2, 4) != newest.to_bytes(4),
        )
        .order_by(one.key)
        .limit(_CHUNK)
        .with_for_update(skip_locked=True)
    )
    if after is not None:
        query = query.where(one.key > after)
    unreadable = 0
    with hub.tenant(tenant_id) as session:
        rows = session.execute(query).all()
        fresh: list[tuple[Any, bytes]] = []
        for key, owner, sealed in rows:
            about = f"{one.about or one.name}:{owner}"
            try:
                plain = hub.vault.open(tenant_id, sealed, about=about)
            except Unreadable:
                unreadable += 1
            else:
                fresh.append((key, hub.vault.seal(tenant_id, plain, about=about)))
        for key, sealed in fresh:
            session.execute(
                update(one.column.class_).where(one.key == key).values({one.column: sealed}),
                execution_options={"synchronize_session": False},
            )
    return (rows[-1][0] if rows else None), len(fresh), unreadable


def _retire(hub: Hub, tenant_id: str, counts: dict[str, int], actor: str) -> None:
    number = hub.vault.newest(tenant_id)
    with hub.tenant(tenant_id) as session:
        session.execute(
            update(DataKey)
            .where(DataKey.number > 1, DataKey.number < number, DataKey.retired_at.is_(None))
            .values(retired_at=now())
        )
        audit.record(
            session,
            actor=actor,
            action="keys.rotated",
            target=tenant_id,
            facts={"key": number, "values": counts},
        )
