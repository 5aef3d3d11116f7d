"""Forms: every one carries a token that only this person's pages know, and none loses what was typed.

The token of a person who is signed in is kept in their sign-in row; before that, in a signed cookie. A form that comes
after the sign-in has ended is shown again once the person has signed in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from flask import Flask, abort, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from hub.context import Hub
from hub.db.vault import read_master_keys
from hub.web import kept_forms
from hub.web.viewer import who

FIELD = "csrf"
#: Forms of the sign-in page itself, which are not offered again.
_WAYS_IN = ("web.sign_in.enter", "web.oidc.take_along")
#: Where a list goes on; who reads it takes it for nothing unless it is ours.
CURSOR = "after"
_COOKIE_PURPOSE = b"afterbeep web cookies v1"


def set_up_cookies(app: Flask, hub: Hub) -> None:
    """Sign the small cookie (messages, the sign-in form's token) with a key from the master keys.

    So all processes agree on it, and nothing more has to be configured.
    """
    masters = read_master_keys(hub.settings).keys.values()
    keys = [hmac.new(key, _COOKIE_PURPOSE, hashlib.sha256).digest() for key in masters]
    app.secret_key = keys[0]
    app.config["SECRET_KEY_FALLBACKS"] = keys[1:]
    is_secure = hub.settings.base_url.startswith("https://")
    # The prefix keeps other hosts of the same domain from planting a form token of their own.
    app.config["SESSION_COOKIE_NAME"] = "__Host-afterbeep_page" if is_secure else "afterbeep_page"
    app.config["SESSION_COOKIE_HTTPONLY"] = True
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["SESSION_COOKIE_SECURE"] = is_secure


def token() -> str:
    """Give the token for the forms of this page."""
    found = who()
    if found:
        return found.csrf_token
    if "form" not in session:
        session["form"] = secrets.token_urlsafe(32)
    return str(session["form"])


class Unstorable(BadRequest):
    """What was sent holds a character that the database does not keep; no keyboard types it."""

    description = (
        "It holds the character U+0000, which cannot be stored. Take it out and send it again."
    )


def refuse_unstorable() -> None:
    """Refuse U+0000 wherever it comes in, before a query is made of it."""
    if "\0" in request.path:
        abort(404)
    for sent in (request.args, request.form):
        for name, text in sent.items(multi=True):
            # A cursor that is none of ours begins at the start, whatever it holds.
            if "\0" in name or ("\0" in text and name != CURSOR):
                raise Unstorable


def check() -> ResponseReturnValue | None:
    """Let a form through when its token is right; otherwise give a page that keeps what was typed."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return None
    found = who()
    expected = found.csrf_token if found else str(session.get("form", ""))
    given = request.form.get(FIELD, "")
    if expected and hmac.compare_digest(expected.encode(), given.encode()):
        if kept_forms.SENT in request.form:
            kept_forms.forget()
        return None
    if found is None and request.endpoint not in _WAYS_IN and _is_from_our_page():
        owner = kept_forms.owner_word()
        if owner:
            return _kept(owner), 401
    return render_template("errors/stale_form.html", typed=typed()), 403


def _kept(owner: str) -> str:
    path = request.full_path if request.query_string else request.path
    following = url_for("web.overview.show")
    return render_template(
        "sign_in.html", kept=typed(), kept_for=path, kept_whose=owner, next=following
    )


def typed() -> list[tuple[str, str]]:
    """Give what a person typed into the form, in order, without our own token."""
    return [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in {FIELD, kept_forms.SENT} and "password" not in name
    ]


def _is_from_our_page() -> bool:
    """Tell whether the form stands on a page of ours: only such forms are offered again."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    origin = request.headers.get("Origin") or request.headers.get("Referer") or ""
    return bool(origin) and urlsplit(origin).netloc == request.host
