"""Suggest how the fields of an object could be filled from the event, by name, label and type.

A suggestion is a start for a person, with its reason; nothing is ever mapped unasked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.record import Field
from mappings.catalogue import CatalogueField

_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_VENDOR_PREFIXES: Final = ("hs_",)
# Words that vendors use for what the event calls otherwise; the key is the name without spaces.
_KNOWN: Final[dict[str, tuple[str, ...]]] = {
    "lastname": ("caller.name.family", "caller.name.full"),
    "familyname": ("caller.name.family", "caller.name.full"),
    "surname": ("caller.name.family", "caller.name.full"),
    "firstname": ("caller.name.given",),
    "givenname": ("caller.name.given",),
    "name": ("caller.name.full",),
    "fullname": ("caller.name.full",),
    "suppliedname": ("caller.name.full",),
    "company": ("caller.company",),
    "companyname": ("caller.company",),
    "suppliedcompany": ("caller.company",),
    "organization": ("caller.company",),
    "account": ("caller.company",),
    "phone": ("caller.phone", "callback.number"),
    "phonenumber": ("caller.phone", "callback.number"),
    "telephone": ("caller.phone", "callback.number"),
    "mobilephone": ("caller.phone",),
    "suppliedphone": ("callback.number", "caller.phone"),
    "email": ("caller.email",),
    "emailaddress": ("caller.email",),
    "suppliedemail": ("caller.email",),
    "subject": ("summary",),
    "tasksubject": ("summary",),
    "title": ("summary",),
    "dealname": ("summary",),
    "description": ("transcript.text",),
    "content": ("transcript.text",),
    "message": ("transcript.text",),
    "comments": ("transcript.text",),
    "taskbody": ("transcript.text",),
    "notebody": ("transcript.text",),
    "rating": ("urgency.level",),
    "priority": ("urgency.level",),
    "ticketpriority": ("urgency.level",),
    "taskpriority": ("urgency.level",),
    "urgency": ("urgency.level",),
    "severity": ("urgency.level",),
    "activitydate": ("callback.window.start", "call.started_at"),
    "duedate": ("callback.window.start", "call.started_at"),
    "timestamp": ("callback.window.start", "call.ended_at"),
    "language": ("language",),
    "score": ("lead_score",),
    "leadscore": ("lead_score",),
    "recording": ("call.recording.url",),
    "recordingurl": ("call.recording.url",),
    "calldurationinseconds": ("call.duration_s",),
    "callduration": ("call.duration_s",),
}
_URGENCY_WORDS: Final = {
    "critical": ("critical", "urgent", "hot", "high"),
    "high": ("high", "hot", "urgent"),
    "normal": ("normal", "medium", "warm"),
    "low": ("low", "cold"),
}
_LEAST_SIMILAR: Final = 0.5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A directive for a field, as plain JSON, with the reason and a confidence from 0 to 1."""

    field: str
    directive: dict[str, Any]
    reason: str
    confidence: float


def suggest(
    object_fields: Sequence[Field], catalogue: Sequence[CatalogueField]
) -> list[Suggestion]:
    """Suggest at most one directive for each field that can be set, the surest first."""
    by_path = {one.path: one for one in catalogue}
    found = [
        suggestion
        for field in object_fields
        if field.can_create and field.type not in {"id", "reference"}
        and (suggestion := _suggest_one(field, by_path)) is not None
    ]  # fmt: skip
    return sorted(found, key=lambda one: -one.confidence)


def _suggest_one(field: Field, catalogue: dict[str, CatalogueField]) -> Suggestion | None:
    names = (_joined(field.name), _joined(field.label))
    for name, what in zip(names, ("name", "label"), strict=True):
        known = [path for path in _KNOWN.get(name, ()) if path in catalogue]
        if known:
            reason = f"{field.name} is called {name!r} by {what}".replace("'", '"')
            return _fitted(field, known, catalogue, reason, 0.95 if what == "name" else 0.9)
    near = max(
        ((_similarity(field, one), one.path) for one in catalogue.values() if not one.is_open),
        default=(0.0, ""),
    )
    if near[0] >= _LEAST_SIMILAR:
        reason = f"{field.label} and {catalogue[near[1]].label} share words"
        return _fitted(field, [near[1]], catalogue, reason, round(0.8 * near[0], 2))
    return None


def _fitted(
    field: Field,
    paths: list[str],
    catalogue: dict[str, CatalogueField],
    reason: str,
    confidence: float,
) -> Suggestion | None:
    """Add what makes the value fit the field; None when the kinds cannot go together."""
    first = catalogue[paths[0]]
    directive: dict[str, Any] = {"from": paths if len(paths) > 1 else paths[0]}
    if field.type in {"picklist", "multipicklist"}:
        table = _value_table(field, first)
        if table is None and first.type != "text":
            return None
        directive |= {"choose": table} if table else {}
        if field.is_restricted and not table:
            return None
    elif (conversion := _conversion(field, first)) == "":
        return None
    elif conversion:
        directive["as"] = conversion
        directive |= {"unfit": "leave_out"} if conversion == "email" else {}
    if field.is_required and not first.is_required and field.type in {"string", "text"}:
        directive["or"] = "Unknown"
    if field.max_chars and field.type in {"string", "text", "html", "email"}:
        directive["max"] = field.max_chars
    return Suggestion(field.name, directive, reason, confidence)


def _conversion(field: Field, source: CatalogueField) -> str | None:
    """Give the conversion that is needed: None for none, "" when nothing helps."""
    kind = source.type
    if source.is_list:
        return "join" if field.type in {"string", "text"} else ""
    if field.type in {"string", "text", "url"}:
        return "text" if kind in {"number", "integer", "boolean"} else None
    wanted: dict[str, dict[str, str | None]] = {
        "html": {kind: "html_text"},
        "phone": {"phone": "e164"},
        "email": {"text": "email"},
        "date": {"datetime": "local_date"},
        "datetime": {"datetime": "utc_datetime"},
        "integer": {"integer": None, "number": "integer"},
        "number": {"integer": None, "number": None},
        "boolean": {"boolean": None},
    }
    return wanted.get(field.type, {}).get(kind, "")


def _value_table(field: Field, source: CatalogueField) -> dict[str, str] | None:
    """Match a list's values with those of the event; None when one of them has no partner."""
    by_word = {choice.value.lower(): choice.value for choice in field.choices}
    by_word |= {choice.label.lower(): choice.value for choice in field.choices}
    table: dict[str, str] = {}
    for value in source.choices:
        words = (*_URGENCY_WORDS.get(value, ()), value.replace("_", " "), value)
        partner = next((by_word[word] for word in words if word in by_word), None)
        if partner is None:
            return None
        table[value] = partner
    return table or None


def _similarity(field: Field, source: CatalogueField) -> float:
    """Give the part of words that a field's label and a path have in common."""
    ours = {*_words(source.path.replace(".", " "))} - {"s"}
    theirs = {*_words(field.label), *_words(field.name)} - {"c", "hs"}
    return len(ours & theirs) / len(ours | theirs) if ours and theirs else 0.0


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _joined(text: str) -> str:
    for prefix in _VENDOR_PREFIXES:
        text = text.removeprefix(prefix)
    return "".join(_words(text.removesuffix("__c")))
