"""Callers who say nothing: asked twice whether they are there, then let go."""

from __future__ import annotations

from dataclasses import replace

from voice.dialogue import asking, booking, closing, number
from voice.dialogue.types import Act, Listen, Patience, Say, Slot, Stage, Step, Talk
from voice.profile import Profile


def silent(talk: Talk, profile: Profile) -> Step:
    """Go on after a silence."""
    if talk.digits:
        return _after_pieces(talk, profile)
    if booking.waits(talk):
        return asking.go_on(asking.marked(talk, "offer_over"), profile)
    if talk.stage is Stage.ANYTHING_ELSE:
        return closing.goodbye(talk)
    talk = replace(talk, silences=talk.silences + 1)
    if talk.silences == 1 and asking.times(talk, "silence_first") < asking.MOST:
        return _prompted(asking.marked(talk, "silence_first"))
    if talk.silences <= 2 and asking.times(talk, "silence_second") < asking.MOST:  # noqa: PLR2004  # re-prompted twice
        talk = asking.marked(talk, "silence_second")
        return Step(talk, (Say("silence_second", is_fixed=True), _listen(talk)))
    return closing.goodbye_silent(talk)


def _prompted(talk: Talk) -> Step:
    """Ask whether anybody is there, and what was asked last, if that may be asked once more."""
    acts: list[Act] = [Say("silence_first", is_fixed=True)]
    for say in talk.last:
        if talk.stage is not Stage.GREETING and asking.times_said(talk, say) < asking.MOST:
            talk = asking.counted(talk, talk.stage, say)
            acts.append(replace(say, is_fixed=True))
    return Step(talk, (*acts, _listen(talk)))


def _listen(talk: Talk) -> Listen:
    is_number = talk.stage is Stage.CONFIRM_NUMBER or number.is_expected(talk)
    return Listen(Patience.DIGITS if is_number else Patience.NORMAL)


def _after_pieces(talk: Talk, profile: Profile) -> Step:
    """The caller has stopped dictating: read back what there is, or ask for the number anew."""
    had_many = number.count(talk.digits, talk.language) >= 5  # noqa: PLR2004  # a few keys may be an accident
    talk = number.settle_pieces(talk)
    if Slot.NUMBER not in talk.slots and had_many:
        talk = asking.marked(talk, "number_rejected")
    return asking.go_on(talk, profile)
