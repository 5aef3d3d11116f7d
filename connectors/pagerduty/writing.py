"""Writes a small batch, one call after the other, as PagerDuty asks of its callers.

There is no call that creates several incidents. A row that PagerDuty refuses fails alone; what concerns
every row (a limit, no connection, no access) ends the batch, and the rows not yet sent come later.
Source: https://developer.pagerduty.com/docs/rest-api-rate-limits, "Make requests serially" (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Uncertain,
)
from connectors.pagerduty.incidents import CREATES, INCIDENT, IncidentWriter, cost
from connectors.pagerduty.notes import NOTE, NoteWriter, incident_of, needs_look
from connectors.record import Account, Outcome, Write

#: A batch is sent row by row; a small one is over before the next urgent row comes.
MAX_BATCH = 5
#: After a lost answer the rest of the batch comes with the next one.
_NEXT_BATCH_S = 1.0


def write(account: Account, writes: Sequence[Write]) -> list[Outcome]:
    """Write records of one object; outcome i belongs to write i."""
    if not writes:
        return []
    if len(writes) > MAX_BATCH or len({one.object for one in writes}) > 1:
        message = f"a batch holds at most {MAX_BATCH} writes of one object"
        raise ValueError(message)
    merged = _merged(writes)
    act = _writer(account, writes[0].object)
    settled: dict[tuple[str, str], Outcome] = {}
    stopped: ConnectorError | None = None
    for one_write in merged:
        if stopped is None:
            outcome, stopped = _settle(
                act, one_write, is_first=not settled, is_only=len(merged) == 1
            )
        else:
            outcome = Outcome(error=stopped)
        settled[_name(one_write)] = outcome
    return [settled[_name(one)] for one in writes]


def _settle(
    act: Callable[[Write], Outcome], one_write: Write, *, is_first: bool, is_only: bool
) -> tuple[Outcome, ConnectorError | None]:
    """Write one row; also give the error with which the rows behind it are left, unsent.

    Raises what holds for the whole batch while nothing of it was sent.
    """
    later = NotYet("The rest of the batch is sent later.", retry_after_s=_NEXT_BATCH_S)
    try:
        return act(one_write), None
    except (Rejected, NotYet) as err:
        return Outcome(error=err), None
    except ContractBroken as err:
        # What is odd about this answer says nothing of the next row's.
        if is_only:
            raise
        return Outcome(error=err), None
    except Uncertain as err:
        if is_only:
            raise
        return Outcome(error=err), later
    except NeedsReconnect:
        # The next batch meets it with its first row, where one refresh may help.
        if is_first:
            raise
        return Outcome(error=later), later
    except ConnectorError as err:
        if is_first:
            raise
        return Outcome(error=err), err


def write_cost(writes: Sequence[Write]) -> Mapping[str, int]:
    """Count the calls of a batch that PagerDuty takes as it is.

    An incident that is there already costs one call less, and so does a batch whose mapping names no service
    when the connection has one chosen.
    """
    merged = _merged(writes)
    if merged and merged[0].object == NOTE:
        posts = sum(one.record_id is None for one in merged)
        looked = {incident_of(one.fields) for one in merged if needs_look(one)}
        return {"requests": len(looked) + posts}
    costs = [cost(one) for one in merged]
    creates = sum(made for _, made in costs)
    asks = any(one.record_id is None and not one.fields.get("service") for one in merged)
    units = {"requests": sum(calls for calls, _ in costs) + asks}
    return {**units, CREATES: creates} if creates else units


def _writer(account: Account, object_name: str) -> Callable[[Write], Outcome]:
    if object_name == INCIDENT:
        return IncidentWriter(account).write
    if object_name == NOTE:
        return NoteWriter(account).write
    raise Rejected(
        f'PagerDuty has no object "{object_name}" that we write. There are: {INCIDENT}, {NOTE}.'
    )


def _name(one: Write) -> tuple[str, str]:
    return ("id", one.record_id) if one.record_id is not None else ("key", one.key)


def _merged(writes: Sequence[Write]) -> list[Write]:
    """Make one of the writes that mean the same record; what is written later counts."""
    merged: dict[tuple[str, str], Write] = {}
    for one in writes:
        before = merged.get(_name(one))
        fields = {**before.fields, **one.fields} if before else one.fields
        merged[_name(one)] = replace(one, fields=fields)
    return list(merged.values())
