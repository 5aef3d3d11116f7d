"""The sandbox's jobs: queued with their rows, run when their time has come, forgotten after an hour.

A job is kept like a record, so it runs after the sandbox was killed, too. Whoever calls next lets the jobs run that are
due; nobody can see that none ran before.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.sandbox import clock
from connectors.sandbox.store import Record, Store
from connectors.zendesk.sandbox_desk import RefusedError
from connectors.zendesk.sandbox_setup import Document

MAX_ROWS, _MAX_QUEUED, _MAX_KEPT = 100, 30, 100
_KEPT_S = 3_600.0

#: Carries out one row: account, row → the record.
Act = Callable[[str, Mapping[str, Any]], Record]


class Jobs:
    """The jobs of all accounts."""

    def __init__(self, store: Store, acts: Mapping[str, Act], *, public_url: str) -> None:
        """Take what each kind of job does with a row."""
        self._store, self._acts, self._public_url = store, acts, public_url

    def queue(
        self,
        account: str,
        kind: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        lasts_s: float,
        fails: bool,
        refused_row: str | None,
    ) -> Document:
        """Queue a job and give its status; raises RefusedError when too many wait."""
        if len(rows) > MAX_ROWS:
            words = "You have exceeded the number of records that can be sent at once"
            raise RefusedError(400, {"error": "TooManyValues", "description": words})
        waiting = [one for one in self._store.all_kept("due").values() if one["account"] == account]
        if len(waiting) >= _MAX_QUEUED:
            words = f"This account has {_MAX_QUEUED} queued or running jobs. Try again later."
            raise RefusedError(429, {"error": "TooManyJobs", "description": words})
        job, now = secrets.token_hex(16), clock.seconds()
        meta = {"account": account, "kind": kind, "total": len(rows), "made_at": now}
        work = {"rows": list(rows), "fails": fails, "refused_row": refused_row}
        self._store.keep("job", job, {**meta, "status": "queued", "message": None})
        self._store.keep("job_rows", job, work)
        self._store.keep("due", job, {"account": account, "at": now + lasts_s, "made_at": now})
        self._forget_old(account)
        return self.status(account, job)

    def run_due(self) -> None:
        """Run every job whose time has come."""
        for job, due in sorted(self._store.all_kept("due").items(), key=lambda one: one[1]["at"]):
            if due["at"] <= clock.seconds():
                with self._store.transaction():
                    # Another thread may have been faster.
                    if self._store.forget("due", job):
                        self._run(job)

    def status(self, account: str, job: str) -> Document:
        """Give a job's status; raises RefusedError when it is not known any more."""
        meta = self._store.kept("job", job)
        if meta is None or meta["account"] != account or self._is_old(meta):
            raise RefusedError(404, {"error": "RecordNotFound", "description": "Not found"})
        return self._document(job, meta)

    def listed(self, account: str) -> list[Document]:
        """Give the statuses of an account's jobs, newest first."""
        metas = [(j, m) for j, m in self._store.all_kept("job").items() if m["account"] == account]
        metas.sort(key=lambda one: -float(one[1]["made_at"]))
        return [self._document(job, meta) for job, meta in metas if not self._is_old(meta)]

    def _document(self, job: str, meta: Mapping[str, Any]) -> Document:
        results = self._store.kept("job_results", job)
        due = self._store.kept("due", job)
        status = str(meta["status"])
        if due is not None and clock.seconds() > (due["at"] + due["made_at"]) / 2:
            status = "working"
        return {
            "id": job,
            "job_type": meta["kind"],
            "url": f"{self._public_url}/api/v2/job_statuses/{job}.json",
            "total": meta["total"],
            "progress": meta["total"] if status == "completed" else None,
            "status": status,
            "message": meta["message"],
            "results": results["results"] if results else None,
        }

    def _run(self, job: str) -> None:
        meta, work = self._store.kept("job", job), self._store.kept("job_rows", job)
        self._store.forget("job_rows", job)
        if meta is None or work is None:
            return
        if work["fails"]:
            message = "Failed: an unexpected error occurred"
            self._store.keep("job", job, {**meta, "status": "failed", "message": message})
            return
        act, is_change = self._acts[meta["kind"]], meta["kind"].startswith("change")
        results: list[Document] = []
        for index, row in enumerate(work["rows"]):
            try:
                if index == 0 and work["refused_row"] is not None:
                    raise RefusedError(422, {"error": work["refused_row"], "details": "refused"})  # noqa: TRY301 - a fault asks for it
                record = act(meta["account"], row)
            except RefusedError as refused:
                results.append(_refused(index, row, refused.document, is_change=is_change))
            else:
                results.append(_done(index, record, is_change=is_change))
        message = f"Completed at {int(clock.seconds())}"
        self._store.keep("job", job, {**meta, "status": "completed", "message": message})
        self._store.keep("job_results", job, {"results": results})

    def _forget_old(self, account: str) -> None:
        metas = [(m["made_at"], j, m) for j, m in self._store.all_kept("job").items()]
        own = sorted((one for one in metas if one[2]["account"] == account), reverse=True)
        for _, job, meta in own[_MAX_KEPT:]:
            if meta["status"] != "queued":
                self._forget(job)

    def forget_all(self, account: str) -> None:
        """Forget an account's finished jobs, as if an hour had gone by."""
        for job, meta in self._store.all_kept("job").items():
            if meta["account"] == account and meta["status"] != "queued":
                self._forget(job)

    def _forget(self, job: str) -> None:
        self._store.forget("job", job)
        self._store.forget("job_results", job)

    @staticmethod
    def _is_old(meta: Mapping[str, Any]) -> bool:
        return float(meta["made_at"]) + _KEPT_S < clock.seconds()


def _done(index: int, record: Record, *, is_change: bool) -> Document:
    if is_change:
        return {"id": int(record.id), "action": "update", "status": "Updated", "success": True}
    return {"index": index, "id": int(record.id), "status": "Created", "success": True}


def _refused(
    index: int, row: Mapping[str, Any], said: Mapping[str, Any], *, is_change: bool
) -> Document:
    """Give a row that was refused: its sentence stands as text, under the record or its place."""
    details = said.get("details")
    if isinstance(details, Mapping):
        details = "; ".join(part["description"] for parts in details.values() for part in parts)
    refused: Document = {
        "error": str(said.get("error")),
        "details": str(details or said.get("description")),
        "success": False,
    }
    if is_change:
        return {"id": row.get("id"), "action": "update", "status": "Failed", **refused}
    return {"index": index, **refused}
