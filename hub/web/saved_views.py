"""Views of the inbox that a person keeps: filters under a name, for them alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from hub.db.base import new_id, now
from hub.db.people import Role, Viewer
from hub.db.tenancy import TenantSession
from hub.db.triage import SavedView
from hub.web.inbox import Filters
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("saved_views", __name__, url_prefix="/voicemails/views")
_LONGEST_NAME: Final = 60
_MOST: Final = 30


@dataclass(frozen=True, slots=True)
class View:
    """A kept view, and whether it is what the page shows."""

    id: str
    name: str
    filters: Filters
    is_shown: bool


def of(session: TenantSession, me: Viewer, shown: Filters) -> tuple[View, ...]:
    """Give a person's views, by name."""
    rows = session.scalars(
        select(SavedView).where(SavedView.person_id == me.person_id).order_by(SavedView.name)
    )
    return tuple(_view(row, shown) for row in rows)


def _view(row: SavedView, shown: Filters) -> View:
    filters = Filters.of(dict(parse_qsl(row.query)))
    return View(row.id, row.name, filters, filters == shown)


@pages.post("")
@needs(Role.VIEWER)
def keep() -> ResponseReturnValue:
    """Keep the filters that the page shows under a name; the same name again changes that view."""
    me, name = viewer(), " ".join(request.form.get("name", "").split())[:_LONGEST_NAME]
    filters = Filters.of(request.form)
    if not name:
        flash("Give the view a name.", "error")
        return _to(filters)
    with the_hub().tenant(me.tenant_id) as session:
        number = session.scalar(
            select(func.count(SavedView.id)).where(SavedView.person_id == me.person_id)
        )
        if (number or 0) >= _MOST:
            flash(f"You have {_MOST} views already. Remove one first.", "error")
            return _to(filters)
        query = urlencode(filters.query())
        session.execute(
            insert(SavedView)
            .values(
                id=new_id("viw"),
                tenant_id=me.tenant_id,
                person_id=me.person_id,
                name=name,
                query=query,
                created_at=now(),
            )
            .on_conflict_do_update(
                index_elements=["tenant_id", "person_id", "name"], set_={"query": query}
            )
        )
    flash(f"The view “{name}” is kept. Only you see it.")
    return _to(filters)


@pages.post("/<view_id>/remove")
@needs(Role.VIEWER)
def remove(view_id: str) -> ResponseReturnValue:
    """Remove a view of one's own."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        row = session.scalars(
            select(SavedView).where(SavedView.id == view_id, SavedView.person_id == me.person_id)
        ).one_or_none()
        if row is None:
            abort(404)
        filters = Filters.of(dict(parse_qsl(row.query)))
        session.execute(delete(SavedView).where(SavedView.id == view_id))
    flash(f"The view “{row.name}” is removed.")
    return _to(filters)


def _to(filters: Filters) -> ResponseReturnValue:
    return redirect(filters.address, 303)
