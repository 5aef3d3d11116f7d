"""The JSON edge: one module per tag, one table of problems, one document made from the code.

::

    request ──▶ auth ──▶ limits ──▶ cloudevents │ pydantic ──▶ delivery, db ──▶ answers
                  └──────────┴──────────┴──▶ problems (RFC 9457)
"""

from __future__ import annotations

from importlib.metadata import version

from flask_openapi3.models.info import Info
from flask_openapi3.models.server import Server
from flask_openapi3.openapi import OpenAPI

from hub.api import (
    auth,
    connections,
    deliveries,
    docs,
    edge,
    events,
    ledger,
    limits,
    mappings,
    outcomes,
    playbook,
    probes,
    problems,
    replays,
    schemas,
    telephone,
    voice,
    webhooks,
)
from hub.context import Hub

_TAGS = (
    events,
    deliveries,
    replays,
    mappings,
    playbook,
    connections,
    webhooks,
    outcomes,
    telephone,
    voice,
    ledger,
    schemas,
    probes,
)
_ABOUT = """\
Post voicemails as events, and see what became of them.

Every request needs an API key (`Authorization: Bearer ab_live_…`) whose scope is named with the operation; the key
decides the tenant. Refusals are problems (RFC 9457), lists are paged by `cursor`, times are UTC. Members that
may be empty are null, never missing. A revoked key stops working within five seconds."""


def new_app(import_name: str) -> OpenAPI:
    """Make an application with all operations of the API, without a hub behind it yet."""
    app = OpenAPI(
        import_name,
        info=Info(title="Afterbeep", version=version("afterbeep"), description=_ABOUT),
        servers=[Server(url="/")],
        security_schemes={
            edge.SECURITY: {"type": "http", "scheme": "bearer", "bearerFormat": "ab_live_…"}
        },
        validation_error_callback=problems.of_invalid,
        doc_ui=False,
        static_folder=None,
    )
    for part in _TAGS:
        app.register_api(part.tag)
    return app


def init_app(app: OpenAPI, hub: Hub) -> None:
    """Put a hub behind the operations, and add the document and its page.

    ``app.extensions["afterbeep"]`` holds the hub afterwards.
    """
    app.extensions["afterbeep"] = hub
    app.extensions["afterbeep.keys"] = auth.Memory()
    app.extensions["afterbeep.limits"] = limits.Limits(hub)
    app.register_blueprint(docs.pages)
