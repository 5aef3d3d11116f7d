"""What happens when a call is over: transcript, analysis, event, outbox.

Calls are finished by whoever learns of their end, and by the watch of every process when nobody did: the process
that held them died, the webhook was lost, the disk was full. Finishing twice is harmless, since the event has the
call's id; a claim in Redis keeps it to one where it can.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from voice import clock, event, outbox, reading, redaction, transcribe, transcript
from voice.profile import LineKind
from voice.session import CallSession, Phase, Recording, Turn, Voice
from voice.spool import Parcel
from voice.twilio_rest import CallOver, TwilioError, TwilioRefused

if TYPE_CHECKING:
    from voice.context import Context

_LOG = structlog.get_logger(module=__name__)
#: A recording that was started is waited for so long: its sound is worth little without the event.
_RECORDING_S = 6.0
#: Where the words of the call are in the recording alone.
_MESSAGE_S = 60.0
_LOOK_S = 0.5
_CLAIM_S = 120.0
_WATCH_S = 5.0
#: Without a sign of life a call whose socket a process held has ended so long after it.
_SILENT_S = 90.0
#: Staff may talk and messages may last without a word to us.
_SILENT_OTHER_S = 1_800.0
#: A call that ended and is not finished after this was left by whoever began to.
_LEFT_S = 30.0


class Unkept(RuntimeError):
    """The call could not be put into the outbox; it stays ended in Redis and is tried again."""


async def ended(context: Context, session: CallSession) -> None:
    """Make the event of a call that is over and give it to the outbox; returns when it is in there.

    The session needs ``ended_at`` and phase ENDED. Twice is harmless: the event has the same id.
    """
    owner = uuid4().hex
    name = f"finish:{session.sid}"
    if not await context.store.claim(name, owner, for_s=_CLAIM_S):
        return
    try:
        await _finish(context, session, owner)
    except Unkept:
        _LOG.error("finished call could not be kept", call_id=session.sid)
    finally:
        await context.store.unclaim(name, owner)


async def recorded(context: Context, session: CallSession) -> None:
    """Take a recording that came when the event was made already (phase DONE); earlier ones do not need this."""
    kept = _best(session)
    if kept is None:
        return
    parcel = Parcel(
        name=f"{session.sid}.{kept.sid}",
        call_id=session.sid,
        tenant_id=session.profile.tenant_id,
        at=clock.now(),
        steps=_owner(session) | _sound(session, kept, None),
    )
    await _put(context, parcel)
    await outbox.post_now(context, parcel.name)


async def keep_watch(context: Context) -> None:
    """Finish calls that nobody else finishes, until cancelled: their process died, or Redis was away."""
    while True:
        await asyncio.sleep(_WATCH_S)
        try:
            for sid in await context.store.silent(_LEFT_S):
                await _look_after(context, sid)
        except Exception as err:  # noqa: BLE001 - the watch goes on; an error's message may hold what was said
            _LOG.error("watch over calls failed", error=type(err).__name__)


async def _look_after(context: Context, sid: str) -> None:
    session = await context.store.load(sid)
    if session is None:
        await context.store.forget(sid)
        return
    if session.phase is Phase.OPEN:
        is_socket = session.line is not LineKind.RECORD and session.after is None
        longest = _SILENT_S if is_socket and session.owner else _SILENT_OTHER_S
        if sid not in await context.store.silent(longest):
            return
        _LOG.warning("call was abandoned", call_id=sid, line=session.line.value)
        session = await context.store.change(sid, _abandon) or session
    if session.phase is Phase.ENDED:
        await ended(context, session)


def _abandon(session: CallSession) -> None:
    if session.phase is Phase.OPEN:
        session.phase = Phase.ENDED
        session.fallbacks.append("call:abandoned")
        last = max((turn.end_s for turn in (*session.turns, *session.transcribed)), default=0.0)
        session.ended_at = session.ended_at or clock.now()
        session.duration_s = session.duration_s if session.duration_s is not None else last


async def _finish(context: Context, session: CallSession, owner: str) -> None:
    started = clock.elapsed()
    session = await _settled(context, session)
    if session.phase is Phase.DONE:
        return
    if session.is_answered and session.transfer_to is None and not _has_words(session):
        # Staff took the call at once: nobody missed it.
        await context.store.change(session.sid, _done)
        _LOG.info("call needs no event", call_id=session.sid)
        return
    made = await _made(context, session)
    if not await context.store.claim(f"finish:{session.sid}", owner, for_s=_CLAIM_S):
        _LOG.warning("call was finished by another process", call_id=session.sid)
        return
    await _put(context, made)
    await context.store.change(session.sid, _done)
    _LOG.info(
        "call was finished",
        call_id=session.sid,
        steps=len(made.steps),
        ms=round((clock.elapsed() - started) * 1000),
    )
    await outbox.post_now(context, made.name)


def _done(session: CallSession) -> None:
    session.phase = Phase.DONE


def _has_words(session: CallSession) -> bool:
    said = (*session.turns, *session.transcribed)
    return any(turn.voice is Voice.CALLER for turn in said) or bool(session.recordings)


async def _settled(context: Context, session: CallSession) -> CallSession:
    """Wait until what was begun in the call has come, within limits, and give the call as it is then."""
    waited_from = clock.elapsed()
    while True:
        session = await context.store.load(session.sid) or session
        longest = _MESSAGE_S if not _has_words(session) else _RECORDING_S
        if not _is_due(session) or clock.elapsed() - waited_from >= longest:
            return session
        await asyncio.sleep(_LOOK_S)


def _is_due(session: CallSession) -> bool:
    """Tell whether a recording that was started has not come yet."""
    started = session.recording_sid
    return bool(started) and not any(one.sid == started for one in session.recordings)


async def _made(context: Context, session: CallSession) -> Parcel:
    kept = _best(session)
    audio, later = await _heard_later(context, session, kept)
    heard = transcript.of(session, later)
    shown = event.Kept(kept.sid, _url(context, session), kept.duration_s) if kept else None
    data = (
        await reading.read(context, session, heard, event.call_of(session, shown))
        if heard.said.strip()
        else event.silent(session, heard, shown)
    )
    data = event.completed(session, heard, data)
    data = redaction.of(session).event(data)
    steps = _owner(session) | {"1-event": event.envelope(session, data)}
    if session.tools:
        calls = [asdict(one) | {"at": one.at.isoformat()} for one in session.tools]
        steps["2-tools"] = json.dumps(calls, default=str).encode()
    if kept:
        steps |= _sound(session, kept, audio)
    return Parcel(
        name=session.sid,
        call_id=session.sid,
        tenant_id=session.profile.tenant_id,
        at=clock.now(),
        steps=steps,
    )


def _best(session: CallSession) -> Recording | None:
    """Choose the recording that the hub gets: both sides before a message alone, then the longest.

    Whether there is one was decided in the call: a message after the tone is kept also where calls are not recorded.
    """
    found = [one for one in session.recordings if one.url]
    return max(found, key=lambda one: (one.channels, one.duration_s or 0.0), default=None)


def _url(context: Context, session: CallSession) -> str:
    """Give the page of the hub on which the recording can be heard by those who may."""
    settings = context.settings
    root = (settings.hub_public_url or settings.hub_url).rstrip("/")
    return f"{root}/voicemails/{session.sid}/recording"


def _owner(session: CallSession) -> dict[str, bytes]:
    """While nobody knows whose number was dialled, that is to be found out first."""
    if session.profile.tenant_id:
        return {}
    asked = {"to": session.to, "forwarded_from": session.forwarded_from}
    return {"0-owner": json.dumps(asked).encode()}


def _sound(session: CallSession, kept: Recording, audio: bytes | None) -> dict[str, bytes]:
    about = {"sid": kept.sid, "url": kept.url, "channels": kept.channels, "type": "audio/wav"}
    steps = {f"3-recording-{kept.sid}": json.dumps(about).encode() + b"\n" + (audio or b"")}
    if session.profile.is_phi:
        # Nothing of a patient stays outside the hub's sealed storage.
        for one in session.recordings:
            steps[f"4-delete-{one.sid}"] = json.dumps({"sid": one.sid}).encode()
    return steps


async def _heard_later(
    context: Context, session: CallSession, kept: Recording | None
) -> tuple[bytes | None, list[Turn]]:
    """Have a local model hear what nobody has written down; gives the sound too, which need not be fetched again."""
    if kept is None or not transcript.is_deaf(session):
        return None, []
    if not transcribe.is_installed():
        session.fallbacks.append("transcript:no-speech-model")
        return None, []
    audio = await _download(context, kept)
    if audio is None:
        session.fallbacks.append("transcript:no-recording")
        return None, []
    try:
        turns = await transcribe.turns(
            audio,
            language=session.talk.language,
            folder=context.settings.data_dir / "models",
        )
    except transcribe.NotHeard as err:
        session.fallbacks.append(f"transcript:{err.why}")
        return audio, []
    if kept.channels == 1:
        start_s = transcript.message_start(session)
        turns = [
            Turn(one.voice, one.text, one.start_s + start_s, one.end_s + start_s) for one in turns
        ]
    session.models["speech"] = transcribe.MODEL
    return audio, turns


async def _download(context: Context, kept: Recording) -> bytes | None:
    """Fetch a recording; right after the call it may not be there yet."""
    until = clock.elapsed() + _MESSAGE_S
    while True:
        try:
            return await context.twilio.download(kept.url, channels=kept.channels)
        except TwilioError as err:
            is_refused = isinstance(err, TwilioRefused) and not isinstance(err, CallOver)
            if is_refused or clock.elapsed() >= until:
                return None
        await asyncio.sleep(_LOOK_S * 4)


async def _put(context: Context, parcel: Parcel) -> None:
    spool = outbox.spool_of(context)
    try:
        is_new = await asyncio.get_running_loop().run_in_executor(None, spool.put, parcel)
    except OSError as err:
        _LOG.error("outbox could not be written", call_id=parcel.call_id, errno=err.errno)
        raise Unkept(parcel.call_id) from err
    if not is_new:
        _LOG.info("call was in the outbox already", call_id=parcel.call_id)
