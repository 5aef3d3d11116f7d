"""The socket of the hub's call page: who may call, how many, and what is left when the socket is closed.

``/browser/relay`` speaks ConversationRelay with a browser. Its first message is ``setup`` with the hub's pass among the
``customParameters``; nothing of it stands in an address. Twilio's routes do not know of passes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import structlog
from quart import Blueprint, websocket

from voice import call_pass, calls, clock
from voice.call_pass import Pass, Refusal, Refused
from voice.context import Context
from voice.line import browser
from voice.line import relay_messages as messages
from voice.profile import LineKind
from voice.session import CallSession

_LOG = structlog.get_logger(module=__name__)
_PASS_S = 5.0
#: Sockets of one process, and calls of one company on it.
_MOST, _MOST_EACH = 50, 3
#: Used passes are remembered for longer than any is good.
_SPENT_S = 600.0
_PORTS = {"http": 80, "https": 443}
#: Names of this machine: whoever opens the hub by one of them need not know which one it calls itself.
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def blueprint(context: Context) -> Blueprint:
    """Make the route."""
    routes = Blueprint("call_page", __name__, url_prefix="/browser")
    room = _Room()

    @routes.websocket("/relay")
    async def relay() -> None:
        await websocket.accept()
        try:
            with room.socket():
                allowed = await _let_in(context)
                with room.call(allowed.tenant_id):
                    await _held(context, allowed)
        except Refused as err:
            context.metrics.refused.labels(reason=f"pass_{err.why.name.lower()}").inc()
            _LOG.warning("call page refused", why=err.why.name.lower())
            await websocket.close(err.why.code, err.why.reason)

    return routes


class _Room:
    """How many browsers there are, and how many calls of each company."""

    def __init__(self) -> None:
        self._sockets = 0
        self._calls: Counter[str] = Counter()

    @contextmanager
    def socket(self) -> Iterator[None]:
        """Take a place for a socket; raises Refused."""
        if self._sockets >= _MOST:
            raise Refused(Refusal.BUSY)
        self._sockets += 1
        try:
            yield
        finally:
            self._sockets -= 1

    @contextmanager
    def call(self, tenant_id: str) -> Iterator[None]:
        """Take a place for a company's call; raises Refused."""
        if self._calls[tenant_id] >= _MOST_EACH:
            raise Refused(Refusal.BUSY)
        self._calls[tenant_id] += 1
        try:
            yield
        finally:
            self._calls[tenant_id] -= 1
            self._calls += Counter()  # forgets companies without calls


async def _let_in(context: Context) -> Pass:
    """Give what the browser's pass allows; raises Refused."""
    settings = context.settings
    ours = _origin(settings.hub_public_url or settings.hub_url)
    if ours is None or _origin(websocket.headers.get("Origin", "")) != ours:
        raise Refused(Refusal.ORIGIN)
    try:
        async with asyncio.timeout(_PASS_S):
            message = messages.read(await websocket.receive())
    except TimeoutError:
        raise Refused(Refusal.NO_PASS) from None
    given = message.parameters.get("pass", "") if isinstance(message, messages.Setup) else ""
    return call_pass.read(given, settings.hub_token(), clock.now())


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Give scheme, host and port of an address; None for what has none, such as "null"."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    host = "localhost" if parts.hostname in _LOOPBACK else parts.hostname
    return parts.scheme, host, port or _PORTS.get(parts.scheme)


async def _held(context: Context, allowed: Pass) -> None:
    session = await _begun(context, allowed)
    try:
        await browser.hold(websocket, context, session)
    finally:
        # The handler is cancelled when the browser goes; the call is finished all the same.
        ending = context.start(_over(context, session), name=f"finish {session.sid}")
        await asyncio.shield(ending)


async def _begun(context: Context, allowed: Pass) -> CallSession:
    """Make the call of a pass and use the pass up; raises Refused."""
    if context.is_stopping.is_set():
        raise Refused(Refusal.AWAY)
    profile = await context.profiles.find(allowed.number)
    if profile.tenant_id != allowed.tenant_id:
        raise Refused(Refusal.NUMBER)
    is_fresh = await context.store.spend(f"pass:{allowed.call_id}", for_s=_SPENT_S)
    if not is_fresh:
        # Without Redis nobody can tell whether another process has let it in.
        raise Refused(Refusal.AWAY if is_fresh is None else Refusal.USED)
    line = LineKind.CONVERSATION_RELAY
    session = CallSession(
        sid=allowed.call_id,
        token=secrets.token_urlsafe(24),
        # There is no sound to be recorded.
        profile=profile.model_copy(update={"line": line, "records": False}),
        started_at=clock.now(),
        line=line,
        from_=allowed.caller,
        to=allowed.number,
        placed_in="browser",
    )
    await calls.open_talk(context, session)
    await context.store.save(session)
    return session


async def _over(context: Context, session: CallSession) -> None:
    found = await context.store.load(session.sid) or session
    await calls.ended(context, found, {"CallStatus": "completed"})
