"""The canonical event: what a voicemail is once everybody has hung up.

An event is a CloudEvents 1.0 envelope whose ``data`` is a :class:`Voicemail`. The field
catalogue (path, label, type, example) is derived from the model; mapping checks, the editor
and the documents read that one list (``mappings.catalogue``). A new event type is a new model
beside this one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

EVENT_TYPE = "com.afterbeep.voicemail.completed.v1"

Line = Annotated[str, StringConstraints(max_length=140)]
Short = Annotated[str, StringConstraints(max_length=255)]
Words = Annotated[str, StringConstraints(max_length=4_000)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9]\d{3,14}$")]
Percent = Annotated[int, Field(ge=0, le=100)]


class Bucket(StrEnum):
    """What a voicemail is about."""

    NEW_LEAD = "new_lead"
    EXISTING_CUSTOMER = "existing_customer"
    APPOINTMENT = "appointment"
    BILLING = "billing"
    SUPPORT = "support"
    OTHER = "other"
    SPAM = "spam"


class UrgencyLevel(StrEnum):
    """How soon a person should act, lowest first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


class Sentiment(StrEnum):
    """How the caller sounded."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Speaker(StrEnum):
    """Who speaks in a part of the transcript."""

    CALLER = "caller"
    AGENT = "agent"


class Part(BaseModel):
    """A part of an event; unknown keys are refused, so that a typing error is seen at once."""

    # A number like 1e999 is read as infinity, which no JSON that we write later can say.
    model_config = ConfigDict(
        extra="forbid", populate_by_name=True, frozen=True, allow_inf_nan=False
    )


class Recording(Part):
    """Where the recording is kept."""

    id: Short | None = Field(None, examples=["RE0f1e2d3c4b5a69788796a5b4c3d2e1f0"])
    url: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        None, examples=["https://afterbeep.example/recordings/RE0f1e2d3c"]
    )
    duration_s: float | None = Field(None, ge=0, examples=[38.5])


class Call(Part):
    """The telephone call that nobody took."""

    id: Short = Field(examples=["CA1f2e3d4c5b6a79881726354453627180"])
    from_: Short | None = Field(None, alias="from", examples=["+14155550132"])
    to: Short | None = Field(None, examples=["+14155550100"])
    forwarded_from: Short | None = Field(None, examples=["+14155550199"])
    started_at: AwareDatetime | None = Field(None, examples=["2026-11-20T16:03:11Z"])
    ended_at: AwareDatetime | None = Field(None, examples=["2026-11-20T16:03:52Z"])
    duration_s: float | None = Field(None, ge=0, examples=[41.0])
    recording: Recording | None = None


class Name(Part):
    """A caller's name as they said it."""

    full: Short | None = Field(None, examples=["Dana Whitfield"])
    given: Short | None = Field(None, examples=["Dana"])
    family: Short | None = Field(None, examples=["Whitfield"])


class Caller(Part):
    """Who called."""

    name: Name = Field(default_factory=Name)
    phone: Phone | None = Field(None, description="E.164", examples=["+14155550132"])
    email: Short | None = Field(None, examples=["dana@whitfield.example"])
    company: Short | None = Field(None, examples=["Whitfield Interiors"])
    known: bool | None = Field(
        None, description="Whether earlier events hold this caller", examples=[False]
    )


class UrgencyReason(Part):
    """A line of the tenant's rubric that applied, and what the caller said that made it apply."""

    line: Short = Field(examples=["Water or gas is escaping"])
    points: int = Field(examples=[45])
    evidence: Words | None = Field(None, examples=["water is coming through the ceiling"])


class Urgency(Part):
    """How urgent the call is by the tenant's rubric; the score is the sum of its reasons, 0 to 100."""

    score: Percent = Field(examples=[85])
    level: UrgencyLevel = Field(examples=["critical"])
    reasons: tuple[UrgencyReason, ...] = ()


class Window(Part):
    """A span of time in which something suits the caller."""

    start: AwareDatetime | None = Field(None, examples=["2026-11-20T22:00:00Z"])
    end: AwareDatetime | None = Field(None, examples=["2026-11-21T00:00:00Z"])


class Callback(Part):
    """How the caller wants to be reached."""

    number: Phone | None = Field(None, description="E.164", examples=["+14155550132"])
    window: Window = Field(default_factory=Window)
    sms_consent: bool | None = Field(
        None,
        description="Whether the caller agreed to get texts; absent when nobody asked",
        examples=[True],
    )


