"""API keys at the door: who calls, what the key may do, and how often.

A key that was looked up is remembered by this process for :data:`REMEMBERED_S`, so a revoked key
opens nothing after five seconds at the latest. A view without a mark is closed.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar, cast

from flask import current_app, g, request

from hub import log
from hub.api import limits
from hub.api.problems import Refused
from hub.context import Hub
from hub.db import keys
from hub.db.keys import Holder, Scope

REMEMBERED_S: Final = 3.0
_MOST_REMEMBERED: Final = 10_000
_LONGEST_SECRET: Final = 200

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Memory:
    """Keys that were looked up a moment ago, by the hash of their secret."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin empty; ``clock`` gives seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[float, Holder]] = OrderedDict()

    def get(self, secret_hash: str) -> Holder | None:
        """Give who was found a moment ago, or None."""
        found = self._held.get(secret_hash)
        if found is None or self._clock() >= found[0]:
            return None
        return found[1]

    def put(self, secret_hash: str, holder: Holder) -> None:
        """Remember who holds a secret."""
        with self._lock:
            self._held[secret_hash] = (self._clock() + REMEMBERED_S, holder)
            self._held.move_to_end(secret_hash)
            while len(self._held) > _MOST_REMEMBERED:
                self._held.popitem(last=False)


def the_hub() -> Hub:
    """Give the hub that the application was made with."""
    return cast("Hub", current_app.extensions["afterbeep"])


def holder() -> Holder:
    """Give who calls, in a view that is marked with :func:`needs`."""
    return cast("Holder", g.holder)


def needs(scope: Scope) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Open a view to keys with this scope."""

    def mark(view: Callable[_P, _R]) -> Callable[_P, _R]:
        view.__dict__["needs_scope"] = scope
        return view

    return mark


def public(view: Callable[_P, _R]) -> Callable[_P, _R]:
    """Open a view to everybody."""
    view.__dict__["is_public"] = True
    return view


def charges_itself(view: Callable[_P, _R]) -> Callable[_P, _R]:
    """Say that a view counts against a rate limit of its own."""
    view.__dict__["charges_itself"] = True
    return view


def check() -> None:
    """Let the request pass, or refuse it; the first thing that happens to a request of the API."""
    marks = current_app.view_functions[request.endpoint or ""].__dict__
    if marks.get("is_public"):
        return
    found = _find(_secret())
    scope = marks.get("needs_scope")
    if scope is None or scope.value not in found.scopes:
        wanted = scope.value if scope else "none that exists"
        raise Refused("no-scope", f"This needs a key with the scope {wanted}.")
    g.holder = found
    log.bind(tenant_id=found.tenant_id, key_id=found.key_id)
    if not marks.get("charges_itself"):
        limits.of_app().charge("requests", found.key_id, 1)


def _secret() -> str:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise _unknown("Send the header Authorization: Bearer, followed by an API key.")
    if len(secret) > _LONGEST_SECRET:
        raise _unknown("This is not an API key.")
    return secret.strip()


def _unknown(detail: str) -> Refused:
    return Refused("no-key", detail, headers={"WWW-Authenticate": 'Bearer realm="afterbeep"'})


def _find(secret: str) -> Holder:
    memory = cast("Memory", current_app.extensions["afterbeep.keys"])
    secret_hash = keys.hash_secret(secret)
    found = memory.get(secret_hash)
    if found is not None:
        return found
    with the_hub().everyone("an API key tells which tenant it is for") as session:
        found = keys.find(session, secret_hash)
        if found is not None:
            keys.note_use(session, found.key_id)
    if found is None:
        raise _unknown("This API key does not exist or was revoked.")
    memory.put(secret_hash, found)
    return found
