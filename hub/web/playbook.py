"""The usual mappings of an account: what would be made, made with one press; and what a person approves first."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db.connections import Connection
from hub.db.mappings import NameTaken
from hub.db.people import Role
from hub.db.tenants import Tenant
from hub.delivery import gate, usual_mappings
from hub.delivery.gate import Gate
from hub.web.viewer import needs, the_hub, viewer
from mappings.presets import VERTICALS

pages = Blueprint("playbook", __name__)


@pages.get("/connections/<connection_id>/playbook")
@needs(Role.MAPPER)
def show(connection_id: str) -> ResponseReturnValue:
    """Show what the usual mappings of an account would be; nothing is made."""
    hub, me = the_hub(), viewer()
    also = request.args.get("also") == "yes"
    try:
        found = usual_mappings.offers(hub, me.tenant_id, connection_id, also=also)
    except LookupError:
        abort(404)
    with hub.tenant(me.tenant_id) as session:
        row = session.scalars(select(Connection).where(Connection.id == connection_id)).one()
        trade = session.scalars(select(Tenant.vertical).where(Tenant.id == me.tenant_id)).one()
    return render_template(
        "mappings/playbook.html",
        row=row,
        found=found,
        also=also,
        trade=VERTICALS.get(trade, VERTICALS["sales"]),
    )


@pages.post("/connections/<connection_id>/playbook")
@needs(Role.MAPPER)
def set_up(connection_id: str) -> ResponseReturnValue:
    """Make and publish them."""
    me = viewer()
    also = request.form.get("also") == "yes"
    try:
        found = usual_mappings.set_up(
            the_hub(), me.tenant_id, connection_id, actor=me.actor, also=also
        )
    except NameTaken as err:
        flash(str(err), "error")
        return redirect(url_for(".show", connection_id=connection_id), 303)
    except LookupError:
        abort(404)
    made = sum(one.state in {"new", "changed"} for one in found.items)
    wrong = [one.name for one in found.items if one.state == "wrong"]
    if made:
        flash(f"{made} {'mapping is' if made == 1 else 'mappings are'} in use now.")
    if wrong:
        flash(f"Not made, since the account lacks something: {', '.join(wrong)}.", "error")
    return redirect(url_for("web.mappings.show"), 303)


@pages.get("/mappings/approval")
@needs(Role.ADMIN)
def show_gate() -> ResponseReturnValue:
    """Show from which urgency on a person approves first."""
    return _gate_page(gate.gate(the_hub(), viewer().tenant_id))


@pages.post("/mappings/approval")
@needs(Role.ADMIN)
def set_gate() -> ResponseReturnValue:
    """Set it, or say what is wrong with it."""
    me, form = viewer(), request.form
    typed = form.get("urgency", "").strip()
    pages_too = form.get("pages") == "yes"
    # What is no number is out of range, and told as that is.
    score = int(typed) if typed.isascii() and typed.isdigit() else -1
    try:
        wanted = Gate(score if typed else None, pages_too)
        gate.set_gate(the_hub(), me.tenant_id, wanted, actor=me.actor)
    except gate.WrongGate as err:
        return _gate_page(Gate(None, pages_too), typed, str(err)), 422
    flash("Saved. It holds for voicemails that come from now on.")
    return redirect(url_for("web.mappings.show"), 303)


def _gate_page(found: Gate, typed: str | None = None, problem: str = "") -> str:
    kept = "" if found.urgency_at_least is None else str(found.urgency_at_least)
    return render_template(
        "mappings/approval.html",
        urgency=kept if typed is None else typed,
        pages=found.pages,
        problem=problem,
    )
