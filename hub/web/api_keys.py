"""API keys of a company: made, shown once, and revoked."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import audit, keys
from hub.db.keys import ApiKey, NewKey, Scope
from hub.db.people import Role
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("api_keys", __name__, url_prefix="/settings/keys")
_LONGEST_NAME: Final = 100
_MOST: Final = 100
#: What each scope lets a program do, in words.
WORDS: Final = {
    Scope.EVENTS_WRITE: "Post voicemails",
    Scope.EVENTS_READ: "Read voicemails, with what callers said",
    Scope.DELIVERIES_READ: "Read what was done where",
    Scope.DELIVERIES_WRITE: "Approve, reject and send again",
    Scope.MAPPINGS_READ: "Read mappings",
    Scope.MAPPINGS_WRITE: "Change mappings",
    Scope.CONNECTIONS_READ: "Read how accounts are",
    Scope.CONNECTIONS_WRITE: "Pause, resume and set up accounts",
    Scope.WEBHOOKS_READ: "Read who is told of alerts",
    Scope.WEBHOOKS_WRITE: "Change who is told of alerts",
    Scope.VOICE_READ: "Read how calls are held",
    Scope.VOICE_WRITE: "Change how calls are held, and numbers",
}


@pages.get("")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """List the keys."""
    return _page()


def _page(
    name: str = "", chosen: tuple[str, ...] = (), problem: str = "", new: NewKey | None = None
) -> str:
    with the_hub().tenant(viewer().tenant_id) as session:
        rows = session.scalars(
            select(ApiKey).order_by(
                ApiKey.revoked_at.desc().nulls_first(), ApiKey.created_at.desc()
            )
        ).all()
        session.expunge_all()
    return render_template(
        "settings/keys.html",
        keys=rows,
        scopes=WORDS,
        name=name,
        chosen=chosen or (Scope.EVENTS_WRITE.value,),
        problem=problem,
        new=new,
    )


@pages.post("")
@needs(Role.ADMIN)
def create() -> ResponseReturnValue:
    """Make a key and show its secret, this once."""
    me = viewer()
    name = request.form.get("name", "").strip()
    chosen = tuple(one for one in request.form.getlist("scope") if one in set(Scope))
    if not name or len(name) > _LONGEST_NAME:
        problem = "Give it a name, of at most 100 characters, by which you know who uses it."
        return _page(name, chosen, problem), 422
    if not chosen:
        return _page(name, chosen, "Choose at least one thing that it may do."), 422
    with the_hub().tenant(me.tenant_id) as session:
        if (
            len(session.scalars(select(ApiKey.id).where(ApiKey.revoked_at.is_(None))).all())
            >= _MOST
        ):
            return _page(name, chosen, "There are 100 keys. Revoke one first."), 422
        made = keys.create(session, name=name, scopes=[Scope(one) for one in chosen])
        audit.record(
            session,
            actor=me.actor,
            action="key.created",
            target=made.id,
            facts={"scopes": [one.value for one in made.scopes]},
        )
    return _page(new=made)


@pages.post("/<key_id>/revoke")
@needs(Role.ADMIN)
def revoke(key_id: str) -> ResponseReturnValue:
    """Revoke a key."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        row = session.scalars(select(ApiKey).where(ApiKey.id == key_id)).one_or_none()
        if row is None:
            abort(404)
        name = row.name
        if keys.revoke(session, key_id):
            audit.record(session, actor=me.actor, action="key.revoked", target=key_id)
    flash(f"“{name}” is revoked. Within five seconds it opens nothing any more.")
    return redirect(url_for(".show"), 303)
