"""Read what the caller says as the answer to what was asked, and for everything else that it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from voice import languages
from voice.dialogue import asking, booking, number, robots, slots
from voice.dialogue.types import Act, Slot, Stage, StartRecording, Talk
from voice.dialogue.types import Say as _Say
from voice.profile import Profile

_MESSAGE_WORDS = 7
Answered = tuple[Talk, tuple[Act, ...]]


def take(talk: Talk, text: str, profile: Profile) -> Answered:
    """Give the talk after an answer, and what has to be said or done about it first."""
    reader = _READERS.get(talk.stage)
    if reader is None:
        return slots.read(talk, text, profile), ()
    return reader(talk, text, profile)


def consent(talk: Talk, text: str, profile: Profile) -> Answered:
    """Read the answer about the recording; only a clear yes is one, and the second doubt is a no."""
    said = languages.yes_no(text, talk.language)
    if said is None and asking.times(talk, Stage.CONSENT) < asking.MOST:
        return slots.read(talk, text, profile), ()
    talk = _with(talk, Slot.RECORDING_CONSENT, said is True)
    if said is None or robots.words(text) >= _MESSAGE_WORDS:
        talk = slots.read(talk, text, profile)
    if said is True:
        return talk, (StartRecording(),)
    return talk, (_Say("consent_declined", is_fixed=True),)


def _with(talk: Talk, slot: Slot, is_yes: bool) -> Talk:  # noqa: FBT001  # what was said
    return replace(talk, slots={**talk.slots, slot: "yes" if is_yes else "no"})


def name(talk: Talk, text: str, profile: Profile) -> Answered:
    """Read a name, which may stand alone, and what is said beside it."""
    had_number = talk.slots.get(Slot.NUMBER), talk.digits
    talk = slots.read(talk, text, profile)
    is_number = (talk.slots.get(Slot.NUMBER), talk.digits) != had_number
    if Slot.NAME not in talk.slots and not is_number:
        told = slots.name_answer(text, talk.language)
        if told:
            talk = replace(talk, slots={**talk.slots, Slot.NAME: told})
    return talk, ()


def phone(talk: Talk, text: str, profile: Profile) -> Answered:
    """Read a number, a piece of one, or the answer to "Is the number you are calling from…?"."""
    before = talk
    is_offer = any(say.line == "offer_caller_id" for say in talk.last)
    talk = number.hear(talk, text)
    if talk is not before:
        if is_offer:
            talk = asking.marked(talk, "caller_id_refused")
        return slots.read(talk, text, profile) if not talk.digits else talk, ()
    if talk.digits:
        # No digits more: the number is as long as it is.
        talk = number.settle_pieces(talk)
        if Slot.NUMBER in talk.slots:
            return talk, ()
        return asking.marked(talk, "number_rejected"), ()
    said = languages.yes_no(text, talk.language)
    if is_offer and said is True:
        return number.keep_caller_id(talk, is_confirmed=True), ()
    if said is False:
        if not is_offer:
            return number.keep_caller_id(talk), ()
        talk = asking.marked(talk, "caller_id_refused")
    return slots.read(talk, text, profile), ()


def read_back(talk: Talk, text: str, profile: Profile) -> Answered:
    """Read the answer to the digits that were read back."""
    answered = number.answer(talk, text)
    if answered is None:
        rest = replace(talk, pending=None)
        read = slots.read(rest, text, profile)
        if read.pending is None and read.slots.get(Slot.NUMBER) == talk.pending:
            read = replace(read, pending=talk.pending)
        return read, ()
    if Slot.NUMBER not in answered.slots:
        answered = asking.marked(answered, "number_rejected")
    return answered, ()


def urgency(talk: Talk, text: str, profile: Profile) -> Answered:
    """Read how pressing it is."""
    talk = slots.urgency_answer(talk, text, profile)
    return slots.read(talk, text, profile), ()


def when(talk: Talk, text: str, profile: Profile) -> Answered:
    """Take the wish for a time in the caller's words."""
    talk = slots.read(talk, text, profile)
    return (talk if Slot.WHEN in talk.slots else slots.when_answer(talk, text)), ()


def offer(talk: Talk, text: str, profile: Profile) -> Answered:
    """Read which of the offered times is taken; with none, the wish is asked for in words."""
    chosen = booking.choice(talk, text, profile)
    if chosen:
        talk, say = booking.taken(talk, chosen, profile)
        return talk, (say,)
    if booking.refuses(talk, text):
        slots_left = {key: value for key, value in talk.slots.items() if key != Slot.WHEN}
        wish = slots.when(text, talk.language)
        if wish:
            slots_left[Slot.WHEN] = wish
        return asking.marked(replace(talk, slots=slots_left), "offer_over"), ()
    if asking.times(talk, Stage.OFFER) >= asking.MOST:
        talk = asking.marked(talk, "offer_over")
    return slots.read(talk, text, profile), ()


def sms_consent(talk: Talk, text: str, profile: Profile) -> Answered:
    """Read whether text messages may be sent; only a clear yes is one."""
    said = languages.yes_no(text, talk.language)
    if said is None and asking.times(talk, Stage.SMS_CONSENT) < asking.MOST:
        return slots.read(talk, text, profile), ()
    return _with(talk, Slot.SMS_CONSENT, said is True), ()


_READERS: Mapping[Stage, Callable[[Talk, str, Profile], Answered]] = {
    Stage.CONSENT: consent,
    Stage.NAME: name,
    Stage.NUMBER: phone,
    Stage.CONFIRM_NUMBER: read_back,
    Stage.URGENCY: urgency,
    Stage.WHEN: when,
    Stage.OFFER: offer,
    Stage.SMS_CONSENT: sms_consent,
}
