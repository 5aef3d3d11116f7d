"""Writing down what became of records: the vendor's word, once, for every delivery that wrote the record.

::

    closures (webhook, poll) ──▶ deliveries of these records ──▶ compared with what is known ──▶ new rows

Only what happened after the voicemail counts. The same report again changes nothing. A record that was closed and,
asked for, is not any more has been reopened: its close stays in the history and counts no longer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from connectors.interface import HasPurposes
from connectors.record import Closure
from connectors.registry import connector
from hub import log, tally
from hub.context import Hub
from hub.db.base import new_id, now
from hub.db.connections import Connection
from hub.db.deliveries import Attempt, Delivery
from hub.db.events import StoredEvent
from hub.db.outcomes import Kind, Outcome, Source
from hub.db.tenancy import TenantSession
from hub.tally import families

_LOG = log.get(__name__)
_LONGEST_WORD = 80
_NOT_CLOSED = "not closed any more"
#: Vendors tell times by the second.
_TICK = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Said:
    """What a vendor said of one record, in our words; ``at`` is its time, which may be that of a whole day."""

    kind: Kind
    at: datetime
    result: str
    is_success: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How we came to know: from where, and when the vendor looked; ``asked`` are records that we asked for."""

    source: Source
    as_of: datetime
    asked: Collection[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """A delivery whose record something was said of.

    ``since`` is the voicemail's time. ``made_at`` is when it made the record; None where the record was there before.
    """

    delivery_id: str
    record: tuple[str, str]
    since: datetime
    made_at: datetime | None


@dataclass(frozen=True, slots=True)
class Known:
    """A row of a delivery's history."""

    id: str
    kind: Kind
    at: datetime
    is_success: bool
    is_current: bool
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """A row to add, and the one that no longer counts then."""

    said: Said
    ends: str | None = None


def record(
    hub: Hub, connection: Connection, closures: Sequence[Closure], reading: Reading
) -> Counter[Kind]:
    """Write down what a vendor said of records of a connection; gives what was new, by kind.

    Records that are not ours are left out.
    """
    said = _in_our_words(connection, closures)
    wanted = set(said) | set(reading.asked)
    noted: Counter[Kind] = Counter()
    counted: Counter[tuple[Kind, bool]] = Counter()
    if not wanted:
        return noted
    with hub.tenant(connection.tenant_id) as session:
        # One at a time for a connection: a report and a poll may tell of the same close.
        session.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": f"outcomes:{connection.id}"},
        )
        subjects = _subjects(session, connection.id, wanted)
        history = _history(session, [one.delivery_id for one in subjects])
        for subject in subjects:
            known = history[subject.delivery_id]
            words = list(said.get(subject.record, {}).values())
            for change in _changes(known, words, subject, reading):
                _apply(session, subject, change, reading.source)
                noted[change.said.kind] += 1
                counted[change.said.kind, change.said.is_success] += 1
    if noted:
        _LOG.info(
            "outcomes noted",
            connection_id=connection.id,
            source=reading.source.value,
            **{kind.value: number for kind, number in noted.items()},
        )
    for (kind, is_success), number in counted.items():
        which = (connection.connector, kind.value, reading.source.value, str(is_success).lower())
        tally.count(hub.redis, families.OUTCOMES, *which, number=number)
    return noted


def _in_our_words(
    connection: Connection, closures: Sequence[Closure]
) -> Mapping[tuple[str, str], dict[Kind, Said]]:
    """Give the first touch and the last close of each record."""
    vendor = connector(connection.connector)
    purposes = vendor.purposes if isinstance(vendor, HasPurposes) else {}
    found: dict[tuple[str, str], dict[Kind, Said]] = defaultdict(dict)
    for one in sorted(closures, key=lambda each: each.closed_at):
        kind = Kind.CLOSED if one.is_closed else Kind.TOUCHED
        if one.is_closed and purposes.get(one.record.object) == "text":
            kind = Kind.TOUCHED if one.is_success else Kind.FAILED
        words = found[one.record.object, one.record.id]
        if kind is Kind.CLOSED or kind not in words:
            result = one.result.replace("\0", "")[:_LONGEST_WORD]
            words[kind] = Said(kind, one.closed_at, result, one.is_success)
    return found


