"""A tenant's voice settings: one document, checked as a whole, changed by one editor at a time.

It is kept in ``Tenant.settings["voice"]``; what is not there has its default. The members are those of the profile that
the voice front end reads (``voice/profile.py``), without what is the tenant's own, and with ``business_hours``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sqlalchemy import select

from hub.context import Hub
from hub.db import audit
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant

_KEY: Final = "voice"
#: What the audit log calls a change of these settings.
CHANGED: Final = "voice.settings_changed"
#: BCP 47: language, script, region and variants; what speech services take is of this form.
_LANGUAGE: Final = re.compile(
    r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|\d{3}))?(-[A-Za-z0-9]{5,8})*\Z"
)
_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d|24:00)\Z")
_MOST_LANGUAGES: Final = 100
_MOST_YEARS: Final = 36_500

Vendor = Literal["anthropic", "openai", "elevenlabs", "twilio"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
#: The days of a week as settings name them, Monday first.
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_language(tag: str) -> bool:
    """Tell whether a tag is of the form of BCP 47."""
    return _LANGUAGE.match(tag) is not None


def _language(value: str) -> str:
    if not is_language(value):
        raise ValueError("must be a language tag (BCP 47) such as en-US")
    return value


def _span(value: str) -> str:
    found = _SPAN.match(value)
    if found is None or not value[:5] < value[6:]:
        raise ValueError("must be a span of one day such as 09:00-17:00")
    return value


def _in_order(value: tuple[str, ...]) -> tuple[str, ...]:
    spans = sorted(value)
    if any(before[6:] > after[:5] for before, after in pairwise(spans)):
        raise ValueError("must be spans that do not overlap")
    return tuple(spans)


def _listed(value: object) -> object:
    # The documents are JSON: a list there is what is a tuple here.
    return tuple(value) if isinstance(value, list) else value


_PLAIN: Final = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
Number = Annotated[str, StringConstraints(pattern=r"^\+[1-9]\d{3,14}$")]
Language = Annotated[str, StringConstraints(max_length=35), AfterValidator(_language)]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PLAIN)]
Speech = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=_PLAIN)]
Prose = Annotated[str, StringConstraints(max_length=8_000, pattern=_PLAIN)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Span = Annotated[str, AfterValidator(_span)]
ByLanguage = Annotated[dict[Language, Speech], Field(max_length=_MOST_LANGUAGES)]


class Line(StrEnum):
    """How a call is held."""

    CONVERSATION_RELAY = "conversation_relay"
    OPENAI = "openai"
    ELEVENLABS = "elevenlabs"
    RECORD = "record"


class Consent(StrEnum):
    """What is said of recording before it begins."""

    NONE = "none"
    ANNOUNCE = "announce"
    ASK = "ask"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Voice(_Part):
    """Who speaks a language at Twilio."""

    provider: Short = Field(examples=["ElevenLabs"])
    voice: Short = Field(examples=["UgBBYS2sOqTuMpoF3BR0"])


class Persona(_Part):
    """How the agent presents itself."""

    name: Short | None = None
    style: Speech | None = None
    instructions: Prose | None = None


class Staff(_Part):
    """Who is rung before the agent answers, and who takes transfers."""

    ring_first: Annotated[tuple[Number, ...], BeforeValidator(_listed), Field(max_length=10)] = ()
    ring_s: int = Field(20, ge=5, le=120, strict=True)
    transfer_to: Number | None = None


class Emergency(_Part):
    """What callers in danger hear first, by language, and the number that they may be put through to."""

    texts: ByLanguage = Field(default_factory=dict)
    number: Annotated[str, StringConstraints(pattern=r"^(\+[1-9]\d{3,14}|\d{3})$")] | None = None


class Escalation(_Part):
    """When a person is sought during the call."""

    critical: Literal["message", "transfer"] = "message"
    asked_for_person: Literal["message", "transfer"] = "transfer"


class Models(_Part):
    """Which models may be used; for tenants with health data only those of vendors in ``baa``."""

    conversation: Short | None = None
    analysis: Short | None = None
    baa: Annotated[tuple[Vendor, ...], BeforeValidator(_listed), Field(max_length=4)] = ()


class RubricLine(_Part):
    """A line of the urgency rubric: ``points`` are added when ``signal`` is heard."""

    label: Short
    signal: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_:]{0,63}$")]
    points: int = Field(ge=-100, le=100, strict=True)
    needs: Annotated[tuple[Short, ...], BeforeValidator(_listed), Field(max_length=20)] = ()


class RubricLevels(_Part):
    """The score at which each level above low begins."""

    normal: int = Field(15, ge=1, le=100, strict=True)
    high: int = Field(40, ge=1, le=100, strict=True)
    critical: int = Field(70, ge=1, le=100, strict=True)

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if not self.normal < self.high < self.critical:
            raise ValueError("must rise: normal, high, critical")
        return self


class Rubric(_Part):
    """How urgent what a caller says is; which signals there are, the voice front end knows."""

    levels: RubricLevels = RubricLevels()
    lines: Annotated[
        tuple[RubricLine, ...], BeforeValidator(_listed), Field(min_length=1, max_length=200)
    ]


class LineSettings(_Part):
    """How calls are held: what the voice front end is told with the profile of a line."""

    line: Line = Line.CONVERSATION_RELAY
    languages: Annotated[
        tuple[Language, ...],
        BeforeValidator(_listed),
        Field(min_length=1, max_length=_MOST_LANGUAGES),
    ] = Field(("en-US",), description="The first one is spoken until the caller's is known")
    voices: Annotated[dict[Language, Voice], Field(max_length=_MOST_LANGUAGES)] = Field(
        default_factory=dict
    )
    greetings: ByLanguage = Field(default_factory=dict)
    persona: Persona = Persona()
    consent: Consent = Consent.ANNOUNCE
    records: bool = Field(default=True, strict=True)
    staff: Staff = Staff()
    emergency: Emergency = Emergency()
    escalation: Escalation = Escalation()
    models: Models = Models()
    tools: Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(max_length=50)] = (
        "look_up_caller",
        "offer_times",
        "transfer",
        "end_call",
    )
    offers_times: bool = Field(default=False, strict=True)
    asks_sms_consent: bool = Field(default=False, strict=True)
    hints: Annotated[tuple[Short, ...], BeforeValidator(_listed), Field(max_length=500)] = ()
    rubric: Rubric | None = None
    retention_days: int | None = Field(
        None,
        ge=1,
        le=_MOST_YEARS,
        strict=True,
        description="Days after which recordings, tool calls and what callers said are removed; null keeps them",
    )
    elevenlabs_agent_id: Short | None = Field(None, validate_default=True)
    openai_voice: Short | None = None

    @field_validator("elevenlabs_agent_id", mode="after")
    @classmethod
    def _names_its_agent(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("line") is Line.ELEVENLABS and value is None:
            raise ValueError("must be set for the line elevenlabs")
        return value


class VoiceSettings(LineSettings):
    """Everything that an admin may set for the tenant's telephone; every member has a default."""

    business_hours: dict[
        Day,
        Annotated[
            tuple[Span, ...],
            BeforeValidator(_listed),
            Field(max_length=10),
            AfterValidator(_in_order),
        ],
    ] = Field(
        default_factory=dict,
        description="When appointments may lie, in the tenant's time zone, where no calendar is connected",
        examples=[{"mon": ["09:00-12:00", "13:00-17:00"]}],
    )


