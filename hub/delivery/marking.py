"""Putting rows into a replay, chunk by chunk, and putting them back when it is cancelled.

A chunk is one transaction: rows, their audit row, and how far the replay has come. Who dies in the middle has done
nothing, and whoever goes on begins behind the last whole chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    any_,
    case,
    cast,
    func,
    null,
    select,
    update,
)
from sqlalchemy.orm import aliased

from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.deliveries import Delivery, State
from hub.db.mappings import FieldMapping
from hub.db.replays import Replay
from hub.db.tenancy import TenantSession
from hub.delivery.replan import replan

CHUNK = 2_000
BLOCKED = "It waits for the record of another step"
_PARENT = aliased(Delivery)


def mark(
    hub: Hub,
    session: TenantSession,
    replay: Replay,
    conditions: Sequence[ColumnElement[bool]],
    *,
    is_named: bool,
) -> tuple[set[str], bool]:
    """Put the next rows into a replay; gives the connections that have something to do now, and whether that was all.

    Rows that somebody changes at this moment are passed over, and looked at once more at the end.
    """
    is_as_it_was = (
        *conditions,
        Delivery.created_at <= replay.created_at,
        Delivery.updated_at <= replay.created_at,
        Delivery.replay_id.is_distinct_from(replay.id),
    )
    rows = session.execute(
        select(Delivery.id, Delivery.event_id, Delivery.connection_id)
        .where(*is_as_it_was, Delivery.id > replay.marked_until)
        .order_by(Delivery.id)
        .limit(CHUNK)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return set(), _is_complete(session, replay, is_as_it_was)
    planned = [row.id for row in rows if row.connection_id is not None]
    connections = {row.connection_id for row in rows if row.connection_id is not None}
    if planned:
        session.execute(
            update(Delivery).where(Delivery.id.in_(planned)).values(_again(replay, is_named)),
            execution_options={"synchronize_session": False},
        )
    # What is parked because its mapping could not be read is planned anew too: it has no version to keep.
    events = [row.event_id for row in rows if row.connection_id is None]
    added = replan(hub, session, events, replay_id=replay.id) if events else []
    replay.marked += len(planned) + len(added)
    replay.marked_until, replay.touched_at = rows[-1].id, now()
    session.flush()
    audit.record(
        session,
        actor=replay.actor,
        action="delivery.replayed",
        target=rows[0].id if len(rows) == 1 else f"{len(rows)} deliveries",
        facts={
            "replay": replay.id,
            "version": replay.version,
            "deliveries": [*planned, *(row_id for row_id, _ in added)],
        },
    )
    is_last = len(rows) < CHUNK and _is_complete(session, replay, is_as_it_was)
    return connections | {connection_id for _, connection_id in added}, is_last


def _is_complete(
    session: TenantSession, replay: Replay, is_as_it_was: Sequence[ColumnElement[bool]]
) -> bool:
    """Tell whether no row was passed over; otherwise begin anew with those that were."""
    passed_over = session.scalars(
        select(Delivery.id).where(*is_as_it_was, Delivery.connection_id.is_not(None)).limit(1)
    ).first()
    if passed_over is None:
        return True
    replay.marked_until = ""
    return False


def _again(replay: Replay, is_named: bool) -> dict[Any, Any]:  # noqa: FBT001 - one of two lanes
    """Give the values of a row that is to be sent again, from what it is."""
    at = now()
    is_live = (Delivery.state == State.WAITING.value) & ~Delivery.is_replay
    # It was not sent since an earlier replay took it: what it was before that one still holds.
    is_taken_over = (Delivery.state == State.WAITING.value) & Delivery.replayed_from.is_not(None)
    needs = lacks_record()
    return {
        Delivery.state: State.WAITING.value,
        # Nobody asks for a lost write before it can no longer be on its way.
        Delivery.due_at: case(
            (
                (Delivery.state == State.WAITING.value) & Delivery.is_uncertain,
                func.greatest(Delivery.due_at, at),
            ),
            else_=at,
        ),
        Delivery.updated_at: at,
        Delivery.mapping_version: _version(replay.version),
        Delivery.is_blocked: needs,
        Delivery.attempts: 0,
        Delivery.first_failed_at: None,
        Delivery.reason: case((needs, BLOCKED), else_=null()),
        Delivery.reason_path: None,
        Delivery.detail: None,
        Delivery.candidates: None,
        Delivery.replay_id: replay.id,
        # What a person names is urgent again; a bulk of what was urgent once is not.
        Delivery.is_replay: case((is_live, False), (Delivery.is_urgent, not is_named), else_=True),
        Delivery.replayed_from: case((is_taken_over, Delivery.replayed_from), else_=_as_it_is()),
        Delivery.before_detail: case(
            (is_taken_over, Delivery.before_detail), else_=Delivery.detail
        ),
        Delivery.before_candidates: case(
            (is_taken_over, Delivery.before_candidates), else_=Delivery.candidates
        ),
    }


def _version(wanted: str) -> Any:
    if wanted == "kept":
        return Delivery.mapping_version
    if wanted.isdecimal():
        return int(wanted)
    newest = select(FieldMapping.version).where(FieldMapping.id == Delivery.mapping_id)
    return func.coalesce(newest.scalar_subquery(), Delivery.mapping_version)


def lacks_record() -> ColumnElement[bool]:
    """Say that a row waits for the record of another that has none."""
    is_missing = (
        select(_PARENT.id)
        .where(_PARENT.id == any_(Delivery.waits_for), _PARENT.record_id.is_(None))
        .exists()
    )
    # In this order: most rows wait for nothing, and are not looked at twice.
    return Delivery.waits_for.is_not(None) & is_missing


_TEXTS = (
    Delivery.state,
    Delivery.reason,
    Delivery.reason_path,
    Delivery.record_id,
    Delivery.record_url,
)
_NUMBERS = (Delivery.mapping_version, Delivery.attempts)
_TIMES = (Delivery.due_at, Delivery.first_failed_at)
_TIME = DateTime(timezone=True)


def _as_it_is() -> ColumnElement[Any]:
    """Give the expression of what a row is, to be kept beside it; what is sealed is kept apart."""
    parts = [part for column in (*_TEXTS, *_NUMBERS, *_TIMES) for part in (column.key, column)]
    return func.jsonb_build_object(*parts)


def put_back(session: TenantSession, replay: Replay) -> tuple[int, set[str]]:
    """Let rows of a replay that still wait be what they were; gives how many, and connections with rows that wait on.

    What is being sent, and what a job of the vendor's has taken, goes on.
    """
    ids = session.scalars(
        select(Delivery.id)
        .where(*goes_back(replay.id))
        .order_by(Delivery.id)
        .limit(CHUNK)
        .with_for_update(skip_locked=True)
    ).all()
    if not ids:
        return 0, set()
    was = Delivery.replayed_from
    values: dict[Any, Any] = {column: was[column.key].astext for column in _TEXTS}
    values |= {
        # What was planned anew has not been anything before.
        column: func.coalesce(cast(was[column.key].astext, Integer), column)
        for column in _NUMBERS
    }
    values |= {
        Delivery.due_at: func.coalesce(cast(was["due_at"].astext, _TIME), Delivery.due_at),
        Delivery.first_failed_at: cast(was["first_failed_at"].astext, _TIME),
        # Whether it is blocked is looked after while it waits, and may have changed.
        Delivery.detail: Delivery.before_detail,
        Delivery.candidates: Delivery.before_candidates,
        Delivery.updated_at: now(),
        Delivery.replay_id: None,
        Delivery.is_replay: False,
        Delivery.replayed_from: null(),
        Delivery.before_detail: None,
        Delivery.before_candidates: None,
    }
    found = session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids))
        .values(values)
        .returning(Delivery.connection_id, Delivery.state),
        execution_options={"synchronize_session": False},
    ).all()
    replay.put_back += len(ids)
    replay.touched_at = now()
    session.flush()
    audit.record(
        session,
        actor=replay.actor,
        action="delivery.put_back",
        target=ids[0] if len(ids) == 1 else f"{len(ids)} deliveries",
        facts={"replay": replay.id, "deliveries": list(ids)},
    )
    waiting = State.WAITING.value
    return len(ids), {row.connection_id for row in found if row.state == waiting}


def goes_back(replay_id: str) -> tuple[ColumnElement[bool], ...]:
    """Say which rows of a replay go back when it is cancelled."""
    return (
        Delivery.replay_id == replay_id,
        Delivery.state == State.WAITING.value,
        Delivery.job.is_(None),
        Delivery.replayed_from.is_not(None),
    )
