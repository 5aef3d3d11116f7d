"""The hub as one WSGI application: the JSON edge and the pages, and what holds for every request.

A request gets an id (``X-Request-Id``, the sender's own when it is a plain one), one log line without
address, query, body or anything personal, and headers that are safe by default. CORS is off.
"""

from __future__ import annotations

import gc
import time
from typing import Final

from flask import Flask, Response, g, request
from flask_openapi3.openapi import OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from hub import answering, api, hooks, log, web
from hub.api import problems
from hub.context import Hub, process_hub
from hub.quick import ShortWay

_FOR_MACHINES: Final = ("/v1/", "/hooks/", "/healthz", "/readyz", "/metrics")


def create_app(hub: Hub) -> OpenAPI:
    """Make the application on a hub."""
    app = api.new_app(__name__)
    # The first step added is the last to see an answer: it sees what all others made of it.
    app.before_request(_begin)
    app.after_request(_end)
    api.init_app(app, hub)
    web.init_app(app, hub)
    hooks.init_app(app)
    app.wsgi_app = ShortWay(app, hub, app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way
    if hub.settings.trusted_proxies:
        count = hub.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]  # Flask's documented way
    if hub.settings.base_url.startswith("https://"):
        app.after_request(_insist_on_https)
    return app


def wsgi() -> Flask:
    """Give the application for a WSGI server: ``gunicorn 'hub.app:wsgi()'``; settings are the environment's."""
    hub = process_hub()
    log.configure(level=hub.settings.log_level, style=hub.settings.log_format)
    app = create_app(hub)
    _spare_the_collector()
    return app


def _spare_the_collector() -> None:
    """Let the garbage collector leave alone what lives as long as the process, and look less often.

    Each request makes a few hundred objects that die with it; walking through the whole program for
    them took a quarter of the time of accepting events.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _begin() -> None:
    g.began = time.perf_counter()
    g.request_id = answering.begin(request.headers.get("X-Request-Id", ""))


def _end(response: Response) -> Response:
    response = _for_machines(response)
    headers = response.headers
    for name, value in answering.SAFE.items():
        if name not in headers:
            headers[name] = value
    headers["X-Request-Id"] = g.request_id
    rule = request.url_rule.rule if request.url_rule else "unknown"
    answering.record(
        api.auth.the_hub().redis,
        method=request.method if rule != "unknown" else "any",
        route=rule,
        status=response.status_code,
        began=g.began,
        size_bytes=response.content_length,
    )
    return response


def _insist_on_https(response: Response) -> Response:
    response.headers.extend(answering.HTTPS)
    return response


def _for_machines(response: Response) -> Response:
    """Turn an error page for a path of the JSON edge into a problem."""
    if response.mimetype != "text/html" or not request.path.startswith(_FOR_MACHINES):
        return response
    if response.status_code < 400:  # noqa: PLR2004 - errors begin there
        return response
    problem = problems.for_status(response.status_code)
    if "Allow" in response.headers:
        problem.headers["Allow"] = response.headers["Allow"]
    return problem
