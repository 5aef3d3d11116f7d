"""The inbox as queries: what is open, what waits for a person, everything; narrowed, ordered, page by page.

*Open* is what came in the last two weeks and nobody has seen to: no record of it was touched or closed at the vendor,
and nobody has noted that the caller was called back. Spam is not open.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast
from urllib.parse import urlencode

from flask import url_for
from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    func,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from hub.context import Hub
from hub.db.base import now
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.outcomes import Kind, Outcome
from hub.db.tenancy import TenantSession
from hub.db.triage import CallBack
from hub.web import reading
from hub.web.display import Words, zone
from hub.web.reading import Voicemail
from hub.web.shell import NEEDS_PERSON
from mappings.event import Bucket

PAGE_SIZE: Final = 25
OPEN_FOR: Final = timedelta(days=14)
TABS: Final = {"open": "Open", "needs": "Needs you", "all": "All"}
ORDERS: Final = {"urgent": "Most urgent first", "newest": "Newest first"}
CALLERS: Final = {"known": "Has called before", "new": "First call"}
_MOST_SCORE: Final = 100
_YEARS: Final = range(1900, 2200)
#: How many events are looked up at a time, until a page is full; their sum is the most for one page.
_PIECES: Final = (200, 800, 4_000)

#: Where in a list one is: the urgency, the moment and the id of an event.
Place = tuple[int, datetime, str]
Tab = Literal["open", "needs", "all"]
Order = Literal["newest", "urgent"]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a person wants to see of the inbox; empty means everything. Days are the tenant's, both included."""

    tab: Tab = "all"
    bucket: str = ""
    urgency: str = ""
    state: str = ""
    since: str = ""
    until: str = ""
    language: str = ""
    caller: str = ""
    escalated: str = ""
    order: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Filters:
        """Read the filters of an address or a form; values that we do not know mean no filter.

        An address that names neither tab nor filter is that of what is open.
        """
        found = cls(
            bucket=_one_of(asked, "bucket", Words.bucket),
            urgency=_one_of(asked, "urgency", Words.urgency),
            state=_one_of(asked, "state", Words.state),
            since=_day(asked.get("since", "")),
            until=_day(asked.get("until", "")),
            language=asked.get("language", "")[:12],
            caller=_one_of(asked, "caller", CALLERS),
            escalated="yes" if asked.get("escalated") == "yes" else "",
            order=_one_of(asked, "order", ORDERS),
        )
        usual = "all" if found.is_set or found.order else "open"
        return replace(found, tab=cast("Tab", _one_of(asked, "tab", TABS) or usual))

    @property
    def is_set(self) -> bool:
        """Whether anything is left out, apart from the tab."""
        return any(getattr(self, name) for name in _NARROWS)

    @property
    def hidden(self) -> int:
        """How many of the filters that few need are set."""
        return sum(bool(getattr(self, name)) for name in _SELDOM)

    @property
    def ordered(self) -> Order:
        """How it is ordered: as asked for, else as the tab is."""
        return cast("Order", self.order or ("newest" if self.tab == "all" else "urgent"))

    def query(self) -> dict[str, str]:
        """Give the filters as an address has them."""
        found = {name: getattr(self, name) for name in ("tab", *_NARROWS, "order")}
        return {name: value for name, value in found.items() if value}

    @property
    def address(self) -> str:
        """Give the address of the list that they make."""
        return f"{url_for('web.voicemails.show')}?{urlencode(self.query())}"


