"""Telephone: the tenant's numbers, and how its calls are held."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flask import Response
from pydantic import Field

from hub.api import auth, edge
from hub.api.answers import Answer
from hub.api.deliveries import Body
from hub.api.paging import Address, Plain
from hub.api.problems import Refused
from hub.db.keys import Scope
from hub.db.telephone import PhoneNumber
from hub.voice import numbers
from hub.voice.settings import Kept, Outdated, VoiceSettings, save, voice_settings

tag = edge.tag("telephone", "The tenant's telephone numbers, and how its calls are held.")

E164: Final = r"^\+[1-9]\d{3,14}$"


class NumberAddress(Address):
    """The path of one telephone number."""

    number: str = Field(pattern=E164, json_schema_extra={"example": "+14155550100"})


class VoiceSettingsAnswer(Answer):
    """The voice settings, complete, and the revision to name when they are changed."""

    revision: str = Field(examples=["5f1c9d0b7a3e4210"])
    settings: VoiceSettings


class ChangedVoiceSettings(Body):
    """The voice settings as they shall be; what is not named has its default."""

    revision: str = Field(
        max_length=64,
        description="That of the settings which were read; a 409 when somebody has changed them since",
    )
    settings: VoiceSettings


class PhoneNumberLine(Answer):
    """A telephone number of the tenant."""

    number: str = Field(examples=["+14155550100"])
    label: str | None
    created_at: datetime


class PhoneNumberList(Answer):
    """The tenant's telephone numbers."""

    items: list[PhoneNumberLine]


class NewPhoneNumber(Body):
    """What to note of a telephone number."""

    label: Plain | None = Field(None, examples=["Front desk"])


@tag.get(
    "/v1/voice/settings",
    summary="Read how calls are held",
    security=edge.secured(Scope.VOICE_READ),
    responses=edge.says({200: (VoiceSettingsAnswer, "The settings")}),
)
@auth.needs(Scope.VOICE_READ)
def get_voice_settings(query: edge.NoParameters) -> Response:  # noqa: ARG001 - being there refuses unknown parameters
    """Read the voice settings."""
    return _answer(voice_settings(auth.the_hub(), auth.holder().tenant_id))


@tag.put(
    "/v1/voice/settings",
    summary="Set how calls are held",
    description="The whole document, for calls from now on. All that is wrong is listed at once; then nothing is "
    "changed. The revision keeps two editors from overwriting each other.",
    security=edge.secured(Scope.VOICE_WRITE),
    responses=edge.says({200: (VoiceSettingsAnswer, "As they are now")}, 400, 409, 413, 415),
)
@auth.needs(Scope.VOICE_WRITE)
def put_voice_settings(body: ChangedVoiceSettings) -> Response:
    """Change the voice settings."""
    holder = auth.holder()
    try:
        kept = save(
            auth.the_hub(),
            holder.tenant_id,
            body.settings,
            revision=body.revision,
            actor=holder.actor,
        )
    except Outdated as err:
        raise Refused("conflict", f"{err} Nothing was changed.") from None
    return _answer(kept)


def _answer(kept: Kept) -> Response:
    return edge.sent(VoiceSettingsAnswer(revision=kept.revision, settings=kept.settings))


@tag.get(
    "/v1/voice/numbers",
    summary="List the tenant's telephone numbers",
    security=edge.secured(Scope.VOICE_READ),
    responses=edge.says({200: (PhoneNumberList, "All numbers")}),
)
@auth.needs(Scope.VOICE_READ)
def list_phone_numbers(query: edge.NoParameters) -> Response:  # noqa: ARG001 - being there refuses unknown parameters
    """List telephone numbers."""
    rows = numbers.numbers(auth.the_hub(), auth.holder().tenant_id)
    return edge.sent(PhoneNumberList(items=[_line(row) for row in rows]))


@tag.put(
    "/v1/voice/numbers/<number>",
    summary="Take calls to a telephone number, or give it another label",
    security=edge.secured(Scope.VOICE_WRITE),
    responses=edge.says(
        {
            200: (PhoneNumberLine, "It was the tenant's before; as it is now"),
            201: (PhoneNumberLine, "Calls to it are the tenant's from now on"),
        },
        *(400, 404, 409, 413, 415),
    ),
)
@auth.needs(Scope.VOICE_WRITE)
def put_phone_number(path: NumberAddress, body: NewPhoneNumber) -> Response:
    """Add or label a telephone number."""
    holder = auth.holder()
    try:
        row, is_new = numbers.put(
            auth.the_hub(), holder.tenant_id, path.number, label=body.label, actor=holder.actor
        )
    except numbers.Taken as err:
        raise Refused("conflict", str(err)) from None
    return edge.sent(_line(row), 201 if is_new else 200)


@tag.delete(
    "/v1/voice/numbers/<number>",
    summary="Take no more calls to a telephone number",
    security=edge.secured(Scope.VOICE_WRITE),
    responses=edge.says({200: (PhoneNumberLine, "As it was")}, 404),
)
@auth.needs(Scope.VOICE_WRITE)
def delete_phone_number(path: NumberAddress) -> Response:
    """Remove a telephone number."""
    holder = auth.holder()
    row = numbers.remove(auth.the_hub(), holder.tenant_id, path.number, actor=holder.actor)
    if row is None:
        raise Refused("not-found", "There is no such number.")
    return edge.sent(_line(row))


def _line(row: PhoneNumber) -> PhoneNumberLine:
    return PhoneNumberLine(number=row.number, label=row.label, created_at=row.created_at)
