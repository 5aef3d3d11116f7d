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

_ASK = {
    "reason": "ask_reason",
    "name": "ask_name",
    "number": "ask_number",
    "urgency": "ask_urgency",
    "when": "ask_when",
}
_URGENT = frozenset({"life", "hazard"})
_HIGH = frozenset({"now", "outage", "urgent", "heating"})
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
        return Thought(json.dumps(fill(schema, _user_text(request)), ensure_ascii=False))
    tools = {str(tool.get("name")) for tool in request.get("tools") or ()}
    told = _instructions(request)
    missing = _listed(told, "Missing")
    tag = _tag(told)
    last = _last(request)
    if _is_result(last):
        return _go_on(request, missing, tag)
    said = _text(last)
    wanted = _wanted(said, missing, tools, tag)
    if wanted:
        return Thought("", wanted)
    return Thought(_question(missing, tag))


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
    number = phone.wanted(said, language=tag)
    if "number" in missing and number:
        found.append(("number", number))
    if "reason" in missing and len(said.split()) >= _LEAST_WORDS:
        found.append(("reason", said[:_LONGEST]))
    kinds = {signal.kind for signal in signals.find(said, tag)}
    if "urgency" in missing and kinds & (_URGENT | _HIGH):
        found.append(("urgency", "critical" if kinds & _URGENT else "high"))
    return found


def _go_on(request: Mapping[str, Any], missing: Sequence[str], tag: str) -> Thought:
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
    if "number" in saved or used & {"transfer", "end_call", "offer_times"}:
        return Thought("")
    return Thought(_question([slot for slot in missing if slot not in saved], tag))


def _question(missing: Sequence[str], tag: str) -> str:
    line = next((_ASK[slot] for slot in missing if slot in _ASK), "anything_else")
    return languages.line(line, tag)


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


def _user_text(request: Mapping[str, Any]) -> str:
    """Give what the caller said of a transcript for analysis, else all that the user wrote."""
    text = "\n".join(_text(message) for message in request.get("messages", ()))
    found = re.search(r"<call>(.*)</call>", text, re.DOTALL)
    try:
        turns = json.loads(found.group(1))["turns"] if found else None
    except (ValueError, KeyError, TypeError):
        turns = None
    if not isinstance(turns, list):
        return text
    return " ".join(str(turn.get("text", "")) for turn in turns if turn.get("who") == "caller")