class Appointment(Part):
    """The appointment that the caller asked for."""

    window: Window = Field(default_factory=Window)
    service: Short | None = Field(None, examples=["Boiler inspection"])


class Segment(Part):
    """What one speaker said without a break; times count from the start of the call."""

    speaker: Speaker = Field(Speaker.CALLER, examples=["caller"])
    start_s: float | None = Field(None, ge=0, examples=[3.2])
    end_s: float | None = Field(None, ge=0, examples=[9.8])
    text: Annotated[str, StringConstraints(max_length=20_000)] = Field(
        examples=["Hi, this is Dana Whitfield, water is coming through the ceiling."]
    )


class Transcript(Part):
    """What was said."""

    segments: Annotated[tuple[Segment, ...], Field(max_length=2_000)] = ()
    redacted: bool = Field(
        False, description="Whether personal data has been taken out", examples=[False]
    )


class Provenance(Part):
    """What produced this event, so that a doubtful one can be understood."""

    models: dict[str, str] = Field(
        default_factory=dict, description="Stage to model", examples=[{"bucket": "local"}]
    )
    fallbacks: tuple[str, ...] = Field(
        (), description="Stages that had to use their second choice", examples=[["summary"]]
    )


class Voicemail(Part):
    """The ``data`` of an event of type com.afterbeep.voicemail.completed.v1."""

    call: Call
    caller: Caller = Field(default_factory=Caller)
    language: Annotated[str, StringConstraints(max_length=35)] | None = Field(
        None, description="BCP 47", examples=["en-US"]
    )
    bucket: Bucket = Field(examples=["new_lead"])
    bucket_confidence: float | None = Field(None, ge=0, le=1, examples=[0.93])
    urgency: Urgency = Field(default_factory=lambda: Urgency(score=0, level=UrgencyLevel.LOW))
    sentiment: Sentiment | None = Field(None, examples=["negative"])
    lead_score: Percent | None = Field(None, examples=[72])
    escalate: bool = Field(False, examples=[True])
    reason: Words | None = Field(None, examples=["Water leak in the kitchen ceiling"])
    callback: Callback = Field(default_factory=Callback)
    appointment: Appointment = Field(default_factory=Appointment)
    summary: Line | None = Field(
        None, examples=["Dana Whitfield: water through the kitchen ceiling, wants a plumber today"]
    )
    transcript: Transcript = Field(default_factory=Transcript)
    extra: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, description="The tenant's own fields", examples=[{"branch": "North"}]
    )
    provenance: Provenance = Field(default_factory=Provenance)
    latency: dict[str, float] = Field(
        default_factory=dict, description="Stage to milliseconds", examples=[{"classify": 18.0}]
    )


class Event(BaseModel):
    """A CloudEvents 1.0 envelope around a voicemail. The tenant comes from the credential.

    Extension attributes are accepted, as CloudEvents asks, and kept with the event.
    """

    model_config = ConfigDict(extra="allow")

    specversion: Annotated[str, StringConstraints(pattern=r"^1\.0$")] = Field(examples=["1.0"])
    id: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        examples=["CA1f2e3d4c5b6a79881726354453627180"]
    )
    source: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        examples=["/voice/lines/main"]
    )
    type: Literal["com.afterbeep.voicemail.completed.v1"] = Field(examples=[EVENT_TYPE])
    time: AwareDatetime | None = Field(None, examples=["2026-11-20T16:03:53Z"])
    subject: Short | None = Field(None, examples=["CA1f2e3d4c5b6a79881726354453627180"])
    datacontenttype: Annotated[str, StringConstraints(pattern=r"^application/json\b.*$")] | None = (
        Field(None, examples=["application/json"])
    )
    dataschema: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    data: Voicemail


def facts(data: Voicemail) -> dict[str, Any]:
    """Give the event's data as nested plain JSON values, with the joined transcript as ``transcript.text``.

    This is what mappings read: paths of the catalogue lead into it.
    """
    found = data.model_dump(mode="json", by_alias=True, exclude_none=True)
    return with_transcript_text(found)


def with_transcript_text(data: dict[str, Any]) -> dict[str, Any]:
    """Give plain event data with ``transcript.text`` added: the segments joined by line breaks."""
    transcript = data.get("transcript", {})
    lines = [segment["text"] for segment in transcript.get("segments", ())]
    if not lines:
        return data
    return {**data, "transcript": {**transcript, "text": "\n".join(lines)}}
