"""A model in miniature, for the sandboxes of vendors whose models hear and speak: it asks for what is missing.

Deterministic, English, and no smarter than a test needs. It follows the instructions that a real model gets
(``voice.prompt``): it notes what ``voice.analyse`` finds with the tool ``save_slot``, offers the number that the call
comes from, says nothing where our side reads digits back, speaks word for word what it is told to, and ends with
``end_call`` where it has that tool.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from voice import languages
from voice.analyse import name, phone, signals

_REASON_WORDS = 4
_REASON, _NAME, _NUMBER, _URGENCY, _MORE = "reason", "name", "number", "urgency", "more"
_ASK: Mapping[str, str] = {
    _REASON: "How can we help you today?",
    _NAME: "May I have your name, please?",
    _NUMBER: "Which number can we reach you at?",
    _URGENCY: "Is this urgent?",
    _MORE: "Thank you. Is there anything else?",
}
_OFFER = "Is the number you are calling from the best one to reach you?"
_BYE = "Thank you for calling, goodbye."
_AGAIN = "Sorry, I did not catch that."
_SHOWN = "Caller's number: shown"
_VERBATIM = re.compile(r"word for word:\s*(.+)", re.DOTALL)
#: How the number that the call comes from is saved, as the instructions have it.
_CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Use:
    """A tool that the model wants used."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(slots=True)
class Talker:
    """One conversation of the model. ``tools`` are the names that it was given, ``instructions`` what it was told."""

    tools: Collection[str] = ()
    instructions: str = ""
    saved: dict[str, str] = field(default_factory=dict)
    _asked: str | None = None
    _exact: str | None = None
    _is_offer_refused: bool = False
    _is_read_back: bool = False
    _is_over: bool = False
    _has_heard: bool = False

    def told(self, text: str) -> None:
        """Take what the application tells the model: words that must be spoken next as they stand, if there are any."""
        if found := _VERBATIM.search(text):
            self._exact = found.group(1).strip()

    def uses(self, said: str) -> list[Use]:
        """Give the tools to use for what the caller has said, before anything is answered."""
        self._has_heard = bool(said.strip())
        found = {slot: value for slot, value in self._found(said).items() if slot not in self.saved}
        is_no = languages.says_goodbye(said, "en") or languages.yes_no(said, "en") is False
        if self._asked == _MORE and is_no:
            self._is_over = True
        self.saved |= found
        self._is_read_back = found.get(_NUMBER, _CALLER) != _CALLER
        uses = [Use("save_slot", {"slot": slot, "value": value}) for slot, value in found.items()]
        if self._is_over:
            uses.append(Use("end_call", {}))
        return [use for use in uses if use.tool in self.tools]

    def answer(self) -> str:
        """Give what the model says now; nothing where digits are read back for it."""
        exact, self._exact = self._exact, None
        if exact:
            return exact
        if self._is_over:
            return _BYE
        if self._is_read_back:
            self._is_read_back = False
            return ""
        self._asked = next((slot for slot in _ASK if slot not in self.saved), _MORE)
        is_offer = self._asked == _NUMBER and self._offers
        question = _OFFER if is_offer else _ASK[self._asked]
        return question if self._has_heard else f"{_AGAIN} {question}"

    @property
    def _offers(self) -> bool:
        return _SHOWN in self.instructions and not self._is_offer_refused

    def _found(self, said: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        if who := name.introduction(said).full:
            found[_NAME] = who
        if numbers := phone.find(said, language="en-US"):
            found[_NUMBER] = numbers[0].number
        agrees = languages.yes_no(said, "en")
        if self._asked == _NUMBER and _NUMBER not in found and self._offers:
            self._is_offer_refused = agrees is False
            found |= {_NUMBER: _CALLER} if agrees else {}
        found |= self._pressing(said, agrees)
        words = len(said.split())
        if words >= _REASON_WORDS and not (found and words <= 2 * _REASON_WORDS):
            found[_REASON] = said[:200]
        return found

    def _pressing(self, said: str, agrees: bool | None) -> Mapping[str, str]:  # noqa: FBT001 - yes, no or neither
        kinds = {one.kind for one in signals.find(said, "en")}
        if kinds & {"now", "urgent", "life", "hazard"}:
            return {_URGENCY: "high"}
        if self._asked == _URGENCY:
            return {_URGENCY: {True: "high", False: "low", None: "normal"}[agrees]}
        return {}
