"""Writes batches of events: new ones under an id of our own, known ones as patches.

::

    insert ──200──▶ written
       │ 409: there already
       ▼
      get ── as we want it ──▶ found         (a repeated write costs one call more and changes nothing)
       │ ── deleted by a person ──▶ Rejected
       ▼
     patch ──▶ updated                        (never the times of a hold, never the status)

A hold without a free slot is looked for first: it may be its own record that takes the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from googleapiclient.http import HttpRequest  # type: ignore[import-untyped] # has no types

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.google_calendar import naming
from connectors.google_calendar.drafts import FIELDS, Draft, draft, guests, read_field
from connectors.google_calendar.marks import marks_of
from connectors.google_calendar.moments import edge
from connectors.google_calendar.placing import Placement
from connectors.google_calendar.preferences import Preferences, preferences
from connectors.google_calendar.refusals import DUPLICATE, rejection
from connectors.google_calendar.slots import Span
from connectors.google_calendar.wire import (
    MAX_PARTS,
    PATCH_UNITS,
    Answer,
    Api,
    Refusal,
    batch,
    units,
)
from connectors.record import JSON, Account, Outcome, RecordId, Write

MAX_BATCH = MAX_PARTS
_NOT_FOUND = 404
_WHOLE = (Throttled, Unavailable, NeedsReconnect, Uncertain, ContractBroken)


@dataclass(slots=True)
class Row:
    """A record to write: what all writes with the same key, or to the same record, come to."""

    key: str
    record_id: str | None
    fields: dict[str, JSON] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)
    draft: Draft = field(default_factory=lambda: Draft(calendar=naming.PRIMARY))
    event: str = ""
    slot: Span | None = None
    patch: dict[str, Any] = field(default_factory=dict)
    is_there: bool = False
    record: RecordId | None = None
    is_new: bool | None = None
    error: ConnectorError | None = None

    @property
    def is_open(self) -> bool:
        """Say whether nothing is known about this row yet."""
        return self.record is None and self.error is None


def write(account: Account, writes: Sequence[Write]) -> list[Outcome]:
    """Write events, or holds; outcome i belongs to write i."""
    if not writes:
        return []
    if len(writes) > MAX_BATCH or len({one.object for one in writes}) > 1:
        raise ValueError(f"a batch holds at most {MAX_BATCH} writes of one object")
    rows = _rows(writes)
    _Run(account, writes[0].object, rows).run()
    _raise_if_whole(rows)
    by_write = {index: row for row in rows for index in row.writes}
    return [_outcome(by_write[index]) for index in range(len(writes))]


def cost(writes: Sequence[Write]) -> Mapping[str, int]:
    """Count the calls that a batch costs when nothing of it is there yet."""
    rows = _rows(writes)
    new = [row for row in rows if row.record_id is None]
    number = len(new) + PATCH_UNITS * (len(rows) - len(new))
    if new and writes[0].object == naming.HOLD:
        number += 1 + len({row.fields.get("calendar") for row in new})
    return units(number)


def _rows(writes: Sequence[Write]) -> list[Row]:
    """Merge writes that mean the same record; what is written later counts."""
    rows: dict[tuple[str, str], Row] = {}
    for index, one in enumerate(writes):
        known = one.record_id
        row = rows.setdefault(("id", known) if known else ("key", one.key), Row(one.key, known))
        row.writes.append(index)
        row.fields.update(one.fields)
    return list(rows.values())


class _Run:
    """Takes the rows of one batch through their stages; never raises for what concerns rows."""

    def __init__(self, account: Account, object_name: str, rows: list[Row]) -> None:
        self._account, self._object, self._rows = account, object_name, rows
        self._api = Api(account)
        self._placement: Placement | None = None

    def run(self) -> None:
        """Settle every row."""
        for row in self._rows:
            self._read(row)
        new = [row for row in self._open() if row.record_id is None]
        if self._object == naming.HOLD and new:
            self._place(new)
        self._send([row for row in self._open() if not self._lacks_slot(row)], self._first)
        self._look([row for row in self._open() if row.is_there or self._lacks_slot(row)])
        self._place_again()
        self._send([row for row in self._open() if not self._lacks_slot(row)], self._settle)
        for row in self._open():
            if self._placement is not None and self._lacks_slot(row):
                row.error = self._placement.nothing_free(row)

    def _open(self) -> list[Row]:
        return [row for row in self._rows if row.is_open]

    def _lacks_slot(self, row: Row) -> bool:
        is_wish = self._object == naming.HOLD and row.record_id is None and not row.is_there
        return is_wish and row.slot is None

    def _read(self, row: Row) -> None:
        """Read a row's fields against the settings."""
        if self._object not in FIELDS:
            row.error = Rejected(f'Google Calendar has no object "{self._object}".')
            return
        try:
            prefs = preferences(self._account.settings)
            row.draft = draft(self._object, row.fields, prefs, is_new=row.record_id is None)
        except Rejected as err:
            row.error = err
            return
        if row.record_id is None:
            row.event = naming.event_id(row.key)
            self._complete(row, prefs)
        else:
            row.event, row.draft.calendar = naming.split_record(
                row.record_id, default=row.draft.calendar
            )
            row.patch = row.draft.body

    def _complete(self, row: Row, prefs: Preferences) -> None:
        """Add what a new event carries besides its fields."""
        usual = prefs.hold_status if self._object == naming.HOLD else "confirmed"
        status = row.draft.body.get("status") or usual
        row.draft.body["status"] = status
        row.draft.private.update(
            {
                naming.OURS: "1",
                naming.KEY: row.key,
                naming.OBJECT: self._object,
                naming.STATUS: status,
            }
        )

    # Holds.

    def _place(self, new: list[Row]) -> None:
        self._placement = Placement(self._account, preferences(self._account.settings))
        try:
            self._placement.ask(new)
            self._placement.assign(new)
        except ConnectorError as err:
            _fail(new, err)

    def _place_again(self) -> None:
        """Give slots of holds that were there already to those that found none."""
        if self._placement is None:
            return
        found = [row for row in self._rows if row.slot is not None and row.is_there]
        for row in found:
            self._placement.release(row)
        if found:
            self._placement.assign([row for row in self._open() if self._lacks_slot(row)])

    # Calls.

    def _send(self, rows: list[Row], settle: Callable[[Row, Answer | Refusal], None]) -> None:
        """Insert or patch these rows in one call."""
        self._ask(rows, [self._request(row) for row in rows], settle, is_write=True)

    def _look(self, rows: list[Row]) -> None:
        """Read the events of these rows in one call."""
        made = [
            self._api.events("get", calendarId=row.draft.calendar, eventId=row.event)
            for row in rows
        ]
        self._ask(rows, made, self._found, is_write=False)

    def _ask(
        self,
        rows: list[Row],
        made: list[HttpRequest],
        settle: Callable[[Row, Answer | Refusal], None],
        *,
        is_write: bool,
    ) -> None:
        try:
            answers = batch(self._account, made, is_write=is_write)
        except ConnectorError as err:
            _fail(rows, err)
            return
        for row, answer in zip(rows, answers, strict=True):
            settle(row, answer)

    def _request(self, row: Row) -> HttpRequest:
        draft_ = row.draft
        always = {"calendarId": draft_.calendar, "sendUpdates": draft_.send_updates}
        if row.record_id is not None or row.is_there:
            private = {**draft_.private, **marks_of(row.patch)}
            if row.is_there:
                # What it was made as stays: by that a person's confirming is known.
                private.pop(naming.STATUS, None)
            elif "status" in row.patch:
                private[naming.STATUS] = row.patch["status"]
            body = {**row.patch, "extendedProperties": {"private": private}}
            return self._api.events("patch", eventId=row.event, body=body, **always)
        times = self._placement.times(row) if self._placement is not None else {}
        body = {**draft_.body, **times}
        marks = {**draft_.private, **marks_of(body)}
        private = {name: value for name, value in marks.items() if value is not None}
        body = {**_without_nothing(body), "extendedProperties": {"private": private}}
        return self._api.events("insert", body={"id": row.event, **body}, **always)

    # What came of it.

    def _first(self, row: Row, answer: Answer | Refusal) -> None:
        if isinstance(answer, Refusal) and row.record_id is None and answer.reason == DUPLICATE:
            row.is_there = True
            return
        self._settle(row, answer)

    def _found(self, row: Row, answer: Answer | Refusal) -> None:
        """Decide what a record that may be there already still needs."""
        if isinstance(answer, Refusal):
            if answer.status != _NOT_FOUND:
                row.error = answer.error
            elif row.is_there:
                # Google said that the id is taken, and knows nothing of it: it is asked again later.
                row.error = Unavailable("Google Calendar has not finished writing this event.")
            return
        event = answer.body
        row.is_there = True
        if naming.private(event).get(naming.KEY) != row.key and not _is_cancelled(event):
            row.error = Rejected("Google Calendar has another event under this event's id.")
            return
        row.patch = _differences(event, row.draft, is_hold=self._object == naming.HOLD)
        if _is_cancelled(event) or not (row.patch or _has_new_contact(event, row.draft)):
            self._settle(row, answer)

    def _settle(self, row: Row, answer: Answer | Refusal) -> None:
        if isinstance(answer, Refusal):
            is_refused = isinstance(answer.error, Rejected)
            row.error = (
                rejection(answer.error, row.fields.values())
                if is_refused and isinstance(answer.error, Rejected)
                else answer.error
            )
        elif not answer.body.get("id"):
            row.error = ContractBroken("Google Calendar's answer names no event.")
        elif _is_cancelled(answer.body):
            row.error = _deleted()
        else:
            row.record = naming.record_of(answer.body, self._object, row.draft.calendar)
            row.is_new = row.record_id is None and not row.is_there


