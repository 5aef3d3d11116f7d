"""The API's document as JSON, YAML and as a page, all from this host."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final, cast

from flask import Blueprint, Response, current_app, redirect, send_from_directory
from flask.typing import ResponseReturnValue
from flask_openapi3.openapi import OpenAPI

from hub.api import document

pages = Blueprint("api_docs", __name__)

_SWAGGER: Final = Path(str(files("flask_openapi3_swagger"))) / "templates" / "swagger"
_OURS: Final = Path(__file__).parent / "static"
_FILES: Final = {
    "swagger-ui.css": _SWAGGER / "css",
    "swagger-ui-bundle.js": _SWAGGER / "js",
    "swagger.svg": _SWAGGER / "images",
    "docs.js": _OURS,
    "docs.css": _OURS,
}
# The page's own script and style are files, so that no inline code need be allowed. The style sheet
# of the page draws its icons as data: images.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Afterbeep API</title>
<link rel="icon" href="/docs/swagger.svg">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/docs.css">
<div id="api"><p>The document is at <a href="/openapi.yaml">openapi.yaml</a>.</p></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/docs.js"></script>
</html>
"""


@pages.get("/openapi.json")
def show_json() -> Response:
    """Give the document as JSON."""
    return _cached(Response(document.as_json(_app()), mimetype="application/json"))


@pages.get("/openapi.yaml")
def show_yaml() -> Response:
    """Give the document as YAML."""
    return _cached(Response(document.as_yaml(_app()), mimetype="application/yaml"))


@pages.get("/docs")
def show_page_of_old() -> ResponseReturnValue:
    """Lead to the page."""
    return redirect("/docs/", 308)


@pages.get("/docs/")
def show_page() -> Response:
    """Give the page on which operations can be read and tried."""
    response = Response(_PAGE, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    return _cached(response)


@pages.get("/docs/<name>")
def show_file(name: str) -> Response:
    """Give a file of the page."""
    folder = _FILES.get(name)
    if folder is None:
        return Response("There is no such file.\n", 404, mimetype="text/plain")
    return _cached(send_from_directory(folder, name))


def _app() -> OpenAPI:
    return cast("OpenAPI", current_app)


def _cached(response: Response) -> Response:
    response.headers["Cache-Control"] = "public, max-age=300"
    return response
