"""From a finished call to its event: what the analysis reads, and what the dialogue has settled, which wins.

``extra`` of the event holds, where they apply: ``line`` and ``call_status``; ``transcript_source`` (line,
transcription, recording, speech or none); ``emergency`` (the kind that the caller was told about); ``wanted_person``,
``transferred``, ``number_confirmed``, ``recording_consent`` (yes or no), ``offered_times`` and ``tool_calls``
(counts), ``spoke`` (false for a caller who said nothing), ``wanted_time`` (in words, where no time was settled),
``placed_in`` ("browser" for a call from the hub's call page, which no telephone made).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mappings.event import (
    EVENT_TYPE,
    Appointment,
    Bucket,
    Call,
    Callback,
    Caller,
    Name,
    Phone,
    Recording,
    Transcript,
    Urgency,
    UrgencyLevel,
    Voicemail,
    Window,
)
from voice.analyse.country import region_of
from voice.analyse.name import parts
from voice.analyse.rubric import Rubric, default_rubric, from_data
from voice.dialogue.types import Slot
from voice.profile import Profile
from voice.session import CallSession
from voice.transcript import Transcript as Heard
from voice.transcript import has_listened

SOURCE = "/voice"
_PHONE: TypeAdapter[str] = TypeAdapter(Phone)
_SHORT = 255
#: Times are offered for so long (``voice.tools``).
_SLOT = timedelta(hours=1)
_SILENT = {
    "canceled": "Hung up before anybody answered",
    "busy": "The line was busy",
    "no-answer": "Nobody answered, and the caller hung up",
    "failed": "The call failed",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """The recording that the hub gets, and where it shows it."""

    sid: str
    url: str
    duration_s: float | None


def rubric_of(profile: Profile) -> Rubric:
    """Give the tenant's rubric; one that cannot be read is the trade's default."""
    if profile.rubric:
        try:
            return from_data(profile.rubric)
        except ValueError:
            pass
    return default_rubric(profile.vertical)


def call_of(session: CallSession, kept: Kept | None = None) -> Call:
    """Give what is known of the telephone call."""
    ended_at = session.ended_at or session.started_at
    duration = session.duration_s
    if duration is None:
        duration = max(0.0, (ended_at - session.started_at).total_seconds())
    recording = kept and Recording(id=kept.sid[:_SHORT], url=kept.url, duration_s=kept.duration_s)
    return Call.model_validate(
        {
            "id": session.sid,
            "from": session.from_ and session.from_[:_SHORT],
            "to": session.to and session.to[:_SHORT],
            "forwarded_from": session.forwarded_from and session.forwarded_from[:_SHORT],
            "started_at": session.started_at,
            "ended_at": ended_at,
            "duration_s": round(duration, 2),
            "recording": recording,
        }
    )


def silent(session: CallSession, heard: Heard, kept: Kept | None) -> Voicemail:
    """Give the event of a call in which nobody said a word that is known."""
    summary = _SILENT.get(session.status or "", "Hung up without a word")
    is_unheard = kept is not None and not has_listened(session)
    if is_unheard:
        summary = "Left a recording that could not be written down"
    number = _phone(session.from_)
    return Voicemail(
        call=call_of(session, kept),
        caller=Caller(phone=number),
        bucket=Bucket.OTHER,
        bucket_confidence=0.0 if is_unheard else 1.0,
        urgency=Urgency(score=0, level=UrgencyLevel.LOW),
        lead_score=0,
        callback=Callback(number=number),
        summary=summary,
        transcript=Transcript(segments=heard.segments),
    )


def completed(session: CallSession, heard: Heard, data: Voicemail) -> Voicemail:
    """Put what the dialogue settled, and what is known of the call itself, over what was read from the words."""
    talk, slots = session.talk, session.talk.slots
    settled: list[str] = []
    fallbacks = list(session.fallbacks)
    tag = (data.language or talk.language).split("-", maxsplit=1)[0].lower()
    caller, callback = data.caller, data.callback
    if name := slots.get(Slot.NAME):
        given, family = parts(name, tag)
        caller = caller.model_copy(
            update={"name": Name(full=name[:_SHORT], given=given, family=family)}
        )
        settled.append("name")
    number = _phone(slots.get(Slot.NUMBER))
    if number and (talk.is_number_confirmed or callback.number is None):
        callback = callback.model_copy(update={"number": number})
        settled.append("callback")
    if _is_misheard(session, heard, callback.number):
        callback = callback.model_copy(update={"number": _phone(session.from_)})
        fallbacks.append("callback:misheard")
    if caller.phone is None:
        caller = caller.model_copy(update={"phone": _phone(session.from_) or callback.number})
    if slots.get(Slot.SMS_CONSENT) in {"yes", "no"}:
        callback = callback.model_copy(update={"sms_consent": slots[Slot.SMS_CONSENT] == "yes"})
        settled.append("sms_consent")
    appointment = _appointment(session, data.appointment)
    if appointment is not data.appointment:
        settled.append("appointment")
    caller = caller.model_copy(update={"known": _is_known(session)})
    provenance = data.provenance.model_copy(
        update={
            "models": {
                **session.models,
                **data.provenance.models,
                **dict.fromkeys(settled, "dialogue"),
                "transcript": "+".join(heard.sources) or "none",
            },
            "fallbacks": tuple(
                dict.fromkeys(one[:_SHORT] for one in (*fallbacks, *data.provenance.fallbacks))
            ),
        }
    )
    return data.model_copy(
        update={
            "caller": caller,
            "callback": callback,
            "appointment": appointment,
            "reason": data.reason or slots.get(Slot.REASON),
            "escalate": data.escalate or (talk.emergency is not None),
            "extra": {**data.extra, **_extra(session, heard)},
            "latency": {**latency(session.latency), **data.latency},
            "provenance": provenance,
        }
    )


def latency(measured: Mapping[str, list[float]]) -> dict[str, float]:
    """Give the median of each stage in milliseconds, and the longest where there are several."""
    found: dict[str, float] = {}
    for stage, values in measured.items():
        if not values:
            continue
        found[stage] = round(median(values), 1)
        if len(values) > 1:
            found[f"{stage}_max"] = round(max(values), 1)
    return found


def envelope(session: CallSession, data: Voicemail) -> bytes:
    """Give the CloudEvent as it is posted, the same bytes each time."""
    at = session.ended_at or session.started_at
    document = {
        "specversion": "1.0",
        "id": session.sid,
        "source": SOURCE,
        "type": EVENT_TYPE,
        "time": at.astimezone(UTC).isoformat(),
        "subject": session.sid,
        "datacontenttype": "application/json",
        "data": data.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _appointment(session: CallSession, found: Appointment) -> Appointment:
    """Take the time that the caller chose of those that were offered; else what was read."""
    when = session.talk.slots.get(Slot.WHEN)
    chosen = _moment(when)
    service = session.talk.slots.get(Slot.SERVICE)
    if chosen is None:
        if service and not found.service:
            return found.model_copy(update={"service": service[:_SHORT]})
        return found
    return Appointment(
        window=Window(start=chosen.astimezone(UTC), end=(chosen + _SLOT).astimezone(UTC)),
        service=(service or found.service or "")[:_SHORT] or None,
    )


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


def _is_misheard(session: CallSession, heard: Heard, number: str | None) -> bool:
    """Tell whether a speech model dropped a digit, so that the rest fits another country's numbers."""
    if "speech" not in heard.sources or session.talk.is_number_confirmed or not number:
        return False
    own = region_of(_phone(session.from_))
    return own is not None and region_of(number) != own


def _is_known(session: CallSession) -> bool | None:
    known = session.talk.known
    if known is not None:
        return known.calls > 0
    return False if session.from_ else None


def _phone(number: str | None) -> str | None:
    try:
        return _PHONE.validate_python(number)
    except ValidationError:
        return None


def _extra(session: CallSession, heard: Heard) -> dict[str, str | int | float | bool | None]:
    talk = session.talk
    found: dict[str, Any] = {
        "line": session.line.value,
        "call_status": session.status,
        "transcript_source": "+".join(heard.sources) or "none",
        "spoke": bool(heard.said.strip()),
        "wanted_person": talk.wants_person or None,
        "transferred": (session.is_answered and session.transfer_to is not None) or None,
        "emergency": talk.emergency,
        "number_confirmed": talk.is_number_confirmed or None,
        "recording_consent": talk.slots.get(Slot.RECORDING_CONSENT),
        "offered_times": len(talk.offered) or None,
        "tool_calls": len(session.tools) or None,
        "placed_in": session.placed_in,
    }
    when = talk.slots.get(Slot.WHEN)
    if when and _moment(when) is None:
        found["wanted_time"] = when[:_SHORT]
    return {name: value for name, value in found.items() if value is not None}
