"""Removes what callers said when the tenant's days of keeping it are over: recordings, tool calls, bodies of events.

It goes chunk by chunk, each a short transaction with its row in the audit log, so that whoever is killed in the middle
leaves nothing half done. An event stays an event: what was done about it is still listed, and its sender's id is still
known. One whose deliveries still wait, for a worker or for a person, is kept until they do not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, select, tuple_, update
from sqlalchemy.exc import SQLAlchemyError

from hub import log
from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.deliveries import Attempt, Delivery, State
from hub.db.events import StoredEvent
from hub.db.telephone import CallRecording, VoiceToolCall
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant
from hub.delivery.only_one import only_one
from hub.voice.settings import Kept

_LOG: Final = log.get(__name__)
_CHUNK: Final = 500
#: How often it is looked for what is over.
EVERY_S: Final = 3_600.0
#: A delivery in one of these still needs the event's body.
_OPEN: Final = tuple(
    state.value for state in (State.HELD, State.WAITING, State.SENDING, State.PARKED)
)
_IS_NEEDED: Final = (
    select(Delivery.id)
    .where(Delivery.event_id == StoredEvent.id, Delivery.state.in_(_OPEN))
    .exists()
)


@dataclass(frozen=True, slots=True)
class Removed:
    """How much was removed."""

    events: int = 0
    recordings: int = 0
    tool_calls: int = 0

    def plus(self, other: Removed) -> Removed:
        """Add up."""
        return Removed(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    def counts(self) -> dict[str, int]:
        """Give the numbers by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def run(hub: Hub, stop: threading.Event) -> None:
    """Remove what is over, once an hour until told to stop; of several processes one does."""
    while not stop.is_set():
        try:
            with only_one(hub, "retention") as is_mine:
                if is_mine:
                    remove_all(hub, stop)
        except SQLAlchemyError as err:
            _LOG.warning("retention interrupted", error=type(err).__name__)
        except Exception:  # noqa: BLE001 - a defect with one tenant must not end it for good
            _LOG.exception("retention failed")
        stop.wait(EVERY_S)


def remove_all(hub: Hub, stop: threading.Event | None = None) -> None:
    """Remove what is over of every tenant."""
    with hub.everyone("what callers said is removed when its time is over") as session:
        kept = session.execute(
            select(Tenant.id, Tenant.settings).where(Tenant.settings.has_key("voice"))
        ).all()
    for tenant_id, settings in kept:
        days = Kept.of(settings).settings.retention_days
        if days is not None and not (stop and stop.is_set()):
            remove(hub, tenant_id, days=days)


def over(hub: Hub, tenant_id: str, *, days: int) -> Removed:
    """Count what the next round would remove of a tenant that keeps it for so many days."""
    before = now() - timedelta(days=days)
    with hub.tenant(tenant_id) as session:
        events = session.scalar(
            select(func.count(StoredEvent.id)).where(*_is_over(before), ~_IS_NEEDED)
        )
        recordings, tool_calls = (
            session.scalar(select(func.count(kind.id)).where(kind.created_at < before)) or 0
            for kind in (CallRecording, VoiceToolCall)
        )
    return Removed(events or 0, recordings, tool_calls)


def remove(hub: Hub, tenant_id: str, *, days: int) -> Removed:
    """Remove what a tenant has had for longer than so many days; gives how much."""
    before = now() - timedelta(days=days)
    total, place = Removed(), None
    while True:
        with hub.tenant(tenant_id) as session:
            rows = _over(session, before, place)
            removed = Removed(
                _expunge(session, [row.id for row in rows]),
                _delete(session, CallRecording, before),
                _delete(session, VoiceToolCall, before),
            )
            if removed != Removed():
                audit.record(
                    session,
                    actor="worker",
                    action="retention.applied",
                    target=tenant_id,
                    facts={"days": days, **removed.counts()},
                )
        if removed == Removed():
            break
        total = total.plus(removed)
        # What was passed over because of its deliveries is not looked at again in this round.
        place = (rows[-1].received_at, rows[-1].id) if rows else place
    if total != Removed():
        _LOG.info("retention applied", tenant_id=tenant_id, days=days, **total.counts())
    return total


def _is_over(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (StoredEvent.received_at < before, StoredEvent.expunged_at.is_(None))


def _over(
    session: TenantSession, before: datetime, place: tuple[datetime, str] | None
) -> Sequence[Any]:
    query = (
        select(StoredEvent.id, StoredEvent.received_at)
        .where(*_is_over(before), ~_IS_NEEDED)
        .order_by(StoredEvent.received_at, StoredEvent.id)
        .limit(_CHUNK)
        .with_for_update(of=StoredEvent, skip_locked=True)
    )
    if place is not None:
        query = query.where(tuple_(StoredEvent.received_at, StoredEvent.id) > place)
    return session.execute(query).all()


def _expunge(session: TenantSession, event_ids: Sequence[str]) -> int:
    """Empty events, and what vendors said of their deliveries: it may quote the caller."""
    if not event_ids:
        return 0
    quietly = {"synchronize_session": False}
    session.execute(
        update(StoredEvent)
        .where(StoredEvent.id.in_(event_ids))
        .values(body=b"", caller_hash=None, expunged_at=now()),
        execution_options=quietly,
    )
    session.execute(
        update(Attempt)
        .where(
            Attempt.delivery_id.in_(select(Delivery.id).where(Delivery.event_id.in_(event_ids))),
            Attempt.detail.is_not(None),
        )
        .values(detail=None),
        execution_options=quietly,
    )
    session.execute(
        update(Delivery)
        .where(Delivery.event_id.in_(event_ids))
        .values(detail=None, candidates=None, before_detail=None, before_candidates=None),
        execution_options=quietly,
    )
    return len(event_ids)


def _delete(
    session: TenantSession, kind: type[CallRecording | VoiceToolCall], before: datetime
) -> int:
    ids = session.scalars(
        select(kind.id).where(kind.created_at < before).order_by(kind.id).limit(_CHUNK)
    ).all()
    if ids:
        session.execute(
            delete(kind).where(kind.id.in_(ids)), execution_options={"synchronize_session": False}
        )
    return len(ids)
