"""Lines (b) and (c): Twilio's Media Streams socket, bridged to a vendor whose model hears and speaks.

Whatever goes wrong here ends in one way: the socket is closed, Twilio runs the verb after ``<Stream>``, and the
call goes on where it was, on the next line when this one has failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol

import structlog

from voice import calls, prompt, recording, tools, wording
from voice.context import Context
from voice.line import vendor as v
from voice.line.bridge import Bridge
from voice.line.elevenlabs import ElevenLabs
from voice.line.media_messages import Message, Start, read
from voice.line.observing import Observer, Wish
from voice.line.openai_realtime import OpenAIRealtime
from voice.profile import LineKind
from voice.session import CallSession

_LOG = structlog.get_logger(module=__name__)
#: Twilio says which call it is at once, or it is not Twilio.
START_S = 5.0
#: So many messages may come before ``start``; there is one.
MOST_BEFORE_START = 5
POLICY, DONE = 1008, 1000
_FILLER_LINE = "filler"
_FILLER_KEPT_S = 30 * 24 * 3600.0


class Socket(Protocol):
    """What is needed of a WebSocket; Quart's ``websocket`` is one."""

    async def receive(self) -> str | bytes:
        """Give the next message."""

    async def send(self, data: str) -> None:
        """Send a message."""

    async def close(self, code: int, reason: str = "") -> None:
        """Close the socket."""


async def serve(websocket: Socket, context: Context) -> None:
    """Hold a call on this socket until it, the talk, or the vendor is over; then close it."""
    start = await _start(websocket)
    session = await context.store.load(start.call_sid) if start else None
    if start is None or session is None or not _is_ours(start, session):
        context.metrics.refused.labels(reason="media_token").inc()
        await websocket.close(POLICY, "unknown call")
        return
    owner = secrets.token_hex(8)
    lost = context.store.hold(session, owner)
    log = _LOG.bind(call_id=session.sid, line=session.line.value)
    log.info("media stream began")
    context.metrics.live.inc()
    try:
        await _until(_hold(websocket, context, session, start), lost, context.is_closing)
    finally:
        context.metrics.live.dec()
        await context.store.save(session)
        context.store.release(session, owner)
        log.info("media stream ended", after=session.after, turns=len(session.turns))
    await websocket.close(DONE, "")


async def _start(websocket: Socket) -> Start | None:
    try:
        async with asyncio.timeout(START_S):
            for _ in range(MOST_BEFORE_START):
                message = read(await websocket.receive())
                if isinstance(message, Start):
                    return message if message.is_mulaw else None
    except TimeoutError:
        pass
    return None


def _is_ours(start: Start, session: CallSession) -> bool:
    given = start.parameters.get("token", "").encode()
    is_token = hmac.compare_digest(given, session.token.encode())
    return is_token and session.line in {LineKind.OPENAI, LineKind.ELEVENLABS}


