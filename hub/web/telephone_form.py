"""The form of the telephone settings: from the document to fields and back, with what is wrong beside each field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from hub.voice.settings import DAYS, VoiceSettings, is_language

#: Fields beside each language that leave it where they are empty.
_OF_LANGUAGE: Final = ("greeting", "provider", "voice", "emergency")
_MOST_ROWS: Final = 110
_FORMAT: Final = re.compile(r"[\s().\-/\u00a0]")
_NUMBER: Final = "Write it with + and the country's code, such as +14155550100."

#: What is wrong, in words that say what to do; by the field's name, or by its last part.
_SAID: Final[Mapping[str, str]] = {
    "tag": "This is no language tag, such as en-US, de or zh-Hant.",
    "languages": "Tick at least one language that the agent speaks.",
    "greeting": "A greeting has at most 1,000 characters, on one line or several.",
    "emergency": "A text has at most 1,000 characters.",
    "provider": "Name the provider and the voice, or neither.",
    "voice": "Name the provider and the voice, or neither.",
    "staff.transfer_to": _NUMBER,
    "staff.ring_first": f"One number a line, at most ten. {_NUMBER}",
    "staff.ring_s": "From 5 to 120 whole seconds.",
    "emergency.number": "Three figures such as 911, or a number such as +14155550100.",
    "retention_days": "A whole number of days from 1 to 36,500, or nothing.",
    "elevenlabs_agent_id": "The line ElevenLabs needs the agent that answers.",
    "hints": "One word or name a line, at most 500, each of at most 200 characters.",
    "persona.instructions": "At most 8,000 characters.",
    "persona.style": "At most 1,000 characters.",
    "tools": "There is no such tool.",
}
_HOURS: Final = (
    "Write spans such as 09:00-12:00, 13:00-17:00 that do not overlap, or nothing when closed."
)


@dataclass(slots=True)
class Sheet:
    """The form as it stands: the document as typed, a row for each language, and problems by field."""

    document: dict[str, Any]
    rows: list[dict[str, Any]]
    base: str
    revision: str
    problems: dict[str, list[str]] = field(default_factory=dict)

    def value(self, path: str) -> Any:
        """Give what stands in a field."""
        found: Any = self.document
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return "" if found is None else found

    def lines(self, path: str) -> str:
        """Give what stands in a field of several lines."""
        found = self.value(path)
        return found if isinstance(found, str) else "\n".join(map(str, found))

    def hours(self, day: str) -> str:
        """Give a day's spans as they are typed."""
        return ", ".join((self.document.get("business_hours") or {}).get(day, ()))


def shown(settings: VoiceSettings, revision: str) -> Sheet:
    """Give the form of what is saved."""
    document = settings.model_dump(mode="json")
    return Sheet(document, _rows(document), json.dumps(document), revision)


def _rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    texts, voices = document["emergency"]["texts"], document["voices"]
    tags = [*document["languages"], *document["greetings"], *voices, *texts]
    return [
        {
            "tag": tag,
            "is_spoken": tag in document["languages"],
            "greeting": document["greetings"].get(tag, ""),
            "provider": voices.get(tag, {}).get("provider", ""),
            "voice": voices.get(tag, {}).get("voice", ""),
            "emergency": texts.get(tag, ""),
        }
        for tag in dict.fromkeys(tags)
    ]


def typed(form: MultiDict[str, str], saved: VoiceSettings) -> Sheet:
    """Read what was typed; what the form does not hold (the rubric) is as it is saved."""
    rows = _typed_rows(form)
    spoken = [row for row in rows if row["is_spoken"] and row["tag"]]
    spoken.sort(key=lambda row: not row["is_main"])
    named = [row for row in rows if row["tag"]]
    document: dict[str, Any] = saved.model_dump(mode="json") | {
        "line": form.get("line", ""),
        "consent": form.get("consent", ""),
        "records": "records" in form,
        "languages": [row["tag"] for row in spoken],
        "greetings": {row["tag"]: row["greeting"] for row in named if row["greeting"]},
        "voices": {
            row["tag"]: {"provider": row["provider"], "voice": row["voice"]}
            for row in named
            if row["provider"] or row["voice"]
        },
        "emergency": {
            "texts": {row["tag"]: row["emergency"] for row in named if row["emergency"]},
            "number": _phone(form.get("emergency.number", "")),
        },
        "persona": {
            part: _text(form.get(f"persona.{part}", ""))
            for part in ("name", "style", "instructions")
        },
        "staff": {
            "ring_first": [_phone(one) for one in _lines(form.get("staff.ring_first", ""))],
            "ring_s": _whole(form.get("staff.ring_s", "")) or saved.staff.ring_s,
            "transfer_to": _phone(form.get("staff.transfer_to", "")),
        },
        "escalation": {
            part: form.get(f"escalation.{part}", "") for part in ("critical", "asked_for_person")
        },
        "models": {
            "conversation": _text(form.get("models.conversation", "")),
            "analysis": _text(form.get("models.analysis", "")),
            "baa": form.getlist("models.baa"),
        },
        "tools": form.getlist("tools"),
        "offers_times": "offers_times" in form,
        "asks_sms_consent": "asks_sms_consent" in form,
        "hints": _lines(form.get("hints", "")),
        "retention_days": _whole(form.get("retention_days", "")),
        "elevenlabs_agent_id": _text(form.get("elevenlabs_agent_id", "")),
        "openai_voice": _text(form.get("openai_voice", "")),
        "business_hours": {
            day: spans for day in DAYS if (spans := _spans(form.get(f"hours.{day}", "")))
        },
    }
    return Sheet(document, rows, form.get("base", ""), form.get("revision", ""))


