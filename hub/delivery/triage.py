"""What a person says of a voicemail: that it belongs in another bucket, and that its caller was called back.

A corrected bucket holds for lists, sums and mappings from then on; what it was before is kept as feedback. What the
voicemail led to under the old bucket stays, until somebody has it planned anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.tenancy import TenantSession
from hub.db.triage import BucketCorrection, CallBack
from hub.db.vault import Unreadable
from hub.delivery.playbook import Playbook, Row, playbook, rows_for
from hub.delivery.wake import wake
from mappings.event import Bucket, with_transcript_text

#: What has not gone out yet, and so need not.
_UNSENT = frozenset({State.HELD.value, State.PARKED.value, State.WAITING.value})
_MOVED = "A person moved this voicemail into another bucket"


class NoSuchVoicemail(LookupError):
    """The tenant has no voicemail of this id."""


class NoSuchBucket(ValueError):
    """There is no such bucket."""


class Moved(Exception):
    """Somebody has moved the voicemail meanwhile; ``bucket`` is where it is now."""

    def __init__(self, bucket: str) -> None:
        """Keep the bucket."""
        super().__init__(f"It is in {bucket} now.")
        self.bucket = bucket


class CannotRead(ValueError):
    """What the caller said was removed or cannot be opened, so nothing can be planned from it."""


@dataclass(frozen=True, slots=True)
class Anew:
    """What planning anew came to: rows that are to be sent or approved now, rows that are not, rows that stayed."""

    added: int
    withdrawn: int
    kept: int


def correct(
    hub: Hub, tenant_id: str, event_id: str, bucket: str, *, seen: str | None = None, actor: str
) -> bool:
    """Say which bucket a voicemail belongs in; tells whether that is another one than before.

    ``seen`` is the bucket that the person saw it in. Putting it back where it came from takes the correction back.
    Raises NoSuchVoicemail, NoSuchBucket, and Moved when it is not where the person saw it.
    """
    with hub.tenant(tenant_id) as session:
        event = _event(session, event_id)
        if bucket not in {one.value for one in Bucket}:
            raise NoSuchBucket(bucket)
        if event.bucket == bucket:
            return False
        if seen and seen != event.bucket:
            raise Moved(event.bucket)
        kept = session.scalars(
            select(BucketCorrection).where(BucketCorrection.event_id == event_id)
        ).one_or_none()
        was = kept.was if kept else event.bucket
        if bucket == was:
            session.execute(delete(BucketCorrection).where(BucketCorrection.event_id == event_id))
        else:
            values = {"was": was, "bucket": bucket, "decided_by": actor, "decided_at": now()}
            session.execute(
                insert(BucketCorrection)
                .values(event_id=event_id, tenant_id=tenant_id, **values)
                .on_conflict_do_update(index_elements=["event_id"], set_=values)
            )
        facts = {"from": event.bucket, "to": bucket, "came_as": was}
        event.bucket = bucket
        session.flush()
        audit.record(
            session, actor=actor, action="voicemail.bucket_corrected", target=event_id, facts=facts
        )
    return True


def call_back(hub: Hub, tenant_id: str, event_id: str, *, is_done: bool, actor: str) -> bool:
    """Note that a caller was called back, or take that back; tells whether that was not so before.

    Who was first stays. Raises NoSuchVoicemail.
    """
    with hub.tenant(tenant_id) as session:
        _event(session, event_id)
        was_done = (
            session.scalars(select(CallBack.event_id).where(CallBack.event_id == event_id)).first()
            is not None
        )
        if was_done is is_done:
            return False
        if is_done:
            session.execute(
                insert(CallBack)
                .values(event_id=event_id, tenant_id=tenant_id, called_by=actor, called_at=now())
                .on_conflict_do_nothing(index_elements=["event_id"])
            )
        else:
            session.execute(delete(CallBack).where(CallBack.event_id == event_id))
        audit.record(
            session,
            actor=actor,
            action="voicemail.called_back",
            target=event_id,
            facts={"is_done": is_done},
        )
    return True


def plan_anew(hub: Hub, tenant_id: str, event_id: str, *, actor: str) -> Anew:
    """Plan a voicemail by its bucket and the mappings of today.

    Steps of mappings that apply now are added, those that a dropped bucket had kept back go out, and what is not sent
    yet of mappings that apply no more is rejected. Records that were written stay.

    Raises NoSuchVoicemail and CannotRead.
    """
    current = playbook(hub, tenant_id, is_fresh=True)
    with hub.tenant(tenant_id) as session:
        event = _event(session, event_id)
        rows = rows_for(current, event.id, _facts(hub, event))
        known = session.scalars(
            select(Delivery)
            .where(Delivery.event_id == event_id)
            .order_by(Delivery.id)
            .with_for_update()
        ).all()
        found, woken = _settle(session, event, rows, known, actor)
        audit.record(
            session,
            actor=actor,
            action="voicemail.planned_anew",
            target=event_id,
            facts={
                "bucket": event.bucket,
                "added": found.added,
                "withdrawn": found.withdrawn,
                "kept": found.kept,
            },
        )
    wake(hub, sorted(woken))
    return found


def would_change(
    current: Playbook, event: StoredEvent, facts: Mapping[str, Any], known: Sequence[Delivery]
) -> bool:
    """Tell whether planning anew would do anything."""
    rows = [
        row
        for row in rows_for(current, event.id, {**facts, "bucket": event.bucket})
        if row.connection_id and row.state is not State.DROPPED
    ]
    wanted = {(row.mapping_id, row.step) for row in rows}
    at_rest = {(row.mapping_id, row.step) for row in known if row.state != State.DROPPED.value}
    return bool(wanted - at_rest) or any(
        row.state in _UNSENT and (row.mapping_id, row.step) not in wanted for row in known
    )


def _event(session: TenantSession, event_id: str) -> StoredEvent:
    found = session.scalars(
        select(StoredEvent).where(StoredEvent.id == event_id).with_for_update()
    ).one_or_none()
    if found is None:
        raise NoSuchVoicemail(event_id)
    return found


def _facts(hub: Hub, event: StoredEvent) -> dict[str, Any]:
    try:
        plain = hub.vault.open(event.tenant_id, event.body, about=f"events.body:{event.id}")
        facts = with_transcript_text(json.loads(plain)["data"])
    except (Unreadable, ValueError, LookupError, TypeError) as err:
        raise CannotRead("What the caller said is not there any more.") from err
    return {**facts, "bucket": event.bucket}


def _settle(
    session: TenantSession,
    event: StoredEvent,
    rows: Sequence[Row],
    known: Sequence[Delivery],
    actor: str,
) -> tuple[Anew, set[str]]:
    """Bring the rows that are there to what is planned; gives what changed, and the connections to wake."""
    there = {(row.mapping_id, row.step): row for row in known if row.connection_id}
    wanted = {
        (row.mapping_id, row.step): row
        for row in rows
        if row.connection_id and row.state is not State.DROPPED
    }
    withdrawn = [
        row
        for key, row in there.items()
        if key not in wanted and row.state in _UNSENT and row.job is None
    ]
    for one in withdrawn:
        one.state, one.reason, one.decided_by = State.REJECTED.value, _MOVED, actor
        one.updated_at = now()
    released = [
        (there[key], row)
        for key, row in wanted.items()
        if key in there and there[key].state == State.DROPPED.value
    ]
    for old, row in released:
        old.state, old.reason = row.state.value, row.reason
        old.due_at = old.updated_at = now()
    new = [row for key, row in wanted.items() if key not in there]
    ids = {row.id: there[key].id if key in there else row.id for key, row in wanted.items()}
    done = {row.id for row in known if row.record_id}
    session.add_all(_made(event.tenant_id, row, ids, done) for row in new)
    if wanted:
        for one in known:
            if one.connection_id is None:
                session.delete(one)
    session.flush()
    event.planned = len(
        session.scalars(select(Delivery.id).where(Delivery.event_id == event.id)).all()
    )
    session.flush()
    sent = [*new, *(row for _, row in released)]
    woken = {row.connection_id for row in sent if row.connection_id and row.state is State.WAITING}
    added = len(new) + len(released)
    return Anew(added, len(withdrawn), len(there) - len(withdrawn) - len(released)), woken


def _made(tenant_id: str, row: Row, ids: Mapping[str, str], done: set[str]) -> Delivery:
    needs = [ids.get(other, other) for other in row.waits_for]
    return Delivery(
        id=row.id,
        tenant_id=tenant_id,
        event_id=row.event_id,
        connection_id=row.connection_id,
        mapping_id=row.mapping_id,
        mapping_version=row.mapping_version,
        step=row.step,
        object=row.object,
        key=row.key,
        state=row.state.value,
        is_urgent=row.is_urgent,
        is_blocked=any(other not in done for other in needs),
        waits_for=needs or None,
        reason=row.reason,
    )