class Outdated(Exception):
    """Somebody else has changed the settings since they were read."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A tenant's voice settings; ``revision`` changes with them."""

    settings: VoiceSettings
    revision: str

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read a tenant's settings; what an older release kept and this one does not know is passed over."""
        found = settings.get(_KEY)
        kept = dict(found) if isinstance(found, Mapping) else {}
        while True:
            try:
                read = VoiceSettings.model_validate(kept)
                break
            except ValidationError as err:
                wrong = {str(one["loc"][0]) for one in err.errors(include_url=False) if one["loc"]}
                if not wrong & kept.keys():
                    read = VoiceSettings()
                    break
                kept = {name: value for name, value in kept.items() if name not in wrong}
        return cls(read, _revision(read))


def _revision(settings: VoiceSettings) -> str:
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def voice_settings(hub: Hub, tenant_id: str) -> Kept:
    """Give a tenant's voice settings."""
    with hub.tenant(tenant_id) as session:
        found = session.scalars(select(Tenant.settings).where(Tenant.id == tenant_id)).one()
    return Kept.of(found)


def last_change(session: TenantSession) -> audit.AuditRow | None:
    """Give who changed the settings last, and when."""
    query = select(audit.AuditRow).where(audit.AuditRow.action == CHANGED)
    return session.scalars(query.order_by(audit.AuditRow.number.desc()).limit(1)).first()


def save(
    hub: Hub, tenant_id: str, wanted: VoiceSettings, *, revision: str | None, actor: str
) -> Kept:
    """Keep other settings for calls from now on; raises Outdated when ``revision`` is not the present one.

    None as the revision overwrites whatever is there.
    """
    with hub.tenant(tenant_id) as session:
        tenant = session.scalars(
            select(Tenant).where(Tenant.id == tenant_id).with_for_update(key_share=True)
        ).one()
        before = Kept.of(tenant.settings)
        if revision is not None and revision != before.revision:
            raise Outdated("The voice settings have been changed since they were read.")
        kept = wanted.model_dump(mode="json")
        old = before.settings.model_dump(mode="json")
        changed = sorted(name for name in kept if kept[name] != old[name])
        if changed:
            tenant.settings = {**tenant.settings, _KEY: kept}
            session.flush()
            audit.record(
                session,
                actor=actor,
                action=CHANGED,
                target=tenant_id,
                facts={"settings": changed},
            )
    return Kept(wanted, _revision(wanted))
