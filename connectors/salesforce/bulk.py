"""Writes very many records through Bulk API 2.0: a job takes them, and tells later what became of each.

``write`` makes a job and uploads its table, and no more: until a job is told that its upload is complete,
Salesforce does nothing with it. Only ``poll`` starts it, when the caller has written down which rows are
in it. A process that dies at any moment therefore leaves either an idle job, whose rows may safely go into
another one, or a job whose name is known::

    write   POST jobs/ingest    PUT …/batches       rows: NotYet(job), or as if nothing had happened
    poll    Open                PATCH …             rows: NotYet(job)
            UploadComplete      InProgress          rows: NotYet(job), each time for longer
            JobComplete         Failed, Aborted     rows: their results (bulk_results.py)
            gone                                    rows: Uncertain

Source: https://developer.salesforce.com/docs/platform/api-asynch/guide/bulk-api-2-job-states.md (2026-11-22)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.record import JSON, Outcome, Write
from connectors.salesforce import bulk_csv, rows
from connectors.salesforce.bulk_results import results
from connectors.salesforce.calls import Calls
from connectors.salesforce.lookup import KEY_FIELD

Operation = Literal["upsert", "update"]
_OPERATIONS: tuple[Operation, ...] = ("upsert", "update")

#: Salesforce makes one of its own batches of so many rows; an org has 15,000 of them in a day.
# Source (2026-11-22):
# https://developer.salesforce.com/docs/platform/salesforce-app-limits-cheatsheet/guide/salesforce-app-limits-platform-bulkapi.html
MAX_ROWS = 10_000
#: Salesforce takes 100 MB. A worker holds one table in memory, and later its results, so ours are smaller.
_MAX_BYTES = 40_000_000
#: A job and its table.
CALLS_TO_WRITE = 2
#: How long we leave a job alone, in seconds: at least, and at most. Between, as long as it already takes.
_SHORTEST_WAIT_S = 3.0
_LONGEST_WAIT_S = 600.0
_JOB = re.compile(r"bulk:(?P<operation>upsert|update):(?P<id>[a-zA-Z0-9]{15,18})")
_JOB_ID = re.compile(r"[a-zA-Z0-9]{15,18}")
_NOT_FOUND = 404
#: Codes with which an org says that this way is closed to an object, or for today, while others are not.
# Source (2026-11-22):
# https://developer.salesforce.com/docs/atlas.en-us.240.0.api_asynch.meta/api_asynch/bulk_api_2_0_errors.htm
_NO_JOBS = frozenset({"FEATURENOTENABLED", "INVALIDENTITY", "EXCEEDEDQUOTA"})
#: After these, whatever is sent next would end the same way.
_STOPS = (Throttled, NeedsReconnect, Unavailable)


@dataclass(slots=True)
class _Row:
    """A record of a table: all writes with the same key, or to the same record."""

    fields: dict[str, JSON] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table for one job, and the places of the writes that it holds."""

    operation: Operation
    text: bytes
    places: tuple[int, ...]


