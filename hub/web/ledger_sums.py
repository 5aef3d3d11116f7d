"""The sums that the overview and the sync status end with: every planned action is there, and once."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final

from sqlalchemy import func, select

from hub.context import Hub
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.web import remembered
from hub.web.remembered import How, Shown


@dataclass(frozen=True, slots=True)
class Sums:
    """Every event and every planned step, counted twice: as it was accepted, and as it stands now."""

    events: int
    planned: int
    rows: int
    delivered: int

    @property
    def is_ok(self) -> bool:
        """Whether nothing is missing and nothing is there twice."""
        return self.planned == self.rows


#: Pages look again by themselves, and counting reads every row.
KIND: Final[remembered.Kind[Sums]] = remembered.Kind(
    "sums", 60, astuple, lambda values: Sums(*values)
)


def sums(hub: Hub, tenant_id: str, *, how: How) -> Shown[Sums]:
    """Give a company's sums."""
    return remembered.shown(hub, KIND, tenant_id, lambda: _counted(hub, tenant_id), how=how)


def _counted(hub: Hub, tenant_id: str) -> Sums:
    with hub.tenant(tenant_id) as session:
        # One moment for all sums, or they would not agree while events come in.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        events, planned = session.execute(
            select(func.count(StoredEvent.id), func.coalesce(func.sum(StoredEvent.planned), 0))
        ).one()
        rows, delivered = session.execute(
            select(
                func.count(Delivery.id),
                func.count(Delivery.id).filter(Delivery.state == State.DELIVERED.value),
            )
        ).one()
    return Sums(events, int(planned), rows, delivered)
