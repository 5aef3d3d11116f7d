"""Writes batches of records: upserts by our own key, updates by record id, then associations.

HubSpot answers a batch row by row when it can (207), and refuses it whole when it cannot. A batch
that was refused whole for some of its rows is sent again without the rows that HubSpot names; when it
names none, it is halved until the bad rows stand alone. So one bad row keeps no other back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.errors import Ambiguous, ConnectorError, Rejected, Throttled, Unavailable, Uncertain
from connectors.hubspot import paths
from connectors.hubspot.associating import associate, split_fields
from connectors.hubspot.calls import Answer, attempt
from connectors.hubspot.objects import KEY
from connectors.hubspot.refusals import invalid_properties, named_rows, row_refused
from connectors.hubspot.values import property_values
from connectors.record import Account, Outcome, RecordId, Write

#: Inputs of one batch call.
#: Source: https://developers.hubspot.com/docs/api-reference/latest/crm/objects/contacts/guide (2026-11-22)
MAX_BATCH = 100
_NOT_FOUND = 404
#: Refusals that are about the object or our key property, and so hold for every row.
#: Source: https://github.com/HubSpot/hubspot-api-nodejs/issues/548 (2026-11-22)
_EVERY_ROW = re.compile(r"non-unique|infer object type")
#: Calls that one batch may cost; a batch with so many bad rows is finished by the next one.
_MAX_CALLS = 24


@dataclass(slots=True)
class Row:
    """A record to write: what all writes with the same key, or to the same record, come to."""

    name: str
    record_id: str | None
    properties: dict[str, str] = field(default_factory=dict)
    associations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)
    record: RecordId | None = None
    is_new: bool | None = None
    error: ConnectorError | None = None

    @property
    def is_open(self) -> bool:
        """Say whether nothing is known about this row yet."""
        return self.record is None and self.error is None


def write(account: Account, writes: Sequence[Write]) -> list[Outcome]:
    """Write records of one object; outcome i belongs to write i."""
    if not writes:
        return []
    if len(writes) > MAX_BATCH or len({one.object for one in writes}) > 1:
        raise ValueError("a batch holds at most 100 writes of one object")
    object_name = writes[0].object
    rows = _rows(writes)
    batch = _Batch(account, object_name)
    batch.send("update", [row for row in rows if row.record_id and row.is_open])
    batch.send("upsert", [row for row in rows if not row.record_id and row.is_open])
    for row, error in associate(
        account, object_name, [(row, row.record, row.associations) for row in rows if row.record]
    ):
        row.error = error
    _raise_if_whole(rows)
    return _outcomes(len(writes), rows)


def cost(writes: Sequence[Write]) -> Mapping[str, int]:
    """Count the calls that a batch costs when HubSpot refuses nothing."""
    rows = _rows(writes)
    calls = sum(bool([r for r in rows if bool(r.record_id) is known]) for known in (True, False))
    targets = {target for row in rows for target in row.associations}
    return {"requests": calls + len(targets)}


def _rows(writes: Sequence[Write]) -> list[Row]:
    """Merge writes that mean the same record; what is written later counts."""
    rows: dict[tuple[str, str], Row] = {}
    for index, one in enumerate(writes):
        known = one.record_id
        row = rows.setdefault(("id", known) if known else ("key", one.key), Row(one.key, known))
        row.writes.append(index)
        fields, associations, refusal = split_fields(one.object, one.fields)
        row.properties.update(property_values(fields))
        row.associations.update(associations)
        row.error = row.error or refusal
    return list(rows.values())


class _Batch:
    """Sends rows until each has a record or an error, within the calls that one batch may cost."""

    def __init__(self, account: Account, object_name: str) -> None:
        self._account = account
        self._object = object_name
        self._calls = 0

    def send(self, verb: Literal["update", "upsert"], rows: list[Row]) -> None:
        """Settle these rows; never raises for what concerns rows that were sent."""
        waiting = [rows] if rows else []
        left: list[Row] = []
        while waiting:
            # The largest part first: most good rows are then written when the calls run out.
            part = max(waiting, key=len)
            waiting.remove(part)
            if self._calls >= _MAX_CALLS:
                left += part
                continue
            self._calls += 1
            try:
                waiting += self._once(verb, part)
            except Uncertain as err:
                _fail_uncertain(part, err)
            except ConnectorError as err:
                _fail(part, err)
        # When the calls brought us no further, the same again would not either: that uses an attempt.
        _fail(left, _out_of_calls(is_further=len(left) < len(rows)))

    def _once(self, verb: str, rows: list[Row]) -> list[list[Row]]:
        """Send rows in one call; give the parts that must be sent again."""
        made = attempt(
            self._account,
            "POST",
            paths.batch(self._object, verb),
            body={"inputs": [_input(verb, row) for row in rows]},
            is_write=True,
        )
        if isinstance(made, Answer):
            return self._settle(rows, made)
        if not isinstance(made.error, Rejected | Ambiguous):
            raise made.error
        said = made.answer.body
        if len(rows) == 1:
            self._refuse(rows[0], said, made.answer.status)
            return []
        is_every = made.answer.status == _NOT_FOUND or _EVERY_ROW.search(str(said.get("message")))
        guilty = rows if is_every else _guilty(rows, said)
        for row in guilty:
            self._refuse(row, said, made.answer.status)
        rest = [row for row in rows if row.is_open]
        return _halves(rest) if not guilty else [rest] if rest else []

    def _refuse(self, row: Row, error: Mapping[str, Any], status: int) -> None:
        row.error = row_refused(error, object_name=self._object, status=status, sent=row.properties)

    def _settle(self, rows: list[Row], answer: Answer) -> list[list[Row]]:
        """Match results and errors to rows; their order is not the order of the inputs."""
        by_name = _by_name(rows)
        for result in answer.results:
            row = _row_of(by_name, result)
            if row is not None:
                row.record = RecordId(self._object, str(result.get("id")))
                row.is_new = bool(result.get("new"))
        has_stray = False
        for error in answer.errors:
            named = [by_name[name] for name in named_rows(error) if name in by_name]
            has_stray = has_stray or not named
            for row in named:
                if row.is_open:
                    self._refuse(row, error, answer.status)
        rest = [row for row in rows if row.is_open]
        if rest and has_stray:
            if len(rows) == 1:
                self._refuse(rest[0], answer.errors[0], answer.status)
                return []
            return _halves(rest) if len(rest) == len(rows) else [rest]
        _fail_uncertain(rest, Uncertain("HubSpot's answer does not name this record."))
        return []


def _out_of_calls(*, is_further: bool) -> Throttled | Unavailable:
    """Give the error of rows that are left when a batch's calls are used up.

    *is_further* says that other rows were settled: then these may come with the next batch, else with a
    growing delay, so that a batch that HubSpot only ever refuses whole does not go round for ever.
    """
    if is_further:
        return Throttled("The rest of the batch is sent later.", retry_after_s=1.0)
    return Unavailable("HubSpot refuses the whole batch without saying for which record.")


def _input(verb: str, row: Row) -> dict[str, Any]:
    """Give a row as a batch call takes it; an update by record id must not name an idProperty."""
    # Source: https://github.com/segmentio/action-destinations/pull/3957 (2026-11-22)
    sent: dict[str, Any] = {"objectWriteTraceId": row.name, "properties": row.properties}
    if verb == "update":
        return {**sent, "id": row.record_id}
    # HubSpot empties nothing that is not named, so the key stands among the properties too.
    return {
        **sent,
        "idProperty": KEY,
        "id": row.name,
        "properties": {**row.properties, KEY: row.name},
    }


def _by_name(rows: Sequence[Row]) -> dict[str, Row]:
    named = {row.name: row for row in rows}
    named.update({row.record_id: row for row in rows if row.record_id})
    return named


def _row_of(by_name: Mapping[str, Row], result: Mapping[str, Any]) -> Row | None:
    """Find a result's row by trace id, by our key, or by record id."""
    properties = result.get("properties") or {}
    for name in (result.get("objectWriteTraceId"), properties.get(KEY), result.get("id")):
        row = by_name.get(str(name))
        if row is not None:
            return row
    return None


