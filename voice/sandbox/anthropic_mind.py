"""A model in miniature: reads the instructions that a real one gets, and does sensibly what they ask, by rules.

It saves what it finds in the caller's words with the project's own analysis, asks for what is still missing, and uses
the tools that it was given. It understands no more than that, but calls can be held with it without a network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice import languages
from voice.analyse import language as detecting
from voice.analyse import name as naming
from voice.analyse import phone, signals
from voice.sandbox import anthropic_reading as reading

_ASK = {
    "reason": "ask_reason",
    "name": "ask_name",
    "number": "ask_number",
    "urgency": "ask_urgency",
    "when": "ask_when",
}
_URGENT = frozenset({"life", "hazard"})
_HIGH = frozenset({"now", "outage", "urgent", "heating"})
#: After these tools others speak.
_SPOKEN_FOR = frozenset({"transfer", "end_call", "offer_times"})
_SHOWN, _OWN = "Caller's number: shown", "caller"
_LEAST_WORDS = 4
_LONGEST = 280


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model answers: words, and tools (name, input) that it uses."""

    text: str = ""
    tools: Sequence[tuple[str, Mapping[str, Any]]] = field(default_factory=tuple)


def think(request: Mapping[str, Any]) -> Thought:
    """Answer a request of the Messages API."""
    schema = _schema(request)
    if schema is not None:
        text = "\n".join(_text(message) for message in request.get("messages", ()))
        filled = reading.proposal(text) if reading.is_analysis(schema) else fill(schema, text)
        return Thought(json.dumps(filled, ensure_ascii=False))
    tools = {str(tool.get("name")) for tool in request.get("tools") or ()}
    told = _instructions(request)
    missing = _listed(told, "Missing")
    tag = _tag(told)
    last = _last(request)
    offers = _SHOWN in told
    if _is_result(last):
        return _go_on(request, missing, tag, offers=offers)
    wanted = _wanted(_text(last), missing, tools, tag)
    if _is_spoken_for(wanted):
        return Thought("", wanted)
    saved = {given.get("slot") for _, given in wanted}
    left = [slot for slot in missing if slot not in saved]
    return Thought(_question(left, tag, offers=offers), wanted)


def _is_spoken_for(wanted: Sequence[tuple[str, Mapping[str, Any]]]) -> bool:
    """Tell whether something is said for the model after the tools that it uses: digits, times, a transfer, goodbye."""
    return any(
        name in _SPOKEN_FOR or (given.get("slot") == "number" and given.get("value") != _OWN)
        for name, given in wanted
    )


def _wanted(
    said: str, missing: Sequence[str], tools: set[str], tag: str
) -> list[tuple[str, dict[str, Any]]]:
    """Decide which tools what the caller said calls for."""
    if languages.wants_person(said, tag) and "transfer" in tools:
        return [("transfer", {"reason": "The caller asks for a person."})]
    found: list[tuple[str, dict[str, Any]]] = []
    heard = detecting.detect(said, tag) if len(said.split()) >= _LEAST_WORDS else tag
    if "note_language" in tools and languages.tag_for(heard) not in {None, languages.tag_for(tag)}:
        found.append(("note_language", {"language": heard}))
    if "save_slot" in tools:
        found += [
            ("save_slot", {"slot": slot, "value": value})
            for slot, value in _slots(said, missing, tag)
        ]
    if not found and not missing and "end_call" in tools and languages.yes_no(said, tag) is False:
        found.append(("end_call", {}))
    return found


def _slots(said: str, missing: Sequence[str], tag: str) -> list[tuple[str, str]]:
    found = []
    if "name" in missing and (name := naming.introduction(said, tag).full):
        found.append(("name", name))
    numbers = phone.find(said, language=tag)
    if "number" in missing and numbers:
        found.append(("number", numbers[0].number))
    if "reason" in missing and len(said.split()) >= _LEAST_WORDS:
        found.append(("reason", said[:_LONGEST]))
    kinds = {signal.kind for signal in signals.find(said, tag)}
    if "urgency" in missing and kinds & (_URGENT | _HIGH):
        found.append(("urgency", "critical" if kinds & _URGENT else "high"))
    return found


