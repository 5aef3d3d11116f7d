"""How long to wait for a fuller batch: the scarcer the calls, the fuller each should be.

Nothing waits while we spend less than half of what the account could afford for good. Above that, waits
grow with the share that we spend, from nothing to the full wait at the affordable rate:

- an ordinary row waits for a few times the span in which one batch becomes affordable, within the bound
  that the tenant's target for the first touch leaves;
- an urgent row waits for a quarter of that span, twenty seconds at the most. It takes ordinary rows along.

When even that is more than the account can afford, the wait is the affordable span itself: all rows are
late by minutes, rather than those of the evening by a night.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.delivery.outlook import LimitOutlook

#: Ordinary rows that come together go together.
LEAST_S = 0.25
#: A first touch within five minutes; a tenant may set ``first_touch_s``.
TARGET_S = 300.0
#: The part of the target that may go by before a row is sent; the rest is for the call, a retry, and the next step.
_PART_OF_TARGET = 2 / 3
_MOST_URGENT_S = 20.0
_MOST_STRETCHED_S = 900.0
#: Below this part of the affordable rate nobody waits.
_EASY = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """The longest that the oldest row of a batch that is not full should wait, in seconds."""

    ordinary_s: float = LEAST_S
    urgent_s: float = 0.0

    def wait_s(self, *, is_urgent: bool) -> float:
        """Give the wait of such a row."""
        return self.urgent_s if is_urgent else self.ordinary_s


def most_s(tenant_settings: Mapping[str, Any]) -> float:
    """Give the longest wait that a tenant's target for the first touch leaves to an ordinary row."""
    wanted = tenant_settings.get("first_touch_s", TARGET_S)
    target_s = float(wanted) if isinstance(wanted, int | float) and wanted > 0 else TARGET_S
    return target_s * _PART_OF_TARGET


def pace(outlook: Sequence[LimitOutlook], *, units: Mapping[str, int], most: float) -> Pace:
    """Give the waits for a batch that costs so many units of each limit; ``most`` bounds an ordinary row's."""
    slowest = Pace()
    for limit in outlook:
        if limit.affordable_per_s is None or limit.recent_per_s is None:
            continue
        cost = units.get(limit.name, 0)
        if cost == 0:
            continue
        strain = _strain(limit.recent_per_s, limit.affordable_per_s)
        span_s = cost / limit.affordable_per_s if limit.affordable_per_s > 0 else _MOST_STRETCHED_S
        slowest = Pace(
            max(slowest.ordinary_s, strain * _ordinary_s(span_s, most)),
            max(slowest.urgent_s, strain * _urgent_s(span_s)),
        )
    return slowest


def _strain(recent: float, affordable: float) -> float:
    """Give 0 while we spend at ease, 1 when we spend as much as we can afford, or more."""
    if affordable <= 0:
        return 1.0
    return min(1.0, max(0.0, (recent / affordable - _EASY) / (1 - _EASY)))


def _ordinary_s(span_s: float, most: float) -> float:
    return max(LEAST_S, min(3 * span_s, most), min(span_s, _MOST_STRETCHED_S))


def _urgent_s(span_s: float) -> float:
    stretched = max(0.0, (span_s - 4 * _MOST_URGENT_S) / 2)
    return min(min(span_s / 4, _MOST_URGENT_S) + stretched, _MOST_STRETCHED_S)