def _guilty(rows: Sequence[Row], error: Mapping[str, Any]) -> list[Row]:
    """Give the rows that certainly made HubSpot refuse the batch; none when it does not say."""
    by_name = _by_name(rows)
    named = [by_name[name] for name in sorted(named_rows(error)) if name in by_name]
    if named:
        return named
    for wrong in invalid_properties(error):
        holders = [row for row in rows if wrong.name in row.properties]
        # A property that does not exist is wrong in every row; a wrong value only in one.
        if wrong.code in {"PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"} or len(holders) == 1:
            return holders
    return []


def _halves(rows: list[Row]) -> list[list[Row]]:
    middle = len(rows) // 2
    return [half for half in (rows[:middle], rows[middle:]) if half]


def _fail(rows: Sequence[Row], error: ConnectorError) -> None:
    for row in rows:
        row.error = error


def _fail_uncertain(rows: Sequence[Row], error: Uncertain) -> None:
    """Mark rows whose answer was lost.

    ``find`` could show that a record is there, but not that its associations are. A row with
    associations is therefore written again in full, which changes nothing that is there already.
    """
    again = Unavailable(f"{error.detail} The record is written again.", status=error.status)
    for row in rows:
        row.error = again if row.associations else error


def _raise_if_whole(rows: Sequence[Row]) -> None:
    """Raise an error that holds for the whole batch."""
    first = rows[0].error
    whole = isinstance(first, ConnectorError) and not isinstance(first, Rejected | Ambiguous)
    if whole and first is not None and all(row.error is first for row in rows):
        raise first


def _outcomes(number: int, rows: Sequence[Row]) -> list[Outcome]:
    by_write = {index: row for row in rows for index in row.writes}
    outcomes: list[Outcome] = []
    for index in range(number):
        row = by_write[index]
        if row.error is not None:
            outcomes.append(Outcome(error=row.error))
        else:
            outcomes.append(Outcome(record=row.record, is_new=row.is_new))
    return outcomes
