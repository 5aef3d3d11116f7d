"""What an admin sets for the company: name, zone, trade, what is dropped."""

from __future__ import annotations

from zoneinfo import available_timezones

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import audit
from hub.db.people import Role
from hub.db.tenants import Tenant, touch_plan
from hub.web.display import Words
from hub.web.viewer import needs, the_hub, viewer
from mappings.presets import VERTICALS

pages = Blueprint("company", __name__, url_prefix="/settings")
_LONGEST_NAME = 200


@pages.get("")
@needs(Role.VIEWER)
def index() -> ResponseReturnValue:
    """Lead to the first page of the settings that this person may see."""
    where = "web.company.show" if viewer().may(Role.ADMIN) else "web.account.show"
    return redirect(url_for(where), 303)


@pages.get("/company")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Show what is set."""
    with the_hub().tenant(viewer().tenant_id) as session:
        row = session.scalars(select(Tenant).where(Tenant.id == session.tenant_id)).one()
        return _page(
            name=row.name,
            timezone=row.timezone,
            vertical=row.vertical,
            dropped=sorted(row.dropped_buckets),
            is_phi=row.is_phi,
        )


def _page(problem: str = "", field: str = "", **values: object) -> str:
    return render_template(
        "settings/company.html",
        problem=problem,
        field=field,
        zones=sorted(one for one in available_timezones() if "/" in one or one == "UTC"),
        verticals=VERTICALS,
        **values,
    )


@pages.post("/company")
@needs(Role.ADMIN)
def save() -> ResponseReturnValue:
    """Save, or say what is wrong; nothing is changed then."""
    me, form = viewer(), request.form
    name, timezone = form.get("name", "").strip(), form.get("timezone", "")
    vertical = form.get("vertical", "")
    dropped = sorted({one for one in form.getlist("drop") if one in Words.bucket})
    typed = {
        "name": name,
        "timezone": timezone,
        "vertical": vertical,
        "dropped": dropped,
        "is_phi": me.is_phi,
    }
    if not name or len(name) > _LONGEST_NAME:
        return _page("A name has 1 to 200 characters.", "name", **typed), 422
    if timezone not in available_timezones():
        return _page("There is no such time zone.", "timezone", **typed), 422
    if vertical not in VERTICALS:
        return _page("There is no such trade.", "vertical", **typed), 422
    with the_hub().tenant(me.tenant_id) as session:
        row = session.scalars(
            select(Tenant).where(Tenant.id == session.tenant_id).with_for_update()
        ).one()
        changed = [
            key
            for key, now_is in (("name", name), ("timezone", timezone), ("vertical", vertical))
            if getattr(row, key) != now_is
        ]
        row.name, row.timezone, row.vertical = name, timezone, vertical
        if sorted(row.dropped_buckets) != dropped:
            row.settings = {**row.settings, "drop_buckets": dropped}
            changed.append("drop_buckets")
        session.flush()
        if changed:
            touch_plan(session)
            audit.record(
                session,
                actor=me.actor,
                action="tenant.changed",
                target=me.tenant_id,
                facts={"settings": changed},
            )
    flash(
        "Saved. It holds for voicemails that come from now on."
        if changed
        else "Nothing was changed."
    )
    return redirect(url_for(".show"), 303)
