"""Counts, for the figures, what a settled batch was and what became of its rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from connectors.errors import Throttled
from hub import tally
from hub.context import Hub
from hub.db.connections import Connection
from hub.db.deliveries import State
from hub.delivery.account import is_ours
from hub.delivery.claim import Claimed
from hub.delivery.verdicts import Settled
from hub.tally import families

_AT_REST: Final = (State.DELIVERED, State.PARKED)
_JOINT: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def batch(
    hub: Hub, connection: Connection, results: Sequence[Settled], *, calls: int, ms: float
) -> None:
    """Count a batch that was settled: its size, calls and time, and its rows by what they became."""
    if not results:
        return
    store, vendor = hub.redis, connection.connector
    name = tally.kept(store, f"objects:{vendor}", results[0].row.object)
    tally.observe(store, families.BATCH_ROWS, len(results), vendor, name)
    tally.observe(store, families.BATCH_CALLS, calls, vendor, name)
    tally.observe(store, families.BATCH_S, ms / 1_000, vendor)
    outcomes = Counter(one.outcome for one in results if one.is_told)
    for outcome, number in outcomes.items():
        tally.count(store, families.ATTEMPTS, vendor, outcome, number=number)
    states = Counter(one.state for one in results if one.state in _AT_REST)
    for state, number in states.items():
        tally.count(store, families.SETTLED, vendor, name, state.value, number=number)
    refusals = Counter(_refusal(one) for one in results if one.error is not None)
    for (error, by), number in refusals.items():
        tally.count(store, families.REFUSALS, vendor, error, by, number=number)


def error_name(err: Exception) -> str:
    """Give an error's class as a label, such as ``needs_reconnect``."""
    return _JOINT.sub("_", type(err).__name__).lower()


def delivered(
    hub: Hub, connection: Connection, rows: Sequence[tuple[Claimed, float | None]]
) -> None:
    """Count how long deliveries took in all, in seconds; None where a replay makes that meaningless."""
    for row, age_s in rows:
        if age_s is not None:
            lane = "urgent" if row.is_urgent else "live"
            tally.observe(hub.redis, families.DELIVERED_S, age_s, connection.connector, lane)


def _refusal(one: Settled) -> tuple[str, str]:
    err = one.error
    is_budget = isinstance(err, Throttled) and is_ours(err)
    return (error_name(err) if err else ""), ("budget" if is_budget else "vendor")


def taken_back(hub: Hub, connection: Connection, number: int) -> None:
    """Count rows that were taken back from a worker that died."""
    tally.count(hub.redis, families.TAKEN_BACK, connection.connector, number=number)


def back_off(hub: Hub, connection: Connection, err: Exception) -> None:
    """Count that a whole connection is held back."""
    tally.count(hub.redis, families.BACK_OFFS, connection.connector, error_name(err))


def swept(hub: Hub, found: int, seconds: float) -> None:
    """Count a round of the sweep and the connections that it rang for."""
    tally.observe(hub.redis, families.SWEEPS, seconds)
    if found:
        tally.count(hub.redis, families.SWEEP_WAKES, number=found)