_NARROWS: Final = (
    "bucket", "urgency", "state", "since", "until", "language", "caller", "escalated",
)  # fmt: skip
_SELDOM: Final = ("since", "until", "language", "caller", "escalated")


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and the cursor of the next part.

    ``looked_at`` is how many voicemails were looked through where that was as many as one page looks through: there
    may be more of them from ``after`` on. 0 where the page is full or the list at its end.
    """

    items: tuple[Voicemail, ...]
    after: str | None = None
    filters: Filters = field(default_factory=Filters)
    looked_at: int = 0


def page(
    hub: Hub,
    tenant_id: str,
    filters: Filters,
    after: str | None,
    *,
    timezone: str,
    size: int = PAGE_SIZE,
) -> Page:
    """Give one page of voicemails; a cursor that is not ours gives the first page."""
    place = read_cursor(after)
    stopped_at = None
    with hub.tenant(tenant_id) as session:
        if _lookups(filters, Of.events()):
            ids, stopped_at = _first(session, filters, place, timezone=timezone, size=size + 1)
            which = cast("Select[Any]", reading.marked().where(StoredEvent.id.in_(ids)))
            query = _ordered(which, filters.ordered, None)
        else:
            query = listed(filters, place, timezone=timezone).limit(size + 1)
        rows = session.execute(query).all()
        shown = rows[:size]
        done = reading.deliveries_of(session, [row.id for row, _, _ in shown])
    items = tuple(
        replace(
            reading.opened(hub, row, done.get(row.id, ())),
            call_back=call_back,
            correction=correction,
        )
        for row, call_back, correction in shown
    )
    if stopped_at is not None:
        return Page(items, _cursor(stopped_at), filters, looked_at=sum(_PIECES))
    return Page(items, cursor(shown[-1][0]) if len(rows) > size else None, filters)


def listed(filters: Filters, after: Place | None, *, timezone: str) -> Select[Any]:
    """Give the query of a list: events with what people noted of them."""
    query = reading.marked().where(*conditions(filters, timezone=timezone))
    return _ordered(cast("Select[Any]", query), filters.ordered, after)


def _first(
    session: TenantSession,
    filters: Filters,
    place: Place | None,
    *,
    timezone: str,
    size: int,
) -> tuple[list[str], Place | None]:
    """Give the ids of the first so many events for which everything holds, also what other tables say.

    In ever larger pieces, in the order of the list: mostly the first piece is enough, and none is read from end to end.
    Gives besides where looking stopped, when that was before so many were found and before the list's end.
    """
    plain, found = _plain(filters, timezone=timezone), list[str]()
    for piece in _PIECES:
        rows = session.execute(_looked_at(filters, plain, place, piece)).all()
        found += [row.id for row in rows if row.holds]
        if len(found) >= size or not rows or rows[-1].number < piece:
            return found[:size], None
        place = (rows[-1].urgency_score, rows[-1].received_at, rows[-1].id)
    return found, place


def _looked_at(
    filters: Filters, plain: Sequence[ColumnElement[bool]], place: Place | None, piece: int
) -> Select[Any]:
    """Give the query of a piece: those of its events for which everything holds, and the last one if it is full."""
    columns = (
        StoredEvent.id,
        StoredEvent.tenant_id,
        StoredEvent.caller_hash,
        StoredEvent.received_at,
        StoredEvent.urgency_score,
    )
    query = _ordered(cast("Select[Any]", select(*columns).where(*plain)), filters.ordered, place)
    some = query.limit(piece).subquery()
    when, row_id, score = some.c.received_at, some.c.id, some.c.urgency_score
    order = (score.desc(), when.desc()) if filters.ordered == "urgent" else (when.desc(),)
    holds = and_(*_lookups(filters, Of.rows(some))).label("holds")
    number = func.row_number().over(order_by=(*order, row_id.desc())).label("number")
    looked = select(row_id, score, when, holds, number).subquery()
    wanted = or_(looked.c.holds, looked.c.number == piece)
    return select(looked).where(wanted).order_by(looked.c.number)


def conditions(filters: Filters, *, timezone: str) -> list[ColumnElement[bool]]:
    """Give all that must hold of events, for a query that finds few by something else."""
    return [*_plain(filters, timezone=timezone), *_lookups(filters, Of.events())]


@dataclass(frozen=True, slots=True)
class Of:
    """The events of which something is looked up: the table, or rows that were chosen from it before."""

    source: Any
    columns: Any

    @classmethod
    def events(cls) -> Of:
        """Take the table."""
        return cls(StoredEvent, StoredEvent)

    @classmethod
    def rows(cls, some: Subquery) -> Of:
        """Take rows that were chosen before."""
        return cls(some, some.c)

    def look_up(self, which: Select[Any]) -> ScalarSelect[Any]:
        """Look something up for each of them.

        An EXISTS says the same, but PostgreSQL would make a join of it and read the whole other table first.
        """
        return which.correlate(self.source).limit(1).scalar_subquery()


def _plain(filters: Filters, *, timezone: str) -> list[ColumnElement[bool]]:
    """Give what the events' own columns say."""
    found = of_tab(filters.tab)
    if filters.bucket:
        found.append(StoredEvent.bucket == filters.bucket)
    if filters.urgency:
        found.append(StoredEvent.urgency_level == filters.urgency)
    if filters.state and filters.state != State.DELIVERED.value:
        found.append(_has_delivery_in((filters.state,)))
    if filters.since:
        found.append(StoredEvent.received_at >= _midnight(filters.since, timezone))
    if filters.until:
        end = _midnight(filters.until, timezone) + timedelta(days=1)
        found.append(StoredEvent.received_at < end)
    if filters.language:
        found.append(func.split_part(StoredEvent.language, "-", 1) == filters.language)
    if filters.caller == "known":
        found.append(StoredEvent.caller_hash.is_not(None))
    if filters.escalated:
        found.append(cast("ColumnElement[bool]", StoredEvent.escalate))
    return found


