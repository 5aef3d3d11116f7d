"""Bulk API 2.0 jobs of the sandbox: they wait, then write their rows some at a time, and remember each.

A job goes on with the clock, whenever its org is asked for anything. What it wrote and how far it came are one
transaction, so that a sandbox that is killed goes on where it was.
Source: https://developer.salesforce.com/docs/platform/api-asynch/guide/bulk-api-2-job-states.md (2026-11-22)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from connectors.salesforce import sandbox_batch as batch
from connectors.salesforce.sandbox_org import Org, Refused, make_id, user_id
from connectors.sandbox import clock
from connectors.sandbox.oauth import SandboxAccount
from connectors.sandbox.store import Store

Job = dict[str, Any]

#: How jobs behave until somebody posts other settings.
DEFAULTS = {"bulk_delay_s": 1.0, "bulk_rows_per_s": 5_000.0, "is_bulk_on": True}
_OPERATIONS = frozenset({"insert", "update", "upsert"})
_CHUNK = 200
_MAX_BYTES = 150_000_000
_RUNNING = frozenset({"UploadComplete", "InProgress"})
_ENDED = frozenset({"JobComplete", "Failed", "Aborted"})
_NULL = "#N/A"


class Jobs:
    """One org's ingest jobs."""

    def __init__(self, store: Store, account: SandboxAccount) -> None:
        """Look at this account's jobs."""
        self._store = store
        self._account = account
        self._kind = f"job:{account.id}"

    def create(self, body: Mapping[str, Any], version: str) -> Job:
        """Make a job that is open for its table; raises Refused."""
        org = Org(self._store, self._account)
        operation, name = str(body.get("operation")), str(body.get("object"))
        if operation not in _OPERATIONS:
            raise Refused(400, "INVALIDJOB", f"InvalidJob : Unknown operation: {operation}")
        try:
            known = org.fields(name)
        except Refused as err:
            text = f"InvalidJob : Unable to find object: {name}"
            raise Refused(400, "INVALIDJOB", text) from err
        external = str(body.get("externalIdFieldName") or "")
        if operation == "upsert" and not (external in known and known[external].is_external_id):
            text = (
                f"InvalidJob : Field name provided, {external} does not match an External ID, "
                f"Salesforce Id, or indexed field for {name}"
            )
            raise Refused(400, "INVALIDJOB", text)
        job_id = make_id("750", self._store.add("numbers", "record"))
        now = clock.seconds()
        job: Job = {
            "id": job_id,
            "operation": operation,
            "object": name,
            "createdById": user_id(self._account),
            "createdDate": _stamp(now),
            "systemModstamp": _stamp(now),
            "state": "Open",
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(version.removeprefix("v")),
            "contentUrl": f"services/data/{version}/jobs/ingest/{job_id}/batches",
            "lineEnding": body.get("lineEnding", "LF"),
            "columnDelimiter": body.get("columnDelimiter", "COMMA"),
        }
        if operation == "upsert":
            job["externalIdFieldName"] = external
        self._store.keep(self._kind, job_id, {**job, "own": {}})
        return job

    def upload(self, job_id: str, table: bytes) -> None:
        """Take the one table of a job; raises Refused."""
        with self._store.transaction():
            job = self._get(job_id)
            if job["state"] != "Open" or "columns" in job["own"]:
                text = "InvalidJobState : Job data was uploaded already, or the job is not open"
                raise Refused(400, "INVALIDJOBSTATE", text)
            if len(table) > _MAX_BYTES:
                raise Refused(400, "INVALIDBATCH", "InvalidBatch : The file is too large")
            try:
                lines = list(
                    csv.reader(io.StringIO(table.decode("utf-8"), newline=""), strict=True)
                )
            except (UnicodeDecodeError, csv.Error) as err:
                job["own"]["broken"] = f"ClientInputError : {err}"
                lines = [[]]
            columns, *rows = lines or [[]]
            job["own"] |= {"columns": columns, "total": len(rows), "done": 0, "failed": 0}
            for number, cells in enumerate(rows):
                self._store.keep(f"rows:{job_id}", f"{number:06d}", {"cells": cells})
            self._keep(job)

    def set_state(self, job_id: str, state: object) -> Job:
        """Start a job, or abort it; raises Refused."""
        with self._store.transaction():
            job = self._get(job_id)
            if state == "UploadComplete" and job["state"] == "Open" and "columns" in job["own"]:
                job["own"]["closed_at"] = clock.seconds()
            elif state != "Aborted" or job["state"] in _ENDED:
                text = f"InvalidJobState : {job['state']} job cannot become {state}"
                raise Refused(400, "INVALIDJOBSTATE", text)
            job["state"] = state
            return _shown(self._keep(job))

    def delete(self, job_id: str) -> None:
        """Forget a job and its results; raises Refused."""
        with self._store.transaction():
            job = self._get(job_id)
            if job["state"] in {"Open", "InProgress"}:
                raise Refused(400, "INVALIDJOBSTATE", "InvalidJobState : the job has not ended")
            for number in range(job["own"].get("total", 0)):
                self._store.forget(f"rows:{job_id}", f"{number:06d}")
            self._store.forget(self._kind, job_id)

    def show(self, job_id: str) -> Job:
        """Give what Salesforce tells of a job; raises Refused."""
        return _shown(self._get(job_id))

    def table(self, job_id: str, name: str) -> str:
        """Give one of an ended job's tables; its rows are not in the order in which they came."""
        job = self._get(job_id)
        if job["state"] not in _ENDED:
            raise Refused(400, "INVALIDJOBSTATE", "InvalidJobState : the job has not ended")
        own = {
            "successfulResults": ["sf__Id", "sf__Created"],
            "failedResults": ["sf__Id", "sf__Error"],
            "unprocessedrecords": [],
        }[name]
        text = io.StringIO(newline="")
        table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writerow([*own, *job["own"].get("columns", [])])
        for row in reversed(self._store.all_kept(f"rows:{job_id}").values()):
            if row.get("table", "unprocessedrecords") == name:
                table.writerow([*(row[column] for column in own), *row["cells"]])
        return text.getvalue()

    def go_on(self, settings: Mapping[str, Any], refused: str | None = None) -> None:
        """Do what the jobs of this org would have done by now.

        *refused* is an error code with which the next row is refused, because a fault asks for it.
        """
        for job_id, job in self._store.all_kept(self._kind).items():
            if job["state"] in _RUNNING:
                with self._store.transaction():
                    self._go_on(self._get(job_id), settings, refused)

    def _go_on(self, job: Job, settings: Mapping[str, Any], refused: str | None) -> None:
        own = job["own"]
        since_s = clock.seconds() - own["closed_at"] - settings["bulk_delay_s"]
        if job["state"] not in _RUNNING or since_s < 0:
            return
        broken = own.get("broken") or self._unknown_column(job)
        if broken:
            job |= {"state": "Failed", "errorMessage": broken}
            self._keep(job)
            return
        due = min(own["total"], int(since_s * settings["bulk_rows_per_s"]) + 1)
        for start in range(own["done"], due, _CHUNK):
            numbers = range(start, min(start + _CHUNK, due))
            own["failed"] += self._write(job, numbers, refused)
            refused = None
        own["done"] = max(due, own["done"])
        job["state"] = "JobComplete" if own["done"] == own["total"] else "InProgress"
        self._keep(job)

    def _unknown_column(self, job: Job) -> str | None:
        known = Org(self._store, self._account).fields(job["object"])
        columns = job["own"]["columns"]
        identity = job.get("externalIdFieldName") or ("Id" if job["operation"] == "update" else "")
        for name in [*columns, *([identity] if identity else [])]:
            if name not in known or (name == identity and name not in columns):
                return f"InvalidBatch : Field name not found : {name}"
        return None

    def _write(self, job: Job, numbers: Sequence[int] | range, refused: str | None) -> int:
        """Write some rows, and give how many of them were refused."""
        org, name = Org(self._store, self._account), job["object"]
        kind = f"rows:{job['id']}"
        kept = [self._store.kept(kind, f"{number:06d}") or {"cells": []} for number in numbers]
        read = [self._read(org, job, row["cells"]) for row in kept]
        if refused:
            read[0] = (None, f"{refused}:refused by a fault switch:--")
        good = [row for row, _ in read if row is not None]
        external = job.get("externalIdFieldName")
        if external:
            write = batch.upserting(org, name, external, good)
        else:
            write = batch.updating(org) if job["operation"] == "update" else batch.creating(org)
        failed = 0
        for number, stored, (row, problem) in zip(numbers, kept, read, strict=True):
            answer = write(row) if row is not None else {}
            told = _told(problem, answer, is_insert=job["operation"] == "insert")
            failed += told["table"] == "failedResults"
            self._store.keep(kind, f"{number:06d}", {**stored, **told})
        return failed

    def _read(
        self, org: Org, job: Job, cells: Sequence[str]
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Give a line as a record, or why it is none. Empty cells are left out."""
        columns, name = job["own"]["columns"], job["object"]
        if len(cells) != len(columns):
            return None, "INVALID_INPUT:the number of cells differs from that of the columns:--"
        row: dict[str, Any] = {"attributes": {"type": name}}
        for column, text in zip(columns, cells, strict=True):
            if text == "":
                continue
            try:
                row[column] = None if text == _NULL else _value(org.fields(name)[column].type, text)
            except ValueError:
                code = "INVALID_TYPE_ON_FIELD_IN_RECORD"
                return None, f"{code}:{column}: value not of required type: {text}:{column} --"
        return row, None

    def _get(self, job_id: str) -> Job:
        job = self._store.kept(self._kind, job_id)
        if job is None:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        return job

    def _keep(self, job: Job) -> Job:
        job["systemModstamp"] = _stamp(clock.seconds())
        self._store.keep(self._kind, job["id"], job)
        return job


def _shown(job: Job) -> Job:
    own = job["own"]
    counts = {
        "jobType": "V2Ingest",
        "numberRecordsProcessed": own.get("done", 0),
        "numberRecordsFailed": own.get("failed", 0),
        "retries": 0,
        "totalProcessingTime": 0,
    }
    return {**{name: value for name, value in job.items() if name != "own"}, **counts}


def _value(kind: str, text: str) -> Any:
    """Read a cell as its field's type; raises ValueError."""
    if kind == "boolean":
        return {"true": True, "false": False, "1": True, "0": False}[_known(text)]
    if kind in {"int", "double", "currency"}:
        return int(text) if kind == "int" else float(text)
    if kind in {"date", "datetime"}:
        date.fromisoformat(text[:10])
    return text


def _known(text: str) -> str:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ValueError(text)
    return text.lower()


def _told(problem: str | None, answer: Mapping[str, Any], *, is_insert: bool) -> dict[str, str]:
    """Give what a result's table says of a row: why it could not be read, or what writing it gave."""
    if problem or not answer["success"]:
        said = problem or _said(answer["errors"][0])
        return {"table": "failedResults", "sf__Id": "", "sf__Error": said}
    created = "true" if answer.get("created", is_insert) else "false"
    return {"table": "successfulResults", "sf__Id": answer["id"], "sf__Created": created}


def _said(error: Mapping[str, Any]) -> str:
    fields = " ".join(_names(error))
    return f"{error['statusCode']}:{error['message']}:{fields} --"


def _names(error: Mapping[str, Any]) -> Iterator[str]:
    for name in error.get("fields", []):
        yield str(name)


def _stamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"
