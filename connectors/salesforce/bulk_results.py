"""Reads what became of each record of a bulk job that has ended.

Salesforce lists the records that it wrote, those that it refused, and those that it did not come to, in
tables of any order; each row holds the columns that were sent, and so our key or the record's id. Some
rows of a failed or aborted job may have been written.
Source (2026-11-22):
https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/get_job_failed_results.htm
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.errors import ContractBroken, Rejected, Unavailable, Uncertain
from connectors.http import redacted
from connectors.record import JSON, Outcome, RecordId, Write
from connectors.salesforce import bulk_csv, rows
from connectors.salesforce.calls import Calls
from connectors.salesforce.lookup import KEY_FIELD
from connectors.salesforce.refusals import record_url, refused_record

#: "REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --": code, sentence, fields.
_ERROR = re.compile(
    r"(?P<code>[A-Z][A-Z0-9_]*):(?P<message>.*?):(?P<fields>[\w ,.]*?) ?--", re.DOTALL
)
_UNKNOWN_COLUMN = re.compile(r"Field name not found\s*:\s*(?P<name>\w+)", re.IGNORECASE)
#: The checksum letters of long ids are no part of their identity.
_ID_CHARS = 15


def results(
    calls: Calls,
    base_url: str,
    info: Mapping[str, Any],
    writes: Sequence[Write],
    *,
    is_update: bool,
) -> list[Outcome]:
    """Give outcome i for write i of an ended job; *info* is what Salesforce says of the job.

    A row that is in none of the tables is Uncertain.
    """
    ended = _Ended(calls, base_url, info, writes, is_update=is_update)
    ended.read()
    return ended.outcomes()


class _Ended:
    """Matches the tables of one job to the writes."""

    def __init__(
        self,
        calls: Calls,
        base_url: str,
        info: Mapping[str, Any],
        writes: Sequence[Write],
        *,
        is_update: bool,
    ) -> None:
        self._calls, self._base_url, self._info = calls, base_url, info
        self._path = f"jobs/ingest/{info.get('id')}"
        self._object = writes[0].object
        self._is_update = is_update
        self._writes = writes
        self._sent: dict[str, dict[str, JSON]] = {}
        for one in writes:
            self._sent.setdefault(self._name(one), {}).update(one.fields)
        self._told: dict[str, Outcome] = {}

    def read(self) -> None:
        """Ask for the tables in which rows can be."""
        if self._unknown_column() == KEY_FIELD:
            # Without the column that names a row no row was read, and no table would name one.
            missing = Outcome(error=rows.missing_key(self._object, None))
            self._told = dict.fromkeys(self._sent, missing)
            return
        # Only a job that has come to its end is sure of its numbers.
        is_sure = self._info["state"] == "JobComplete"
        processed, failed = (
            self._count("numberRecordsProcessed"),
            self._count("numberRecordsFailed"),
        )
        if not is_sure or processed is None or failed is None or processed > failed:
            self._read_table("successfulResults", ("sf__Id", "sf__Created"), self._written)
        if not is_sure or failed != 0:
            self._read_table("failedResults", ("sf__Id", "sf__Error"), self._refused)
        if len(self._told) < len(self._sent):
            self._read_table("unprocessedrecords", (), self._unprocessed)

    def outcomes(self) -> list[Outcome]:
        """Give the outcomes in the order of the writes; only the first write of a record makes it."""
        found: list[Outcome] = []
        seen: set[str] = set()
        for one in self._writes:
            name = self._name(one)
            outcome = self._told.get(name) or _untold()
            if name in seen and outcome.is_new:
                outcome = Outcome(record=outcome.record, is_new=False)
            seen.add(name)
            found.append(outcome)
        return found

    def _name(self, one: Write) -> str:
        return one.record_id[:_ID_CHARS] if self._is_update and one.record_id else one.key

    def _read_table(
        self,
        table: str,
        columns: Sequence[str],
        outcome_of: Callable[[str, Mapping[str, str]], Outcome],
    ) -> None:
        identity = "Id" if self._is_update else KEY_FIELD
        text = self._calls.download(f"{self._path}/{table}")
        # The column that names the row stands in every table that Salesforce makes of ours.
        for row in bulk_csv.read(text, needs=(*columns, identity)):
            name = row.get(identity) or ""
            name = name[:_ID_CHARS] if self._is_update else name
            if name in self._sent and name not in self._told:
                self._told[name] = outcome_of(name, row)

    def _written(self, _name: str, row: Mapping[str, str]) -> Outcome:
        record_id = row.get("sf__Id")
        if not record_id:
            raise ContractBroken("Salesforce wrote a record without giving its id.")
        url = record_url(self._base_url, self._object, record_id)
        is_new = not self._is_update and row.get("sf__Created") == "true"
        return Outcome(record=RecordId(self._object, record_id, url), is_new=is_new)

    def _refused(self, name: str, row: Mapping[str, str]) -> Outcome:
        said = row.get("sf__Error") or ""
        error = _read_error(said)
        return Outcome(
            error=refused_record(self._object, [error], self._sent[name], self._base_url)
        )

    def _unprocessed(self, name: str, _row: Mapping[str, str]) -> Outcome:
        """Salesforce did not come to this row: the job ended before, and says why."""
        column = self._unknown_column()
        if column in self._sent[name]:
            text = f'Salesforce refused the {self._object}: it has no field "{column}".'
            return Outcome(error=Rejected(text, field=column, code="INVALID_FIELD"))
        sentence = redacted(self._said()) or str(self._info["state"])
        text = f'Salesforce ended the bulk job before it came to this record: "{sentence}"'
        return Outcome(error=Unavailable(text, code="job_ended"))

    def _said(self) -> str:
        return str(self._info.get("errorMessage") or "")

    def _unknown_column(self) -> str | None:
        found = _UNKNOWN_COLUMN.search(self._said())
        return found["name"] if found else None

    def _count(self, name: str) -> int | None:
        value = self._info.get(name)
        return value if isinstance(value, int) else None


def _read_error(said: str) -> dict[str, Any]:
    """Read a row's error as REST calls tell it; of several the first."""
    found = _ERROR.match(said)
    if found is None:
        code = re.match(r"[A-Z][A-Z0-9_]+", said)
        return {"statusCode": code.group() if code else "UNKNOWN", "message": said, "fields": []}
    names = [name for name in re.split(r"[ ,]+", found["fields"]) if name]
    return {"statusCode": found["code"], "message": found["message"], "fields": names}


def _untold() -> Outcome:
    text = "Salesforce's bulk job has ended without telling what became of this record."
    return Outcome(error=Uncertain(text, code="not_in_results"))