def of_tab(tab: Tab) -> list[ColumnElement[bool]]:
    """Give what the events' own columns say of a tab."""
    if tab == "open":
        return [
            StoredEvent.received_at >= now() - OPEN_FOR,
            StoredEvent.bucket != Bucket.SPAM.value,
        ]
    return [_has_delivery_in(NEEDS_PERSON)] if tab == "needs" else []


def _has_delivery_in(states: tuple[str, ...]) -> ColumnElement[bool]:
    """Give what holds of events with a delivery in a state that few are in."""
    return StoredEvent.id.in_(select(Delivery.event_id).where(Delivery.state.in_(states)))


def _lookups(filters: Filters, of: Of) -> list[ColumnElement[bool]]:
    """Give what other rows say of each event."""
    found: list[ColumnElement[bool]] = []
    if filters.tab == "open":
        found += unseen(of)
    if filters.state == State.DELIVERED.value:
        # Nearly all events have one, so that most that are looked at are shown.
        which = select(Delivery.id).where(
            Delivery.event_id == of.columns.id, Delivery.state == State.DELIVERED.value
        )
        found.append(of.look_up(which).is_not(None))
    if filters.caller:
        before = _call_before(of)
        found.append(before.is_not(None) if filters.caller == "known" else before.is_(None))
    return found


def unseen(of: Of) -> list[ColumnElement[bool]]:
    """Give what holds of events that nobody has seen to."""
    was_seen_to = of.look_up(
        select(Outcome.id)
        .join(Delivery, Delivery.id == Outcome.delivery_id)
        .where(
            Delivery.event_id == of.columns.id,
            Outcome.is_current,
            Outcome.kind.in_((Kind.TOUCHED.value, Kind.CLOSED.value)),
        )
    )
    was_called_back = of.look_up(
        select(CallBack.event_id).where(CallBack.event_id == of.columns.id)
    )
    return [was_called_back.is_(None), was_seen_to.is_(None)]


def _call_before(of: Of) -> ScalarSelect[Any]:
    earlier = aliased(StoredEvent)
    return of.look_up(
        select(earlier.id).where(
            earlier.tenant_id == of.columns.tenant_id,
            earlier.caller_hash == of.columns.caller_hash,
            earlier.received_at < of.columns.received_at,
        )
    )


def _ordered(query: Select[Any], order: Order, after: Place | None) -> Select[Any]:
    when, row_id, score = StoredEvent.received_at, StoredEvent.id, StoredEvent.urgency_score
    if after:
        older = or_(when < after[1], and_(when == after[1], row_id < after[2]))
        if order == "urgent":
            # The first part is what an index can begin at.
            older = and_(score <= after[0], or_(score < after[0], older))
        else:
            older = and_(when <= after[1], older)
        query = query.where(older)
    if order == "urgent":
        return query.order_by(score.desc(), when.desc(), row_id.desc())
    return query.order_by(when.desc(), row_id.desc())


def cursor(row: StoredEvent) -> str:
    """Write where a list goes on behind a row."""
    return _cursor((row.urgency_score, row.received_at, row.id))


def _cursor(place: Place) -> str:
    score, at, row_id = place
    text = json.dumps([score, at.isoformat(), row_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> Place | None:
    """Read a cursor; None for one that is not ours."""
    if not text:
        return None
    try:
        score, at, row_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        moment = datetime.fromisoformat(at)
        is_ours = moment.tzinfo is not None and isinstance(score, int) and abs(score) <= _MOST_SCORE
        return (score, moment, str(row_id).replace("\0", "")) if is_ours else None
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        return None


def _one_of(asked: Mapping[str, str], name: str, known: Mapping[str, str]) -> str:
    value = asked.get(name, "")
    return value if value in known else ""


def _day(text: str) -> str:
    """Read a day of a browser's field; what is none, or in no year of telephones, is no filter."""
    try:
        day = datetime.fromisoformat(text[:10]).date() if text else None
    except ValueError:
        return ""
    return day.isoformat() if day and day.year in _YEARS else ""


def _midnight(day: str, timezone: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=zone(timezone)).astimezone(UTC)
