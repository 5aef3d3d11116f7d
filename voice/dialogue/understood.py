"""What a model has understood, and what its tools, or the line, have done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from voice import languages
from voice.dialogue import asking, booking, closing, consent, saved, switching
from voice.dialogue.types import Act, Listen, Say, Slot, Stage, Step, Talk, ToolDone, Transfer
from voice.profile import Consent, Profile

Result = Mapping[str, Any]


def slot(talk: Talk, name: str, value: str, profile: Profile) -> Step:
    """Take what a model has understood. A number is read back at once, in fixed words."""
    talk = saved.save(talk, name, value)
    if name == Slot.NUMBER and talk.pending and talk.stage is not Stage.CONSENT:
        talk = asking.settled(talk)
        asked = asking.question(talk, Stage.CONFIRM_NUMBER, profile)
        if asked:
            return asking.ask(talk, Stage.CONFIRM_NUMBER, asked)
    return _thinking_on(talk, profile)


def _thinking_on(talk: Talk, profile: Profile, *before: Act) -> Step:
    """Let the model go on; what it should have asked is there in case it fails."""
    if talk.stage is Stage.CONSENT:
        return Step(talk, (*before, Listen()), may_think=True)
    settled = asking.settled(talk)
    # What was asked just now and is still missing is not passed over.
    is_open = asking.is_wanted(settled, talk.stage, profile)
    stage = talk.stage if is_open else asking.next_stage(settled, profile)
    if stage is Stage.OFFER and not settled.offered:
        return asking.go_on(settled, profile, *before)
    asked = asking.question(settled, stage, profile) if stage is not Stage.OVER else None
    if asked is None or stage is talk.stage:
        acts: tuple[Act, ...] = (asked, Listen()) if asked else (Listen(),)
        goal = asking.GOALS.get(stage, "Ask whether there is anything to add, else say goodbye.")
        return Step(settled, (*before, *acts), may_think=True, goal=goal)
    return asking.go_on(settled, profile, *before)


def tool_done(talk: Talk, given: ToolDone, profile: Profile) -> Step:
    """Go on after a tool; a transfer is told of by the line, too."""
    reader = _READERS.get(given.tool)
    is_early = talk.stage is Stage.CONSENT and given.tool != "transfer"
    if reader is None or is_early:
        return _thinking_on(talk, profile)
    return reader(talk, given.result or {}, profile)


def _booked(talk: Talk, result: Result, profile: Profile) -> Step:
    if result.get("start") not in talk.offered:
        return _thinking_on(talk, profile)
    talk, say = booking.taken(talk, str(result["start"]), profile)
    return _thinking_on(talk, profile, say)


def _language_noted(talk: Talk, result: Result, profile: Profile) -> Step:
    tag = str(result.get("language", ""))
    is_spoken = languages.tag_for(tag) is not None
    talk, acts = switching.speak(talk, tag) if is_spoken else (talk, ())
    return _thinking_on(talk, profile, *acts)


def _ended(talk: Talk, result: Result, profile: Profile) -> Step:
    if not result or (talk.emergency and not talk.is_emergency_heard):
        return _thinking_on(talk, profile)
    return closing.goodbye(talk)


def _times_found(talk: Talk, result: Result, profile: Profile) -> Step:
    if booking.has_chosen(talk) or asking.times(talk, "offer_over"):
        return _thinking_on(talk, profile)
    talk = booking.found(talk, result)
    asked = booking.offer(talk, profile)
    if asked is None:
        return asking.go_on(talk, profile)
    if asking.times(talk, Stage.OFFER) >= asking.MOST:
        return asking.go_on(asking.marked(talk, "offer_over"), profile)
    return asking.ask(talk, Stage.OFFER, asked)


def _transferred(talk: Talk, result: Result, profile: Profile) -> Step:
    """A model asks to put the caller through, or the line tells what became of that."""
    status = result.get("status")
    if status == "answered":
        return Step(replace(talk, stage=Stage.OVER), ())
    if status == "requested":
        to = profile.staff.transfer_to
        to = to or (profile.emergency.number if talk.emergency else None)
        if to and not asking.times(talk, "transferred"):
            talk = asking.marked(talk, "transferred")
            return Step(talk, (Say("transfer", is_fixed=True), Transfer(to, "asked")))
        return _thinking_on(talk, profile)
    failed = Say("transfer_failed", is_fixed=True)
    is_open = profile.consent is Consent.ASK and talk.stage is Stage.CONSENT
    if is_open and not talk.emergency:
        return consent.left_open(talk, profile, (failed,))
    return asking.go_on(talk, profile, failed)


_READERS: Mapping[str, Callable[[Talk, Result, Profile], Step]] = {
    "offer_times": _times_found,
    "transfer": _transferred,
    "book": _booked,
    "note_language": _language_noted,
    "end_call": _ended,
}