async def _until(work: Coroutine[Any, Any, None], *events: asyncio.Event) -> None:
    """Work until it is done, or until another socket has the call or this process stops."""
    task = asyncio.create_task(work, name="media stream")
    waits = [asyncio.create_task(event.wait(), name="end of stream") for event in events]
    try:
        await asyncio.wait({task, *waits}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (task, *waits):
            one.cancel()
        await asyncio.gather(task, *waits, return_exceptions=True)
    if not task.cancelled() and (err := task.exception()):
        raise err


async def _hold(websocket: Socket, context: Context, session: CallSession, start: Start) -> None:
    call = _Call(context, session)
    try:
        await call.check_pause()
        vendor = await call.vendor()
        bridge = Bridge(session, vendor, call, stream_sid=start.stream_sid, send=websocket.send)
        await bridge.run(_messages(websocket))
    except v.VendorFailed as err:
        await call.failed(err.reason, err.pause_s)
    except Exception as err:  # noqa: BLE001 - whatever it is, the caller is not left in silence
        _LOG.error("media stream failed", call_id=session.sid, exc_info=err)
        await call.failed("internal", 0.0)
    finally:
        await call.keep_filler()


async def _messages(websocket: Socket) -> AsyncIterator[Message]:
    while True:
        message = read(await websocket.receive())
        if message is not None:
            yield message


class _Call:
    """What a bridge needs of the rest of the service, for one call."""

    def __init__(self, context: Context, session: CallSession) -> None:
        self._context = context
        self._session = session
        self.observer = Observer(session)
        self._fillers: dict[tuple[str, str, str], bytes] = {}
        self._filler_note = ""

    async def check_pause(self) -> None:
        """Leave a vendor alone for a while that has refused another call."""
        if await self._context.store.noted(f"paused:{self._session.line}"):
            raise v.VendorFailed("paused")

    async def vendor(self) -> v.Vendor:
        """Make the vendor of the session's line; nothing is connected yet."""
        session, profile = self._session, self._session.profile
        if not profile.may_use("openai" if session.line is LineKind.OPENAI else "elevenlabs"):
            raise v.VendorFailed("not_allowed")
        made = await (self._openai() if session.line is LineKind.OPENAI else self._elevenlabs())
        session.models["conversation"] = made.model
        return made

    async def _openai(self) -> v.Vendor:
        session, settings = self._session, self._context.settings
        if settings.openai_api_key is None:
            raise v.VendorFailed("not_configured")
        language = session.talk.language
        line = wording.fixed(_FILLER_LINE, language, session.profile)
        made = OpenAIRealtime(
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key.get_secret_value(),
            model=settings.openai_model,
            voice=session.profile.openai_voice,
            connect_s=settings.openai_connect_s,
            language=language,
            filler_line=line,
            fillers=self._fillers,
        )
        about = "\n".join((*made.filler_key, line))
        self._filler_note = f"filler:{hashlib.sha256(about.encode()).hexdigest()[:24]}"
        if kept := await self._context.store.noted(self._filler_note):
            self._fillers[made.filler_key] = kept
        return made

    async def _elevenlabs(self) -> v.Vendor:
        settings = self._context.settings
        agent = self._session.profile.elevenlabs_agent_id or settings.elevenlabs_agent_id
        key = settings.elevenlabs_api_key
        if agent is None:
            raise v.VendorFailed("not_configured")
        return ElevenLabs(
            base_url=settings.elevenlabs_base_url,
            api_key=key.get_secret_value() if key else None,
            agent_id=agent,
            connect_s=settings.elevenlabs_connect_s,
        )

    def opening(self, wish: Wish) -> v.Opening:
        """Give what the vendor is told at the beginning."""
        session = self._session
        return v.Opening(
            instructions=prompt.instructions(session.profile, session.talk),
            first=wish.lines,
            language=session.talk.language,
            tools=tools.for_openai(session.profile),
            said=self.observer.said(),
        )

    async def use_tool(self, wanted: v.ToolWanted) -> tuple[str, bool, Wish]:
        """Run a tool and give its answer for the model, whether it failed, and what the dialogue wants then."""
        session = self._session
        outcome = await tools.run(
            wanted.tool,
            wanted.arguments,
            profile=session.profile,
            session=session,
            hub=self._context.hub if session.profile.tenant_id else None,
        )
        if outcome.error is not None:
            return outcome.for_model(), True, Wish()
        wish = self.observer.used(outcome.tool, outcome.arguments, outcome.result)
        return outcome.for_model(), False, wish

    def measured(self, stage: str, ms: float) -> None:
        """Keep a measurement in the call, and for Prometheus."""
        session, metrics = self._session, self._context.metrics
        session.latency.setdefault(stage, []).append(round(max(0.0, ms), 1))
        line = session.line.value
        if stage == "first_audio":
            metrics.first_audio.labels(line=line).observe(ms / 1000)
        elif stage == "own_share":
            metrics.own.labels(line=line).observe(ms / 1000)
        elif stage == "barge_in":
            metrics.barge_ins.labels(line=line).inc()

    def changed(self) -> None:
        """The session is worth saving."""
        self._context.store.save_soon(self._session)

    def fell_back(self, what: str) -> None:
        """Note that something was done in another way than planned."""
        calls.fell_back(self._context, self._session, what)

    def start_recording(self) -> None:
        """Begin to record, beside the conversation."""
        work = recording.start(self._context, self._session)
        self._context.start(work, name=f"record {self._session.sid}")

    async def failed(self, reason: str, pause_s: float) -> None:
        """Note that this line has failed in this call, and let other calls leave the vendor alone for a while."""
        session, line = self._session, self._session.line.value
        if line not in session.failed_lines:
            session.failed_lines.append(line)
        calls.fell_back(self._context, session, f"{line}:{reason}")
        if pause_s:
            await self._context.store.note(f"paused:{line}", reason.encode(), for_s=pause_s)
        _LOG.warning("line failed", call_id=session.sid, line=line, reason=reason, pause_s=pause_s)

    async def keep_filler(self) -> None:
        """Share a filler that was made in this call with all others."""
        made = next(iter(self._fillers.values()), b"")
        if made and self._filler_note:
            await self._context.store.note(self._filler_note, made, for_s=_FILLER_KEPT_S)
