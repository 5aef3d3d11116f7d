"""How long to wait before trying again."""

from __future__ import annotations

import random

FIRST_S = 2.0
LONGEST_S = 3_600.0
GIVE_UP_S = 24 * 3_600.0


def delay_s(failures: int) -> float:
    """Give the wait after so many failures in a row: doubling from 2 s to an hour, half of it random.

    The random half keeps many rows, or many connections, from coming back in the same moment.
    """
    longest = min(FIRST_S * 2.0 ** min(failures - 1, 20), LONGEST_S)
    return longest / 2 + random.uniform(0, longest / 2)  # noqa: S311 - spreads load, guards nothing
