"""How far a message has come, for a model's goal and for deciding to give up talking."""

from __future__ import annotations

from dataclasses import dataclass

from voice.dialogue import number, slots
from voice.dialogue.types import Slot, Talk
from voice.profile import Profile


@dataclass(frozen=True, slots=True)
class Progress:
    """``share`` is 0 to 1; ``missing`` names what is still wanted, in the order it is asked."""

    share: float
    missing: tuple[Slot, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def progress(talk: Talk, profile: Profile | None = None) -> Progress:
    """Tell how much of the message is there. What only some tenants ask counts where ``profile`` is given."""
    wanted = [Slot.REASON, Slot.NAME, Slot.NUMBER]
    if not talk.emergency:
        wanted.append(Slot.URGENCY)
        if slots.wants_appointment(talk):
            wanted.append(Slot.WHEN)
        if profile and profile.asks_sms_consent:
            wanted.append(Slot.SMS_CONSENT)
    missing = tuple(slot for slot in wanted if not _has(talk, slot))
    return Progress(1 - len(missing) / len(wanted), missing)


def _has(talk: Talk, slot: Slot) -> bool:
    if slot is Slot.NUMBER:
        return number.is_settled(talk)
    return slot in talk.slots
