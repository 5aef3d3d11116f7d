"""One step of a call: what happened goes in, what to do comes out. Pure, and never raises on any words."""

from __future__ import annotations

from dataclasses import replace

from voice import languages
from voice.dialogue import (
    answers,
    asking,
    booking,
    closing,
    consent,
    emergency,
    number,
    opening,
    robots,
    silence,
    slots,
    switching,
    understood,
)
from voice.dialogue.types import (
    Act,
    Heard,
    HungUp,
    Input,
    Listen,
    Pressed,
    Saved,
    Say,
    Silent,
    Slot,
    Stage,
    Step,
    Talk,
    ToolDone,
    Transfer,
)
from voice.profile import Profile

MOST_INPUTS = 120
"""After so many inputs a call is brought to its end."""
_LONGEST, _MOST_SAID, _MOST_PIECES = 4_000, 200, 12
_LEAVING_WORDS, _ASKING_WORDS = 6, 10
_REASON_LENGTH = 300


def step(talk: Talk, given: Input, profile: Profile) -> Step:
    """Give the talk after an input, and what to do."""
    if isinstance(given, HungUp):
        return Step(replace(talk, stage=Stage.OVER), ())
    if talk.stage is Stage.OVER:
        return Step(talk, ())
    talk = replace(talk, inputs=talk.inputs + 1)
    is_from_caller = isinstance(given, Heard | Pressed | Silent)
    if talk.emergency and is_from_caller:
        talk = replace(talk, is_emergency_heard=True)
    if talk.inputs > MOST_INPUTS:
        return closing.goodbye(talk)
    return _taken(talk, given, profile)


def _taken(
    talk: Talk, given: Heard | Pressed | Silent | Saved | ToolDone, profile: Profile
) -> Step:
    match given:
        case Heard(text=text) if text.strip():
            return _heard(talk, given, profile)
        case Heard() | Silent():
            return silence.silent(talk, profile)
        case Pressed(digits=keys):
            return _pressed(replace(talk, silences=0), keys, profile)
        case Saved(slot=slot, value=value):
            return understood.slot(talk, slot, value, profile)
        case ToolDone():
            return understood.tool_done(talk, given, profile)


def _heard(talk: Talk, given: Heard, profile: Profile) -> Step:
    text = given.text.encode("utf-8", "replace").decode("utf-8").strip()[:_LONGEST]
    said = (*talk.said, text)[-_MOST_SAID:]
    talk = replace(talk, said=said, silences=0)
    talk, before = switching.switched(talk, given.language, profile)
    danger = None if talk.emergency else emergency.kind(text, talk.language, profile)
    if danger:
        return _in_danger(talk, danger, text, profile, before)
    if robots.is_recording(text):
        return closing.goodbye(_with_reason(talk, text), *before)
    if languages.wants_person(text, talk.language):
        return _wants_person(talk, text, profile, before)
    return _replied(talk, text, profile, before)


def _replied(talk: Talk, text: str, profile: Profile, before: tuple[Act, ...]) -> Step:
    """Take what was said as part of the conversation: "again, please", something to add, an answer."""
    # One word may be yes and "pardon?" alike, as in Urdu; what was asked decides.
    is_answer = robots.words(text) == 1 and languages.yes_no(text, talk.language) is not None
    if languages.wants_repeat(text, talk.language) and talk.last and not is_answer:
        return _again(talk, profile, before)
    if booking.waits(talk):
        return booking.keep_waiting(slots.read(talk, text, profile))
    if talk.stage is Stage.ANYTHING_ELSE:
        return _anything_else(talk, text, profile, before)
    return _answered(talk, text, profile, before)


def _answered(talk: Talk, text: str, profile: Profile, before: tuple[Act, ...]) -> Step:
    was = talk
    talk, acts = answers.take(talk, text, profile)
    acts = (*before, *acts)
    if robots.is_monologue(talk):
        return closing.goodbye(talk, *acts)
    if _takes_leave(was, text):
        talk = asking.marked(talk, "farewell")
    is_told = talk.slots.get(Slot.RECORDING_CONSENT) != was.slots.get(Slot.RECORDING_CONSENT)
    if is_told and Slot.REASON not in talk.slots:
        return opening.greet(talk, profile, *acts)
    if talk.digits and asking.times(talk, "pieces") < _MOST_PIECES:
        waiting = asking.wait_for_digits(talk)
        return replace(waiting, acts=(*acts, *waiting.acts))
    if talk.digits:
        talk = number.settle_pieces(talk)
    return asking.go_on(talk, profile, *acts)


def _takes_leave(talk: Talk, text: str) -> bool:
    """Tell whether the caller is going: "bye", and not "…that's it" at the end of a message or a number."""
    if not languages.says_goodbye(text, talk.language):
        return False
    is_short = robots.words(text) <= _LEAVING_WORDS
    return is_short and not number.count(text, talk.language)


