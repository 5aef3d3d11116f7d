"""Sending again: one, a selection, a time range, or everything parked; counted first and never twice.

The key of a write is derived from event, mapping and step, so that a replay updates the record that
is there. With ``newest`` the rows are rendered by the mapping's published version, and an event
that no mapping applied to is planned anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select, update

from hub.context import Hub
from hub.db import audit
from hub.db.base import now
from hub.db.deliveries import Delivery, State
from hub.db.mappings import FieldMapping
from hub.db.tenancy import TenantSession
from hub.delivery.replan import replan
from hub.delivery.wake import wake

Version = Literal["kept", "newest"]

#: Rows in these states may be sent again; ``sending`` rows are in a worker's hands.
REPLAYABLE = (State.PARKED, State.DELIVERED, State.DROPPED, State.REJECTED, State.WAITING)
_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries; all that is given must hold. Times are of the last change of the row.

    What a person refused is only meant when it is named, by its state or its id.
    """

    delivery_ids: Sequence[str] = ()
    event_id: str | None = None
    state: State | None = None
    connection_id: str | None = None
    mapping_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> list[ColumnElement[bool]]:
        """Give the conditions; the tenant's is added by the session."""
        is_named = bool(self.state or self.delivery_ids)
        states = [one.value for one in REPLAYABLE if is_named or one is not State.REJECTED]
        found: list[ColumnElement[bool]] = [Delivery.state.in_(states)]
        if self.delivery_ids:
            found.append(Delivery.id.in_(self.delivery_ids))
        if self.event_id:
            found.append(Delivery.event_id == self.event_id)
        if self.state:
            found.append(Delivery.state == self.state.value)
        if self.connection_id:
            found.append(Delivery.connection_id == self.connection_id)
        if self.mapping_id:
            found.append(Delivery.mapping_id == self.mapping_id)
        if self.since:
            found.append(Delivery.updated_at >= self.since)
        if self.until:
            found.append(Delivery.updated_at < self.until)
        return found

    @property
    def is_empty(self) -> bool:
        """Whether nothing narrows it, which is refused: nobody sends everything again by mistake."""
        return len(self.where()) == 1


class TooWide(ValueError):
    """A selection that nothing narrows."""


def count(hub: Hub, tenant_id: str, selection: Selection) -> int:
    """Tell how many deliveries a replay would send again."""
    if selection.is_empty:
        raise TooWide("Say which deliveries: by id, event, state, connection, mapping or time.")
    with hub.tenant(tenant_id) as session:
        return session.scalar(select(func.count()).where(*selection.where())) or 0


def replay(
    hub: Hub, tenant_id: str, selection: Selection, *, version: Version = "kept", actor: str
) -> int:
    """Put deliveries back to waiting; gives how many. Workers send them within the account's budget.

    Raises TooWide when nothing narrows the selection.
    """
    if selection.is_empty:
        raise TooWide("Say which deliveries: by id, event, state, connection, mapping or time.")
    total = 0
    after = ""
    while True:
        with hub.tenant(tenant_id) as session:
            rows = session.scalars(
                select(Delivery)
                .where(*selection.where(), Delivery.id > after)
                .order_by(Delivery.id)
                .limit(_CHUNK)
                .with_for_update(skip_locked=True)
            ).all()
            if not rows:
                break
            after = rows[-1].id
            planned = [row for row in rows if row.connection_id is not None]
            unplanned = [row for row in rows if row.connection_id is None]
            sent = _send_again(session, planned, version)
            audit.record(
                session,
                actor=actor,
                action="delivery.replayed",
                target=rows[0].id if len(rows) == 1 else f"{len(rows)} deliveries",
                facts={"deliveries": [row.id for row in rows], "version": version},
            )
        wake(hub, sorted({row.connection_id for row in planned if row.connection_id}))
        total += sent
        # What is parked because its mapping could not be read has no version that could be kept.
        anew = [
            row.event_id
            for row in unplanned
            if version == "newest" or row.state == State.PARKED.value
        ]
        if anew:
            total += replan(hub, tenant_id, anew)
    return total


def _send_again(session: TenantSession, rows: Sequence[Delivery], version: Version) -> int:
    newest = _newest(session, rows) if version == "newest" else {}
    ids_with_record = _with_record(session, rows)
    at = now()
    blocked = {
        row.id for row in rows if any(one not in ids_with_record for one in row.waits_for or ())
    }
    values: list[dict[str, Any]] = [
        {
            "id": row.id,
            "state": State.WAITING.value,
            "due_at": at,
            "updated_at": at,
            "mapping_version": newest.get(row.mapping_id or "", row.mapping_version),
            "is_blocked": row.id in blocked,
            "attempts": 0,
            "first_failed_at": None,
            "reason": "It waits for the record of another step" if row.id in blocked else None,
            "reason_path": None,
            "detail": None,
            "candidates": None,
        }
        for row in rows
    ]
    if values:
        session.execute(update(Delivery), values)
    return len(values)


def _newest(session: TenantSession, rows: Sequence[Delivery]) -> dict[str, int]:
    wanted = {row.mapping_id for row in rows if row.mapping_id}
    found = session.execute(
        select(FieldMapping.id, FieldMapping.version).where(FieldMapping.id.in_(wanted))
    ).all()
    return {mapping_id: number for mapping_id, number in found}  # noqa: C416 - rows are not tuples to mypy


def _with_record(session: TenantSession, rows: Sequence[Delivery]) -> set[str]:
    wanted = {other for row in rows for other in row.waits_for or ()}
    if not wanted:
        return set()
    return set(
        session.scalars(
            select(Delivery.id).where(Delivery.id.in_(wanted), Delivery.record_id.is_not(None))
        )
    )
