"""Go on in the caller's language."""

from __future__ import annotations

from dataclasses import replace

from voice import languages
from voice.dialogue import asking, robots
from voice.dialogue.types import Act, SpeakIn, Talk
from voice.profile import Profile

_MOST_SWITCHES = 4


def switched(talk: Talk, line_tag: str | None, profile: Profile) -> tuple[Talk, tuple[Act, ...]]:
    """Go on in the caller's language, if what they say is surely in another one."""
    last = talk.said[-1]
    is_answer = robots.words(last) == 1 and languages.yes_no(last, talk.language) is not None
    if is_answer or asking.times(talk, "switched") >= _MOST_SWITCHES:
        return talk, ()
    tag = languages.choose(
        talk.said[-2:],
        current=talk.language,
        listed=profile.languages,
        line_tag=line_tag,
        known=talk.known.language if talk.known else None,
    )
    return speak(talk, tag)


def speak(talk: Talk, tag: str) -> tuple[Talk, tuple[Act, ...]]:
    """Speak and hear another language from here on."""
    if tag == talk.language:
        return talk, ()
    talk = asking.marked(replace(talk, language=tag), "switched")
    return talk, (SpeakIn(tag),)
