"""Forms that came after their sign-in had ended: whose they are, and where they wait until they can be sent.

What was typed stands in the sign-in page, so that it waits there as long as the page is open. On the way through a
provider the page is left: then it waits here, sealed, for :data:`LASTS_S` at most. Either way it is given back only to
the person whose sign-in had ended, at the company that it was typed for, and is sent only when they press.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import current_app, request, session
from itsdangerous import BadSignature, URLSafeSerializer
from redis.exceptions import RedisError

from hub import log
from hub.db import people
from hub.db.people import Former, Seat
from hub.db.vault import Unreadable
from hub.web.viewer import cookie_name, local_path, the_hub

#: What each field of a kept form is called in the sign-in page.
PREFIX: Final = "kept."
PATH: Final = "kept_for"
OWNER: Final = "kept_whose"
#: Stands in a form that is sent again, so that it is not offered once more.
SENT: Final = "kept_sent"
#: How long a form waits for somebody who is at the provider, in seconds.
LASTS_S: Final = 900
_WAITS: Final = "kept_form"
_LEFT: Final = "left"
_log = log.get(__name__)


class NotKept(Exception):
    """The form could not be put away just now; it still stands in the page."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A form that waits: whose it is, where it goes, and its fields in order."""

    owner: Former
    path: str
    fields: tuple[tuple[str, str], ...]

    def is_for(self, person_id: str, places: Sequence[Seat]) -> bool:
        """Tell whether this person typed it, and still works at the company that it was typed for."""
        is_here = any(seat.tenant_id == self.owner.tenant_id for seat in places)
        return self.owner.person_id == person_id and is_here


def remember_leaving(sign_in_id: str) -> None:
    """Note whose forms may still come from other tabs of a browser that has just signed out."""
    session[_LEFT] = sign_in_id


def owner_word() -> str | None:
    """Give a signed word for whose form this request brings; None when nothing in this browser tells."""
    token, left = request.cookies.get(cookie_name()), session.get(_LEFT)
    with the_hub().everyone("a cookie tells whose sign-in has ended") as found:
        owner = people.former(found, token=token) if token else None
        if owner is None and left:
            owner = people.former(found, sign_in_id=str(left))
    return _signer().dumps(owner.sign_in_id) if owner else None


def from_page() -> Kept | None:
    """Give the form that the sign-in page held, when it was sent with it."""
    path = local_path(request.form.get(PATH), "")
    try:
        sign_in_id = _signer().loads(request.form.get(OWNER, ""))
    except BadSignature:
        return None
    with the_hub().everyone("a sign-in that has ended tells whose a form is") as found:
        owner = people.former(found, sign_in_id=str(sign_in_id))
    return Kept(owner, path, tuple(page_fields())) if owner and path else None


def page_fields() -> list[tuple[str, str]]:
    """Give the fields of the form that the sign-in page held."""
    return [
        (name.removeprefix(PREFIX), value)
        for name, value in request.form.items(multi=True)
        if name.startswith(PREFIX)
    ]


def put_away(form: Kept) -> None:
    """Let a form wait while this browser is at the provider; raises NotKept."""
    key, owner = _key(form.owner.sign_in_id), form.owner
    packed = zlib.compress(json.dumps([form.path, form.fields]).encode())
    try:
        sealed = the_hub().vault.seal(owner.tenant_id, packed, about=key)
        the_hub().redis.set(key, sealed, ex=LASTS_S)
    except (RedisError, Unreadable) as err:
        _log.warning("form was not put away", kind=type(err).__name__)
        raise NotKept from err
    session[_WAITS] = owner.sign_in_id


def waiting() -> Kept | None:
    """Give the form that waits for this browser."""
    sign_in_id = session.get(_WAITS)
    if not sign_in_id:
        return None
    with the_hub().everyone("a sign-in that has ended tells whose a form is") as found:
        owner = people.former(found, sign_in_id=str(sign_in_id))
    try:
        sealed = the_hub().redis.get(_key(str(sign_in_id)))
        if owner is None or not isinstance(sealed, bytes):
            return None
        packed = the_hub().vault.open(owner.tenant_id, sealed, about=_key(owner.sign_in_id))
    except (RedisError, Unreadable) as err:
        _log.warning("form was not found again", kind=type(err).__name__)
        return None
    path, fields = json.loads(zlib.decompress(packed))
    return Kept(owner, path, tuple((name, value) for name, value in fields))


def forget() -> None:
    """Drop the form that waits for this browser, if one does."""
    sign_in_id = session.pop(_WAITS, None)
    if not sign_in_id:
        return
    try:
        the_hub().redis.delete(_key(str(sign_in_id)))
    except RedisError as err:
        _log.warning("form was not dropped", kind=type(err).__name__)


def _key(sign_in_id: str) -> str:
    """Name the place of a form; one for each sign-in that has ended, so that nobody can fill the store."""
    return f"kept-form:{sign_in_id}"


def _signer() -> URLSafeSerializer:
    """Sign with the newest key, and believe what older ones signed."""
    older = current_app.config.get("SECRET_KEY_FALLBACKS") or []
    return URLSafeSerializer([*reversed(older), current_app.secret_key], salt="kept form")
