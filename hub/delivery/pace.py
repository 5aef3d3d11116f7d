"""How long to wait for a fuller batch: the scarcer the calls, the fuller each should be.

With plenty left of the account's limits nothing waits longer than a moment. As a day's budget is
used up, waiting grows towards the span in which one call becomes affordable, up to
``MOST_S``, so that a first touch within five minutes stays possible. Urgent rows never wait.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.delivery.budget import LimitOutlook

LEAST_S = 0.25
MOST_S = 200.0
_EASY = 0.25


def wait_s(outlook: Sequence[LimitOutlook], calls_per_batch: int = 1) -> float:
    """Give the longest that the oldest row of a batch that is not full should wait."""
    longest = LEAST_S
    for limit in outlook:
        if limit.kind != "day":
            continue
        spacing_s = limit.period_s / max(1, limit.granted) * max(1, calls_per_batch)
        used = 1 - limit.remaining / max(1, limit.granted)
        strain = max(0.0, (used - _EASY) / (1 - _EASY))
        longest = max(longest, spacing_s * 2 * strain)
    return min(longest, MOST_S)
