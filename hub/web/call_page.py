"""A call from the browser: a pass for the voice service, and what came of the call once it is over.

The browser talks to the voice service itself; the hub only says who may. What was said comes back as the event.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, abort, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import audit
from hub.db.base import now
from hub.db.deliveries import State
from hub.db.events import StoredEvent
from hub.db.people import Role
from hub.db.telephone import SOURCE
from hub.voice import call_pass
from hub.voice.numbers import numbers
from hub.web import reading
from hub.web.telephone_words import LINES
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("call_page", __name__, url_prefix="/settings/telephone/call")
_NUMBER: Final = re.compile(r"\+[1-9]\d{3,14}\Z", re.ASCII)
_FORMAT: Final = re.compile(r"[\s().\-/\u00a0]")
_MOVING: Final = {State.WAITING.value, State.SENDING.value}


@pages.get("")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Show the page, or what is missing for it."""
    me, settings = viewer(), the_hub().settings
    is_set_up = bool(settings.voice_url and settings.voice_token)
    if is_set_up:
        g.connects_to = _origin(_socket())
        # A browser's own recognition may send sound to its maker, who has no agreement about health data.
        g.uses_microphone = not me.is_phi
    return render_template(
        "settings/call_page.html",
        is_set_up=is_set_up,
        has_url=bool(settings.voice_url),
        voice_url=settings.voice_url,
        base_url=settings.base_url,
        numbers=numbers(the_hub(), me.tenant_id),
        line=LINES["conversation_relay"].label,
    )


@pages.post("/pass")
@needs(Role.ADMIN)
def make_pass() -> ResponseReturnValue:
    """Give the page's script a pass for one call, as JSON, and where it is shown."""
    me, hub = viewer(), the_hub()
    token = hub.settings.voice_token
    if not hub.settings.voice_url or token is None:
        return jsonify(problem="No voice service is set up."), 409
    number = request.form.get("number", "")
    if number not in {one.number for one in numbers(hub, me.tenant_id)}:
        abort(404)
    caller = _FORMAT.sub("", request.form.get("caller", ""))
    if caller and not _NUMBER.match(caller):
        problem = "Write it with + and the country's code, such as +14155550132, or leave it empty."
        return jsonify(problem=problem), 422
    call_id = call_pass.new_call_id()
    with hub.tenant(me.tenant_id) as session:
        audit.record(
            session,
            actor=me.actor,
            action="voice.browser_called",
            target=call_id,
            facts={"number": number},
        )
    given = call_pass.make(
        token.get_secret_value(),
        call_id=call_id,
        tenant_id=me.tenant_id,
        person_id=me.person_id,
        number=number,
        caller=caller or None,
        at=now(),
    )
    return jsonify({"call": call_id, "pass": given, "socket": _socket()})


def _socket() -> str:
    """Give the address of the voice service's socket for browsers."""
    return re.sub(r"^http", "ws", the_hub().settings.voice_url or "") + "/browser/relay"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@pages.get("/<call_id>")
@needs(Role.ADMIN)
def result(call_id: str) -> ResponseReturnValue:
    """Give the part of the page that says what came of a call; 404 until its event is here.

    For tenants with health data it holds no words: to read them is to open the voicemail, which is written down.
    """
    me, hub = viewer(), the_hub()
    with hub.tenant(me.tenant_id) as session:
        event_id = session.scalars(
            select(StoredEvent.id).where(
                StoredEvent.source == SOURCE, StoredEvent.event_id == call_id
            )
        ).one_or_none()
        found = reading.one(hub, session, event_id) if event_id else None
    if found is None:
        abort(404)
    states = [done.row.state for done in found.done]
    return render_template(
        "settings/call_result.html",
        voicemail=found,
        reasons=(found.data.get("urgency") or {}).get("reasons") or (),
        moving=sum(state in _MOVING for state in states),
        delivered=states.count(State.DELIVERED.value),
    )
