"""Zendesk's jobs: started with up to a hundred rows, asked about until each row's fate is known.

A job's results carry the place of each row, counted from the first. Rows are therefore sent in the order of
their keys; whoever asks later puts the same keys into the same order. When some of the rows are missing by then
(``total`` tells), records that were made are recognised by their ``external_id`` instead, and the others
are asked for by key.

Source: https://developer.zendesk.com/api-reference/ticketing/ticket-management/job_statuses/ (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.errors import ConnectorError, ContractBroken, NotYet, Uncertain
from connectors.record import Account, Outcome, RecordId, Write
from connectors.zendesk.calls import Answer, ask, call
from connectors.zendesk.objects import KEY, PATHS
from connectors.zendesk.preferences import preferences
from connectors.zendesk.refusals import is_taken, rejected

#: When a job is asked about for the first time, and again while it waits or works.
_FIRST_S, _QUEUED_S, _WORKING_S = 5.0, 15.0, 5.0
_ENDED = frozenset({"completed", "failed", "killed"})

Result = Mapping[str, Any]


def started(answer: Answer, verb: str) -> ConnectorError:
    """Give what the rows of a job have to wait for; ContractBroken when the answer names no job."""
    job = answer.one("job_status").get("id")
    if not isinstance(job, str) or not job or "/" in job or ":" in job:
        return ContractBroken("Zendesk took a job and does not name it.", status=answer.status)
    word = "made" if verb == "create_many" else "changed"
    return NotYet(
        f"Zendesk has taken a job; the record is {word} in a moment.",
        retry_after_s=_FIRST_S,
        job=f"{verb}:{job}",
    )


def lost(account: Account, err: Uncertain) -> Uncertain:
    """Give the error for new records of a job whose answer was lost: it may be queued and run for a while."""
    runs_s = preferences(account.settings).job_runs_s
    return Uncertain(err.detail, ask_after_s=runs_s, code=err.code, status=err.status)


def poll(account: Account, job: str, writes: Sequence[Write]) -> list[Outcome]:
    """Ask what became of the writes that a job took; outcome i belongs to write i."""
    verb, _, number = job.partition(":")
    found = ask(account, f"/job_statuses/{number}")
    if found is None:
        # Jobs are forgotten after an hour, and when a hundred others have come.
        gone = Uncertain("Zendesk does not know the job any more.", code="job_gone")
        return [Outcome(error=gone)] * len(writes)
    status = found.one("job_status")
    state = str(status.get("status"))
    if state in {"queued", "working"}:
        wait_s = _QUEUED_S if state == "queued" else _WORKING_S
        later = NotYet("Zendesk still works on the job.", retry_after_s=wait_s, job=job)
        return [Outcome(error=later)] * len(writes)
    if state not in _ENDED:
        raise ContractBroken("Zendesk's job is in a state that is not documented.", code="job")
    results = status.get("results")
    rows = results if isinstance(results, list) else []
    listed = [one for one in rows if isinstance(one, Mapping)]
    is_new = verb == "create_many"
    by_write = (
        _created(account, status, listed, writes) if is_new else _changed(status, listed, writes)
    )
    return [_outcome(one, by_write.get(index), state) for index, one in enumerate(writes)]


def _created(
    account: Account, status: Result, results: Sequence[Result], writes: Sequence[Write]
) -> dict[int, Result]:
    keys = sorted({one.key for one in writes})
    if status.get("total") == len(keys):
        by_key = {
            keys[place]: one for one in results if (place := _place(one, len(keys))) is not None
        }
    else:
        by_key = _recognised(account, results, writes)
    return {index: by_key[one.key] for index, one in enumerate(writes) if one.key in by_key}


def _recognised(
    account: Account, results: Sequence[Result], writes: Sequence[Write]
) -> dict[str, Result]:
    ids = [str(one["id"]) for one in results if isinstance(one.get("id"), int)][:100]
    if not ids or not writes:
        return {}
    name = PATHS[writes[0].object]
    answer = call(account, "GET", f"/{name}/show_many", params={"ids": ",".join(ids)})
    return {str(one.get(KEY)): {"id": one.get("id")} for one in answer.listed(name)}


def _changed(
    status: Result, results: Sequence[Result], writes: Sequence[Write]
) -> dict[int, Result]:
    """Match by the record's id, which a change always names, else by the place as above."""
    by_id = {str(one["id"]): one for one in results if one.get("id") is not None}
    first = {one.record_id: one.key for one in reversed(writes)}
    keys = sorted(first.values())
    is_whole = status.get("total") == len(keys)
    by_key = {
        keys[place]: one
        for one in results
        if is_whole and (place := _place(one, len(keys))) is not None
    }
    found: dict[int, Result] = {}
    for index, one in enumerate(writes):
        result = by_id.get(str(one.record_id)) or by_key.get(first[one.record_id])
        if result is not None:
            found[index] = result
    return found


def _outcome(one: Write, result: Result | None, state: str) -> Outcome:
    if result is None:
        return Outcome(
            error=Uncertain(f"Zendesk's job has {state} without naming this record.", code="job")
        )
    is_refused = bool(result.get("error") or result.get("errors")) or result.get("success") is False
    if not is_refused and (one.record_id or isinstance(result.get("id"), int)):
        return Outcome(
            record=RecordId(one.object, one.record_id or str(result["id"])),
            is_new=one.record_id is None,
        )
    if not is_refused:
        return Outcome(error=ContractBroken("Zendesk's job names no id for a record.", code="job"))
    if one.record_id is None and is_taken(result, KEY):
        return Outcome(error=Uncertain("Zendesk has a record with this key already."))
    said = {**result, "details": result.get("details") or result.get("errors")}
    return Outcome(error=rejected(said, sent=dict(one.fields)))


def _place(result: Result, count: int) -> int | None:
    place = result.get("index")
    return place if isinstance(place, int) and 0 <= place < count else None