def _subjects(
    session: TenantSession, connection_id: str, wanted: Collection[tuple[str, str]]
) -> list[Subject]:
    """Give the deliveries that wrote these records."""
    made = exists().where(Attempt.delivery_id == Delivery.id, Attempt.outcome == "created")
    rows = session.execute(
        select(
            Delivery.id,
            Delivery.object,
            Delivery.record_id,
            func.coalesce(StoredEvent.time, StoredEvent.received_at),
            Delivery.delivered_at,
            made,
        )
        .join(StoredEvent, StoredEvent.id == Delivery.event_id)
        .where(
            Delivery.connection_id == connection_id,
            Delivery.record_id.in_({record_id for _, record_id in wanted}),
            Delivery.delivered_at.is_not(None),
        )
    ).all()
    return [
        Subject(row_id, (name, record_id), since, delivered_at if is_made else None)
        for row_id, name, record_id, since, delivered_at, is_made in rows
        if name and record_id and (name, record_id) in wanted
    ]


def _history(session: TenantSession, delivery_ids: Sequence[str]) -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = {one: [] for one in delivery_ids}
    rows = session.scalars(select(Outcome).where(Outcome.delivery_id.in_(delivery_ids)))
    for row in rows:
        found[row.delivery_id].append(
            Known(row.id, Kind(row.kind), row.at, row.is_success, row.is_current, row.seen_at)
        )
    return found


def judge(
    known: Sequence[Known], said: Said, subject: Subject, *, as_of: datetime, is_asked: bool
) -> Change | None:
    """Decide what the vendor's word adds to a delivery's history; None when it is nothing new.

    With ``is_asked`` it is how the record stands at ``as_of``; without, a report that may be late.
    """
    closed = _current(known, Kind.CLOSED)
    reopened = max((one.at for one in known if one.kind is Kind.REOPENED), default=None)
    at = _moment(said.at, subject, as_of)
    if at is None:
        return None
    if said.kind is not Kind.CLOSED:
        first = _current(known, said.kind)
        if first is not None and first.at <= at:
            return None
        return Change(_at(said, at), ends=first.id if first else None)
    if closed is not None and closed.is_success == said.is_success:
        return None
    before = closed.at if closed is not None else reopened
    if before is not None and at <= before:
        if not is_asked:
            return None  # a report that was overtaken by what we know
        at = as_of
    return Change(_at(said, at), ends=closed.id if closed else None)


def reopening(known: Sequence[Known], *, as_of: datetime) -> Change | None:
    """Decide what it means that a record that was asked for at ``as_of`` is not closed."""
    closed = _current(known, Kind.CLOSED)
    if closed is None or closed.seen_at >= as_of:
        return None  # what was reported while the vendor was asked is newer than its answer
    return Change(Said(Kind.REOPENED, as_of, _NOT_CLOSED, is_success=False), ends=closed.id)


def _changes(
    known: Sequence[Known], said: Sequence[Said], subject: Subject, reading: Reading
) -> Iterator[Change]:
    """Give what is new of one delivery, in order; ``known`` is what was known before."""
    is_asked = subject.record in reading.asked
    for one in said:
        change = judge(known, one, subject, as_of=reading.as_of, is_asked=is_asked)
        if change is not None:
            yield change
    if is_asked and not any(one.kind is Kind.CLOSED for one in said):
        change = reopening(known, as_of=reading.as_of)
        if change is not None:
            yield change


def _current(known: Sequence[Known], kind: Kind) -> Known | None:
    return next((one for one in known if one.kind is kind and one.is_current), None)


def _at(said: Said, at: datetime) -> Said:
    return Said(said.kind, at, said.result, said.is_success)


def _moment(told: datetime, subject: Subject, as_of: datetime) -> datetime | None:
    """Give when it happened, or None when that was before the voicemail.

    Some vendors tell only the day; and a record that this delivery made was not closed before it.
    """
    is_day = (told.hour, told.minute, told.second, told.microsecond) == (0, 0, 0, 0)
    latest = told + _DAY if is_day else told + _TICK
    if latest <= subject.since and subject.made_at is None:
        return None
    earliest = max(subject.since, subject.made_at or subject.since)
    at = told if told >= subject.since else (as_of if is_day else earliest)
    return min(max(at, subject.since), max(as_of, subject.since))


def _apply(session: TenantSession, subject: Subject, change: Change, source: Source) -> None:
    """Add a row, and take the one that it ends out of what counts."""
    if change.ends is not None:
        session.execute(
            update(Outcome).where(Outcome.id == change.ends).values(is_current=False),
            execution_options={"synchronize_session": False},
        )
    said = change.said
    values = {
        "is_current": said.kind is not Kind.REOPENED,
        "is_success": said.is_success,
        "result": said.result,
        "source": source.value,
        "seen_at": now(),
    }
    session.execute(
        insert(Outcome)
        .values(
            id=new_id("out"),
            tenant_id=session.tenant_id,
            delivery_id=subject.delivery_id,
            kind=said.kind.value,
            at=said.at,
            **values,
        )
        .on_conflict_do_update(index_elements=["delivery_id", "kind", "at"], set_=values)
    )
