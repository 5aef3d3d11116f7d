"""A model's notes never make the dialogue pass over what was asked just now."""

from __future__ import annotations

from voice.dialogue import begin, step
from voice.dialogue.types import Heard, Saved, Stage
from voice.profile import Profile

_PROFILE = Profile(tenant_id="t", number="+14155550100", name="Harbor")


def test_a_note_about_something_else_leaves_the_question_open():
    """Urgency was asked; that the model saves the number meanwhile does not answer it."""
    talk = begin(_PROFILE, caller_id="+14155550132").talk
    talk = step(talk, Heard("This is Dana Whitfield, I need a new kitchen tap."), _PROFILE).talk
    asked = step(talk, Heard("Yes, this number is the best."), _PROFILE)
    assert asked.talk.stage is Stage.URGENCY

    noted = step(asked.talk, Saved("number", "caller"), _PROFILE)

    assert noted.talk.stage is Stage.URGENCY
    assert noted.talk.is_number_confirmed
    assert noted.talk.slots["number"] == "+14155550132"
    assert step(noted.talk, Heard("No."), _PROFILE).talk.stage is Stage.ANYTHING_ELSE


def test_a_withheld_number_cannot_be_saved_as_the_callers():
    """Where no number is shown there is none to save."""
    talk = begin(_PROFILE, caller_id=None).talk
    assert "number" not in step(talk, Saved("number", "caller"), _PROFILE).talk.slots
