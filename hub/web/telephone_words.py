"""What the telephone settings are called, and what follows from each, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Option:
    """One of several: its name, what it does, and what it needs."""

    label: str
    text: str
    needs: str = ""
    #: The vendor whose models hear callers, where health data must be agreed upon.
    vendor: str = ""


LINES: Final[Mapping[str, Option]] = {
    "conversation_relay": Option(
        "Twilio ConversationRelay",
        "Twilio listens and speaks, Afterbeep thinks. The usual choice: every language, and it takes messages "
        "even without a model.",
        "Twilio's ConversationRelay, which is switched on in Twilio's console.",
        "twilio",
    ),
    "openai": Option(
        "OpenAI Realtime",
        "One model hears and speaks. Sounds most natural, costs most a minute.",
        "an OpenAI key in the voice service (AFTERBEEP_OPENAI_API_KEY).",
        "openai",
    ),
    "elevenlabs": Option(
        "ElevenLabs Agents",
        "An agent that you made at ElevenLabs holds the call.",
        "the agent's id below, and a key in the voice service (AFTERBEEP_ELEVENLABS_API_KEY).",
        "elevenlabs",
    ),
    "record": Option(
        "Message after the tone",
        "Nobody talks with the caller: a greeting, a tone, a recording that is written down.",
        "nothing more. It is also what happens when another line fails.",
    ),
}

CONSENTS: Final[Mapping[str, Option]] = {
    "announce": Option(
        "Say it",
        "Callers hear “this call is recorded” before anything else. Whoever goes on talking has agreed. Usual in the "
        "United States, also where all sides must agree (California, Florida, Illinois, Pennsylvania, Washington …), "
        "and in Canada.",
    ),
    "ask": Option(
        "Ask for a yes",
        "Nothing is recorded before the caller has said yes; after a no the call goes on without a recording. "
        "What Germany, Austria and Switzerland ask for, and the safe choice where the GDPR holds.",
    ),
    "none": Option(
        "Say nothing",
        "Recording begins without a word. Only where one side's knowledge is enough (New York, Texas, the United "
        "Kingdom for one's own use …), and only after you have asked a lawyer.",
    ),
}

TOOLS: Final[Mapping[str, Option]] = {
    "look_up_caller": Option(
        "Recognise callers", "It knows the names of people who called before."
    ),
    "offer_times": Option("Look into the calendar", "It sees free times of your calendar."),
    "transfer": Option("Put callers through", "It may ring the number for transfers."),
    "end_call": Option("Hang up", "It may end a call when all is said."),
}

VENDORS: Final[Mapping[str, str]] = {
    "anthropic": "Anthropic",
    "openai": "OpenAI",
    "elevenlabs": "ElevenLabs",
    "twilio": "Twilio",
}

#: Members of the document as a person who edits them calls them.
MEMBERS: Final[Mapping[str, str]] = {
    "line": "How calls are held",
    "languages": "Languages",
    "voices": "Voices",
    "greetings": "Greetings",
    "persona": "Persona",
    "consent": "Word about recording",
    "records": "Recording",
    "staff": "Staff and transfers",
    "emergency": "Emergencies",
    "escalation": "Escalation",
    "models": "Models and agreements",
    "tools": "Tools",
    "offers_times": "Offering times",
    "asks_sms_consent": "Asking for texts",
    "hints": "Words to listen for",
    "rubric": "Urgency rubric",
    "retention_days": "Days of keeping",
    "elevenlabs_agent_id": "ElevenLabs agent",
    "openai_voice": "OpenAI voice",
    "business_hours": "Business hours",
}


def plainly(value: object) -> str:
    """Write a member's value as one line that a person can compare."""
    if value is None or value in ("", [], {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        parts = [
            f"{key}: {plainly(one)}" for key, one in value.items() if one not in (None, [], {})
        ]
        return "; ".join(parts) or "nothing"
    if isinstance(value, list):
        return ", ".join(plainly(one) for one in value)
    return str(value)
