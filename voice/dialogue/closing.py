"""How a call ends: with what really happens next, and no promise beyond it."""

from __future__ import annotations

from dataclasses import replace

from voice.dialogue.types import Act, End, Say, Slot, Stage, Step, Talk


def goodbye(talk: Talk, *before: Act) -> Step:
    """Take leave: the message is passed on, and the number is noted where there is one."""
    line = "goodbye_callback" if Slot.NUMBER in talk.slots else "goodbye"
    return _end(talk, Say(line, is_fixed=True), *before)


def goodbye_silent(talk: Talk) -> Step:
    """Take leave of somebody who does not speak; what they did say is passed on all the same."""
    if Slot.REASON in talk.slots:
        return goodbye(talk)
    return _end(talk, Say("goodbye_silent", is_fixed=True))


def _end(talk: Talk, say: Say, *before: Act) -> Step:
    talk = replace(talk, stage=Stage.OVER, pending=None, last=(say,))
    return Step(talk, (*before, say, End()))
