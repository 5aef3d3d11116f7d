"""Signing in and out, choosing the company, and the switch between light and dark."""

from __future__ import annotations

from collections.abc import Callable

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue

from hub import log
from hub.db import audit, people
from hub.db.people import Person, Role, Seat
from hub.web import kept_forms
from hub.web.kept_forms import Kept
from hub.web.throttle import TooManyTries, counted
from hub.web.viewer import (
    cookie_name,
    is_https,
    local_path,
    needs,
    public,
    sign_in_lasts,
    the_hub,
    viewer,
    who,
)

pages = Blueprint("sign_in", __name__)
_log = log.get(__name__)
_THEMES = ("auto", "light", "dark")
_YEAR_S = 31_536_000
_WRONG = "This e-mail address and password do not belong together."
_NOT_YOURS = "Somebody else had typed what waited here to be sent. It was not sent, and is gone."
_NO_SEAT = "Your account works, but no company has added you yet. Ask its owner to do so."


@pages.get("/sign-in")
@public
def show() -> ResponseReturnValue:
    """Show the form; whoever is signed in goes on at once."""
    following = local_path(request.args.get("next"), url_for("web.overview.show"))
    if who():
        return redirect(following, 303)
    waits = kept_forms.waiting() is not None  # whoever was at the provider may sign in here too
    return render_template("sign_in.html", next=following, waits=waits)


