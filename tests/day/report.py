"""What a day came to: nothing lost, nothing twice, how long people waited, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from hub.delivery.ledger import ledger
from tests.day.calls import Call
from tests.day.world import World

_DAY_S = 86_400.0
_WAITS = """
select e.urgency_level in ('high', 'critical') as is_urgent, e.time as called_at,
       min(d.delivered_at) as first_at, max(d.delivered_at) as last_at
from events e join deliveries d on d.event_id = e.id
where e.tenant_id = :tenant_id and d.state = 'delivered'
group by e.id, e.urgency_level, e.time
"""


@dataclass(frozen=True)
class Waits:
    """How long callers waited for their record, in seconds: the median and what one in twenty passed."""

    calls: int
    p50_s: float
    p95_s: float
    longest_s: float

    @classmethod
    def of(cls, found: list[float]) -> Waits:
        """Summarise waits."""
        ordered = sorted(found)
        if not ordered:
            return cls(0, 0.0, 0.0, 0.0)
        return cls(
            len(ordered),
            round(ordered[len(ordered) // 2], 1),
            round(ordered[math.ceil(len(ordered) * 0.95) - 1], 1),
            round(ordered[-1], 1),
        )


@dataclass(frozen=True)
class Day:
    """The figures of a simulated day, of the company that is measured."""

    calls: int
    api_calls_granted: int
    api_calls_spent: int
    most_api_calls_in_24_h: int
    expected: int
    delivered: int
    lost: int
    duplicated: int
    dropped_as_spam: int
    ledger_ok: bool
    urgent: Waits
    others: Waits
    urgent_all_steps: Waits
    others_all_steps: Waits
    urgent_outside_outage: Waits
    others_outside_outage: Waits
    seed: int

    def document(self) -> dict[str, object]:
        """Give it as plain JSON."""
        return asdict(self)


def report(
    world: World,
    calls: list[Call],
    *,
    grant: int,
    spent: Sequence[tuple[float, int]],
    outage: tuple[datetime, datetime] | None,
    seed: int,
) -> Day:
    """Count what stands in the database and at the vendor."""
    company = world.companies[0]
    ours = [call for call in calls if call.tenant == 0]
    spam = sum(1 for call in ours if call.event.data.bucket.value == "spam")
    found = ledger(world.hub, company.tenant_id)
    delivered = found.deliveries.get("delivered", 0)
    expected = 2 * (len(ours) - spam)
    duplicates = world.vendor.stats()["duplicate_keys"]
    waits = _waits(world, company.tenant_id)

    def of(*, is_urgent: bool, step: str, is_outside: bool = False) -> Waits:
        return Waits.of(
            [
                getattr(one, step)
                for one in waits
                if one.is_urgent == is_urgent
                and not (is_outside and _within(one.called_at, outage))
            ]
        )

    return Day(
        calls=len(ours),
        api_calls_granted=grant,
        api_calls_spent=spent[-1][1] if spent else 0,
        most_api_calls_in_24_h=_most_in_a_day(spent),
        expected=expected,
        delivered=delivered,
        lost=expected - delivered,
        duplicated=len(duplicates),
        dropped_as_spam=found.deliveries.get("dropped", 0),
        ledger_ok=found.is_ok,
        urgent=of(is_urgent=True, step="first_s"),
        others=of(is_urgent=False, step="first_s"),
        urgent_all_steps=of(is_urgent=True, step="last_s"),
        others_all_steps=of(is_urgent=False, step="last_s"),
        urgent_outside_outage=of(is_urgent=True, step="first_s", is_outside=True),
        others_outside_outage=of(is_urgent=False, step="first_s", is_outside=True),
        seed=seed,
    )


def _most_in_a_day(spent: Sequence[tuple[float, int]]) -> int:
    """Give the most calls that fell into any 24 hours; ``spent`` counts up from nothing."""
    most, first = 0, 0
    for at, units in spent:
        while spent[first][0] < at - _DAY_S:
            first += 1
        before = spent[first - 1][1] if first else 0
        most = max(most, units - before)
    return most


@dataclass(frozen=True)
class _Wait:
    is_urgent: bool
    called_at: datetime
    first_s: float
    last_s: float


def _waits(world: World, tenant_id: str) -> list[_Wait]:
    with world.hub.engine.connect() as connection:
        rows = connection.execute(text(_WAITS), {"tenant_id": tenant_id}).all()
    return [
        _Wait(
            bool(row.is_urgent),
            row.called_at,
            (row.first_at - row.called_at).total_seconds(),
            (row.last_at - row.called_at).total_seconds(),
        )
        for row in rows
    ]


def _within(at: datetime, outage: tuple[datetime, datetime] | None) -> bool:
    """Tell whether a call came while the vendor was down, or in the ten minutes before it was back for everybody."""
    return outage is not None and outage[0] <= at < outage[1] + timedelta(minutes=5)
