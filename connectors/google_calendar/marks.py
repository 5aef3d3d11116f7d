"""Tells whether a person has changed an event since we wrote it.

Google has no such answer: ``updated`` moves with our own writes too, and its clock is not ours. So each write leaves
a digest of what it wrote beside it, in a private property; where an event no longer has what the digest was
made of, somebody has changed it. Descriptions are left out: Google cleans up their HTML.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from connectors.google_calendar.drafts import guests
from connectors.google_calendar.moments import edge
from connectors.google_calendar.naming import private

_SUMMARY, _LOCATION, _TIMES, _GUESTS = (
    "afterbeepMarkSummary",
    "afterbeepMarkLocation",
    "afterbeepMarkTimes",
    "afterbeepMarkGuests",
)


def marks_of(body: Mapping[str, Any]) -> dict[str, str | None]:
    """Give the marks of what is about to be written; None takes a mark away that would no longer hold."""
    found: dict[str, str | None] = {}
    for name, mark in (("summary", _SUMMARY), ("location", _LOCATION)):
        if name in body:
            found[mark] = _words(body.get(name))
    if "attendees" in body:
        found[_GUESTS] = _digest(",".join(guests(body)))
    if "start" in body:
        found[_TIMES] = _times(body)
    elif "end" in body:
        found[_TIMES] = None
    return found


def is_edited(event: Mapping[str, Any]) -> bool:
    """Say whether an event no longer has what we wrote."""
    kept = private(event)
    now = {
        _SUMMARY: _words(event.get("summary")),
        _LOCATION: _words(event.get("location")),
        _TIMES: _times(event),
        _GUESTS: _digest(",".join(guests(event))),
    }
    return any(mark in kept and kept[mark] != seen for mark, seen in now.items())


def _words(value: object) -> str:
    return _digest(" ".join(str(value or "").split()))


def _times(event: Mapping[str, Any]) -> str:
    start, end = edge(event, "start"), edge(event, "end")
    return _digest(f"{start and start.timestamp()} {end and end.timestamp()}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
