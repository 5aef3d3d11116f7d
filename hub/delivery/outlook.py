"""Where an account stands with a limit, read from what the budget keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.record import Limit
from hub.delivery.call_counts import slots
from hub.delivery.remote_account import AccountKey, granted_of

#: A burst of so small a part of a day's grant is no reason for anybody to wait.
_FREE = 0.005


@dataclass(frozen=True, slots=True)
class LimitOutlook:
    """Where an account stands with one limit: units granted to us, used, and left.

    ``capacity`` is the whole account's, as the vendor last said it or else as it documents it. Of a day's limit,
    ``affordable_per_s`` is the rate at which we could go on for a whole day without ever running out, given what
    becomes free and when; ``recent_per_s`` is the rate of the last quarter to half hour.
    """

    name: str
    kind: str
    capacity: int
    granted: int
    used: int
    remaining: int
    period_s: float
    blocked_for_s: float
    source: str
    affordable_per_s: float | None = None
    recent_per_s: float | None = None


def outlook_of(
    key: AccountKey, limit: Limit, state: Mapping[str, float], at: float
) -> LimitOutlook:
    """Read one limit; ``state`` is its hash in Redis, ``at`` the present moment."""
    length = limit.period_s / slots(limit)
    oldest = int(at / length) - slots(limit)
    spent = sorted(
        (int(name[2:]), int(value))
        for name, value in state.items()
        if name.startswith("s:") and int(name[2:]) >= oldest
    )
    used = sum(units for _, units in spent)
    capacity = int(state.get("cap", limit.capacity))
    granted = granted_of(key, limit, capacity)
    remaining = max(0, granted - used)
    if "used" in state and at - state["seen"] < limit.period_s:
        told = int(capacity - state["used"] - state.get("since", 0))
        remaining = min(remaining, max(0, told))
    is_day = limit.kind == "day"
    return LimitOutlook(
        name=limit.name,
        kind=limit.kind,
        capacity=capacity,
        granted=granted,
        used=used,
        remaining=remaining,
        period_s=limit.period_s,
        blocked_for_s=max(0.0, state.get("blocked", 0.0) - at),
        source=limit.source,
        affordable_per_s=_affordable(spent, limit, at, remaining) if is_day else None,
        recent_per_s=_recent(spent, length, at, free=granted * _FREE) if is_day else None,
    )


def _affordable(spent: Sequence[tuple[int, int]], limit: Limit, at: float, remaining: int) -> float:
    """Give the units per second that could go on for a period without running out at any moment.

    Until a slot leaves the window there is only what remains; then its units are there again.
    """
    length = limit.period_s / slots(limit)
    have, rate = float(remaining), float("inf")
    for slot, units in spent:
        free_in_s = max(length, (slot + slots(limit) + 1) * length - at)
        rate = min(rate, have / free_in_s)
        have += units
    return min(rate, have / limit.period_s)


def _recent(spent: Sequence[tuple[int, int]], length: float, at: float, *, free: float) -> float:
    """Give the units per second since the slot before the present one began, above what is too little to matter."""
    current = int(at / length)
    units = sum(count for slot, count in spent if slot >= current - 1)
    return max(0.0, units - free) / (at - (current - 1) * length)