@pages.post("/sign-in")
@public
def enter() -> ResponseReturnValue:
    """Check e-mail address and password, then go where the person wanted to."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    try:
        with counted(the_hub(), email=email, address=request.remote_addr or "") as attempt:
            person = _check(email, password)
            if person:
                attempt.succeed()
    except TooManyTries as err:
        problem = f"Too many tries. Wait {err.wait_s} seconds, then try again."
        answer = make_response(page(problem, email=email), 429)
        answer.headers["Retry-After"] = str(err.wait_s)
        return answer
    if person is None:
        _log.info("sign-in refused")
        return page(_WRONG, email=email), 401
    with the_hub().everyone("a person signs in at one of their companies") as found:
        places = people.seats(found, person.id)
    if not places:
        return page(_NO_SEAT, email=email), 403
    form = kept_forms.from_page() or kept_forms.waiting()
    return let_in(person.id, places, form, _after)


def _check(email: str, password: str) -> Person | None:
    with the_hub().everyone("people are not of one tenant") as found:
        return people.check_password(found, email=email, password=password)


def usual_company(places: tuple[Seat, ...]) -> str:
    """Give the company that this browser looked at last, or the first by name."""
    last = request.cookies.get("afterbeep_company")
    return next((seat.tenant_id for seat in places if seat.tenant_id == last), places[0].tenant_id)


def let_in(
    person_id: str,
    places: tuple[Seat, ...],
    form: Kept | None,
    onward: Callable[[Kept | None], ResponseReturnValue],
    *,
    by: str = "password",
) -> ResponseReturnValue:
    """Sign a person in where their form is to go, or at their usual company.

    ``onward`` gets the form, and None when there is none or somebody else had typed it; then they are told so.
    """
    mine = form if form and form.is_for(person_id, places) else None
    if form and not mine:
        kept_forms.forget()
        flash(_NOT_YOURS, "error")
    tenant_id = mine.owner.tenant_id if mine else usual_company(places)
    return start(person_id, tenant_id, lambda: onward(mine), by=by)


def _after(form: Kept | None) -> ResponseReturnValue:
    """Go on; a form that came too late is shown again for the person to send."""
    if form:
        return render_template("send_again.html", kept=form.fields, kept_for=form.path)
    return redirect(local_path(request.form.get("next"), url_for("web.overview.show")), 303)


def page(problem: str = "", *, email: str = "") -> str:
    """Show the sign-in again with what is wrong, and with everything that it held."""
    return render_template(
        "sign_in.html",
        email=email,
        problem=problem,
        next=local_path(request.form.get("next"), url_for("web.overview.show")),
        kept=kept_forms.page_fields(),
        kept_for=local_path(request.form.get(kept_forms.PATH), ""),
        kept_whose=request.form.get(kept_forms.OWNER, ""),
    )


@pages.get("/sign-in/kept")
@needs(Role.VIEWER)
def send_again() -> ResponseReturnValue:
    """Show the form that waited while its person was at the provider; it is sent only when they press."""
    me, form = viewer(), kept_forms.waiting()
    if form is None or not form.is_for(me.person_id, me.seats):
        flash("Nothing waits to be sent any more.", "error")
        return to_overview()
    if form.owner.tenant_id != me.tenant_id:
        flash("What waits to be sent belongs to another of your companies.", "error")
        return to_overview()
    return render_template("send_again.html", kept=form.fields, kept_for=form.path)


def start(
    person_id: str,
    tenant_id: str,
    following: Callable[[], ResponseReturnValue],
    *,
    by: str = "password",
) -> ResponseReturnValue:
    """Sign a person in at one of their companies, and go on; ``by`` says in the audit log how."""
    agent = request.headers.get("User-Agent", "")
    with the_hub().tenant(tenant_id) as found:
        token = people.start_sign_in(
            found, person_id=person_id, lasts=sign_in_lasts(), user_agent=agent
        )
        audit.record(
            found,
            actor=f"person:{person_id}",
            action="person.signed_in",
            target=person_id,
            facts={} if by == "password" else {"by": by},
        )
    session.pop("form", None)
    _end_other()
    with the_hub().everyone("the sign-in that has just begun") as found:
        g.viewer = people.viewer(found, token=token, lasts=sign_in_lasts())
    answer = make_response(following())
    _set(answer, cookie_name(), token, max_age=int(people.LONGEST.total_seconds()))
    _set(answer, "afterbeep_company", tenant_id, max_age=_YEAR_S)
    return answer


def _end_other() -> None:
    """End the sign-in that this browser had until now: nobody can reach its token any more."""
    if before := who():
        with the_hub().tenant(before.tenant_id) as found:
            people.end_sign_in(found, before.sign_in_id)


def _set(answer: Response, name: str, value: str, *, max_age: int) -> None:
    answer.set_cookie(
        name, value, max_age=max_age, path="/", secure=is_https(), httponly=True, samesite="Lax"
    )


@pages.post("/sign-out")
@needs(Role.VIEWER)
def leave() -> ResponseReturnValue:
    """End this browser's sign-in."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as found:
        people.end_sign_in(found, me.sign_in_id)
        audit.record(found, actor=me.actor, action="person.signed_out", target=me.person_id)
    kept_forms.forget()
    session.clear()
    kept_forms.remember_leaving(me.sign_in_id)
    answer = make_response(redirect(url_for(".show"), 303))
    answer.delete_cookie(cookie_name(), path="/", secure=is_https(), httponly=True, samesite="Lax")
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


@pages.post("/company")
@needs(Role.VIEWER)
def switch() -> ResponseReturnValue:
    """Look at another company: the old sign-in ends, a new one with a new token begins."""
    me = viewer()
    wanted = request.form.get("tenant", "")
    seat = next((place for place in me.seats if place.tenant_id == wanted), None)
    if seat is None:
        abort(404)
    flash(f"You are looking at {seat.tenant_name}.")
    return start(me.person_id, seat.tenant_id, to_overview)


def to_overview() -> ResponseReturnValue:
    """Lead to the front page."""
    return redirect(url_for("web.overview.show"), 303)


@pages.post("/theme")
@public
def theme() -> ResponseReturnValue:
    """Remember light, dark or the device's choice for this browser."""
    wanted = request.form.get("theme", "auto")
    following = local_path(request.form.get("back"), url_for("web.overview.show"))
    answer = make_response(redirect(following, 303))
    _set(answer, "afterbeep_theme", wanted if wanted in _THEMES else "auto", max_age=_YEAR_S)
    return answer
