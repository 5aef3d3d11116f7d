"""Voice: what the voice front end asks before and during a call, and what it leaves behind.

It sends ``Authorization: Bearer`` with ``AFTERBEEP_VOICE_TOKEN``, and
``Afterbeep-Tenant`` as soon as it knows the tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from flask import Response, request
from pydantic import Field, StringConstraints
from werkzeug.exceptions import RequestEntityTooLarge

from hub.api import auth, edge, limits
from hub.api.answers import Answer
from hub.api.deliveries import Body
from hub.api.paging import Address, Moment, Parameters
from hub.api.problems import Fault, Refused
from hub.api.telephone import E164, NumberAddress
from hub.db.keys import VOICE, Scope, VoiceScope
from hub.voice import callers, recordings, times, tool_calls
from hub.voice.profile import Profile, profile
from hub.voice.tool_calls import Used

tag = edge.tag(
    "voice",
    "For the voice front end: `Authorization: Bearer` with `AFTERBEEP_VOICE_TOKEN`, and the header "
    "`Afterbeep-Tenant` with the id of the tenant that it acts for.",
)

_CALL_ID: Final = r"^[A-Za-z0-9._:-]{1,100}$"
_TRY_AGAIN_S: Final = 5


class CallAddress(Address):
    """The path of one call."""

    call_id: str = Field(
        pattern=_CALL_ID, json_schema_extra={"example": "CA1f2e3d4c5b6a79881726354453627180"}
    )


class CallerQuery(Parameters):
    """Whose earlier calls are asked for."""

    phone: str = Field(pattern=E164, description="E.164; + is written as %2B")


class KnownCallerAnswer(Answer):
    """What earlier events tell of a caller; for tenants with health data only name and number of calls."""

    name: str | None
    language: str | None
    calls: int = Field(description="Events of this caller")
    last_bucket: str | None
    last_summary: str | None


class TimesQuery(Parameters):
    """Which times are asked for."""

    duration_minutes: int = Field(30, ge=5, le=720)
    from_: Moment | None = Field(None, alias="from", description="Not before; now when left out")
    days: int = Field(14, ge=1, le=60, description="How many days to look at from then on")


class OfferedTimes(Answer):
    """When an appointment may begin, in the tenant's time zone."""

    times: list[datetime] = Field(description="In order, at most six")
    timezone: str = Field(examples=["America/Los_Angeles"])


class UsedTool(Body):
    """A tool that the agent used; ``result`` is null when it failed with ``error``."""

    number: int = Field(ge=0, le=100_000, strict=True, description="Its place in the call")
    at: Moment
    tool: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
    arguments: dict[str, Any]
    result: dict[str, Any] | None = None
    error: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    ms: float = Field(0.0, ge=0, strict=True)


class UsedTools(Body):
    """Tools that the agent used in a call."""

    calls: list[UsedTool] = Field(min_length=1, max_length=200)


class KeptTools(Answer):
    """Tool calls that are kept; sending them again changes nothing."""

    call_id: str
    kept: int = Field(description="Kept now")
    known: int = Field(description="Kept before")


class UsedToolLine(Answer):
    """A tool that was used in a call."""

    number: int
    at: datetime
    tool: str
    arguments: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    ms: float


class UsedToolList(Answer):
    """The tools that were used in a call, in order."""

    call_id: str
    calls: list[UsedToolLine]


class KeptRecording(Answer):
    """A recording that is kept; ``known``: the very same had been kept before."""

    call_id: str
    status: Literal["kept", "known"]
    media_type: str
    size_bytes: int
    sha256: str


@tag.get(
    "/v1/voice/lines/<number>",
    summary="Read the profile of the tenant whose number was dialled",
    description="The only operation for which the tenant need not be named.",
    security=edge.secured(VoiceScope.CALLS),
    responses=edge.says({200: (Profile, "The profile")}, 400, 404),
)
@auth.charges_itself
@auth.without_tenant
@auth.needs(VoiceScope.CALLS)
def get_line(path: NumberAddress) -> Response:
    """Tell whose a number is."""
    limits.of_app().charge("requests", f"{VOICE}:{path.number}", 1)
    found = profile(auth.the_hub(), path.number, tenant_id=auth.tenant_if_named())
    if found is None:
        raise Refused("not-found", "There is no such line.")
    return edge.sent_plain(found)


@tag.get(
    "/v1/voice/callers",
    summary="Read what earlier events tell of a caller",
    security=edge.secured(VoiceScope.CALLS),
    responses=edge.says({200: (KnownCallerAnswer, "What is known")}, 400, 404),
)
@auth.needs(VoiceScope.CALLS)
def get_caller(query: CallerQuery) -> Response:
    """Look a caller up; for tenants with health data the reading is written down."""
    found = callers.look_up(auth.the_hub(), auth.holder(), query.phone)
    if found is None:
        raise Refused("not-found", "Nobody has called from this number.")
    return edge.sent(KnownCallerAnswer(**asdict(found)))


