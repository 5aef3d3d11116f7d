"""Recordings and real-time transcriptions of a call: starting them, and what Twilio tells of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from voice import clock, finish
from voice.context import Context
from voice.dialogue.types import Slot
from voice.profile import Consent
from voice.session import CallSession, Phase, Recording, Turn, Voice
from voice.twilio_rest import TwilioError

_LOG = structlog.get_logger(module=__name__)
_LONGEST_TEXT = 4_000
_MOST_TURNS = 2_000


async def start(context: Context, session: CallSession) -> None:
    """Record both sides of a live call in channels of their own; once, and only where the tenant records.

    A recording that cannot be started is noted and the call goes on without.
    """
    if session.recording_sid or not session.profile.records or not context.twilio.is_ready:
        return
    session.recording_sid = "starting"
    callback = f"{context.settings.public_url}/twilio/recording"
    try:
        session.recording_sid = await context.twilio.start_recording(session.sid, callback=callback)
    except TwilioError as err:
        session.recording_sid = None
        session.fallbacks.append("recording:not-started")
        _LOG.warning("recording did not start", call_id=session.sid, error=type(err).__name__)
    context.store.save_soon(session)


def may_start(session: CallSession) -> bool:
    """Tell whether a recording has not been started and the dialogue has said that it may be."""
    if session.recording_sid is not None or not session.profile.records:
        return False
    if session.profile.consent is not Consent.ASK:
        return True
    return session.talk.slots.get(Slot.RECORDING_CONSENT) == "yes"


async def told(context: Context, sid: str, form: Mapping[str, str]) -> None:
    """Take what Twilio tells of a recording (recordingStatusCallback)."""
    if form.get("RecordingStatus", "completed") != "completed":
        return
    made = of(form)
    if made is None:
        return
    session = await context.store.change(sid, lambda one: add(one, made))
    if session and session.phase is Phase.DONE:
        await finish.recorded(context, session)


def of(form: Mapping[str, str]) -> Recording | None:
    """Read a recording from a form, or None when it names none."""
    sid, url = form.get("RecordingSid", ""), form.get("RecordingUrl", "")
    if not url:
        return None
    return Recording(
        sid=sid or url.rpartition("/")[2],
        url=url,
        duration_s=_seconds(form.get("RecordingDuration")),
        channels=2 if form.get("RecordingChannels") == "2" else 1,
        transcript=form.get("TranscriptionText"),
    )


def add(session: CallSession, made: Recording) -> None:
    """Put a recording into a call; what is known of it already is kept."""
    for index, one in enumerate(session.recordings):
        if one.sid == made.sid:
            session.recordings[index] = Recording(
                sid=one.sid,
                url=made.url,
                duration_s=made.duration_s if made.duration_s is not None else one.duration_s,
                channels=max(one.channels, made.channels),
                transcript=made.transcript or one.transcript,
            )
            return
    session.recordings.append(made)


async def transcribed(context: Context, sid: str, form: Mapping[str, str]) -> None:
    """Take what Twilio wrote down of one track while the call goes on."""
    event = form.get("TranscriptionEvent")
    if event == "transcription-error":
        code = form.get("TranscriptionErrorCode") or form.get("ErrorCode")
        _LOG.warning("transcription failed", call_id=sid, code=code)
        return
    if event != "transcription-content" or form.get("Final", "true").lower() != "true":
        return
    text = _text(form.get("TranscriptionData", ""))
    if not text:
        return
    at = _moment(form.get("Timestamp"))

    def add_turn(session: CallSession) -> None:
        start_s = max(0.0, (at - session.started_at).total_seconds())
        turn = Turn(
            voice=Voice.AGENT if form.get("Track") == "outbound_track" else Voice.CALLER,
            text=text,
            start_s=round(start_s, 3),
            end_s=round(start_s, 3),
            language=form.get("LanguageCode"),
        )
        if turn not in session.transcribed and len(session.transcribed) < _MOST_TURNS:
            session.transcribed.append(turn)

    await context.store.change(sid, add_turn)


def _text(data: str) -> str:
    try:
        found = json.loads(data)
    except ValueError:
        return ""
    said = found.get("transcript") if isinstance(found, dict) else None
    return said.strip()[:_LONGEST_TEXT] if isinstance(said, str) else ""


def _moment(text: str | None) -> datetime:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return clock.now()
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None
