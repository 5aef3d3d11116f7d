"""API keys at the door: who calls, what the key may do, and how often.

The voice front end has one token for all tenants (``AFTERBEEP_VOICE_TOKEN``) and says in a header for which
tenant it acts.

A key that was looked up is remembered by this process for :data:`REMEMBERED_S`, so a revoked key
opens nothing after five seconds at the latest. A view without a mark is closed.
"""

from __future__ import annotations

import hmac
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
from hub.db.keys import Holder, Scope, VoiceScope

REMEMBERED_S: Final = 3.0
_MOST_REMEMBERED: Final = 10_000
_LONGEST_SECRET: Final = 200
#: The header by which the voice front end names the tenant that it acts for.
TENANT_HEADER: Final = "Afterbeep-Tenant"

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


def needs(*scopes: Scope | VoiceScope) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Open a view to whoever has one of these scopes."""

    def mark(view: Callable[_P, _R]) -> Callable[_P, _R]:
        view.__dict__["needs_scope"] = frozenset(scope.value for scope in scopes)
        return view

    return mark


def public(view: Callable[_P, _R]) -> Callable[_P, _R]:
    """Open a view to everybody."""
    view.__dict__["is_public"] = True
    return view


def without_tenant(view: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let the voice front end use a view before it knows the tenant; then :func:`holder` may be None."""
    view.__dict__["is_without_tenant"] = True
    return view


def tenant_if_named() -> str | None:
    """Give the tenant that the voice front end named, in a view that is marked with :func:`without_tenant`."""
    found = cast("Holder | None", g.holder)
    return found.tenant_id if found else None


def charges_itself(view: Callable[_P, _R]) -> Callable[_P, _R]:
    """Say that a view counts against a rate limit of its own."""
    view.__dict__["charges_itself"] = True
    return view


def check() -> None:
    """Let the request pass, or refuse it; the first thing that happens to a request of the API."""
    marks = current_app.view_functions[request.endpoint or ""].__dict__
    if marks.get("is_public"):
        return
    secret_hash = keys.hash_secret(_secret())
    if _is_voice(secret_hash):
        if marks.get("is_without_tenant") and TENANT_HEADER not in request.headers:
            g.holder = None
            return
        found = _voice()
    else:
        found = _find(secret_hash)
    wanted: frozenset[str] = marks.get("needs_scope", frozenset())
    if not wanted & found.scopes:
        raise Refused("no-scope", _lacks(wanted))
    g.holder = found
    log.bind(tenant_id=found.tenant_id, key_id=found.key_id)
    if not marks.get("charges_itself"):
        limits.of_app().charge("requests", found.counted_as, 1)


def _lacks(wanted: frozenset[str]) -> str:
    for_keys = sorted(wanted & set(Scope))
    if not for_keys:
        return "This is for the voice front end."
    return f"This needs a key with the scope {' or '.join(for_keys)}."


def _is_voice(secret_hash: str) -> bool:
    """Tell whether this is the voice front end's token."""
    token = the_hub().settings.voice_token
    if token is None:
        return False
    return hmac.compare_digest(secret_hash, keys.hash_secret(token.get_secret_value()))


def _voice() -> Holder:
    tenant_id = request.headers.get(TENANT_HEADER, "")
    if not tenant_id:
        raise Refused("bad-request", f"Say for which tenant, with the header {TENANT_HEADER}.")
    memory = cast("Memory", current_app.extensions["afterbeep.keys"])
    # No secret's hash has a colon, so that nobody gets in by the name of a tenant.
    name = f"{keys.VOICE}:{tenant_id}"
    found = memory.get(name)
    if found is None:
        with the_hub().everyone("the voice front end names the tenant that it acts for") as session:
            found = keys.for_voice(session, tenant_id.replace("\0", ""))
        if found is None:
            raise Refused("not-found", "There is no such tenant.")
        memory.put(name, found)
    return found


def _secret() -> str:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise _unknown("Send the header Authorization: Bearer, followed by an API key.")
    if len(secret) > _LONGEST_SECRET:
        raise _unknown("This is not an API key.")
    return secret.strip()


def _unknown(detail: str) -> Refused:
    return Refused("no-key", detail, headers={"WWW-Authenticate": 'Bearer realm="afterbeep"'})


def _find(secret_hash: str) -> Holder:
    memory = cast("Memory", current_app.extensions["afterbeep.keys"])
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
