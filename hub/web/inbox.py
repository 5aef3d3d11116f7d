"""The inbox as queries: what is open, what waits for a person, everything; narrowed, ordered, page by page.

*Open* is what came in the last two weeks and nobody has seen to: no record of it was touched or closed at the vendor,
and nobody has noted that the caller was called back. Spam is not open.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast
from urllib.parse import urlencode

from flask import url_for
from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    union_all,
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
#: Counts beside the tabs stop here.
MOST_COUNTED: Final = 99
TABS: Final = {"open": "Open", "needs": "Needs you", "all": "All"}
ORDERS: Final = {"urgent": "Most urgent first", "newest": "Newest first"}
CALLERS: Final = {"known": "Has called before", "new": "First call"}
_MOST_SCORE: Final = 100
_RECENT: Final = 1_000
_YEARS: Final = range(1900, 2200)

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
    """A part of a list, and the cursor of the next part."""

    items: tuple[Voicemail, ...]
    after: str | None = None
    filters: Filters = field(default_factory=Filters)


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around the list: how much is behind each tab, and the languages that callers speak."""

    counts: Mapping[str, int]
    languages: tuple[str, ...]


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
    with hub.tenant(tenant_id) as session:
        query = listed(filters, read_cursor(after), timezone=timezone)
        rows = session.execute(query.limit(size + 1)).all()
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
    return Page(items, cursor(shown[-1][0]) if len(rows) > size else None, filters)


def listed(
    filters: Filters, after: tuple[int, datetime, str] | None, *, timezone: str
) -> Select[Any]:
    """Give the query of a list: events with what people noted of them."""
    query = reading.marked().where(*conditions(filters, timezone=timezone))
    return _ordered(cast("Select[Any]", query), filters.ordered, after)


def conditions(filters: Filters, *, timezone: str) -> list[ColumnElement[bool]]:
    """Give what must hold of the events of a list; the tenant's predicate is added by the session."""
    found = _of_tab(filters.tab)
    if filters.bucket:
        found.append(StoredEvent.bucket == filters.bucket)
    if filters.urgency:
        found.append(StoredEvent.urgency_level == filters.urgency)
    if filters.state:
        found.append(_in_state((filters.state,)))
    if filters.since:
        found.append(StoredEvent.received_at >= _midnight(filters.since, timezone))
    if filters.until:
        end = _midnight(filters.until, timezone) + timedelta(days=1)
        found.append(StoredEvent.received_at < end)
    return found + _of_caller(filters)


def _of_tab(tab: Tab) -> list[ColumnElement[bool]]:
    if tab == "open":
        return _open()
    return [_in_state(NEEDS_PERSON)] if tab == "needs" else []


def _of_caller(filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.language:
        found.append(func.split_part(StoredEvent.language, "-", 1) == filters.language)
    if filters.escalated:
        found.append(cast("ColumnElement[bool]", StoredEvent.escalate))
    if filters.caller:
        before = _has_called_before()
        found.append(before.is_not(None) if filters.caller == "known" else before.is_(None))
    return found


def _open() -> list[ColumnElement[bool]]:
    was_seen_to = _looked_up(
        select(Outcome.id)
        .join(Delivery, Delivery.id == Outcome.delivery_id)
        .where(
            Delivery.event_id == StoredEvent.id,
            Outcome.is_current,
            Outcome.kind.in_((Kind.TOUCHED.value, Kind.CLOSED.value)),
        )
    )
    was_called_back = _looked_up(
        select(CallBack.event_id).where(CallBack.event_id == StoredEvent.id)
    )
    return [
        StoredEvent.received_at >= now() - OPEN_FOR,
        StoredEvent.bucket != Bucket.SPAM.value,
        was_called_back.is_(None),
        was_seen_to.is_(None),
    ]


def _in_state(states: tuple[str, ...]) -> ColumnElement[bool]:
    """Give what holds of events with a delivery in one of these states.

    Nearly all events have a delivered one, which is looked up event by event; few have one in the others.
    """
    if State.DELIVERED.value in states:
        which = select(Delivery.id).where(
            Delivery.event_id == StoredEvent.id, Delivery.state.in_(states)
        )
        return _looked_up(which).is_not(None)
    return StoredEvent.id.in_(select(Delivery.event_id).where(Delivery.state.in_(states)))


def _has_called_before() -> ScalarSelect[Any]:
    earlier = aliased(StoredEvent)
    return _looked_up(
        select(earlier.id).where(
            earlier.tenant_id == StoredEvent.tenant_id,
            earlier.caller_hash == StoredEvent.caller_hash,
            earlier.received_at < StoredEvent.received_at,
        )
    )


def _looked_up(which: Select[Any]) -> ScalarSelect[Any]:
    """Look something up for each event of a list that stops early.

    An EXISTS says the same, but PostgreSQL would make a join of it and read the whole other table first.
    """
    return which.correlate(StoredEvent).limit(1).scalar_subquery()


def _ordered(
    query: Select[Any], order: Order, after: tuple[int, datetime, str] | None
) -> Select[Any]:
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


def around(session: TenantSession) -> Around:
    """Count what is behind the tabs, as far as 99, and name the languages of the latest voicemails."""
    parts: list[Any] = []
    tabs: tuple[Tab, ...] = ("open", "needs")
    for tab in tabs:
        which = _of_tab(tab)
        some = select(StoredEvent.id).where(*which).limit(MOST_COUNTED + 1).subquery()
        parts.append(select(literal(tab), func.count(), literal("")).select_from(some))
    latest = (
        select(func.split_part(StoredEvent.language, "-", 1).label("language"))
        .order_by(StoredEvent.received_at.desc())
        .limit(_RECENT)
        .subquery()
    )
    parts.append(
        select(literal("language"), func.count(), latest.c.language).group_by(latest.c.language)
    )
    rows = session.execute(union_all(*parts)).all()
    spoken = [(number, name) for kind, number, name in rows if kind == "language" and name]
    return Around(
        {kind: number for kind, number, _ in rows if kind != "language"},
        tuple(name for _, name in sorted(spoken, key=lambda one: (-one[0], one[1]))),
    )


def cursor(row: StoredEvent) -> str:
    """Write where a list goes on behind a row."""
    place = json.dumps([row.urgency_score, row.received_at.isoformat(), row.id])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> tuple[int, datetime, str] | None:
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
