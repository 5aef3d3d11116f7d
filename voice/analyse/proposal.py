"""What a model may propose of a transcript: a closed form. Code checks it and decides (``voice.analyse.merge``)."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Any

from anthropic import transform_schema
from pydantic import BaseModel, ConfigDict, Field

from mappings.event import Bucket, Sentiment
from voice.analyse.signals import kinds

#: The kinds of signals of the lexicon, as a type.
Kind = StrEnum("Kind", {name.upper(): name for name in kinds()})  # type: ignore[misc]  # read from the lexicon


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)


class ProposedSignal(_Form):
    """A reason for urgency, with the caller's exact words."""

    kind: Kind
    evidence: str


class ProposedLead(_Form):
    """What tells how promising a caller is for new business."""

    wants_to_buy: bool
    is_large: bool
    is_soon: bool


class ProposedAppointment(_Form):
    """When the caller wants to come or to be visited, and for what; null where the words leave it open."""

    start: str | None
    end: str | None
    service: str | None
    evidence: str | None


class Proposal(_Form):
    """The form that the model fills in."""

    language: str
    bucket: Bucket
    bucket_confidence: float
    signals: list[ProposedSignal] = Field(max_length=40)
    name: str | None
    company: str | None
    email: str | None
    callback_number: str | None
    sentiment: Sentiment
    lead: ProposedLead
    appointment: ProposedAppointment
    wants_person_in_charge: bool
    wants_person_evidence: str | None
    reason: str | None
    summary: str | None


@cache
def schema() -> dict[str, Any]:
    """Give the form as the JSON schema that the API enforces."""
    return transform_schema(Proposal)