def cost(writes: Sequence[Write]) -> int:
    """Count the calls that ``write`` makes of so many writes, when none of their tables is very large."""
    known = sum(one.record_id is not None for one in writes)
    calls = 0
    for number in (known, len(writes) - known):
        jobs = -(-number // MAX_ROWS)
        calls += min(number, 1) if number <= rows.MAX_BATCH else jobs * CALLS_TO_WRITE
    return calls


def write_unsorted(
    calls: Calls, base_url: str, writes: Sequence[Write], outcomes: Sequence[Outcome]
) -> list[Outcome]:
    """Hand those writes to a job whose rows Salesforce refused together, without saying for which.

    A job looks at each row for itself, so that many bad values do not cost a call each.
    """
    left = [i for i, one in enumerate(outcomes) if isinstance(one.error, rows.UnsortedError)]
    if not left:
        return list(outcomes)
    found = dict(enumerate(outcomes))
    try:
        answers = write(calls, base_url, [writes[i] for i in left], at_once=0)
    except ConnectorError as err:
        answers = [Outcome(error=err)] * len(left)
    found.update(zip(left, answers, strict=True))
    return [found[i] for i in range(len(writes))]


def write(
    calls: Calls, base_url: str, writes: Sequence[Write], *, at_once: int = rows.MAX_BATCH
) -> list[Outcome]:
    """Hand more writes than one call takes to jobs; outcome i belongs to write i.

    Up to *at_once* of a kind, and those that no table can hold, are written at once. Raises the error
    that holds for all rows; nothing was written then, or it says so.
    """
    object_name = rows.checked_name(writes[0].object)
    outcomes: dict[int, Outcome] = {}
    now: list[int] = []
    stopped: ConnectorError | None = None
    for operation in _OPERATIONS:
        records = _merged(operation, writes)
        fit = {name: row for name, row in records.items() if bulk_csv.fits(row.fields)}
        if len(fit) <= at_once:
            fit = {}
        now += [i for name, row in records.items() if name not in fit for i in row.places]
        for table in _tables(operation, fit):
            said = stopped or _upload(calls, object_name, table)
            if said is None:
                now += table.places
                continue
            stopped = said if isinstance(said, _STOPS) else None
            outcomes.update(dict.fromkeys(table.places, Outcome(error=said)))
    for start in range(0, len(now), rows.MAX_BATCH):
        places = now[start : start + rows.MAX_BATCH]
        answers, stopped = _write_at_once(calls, base_url, [writes[i] for i in places], stopped)
        outcomes.update(zip(places, answers, strict=True))
    _raise_if_whole(list(outcomes.values()))
    return [outcomes[i] for i in range(len(writes))]


def poll(calls: Calls, base_url: str, job: str, writes: Sequence[Write]) -> list[Outcome]:
    """Tell what became of the writes in a job; starts it when that was not done yet.

    An error that is raised is about the question only: the rows are still in the job.
    """
    named = _JOB.fullmatch(job)
    if named is None or not writes:
        return [_unknown()] * len(writes)
    path = f"jobs/ingest/{named['id']}"
    info = _state(calls, path)
    if info is None:
        return [_unknown()] * len(writes)
    if info["state"] == "Open":
        return [Outcome(error=_start(calls, path, job))] * len(writes)
    if info["state"] in {"UploadComplete", "InProgress"}:
        return [Outcome(error=_not_yet(job, _wait_s(calls, info)))] * len(writes)
    if info["state"] not in {"JobComplete", "Failed", "Aborted"}:
        raise ContractBroken("Salesforce told a state of a job that its documents do not have.")
    try:
        return results(calls, base_url, info, writes, is_update=named["operation"] == "update")
    except Rejected as err:
        if err.status != _NOT_FOUND:
            raise
        return [_unknown()] * len(writes)


def _merged(operation: Operation, writes: Sequence[Write]) -> dict[str, _Row]:
    """Give the records to upsert, or to update, by key or id; what is written later counts.

    Salesforce refuses rows that share a key or an id, so they become one.
    """
    merged: dict[str, _Row] = {}
    for place, one in enumerate(writes):
        if (one.record_id is not None) is (operation == "update"):
            row = merged.setdefault(one.record_id or one.key, _Row())
            row.fields.update(one.fields)
            row.places.append(place)
    return merged


def _tables(operation: Operation, records: Mapping[str, _Row]) -> Iterator[_Table]:
    """Give the records as tables, each of at most so many rows and bytes."""
    if not records:
        return
    identity = "Id" if operation == "update" else KEY_FIELD
    names = (name for row in records.values() for name in row.fields)
    columns = tuple(dict.fromkeys((identity, *names)))
    lines, size, held = [bulk_csv.header(columns)], 0, list[int]()
    for name, row in records.items():
        line = bulk_csv.line(columns, {**row.fields, identity: name})
        if len(lines) > MAX_ROWS or size + len(line) > _MAX_BYTES:
            yield _Table(operation, b"".join(lines), tuple(held))
            lines, size, held = lines[:1], 0, []
        lines.append(line)
        size += len(line)
        held += row.places
    yield _Table(operation, b"".join(lines), tuple(held))


def _write_at_once(
    calls: Calls, base_url: str, writes: Sequence[Write], stopped: ConnectorError | None
) -> tuple[Sequence[Outcome], ConnectorError | None]:
    """Write some rows without a job, unless something stops us; tells what stops the next rows."""
    if stopped is None:
        try:
            return rows.write(calls, base_url, writes), None
        except ConnectorError as err:
            stopped = err
    outcomes = [Outcome(error=stopped)] * len(writes)
    return outcomes, stopped if isinstance(stopped, _STOPS) else None


def _raise_if_whole(outcomes: Sequence[Outcome]) -> None:
    """Raise an error that holds for all rows; a refusal stays with its rows."""
    first = outcomes[0].error
    whole = first is not None and not isinstance(first, NotYet | Rejected)
    if whole and first is not None and all(one.error is first for one in outcomes):
        raise first


def _upload(calls: Calls, object_name: str, table: _Table) -> ConnectorError | None:
    """Make a job and upload its table; gives what to say of its rows, None to write them another way."""
    about: dict[str, JSON] = {
        "object": object_name,
        "operation": table.operation,
        "contentType": "CSV",
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
    }
    if table.operation == "upsert":
        about["externalIdFieldName"] = KEY_FIELD
    try:
        job_id = str(_job(calls.write("POST", "jobs/ingest", about)).get("id"))
    except Rejected as err:
        if KEY_FIELD in err.detail:
            return rows.missing_key(object_name, err.status)
        return None if _bare(err.code) in _NO_JOBS else err
    except ConnectorError as err:
        return _nothing_written(err)
    if not _JOB_ID.fullmatch(job_id):
        return ContractBroken("Salesforce made a job without giving its id.", code="no_job_id")
    path = f"jobs/ingest/{job_id}"
    try:
        calls.upload(f"{path}/batches", table.text)
    except ConnectorError as err:
        _abort(calls, path)
        return _nothing_written(err)
    return _not_yet(f"bulk:{table.operation}:{job_id}", 0.0)


def _start(calls: Calls, path: str, job: str) -> ConnectorError:
    """Tell a job that its upload is complete; gives what to say of its rows."""
    try:
        calls.write("PATCH", path, {"state": "UploadComplete"})
    except Rejected as err:
        info = _state(calls, path)
        if info is not None and info["state"] == "Open":
            _abort(calls, path)
            text = "Salesforce would not start the bulk job; nothing was written."
            return Unavailable(text, code=err.code, status=err.status)
        # Somebody else has started it meanwhile, or taken it away; the next question will tell.
    except (Uncertain, ContractBroken):
        # Whether it was started is the next thing to ask; the rows are in this job, whatever was lost.
        pass
    return _not_yet(job, _SHORTEST_WAIT_S)


def _state(calls: Calls, path: str) -> Mapping[str, Any] | None:
    """Ask for a job; None when Salesforce has none of that name (any more)."""
    try:
        return _job(calls.get(path))
    except Rejected as err:
        if err.status == _NOT_FOUND or _bare(err.code) == "INVALIDJOB":
            return None
        raise


def _job(answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping) or not isinstance(answer.get("state"), str):
        raise ContractBroken("Salesforce told nothing of the state of a job.", code="no_job_state")
    return answer


def _abort(calls: Calls, path: str) -> None:
    """Take a job back that is not to be started, if that can be done now.

    It would do nothing anyhow, and Salesforce removes it after a week; until then it is in the way.
    """
    with suppress(ConnectorError):
        calls.write("PATCH", path, {"state": "Aborted"})


def _wait_s(calls: Calls, info: Mapping[str, Any]) -> float:
    """Give how long to leave a job alone: as long as it has existed by Salesforce's own clock."""
    try:
        made = datetime.fromisoformat(str(info.get("createdDate")))
        asked = parsedate_to_datetime(calls.answer_headers.get("date", ""))
    except (TypeError, ValueError):
        return _LONGEST_WAIT_S / 10
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return min(max((asked - made).total_seconds(), _SHORTEST_WAIT_S), _LONGEST_WAIT_S)


def _nothing_written(err: ConnectorError) -> ConnectorError:
    """A job that was not started has written nothing, whatever answer was lost."""
    if isinstance(err, Uncertain):
        text = "Salesforce's answer was lost before anything was written."
        return Unavailable(text, code=err.code, status=err.status)
    return err


def _not_yet(job: str, wait_s: float) -> NotYet:
    return NotYet("Salesforce has it in a bulk job.", retry_after_s=wait_s, job=job)


def _unknown() -> Outcome:
    text = "Salesforce knows nothing of the bulk job any more."
    return Outcome(error=Uncertain(text, code="job_gone"))


def _bare(code: str | None) -> str:
    return (code or "").replace("_", "").upper()
