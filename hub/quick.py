"""A short way for the commonest request: one structured event, by a key that was here a moment ago.

Going through Flask costs about as much as taking the event does. What is not plainly this case, and whatever
goes wrong, goes the long way from its beginning, so that there is one place that refuses. A test compares
the two answers.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from flask_openapi3.openapi import OpenAPI

from hub import answering, log
from hub.api import auth, cloudevents, events, limits
from hub.api.edge import LARGEST_BODY_BYTES
from hub.api.problems import Refused
from hub.context import Hub
from hub.db.keys import Holder, Scope, hash_secret

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_PATH: Final = "/v1/events"
_REASONS: Final = {200: "200 OK", 202: "202 ACCEPTED"}
_KIND: Final = "Bearer "

WSGI = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


class ShortWay:
    """Answers what is plainly a post of one event; leaves all else to the application."""

    def __init__(self, app: OpenAPI, hub: Hub, otherwise: WSGI) -> None:
        """Share what ``app`` remembers of keys and limits; ``otherwise`` is the long way."""
        self._hub = hub
        self._otherwise = otherwise
        self._keys: auth.Memory = app.extensions["afterbeep.keys"]
        self._limits: limits.Limits = app.extensions["afterbeep.limits"]
        is_https = hub.settings.base_url.startswith("https://")
        self._headers = list((answering.SAFE | (answering.HTTPS if is_https else {})).items())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if environ["PATH_INFO"] != _PATH or environ["REQUEST_METHOD"] != "POST":
            return self._otherwise(environ, start_response)
        holder = self._holder(environ)
        length = environ.get("CONTENT_LENGTH") or ""
        if holder is None or not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
            return self._otherwise(environ, start_response)
        began = time.perf_counter()
        raw: bytes = environ["wsgi.input"].read(int(length))
        answer = self._answer(environ, holder, raw, began)
        if answer is None:
            environ["wsgi.input"] = io.BytesIO(raw)
            return self._otherwise(environ, start_response)
        status, headers, body = answer
        start_response(_REASONS[status], headers)
        return [body]

    def _holder(self, environ: WSGIEnvironment) -> Holder | None:
        """Give who calls, when this is a structured event by a key that is remembered."""
        if environ.get("CONTENT_TYPE") != cloudevents.STRUCTURED:
            return None
        if "HTTP_CONTENT_ENCODING" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            return None
        sent = environ.get("HTTP_AUTHORIZATION", "")
        if not sent.startswith(_KIND):
            return None
        found = self._keys.get(hash_secret(sent[len(_KIND) :]))
        return found if found and Scope.EVENTS_WRITE.value in found.scopes else None

    def _answer(
        self, environ: WSGIEnvironment, holder: Holder, raw: bytes, began: float
    ) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Take the event and give the answer, or None when the long way must say what is wrong."""
        request_id = answering.begin(environ.get("HTTP_X_REQUEST_ID", ""))
        environ["HTTP_X_REQUEST_ID"] = request_id  # the long way goes on with the same one
        log.bind(tenant_id=holder.tenant_id, key_id=holder.key_id)
        try:
            event = cloudevents.structured(raw)
        except Refused:
            return None
        standing = self._limits.spend("events", holder.key_id, 1)
        if standing is None:
            return None
        try:
            [taken] = events.accept(self._hub, holder.tenant_id, [event])
        except Exception:  # noqa: BLE001 - the long way meets it again, and says and logs what it is
            return None
        if taken.status == "conflict":
            return None
        status, content = events.answer_of(taken)
        body = json.dumps(content).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Location", content["links"]["self"]),
            *standing.headers(),
            *self._headers,
            ("X-Request-Id", request_id),
        ]
        answering.record(
            self._hub.redis,
            method="POST",
            route=_PATH,
            status=status,
            began=began,
            size_bytes=len(body),
        )
        return status, headers, body
