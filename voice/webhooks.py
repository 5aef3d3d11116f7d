"""The routes that Twilio calls: each is checked for its signature, then answered with TwiML.

A webhook that fails inside is answered with the tone: a caller never hears "an application error has occurred".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from quart import Blueprint, Response, request, websocket
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from voice import calls, recording, twiml
from voice.context import Context
from voice.line import conversation_relay, gather_record, media_streams
from voice.signature import Signatures

_LOG = structlog.get_logger(module=__name__)
#: Twilio's forms have some two kilobytes; a transcription may have more.
MAX_FORM_BYTES = 64 * 1024
_MOST_FIELDS = 200
#: Twilio waits 15 s. Source: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides (2026-11-30)
_ANSWER_S = 10.0
_LAST_RESORT = "Please leave your message after the tone."
#: Never answered with TwiML: Twilio only tells us something.
_TOLD = frozenset({"recording", "transcription", "status"})

Answer = Callable[[Context, dict[str, str], str], Awaitable[str]]


def blueprint(context: Context) -> Blueprint:
    """Make the routes of a service."""
    routes = Blueprint("twilio", __name__, url_prefix="/twilio")
    signatures = Signatures(context.settings)

    async def hook(event: str) -> Response:
        answer = _ANSWERS.get(event)
        if answer is None:
            return Response("There is no such webhook.", 404, content_type="text/plain")
        try:
            form = await request.form
        except RequestEntityTooLarge:
            context.metrics.refused.labels(reason="too_large").inc()
            return _refused(413, "The form is too large.")
        target = _target(request.scope)
        if len(form) > _MOST_FIELDS or not signatures.is_webhook(target, form, request.headers):
            context.metrics.refused.labels(reason="signature").inc()
            _LOG.warning("webhook refused", route=event)
            return _refused(403, "The signature does not fit.")
        return await _answered(context, event, answer, form.to_dict())

    @routes.websocket("/relay")
    async def relay() -> None:
        if await _is_welcome(context, signatures):
            await conversation_relay.serve(websocket, context)

    @routes.websocket("/media")
    async def media() -> None:
        if await _is_welcome(context, signatures):
            await media_streams.serve(websocket, context)

    routes.add_url_rule("/<event>", "hook", hook, methods=["POST"])
    return routes


def _target(scope: object) -> str:
    """Give path and query as they were sent, which is what was signed."""
    if not isinstance(scope, dict):
        return ""
    raw = scope.get("raw_path") or str(scope.get("path", "")).encode()
    path = raw.partition(b"?")[0].decode("ascii", "replace")
    query = bytes(scope.get("query_string") or b"").decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def _refused(status: int, why: str) -> Response:
    return Response(why, status, content_type="text/plain")


async def _is_welcome(context: Context, signatures: Signatures) -> bool:
    if not signatures.is_socket(_target(websocket.scope), websocket.headers):
        context.metrics.refused.labels(reason="socket_signature").inc()
        _LOG.warning("socket refused")
        await websocket.close(1008, "The signature does not fit.")
        return False
    await websocket.accept()
    return True


async def _answered(context: Context, event: str, answer: Answer, form: dict[str, str]) -> Response:
    try:
        async with asyncio.timeout(_ANSWER_S):
            document = await answer(context, form, request.query_string.decode("ascii", "replace"))
    except calls.NotACall as err:
        return _refused(400, str(err))
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the caller shall be heard
        _LOG.exception("webhook failed", route=event)
        if event in _TOLD:
            return _refused(500, "This could not be taken in.")
        context.metrics.fallbacks.labels(what="webhook:failed").inc()
        document = _last_resort(context)
    return Response(document, content_type="text/xml; charset=utf-8")


def _last_resort(context: Context) -> str:
    """Take a message with nothing but the settings."""
    return twiml.record(
        [twiml.Speech(_LAST_RESORT, "en-US")],
        action=calls.url(context, "recorded"),
        callback=calls.url(context, "recording"),
    )


async def _voice(context: Context, form: dict[str, str], _query: str) -> str:
    session = await calls.find(context, form)
    return await calls.once(
        context, session, "voice", lambda: calls.incoming(context, session, form)
    )


async def _dialled(context: Context, form: dict[str, str], query: str) -> str:
    session = await calls.find(context, form)
    why = "transfer" if "why=transfer" in query else "staff"
    event = f"dialled:{why}:{form.get('DialCallSid', '')}"
    return await calls.once(
        context, session, event, lambda: calls.dialled(context, session, form, why=why)
    )


async def _connected(context: Context, form: dict[str, str], query: str) -> str:
    session = await calls.find(context, form)
    socket = form.get("SessionId") or form.get("StreamSid")
    if socket is None or "after=1" in query:
        document = await calls.connected(context, session, form)
        await context.store.save(session)
        return document
    return await calls.once(
        context, session, f"connected:{socket}", lambda: calls.connected(context, session, form)
    )


async def _gathered(context: Context, form: dict[str, str], query: str) -> str:
    session = await calls.find(context, form)
    event = f"gathered:{query}"
    return await calls.once(
        context, session, event, lambda: gather_record.gathered(context, session, form)
    )


async def _recorded(context: Context, form: dict[str, str], _query: str) -> str:
    session = await calls.find(context, form)
    event = f"recorded:{form.get('RecordingSid') or form.get('RecordingUrl', '')}"
    document = await calls.once(
        context, session, event, lambda: gather_record.recorded(session, form)
    )
    if form.get("Digits") == "hangup" or form.get("CallStatus") in calls.OVER:
        await calls.ended(context, session, {"CallStatus": "completed", **form})
    return document


async def _recording(context: Context, form: dict[str, str], _query: str) -> str:
    await recording.told(context, form.get("CallSid", ""), form)
    return twiml.nothing()


async def _transcription(context: Context, form: dict[str, str], _query: str) -> str:
    await recording.transcribed(context, form.get("CallSid", ""), form)
    return twiml.nothing()


async def _status(context: Context, form: dict[str, str], _query: str) -> str:
    if form.get("CallStatus") in calls.OVER:
        session = await calls.find(context, form)
        await calls.ended(context, session, form)
    return twiml.nothing()


async def _fallback(context: Context, form: dict[str, str], _query: str) -> str:
    """Twilio could not get, or not read, our TwiML: the tone, in the tenant's language."""
    session = await calls.find(context, form)
    _LOG.warning("twilio fell back", call_id=session.sid, error_code=form.get("ErrorCode"))
    calls.fell_back(context, session, "webhook:fallback")
    document = gather_record.message(context, session, "trouble")
    await context.store.save(session)
    return document


_ANSWERS: dict[str, Answer] = {
    "voice": _voice,
    "dialled": _dialled,
    "connected": _connected,
    "gathered": _gathered,
    "recorded": _recorded,
    "recording": _recording,
    "transcription": _transcription,
    "status": _status,
    "fallback": _fallback,
}
