"""What every page needs: the navigation with its count, the theme, assets, and the size of forms."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from flask import Flask, g, request, url_for
from sqlalchemy import func, select

from hub.db.deliveries import Delivery, State
from hub.web import forms, kept_forms
from hub.web.display import Words
from hub.web.viewer import the_hub, who

_STATIC = Path(__file__).parent / "static"
_THEMES = {"light": "light", "dark": "dark"}
#: Rows in these states wait for a person.
NEEDS_PERSON = (State.PARKED.value, State.HELD.value)


def limit_form_size(size_bytes: int) -> Callable[[], None]:
    """Give a step that refuses larger forms with a 413 page."""

    def limit() -> None:
        request.max_content_length = size_bytes
        request.max_form_memory_size = size_bytes

    return limit


def add_words(app: Flask) -> None:
    """Give all templates, and the parts that they import, what every page uses.

    Nothing is asked of the database before it is shown.
    """
    app.jinja_env.globals.update(
        asset=asset,
        has_page=lambda endpoint: endpoint in app.view_functions,
        csrf_field=forms.FIELD,
        csrf_token=forms.token,
        kept_prefix=kept_forms.PREFIX,
        needs_person=needs_person,
        provider=provider,
        theme=theme,
        who=who,
        words=Words(),
    )


def provider() -> str:
    """Give what the sign-in page calls the OpenID provider; nothing where none is set."""
    settings = the_hub().settings
    return settings.oidc_name if settings.oidc_issuer else ""


def theme() -> str:
    """Give the browser's choice: light, dark, or auto for the device's."""
    return _THEMES.get(request.cookies.get("afterbeep_theme", ""), "auto")


def needs_person() -> int:
    """Count the deliveries that wait for a person, once per page."""
    if "needs_person" not in g:
        me = who()
        g.needs_person = 0
        if me:
            with the_hub().tenant(me.tenant_id) as session:
                g.needs_person = session.scalar(
                    select(func.count(Delivery.id)).where(Delivery.state.in_(NEEDS_PERSON))
                )
    return int(g.needs_person or 0)


def asset(name: str) -> str:
    """Give the address of one of our files; it changes with the content, so that browsers may keep it."""
    return url_for("web.static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    file = _STATIC / name
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else "0"
