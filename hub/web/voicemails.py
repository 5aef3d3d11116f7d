"""The inbox of voicemails, and one voicemail with everything that was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import audit
from hub.db.deliveries import State
from hub.db.events import StoredEvent
from hub.db.outcomes import Outcome
from hub.db.people import Role
from hub.voice import recordings
from hub.web import inbox, outcomes, reading, saved_views
from hub.web.display import Words
from hub.web.inbox import Filters
from hub.web.reading import Try, Voicemail
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("voicemails", __name__, url_prefix="/voicemails")
_MOVING = {State.WAITING.value, State.SENDING.value}


@pages.get("")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """Show the inbox: what is open with the most urgent first, what waits for a person, or everything."""
    me, hub = viewer(), the_hub()
    wanted = Filters.of(request.args)
    page = inbox.page(hub, me.tenant_id, wanted, request.args.get("after"), timezone=me.timezone)
    reading.note_listed(hub, me, page.items)
    with hub.tenant(me.tenant_id) as session:
        around = inbox.around(session)
        views = saved_views.of(session, me, wanted)
    return render_template(
        "voicemails/list.html",
        page=page,
        filters=wanted,
        has_any=bool(page.items) or _has_any(me.tenant_id),
        around=around,
        views=views,
    )


def _has_any(tenant_id: str) -> bool:
    with the_hub().tenant(tenant_id) as session:
        return session.scalars(select(StoredEvent.id).limit(1)).first() is not None


@pages.get("/<event_id>")
@needs(Role.VIEWER)
def one(event_id: str) -> ResponseReturnValue:
    """Show one voicemail; for tenants with health data it is written down who read it."""
    me, hub = viewer(), the_hub()
    with hub.tenant(me.tenant_id) as session:
        found = reading.one(hub, session, event_id)
        if found is None:
            abort(404)
        attempts = reading.attempts_of(hub, session, [done.row.id for done in found.done])
        became = outcomes.of_deliveries(session, [done.row.id for done in found.done])
        page = outcomes.page_of(session, event_id)
        sound = recordings.of_event(session, event_id)
        if me.is_phi:
            audit.record(session, actor=me.actor, action="voicemail.read", target=event_id)
    # Looking again by itself would write down a reading that nobody did.
    is_moving = not me.is_phi and any(done.row.state in _MOVING for done in found.done)
    return render_template(
        "voicemails/one.html",
        voicemail=found,
        attempts=attempts,
        is_moving=is_moving,
        moments=_timeline(found, attempts, became),
        page=page,
        sound=sound,
    )


#: What an attempt came to when the record is there afterwards.
_WRITTEN = {"created", "updated", "found"}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, for the timeline."""

    at: datetime
    text: str
    tone: str = ""


def _timeline(
    found: Voicemail, attempts: dict[str, tuple[Try, ...]], became: Sequence[Outcome]
) -> list[Moment]:
    """Put what happened to a voicemail in order, from the call to what became of its records."""
    row = found.row
    moments = [Moment(row.received_at, "Accepted; every action was planned")]
    if row.time:
        moments.append(Moment(row.time, "The caller hung up"))
    for done in found.done:
        name = f"{Words().connector(done.connector)} {done.row.object or ''}".strip()
        tries = attempts.get(done.row.id, ())
        for place, one in enumerate(reversed(tries), start=1):
            if one.row.outcome in _WRITTEN:
                moments.append(Moment(one.row.at, f"{name} {one.row.outcome}", "good"))
            else:
                text = f"{name}: attempt {place}, {one.row.outcome}"
                moments.append(Moment(one.row.at, text, "bad"))
        if done.row.state in {State.PARKED.value, State.REJECTED.value}:
            word = Words.state[done.row.state].lower()
            moments.append(Moment(done.row.updated_at, f"{name} was {word}", "bad"))
        for outcome in became:
            if outcome.delivery_id == done.row.id:
                words, tone = outcomes.in_words(outcome)
                moments.append(Moment(outcome.at, f"{name} {words}", tone))
    return sorted(moments, key=lambda moment: moment.at)