def _is_cancelled(event: Mapping[str, Any]) -> bool:
    return event.get("status") == "cancelled"


def _deleted() -> Rejected:
    return Rejected(
        "Somebody has deleted this event in Google Calendar, and Google never frees its id. Restore it there "
        "from the bin and send this again, or dismiss it.",
        code="deleted",
    )


def _without_nothing(body: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what has no value: an insert has nothing to clear."""
    kept = {name: value for name, value in body.items() if value is not None}
    for name in ("start", "end"):
        if name in kept:
            kept[name] = {part: value for part, value in kept[name].items() if value is not None}
    return kept


def _differences(event: Mapping[str, Any], wanted: Draft, *, is_hold: bool) -> dict[str, Any]:
    """Give what has to be patched; a hold stays where it is, and its status is a person's matter."""
    found: dict[str, Any] = {}
    for name, value in wanted.body.items():
        if name in {"status", "reminders"} or (is_hold and name in {"start", "end"}):
            continue
        if name in {"start", "end"}:
            is_same = edge(event, name) == edge(wanted.body, name) is not None
        elif name == "attendees":
            is_same = guests(event) == guests(wanted.body)
        else:
            is_same = read_field(event, name) == value
        if not is_same:
            found[name] = value
    if "start" in found or "end" in found:
        found.update({name: wanted.body[name] for name in ("start", "end") if name in wanted.body})
    return found


def _has_new_contact(event: Mapping[str, Any], wanted: Draft) -> bool:
    if naming.CONTACT not in wanted.private:
        return False
    return naming.private(event).get(naming.CONTACT) != wanted.private[naming.CONTACT]


def _fail(rows: Sequence[Row], error: ConnectorError) -> None:
    for row in rows:
        if row.is_open:
            row.error = error


def _raise_if_whole(rows: Sequence[Row]) -> None:
    """Raise an error that holds for the whole batch; one of the token holds even for what was written."""
    errors = [row.error for row in rows]
    for error in errors:
        if isinstance(error, NeedsReconnect):
            raise error
    first = errors[0]
    if isinstance(first, _WHOLE) and all(type(error) is type(first) for error in errors):
        raise first


def _outcome(row: Row) -> Outcome:
    if row.error is not None:
        return Outcome(error=row.error)
    if row.record is None:
        return Outcome(error=ContractBroken("Google Calendar's answer leaves this event open."))
    return Outcome(record=row.record, is_new=row.is_new)
