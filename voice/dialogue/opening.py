"""How a call begins: the word about recording, then a greeting that asks for all that is wanted."""

from __future__ import annotations

from dataclasses import replace

from voice import languages
from voice.analyse.country import e164
from voice.dialogue.types import (
    Act,
    KnownCaller,
    Listen,
    Say,
    Slot,
    SpeakIn,
    Stage,
    StartRecording,
    Step,
    Talk,
)
from voice.profile import Consent, Profile

_PATIENT_S = 9.0


def begin(profile: Profile, *, caller_id: str | None, known: KnownCaller | None = None) -> Step:
    """Open a call. ``caller_id`` may be withheld or no number at all; ``known`` is what earlier events say."""
    tag = languages.first(profile.languages, known.language if known else None)
    slots: dict[str, str] = {}
    if known and known.name and not profile.is_phi:
        slots[Slot.NAME] = known.name
    own = e164(caller_id)
    near = own or e164(profile.number)
    talk = Talk(language=tag, caller_id=own, near=near, known=known, slots=slots)
    before: tuple[Act, ...] = () if tag == next(iter(profile.languages), tag) else (SpeakIn(tag),)
    if not profile.records or profile.consent is Consent.NONE:
        start: tuple[Act, ...] = (StartRecording(),) if profile.records else ()
        return greet(talk, profile, *before, *start)
    if profile.consent is Consent.ASK:
        ask = Say("consent_ask", is_fixed=True)
        talk = replace(
            talk, stage=Stage.CONSENT, asked={Stage.CONSENT: 1, "consent_ask": 1}, last=(ask,)
        )
        return Step(talk, (*before, ask, Listen()))
    announced = Say("consent_announce", is_interruptible=False, is_fixed=True)
    return greet(talk, profile, *before, announced, StartRecording())


def greet(talk: Talk, profile: Profile, *before: Act) -> Step:
    """Say who is speaking, and ask for name, number and reason at once."""
    says = tuple(_greeting(talk, profile))
    asked = {**talk.asked, Stage.GREETING: talk.asked.get(Stage.GREETING, 0) + 1}
    spoken: list[Act] = []
    for tag, say in says:
        # An invitation is spoken by that language's voice, and then the first one's is taken again.
        spoken += [SpeakIn(tag), say, SpeakIn(talk.language)] if tag != talk.language else [say]
    talk = replace(talk, stage=Stage.GREETING, asked=asked, last=(says[0][1],))
    return Step(talk, (*before, *spoken, Listen(silence_s=_PATIENT_S)))


def _greeting(talk: Talk, profile: Profile) -> list[tuple[str, Say]]:
    known = talk.known
    own = _own_greeting(talk.language, profile)
    tenant = profile.name.strip() or profile.number
    name = known.name if known and not profile.is_phi else None
    listed = languages.greeting(
        tenant,
        profile.languages,
        known=known.language if known else None,
        name=name,
    )
    parts = [(tag, Say(text=text, is_fixed=True)) for tag, text in listed]
    if name:
        first = Say("greeting_known", values={"name": name, "tenant": tenant}, is_fixed=True)
    elif own:
        first = Say(text=own, is_fixed=True)
    else:
        first = Say("greeting", values={"tenant": tenant}, is_fixed=True)
    return [(talk.language, first), *parts[1:]]


def _own_greeting(language: str, profile: Profile) -> str | None:
    """Give the tenant's own greeting in a language, if it has one."""
    if language in profile.greetings:
        return profile.greetings[language]
    tag = languages.tag_for(language)
    return next(
        (
            text
            for each, text in profile.greetings.items()
            if tag and languages.tag_for(each) == tag
        ),
        None,
    )
