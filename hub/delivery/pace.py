"""How long to wait for a fuller batch: the scarcer the calls, the fuller each should be.

What decides is how fast an account's calls of a day are being spent, against the rate that it could afford for
good (``x``, the recent rate over the affordable one)::

    x        ordinary row                      urgent row
    0.2      sent at once                      sent at once
    0.5      its full wait                     half of its full wait
    0.8-2.5  its full wait                     its full wait
    above    stretched by x / 2.5              stretched by its square, never longer than an ordinary row

The full wait of an ordinary row is what the tenant's target for the first touch leaves, that of an urgent row
seconds; an urgent row takes ordinary ones along. So an account that hardly uses its calls never waits, and one that
needs them all spends more while callers are many and less at night, without running out: as long as x is bounded,
what remains falls with the time that remains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.interface import Connector, WritesOneByOne
from hub.delivery.outlook import LimitOutlook

#: Ordinary rows that come together go together.
LEAST_S = 0.25
#: A first touch within five minutes; a tenant may set ``first_touch_s``.
TARGET_S = 300.0
#: The part of the target that may go by before a row is sent; the rest is for the call, a retry, and the next step.
_PART_OF_TARGET = 2 / 3
MOST_URGENT_S = 20.0
MOST_STRETCHED_S = 900.0
_EASY, _FULL, _FULL_URGENT, _STRETCH = 0.2, 0.5, 0.8, 2.5


@dataclass(frozen=True, slots=True)
class Pace:
    """The longest that the oldest row of a batch that is not full should wait, in seconds."""

    ordinary_s: float = LEAST_S
    urgent_s: float = 0.0


def most_s(tenant_settings: Mapping[str, Any]) -> float:
    """Give the longest wait that a tenant's target for the first touch leaves to an ordinary row."""
    wanted = tenant_settings.get("first_touch_s", TARGET_S)
    target_s = float(wanted) if isinstance(wanted, int | float) and wanted > 0 else TARGET_S
    return target_s * _PART_OF_TARGET


def saves_calls(vendor: Connector, object_name: str) -> bool:
    """Tell whether records in one batch cost less than each by itself; else nobody waits for company."""
    if not isinstance(vendor, WritesOneByOne):
        return True
    return vendor.one_by_one is not None and object_name not in vendor.one_by_one


def pace(outlook: Sequence[LimitOutlook], *, units: Mapping[str, int], most: float) -> Pace:
    """Give the waits for a batch that costs units of these limits; ``most`` bounds an ordinary row's full wait."""
    found = [
        _pace(one, most) for one in outlook if one.kind == "day" and units.get(one.name, 0) > 0
    ]
    return Pace(
        max((one.ordinary_s for one in found), default=LEAST_S),
        max((one.urgent_s for one in found), default=0.0),
    )


def _pace(limit: LimitOutlook, most: float) -> Pace:
    affordable, recent = limit.affordable_per_s or 0.0, limit.recent_per_s or 0.0
    x = recent / affordable if affordable > 0 else float("inf")
    stretch = max(1.0, x / _STRETCH)
    ordinary_s = min(max(LEAST_S, most * _part(x, _FULL)) * stretch, MOST_STRETCHED_S)
    urgent_s = min(MOST_URGENT_S, most) * _part(x, _FULL_URGENT) * stretch * stretch
    return Pace(ordinary_s, min(urgent_s, ordinary_s))


def _part(x: float, full_at: float) -> float:
    """Give how much of its full wait a row waits: nothing while calls are easily had."""
    return min(1.0, max(0.0, (x - _EASY) / (full_at - _EASY)))
