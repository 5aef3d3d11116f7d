"""Who looks at the page, and what their role lets them do: one decorator for every view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, cast

from flask import abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from hub.context import Hub
from hub.db import people
from hub.db.people import Role, Viewer

COOKIE = "afterbeep_sign_in"
_SECURE_COOKIE = "__Host-afterbeep_sign_in"

_P = ParamSpec("_P")


def the_hub() -> Hub:
    """Give the hub that the application was made with."""
    return cast("Hub", current_app.extensions["afterbeep"])


def is_https() -> bool:
    """Tell whether browsers reach the hub over HTTPS, so that cookies may insist on it."""
    return the_hub().settings.base_url.startswith("https://")


def cookie_name() -> str:
    """Give the sign-in cookie's name; over HTTPS its prefix binds it to this host alone."""
    return _SECURE_COOKIE if is_https() else COOKIE


def sign_in_lasts() -> timedelta:
    """Give how long a sign-in lasts without use."""
    return timedelta(hours=the_hub().settings.session_hours)


def who() -> Viewer | None:
    """Give who is signed in, or None; asked of the database once per request."""
    if "viewer" not in g:
        token = request.cookies.get(cookie_name())
        g.viewer = None
        if token:
            with the_hub().everyone("a cookie tells which tenant its sign-in is for") as session:
                g.viewer = people.viewer(session, token=token, lasts=sign_in_lasts())
    return cast("Viewer | None", g.viewer)


def viewer() -> Viewer:
    """Give who is signed in, in a view that is marked with :func:`needs`."""
    found = who()
    if found is None:
        abort(401)
    return found


def needs(
    role: Role,
) -> Callable[[Callable[_P, ResponseReturnValue]], Callable[_P, ResponseReturnValue]]:
    """Let a view be used by people who may do what ``role`` may; others get a 403 page.

    Nobody signed in: a page leads to the sign-in and back. A form that was sent keeps what was typed
    (see ``hub.web.forms``).
    """

    def mark(view: Callable[_P, ResponseReturnValue]) -> Callable[_P, ResponseReturnValue]:
        @wraps(view)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> ResponseReturnValue:
            found = who()
            if found is None and request.headers.get("HX-Request"):
                abort(
                    401
                )  # a part of a page; our script loads the whole page, which leads to the sign-in
            if found is None:
                return redirect(url_for("web.sign_in.show", next=_here()), 303)
            if not found.may(role):
                abort(403, f"This needs the role {role}. You are {found.role} here.")
            return view(*args, **kwargs)

        checked.__dict__["needs_role"] = role
        return checked

    return mark


def public(view: Callable[_P, ResponseReturnValue]) -> Callable[_P, ResponseReturnValue]:
    """Mark a view that works without a sign-in; a test asks for one of both marks on every view."""
    view.__dict__["is_public"] = True
    return view


def _here() -> str:
    if request.method != "GET":
        return "/"
    return request.full_path if request.query_string else request.path


def local_path(path: str | None, otherwise: str) -> str:
    """Give ``path`` when it leads to a page of ours, so that no link can send a person elsewhere."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable():
        return path
    return otherwise