def _go_on(
    request: Mapping[str, Any], missing: Sequence[str], tag: str, *, offers: bool
) -> Thought:
    """Speak after tools: no word where the number is read back by others, else the next question."""
    saved = {
        str(block.get("input", {}).get("slot"))
        for message in request.get("messages", ())[-2:-1]
        for block in _blocks(message)
        if block.get("type") == "tool_use" and block.get("name") == "save_slot"
    }
    used = {
        str(block.get("name"))
        for message in request.get("messages", ())[-2:-1]
        for block in _blocks(message)
        if block.get("type") == "tool_use"
    }
    has_spoken = any(_text(message).strip() for message in request.get("messages", ())[-2:-1])
    if has_spoken or "number" in saved or used & _SPOKEN_FOR:
        return Thought("")
    left = [slot for slot in missing if slot not in saved]
    return Thought(_question(left, tag, offers=offers))


def _question(missing: Sequence[str], tag: str, *, offers: bool) -> str:
    slot = next((one for one in missing if one in _ASK), None)
    if slot == "number" and offers:
        return languages.line("offer_caller_id", tag)
    return languages.line(_ASK[slot] if slot else "anything_else", tag)


def fill(schema: Mapping[str, Any], text: str) -> Any:
    """Give a document that fits a JSON schema: the simplest, with what can be found in the text by name."""
    return _fill(schema, schema, "", text)


def _fill(root: Mapping[str, Any], part: Mapping[str, Any], name: str, text: str) -> Any:
    if "$ref" in part:
        target: Any = root
        for key in str(part["$ref"]).removeprefix("#/").split("/"):
            target = target[key]
        return _fill(root, target, name, text)
    found = _found(name, text)
    if found is not None and _is_of(part, found):
        return found
    if options := part.get("anyOf"):
        is_nullable = any(option.get("type") == "null" for option in options)
        return None if is_nullable else _fill(root, options[0], name, text)
    if part.get("type") == "object":
        inner = part.get("properties", {})
        return {key: _fill(root, value, key, text) for key, value in inner.items()}
    if "enum" in part:
        return "other" if "other" in part["enum"] else part["enum"][0]
    empty = {"array": [], "number": 0, "integer": 0, "boolean": False, "null": None}
    return empty.get(str(part.get("type")), "")


def _found(name: str, text: str) -> str | None:
    match name:
        case "language":
            return detecting.detect(text)
        case "name":
            return naming.introduction(text).full
        case "callback_number":
            return phone.wanted(text)
        case _:
            return None


def _is_of(part: Mapping[str, Any], value: str) -> bool:
    options = [part, *part.get("anyOf", ())]
    return any(
        option.get("type") == "string" and value in option.get("enum", [value])
        for option in options
    )


def _schema(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = (request.get("output_config") or {}).get("format") or {}
    schema = found.get("schema")
    return schema if isinstance(schema, dict) else None


def _instructions(request: Mapping[str, Any]) -> str:
    system = request.get("system") or ""
    if isinstance(system, str):
        return system
    return "\n".join(str(block.get("text", "")) for block in system)


def _listed(told: str, title: str) -> list[str]:
    found = re.search(rf"^{title}: (.*?)\.?$", told, re.MULTILINE)
    return [] if found is None else [part.strip() for part in found.group(1).split(",")]


def _tag(told: str) -> str:
    found = re.search(r"^Language now: .*\(([\w-]+)\)", told, re.MULTILINE)
    return found.group(1) if found else "en-US"


def _last(request: Mapping[str, Any]) -> Mapping[str, Any]:
    messages = request.get("messages") or [{}]
    found: Mapping[str, Any] = messages[-1]
    return found


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content", "")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _is_result(message: Mapping[str, Any]) -> bool:
    return any(block.get("type") == "tool_result" for block in _blocks(message))


def _text(message: Mapping[str, Any]) -> str:
    blocks = _blocks(message)
    return "\n".join(str(b.get("text", "")) for b in blocks if b.get("type") == "text")
