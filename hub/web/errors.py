"""Error pages in the design of all others. The JSON edge under ``/v1/`` answers for itself."""

from __future__ import annotations

from flask import Flask, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError

from hub import log
from hub.web.forms import Unstorable
from hub.web.headers import protect

_log = log.get(__name__)

_SENTENCES = {
    400: ("We could not read that", "The address or form is not complete. Go back and try again."),
    401: ("Your sign-in has ended", "Sign in again to go on."),
    403: ("You may not do this", "An owner or admin of your company can change your role."),
    404: (
        "There is no such page",
        "The address is wrong, or what it showed belongs to another company or was removed.",
    ),
    405: ("This works only from a form", "Go back to the page and use its button."),
    413: ("That is too large", "A form may hold at most 512 KiB."),
    429: ("Too many tries", "Wait a minute, then try again."),
    500: (
        "Something broke on our side",
        "It has been written down. Nothing that was accepted is lost. Try again in a moment.",
    ),
    503: ("We cannot reach the database", "Nothing is lost. Try again in a moment."),
}


def add_pages(app: Flask) -> None:
    """Answer errors with pages; whatever happens under ``/v1/`` passes unchanged."""
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _broken)
    app.register_error_handler(500, _broken)


def is_for_people(path: str) -> bool:
    """Tell whether a path is one of ours, not of the JSON edge or of the probes."""
    return not path.startswith(("/v1/", "/docs", "/openapi", "/healthz", "/readyz", "/metrics"))


def _refused(error: Exception) -> ResponseReturnValue:
    if not isinstance(error, HTTPException) or not is_for_people(request.path):
        return error  # type: ignore[return-value]  # Flask answers with the exception itself
    if error.response is not None:
        return error.response
    is_ours = error.code in {403, 429} or isinstance(error, Unstorable)
    return _page(error.code or 500, error.description if is_ours else None)


def _broken(error: Exception) -> ResponseReturnValue:
    cause = getattr(error, "original_exception", None) or error
    _log.error(
        "page failed",
        endpoint=request.endpoint,
        kind=type(cause).__name__,
        where=log.places(cause),  # its message may quote a caller
    )
    if not is_for_people(request.path):
        return error if isinstance(error, HTTPException) else InternalServerError()
    return _page(500, None, has_shell=False)


def _page(status: int, detail: str | None, *, has_shell: bool = True) -> Response:
    title, sentence = _SENTENCES.get(status, _SENTENCES[400 if status < 500 else 500])  # noqa: PLR2004 - client errors end there
    page = render_template(
        "errors/page.html",
        status=status,
        title=title,
        sentence=sentence,
        detail=detail,
        has_shell=has_shell,
    )
    return protect(make_response(page, status))
