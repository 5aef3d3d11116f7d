"""Counting what happens, in every process, for one installation: see ``families`` for what is counted.

A count is added up in the process and sent to Redis by a thread of its own, about once a second; all processes on all
hosts add to the same numbers. A killed process loses the last second's counts, and a wiped Redis begins at zero, as
Prometheus expects of counters.

Redis: the hash ``metrics`` holds ``name|label|…`` to a number; of a histogram, ``name|label|…|bound`` to how many were
at most that and above the bound before it, and ``name.sum|label|…`` to their sum. The sets ``metrics:<kind>`` hold the
names that ``kept`` lets through.
"""

from __future__ import annotations

from hub.tally import families
from hub.tally.families import Counter, Histogram
from hub.tally.store import Tally, count, flush, kept, observe, tally

__all__ = [
    "Counter",
    "Histogram",
    "Tally",
    "count",
    "families",
    "flush",
    "kept",
    "observe",
    "tally",
]
