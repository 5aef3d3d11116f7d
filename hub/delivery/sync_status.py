"""How each connection keeps up, by object: what waits and since when, what goes out, and what goes wrong.

A reading costs as much as there are open rows and attempts of the last hour, however many rows are done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text

from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection

#: Rates, sizes and errors are those of so long.
SPAN: Final = timedelta(hours=1)

_OPEN: Final = """
select d.connection_id, coalesce(d.object, d.step) as object,
       count(*) filter (where d.state = 'waiting') as waiting,
       count(*) filter (where d.state = 'sending') as sending,
       count(*) filter (where d.state = 'held') as held,
       count(*) filter (where d.state = 'parked') as parked,
       count(*) filter (where d.is_urgent and d.state in ('waiting', 'sending')) as urgent,
       count(*) filter (where d.is_replay and d.state in ('waiting', 'sending')) as replayed,
       min(least(d.due_at, d.first_failed_at))
           filter (where d.state in ('waiting', 'sending') and not d.is_blocked and not d.is_replay)
           as oldest_at
from deliveries d
where d.tenant_id = :tenant_id and d.state in ('held', 'waiting', 'sending', 'parked')
  and d.connection_id is not null
group by 1, 2
"""

#: What attempts are called here that wrote the record, or found it written.
_DONE: Final = "delivered"
#: What went neither well nor wrong is left out: the vendor works on it, or its time has not come.
_TRIED: Final = """
select d.connection_id, coalesce(d.object, d.step) as object,
       case when a.outcome in ('created', 'updated', 'found') then 'delivered' else a.outcome end as outcome,
       count(*) as number,
       avg(a.batch_size) as batch_size, count(distinct a.batch) as batches,
       percentile_cont(0.5) within group (order by a.ms) as ms
from attempts a join deliveries d on d.id = a.delivery_id
where a.tenant_id = :tenant_id and a.at >= :since and a.outcome not in ('taken', 'not yet')
group by 1, 2, 3
"""


@dataclass(slots=True)
class ObjectStatus:
    """One object of one account: rows by state now, and the last hour's attempts.

    ``errors`` counts attempts that went wrong, by what came of them; ``batch_size`` and ``ms`` are those of records
    that were written, made and changed ones alike.
    """

    name: str
    waiting: int = 0
    sending: int = 0
    held: int = 0
    parked: int = 0
    urgent: int = 0
    replayed: int = 0
    oldest_at: datetime | None = None
    delivered: int = 0
    batches: int = 0
    batch_size: float | None = None
    ms: float | None = None
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def per_minute(self) -> float:
        """Records written per minute, over the last hour."""
        return self.delivered / (SPAN.total_seconds() / 60)


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """One connection and its objects, by name."""

    row: Connection
    objects: tuple[ObjectStatus, ...]

    @property
    def waiting(self) -> int:
        """Rows that are to be sent."""
        return sum(one.waiting + one.sending for one in self.objects)

    @property
    def oldest_at(self) -> datetime | None:
        """Since when the oldest row has been due."""
        return min((one.oldest_at for one in self.objects if one.oldest_at), default=None)


def sync_status(
    hub: Hub, tenant_id: str, connections: Sequence[Connection]
) -> tuple[AccountStatus, ...]:
    """Give how each of a tenant's connections keeps up."""
    with hub.tenant(tenant_id) as session:
        place = {"tenant_id": tenant_id}
        waiting = session.execute(text(_OPEN), place).mappings().all()
        tried = session.execute(text(_TRIED), place | {"since": now() - SPAN}).mappings().all()
    found: dict[str, dict[str, ObjectStatus]] = {}
    for row in waiting:
        one = _of(found, row)
        for name in ("waiting", "sending", "held", "parked", "urgent", "replayed", "oldest_at"):
            setattr(one, name, row[name])
    for row in tried:
        _tried(_of(found, row), row)
    return tuple(
        AccountStatus(
            one, tuple(sorted(found.get(one.id, {}).values(), key=lambda each: each.name))
        )
        for one in connections
    )


def _of(found: dict[str, dict[str, ObjectStatus]], row: Mapping[Any, Any]) -> ObjectStatus:
    objects = found.setdefault(str(row["connection_id"]), {})
    return objects.setdefault(row["object"], ObjectStatus(row["object"]))


def _tried(one: ObjectStatus, row: Mapping[Any, Any]) -> None:
    if row["outcome"] == _DONE:
        one.delivered, one.batches = row["number"], row["batches"]
        one.batch_size, one.ms = float(row["batch_size"]), float(row["ms"])
    else:
        one.errors[row["outcome"]] = row["number"]
