"""Consent to the recording where the answer was none."""

from __future__ import annotations

from dataclasses import replace

from voice.dialogue import asking, opening
from voice.dialogue.types import Act, Say, Slot, Stage, Step, Talk
from voice.profile import Profile


def left_open(talk: Talk, profile: Profile, acts: tuple[Act, ...]) -> Step:
    """Ask about the recording again, or go on without one."""
    if asking.times(talk, Stage.CONSENT) < asking.MOST:
        return asking.go_on(talk, profile, *acts)
    talk = replace(talk, slots={**talk.slots, Slot.RECORDING_CONSENT: "no"})
    return opening.greet(talk, profile, *acts, Say("consent_declined", is_fixed=True))