def _typed_rows(form: MultiDict[str, str]) -> list[dict[str, Any]]:
    numbers = sorted(
        {
            int(found[1])
            for name in form
            if (found := re.fullmatch(r"lang\.(\d{1,4})\.tag", name, re.ASCII))
        }
    )[:_MOST_ROWS]
    main = form.get("main", "")
    rows = []
    for number in numbers:
        row: dict[str, Any] = {
            part: form.get(f"lang.{number}.{part}", "").strip() for part in ("tag", *_OF_LANGUAGE)
        }
        row["is_spoken"] = f"lang.{number}.spoken" in form
        row["is_main"] = main == str(number)
        if any(row[part] for part in ("tag", *_OF_LANGUAGE)):
            rows.append(row)
    return rows


def checked(sheet: Sheet) -> VoiceSettings | None:
    """Give the document of a form, or None with all that is wrong noted in the form."""
    problems: dict[str, list[str]] = {}
    tags = [row["tag"].lower() for row in sheet.rows]
    for number, row in enumerate(sheet.rows):
        if not row["tag"]:
            problems[f"lang.{number}.tag"] = ["Which language is this for?"]
        elif tags.index(row["tag"].lower()) != number:
            problems[f"lang.{number}.tag"] = ["This language stands here twice."]
    found = None
    try:
        found = VoiceSettings.model_validate(sheet.document)
    except ValidationError as err:
        for one in err.errors(include_url=False, include_input=False):
            name, said = _problem(one["loc"], one["msg"], sheet.rows)
            if said not in problems.setdefault(name, []):
                problems[name].append(said)
    sheet.problems = problems
    return None if problems else found


def _problem(
    loc: Sequence[int | str], message: str, rows: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    """Give the field that an error belongs to, and what is wrong with it in words."""
    parts = [str(one) for one in loc]
    places = {row["tag"]: number for number, row in reversed(list(enumerate(rows)))}
    if parts[0] == "languages":
        if len(parts) > 1:
            return f"lang.{_wrong_row(rows)}.tag", _SAID["tag"]
        return "languages", _SAID["languages"]
    if parts[:2] == ["emergency", "texts"]:
        parts = ["texts", *parts[2:]]
    if parts[0] in {"greetings", "voices", "texts"} and len(parts) > 1 and parts[1] in places:
        own = {"greetings": "greeting", "texts": "emergency"}.get(parts[0], "provider")
        part = "tag" if parts[-1] == "[key]" else own
        return f"lang.{places[parts[1]]}.{part}", _SAID[part]
    if parts[0] == "business_hours":
        return f"hours.{parts[1]}", _HOURS
    name = ".".join(one for one in parts[:2] if not one.isdigit())
    return name, _SAID.get(name, message.removeprefix("Value error, ").capitalize())


def _wrong_row(rows: Sequence[Mapping[str, Any]]) -> int:
    """Give the row of the first spoken language that is no tag."""
    return next(
        (
            number
            for number, row in enumerate(rows)
            if row["is_spoken"] and row["tag"] and not is_language(row["tag"])
        ),
        0,
    )


def _text(text: str) -> str | None:
    return text.strip().replace("\r\n", "\n") or None


def _lines(text: str) -> list[str]:
    return [one.strip() for one in text.splitlines() if one.strip()]


def _phone(text: str) -> str | None:
    return _FORMAT.sub("", text) or None


def _whole(text: str) -> int | str | None:
    text = text.strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else text or None


def _spans(text: str) -> list[str]:
    return [
        re.sub(r"\s*[-\u2013]\s*", "-", one.strip())
        for one in re.split(r"[,;\n]", text)
        if one.strip()
    ]


@dataclass(frozen=True, slots=True)
class Merged:
    """Both editors' changes in one document; ``clashes`` are those that both made, with what the other one wrote."""

    document: dict[str, Any]
    clashes: dict[str, Any]
    theirs: tuple[str, ...]


def merge(ours: Mapping[str, Any], theirs: Mapping[str, Any], base: str) -> Merged:
    """Put what was typed over what somebody else has saved meanwhile; what both changed stays as it was typed."""
    try:
        before = json.loads(base)
    except ValueError:
        before = {}
    before = before if isinstance(before, dict) else {}
    missing = object()

    def has_changed(document: Mapping[str, Any], name: str) -> bool:
        return bool(document[name] != before.get(name, missing))

    by_them = tuple(name for name in theirs if name in ours and has_changed(theirs, name))
    document = {
        name: theirs[name] if name in by_them and not has_changed(ours, name) else ours[name]
        for name in ours
    }
    clashes = {name: theirs[name] for name in by_them if document[name] != theirs[name]}
    return Merged(document, clashes, by_them)
