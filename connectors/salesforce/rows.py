"""Writes batches through sObject Collections: up to 200 records in one call, each with its outcome.

Source: https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections-upsert
(2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from connectors.errors import ConnectorError, ContractBroken, Rejected, Throttled
from connectors.record import JSON, Outcome, RecordId, Write
from connectors.salesforce import soql
from connectors.salesforce.calls import API_VERSION, Calls
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

    Records that are known are updated by their id, the others upserted by our key; where a batch has both, one
    call takes them. What Salesforce refuses as a whole is sent again by itself, to find the bad rows. When only
    that fails, its rows carry the error: the others are written.
    """
    parts = [
        (places, _Batch(calls, base_url, writes[places[0]].object, is_update=is_update))
        for is_update in (False, True)
        if (
            places := [
                at for at, one in enumerate(writes) if (one.record_id is not None) is is_update
            ]
        )
    ]
    outcomes: list[Outcome | None] = [None] * len(writes)
    for taken, told in _together(calls, writes, parts).items():
        for place, answer in zip(taken, told, strict=True):
            outcomes[place] = answer
    done_before = any(outcomes)
    for places, batch in parts:
        if outcomes[places[0]] is not None:
            continue
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


def _together(
    calls: Calls, writes: Sequence[Write], parts: Sequence[tuple[Sequence[int], _Batch]]
) -> dict[tuple[int, ...], list[Outcome]]:
    """Send both kinds of records in one call; gives the outcomes of those kinds that Salesforce took.

    Source: https://developer.salesforce.com/docs/atlas.en-us.262.0.api_rest.meta/api_rest/
    resources_composite_composite_post.htm: the series counts as a single call (2026-11-22).
    """
    if len(parts) == 1:
        return {}
    merged = [batch.merged([writes[place] for place in places]) for places, batch in parts]
    body = {
        "allOrNone": False,
        "compositeRequest": [
            {
                "method": "PATCH",
                "url": f"/services/data/v{API_VERSION}/{batch.path}",
                "referenceId": f"part{at}",
                "body": {"allOrNone": False, "records": list(records.values())},
            }
            for at, ((_, batch), records) in enumerate(zip(parts, merged, strict=True))
        ],
    }
    try:
        answer = calls.write("POST", "composite", body)
    except Rejected:
        return {}  # nothing was written; each kind says for itself what is wrong
    said = answer.get("compositeResponse") if isinstance(answer, Mapping) else None
    if not isinstance(said, list) or len(said) != len(parts):
        raise ContractBroken(
            "Salesforce did not answer both parts of a batch.", code="answer_length"
        )
    found = {}
    for (places, batch), records, one in zip(parts, merged, said, strict=True):
        if not isinstance(one, Mapping) or not isinstance(one.get("httpStatusCode"), int):
            raise ContractBroken("Salesforce answered a part of a batch without a status.")
        if one["httpStatusCode"] == requests.codes.ok:
            answers = batch.read(one.get("body"), list(records.values()))
            by_name = dict(zip(records, answers, strict=True))
            found[tuple(places)] = batch.shared([writes[place] for place in places], by_name)
    return found


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
        merged = self.merged(writes)
        return self.shared(
            writes, dict(zip(merged, self._send(list(merged.values())), strict=True))
        )

    @property
    def path(self) -> str:
        """The resource that takes these records, below ``/services/data/vXX.X/``."""
        return "composite/sobjects" + ("" if self._is_update else f"/{self._object}/{KEY_FIELD}")

    def merged(self, writes: Sequence[Write]) -> dict[str, dict[str, Any]]:
        """Give one record for all rows of the same key or id, by that."""
        merged: dict[str, dict[str, Any]] = {}
        for one in writes:
            name = one.record_id or one.key
            merged.setdefault(name, self._record(one)).update(_values(one.fields))
        return merged

    @staticmethod
    def shared(writes: Sequence[Write], answers: Mapping[str, Outcome]) -> list[Outcome]:
        """Give each write the outcome of its record; only the first made it."""
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
        try:
            answer = self._calls.write(
                "PATCH", self.path, {"allOrNone": False, "records": list(records)}
            )
        except Rejected as err:
            return self._apart(records, err)
        return self.read(answer, records)

    def read(self, answer: Any, records: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """Give the outcome of each record; raises ContractBroken when they are not all answered."""
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
