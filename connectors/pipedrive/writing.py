"""Writes records one after another: Pipedrive has no batches, no upsert and no idempotency key.

A key that may have been sent before is looked for before a record is created. When a call is refused for a
reason that holds for all, such as a spent budget, what is written stays written and the other rows come again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.errors import (
    Ambiguous,
    ConnectorError,
    ContractBroken,
    NotYet,
    Rejected,
    Uncertain,
)
from connectors.pipedrive import paths
from connectors.pipedrive.calls import Row as Document
from connectors.pipedrive.calls import ask, call
from connectors.pipedrive.finding import (
    Hit,
    Link,
    Marked,
    is_gone,
    label_of,
    link_of,
    needed_code,
    newest,
    search_mark,
)
from connectors.pipedrive.keys import Customs, KeyFields, mark_of, with_mark
from connectors.pipedrive.objects import KINDS, Kind
from connectors.pipedrive.values import body_of, contacts_of, is_custom, is_same_contact
from connectors.record import JSON, Account, Candidate, Outcome, RecordId, Write

#: Ten look-ups are what the search limit allows in two seconds, and ten rows are soon done.
MAX_BATCH = 10
#: When rows come again that were not sent because an earlier one failed.
_SOON_S = 2.0
_CONTACTS = {"phone": "phones", "email": "emails"}


@dataclass(slots=True)
class Row:
    """A record to write: what all writes with the same key, or to the same record, come to."""

    mark: str
    record_id: str | None
    is_first: bool
    fields: dict[str, JSON] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)
    record: RecordId | None = None
    is_new: bool | None = None
    error: ConnectorError | None = None


def write(account: Account, keys: KeyFields, writes: Sequence[Write]) -> list[Outcome]:
    """Write records of one object; outcome i belongs to write i."""
    if not writes:
        return []
    if len(writes) > MAX_BATCH or len({one.object for one in writes}) > 1:
        raise ValueError(f"a batch holds at most {MAX_BATCH} writes of one object")
    rows = _rows(writes)
    kind = KINDS.get(writes[0].object)
    if kind is None:
        error = Rejected(f'Pipedrive has no object "{writes[0].object}".')
        return [Outcome(error=error) for _ in writes]
    batch = _Batch(account, keys, kind)
    stop: ConnectorError | None = None
    for row in rows:
        row.error = stop
        if stop is None:
            stop = batch.settle(row)
    _raise_if_whole(rows)
    return _outcomes(len(writes), rows)


def cost(writes: Sequence[Write]) -> Mapping[str, int]:
    """Count what a batch costs when Pipedrive refuses nothing and has none of the keys yet."""
    kind = KINDS.get(writes[0].object) if writes else None
    if kind is None:
        return {"requests": 0}
    calls: list[paths.Call] = []
    lists: set[Link] = set()
    for row in _rows(writes):
        if row.record_id:
            if _merges(kind, row) or not row.fields:
                calls.append(kind.paths.one(row.record_id))
            calls += [kind.paths.update(row.record_id)] if row.fields else []
            continue
        calls.append(kind.paths.add)
        if not row.is_first:
            lists.add(link_of(kind, row.fields))
            calls += [paths.SEARCH] if kind.fields else []
    calls += [kind.paths.many] * len(lists)
    units: dict[str, int] = {}
    for one in calls:
        for name, number in one.units.items():
            units[name] = units.get(name, 0) + number
    return units


def _rows(writes: Sequence[Write]) -> list[Row]:
    """Merge writes that mean the same record; what is written later counts."""
    rows: dict[tuple[str, str], Row] = {}
    for index, one in enumerate(writes):
        known = one.record_id
        row = rows.setdefault(
            ("id", known) if known else ("key", one.key), Row(mark_of(one.key), known, one.is_first)
        )
        row.writes.append(index)
        row.fields.update(one.fields)
        row.is_first = row.is_first and one.is_first
    return list(rows.values())


def _merges(kind: Kind, row: Row) -> bool:
    """Say whether a person's other numbers and addresses must be read, so that they are kept."""
    return kind.name == "Person" and any(row.fields.get(name) is not None for name in _CONTACTS)