@tag.get(
    "/v1/voice/times",
    summary="List times that a caller can be offered",
    description="From the free times of the tenant's connected calendar; where none is connected, from its business "
    "hours. A 503 when that cannot be told within three seconds.",
    security=edge.secured(VoiceScope.CALLS),
    responses=edge.says({200: (OfferedTimes, "The times")}, 400, 404),
)
@auth.needs(VoiceScope.CALLS)
def list_times(query: TimesQuery) -> Response:
    """Offer times."""
    try:
        found = times.offer(
            auth.the_hub(),
            auth.holder().tenant_id,
            duration_minutes=query.duration_minutes,
            start=query.from_,
            days=query.days,
        )
    except times.CannotTell as err:
        raise Refused("unavailable", str(err), headers={"Retry-After": str(_TRY_AGAIN_S)}) from None
    except OverflowError:
        fault = Fault(parameter="from", detail="must be a time of this century", pointer=None)
        raise Refused("invalid", "1 place is wrong.", errors=[fault]) from None
    return edge.sent(OfferedTimes(times=list(found.times), timezone=found.timezone))


@tag.post(
    "/v1/voice/calls/<call_id>/tools",
    summary="Keep which tools the agent used in a call",
    description="Each is kept once, by its number, and noted in the audit log. Sending it again is safe. Another one "
    "under the same number is a 409, and then nothing was kept.",
    security=edge.secured(VoiceScope.CALLS),
    responses=edge.says({200: (KeptTools, "All are kept")}, 400, 404, 409, 413, 415),
)
@auth.needs(VoiceScope.CALLS)
def post_tools(path: CallAddress, body: UsedTools) -> Response:
    """Keep tool calls."""
    used = [
        Used(**{name: getattr(one, name) for name in UsedTool.model_fields}) for one in body.calls
    ]
    try:
        kept = tool_calls.keep(auth.the_hub(), auth.holder().tenant_id, path.call_id, used)
    except tool_calls.Differs as err:
        faults = [
            Fault(pointer=f"/calls/{place}/number", parameter=None, detail="is another one's")
            for place in err.places
        ]
        raise Refused("conflict", f"{err} Nothing was kept.", errors=faults) from None
    known = len({one.number for one in used}) - kept
    return edge.sent(KeptTools(call_id=path.call_id, kept=kept, known=known))


@tag.get(
    "/v1/voice/calls/<call_id>/tools",
    summary="Read which tools the agent used in a call",
    security=edge.secured(VoiceScope.CALLS, Scope.VOICE_READ),
    responses=edge.says({200: (UsedToolList, "The tools, in order")}, 400, 404),
)
@auth.needs(VoiceScope.CALLS, Scope.VOICE_READ)
def list_tools(path: CallAddress) -> Response:
    """Read tool calls; for tenants with health data the reading is written down."""
    found = tool_calls.read(auth.the_hub(), auth.holder(), path.call_id)
    if not found:
        raise Refused("not-found", "No tool calls of such a call are kept.")
    return edge.sent(UsedToolList(call_id=path.call_id, calls=_lines(found)))


def _lines(found: Sequence[Used]) -> list[UsedToolLine]:
    return [
        UsedToolLine(**{name: getattr(one, name) for name in UsedToolLine.model_fields})
        for one in found
    ]


_SOUND: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in (recordings.WAV, recordings.MPEG)
        },
    }
}


@tag.put(
    "/v1/voice/calls/<call_id>/recording",
    summary="Keep the recording of a call",
    description="WAV or MPEG, at most 32 MiB. Sending the same again is safe; another one is a 409. It is shown on "
    "the page of the event whose source is `/voice` and whose id is the call's.",
    security=edge.secured(VoiceScope.CALLS),
    responses=edge.says(
        {
            200: (KeptRecording, "The very same had been kept before"),
            201: (KeptRecording, "It is kept"),
        },
        *(400, 404, 409, 413, 415),
    ),
    openapi_extensions=_SOUND,
)
@edge.takes(recordings.LARGEST_BYTES)
@auth.needs(VoiceScope.CALLS)
def put_recording(path: CallAddress) -> Response:
    """Keep a recording."""
    media_type = recordings.KINDS.get(request.mimetype)
    if media_type is None or "Content-Encoding" in request.headers:
        raise Refused("wrong-media-type", "Send audio/wav or audio/mpeg, without Content-Encoding.")
    try:
        sound = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Refused("too-large", "A recording may have at most 32 MiB.") from None
    holder = auth.holder()
    try:
        found, is_new = recordings.keep(
            auth.the_hub(),
            holder.tenant_id,
            path.call_id,
            media_type=media_type,
            sound=sound,
            actor=holder.actor,
        )
    except recordings.NoSound as err:
        fault = Fault(pointer="", parameter=None, detail=str(err))
        raise Refused("invalid", "1 place is wrong.", errors=[fault]) from None
    except recordings.Differs as err:
        raise Refused("conflict", f"{err} Nothing was changed.") from None
    answer = KeptRecording(
        call_id=found.call_id,
        status="kept" if is_new else "known",
        media_type=found.media_type,
        size_bytes=found.size_bytes,
        sha256=found.sha256,
    )
    return edge.sent(answer, 201 if is_new else 200)
