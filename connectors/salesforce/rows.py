"""Writes batches through sObject Collections: up to 200 records in one call, each with its outcome.

Source: https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections-upsert
(2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.errors import ConnectorError, ContractBroken, Rejected, Throttled
from connectors.record import JSON, Outcome, RecordId, Write
from connectors.salesforce import soql
from connectors.salesforce.calls import Calls
from connectors.salesforce.lookup import KEY_FIELD
from connectors.salesforce.refusals import record_url, refused_record

#: Records of one call.
MAX_BATCH = 200
_NOT_FOUND = 404
#: Calls for finding the rows for which a whole request was refused; halving 200 rows for one takes 17.
_MAX_CALLS = 24


class UnsortedError(Throttled):
    """The calls for finding bad rows were used up before this row was sent for itself."""


def write(calls: Calls, base_url: str, writes: Sequence[Write]) -> list[Outcome]:
    """Give outcome i for write i; raises the error that holds for the whole batch.

    Records that are known are updated by their id in one call, the others upserted by our key in
    another. When only the second call fails, its rows carry the error: the first are written.
    """
    updates = [place for place, one in enumerate(writes) if one.record_id is not None]
    upserts = [place for place, one in enumerate(writes) if one.record_id is None]
    outcomes: list[Outcome | None] = [None] * len(writes)
    done_before = False
    for places, is_update in ((upserts, False), (updates, True)):
        if not places:
            continue
        batch = _Batch(calls, base_url, writes[places[0]].object, is_update=is_update)
        try:
            answers = batch.send([writes[place] for place in places])
        except ConnectorError as err:
            if not done_before:
                raise
            answers = [Outcome(error=err)] * len(places)
        done_before = True
        for place, answer in zip(places, answers, strict=True):
            outcomes[place] = answer
    return [outcome for outcome in outcomes if outcome is not None]


def checked_name(object_name: str) -> str:
    """Give an object's name; raises Rejected when it is not one."""
    try:
        # It becomes part of an address, where a slash would lead to another resource.
        return soql.name(object_name)
    except ValueError as err:
        raise Rejected(f'Salesforce has no object "{object_name}".', code="NOT_FOUND") from err


def missing_key(object_name: str, status: int | None) -> Rejected:
    """Give the error that an object without our key field stands for."""
    text = (
        f"Salesforce has no key field {KEY_FIELD} on {object_name} that we may use. "
        "Open the connection and run its set-up again."
    )
    return Rejected(text, field=KEY_FIELD, code="key_field_missing", status=status)


class _Batch:
    """Sends records of one object by one of the two calls."""

    def __init__(self, calls: Calls, base_url: str, object_name: str, *, is_update: bool) -> None:
        self._object = checked_name(object_name)
        self._calls = calls
        self._base_url = base_url
        self._is_update = is_update
        self._sent = 0

    def send(self, writes: Sequence[Write]) -> list[Outcome]:
        """Merge rows for the same record, send, and give each write its outcome.

        Salesforce refuses all rows of a collection that share an external id or a record id.
        """
        merged: dict[str, dict[str, Any]] = {}
        for one in writes:
            name = one.record_id or one.key
            merged.setdefault(name, self._record(one)).update(_values(one.fields))
        answers = dict(zip(merged, self._send(list(merged.values())), strict=True))
        outcomes: list[Outcome] = []
        seen: set[str] = set()
        for one in writes:
            name = one.record_id or one.key
            outcome = answers[name]
            if name in seen and outcome.is_new:
                outcome = Outcome(record=outcome.record, is_new=False)
            seen.add(name)
            outcomes.append(outcome)
        return outcomes

    def _record(self, one: Write) -> dict[str, Any]:
        identity = {"id": one.record_id} if self._is_update else {KEY_FIELD: one.key}
        return {"attributes": {"type": self._object}, **identity}

    def _send(self, records: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        if self._sent >= _MAX_CALLS:
            text = "The rest of the batch is sent later."
            return [Outcome(error=UnsortedError(text, retry_after_s=1.0))] * len(records)
        self._sent += 1
        path = "composite/sobjects"
        if not self._is_update:
            path += f"/{self._object}/{KEY_FIELD}"
        try:
            answer = self._calls.write(
                "PATCH", path, {"allOrNone": False, "records": list(records)}
            )
        except Rejected as err:
            return self._apart(records, err)
        if not isinstance(answer, list) or len(answer) != len(records):
            raise ContractBroken(
                "Salesforce did not answer every record of a batch.", code="answer_length"
            )
        return [self._outcome(a, sent) for a, sent in zip(answer, records, strict=True)]

    def _apart(self, records: Sequence[Mapping[str, Any]], err: Rejected) -> list[Outcome]:
        """Find the rows for which Salesforce refused the whole request, by sending halves.

        A value of the wrong JSON type does that; nothing was written then.
        """
        if err.status == _NOT_FOUND:
            return [Outcome(error=missing_key(self._object, err.status))] * len(records)
        if len(records) == 1:
            return [Outcome(error=err)]
        middle = len(records) // 2
        first = self._send(records[:middle])
        try:
            return first + self._send(records[middle:])
        except ConnectorError as later:
            # What the first half wrote must not be forgotten.
            return first + [Outcome(error=later)] * (len(records) - middle)

    def _outcome(self, answer: Any, sent: Mapping[str, Any]) -> Outcome:
        if not isinstance(answer, Mapping) or not isinstance(answer.get("success"), bool):
            raise ContractBroken("Salesforce answered a record without saying success or not.")
        if not answer["success"]:
            fields = {k: v for k, v in sent.items() if k not in {"attributes", "id", KEY_FIELD}}
            errors = answer.get("errors") or []
            return Outcome(error=refused_record(self._object, errors, fields, self._base_url))
        record_id = answer.get("id") or sent.get("id")
        if not isinstance(record_id, str):
            raise ContractBroken("Salesforce wrote a record without giving its id.")
        url = record_url(self._base_url, self._object, record_id)
        is_new = False if self._is_update else bool(answer.get("created"))
        return Outcome(record=RecordId(self._object, record_id, url), is_new=is_new)


def _values(fields: Mapping[str, JSON]) -> dict[str, Any]:
    """Give values as Salesforce reads them: the values of a multi-select picklist in one text."""
    return {
        name: ";".join(str(v) for v in value) if isinstance(value, list | tuple) else value
        for name, value in fields.items()
    }
