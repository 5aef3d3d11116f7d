"""Slots that a model has understood: checked like anything that comes from outside."""

from __future__ import annotations

from dataclasses import replace

from mappings.event import UrgencyLevel
from voice.dialogue import number
from voice.dialogue.types import Slot, Talk

_LONGEST = {Slot.NAME: 80, Slot.REASON: 300, Slot.WHEN: 120, Slot.SERVICE: 80}


def read_slot(slot: str, value: str, talk: Talk) -> str | None:
    """Give the value as it goes into the slot, or None when it cannot.

    Consents are never taken from a model: they are the caller's own yes.
    """
    text = " ".join(value.split())
    if not text or not text.isprintable():
        return None
    if slot == Slot.NUMBER:
        return number.saved(text, talk)
    if slot == Slot.URGENCY:
        level = text.lower()
        return level if level in set(UrgencyLevel) else None
    longest = next((most for name, most in _LONGEST.items() if name == slot), None)
    return text[:longest] if longest else None


def save(talk: Talk, slot: str, value: str) -> Talk:
    """Put a slot that a model has understood into the talk; what cannot be one changes nothing."""
    found = read_slot(slot, value, talk)
    if found is None:
        return talk
    if slot != Slot.NUMBER:
        return replace(talk, slots={**talk.slots, slot: found})
    if found == talk.slots.get(Slot.NUMBER) and talk.is_number_confirmed:
        return talk
    is_own = found == talk.caller_id
    return number.take(talk, found, is_confirmed=is_own)
