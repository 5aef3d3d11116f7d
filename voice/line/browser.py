"""A browser in Twilio's place: the call page speaks ConversationRelay, and line (a) holds the call as any other.

What Twilio does beside the socket is done here: the greeting is sent as text, a call that is put through comes back as
if nobody had answered, and a socket that is gone ends the call. Two messages go to browsers that Twilio never gets:

``captured``
    What the dialogue knows so far: ``slots`` (name, number, reason, urgency, when, …), ``is_number_confirmed``,
    ``emergency``, ``language``.
``unanswered``
    A caller would be rung through to staff now; nobody picks up in a browser.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from voice import calls
from voice.context import Context
from voice.dialogue.types import Slot, Talk
from voice.line import conversation_relay
from voice.line import relay_messages as messages
from voice.line.sockets import Socket
from voice.session import CallSession

#: What a browser may say of a call; all else is dropped. Trouble with voices is the browser's own.
_KINDS = frozenset({"prompt", "interrupt", "dtmf", "info"})
_MOST_MESSAGES = 5_000
#: Nobody is at the page any more, or somebody talks for ever.
_IDLE_S, _LONGEST_S = 600.0, 1_800.0
_DONE = 1000


class _Over(Exception):
    """The line has ended its session, as Twilio closes a socket when it is asked to."""


async def hold(websocket: Socket, context: Context, session: CallSession) -> None:
    """Hold a new call until the browser, the talk or this process ends it; the caller of this makes its event."""
    browser = _Browser(websocket, context, session)
    text, is_interruptible = calls.greeting(session)
    if text:
        await browser.send(
            messages.text(
                text,
                is_last=True,
                language=session.talk.language,
                is_interruptible=is_interruptible,
            )
        )
    try:
        async with asyncio.timeout(_LONGEST_S):
            while await _goes_on(browser, context, session.sid):
                pass
    except TimeoutError:
        await browser.send_end()
    await websocket.close(browser.code, "")


async def _goes_on(browser: _Browser, context: Context, sid: str) -> bool:
    """Let the line talk until it ends; tells whether the talk goes on because nobody could be reached."""
    browser.begin()
    try:
        await conversation_relay.serve(browser, context)
    except _Over:
        session = await context.store.load(sid)
        if session is None or session.after != "transfer":
            await browser.send_end()
            return False
        await browser.send(json.dumps({"type": "unanswered"}))
        await context.store.change(sid, _unanswered)
        calls.fell_back(context, session, "transfer:unanswered")
        return True
    return False


def _unanswered(session: CallSession) -> None:
    session.after, session.news = None, "transfer_failed"


class _Browser:
    """The socket as the line sees it: it begins with a setup, and is closed when the line says end."""

    def __init__(self, websocket: Socket, context: Context, session: CallSession) -> None:
        self._websocket = websocket
        self._context = context
        self._sid, self._token = session.sid, session.token
        self._is_set_up = False
        self._is_over = asyncio.Event()
        self._told = ""
        self._end = ""
        self._left = _MOST_MESSAGES
        self.code = _DONE

    def begin(self) -> None:
        """Be a fresh socket of the same call."""
        self._is_set_up = False
        self._is_over.clear()

    async def receive(self) -> str | bytes:
        """Give what the browser says next; raises _Over when the line or the browser's patience is at its end."""
        if not self._is_set_up:
            self._is_set_up = True
            return self._setup()
        while True:
            raw = await self._next()
            self._left -= 1
            if not self._left:
                raise _Over
            if _kind(raw) in _KINDS:
                return raw

    async def send(self, data: str) -> None:
        """Pass a message on, what is known since the last one before it; the end is kept back until it is sure."""
        await self._tell()
        if _kind(data) == "end":
            self._end = data
            self._is_over.set()
            return
        await self._websocket.send(data)

    async def send_end(self) -> None:
        """Tell the browser that the call is over."""
        await self._tell()
        await self._websocket.send(self._end or messages.end("end"))

    async def close(self, code: int, reason: str = "") -> None:  # noqa: ARG002 - as every socket has it
        """Note how the line wants it closed; the socket may still be needed."""
        self.code = code

    def _setup(self) -> str:
        return json.dumps(
            {
                "type": "setup",
                "sessionId": f"browser-{self._sid}",
                "callSid": self._sid,
                "customParameters": {"token": self._token},
            }
        )

    async def _next(self) -> str | bytes:
        hearing = asyncio.ensure_future(self._websocket.receive())
        ending = asyncio.ensure_future(self._is_over.wait())
        try:
            await asyncio.wait(
                {hearing, ending}, timeout=_IDLE_S, return_when=asyncio.FIRST_COMPLETED
            )
            if self._is_over.is_set() or not hearing.done():
                raise _Over
            return hearing.result()
        finally:
            hearing.cancel()
            ending.cancel()

    async def _tell(self) -> None:
        """Send what the dialogue knows, when that has changed; a call that a socket holds is at hand."""
        session = await self._context.store.load(self._sid)
        if session is None:
            return
        known = json.dumps({"type": "captured", **captured(session.talk)}, ensure_ascii=False)
        if known != self._told:
            self._told = known
            await self._websocket.send(known)


def captured(talk: Talk) -> dict[str, Any]:
    """Give what a dialogue knows, as JSON; a number that was read back and waits for a yes is not confirmed."""
    slots = {str(name): value for name, value in talk.slots.items()}
    if talk.pending and Slot.NUMBER not in talk.slots:
        slots[Slot.NUMBER.value] = talk.pending
    return {
        "slots": slots,
        "is_number_confirmed": talk.is_number_confirmed,
        "emergency": talk.emergency,
        "language": talk.language,
    }


def _kind(raw: str | bytes) -> str:
    if not isinstance(raw, str) or len(raw) > messages.MAX_MESSAGE_CHARS:
        return ""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    return str(found.get("type")) if isinstance(found, dict) else ""
