"""What a person does in the inbox: search, act on what is ticked, correct a bucket, note a call returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flask import (
    Blueprint,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from werkzeug import Response

from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.people import Role
from hub.delivery import held, replay, triage
from hub.delivery.replay import Selection
from hub.web import reading, searching
from hub.web.display import Words, count
from hub.web.inbox import Filters
from hub.web.viewer import local_path, needs, the_hub, viewer

pages = Blueprint("triage", __name__, url_prefix="/voicemails")
_MOST: Final = 200
_HELD: Final = (State.HELD.value,)
_REFUSABLE: Final = (State.HELD.value, State.PARKED.value)
_STUCK: Final = (State.PARKED.value, State.REJECTED.value, State.DROPPED.value)


@pages.post("/search")
@needs(Role.VIEWER)
def search() -> ResponseReturnValue:
    """Search, or without a word lead to the list with the filters that were chosen.

    By a form that is posted: what is searched for may be a name or a number, and belongs in no address.
    """
    me, asked = viewer(), " ".join(request.form.get("q", "").split())[: searching.LONGEST]
    filters = Filters.of(request.form)
    if not asked:
        return redirect(filters.address, 303)
    found = searching.search(the_hub(), me, asked, filters, request.form.get("after"))
    reading.note_listed(the_hub(), me, found.items)
    page = render_template("voicemails/found.html", asked=asked, found=found, filters=filters)
    answer = make_response(page)
    answer.headers["HX-Push-Url"] = "false"
    return answer


@pages.get("/search")
@needs(Role.VIEWER)
def search_again() -> ResponseReturnValue:
    """Lead back to the list: an address holds no search."""
    return redirect(url_for("web.voicemails.show"), 303)


@pages.post("/approve")
@needs(Role.OPERATOR)
def approve() -> ResponseReturnValue:
    """Let everything go that waits for approval in the ticked voicemails."""
    me = viewer()
    number = held.approve(the_hub(), me.tenant_id, _deliveries(_HELD), actor=me.actor)
    _say(number, "approved", "Nothing of what you ticked waits for approval.")
    return _back()


@pages.post("/reject")
@needs(Role.OPERATOR)
def reject() -> ResponseReturnValue:
    """Refuse what is held or parked in the ticked voicemails."""
    me = viewer()
    number = held.reject(the_hub(), me.tenant_id, _deliveries(_REFUSABLE), actor=me.actor)
    _say(number, "rejected", "Nothing of what you ticked waits for a person.")
    return _back()


@pages.post("/replay")
@needs(Role.OPERATOR)
def send_again() -> ResponseReturnValue:
    """Send again what is parked, rejected or led to nothing in the ticked voicemails."""
    me, ids = viewer(), _deliveries(_STUCK)
    number = (
        replay.replay(
            the_hub(),
            me.tenant_id,
            Selection(delivery_ids=ids),
            version="newest",
            actor=me.actor,
        )
        if ids
        else 0
    )
    _say(number, "will be sent again", "Nothing of what you ticked can be sent again.")
    return _back()


@pages.post("/called-back")
@needs(Role.OPERATOR)
def called_back_all() -> ResponseReturnValue:
    """Note of all ticked voicemails that their callers were called back."""
    me, ids = viewer(), _ticked()
    for event_id in ids:
        triage.call_back(the_hub(), me.tenant_id, event_id, is_done=True, actor=me.actor)
    flash(f"{count(len(ids), 'caller', 'callers')} called back. They are not open any more.")
    return _back()


@pages.post("/<event_id>/called-back")
@needs(Role.OPERATOR)
def called_back(event_id: str) -> ResponseReturnValue:
    """Note that the caller was called back, or take that back."""
    me, is_done = viewer(), request.form.get("done") != "no"
    try:
        is_new = triage.call_back(
            the_hub(), me.tenant_id, event_id, is_done=is_done, actor=me.actor
        )
    except triage.NoSuchVoicemail:
        abort(404)
    if is_new:
        flash("Noted: you called back." if is_done else "Noted: nobody has called back yet.")
    else:
        said = "has called back already" if is_done else "has taken that back already"
        flash(f"Nothing was changed: somebody {said}.", "error")
    return _to(event_id)


@pages.post("/<event_id>/bucket")
@needs(Role.OPERATOR)
def correct(event_id: str) -> ResponseReturnValue:
    """Say which bucket a voicemail belongs in."""
    me, bucket = viewer(), request.form.get("bucket", "")
    try:
        is_new = triage.correct(
            the_hub(),
            me.tenant_id,
            event_id,
            bucket,
            seen=request.form.get("seen"),
            actor=me.actor,
        )
    except triage.NoSuchVoicemail:
        abort(404)
    except triage.Moved as err:
        moved = Words.bucket.get(err.bucket, err.bucket)
        flash(f"Nothing was changed: somebody moved it to {moved} while you looked.", "error")
        return _to(event_id)
    except triage.NoSuchBucket:
        flash("Choose a bucket.", "error")
        return _to(event_id)
    name = Words.bucket[bucket]
    if is_new:
        flash(f"This voicemail belongs in {name} now. Your correction is kept as feedback.")
    else:
        flash(f"It is in {name} already.", "error")
    return _to(event_id)


@pages.post("/<event_id>/plan-anew")
@needs(Role.OPERATOR)
def plan_anew(event_id: str) -> ResponseReturnValue:
    """Plan a voicemail by the bucket that a person gave it."""
    me = viewer()
    try:
        found = triage.plan_anew(the_hub(), me.tenant_id, event_id, actor=me.actor)
    except triage.NoSuchVoicemail:
        abort(404)
    except triage.CannotRead as err:
        flash(str(err), "error")
        return _to(event_id)
    parts = [
        f"{count(found.added, 'action', 'actions')} planned",
        f"{found.withdrawn} withdrawn" if found.withdrawn else "",
        f"{found.kept} left as they are" if found.kept else "",
    ]
    flash(f"{', '.join(part for part in parts if part)}.")
    return _to(event_id)


def _ticked() -> list[str]:
    """Give the ticked voicemails; aborts with 404 when one is not this company's."""
    ids = list(dict.fromkeys(request.form.getlist("voicemail")))[:_MOST]
    if not ids:
        flash("Nothing was chosen. Tick at least one voicemail.", "error")
        abort(_back())
    with the_hub().tenant(viewer().tenant_id) as session:
        known = session.scalars(select(StoredEvent.id).where(StoredEvent.id.in_(ids))).all()
    if len(known) != len(ids):
        abort(404)
    return ids


def _deliveries(states: Sequence[str]) -> list[str]:
    ids = _ticked()
    with the_hub().tenant(viewer().tenant_id) as session:
        return list(
            session.scalars(
                select(Delivery.id).where(Delivery.event_id.in_(ids), Delivery.state.in_(states))
            )
        )


def _say(number: int, what: str, otherwise: str) -> None:
    if number:
        flash(f"{count(number, 'delivery', 'deliveries')} {what}.")
    else:
        flash(otherwise, "error")


def _back() -> Response:
    return redirect(local_path(request.form.get("back"), url_for("web.voicemails.show")), 303)


def _to(event_id: str) -> ResponseReturnValue:
    return redirect(url_for("web.voicemails.one", event_id=event_id), 303)
