"""A model in miniature, for the sandboxes of vendors whose models hear and speak: it asks for what is missing.

Deterministic, English, and no smarter than a test needs. It notes what ``voice.analyse`` finds with the tool
``save_slot``, reads nothing back that our side reads back, and ends with ``end_call`` where it has that tool.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from voice import languages
from voice.analyse import name, phone

_REASON_WORDS = 4
_ASK: Mapping[str, str] = {
    "reason": "How can we help you today?",
    "name": "May I have your name, please?",
    "number": "Which number can we reach you at?",
}
_MORE = "Thank you. Is there anything else?"
_BYE = "Thank you for calling, goodbye."
_AGAIN = "Sorry, I did not catch that."


@dataclass(frozen=True, slots=True)
class Use:
    """A tool that the model wants used."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(slots=True)
class Talker:
    """One conversation of the model. ``tools`` are the names that it was given."""

    tools: Collection[str] = ()
    saved: dict[str, str] = field(default_factory=dict)
    _asked_more: bool = False
    _is_over: bool = False
    _has_heard: bool = False

    def uses(self, said: str) -> list[Use]:
        """Give the tools to use for what the caller has said, before anything is answered."""
        self._has_heard = bool(said.strip())
        found = {slot: value for slot, value in _found(said).items() if slot not in self.saved}
        if self._asked_more and (
            languages.says_goodbye(said, "en") or languages.yes_no(said, "en") is False
        ):
            self._is_over = True
        self.saved |= found
        uses = [Use("save_slot", {"slot": slot, "value": value}) for slot, value in found.items()]
        if self._is_over:
            uses.append(Use("end_call", {}))
        return [use for use in uses if use.tool in self.tools]

    def answer(self) -> str:
        """Give what the model says now."""
        if self._is_over:
            return _BYE
        missing = [slot for slot in _ASK if slot not in self.saved]
        if missing:
            return _ASK[missing[0]] if self._has_heard else f"{_AGAIN} {_ASK[missing[0]]}"
        self._asked_more = True
        return _MORE


def _found(said: str) -> Mapping[str, str]:
    found = {}
    if who := name.introduction(said).full:
        found["name"] = who
    if number := phone.wanted(said, language="en-US"):
        found["number"] = number
    if len(said.split()) >= _REASON_WORDS and not (
        found and len(said.split()) <= 2 * _REASON_WORDS
    ):
        found["reason"] = said[:200]
    return found
