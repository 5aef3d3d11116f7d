"""How long to wait before trying again."""

from __future__ import annotations

import math
import random

FIRST_S = 2.0
LONGEST_S = 3_600.0
GIVE_UP_S = 24 * 3_600.0
#: A whole connection is tried again at least so often: a vendor that is back is noticed soon, and a try costs one call.
LONGEST_OF_CONNECTION_S = 300.0
#: No vendor's limit is longer than a day; what asks for more is a mistake.
_MOST_TOLD_S = 24 * 3_600.0
_NOT_TOLD_S = 60.0


def told_s(retry_after_s: float) -> float:
    """Give how long to stay away when a vendor said so: what it said, within a day."""
    if math.isnan(retry_after_s):
        return _NOT_TOLD_S
    return min(max(0.0, retry_after_s), _MOST_TOLD_S)


def delay_s(failures: int, *, longest_s: float = LONGEST_S) -> float:
    """Give the wait after so many failures in a row: doubling from 2 s to ``longest_s``, half of it random.

    The random half keeps many rows, or many connections, from coming back in the same moment.
    """
    longest = min(FIRST_S * 2.0 ** min(failures - 1, 20), longest_s)
    return longest / 2 + random.uniform(0, longest / 2)  # noqa: S311 - spreads load, guards nothing
