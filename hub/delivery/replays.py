"""Replays under way: going on with them, how far they are, cancelling them.

Whoever begins a replay puts its first rows in; a worker does the rest. What a process leaves undone when it dies, the
sweep finds in the table. Of a row that two replays want, the later has it.

Keys in Redis: ``replay:<id>`` stands while a worker is being rung for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import redis
from rq import Queue
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from hub import log
from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.deliveries import Delivery, State
from hub.db.replays import Replay, ReplayState
from hub.db.tenancy import TenantSession
from hub.delivery import marking, reserve, stopping
from hub.delivery.selection import STOPPED, Selection, Version, version_of
from hub.delivery.wake import QUEUE, wake

_LOG = log.get(__name__)
_TURN_S = 20.0
#: Who cancels waits so long for rows to be put back; a worker does the rest.
_PATIENT_S = 3.0
_JOB_S = 120
_FLAG_S = 30
#: Nobody is at work on what was not touched for so long.
_FORSAKEN = timedelta(seconds=5)


class NoSuchReplay(LookupError):
    """The tenant has no such replay."""


class HasEnded(ValueError):
    """The replay is over: nothing can be cancelled."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is.

    ``deliveries`` are its rows by state, with those that wait for another step's record as ``blocked`` besides.
    ``taken_over`` rows belong to a later replay now, ``put_back`` ones are what they were before.
    """

    id: str
    state: ReplayState
    selection: Selection
    version: Version
    actor: str
    counted: int
    marked: int
    put_back: int
    created_at: datetime
    ended_at: datetime | None
    note: str | None
    deliveries: dict[str, int] = field(default_factory=dict)
    blocked: int = 0

    @property
    def open(self) -> int:
        """Rows that are still to be sent, or whose answer is awaited."""
        return sum(self.deliveries.get(state, 0) for state in _OPEN)

    @property
    def settled(self) -> int:
        """Rows that have come to rest under this replay."""
        return sum(self.deliveries.values()) - self.open

    @property
    def taken_over(self) -> int:
        """Rows that a later replay has taken."""
        return max(0, self.marked - self.put_back - sum(self.deliveries.values()))


_OPEN = (State.WAITING.value, State.SENDING.value)


def advance(hub: Hub, tenant_id: str, replay_id: str, *, for_s: float = _TURN_S) -> bool:
    """Go on with a replay for a while, one chunk at least; tells whether nothing is left to do here.

    A replay that somebody else is at, or that is not there, is left to them.
    """
    until = time.monotonic() + for_s
    while True:
        if _step(hub, tenant_id, replay_id):
            return True
        if time.monotonic() >= until or stopping.is_asked():
            return False


def _step(hub: Hub, tenant_id: str, replay_id: str) -> bool:
    """Do one chunk of what a replay needs; tells whether it was the last."""
    with hub.tenant(tenant_id) as session:
        row = session.scalars(
            select(Replay).where(Replay.id == replay_id).with_for_update(skip_locked=True)
        ).one_or_none()
        if row is None:
            return True
        if row.state == ReplayState.COUNTING.value:
            chosen = Selection.of_json(row.selection)
            conditions = chosen.where(version_of(row.version))
            is_named = bool(chosen.delivery_ids)
            woken, is_last = marking.mark(hub, session, row, conditions, is_named=is_named)
            if is_last:
                _all_in(session, row)
        elif row.state == ReplayState.CANCELLED.value and row.ended_at is None:
            number, woken = marking.put_back(session, row)
            is_last = number < marking.CHUNK
            if is_last:
                _end(session, row)
        else:
            return True
    wake(hub, sorted(woken))
    return is_last


def _all_in(session: TenantSession, row: Replay) -> None:
    """All rows are in: say what is remarkable, and end when there is nothing to send."""
    row.state, row.touched_at = ReplayState.RUNNING.value, now()
    missing = row.counted - row.marked
    if missing > 0:
        row.note = (
            f"{missing} of {row.counted} had changed, or led to nothing, before they were put in."
        )
    session.flush()
    _say_what_is_awaited(session, row.id)
    _close(session, row)


def _say_what_is_awaited(session: TenantSession, replay_id: str) -> None:
    """Name the step that blocked rows wait for, and why it may never come."""
    found = session.execute(
        select(Delivery.id, Delivery.waits_for).where(
            Delivery.replay_id == replay_id,
            Delivery.state == State.WAITING.value,
            Delivery.is_blocked,
        )
    ).all()
    wanted = {other for row in found for other in row.waits_for or ()}
    if not wanted:
        return
    stopped = {
        row.id: f"{marking.BLOCKED}: its step {row.step} is {row.state}. Send that again too."
        for row in session.execute(
            select(Delivery.id, Delivery.step, Delivery.state).where(
                Delivery.id.in_(wanted),
                Delivery.record_id.is_(None),
                Delivery.state.in_([one.value for one in STOPPED]),
            )
        )
    }
    for row in found:
        why = next((stopped[other] for other in row.waits_for or () if other in stopped), None)
        if why:
            session.execute(update(Delivery).where(Delivery.id == row.id).values(reason=why))


def _by_state(session: TenantSession, replay_id: str) -> dict[str, int]:
    rows = session.execute(
        select(Delivery.state, func.count(Delivery.id))
        .where(Delivery.replay_id == replay_id)
        .group_by(Delivery.state)
    )
    return {state: number for state, number in rows}  # noqa: C416 - rows are not tuples to mypy


def _close(session: TenantSession, row: Replay) -> None:
    """End a running replay when nothing of it waits or is being sent; that was when its last row changed."""
    found = _by_state(session, row.id)
    if any(found.get(state) for state in _OPEN):
        return
    last = session.scalar(select(func.max(Delivery.updated_at)).where(Delivery.replay_id == row.id))
    row.state, row.result, row.ended_at = ReplayState.DONE.value, found, last or now()


def _end(session: TenantSession, row: Replay) -> None:
    """End a cancelled replay when all that waited is put back; what is being sent then is counted as such."""
    left = session.scalars(select(Delivery.id).where(*marking.goes_back(row.id)).limit(1)).first()
    if left is None:
        row.ended_at, row.result = now(), _by_state(session, row.id)
        reserve.let_go(session)


def progress(hub: Hub, tenant_id: str, replay_id: str) -> Progress:
    """Tell how far a replay is; raises NoSuchReplay."""
    with hub.tenant(tenant_id) as session:
        row = session.scalars(select(Replay).where(Replay.id == replay_id)).one_or_none()
        if row is None:
            raise NoSuchReplay("There is no such replay.")
        if row.state == ReplayState.RUNNING.value:
            _settle_if_free(session, row)
        return _progress(session, row)


def _settle_if_free(session: TenantSession, row: Replay) -> None:
    """Close a running replay, unless somebody is at it."""
    mine = session.scalars(
        select(Replay)
        .where(Replay.id == row.id, Replay.state == ReplayState.RUNNING.value)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if mine is not None:
        _close(session, mine)


def latest(
    hub: Hub, tenant_id: str, *, before: str | None = None, size: int = 50
) -> list[Progress]:
    """List replays, newest first; those before the id ``before``."""
    query = select(Replay).order_by(Replay.id.desc()).limit(size)
    if before is not None:
        query = query.where(Replay.id < before)
    with hub.tenant(tenant_id) as session:
        return [_progress(session, row) for row in session.scalars(query).all()]


def _progress(session: TenantSession, row: Replay) -> Progress:
    is_open = row.result is None
    blocked = 0
    if is_open and row.state == ReplayState.RUNNING.value:
        blocked = session.scalar(select(func.count(Delivery.id)).where(*_blocked(row.id))) or 0
    found = _by_state(session, row.id) if is_open else dict(row.result or {})
    return Progress(
        id=row.id,
        state=ReplayState(row.state),
        selection=Selection.of_json(row.selection),
        version=version_of(row.version),
        actor=row.actor,
        counted=row.counted,
        marked=row.marked,
        put_back=row.put_back,
        created_at=row.created_at,
        ended_at=row.ended_at,
        note=row.note,
        deliveries=found,
        blocked=blocked,
    )


def _blocked(replay_id: str) -> tuple[Any, ...]:
    return (
        Delivery.replay_id == replay_id,
        Delivery.state == State.WAITING.value,
        Delivery.is_blocked,
    )


def cancel(hub: Hub, tenant_id: str, replay_id: str, *, actor: str) -> Progress:
    """Stop a replay: what still waits goes back to what it was, what is being sent goes on.

    Raises NoSuchReplay, and HasEnded when there is nothing to stop any more.
    """
    with hub.tenant(tenant_id) as session:
        row = session.scalars(
            select(Replay).where(Replay.id == replay_id).with_for_update()
        ).one_or_none()
        if row is None:
            raise NoSuchReplay("There is no such replay.")
        if row.state == ReplayState.RUNNING.value:
            _close(session, row)
        is_over = row.state in {ReplayState.DONE.value, ReplayState.CANCELLED.value}
        if not is_over:
            row.state, row.touched_at = ReplayState.CANCELLED.value, now()
            reserve.hold(session)  # so that nothing more of it is sent while it is put back
            session.flush()
            audit.record(session, actor=actor, action="replay.cancelled", target=row.id)
    if is_over:
        raise HasEnded(f"This replay is {row.state} already.")
    if not advance(hub, tenant_id, replay_id, for_s=_PATIENT_S):
        ring(hub, replay_id)
    return progress(hub, tenant_id, replay_id)


def tend(hub: Hub) -> list[str]:
    """Look after all open replays: end those that are through, ring for those that nobody is at; gives the latter."""
    forsaken_at = now() - _FORSAKEN
    with hub.everyone("the sweep looks after all replays") as session:
        found = session.execute(
            select(Replay.id, Replay.tenant_id, Replay.state, Replay.touched_at).where(
                Replay.ended_at.is_(None)
            )
        ).all()
    forsaken: list[str] = []
    for row in found:
        if row.state == ReplayState.RUNNING.value:
            _tend_running(hub, row.tenant_id, row.id)
        elif row.touched_at < forsaken_at:
            forsaken.append(row.id)
    for replay_id in forsaken:
        ring(hub, replay_id)
    return forsaken


def _tend_running(hub: Hub, tenant_id: str, replay_id: str) -> None:
    """Let rows go whose other step got its record at the very moment when they were put in, and end what is through."""
    try:
        with hub.tenant(tenant_id) as session:
            freed = session.scalars(
                update(Delivery)
                .where(*_blocked(replay_id), ~marking.lacks_record())
                .values(is_blocked=False, due_at=now(), updated_at=now(), reason=None)
                .returning(Delivery.connection_id),
                execution_options={"synchronize_session": False},
            ).all()
    except OperationalError as err:  # such as a row that two of us want
        _LOG.warning("replay could not be looked after", error=type(err).__name__)
        return
    wake(hub, sorted({one for one in freed if one}))
    progress(hub, tenant_id, replay_id)


def ring(hub: Hub, replay_id: str) -> None:
    """Have a worker go on with a replay. Never raises: without Redis the sweep rings later."""
    try:
        if hub.redis.set(f"replay:{replay_id}", 1, nx=True, ex=_FLAG_S):
            Queue(QUEUE, connection=hub.redis).enqueue(
                "hub.delivery.jobs.go_on",
                replay_id,
                job_timeout=_JOB_S,
                result_ttl=0,
                failure_ttl=3_600,
            )
    except redis.RedisError as err:
        _LOG.warning("replay could not be rung for", error=type(err).__name__)


def go_on(hub: Hub, replay_id: str) -> None:
    """Do a worker's turn on a replay, and ring for the next."""
    try:
        hub.redis.delete(f"replay:{replay_id}")
    except redis.RedisError as err:
        _LOG.warning("the ring could not be cleared", error=type(err).__name__)
    with hub.everyone("a ring names only the replay") as session:
        tenant_id = session.scalars(
            select(Replay.tenant_id).where(Replay.id == replay_id)
        ).one_or_none()
    if tenant_id is not None and not advance(hub, tenant_id, replay_id):
        ring(hub, replay_id)
