"""What a person does about deliveries: send again, approve, reject, or choose the right record."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from werkzeug import Response

from hub.db.deliveries import Delivery
from hub.db.people import Role
from hub.delivery import held, replay
from hub.delivery.replay import Selection
from hub.web.display import count
from hub.web.viewer import local_path, needs, the_hub, viewer

pages = Blueprint("deliveries", __name__, url_prefix="/deliveries")
_MOST = 1_000


@pages.post("/replay")
@needs(Role.OPERATOR)
def send_again() -> ResponseReturnValue:
    """Send the ticked deliveries again; unknown ones are refused as a whole."""
    me = viewer()
    number = replay.replay(
        the_hub(),
        me.tenant_id,
        Selection(delivery_ids=_ticked()),
        version=_version(),
        actor=me.actor,
    )
    _say(number, "will be sent again", "Nothing was sent again: these deliveries have moved on.")
    return _back()


@pages.post("/approve")
@needs(Role.OPERATOR)
def approve() -> ResponseReturnValue:
    """Let held deliveries go."""
    me = viewer()
    number = held.approve(the_hub(), me.tenant_id, _ticked(), actor=me.actor)
    _say(number, "approved", "Nothing was approved: somebody has decided already.")
    return _back()


@pages.post("/reject")
@needs(Role.OPERATOR)
def reject() -> ResponseReturnValue:
    """Refuse held or parked deliveries."""
    me = viewer()
    number = held.reject(the_hub(), me.tenant_id, _ticked(), actor=me.actor)
    _say(number, "rejected", "Nothing was rejected: somebody has decided already.")
    return _back()


@pages.post("/<delivery_id>/choose")
@needs(Role.OPERATOR)
def choose(delivery_id: str) -> ResponseReturnValue:
    """Say which of the matching records is the caller's, or that none is."""
    me = viewer()
    _check_ours([delivery_id])
    record_id = request.form.get("record") or None
    try:
        held.choose(the_hub(), me.tenant_id, delivery_id, record_id, actor=me.actor)
    except held.NotWaiting as err:
        flash(str(err), "error")
    else:
        flash("Thank you. The delivery goes on, and this caller is remembered.")
    return _back()


def _ticked() -> list[str]:
    """Give the ticked deliveries; aborts with 404 when one is not this company's."""
    ids = list(dict.fromkeys(request.form.getlist("delivery")))[:_MOST]
    if not ids:
        flash("Nothing was chosen. Tick at least one delivery.", "error")
        abort(_back())
    _check_ours(ids)
    return ids


def _check_ours(ids: list[str]) -> None:
    with the_hub().tenant(viewer().tenant_id) as session:
        known = session.scalars(select(Delivery.id).where(Delivery.id.in_(ids))).all()
    if len(known) != len(ids):
        abort(404)


def _version() -> replay.Version:
    return "kept" if request.form.get("version") == "kept" else "newest"


def _say(number: int, what: str, otherwise: str) -> None:
    if number:
        flash(f"{count(number, 'delivery', 'deliveries')} {what}.")
    else:
        flash(otherwise, "error")


def _back() -> Response:
    return redirect(local_path(request.form.get("back"), url_for("web.parked.show")), 303)
