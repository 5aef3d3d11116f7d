"""Searching voicemails. What callers said is sealed, so it is looked through piece by piece, and only so far.

A telephone number is found by its fingerprint, an id by its index; everything else by opening the newest voicemails
until a page is full, so many were opened, or the time is up. What was searched for is in no address and in no log.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat
from sqlalchemy import ColumnElement, select

from hub.context import Hub
from hub.db import audit
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.people import Viewer
from hub.db.telephone import PhoneNumber, number_hash
from hub.db.tenancy import TenantSession
from hub.web import inbox, reading
from hub.web.inbox import PAGE_SIZE, Filters
from hub.web.reading import Voicemail

LONGEST: Final = 200
MOST_OPENED: Final = 2_000
PATIENCE_S: Final = 1.0
_AT_ONCE: Final = 200
_MOST_OF_A_CALLER: Final = 200
_LOOKS_LIKE_NUMBER: Final = re.compile(r"[+(]?[\d\s().\-/]{6,24}\Z")
_LOOKS_LIKE_ID: Final = re.compile(r"[A-Za-z0-9_\-:.]{8,255}\Z")
_ELSEWHERE: Final = "US"


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, by what, and how far it looked: how many it opened, back to when, and where to go on."""

    items: tuple[Voicemail, ...]
    by: Literal["number", "id", "words"]
    opened: int = 0
    back_to: datetime | None = None
    after: str | None = None


def search(
    hub: Hub,
    me: Viewer,
    asked: str,
    filters: Filters,
    after: str | None,
    *,
    patience_s: float = PATIENCE_S,
) -> Found:
    """Search a tenant's voicemails, whatever their tab; for tenants with health data it is written down."""
    everywhere = replace(filters, tab="all")
    which = inbox.conditions(everywhere, timezone=me.timezone)
    found = _by_id(hub, me, asked, which) if not after and _LOOKS_LIKE_ID.match(asked) else None
    number = None if found else _number(hub, me, asked)
    if found is None and number and not after:
        found = _by_number(hub, me, number, which)
    if found is None:
        words = [number] if number else asked.casefold().split()
        found = _by_words(hub, me, words, everywhere, after=after, patience_s=patience_s)
    _note(hub, me, found)
    return found


def _by_id(hub: Hub, me: Viewer, asked: str, which: Sequence[ColumnElement[bool]]) -> Found | None:
    """Find a voicemail by its id, the call's, that of one of its deliveries, or of a record that it led to."""
    with hub.tenant(me.tenant_id) as session:
        ids = set(
            session.scalars(
                select(StoredEvent.id)
                .where(StoredEvent.id == asked)
                .union_all(
                    select(StoredEvent.id).where(
                        StoredEvent.tenant_id == me.tenant_id, StoredEvent.event_id == asked
                    ),
                    select(Delivery.event_id).where(
                        Delivery.tenant_id == me.tenant_id, Delivery.id == asked
                    ),
                )
            )
        )
        if not ids:
            return None
        items = _shown(hub, session, [StoredEvent.id.in_(ids), *which], PAGE_SIZE)
    return Found(items, "id") if items else None


def _number(hub: Hub, me: Viewer, asked: str) -> str | None:
    """Read a telephone number as people of the company's own country type it; None for what is none."""
    if not _LOOKS_LIKE_NUMBER.match(asked):
        return None
    with hub.tenant(me.tenant_id) as session:
        ours = session.scalars(select(PhoneNumber.number).limit(1)).first()
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(ours)) if ours else None
        read = phonenumbers.parse(asked, region or _ELSEWHERE)
    except NumberParseException:
        return None
    if not phonenumbers.is_possible_number(read):
        return None
    return phonenumbers.format_number(read, PhoneNumberFormat.E164)


def _by_number(
    hub: Hub, me: Viewer, number: str, which: Sequence[ColumnElement[bool]]
) -> Found | None:
    fingerprint = number_hash(hub.vault, me.tenant_id, number)
    with hub.tenant(me.tenant_id) as session:
        items = _shown(
            hub, session, [StoredEvent.caller_hash == fingerprint, *which], _MOST_OF_A_CALLER
        )
    return Found(items, "number") if items else None


def _shown(
    hub: Hub, session: TenantSession, which: Sequence[ColumnElement[bool]], size: int
) -> tuple[Voicemail, ...]:
    rows = session.execute(
        reading.marked()
        .where(*which)
        .order_by(StoredEvent.received_at.desc(), StoredEvent.id.desc())
        .limit(size)
    ).all()
    done = reading.deliveries_of(session, [row.id for row, _, _ in rows])
    return tuple(
        replace(
            reading.opened(hub, row, done.get(row.id, ())),
            call_back=call_back,
            correction=correction,
        )
        for row, call_back, correction in rows
    )


def _by_words(
    hub: Hub,
    me: Viewer,
    words: Sequence[str],
    filters: Filters,
    *,
    after: str | None,
    patience_s: float,
) -> Found:
    """Open the newest voicemails, and those before them, until enough was found or looked at."""
    until = time.monotonic() + patience_s
    ids: list[str] = []
    opened, last = 0, None
    place = inbox.read_cursor(after)
    newest = replace(filters, order="newest")
    with hub.tenant(me.tenant_id) as session:
        while len(ids) < PAGE_SIZE and opened < MOST_OPENED and time.monotonic() < until:
            query = inbox.listed(newest, place, timezone=me.timezone)
            rows = [row for row, _, _ in session.execute(query.limit(_AT_ONCE))]
            for row in rows:
                opened, last = opened + 1, row
                if _holds(reading.opened(hub, row), words):
                    ids.append(row.id)
                if len(ids) == PAGE_SIZE or time.monotonic() >= until:
                    break
            is_end = last is None or (len(rows) < _AT_ONCE and last is rows[-1])
            place = None if is_end or last is None else inbox.read_cursor(inbox.cursor(last))
            session.expunge_all()
            if is_end:
                break
        items = _shown(hub, session, [StoredEvent.id.in_(ids)], PAGE_SIZE) if ids else ()
    goes_on = inbox.cursor(last) if last is not None and place is not None else None
    return Found(items, "words", opened, last.received_at if last else None, goes_on)


def _holds(voicemail: Voicemail, words: Sequence[str]) -> bool:
    text = _text(voicemail.data).casefold()
    return all(word in text for word in words)


def _text(data: dict[str, Any]) -> str:
    """Give all words of a voicemail that a person may look for."""
    caller, callback = data.get("caller") or {}, data.get("callback") or {}
    segments = (data.get("transcript") or {}).get("segments") or ()
    found = [
        data.get("summary"),
        data.get("reason"),
        *(caller.get("name") or {}).values(),
        *(caller.get(name) for name in ("company", "email", "phone")),
        callback.get("number"),
        (data.get("call") or {}).get("from"),
        (data.get("appointment") or {}).get("service"),
        *(str(value) for value in (data.get("extra") or {}).values()),
        *(part.get("text") for part in segments),
    ]
    return "\n".join(str(one) for one in found if one)


def _note(hub: Hub, me: Viewer, found: Found) -> None:
    """Write down that somebody searched, never what for: that may be a name."""
    if not me.is_phi:
        return
    with hub.tenant(me.tenant_id) as session:
        audit.record(
            session,
            actor=me.actor,
            action="voicemails.searched",
            target=f"{len(found.items)} voicemails",
            facts={"by": found.by, "opened": found.opened, "found": len(found.items)},
        )
