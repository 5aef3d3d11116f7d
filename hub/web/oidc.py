"""Signing in by the operator's OpenID provider: there, back, and only for members and people who are invited."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import Any, Final, cast

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue

from hub import log
from hub.db import audit, invitations, people
from hub.db.people import Person
from hub.oauth.oidc import Identity, NotIdentified, Provider, ProviderSilent, Unverified
from hub.web import kept_forms, sign_in
from hub.web.throttle import TooManyTries, counted
from hub.web.viewer import local_path, public, the_hub

pages = Blueprint("oidc", __name__, url_prefix="/sign-in")
_log = log.get(__name__)
_KEPT: Final = "oidc"
_LASTS_S: Final = 600
_SAID: Final = {
    "unkept": "What you typed cannot be taken along just now. Try again, or sign in with your password.",
    "silent": "The provider does not answer as it should. Try again, or sign in with your password.",
    "refused": "The provider did not let you in.",
    "stale": "This sign-in was begun in another browser, or too long ago. Begin again.",
    "wrong": "What the provider sent could not be believed, so nobody was signed in. Begin again.",
    "unverified": "The provider does not vouch for your e-mail address. Have it verified there first.",
    "unknown": "You are not a member of any company here. Ask its owner to invite the address that you signed in with.",
}


@pages.get("/with-provider")
@public
def begin() -> ResponseReturnValue:
    """Lead to the provider; what must be known on the way back stays in this browser's signed cookie."""
    found = _provider()
    try:
        with counted(the_hub(), email=None, address=request.remote_addr or "") as attempt:
            way = found.begin()
            attempt.succeed()
    except TooManyTries as err:
        return _no(f"Too many tries. Wait {err.wait_s} seconds, then try again.")
    except NotIdentified as err:
        _log.warning("provider could not be asked", code=err.code)
        return _no(_SAID["silent"])
    session[_KEPT] = {
        "state": way.state,
        "nonce": way.nonce,
        "verifier": way.verifier,
        "next": local_path(request.args.get("next"), url_for("web.overview.show")),
        "at": int(time.time()),
    }
    return redirect(way.url, 303)


@pages.post("/with-provider")
@public
def take_along() -> ResponseReturnValue:
    """Put away the form that the sign-in page holds, then lead to the provider.

    By a page, not by a redirect: browsers apply ``form-action`` to the redirects of a form.
    """
    _provider()
    form = kept_forms.from_page()
    if form is None:
        return sign_in.page(_SAID["unkept"]), 422
    try:
        kept_forms.put_away(form)
    except kept_forms.NotKept:
        return sign_in.page(_SAID["unkept"]), 503
    going = url_for(".begin", next=local_path(request.form.get("next"), "/"))
    answer = make_response(render_template("going.html", going=going))
    answer.headers["Refresh"] = f"0; url={going}"
    return answer


def _provider() -> Provider:
    """Give the application's provider; 404 where none is set."""
    settings = the_hub().settings
    if not settings.oidc_issuer:
        abort(404)
    kept = current_app.extensions
    if "afterbeep.oidc" not in kept:
        kept["afterbeep.oidc"] = Provider(settings)
    return cast("Provider", kept["afterbeep.oidc"])


@pages.get("/callback")
@public
def back() -> ResponseReturnValue:
    """Take who comes back from the provider."""
    found, kept = _provider(), session.pop(_KEPT, None)
    try:
        with counted(the_hub(), email=None, address=request.remote_addr or "") as attempt:
            identity, problem = _identified(found, kept)
            answer = _enter(identity, kept) if identity else None
            if answer is not None:
                attempt.succeed()
    except TooManyTries as err:
        return _no(f"Too many tries. Wait {err.wait_s} seconds, then try again.")
    return answer if answer is not None else _no(problem or _SAID["unknown"])


def _identified(
    found: Provider, kept: Mapping[str, Any] | None
) -> tuple[Identity | None, str | None]:
    """Give who came back, or what to tell them."""
    state = request.args.get("state", "")
    is_ours = kept is not None and hmac.compare_digest(str(kept["state"]).encode(), state.encode())
    if kept is None or not is_ours or time.time() - kept["at"] > _LASTS_S:
        return None, _SAID["stale"]
    if request.args.get("iss", the_hub().settings.oidc_issuer) != the_hub().settings.oidc_issuer:
        return None, _SAID["wrong"]
    if "error" in request.args or not request.args.get("code"):
        return None, _SAID["refused"]
    try:
        who = found.finish(
            code=request.args["code"], verifier=kept["verifier"], nonce=kept["nonce"]
        )
    except NotIdentified as err:
        _log.warning("nobody was identified", code=err.code)
        kind = {ProviderSilent: "silent", Unverified: "unverified"}.get(type(err), "wrong")
        return None, _SAID[kind]
    return who, None


def _enter(who: Identity, kept: Mapping[str, Any] | None) -> ResponseReturnValue | None:
    """Sign a member in, or somebody who is invited; None when it is neither."""
    following = local_path((kept or {}).get("next"), url_for("web.overview.show"))
    with the_hub().everyone("an address tells at which companies a person works") as found:
        person = people.by_email(found, who.email)
        is_out = person is not None and person.disabled_at is not None
        person_id = person.id if person else None
        places = people.seats(found, person.id) if person else ()
        invited = invitations.for_address(found, who.email)
    if is_out:
        return None
    if person_id and places:
        return sign_in.let_in(
            person_id,
            places,
            kept_forms.waiting(),
            lambda form: redirect(url_for("web.sign_in.send_again") if form else following, 303),
            by="provider",
        )
    kept_forms.forget()  # whoever comes new cannot have typed it
    for one in invited:
        if (joined := _joined(one, who)) is not None:
            flash(f"Welcome to {one.tenant_name}.")
            return sign_in.start(joined, one.tenant_id, sign_in.to_overview, by="provider")
    _log.info("sign-in by provider refused", reason="no member")
    return None


def _joined(one: invitations.Open, who: Identity) -> str | None:
    """Take up an invitation of the address that the provider vouches for; None when somebody was faster."""
    with the_hub().everyone("people are not of one tenant") as found:
        person: Person | None = people.by_email(found, who.email)
        if person is None:
            name = who.name or who.email.partition("@")[0]
            person = people.create_without_password(found, email=who.email, name=name)
        person_id = person.id
    with the_hub().tenant(one.tenant_id) as found:
        if not invitations.accept(found, one.id, person_id):
            return None
        audit.record(
            found,
            actor=f"person:{person_id}",
            action="person.joined",
            target=person_id,
            facts={"invitation": one.id, "role": one.role.value, "by": "provider"},
        )
    return person_id


def _no(problem: str) -> ResponseReturnValue:
    """Lead back to the sign-in, which says what was wrong."""
    flash(problem, "error")
    return redirect(url_for("web.sign_in.show"), 303)
