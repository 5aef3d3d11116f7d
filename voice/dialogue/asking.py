"""What is asked next: the first thing that is missing, never more often than people bear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from voice import languages
from voice.dialogue import booking, closing, number, slots
from voice.dialogue.types import Act, Listen, Patience, Say, Slot, Stage, Step, Talk
from voice.profile import Consent, Profile

MOST = 2
"""How often anything is asked at most."""
MOST_READ_BACKS = 4
_PIECES_S = 4.0

GOALS: Mapping[Stage, str] = {
    Stage.GREETING: "Find out what the call is about.",
    Stage.REASON: "Ask what the call is about.",
    Stage.NAME: "Ask for the caller's name.",
    Stage.NUMBER: "Ask for the number to call back.",
    Stage.URGENCY: "Ask whether it is urgent.",
    Stage.WHEN: "Ask when an appointment would suit.",
    Stage.OFFER: "Let the caller choose one of the offered times.",
    Stage.ANYTHING_ELSE: "Ask whether there is anything to add.",
}
_LINES: Mapping[Stage, str] = {
    Stage.CONSENT: "consent_ask",
    Stage.REASON: "ask_reason",
    Stage.NAME: "ask_name",
    Stage.URGENCY: "ask_urgency",
    Stage.WHEN: "ask_when",
    Stage.SMS_CONSENT: "ask_sms_consent",
    Stage.ANYTHING_ELSE: "anything_else",
}
#: Stages whose words are a matter of law or of exactness.
_FIXED = frozenset({Stage.CONSENT, Stage.CONFIRM_NUMBER, Stage.OFFER, Stage.SMS_CONSENT})
_ONCE = frozenset({Stage.URGENCY, Stage.WHEN, Stage.ANYTHING_ELSE})


def times(talk: Talk, key: str) -> int:
    """Tell how often something was asked, or has happened."""
    return talk.asked.get(key, 0)


def marked(talk: Talk, key: str) -> Talk:
    """Count something that was asked, or has happened."""
    return replace(talk, asked={**talk.asked, key: times(talk, key) + 1})


def _may_ask(talk: Talk, stage: Stage) -> bool:
    return times(talk, stage) < (1 if stage in _ONCE else MOST)


def _wants_consent(talk: Talk, profile: Profile) -> bool:
    is_asked = profile.consent is Consent.ASK and profile.records
    return is_asked and Slot.RECORDING_CONSENT not in talk.slots and not talk.emergency


def _wants_offer(talk: Talk, profile: Profile) -> bool:
    if not profile.offers_times or "offer_times" not in profile.tools:
        return False
    is_open = times(talk, "offer_over") == 0 and not booking.has_chosen(talk)
    return is_open and slots.wants_appointment(talk)


def _wants_when(talk: Talk, profile: Profile) -> bool:
    is_asked = slots.wants_appointment(talk) or times(talk, "offer_over") > 0
    del profile  # any tenant may be asked for an appointment
    return is_asked and Slot.WHEN not in talk.slots


_WANTED: Mapping[Stage, Callable[[Talk, Profile], bool]] = {
    Stage.CONSENT: _wants_consent,
    Stage.REASON: lambda talk, _: Slot.REASON not in talk.slots,
    Stage.NAME: lambda talk, _: Slot.NAME not in talk.slots,
    Stage.NUMBER: lambda talk, _: not number.is_settled(talk) and talk.pending is None,
    Stage.CONFIRM_NUMBER: lambda talk, _: talk.pending is not None,
    Stage.URGENCY: lambda talk, _: Slot.URGENCY not in talk.slots,
    Stage.OFFER: _wants_offer,
    Stage.WHEN: _wants_when,
    Stage.SMS_CONSENT: lambda talk, profile: (
        profile.asks_sms_consent and Slot.SMS_CONSENT not in talk.slots
    ),
    Stage.ANYTHING_ELSE: lambda _talk, _profile: True,
}
#: In an emergency, and with a caller who is leaving, only what a call back needs.
_QUICK = frozenset({Stage.NAME, Stage.NUMBER, Stage.CONFIRM_NUMBER})
_LEAVING = frozenset({Stage.NUMBER, Stage.CONFIRM_NUMBER})


def is_wanted(talk: Talk, stage: Stage, profile: Profile) -> bool:
    """Tell whether what this stage asks for is still missing."""
    is_brief = (talk.emergency and stage not in _QUICK) or (
        times(talk, "farewell") and stage not in _LEAVING
    )
    wanted = _WANTED.get(stage)
    return not is_brief and wanted is not None and wanted(talk, profile)


def next_stage(talk: Talk, profile: Profile) -> Stage:
    """Give the first thing that is missing and may still be asked; OVER when there is none."""
    for stage, is_wanted in _WANTED.items():
        if talk.emergency and stage not in _QUICK:
            continue
        if times(talk, "farewell") and stage not in _LEAVING:
            continue
        if stage in _LINES and not _may_ask(talk, stage):
            continue
        if is_wanted(talk, profile):
            return stage
    return Stage.OVER


def settled(talk: Talk) -> Talk:
    """Stop asking for what was asked often enough, and make do with what there is."""
    if talk.pending and not _may_confirm(talk, talk.pending):
        talk = replace(talk, pending=None)
    is_brief = bool(talk.emergency) or times(talk, "farewell") > 0
    if not number.is_settled(talk) and talk.pending is None:
        if is_brief and talk.caller_id:
            return number.keep_caller_id(talk)
        if _number_question(talk) is None:
            return number.keep_caller_id(talk)
    return talk


def _may_confirm(talk: Talk, pending: str) -> bool:
    return (
        times(talk, f"confirm:{pending}") < MOST
        and times(talk, Stage.CONFIRM_NUMBER) < MOST_READ_BACKS
    )


def _number_question(talk: Talk) -> Say | None:
    """Give how the number is asked for now: offered, asked, asked again; None when often enough."""
    if times(talk, "number_rejected"):
        line = "number_wrong"
    elif talk.caller_id and not times(talk, "caller_id_refused"):
        line = "offer_caller_id"
    else:
        line = "ask_number"
    if times(talk, line) >= MOST:
        return None
    # A misheard number is asked again in plain words.
    return Say(line, is_fixed=line == "number_wrong")


def question(talk: Talk, stage: Stage, profile: Profile) -> Say | None:
    """Give the question of a stage; None when there is nothing to ask with."""
    if stage is Stage.NUMBER:
        return _number_question(talk)
    if stage is Stage.CONFIRM_NUMBER and talk.pending:
        spoken = languages.digits(talk.pending, talk.language)
        return Say("confirm_number", values={"number": spoken}, is_fixed=True)
    if stage is Stage.OFFER:
        return booking.offer(talk, profile)
    line = _LINES.get(stage)
    return Say(line, is_fixed=stage in _FIXED) if line else None


def go_on(talk: Talk, profile: Profile, *before: Act) -> Step:
    """Say what there is to say and ask for the next thing that is missing, or take leave."""
    talk = settled(talk)
    stage = next_stage(talk, profile)
    if stage is Stage.OFFER and not talk.offered:
        return booking.look_up(marked(talk, "offer_looked"), *before)
    asked = question(talk, stage, profile) if stage is not Stage.OVER else None
    if asked is None:
        return closing.goodbye(talk, *before)
    return ask(talk, stage, asked, *before)


def ask(talk: Talk, stage: Stage, say: Say, *before: Act) -> Step:
    """Ask, and remember what and how often."""
    talk = counted(talk, stage, say)
    talk = replace(talk, stage=stage, last=(say,))
    is_number = stage is Stage.CONFIRM_NUMBER or number.is_expected(talk)
    listen = Listen(Patience.DIGITS if is_number else Patience.NORMAL)
    is_free = not say.is_fixed
    return Step(talk, (*before, say, listen), may_think=is_free, goal=GOALS.get(stage))


def counted(talk: Talk, stage: Stage, say: Say) -> Talk:
    """Count a question by its stage, its line, and a read-back by its number."""
    talk = marked(talk, stage)
    if say.line and say.line not in set(Stage):
        talk = marked(talk, say.line)
    if stage is Stage.CONFIRM_NUMBER and talk.pending:
        talk = marked(talk, f"confirm:{talk.pending}")
    return talk


def times_said(talk: Talk, say: Say) -> int:
    """Tell how often this very thing has been asked."""
    if talk.stage is Stage.CONFIRM_NUMBER and talk.pending:
        return times(talk, f"confirm:{talk.pending}")
    if talk.stage is Stage.GREETING or not say.line or say.line in set(Stage):
        return times(talk, talk.stage)
    return times(talk, say.line)


def wait_for_digits(talk: Talk) -> Step:
    """Say nothing: the caller is in the middle of a number."""
    talk = replace(marked(talk, "pieces"), stage=Stage.NUMBER)
    return Step(talk, (Listen(Patience.DIGITS, _PIECES_S),))