class _Batch:
    """Settles the rows of one batch; lists are read once for all of them."""

    def __init__(self, account: Account, keys: KeyFields, kind: Kind) -> None:
        self._account, self._keys, self._kind = account, keys, kind
        self._lists: dict[Link, Marked] = {}
        self._customs: Customs | None = None

    def settle(self, row: Row) -> ConnectorError | None:
        """Write one row and note its outcome; gives the error of the rows that follow, if they must wait."""
        try:
            if row.record_id is not None:
                self._update(row, row.record_id, None)
            elif (hit := self._known(row)) is not None:
                self._update(row, hit.id, hit.row if hit.is_whole else None)
            else:
                self._create(row)
        except Rejected as err:
            row.error = self._checked(err)
            return None
        except Ambiguous as err:
            row.error = err
            return None
        except (Uncertain, ContractBroken) as err:
            row.error = err
            return NotYet("An earlier record failed; this one comes again.", retry_after_s=_SOON_S)
        except ConnectorError as err:
            row.error = err
            return err
        return None

    def _known(self, row: Row) -> Hit | None:
        """Give the record that has this row's key already; raises Ambiguous when several have it."""
        code = needed_code(self._account, self._keys, self._kind)
        if row.is_first:
            return None
        link = link_of(self._kind, row.fields)
        if link not in self._lists:
            self._lists[link] = newest(self._account, self._kind, code=code, link=link)
        found = [
            Hit(str(one.get("id")), one, is_whole=True)
            for one in self._lists[link].get(row.mark, [])
            if not is_gone(one)
        ] or search_mark(self._account, self._kind, row.mark)
        if self._kind.name == "Lead" and any(hit.row.get("type") == "deal" for hit in found):
            raise Rejected(
                "This lead was converted into a deal since; it is not made again. Its page is the deal's now."
            )
        if len(found) > 1:
            raise Ambiguous(
                f"{len(found)} Pipedrive records carry the same key; there must be one.",
                candidates=[
                    Candidate(
                        RecordId(self._kind.name, hit.id), label_of(self._kind, hit.row, hit.id)
                    )
                    for hit in found
                ],
            )
        return found[0] if found else None

    def _create(self, row: Row) -> None:
        sent = self._body(row, is_new=True)
        body = {name: value for name, value in sent.items() if value not in (None, [])}
        code = needed_code(self._account, self._keys, self._kind)
        if code is not None and self._kind.is_v1:
            body[code] = row.mark
        elif code is not None:
            own = body.get("custom_fields")
            given = (
                {name: one for name, one in own.items() if one is not None}
                if isinstance(own, Mapping)
                else {}
            )
            body["custom_fields"] = {**given, code: row.mark}
        made = call(self._account, self._kind.paths.add, body=body).one
        if made.get("id") is None:
            raise ContractBroken("Pipedrive names no id for the record that it made.")
        row.record, row.is_new = RecordId(self._kind.name, str(made["id"])), True

    def _update(self, row: Row, record_id: str, known: Document | None) -> None:
        body = self._body(row, is_new=False)
        if _merges(self._kind, row):
            body = self._merged(row, body, record_id, known)
        if body:
            call(self._account, self._kind.paths.update(record_id), body=body)
        elif known is None and not _merges(self._kind, row):
            self._present(record_id)
        row.record, row.is_new = RecordId(self._kind.name, record_id), False

    def _present(self, record_id: str) -> Document:
        """Give the record that is to be changed; raises Rejected when it is gone."""
        answer = ask(self._account, self._kind.paths.one(record_id))
        if answer is None or is_gone(answer.one):
            raise Rejected("Pipedrive has no such record.", status=404)
        return answer.one

    def _body(self, row: Row, *, is_new: bool) -> dict[str, JSON]:
        body = body_of(self._kind, row.fields, self._types(row))
        marker = self._kind.marker
        if marker is not None and (is_new or marker in body):
            # Whoever replaces the text must not lose the mark that stands in it.
            body[marker] = with_mark(body.get(marker), row.mark)
        return body

    def _types(self, row: Row) -> Mapping[str, str]:
        """Give the types of custom fields where this row has some; new ones are asked for once a batch."""
        names = [name for name in row.fields if is_custom(name)]
        if not names:
            return {}
        if self._customs is None:
            self._customs = self._keys.of(self._account, self._kind)
            if not set(names) <= set(self._customs.types):
                self._keys.forget(self._account, self._kind)
                self._customs = self._keys.of(self._account, self._kind)
        return self._customs.types

    def _merged(
        self, row: Row, body: dict[str, JSON], record_id: str, known: Document | None
    ) -> dict[str, JSON]:
        """Keep a person's other numbers and addresses: a list that is sent replaces the whole."""
        known = self._present(record_id) if known is None else known
        for name, key in _CONTACTS.items():
            if row.fields.get(name) is None:
                continue
            merged = _joined(name, known, key, body[key])
            if merged is None:
                del body[key]
            else:
                body[key] = merged
        return body

    def _checked(self, err: Rejected) -> Rejected:
        """Ask for the custom fields anew when the one for our key is what was refused."""
        code = (
            self._keys.code(self._account, self._kind) if err.field and self._kind.fields else None
        )
        if code is not None and err.field == code:
            self._keys.forget(self._account, self._kind)
            return Rejected(
                "The field for our key is gone from this Pipedrive account. Open the connection and press Check.",
                code=err.code,
                status=err.status,
            )
        return err


def _joined(name: str, known: Mapping[str, Any], key: str, asked: JSON) -> list[JSON] | None:
    """Put new values before those that a person has; None when there is nothing new."""
    held = known.get(key)
    present = [one for one in held if isinstance(one, Mapping)] if isinstance(held, list) else []
    listed = [one for one in asked if isinstance(one, Mapping)] if isinstance(asked, list) else []
    new = [
        one
        for one in listed
        if not any(is_same_contact(name, old, str(one["value"])) for old in contacts_of(known, key))
    ]
    if not new:
        return None
    return [*new, *({**one, "primary": False} for one in present)]


def _raise_if_whole(rows: Sequence[Row]) -> None:
    """Raise an error that holds for the whole batch."""
    first = rows[0].error
    if first is None or isinstance(first, Rejected | Ambiguous):
        return
    if all(row.error is first for row in rows):
        raise first


def _outcomes(number: int, rows: Sequence[Row]) -> list[Outcome]:
    by_write = {index: row for row in rows for index in row.writes}
    return [
        Outcome(error=row.error)
        if row.error is not None
        else Outcome(record=row.record, is_new=row.is_new)
        for row in (by_write[index] for index in range(number))
    ]