def _in_danger(
    talk: Talk, danger: str, text: str, profile: Profile, before: tuple[Act, ...]
) -> Step:
    """Say the emergency text before all else; then put through, or take the message quickly."""
    talk = replace(talk, emergency=danger)
    talk = _with_reason(slots.read(talk, text, profile), text)
    talk = replace(talk, slots={**talk.slots, Slot.URGENCY: "critical"})
    acts: tuple[Act, ...] = (*before, emergency.text(talk, profile))
    to = emergency.number(profile)
    if to is None:
        talk = number.settle_pieces(talk) if talk.digits else talk
        return replace(asking.go_on(talk, profile, *acts), may_think=False)
    talk = asking.marked(talk, "transferred")
    return Step(talk, (*acts, Say("transfer", is_fixed=True), Transfer(to, "emergency")))


def _with_reason(talk: Talk, text: str) -> Talk:
    if Slot.REASON in talk.slots:
        return talk
    reason = " ".join(text.split())[:_REASON_LENGTH]
    return replace(talk, slots={**talk.slots, Slot.REASON: reason})


def _wants_person(talk: Talk, text: str, profile: Profile, before: tuple[Act, ...]) -> Step:
    """Put the caller through where the tenant wants it, else say honestly that nobody is there."""
    talk = replace(talk, wants_person=True)
    if robots.words(text) > _ASKING_WORDS:
        talk = slots.read(talk, text, profile)
    to = profile.staff.transfer_to
    is_possible = to and profile.escalation.asked_for_person == "transfer"
    if to and is_possible and not asking.times(talk, "transferred"):
        talk = asking.marked(talk, "transferred")
        return Step(talk, (*before, Say("transfer", is_fixed=True), Transfer(to, "asked")))
    acts = before
    if asking.times(talk, "person_unavailable") < asking.MOST:
        talk = asking.marked(talk, "person_unavailable")
        acts = (*acts, Say("person_unavailable", is_fixed=True))
    if talk.stage is Stage.CONSENT:
        return consent.left_open(talk, profile, acts)
    return asking.go_on(talk, profile, *acts)


def _again(talk: Talk, profile: Profile, before: tuple[Act, ...]) -> Step:
    """Say again what was asked last, in the same words, unless that has been done often enough."""
    say = talk.last[0]
    if talk.stage is Stage.OVER or asking.times_said(talk, say) >= asking.MOST:
        if talk.stage is Stage.CONSENT:
            return consent.left_open(talk, profile, before)
        return asking.go_on(talk, profile, *before)
    if talk.stage is Stage.GREETING:
        return opening.greet(talk, profile, *before)
    asked = asking.question(talk, talk.stage, profile)
    return asking.ask(talk, talk.stage, asked or say, *before)


def _anything_else(talk: Talk, text: str, profile: Profile, before: tuple[Act, ...]) -> Step:
    """Take what the caller adds, and take leave."""
    said = languages.yes_no(text, talk.language)
    is_short = robots.words(text) <= 3  # noqa: PLR2004  # "yes, one more thing"
    if said is True and is_short and not asking.times(talk, "adding"):
        talk = asking.marked(talk, "adding")
        goal = "Let the caller say what they want to add."
        return Step(talk, (*before, Listen()), may_think=True, goal=goal)
    had = talk.slots.get(Slot.NUMBER)
    talk = slots.read(talk, text, profile)
    if talk.digits and had is None and not asking.times(talk, "pieces"):
        return asking.wait_for_digits(talk)
    if talk.pending:
        return asking.go_on(asking.marked(talk, "farewell"), profile, *before)
    is_more = said is None and not is_short and not languages.says_goodbye(text, talk.language)
    # A model may still answer what was asked; goodbye is said after it.
    last = "Answer in one sentence and ask nothing: goodbye is said after you."
    return replace(
        closing.goodbye(talk, *before), may_think=is_more, goal=last if is_more else None
    )


def _pressed(talk: Talk, keys: str, profile: Profile) -> Step:
    """Take keys as digits of a number; a lone 0 asks for a person, as it does everywhere."""
    if talk.stage is Stage.CONSENT:
        return Step(talk, (Listen(),))
    is_asked = talk.stage in {Stage.NUMBER, Stage.CONFIRM_NUMBER} or talk.digits
    if keys == "0" and not is_asked:
        return _wants_person(talk, "", profile, ())
    if talk.stage is Stage.CONFIRM_NUMBER:
        talk = replace(talk, pending=None)
    talk = number.hear_keys(talk, keys)
    if talk.pending or not talk.digits:
        return asking.go_on(talk, profile)
    waiting = asking.wait_for_digits(talk)
    # Keys come one by one; they are not pieces that try a listener's patience.
    return replace(waiting, talk=replace(waiting.talk, asked=talk.asked))
