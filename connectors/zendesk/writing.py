"""Writes batches: one new ticket under an ``Idempotency-Key``, several as a job of Zendesk's.

::

    new tickets   one       POST tickets, with our key as Idempotency-Key        known at once
                  several   POST tickets/create_many (a job)                     NotYet, see jobs.py
                  tried before: GET tickets?external_id=… first, for each
    changes       one       PUT tickets/{id} or users/{id}                       known at once
                  several   PUT …/update_many (a job); tags are only added so    NotYet
    new users     each      POST users; Zendesk keeps external_id unique         known at once
                  several   POST users/create_many, where the account allows it  NotYet

Source: https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/ (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.errors import (
    Ambiguous,
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    TokenExpired,
    Unavailable,
    Uncertain,
)
from connectors.record import JSON, Account, Candidate, Outcome, RecordId, Write
from connectors.zendesk import finding, jobs
from connectors.zendesk.calls import Answer, Refusal, attempt, price
from connectors.zendesk.objects import (
    KEY,
    LABELS,
    PATHS,
    SINGULAR,
    TICKET,
    USER,
    changed_record,
    label_of,
    new_record,
    unknown_field,
)
from connectors.zendesk.preferences import preferences
from connectors.zendesk.refusals import OTHER_BODY, error_code, is_taken

#: Rows of one job.
#: Source: https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/#create-many-tickets (2026-11-22)
MAX_BATCH = 100
#: New users that one write makes, where they go one by one; the others come with the next one.
_ONE_BY_ONE = 25
#: Tickets that may have been made before and are looked for in one write, with a call each.
MAX_LOOKED_FOR = 40
#: Jobs that one write may begin, when parts are refused whole.
_MAX_JOBS = 12
_FORBIDDEN = 403
#: A gateway gave up waiting; what stood behind it may have gone on.
_GATEWAY = frozenset({502, 504})
#: A job may have been queued before something broke.
_BROKEN_JOB = _GATEWAY | {500}


@dataclass(slots=True)
class Row:
    """A record to write: what all writes with the same key, or to the same record, come to."""

    key: str
    record_id: str | None
    is_first: bool = True
    fields: dict[str, JSON] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)
    record: RecordId | None = None
    is_new: bool | None = None
    error: ConnectorError | None = None

    @property
    def is_open(self) -> bool:
        """Say whether nothing is known yet of what became of it."""
        return self.record is None and self.error is None


def write(account: Account, writes: Sequence[Write]) -> list[Outcome]:
    """Write records of one object; outcome i belongs to write i."""
    if not writes:
        return []
    if len(writes) > MAX_BATCH or len({one.object for one in writes}) > 1:
        raise ValueError("a batch holds at most 100 writes of one object")
    object_name = writes[0].object
    if object_name not in PATHS:
        raise Rejected(f'We write no "{object_name}" to Zendesk, only {" and ".join(PATHS)}.')
    rows = _rows(writes)
    for row in rows:
        row.error = _problem(object_name, row)
    batch = _Batch(account, object_name)
    batch.create([row for row in rows if row.record_id is None and row.error is None])
    batch.change([row for row in rows if row.record_id is not None and row.is_open])
    _raise_if_whole(rows)
    return _outcomes(len(writes), rows)


def cost(writes: Sequence[Write]) -> Mapping[str, int]:
    """Count what a batch costs when Zendesk refuses nothing, without later questions about its jobs.

    New users are counted one by one; where the account allows it, they cost less.
    """
    rows = _rows(writes)
    new = [row for row in rows if row.record_id is None]
    changed = [row for row in rows if row.record_id is not None]
    name = PATHS.get(writes[0].object, "tickets") if writes else "tickets"
    calls: list[tuple[str, str]] = []
    if len(new) > 1 and name == "tickets":
        calls.append(("POST", f"/{name}/create_many"))
    else:
        calls += [("POST", f"/{name}")] * min(len(new), _ONE_BY_ONE)
    if name == "tickets":
        tried = sum(not row.is_first for row in new)
        calls += [("GET", "/tickets")] * min(tried, MAX_LOOKED_FOR)
    if changed and _needs_job(changed):
        calls.append(("PUT", f"/{name}/update_many"))
    elif changed:
        calls.append(("PUT", f"/{name}/1"))
    total: dict[str, int] = {}
    for method, path in calls:
        for limit, units in price(method, f"/api/v2{path}").items():
            total[limit] = total.get(limit, 0) + units
    return total


def _rows(writes: Sequence[Write]) -> list[Row]:
    """Merge writes that mean the same record; what is written later counts."""
    rows: dict[tuple[str, str], Row] = {}
    for index, one in enumerate(writes):
        known = one.record_id
        row = rows.setdefault(("id", known) if known else ("key", one.key), Row(one.key, known))
        row.writes.append(index)
        row.fields.update(one.fields)
        row.is_first = row.is_first and one.is_first
    return list(rows.values())


def _problem(object_name: str, row: Row) -> ConnectorError | None:
    unknown = unknown_field(object_name, row.fields)
    if unknown is not None:
        label = LABELS[object_name].lower()
        return Rejected(f'A {label} of Zendesk has no field "{unknown}".', field=unknown)
    if row.record_id is not None and not row.record_id.isdecimal():
        return Rejected("A record of Zendesk has a number for its id.")
    return None


def _needs_job(rows: Sequence[Row]) -> bool:
    return len(rows) > 1 or any(row.fields.get("tags") is not None for row in rows)


class _Batch:
    """Sends rows of one object and settles each; never raises for what concerns rows that were sent."""

    def __init__(self, account: Account, object_name: str) -> None:
        self._account = account
        self._object = object_name
        self._path = f"/{PATHS[object_name]}"
        self._one = SINGULAR[object_name]

    def create(self, rows: list[Row]) -> None:
        """Make these records."""
        is_bulk = self._object == TICKET or preferences(self._account.settings).bulk_users
        if len(rows) > 1 and self._object == TICKET:
            rows = self._not_there(rows)
        if len(rows) > 1 and is_bulk and self._start_jobs("POST", "create_many", rows):
            return
        _fail(rows[_ONE_BY_ONE:], _next_batch())
        self._each(rows[:_ONE_BY_ONE], self._create_one)

    def _not_there(self, rows: list[Row]) -> list[Row]:
        """Give the tickets that are still to be made: a job takes no Idempotency-Key, and would make one again.

        Those that were tried before are looked for, some at a time; what is there is changed.
        """
        tried = [row for row in rows if not row.is_first]
        _fail(tried[MAX_LOOKED_FOR:], _next_batch())
        tried = tried[:MAX_LOOKED_FOR]
        try:
            found = finding.by_key(self._account, TICKET, [row.key for row in tried])
        except ConnectorError as err:
            _fail(tried, err)
        else:
            for row, hits in zip(tried, found, strict=True):
                row.record_id, row.is_first = (str(hits[0].get("id")) if hits else None), not hits
            self._each([row for row in tried if row.record_id is not None], self._change_one)
        return [row for row in rows if row.record_id is None and row.error is None]

    def change(self, rows: list[Row]) -> None:
        """Change these records by their ids."""
        if not rows:
            return
        if _needs_job(rows):
            self._start_jobs("PUT", "update_many", rows)
        else:
            self._each(rows, self._change_one)

    def _each(self, rows: Sequence[Row], act: Any) -> None:
        """Settle rows one by one; what is not about one row keeps the rest from being sent."""
        for place, row in enumerate(rows):
            try:
                act(row)
            except (Rejected, Ambiguous) as err:
                row.error = err
            except ConnectorError as err:
                row.error = err
                # An answer was lost: what was not sent yet is not uncertain.
                is_lost = isinstance(err, Uncertain | ContractBroken)
                _fail(rows[place + 1 :], _next_batch() if is_lost else err)
                return

    def _create_one(self, row: Row) -> None:
        if self._object == TICKET and not row.is_first:
            # An earlier try may be older than Zendesk's memory of its key.
            (found,) = finding.by_key(self._account, TICKET, [row.key])
            if found:
                self._change_found(row, found)
                return
        body = {self._one: new_record(self._object, row.fields, row.key)}
        # Zendesk keeps the key for two hours: two tries at the same moment make one ticket.
        # Source: https://developer.zendesk.com/api-reference/ticketing/introduction/#idempotency (2026-11-22)
        headers = {"Idempotency-Key": row.key} if self._object == TICKET else None
        made = attempt(self._account, "POST", self._path, body=body, headers=headers)
        if isinstance(made, Answer):
            self._settle(row, made)
            row.is_new = made.headers.get("x-idempotency-lookup") != "hit"
        else:
            self._refused_new(row, made)

    def _refused_new(self, row: Row, made: Refusal) -> None:
        """Find out whether a record was refused because it is there already."""
        said, status = made.answer.body, made.answer.status
        if status in _GATEWAY:
            raise Uncertain("Zendesk gave no answer to a new record.", status=status)
        is_other_body = self._object == TICKET and error_code(said) == OTHER_BODY
        if is_other_body or (self._object == USER and is_taken(said, KEY)):
            self._change_known(row, made)
        elif self._object == USER and is_taken(said, "email"):
            raise self._choice(row, made)
        else:
            raise made.error

    def _change_known(self, row: Row, made: Refusal) -> None:
        """Write to the record that has our key: it was made before, from other values."""
        (found,) = finding.by_key(self._account, self._object, [row.key])
        if not found:
            raise Unavailable(
                "Zendesk knows our key, but no record of it; it forgets the key within two hours.",
                code=error_code(made.answer.body),
                status=made.answer.status,
            )
        self._change_found(row, found)

    def _change_found(self, row: Row, found: Sequence[finding.Hit]) -> None:
        row.record_id = str(found[0].get("id"))
        self._change_one(row)

    def _choice(self, row: Row, made: Refusal) -> ConnectorError:
        """Have a person choose: another user has this e-mail address."""
        email = str(row.fields.get("email") or "")
        hits = finding.users_with_email(self._account, email)
        if not hits:
            return made.error
        return Ambiguous(
            "Zendesk already has a user with this e-mail address. Use them, or change the address.",
            candidates=[
                Candidate(RecordId(USER, str(hit.get("id"))), label_of(USER, hit)) for hit in hits
            ],
        )

    def _change_one(self, row: Row) -> None:
        body = {self._one: changed_record(self._object, row.fields)}
        made = attempt(self._account, "PUT", f"{self._path}/{row.record_id}", body=body)
        if isinstance(made, Refusal):
            raise _about_one(made)
        self._settle(row, made)
        row.is_new = False

    def _settle(self, row: Row, answer: Answer) -> None:
        number = answer.one(self._one).get("id")
        if not isinstance(number, int):
            raise ContractBroken("Zendesk's answer has no id.", status=answer.status)
        row.record = RecordId(self._object, str(number))

    def _start_jobs(self, method: str, verb: str, rows: list[Row]) -> bool:
        """Give rows to a job; False when the account does not allow this one, and nothing was done.

        A job that is refused whole, for some row that nobody names, is halved until that row stands alone.
        """
        waiting, calls = [rows], 0
        while waiting:
            # The largest part first: most good rows are then taken when the calls run out.
            part = max(waiting, key=len)
            waiting.remove(part)
            if calls >= _MAX_JOBS:
                _fail(part, _next_batch())
                continue
            calls += 1
            error = self._start_job(method, verb, part)
            if isinstance(error, Rejected) and len(part) > 1:
                middle = len(part) // 2
                waiting += [part[:middle], part[middle:]]
            elif isinstance(error, NeedsReconnect) and self._is_bulk_refused(method, error):
                return False
            else:
                _fail(part, error)
        return True

    def _start_job(self, method: str, verb: str, rows: list[Row]) -> ConnectorError:
        """Give what rows have to wait for, or what went wrong."""
        # A job's results count from the first row, so rows go in an order that is found again later.
        ordered = sorted(rows, key=lambda row: row.key)
        body = {PATHS[self._object]: [self._job_row(row) for row in ordered]}
        try:
            made = attempt(self._account, method, f"{self._path}/{verb}", body=body)
            if isinstance(made, Answer):
                return jobs.started(made, verb)
        except Uncertain as err:
            return self._lost_job(method, err)
        except ConnectorError as err:
            return err
        if made.answer.status in _BROKEN_JOB:
            error = Uncertain("Zendesk gave no answer to a job.", status=made.answer.status)
            return self._lost_job(method, error)
        return made.error

    def _lost_job(self, method: str, error: Uncertain) -> Uncertain:
        """A change may be sent again at any time; a new record only when the job cannot make it any more."""
        return jobs.lost(self._account, error) if method == "POST" else error

    def _is_bulk_refused(self, method: str, error: NeedsReconnect) -> bool:
        """Say whether the account may not make users in bulk, which most may not."""
        # Source: https://developer.zendesk.com/api-reference/ticketing/users/users/ (2026-11-22)
        return self._object == USER and method == "POST" and error.status == _FORBIDDEN

    def _job_row(self, row: Row) -> dict[str, Any]:
        if row.record_id is None:
            return new_record(self._object, row.fields, row.key)
        return {"id": int(row.record_id), **changed_record(self._object, row.fields)}


def _next_batch() -> NotYet:
    return NotYet("It goes with the next batch.", retry_after_s=1.0)


def _fail(rows: Sequence[Row], error: ConnectorError) -> None:
    for row in rows:
        row.error = error


def _about_one(made: Refusal) -> ConnectorError:
    """Give the error of a change of one record: that it is forbidden is about that record."""
    if isinstance(made.error, NeedsReconnect) and not isinstance(made.error, TokenExpired):
        return Rejected(
            "The agent who connected Zendesk may not change this record.",
            code=made.error.code,
            status=made.error.status,
        )
    return made.error


def _raise_if_whole(rows: Sequence[Row]) -> None:
    """Raise an error that holds for the whole batch."""
    first = rows[0].error
    is_whole = first is not None and not isinstance(first, Rejected | Ambiguous | NotYet)
    if is_whole and first is not None and all(row.error is first for row in rows):
        raise first


def _outcomes(number: int, rows: Sequence[Row]) -> list[Outcome]:
    by_write = {index: row for row in rows for index in row.writes}
    return [
        Outcome(error=row.error)
        if row.error is not None
        else Outcome(record=row.record, is_new=row.is_new)
        for row in (by_write[index] for index in range(number))
    ]
