"""The inbox of voicemails, and one voicemail with everything that was done about it."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import audit
from hub.db.deliveries import State
from hub.db.events import StoredEvent
from hub.db.people import Role
from hub.db.telephone import SOURCE
from hub.db.vault import Unreadable
from hub.delivery import triage
from hub.delivery.playbook import playbook
from hub.voice import recordings, tool_calls
from hub.voice.tool_calls import Used
from hub.web import evidence, inbox, outcomes, reading, saved_views, tab_counts, timeline
from hub.web.inbox import Filters
from hub.web.reading import Voicemail
from hub.web.viewer import needs, the_hub, viewer
from mappings.event import with_transcript_text

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
        around = tab_counts.around(session)
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
        query = select(StoredEvent.id).order_by(StoredEvent.received_at.desc()).limit(1)
        return session.scalars(query).first() is not None


@pages.get("/<event_id>")
@needs(Role.VIEWER)
def one(event_id: str) -> ResponseReturnValue:
    """Show one voicemail; for tenants with health data it is written down who read it."""
    me, hub = viewer(), the_hub()
    with hub.tenant(me.tenant_id) as session:
        found = reading.one(hub, session, event_id)
        if found is None:
            abort(404)
        ids = [done.row.id for done in found.done]
        attempts = reading.attempts_of(hub, session, ids)
        became = outcomes.of_deliveries(session, ids)
        page = outcomes.page_of(session, event_id)
        sound = recordings.of_event(session, event_id)
        names = reading.named(session, _actors(found, page))
        if me.is_phi:
            audit.record(session, actor=me.actor, action="voicemail.read", target=event_id)
    said = evidence.lines(found.data)
    # Looking again by itself would write down a reading that nobody did.
    is_moving = not me.is_phi and any(done.row.state in _MOVING for done in found.done)
    return render_template(
        "voicemails/one.html",
        voicemail=found,
        attempts=attempts,
        is_moving=is_moving,
        moments=timeline.moments(found, attempts, became, names=names, page=page, sound=sound),
        names=names,
        page=page,
        sound=sound,
        said=said,
        marked=evidence.marked(said),
        slots=evidence.slots(found.data, said),
        stages=evidence.trace(found.data),
        may_plan=_may_plan(found),
        tools=_tools(found),
    )


def _actors(found: Voicemail, page: outcomes.Page | None) -> list[str | None]:
    return [
        found.call_back.called_by if found.call_back else None,
        found.correction.decided_by if found.correction else None,
        page.verdict.decided_by if page and page.verdict else None,
        *(done.row.decided_by for done in found.done),
    ]


def _may_plan(found: Voicemail) -> bool:
    """Tell whether planning a corrected voicemail anew would change anything."""
    if found.correction is None or not found.is_readable:
        return False
    current = playbook(the_hub(), viewer().tenant_id, is_fresh=True)
    facts = with_transcript_text(found.data)
    return triage.would_change(current, found.row, facts, [done.row for done in found.done])


def _tools(found: Voicemail) -> list[Used]:
    """Give the tools that the agent used in the call, to those who may act on it."""
    me, hub = viewer(), the_hub()
    if found.row.source != SOURCE or found.row.expunged_at or not me.may(Role.OPERATOR):
        return []
    try:
        return tool_calls.read(hub, me, found.row.event_id)
    except Unreadable:
        return []
