"""Line (a): Twilio listens and speaks (ConversationRelay), we think.

The socket is disposable: the call is in the store, and whatever process gets the next socket goes on where this one
was.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets

import structlog

from voice.context import Context
from voice.line import relay_messages as messages
from voice.line.relay_call import RelayCall
from voice.line.sockets import Socket, first
from voice.session import CallSession, Voice

_LOG = structlog.get_logger(module=__name__)
_SETUP_S = 10.0
_POLICY, _RESTART, _DONE = 1008, 1012, 1000


async def serve(websocket: Socket, context: Context) -> None:
    """Hold a call on this socket until it, the talk, or this process is over; then close it."""
    session = await _set_up(websocket, context)
    if session is None:
        context.metrics.refused.labels(reason="relay_token").inc()
        await websocket.close(_POLICY, "unknown call")
        return
    owner = secrets.token_hex(8)
    # Twilio has greeted where nothing was said before (calls.greeting).
    is_resumed = any(turn.voice is Voice.AGENT for turn in session.turns)
    lost = context.store.hold(session, owner)
    await context.store.save(session)
    relay = RelayCall(websocket, context, session)
    _LOG.info("relay began", call_id=session.sid, is_resumed=is_resumed)
    context.metrics.live.inc()
    try:
        await first(relay.run(is_resumed=is_resumed), lost.wait(), context.is_closing.wait())
    finally:
        context.metrics.live.dec()
        await relay.close()
        await context.store.settle(session.sid)
        if not lost.is_set():
            await context.store.save(session)
        context.store.release(session, owner)
        _LOG.info("relay ended", call_id=session.sid, after=session.after, turns=len(session.turns))
    await websocket.close(_RESTART if context.is_closing.is_set() else _DONE, "")


async def _set_up(websocket: Socket, context: Context) -> CallSession | None:
    try:
        async with asyncio.timeout(_SETUP_S):
            message = messages.read(await websocket.receive())
    except TimeoutError:
        return None
    if not isinstance(message, messages.Setup):
        return None
    session = await context.store.load(message.call_sid)
    token = message.parameters.get("token", "")
    if session is None or not hmac.compare_digest(token.encode(), session.token.encode()):
        return None
    return session
