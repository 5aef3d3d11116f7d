"""The sound of a voicemail, for the player on its page: whole or in part, opened as it is played."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from hub.db import audit
from hub.db.people import Role
from hub.voice import recordings
from hub.voice.recordings import Recording
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("recordings", __name__, url_prefix="/voicemails")


@pages.get("/<event_id>/recording")
@needs(Role.VIEWER)
def play(event_id: str) -> Response:
    """Give a recording; for tenants with health data it is written down who heard it."""
    me, hub = viewer(), the_hub()
    with hub.tenant(me.tenant_id) as session:
        found = recordings.of_event(session, event_id)
        if found is None:
            abort(404)
        if me.is_phi:
            audit.record(session, actor=me.actor, action="recording.read", target=event_id)
    length = found.size_bytes
    wanted = _wanted(found)
    if wanted is None:
        answer = Response(recordings.sound_of(hub, found, 0, length))
        answer.content_length = length
    else:
        start, end = wanted
        answer = Response(recordings.sound_of(hub, found, start, end), 206)
        answer.content_length = end - start
        answer.content_range.set(start, end, length)
    answer.mimetype = found.media_type
    answer.accept_ranges = "bytes"
    answer.set_etag(found.sha256)
    return answer


def _wanted(found: Recording) -> tuple[int, int] | None:
    """Give the part that a browser asks for, or None for the whole; answers 416 when there is no such part."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if "If-Range" in request.headers and request.if_range.etag != found.sha256:
        return None
    part = asked.range_for_length(found.size_bytes)
    if part is None:
        answer = Response(status=416)
        answer.content_range.set(None, None, found.size_bytes)
        abort(answer)
    return part
