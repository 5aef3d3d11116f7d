"""Which tools a model may use in a call: one definition each, and the forms in which three vendors want them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voice.profile import Profile

LIMIT_S = 4.0
"""How long a tool may take."""

_MOST_BYTES, _MOST_ERRORS = 4_096, 3
_ALWAYS = ("save_slot", "note_language")


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SaveSlot(_Arguments):
    """Note what the caller has said. Call it at once, for each thing that you learn."""

    slot: Literal["name", "number", "reason", "urgency", "when", "service"] = Field(
        description="What it is. urgency is one of low, normal, high, critical."
    )
    value: str = Field(
        min_length=1,
        max_length=300,
        description="The caller's own words, short. A number with all its digits, as dictated, or "
        '"caller" for the one that they are calling from.',
    )


class LookUpCaller(_Arguments):
    """Look up what is known of this caller from earlier calls."""


class OfferTimes(_Arguments):
    """Get free appointment times. They are read to the caller for you."""

    from_day: str = Field(
        pattern=r"^(\d{4}-\d{2}-\d{2})?$",
        description="The first day that suits the caller, YYYY-MM-DD; empty for the soonest.",
    )


class Book(_Arguments):
    """Note the time that the caller has chosen of those that were offered."""

    start: str = Field(max_length=40, description="One of the offered times, exactly as given.")


class TransferCall(_Arguments):
    """Put the caller through to a person of the business."""

    reason: str = Field(min_length=1, max_length=200, description="Why, in a few words.")


class EndCall(_Arguments):
    """Say goodbye and hang up, when all is said."""


class NoteLanguage(_Arguments):
    """Go on in another language, when the caller speaks or asks for it."""

    language: str = Field(max_length=35, description="BCP 47 tag such as es or pt-BR.")


#: Tools whose answer a model has nothing to say about.
QUIET = frozenset({"save_slot", "note_language"})
_MODELS: Mapping[str, type[_Arguments]] = {
    "save_slot": SaveSlot,
    "look_up_caller": LookUpCaller,
    "offer_times": OfferTimes,
    "book": Book,
    "transfer": TransferCall,
    "end_call": EndCall,
    "note_language": NoteLanguage,
}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as a model is told of it; ``parameters`` is a strict JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class Refused(Exception):
    """A tool must not be run so; the message is for the model."""


def _definition(name: str) -> Tool:
    model = _MODELS[name]
    schema = model.model_json_schema()
    properties = {
        key: {part: value for part, value in found.items() if part != "title"}
        for key, found in schema.get("properties", {}).items()
    }
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return Tool(name, " ".join((model.__doc__ or "").split()), parameters)


def surface(profile: Profile) -> tuple[Tool, ...]:
    """Give the tools of a tenant: those that it allows and that can do something for it."""
    useless = {
        "offer_times": not profile.offers_times,
        "transfer": not (profile.staff.transfer_to or profile.emergency.number),
    }
    allowed = [
        name
        for name in profile.tools
        if name in _MODELS and name not in (*_ALWAYS, "book") and not useless.get(name)
    ]
    if "offer_times" in allowed:
        allowed.append("book")
    return tuple(_definition(name) for name in dict.fromkeys((*_ALWAYS, *allowed)))


def for_anthropic(profile: Profile) -> list[dict[str, Any]]:
    """Give the tools as ``tools`` of Anthropic's Messages API."""
    # Source: anthropic 2.12.0, types/tool_param.py (2026-11-30). Strict schemas know no lengths and patterns.
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "input_schema": _bare(tool.parameters),
            "strict": True,
        }
        for tool in surface(profile)
    ]


def for_openai(profile: Profile) -> list[dict[str, Any]]:
    """Give the tools as ``session.tools`` of OpenAI's Realtime API."""
    # Source: openai-python types/realtime/realtime_function_tool.py (2026-11-30): no "strict" there.
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        }
        for tool in surface(profile)
    ]


def for_elevenlabs(profile: Profile) -> list[dict[str, Any]]:
    """Give the tools as client tools of an ElevenLabs agent."""
    # Source: elevenlabs-python types/client_tool_config_input.py (2026-11-30).
    return [
        {
            "type": "client",
            "name": tool.name,
            "description": tool.description,
            "expects_response": True,
            "response_timeout_secs": max(1, round(LIMIT_S) + 1),
            "parameters": {
                key: value
                for key, value in _bare(tool.parameters).items()
                if key != "additionalProperties"
            },
        }
        for tool in surface(profile)
    ]


def _bare(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what strict schemas do not know; :func:`check` still asks for it."""
    kept = ("type", "description", "enum")
    properties = {
        key: {part: value for part, value in found.items() if part in kept}
        for key, found in parameters["properties"].items()
    }
    return {**parameters, "properties": properties}


def check(name: str, arguments: object, profile: Profile) -> dict[str, Any]:
    """Give the arguments when the tenant has the tool and they fit it; raises :class:`Refused`."""
    if name not in {tool.name for tool in surface(profile)}:
        raise Refused(f"There is no tool {name[:40]!r}.")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            raise Refused("The arguments are not JSON.") from None
    if not isinstance(arguments, Mapping):
        raise Refused("The arguments must be an object.")
    try:
        if len(json.dumps(arguments)) > _MOST_BYTES:
            raise Refused("The arguments are too long.")
        return _MODELS[name].model_validate(dict(arguments)).model_dump()
    except ValidationError as err:
        faults = err.errors(include_url=False, include_input=False)[:_MOST_ERRORS]
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in faults)
        raise Refused(f"The arguments do not fit: {told}") from None
    except (TypeError, ValueError, RecursionError):
        raise Refused("The arguments cannot be written as JSON.") from None
