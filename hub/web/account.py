"""One's own account: name, password, and the browsers that are signed in."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.db import audit, members, people
from hub.db.people import Person, Role, WeakPassword
from hub.web.throttle import TooManyTries, counted
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("account", __name__, url_prefix="/settings/account")
_LONGEST_NAME = 100
#: How browsers and devices give themselves away in what they send, the telling ones first.
_BROWSERS: Final = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_DEVICES: Final = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "Mac",
    "Linux": "Linux",
}


@pages.app_template_filter("browser")
def browser(sent: str | None) -> str:
    """Call a browser by its name and device, as people know it: ``Firefox on Windows``; else what it sent."""
    name = next((name for mark, name in _BROWSERS.items() if mark in (sent or "")), "")
    device = next((name for mark, name in _DEVICES.items() if mark in (sent or "")), "")
    return f"{name} on {device}" if name and device else sent or "An unknown browser"


@pages.get("")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """Show the account."""
    return _page()


def _page(problem: str = "", name: str | None = None) -> str:
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        browsers = members.sign_ins(session, me.person_id)
        session.expunge_all()
    return render_template(
        "settings/account.html",
        browsers=browsers,
        here=me.sign_in_id,
        name=me.person_name if name is None else name,
        problem=problem,
        shortest=people.SHORTEST_PASSWORD,
    )


@pages.post("/name")
@needs(Role.VIEWER)
def set_name() -> ResponseReturnValue:
    """Change how one is called."""
    me, name = viewer(), request.form.get("name", "").strip()
    if not name or len(name) > _LONGEST_NAME:
        return _page("A name has 1 to 100 characters.", name), 422
    with the_hub().everyone("people are not of one tenant") as session:
        person = session.scalars(select(Person).where(Person.id == me.person_id)).one()
        person.name = name
    flash("Saved.")
    return redirect(url_for(".show"), 303)


@pages.post("/password")
@needs(Role.VIEWER)
def set_password() -> ResponseReturnValue:
    """Change the password; every browser is signed out, this one too."""
    me = viewer()
    old, new = request.form.get("old_password", ""), request.form.get("new_password", "")
    try:
        with (
            counted(the_hub(), email=me.email, address=request.remote_addr or "") as attempt,
            the_hub().everyone("people are not of one tenant") as session,
        ):
            if people.check_password(session, email=me.email, password=old) is None:
                return _page("This is not your password."), 401
            attempt.succeed()
            people.set_password(session, person_id=me.person_id, password=new)
    except TooManyTries as err:
        return _page(f"Too many tries. Wait {err.wait_s} seconds, then try again."), 429
    except WeakPassword as err:
        return _page(str(err)), 422
    with the_hub().tenant(me.tenant_id) as session:
        audit.record(session, actor=me.actor, action="person.password_changed", target=me.person_id)
    flash("Your password is changed. Sign in with it.")
    return redirect(url_for("web.sign_in.show"), 303)


@pages.post("/sign-ins/<sign_in_id>/end")
@needs(Role.VIEWER)
def end(sign_in_id: str) -> ResponseReturnValue:
    """Sign one browser out."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        known = {one.id for one in members.sign_ins(session, me.person_id)}
        if sign_in_id not in known:
            abort(404)
        people.end_sign_in(session, sign_in_id)
        audit.record(session, actor=me.actor, action="person.signed_out", target=me.person_id)
    flash("That browser is signed out.")
    return redirect(url_for(".show"), 303)


@pages.post("/sign-ins/end-others")
@needs(Role.VIEWER)
def end_others() -> ResponseReturnValue:
    """Sign all other browsers out."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        number = members.end_others(session, me.person_id, but=me.sign_in_id)
        audit.record(
            session,
            actor=me.actor,
            action="person.signed_out",
            target=me.person_id,
            facts={"sign_ins": number},
        )
    flash("All other browsers are signed out.")
    return redirect(url_for(".show"), 303)
