"""The admin UI: pages that a person signs in to. ``init_app`` adds them to an application.

Every page is rendered here, works without JavaScript, and sees one tenant. Views are split by subject;
``README.md`` says which file holds what and how to add a page.
"""

from __future__ import annotations

from flask import Blueprint, Flask

from hub import log
from hub.context import Hub
from hub.web import (
    account,
    api_keys,
    audit_log,
    call_page,
    company,
    compress,
    connection_settings,
    connections,
    deliveries,
    display,
    errors,
    forms,
    headers,
    mappings,
    notifications,
    oidc,
    outcomes,
    overview,
    parked,
    payloads,
    people,
    playbook,
    recordings,
    replays,
    rubric,
    saved_views,
    shell,
    sign_in,
    sync,
    telephone,
    triage,
    trial_call,
    voicemails,
)

_log = log.get(__name__)
_SUBJECTS = (
    sign_in,
    oidc,
    overview,
    voicemails,
    triage,
    saved_views,
    recordings,
    outcomes,
    deliveries,
    payloads,
    parked,
    replays,
    sync,
    connections,
    connection_settings,
    notifications,
    mappings,
    playbook,
    company,
    telephone,
    rubric,
    trial_call,
    call_page,
    people,
    api_keys,
    audit_log,
    account,
)
_LARGEST_FORM_BYTES = 512 * 1024


def init_app(app: Flask, hub: Hub) -> None:
    """Add all pages, their headers, filters and error pages to ``app``.

    ``app.extensions["afterbeep"]`` holds the hub afterwards. Paths that begin with ``/v1/`` are left alone.
    """
    app.extensions["afterbeep"] = hub
    app.extensions["afterbeep.streams"] = sync.init_streams(hub.settings.hub_threads)
    forms.set_up_cookies(app, hub)
    display.add_filters(app)
    shell.add_words(app)
    errors.add_pages(app)
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True

    web = Blueprint(
        "web",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/assets",
    )
    web.before_request(shell.limit_form_size(_LARGEST_FORM_BYTES))
    web.before_request(forms.refuse_unstorable)
    web.before_request(forms.check)
    web.after_request(headers.protect)
    web.after_request(compress.compress)
    for subject in _SUBJECTS:
        web.register_blueprint(subject.pages)
    app.register_blueprint(web)
    _warn_when_bare()


def _warn_when_bare() -> None:
    """Log that the assets have not been built; pages work without them, but look bare."""
    from hub.web import assets  # noqa: PLC0415 - it is also a command, which must not be loaded twice

    if names := assets.missing():
        _log.warning("assets are missing", files=names, build="python -m hub.web.assets")
