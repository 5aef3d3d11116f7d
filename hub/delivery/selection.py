"""Which deliveries are meant to be sent again, and by which version of their mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from sqlalchemy import ColumnElement, or_, select

from hub.context import Hub
from hub.db.connections import Connection
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.mappings import FieldMapping, MappingVersion
from hub.db.tenancy import TenantSession

#: By which version of their mapping rows are rendered; a number needs a selection of one mapping.
Version = Literal["kept", "newest"] | int

#: Rows in these states may be sent again; ``sending`` rows are in a worker's hands, ``held`` ones wait for a person.
REPLAYABLE = (State.PARKED, State.DELIVERED, State.DROPPED, State.REJECTED, State.WAITING)

#: While a step is in one of these, what hangs on its record waits for a person.
STOPPED = (State.PARKED, State.REJECTED, State.DROPPED, State.HELD)


class TooWide(ValueError):
    """A selection that nothing narrows."""


class NoSuchVersion(ValueError):
    """A number that is no version of the mapping, or that no mapping was chosen for."""


class NotThere(LookupError):
    """The tenant has no such connection, mapping or event."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries; all that is given must hold. Times are of the last change of the row.

    What a person refused is only meant when it is named, by its state or its id. What a job of the vendor's has taken
    is left to it. Of an event whose body was expunged nothing can be made any more.
    """

    delivery_ids: Sequence[str] = ()
    event_id: str | None = None
    state: State | None = None
    connection_id: str | None = None
    mapping_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self, version: Version = "newest") -> list[ColumnElement[bool]]:
        """Give the conditions; the tenant's is added by the session.

        Rows without a mapping's step have no version that could be kept, except what is parked because its mapping
        could not be read.
        """
        is_named = bool(self.state or self.delivery_ids)
        states = [one.value for one in REPLAYABLE if is_named or one is not State.REJECTED]
        is_expunged = (
            select(StoredEvent.id)
            .where(StoredEvent.id == Delivery.event_id, StoredEvent.expunged_at.is_not(None))
            .exists()
        )
        found: list[ColumnElement[bool]] = [
            Delivery.state.in_(states),
            Delivery.job.is_(None),
            ~is_expunged,
        ]
        if version != "newest":
            is_planned = Delivery.connection_id.is_not(None)
            found.append(or_(is_planned, Delivery.state == State.PARKED.value))
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
        return len(self.where()) == len(Selection().where())

    def as_json(self) -> dict[str, Any]:
        """Give what is chosen as plain JSON, without what is not given."""
        found = {
            "delivery_ids": list(self.delivery_ids),
            "event_id": self.event_id,
            "state": self.state and self.state.value,
            "connection_id": self.connection_id,
            "mapping_id": self.mapping_id,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Self:
        """Read what ``as_json`` gave."""
        return cls(
            delivery_ids=tuple(kept.get("delivery_ids", ())),
            event_id=kept.get("event_id"),
            state=State(kept["state"]) if "state" in kept else None,
            connection_id=kept.get("connection_id"),
            mapping_id=kept.get("mapping_id"),
            since=datetime.fromisoformat(kept["since"]) if "since" in kept else None,
            until=datetime.fromisoformat(kept["until"]) if "until" in kept else None,
        )


def version_of(kept: str) -> Version:
    """Read a version as a replay's row keeps it."""
    return int(kept) if kept.isdecimal() else ("newest" if kept == "newest" else "kept")


def check(
    hub: Hub, tenant_id: str, selection: Selection, version: Version, *, must_be_there: bool = True
) -> None:
    """Raise TooWide, NoSuchVersion, or NotThere for an event, connection or mapping that the tenant does not have."""
    if selection.is_empty:
        raise TooWide("Say which deliveries: by id, event, state, connection, mapping or time.")
    with hub.tenant(tenant_id) as session:
        if must_be_there:
            _find_named(session, selection)
        if not isinstance(version, int):
            return
        if selection.mapping_id is None:
            raise NoSuchVersion("A version's number needs a mapping: say which.")
        if session.get(MappingVersion, (selection.mapping_id, version)) is None:
            raise NoSuchVersion(f"The mapping has no version {version}.")


def _find_named(session: TenantSession, selection: Selection) -> None:
    for name, column, wanted in (
        ("event", StoredEvent.id, selection.event_id),
        ("connection", Connection.id, selection.connection_id),
        ("mapping", FieldMapping.id, selection.mapping_id),
    ):
        if wanted and session.scalars(select(column).where(column == wanted)).first() is None:
            raise NotThere(f"There is no such {name}.")
