"""Who is called: a tenant's settings for its telephone line, as the hub gives them.

The hub's answer to ``GET /v1/voice/lines/{number}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class LineKind(StrEnum):
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
    # A newer hub may say more than this process understands.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Voice(_Part):
    """Who speaks a language at Twilio."""

    provider: str
    voice: str


class Persona(_Part):
    """How the agent presents itself."""

    name: str | None = None
    style: str | None = None
    instructions: str | None = None


class Staff(_Part):
    """Who is rung before the agent answers, and who takes transfers. Numbers are E.164."""

    ring_first: tuple[str, ...] = ()
    ring_s: int = 20
    transfer_to: str | None = None


class Emergency(_Part):
    """What callers in danger hear first, by language, and the number that they may be put through to."""

    texts: Mapping[str, str] = Field(default_factory=dict)
    number: str | None = None


class Escalation(_Part):
    """When a person is sought during the call."""

    critical: Literal["message", "transfer"] = "message"
    asked_for_person: Literal["message", "transfer"] = "transfer"


class Models(_Part):
    """Which models may be used. For tenants with health data only those in ``baa``."""

    conversation: str | None = None
    analysis: str | None = None
    baa: tuple[Literal["anthropic", "openai", "elevenlabs", "twilio"], ...] = ()


class Profile(_Part):
    """Everything that a call needs to know of the tenant whose number was dialled."""

    tenant_id: str
    number: str
    name: str
    vertical: str = "sales"
    timezone: str = "UTC"
    is_phi: bool = False
    line: LineKind = LineKind.CONVERSATION_RELAY
    languages: tuple[str, ...] = ("en-US",)
    voices: Mapping[str, Voice] = Field(default_factory=dict)
    greetings: Mapping[str, str] = Field(default_factory=dict)
    persona: Persona = Persona()
    consent: Consent = Consent.ANNOUNCE
    records: bool = True
    staff: Staff = Staff()
    emergency: Emergency = Emergency()
    escalation: Escalation = Escalation()
    models: Models = Models()
    tools: tuple[str, ...] = ("look_up_caller", "offer_times", "transfer", "end_call")
    offers_times: bool = False
    asks_sms_consent: bool = False
    hints: tuple[str, ...] = ()
    rubric: Mapping[str, Any] | None = None
    retention_days: int | None = None
    elevenlabs_agent_id: str | None = None
    openai_voice: str | None = None

    def may_use(self, vendor: Literal["anthropic", "openai", "elevenlabs", "twilio"]) -> bool:
        """Tell whether a vendor's models may hear this tenant's callers."""
        return not self.is_phi or vendor in self.models.baa
