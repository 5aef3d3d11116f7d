"""What was said beside what was made of it: lines with the evidence in them, slots with where they come from.

Nothing is guessed here: evidence is marked where a line holds it word for word, and a slot names a line only when all
the words of its value stand there. A number may be dictated over several lines; the one that completes it is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

_DIGITS: Final = re.compile(r"\D")
_WORD: Final = re.compile(r"\w+")
_FEWEST_DIGITS: Final = 7
_SLOWEST_MS: Final = 1_000.0
_STAGES: Final = {
    "first_audio": "Caller silent to first sound",
    "first_token": "Caller silent to first words",
    "own_share": "Of which our own",
    "barge_in": "Caller spoke to agent silent",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line; ``reason`` is the place of the urgency reason whose evidence it is."""

    text: str
    reason: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What one speaker said without a break, cut where evidence begins and ends."""

    number: int
    is_agent: bool
    start_s: float | None
    end_s: float | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """Something that was understood: its name, its value, how it is shown, and the line that holds it."""

    name: str
    value: Any
    kind: Literal["text", "phone", "email", "span"] = "text"
    line: Line | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """How long a stage of the call took; ``is_slow`` where callers had to wait too long."""

    name: str
    ms: float
    longest_ms: float | None = None
    is_slow: bool = False


def lines(data: dict[str, Any]) -> tuple[Line, ...]:
    """Give the transcript, the evidence of the urgency's reasons marked in it."""
    segments = (data.get("transcript") or {}).get("segments") or ()
    evidence = [one.get("evidence") for one in (data.get("urgency") or {}).get("reasons") or ()]
    left = {place: text for place, text in enumerate(evidence) if text}
    found = []
    for number, part in enumerate(segments):
        is_agent = part.get("speaker") == "agent"
        pieces = (Piece(part["text"]),) if is_agent else _pieces(part["text"], left)
        for piece in pieces:
            if piece.reason is not None:
                left.pop(piece.reason)
        found.append(Line(number, is_agent, part.get("start_s"), part.get("end_s"), pieces))
    return tuple(found)


def marked(found: Iterable[Line]) -> frozenset[int]:
    """Give the places of the reasons whose evidence stands in a line."""
    return frozenset(
        piece.reason for line in found for piece in line.pieces if piece.reason is not None
    )


def _pieces(text: str, wanted: dict[int, str]) -> tuple[Piece, ...]:
    spans: list[tuple[int, int, int]] = []
    for place, evidence in wanted.items():
        words = r"\s+".join(re.escape(word) for word in evidence.split())
        hit = re.search(words, text, re.IGNORECASE) if words else None
        if hit and all(hit.end() <= start or end <= hit.start() for start, end, _ in spans):
            spans.append((hit.start(), hit.end(), place))
    pieces, at = [], 0
    for start, end, place in sorted(spans):
        if start > at:
            pieces.append(Piece(text[at:start]))
        pieces.append(Piece(text[start:end], place))
        at = end
    if at < len(text) or not pieces:
        pieces.append(Piece(text[at:]))
    return tuple(pieces)


def slots(data: dict[str, Any], said: Sequence[Line]) -> tuple[Slot, ...]:
    """Give what was understood of the caller and of what they want, each with where it comes from."""
    caller, callback = data.get("caller") or {}, data.get("callback") or {}
    name, appointment = caller.get("name") or {}, data.get("appointment") or {}
    full = name.get("full") or " ".join(
        part for part in (name.get("given"), name.get("family")) if part
    )
    line_number = (data.get("call") or {}).get("from")
    number = callback.get("number") or caller.get("phone") or line_number
    found = [
        _said("Name", full, said, name.get("family") or name.get("given") or full),
        _said("Company", caller.get("company"), said),
        _number(number, line_number, said),
        Slot("When", callback.get("window"), "span"),
        _said("E-mail", caller.get("email"), said, kind="email"),
        _said("Service", appointment.get("service"), said),
        Slot("Appointment", appointment.get("window"), "span"),
        _said("Reason", data.get("reason"), said),
    ]
    return tuple(one for one in found if _is_there(one))


def _is_there(slot: Slot) -> bool:
    return bool(slot.value.get("start")) if isinstance(slot.value, dict) else bool(slot.value)


def _said(
    name: str,
    value: str | None,
    said: Sequence[Line],
    wanted: str | None = None,
    *,
    kind: Literal["text", "email"] = "text",
) -> Slot:
    text = (wanted or value or "").casefold()
    mine = [one for one in said if text and not one.is_agent]
    line = next((one for one in mine if text in _whole(one)), None)
    words = set(_WORD.findall(text))
    if line is None and kind == "text" and words:
        line = next((one for one in mine if words <= set(_WORD.findall(_whole(one)))), None)
    return Slot(name, value, kind, line)


def _number(number: str | None, line_number: str | None, said: Sequence[Line]) -> Slot:
    digits = _DIGITS.sub("", number or "")[-_FEWEST_DIGITS:]
    line = _completed(digits, said) if len(digits) == _FEWEST_DIGITS else None
    source = "The number that called" if number and number == line_number and not line else ""
    return Slot("Call back", number, "phone", line, source)


def _completed(digits: str, said: Sequence[Line]) -> Line | None:
    """Give the line that completes some digits: one that holds them, else the last that a caller dictated them over."""
    dictated = ""
    for one in said:
        spoken = _DIGITS.sub("", _whole(one))
        if digits in spoken:
            return one
        if one.is_agent:
            continue  # asks for the rest, or says nothing of numbers
        dictated = dictated + spoken if spoken else ""
        if digits in dictated:
            return one
    return None


def _whole(line: Line) -> str:
    return "".join(piece.text for piece in line.pieces).casefold()


def trace(data: dict[str, Any]) -> tuple[Stage, ...]:
    """Give how long the stages of the call took, those of the conversation first, longest first."""
    latency = {name: float(ms) for name, ms in (data.get("latency") or {}).items()}
    found = [
        Stage(
            _STAGES.get(name, name.replace("_", " ").capitalize()),
            ms,
            latency.get(f"{name}_max"),
            is_slow=name in {"first_audio", "first_token"} and ms > _SLOWEST_MS,
        )
        for name, ms in latency.items()
        if not (name.endswith("_max") and name.removesuffix("_max") in latency)
    ]
    talk = set(_STAGES.values())
    return tuple(sorted(found, key=lambda one: (one.name not in talk, -one.ms)))
