"""Read what the dialogue needs before the first caller waits for it."""

from __future__ import annotations

from collections.abc import Sequence

from voice import languages
from voice.dialogue.conversation import step
from voice.dialogue.opening import begin
from voice.dialogue.types import Heard
from voice.profile import Profile

_SAID = (
    "Hi, this is Dana, I need an appointment on Tuesday. My number is 415 555 0132.",
    "yes",
    "no thanks, bye",
)


def load(tags: Sequence[str] = ("en-US",)) -> None:
    """Play a call in each language, so that lexicons and patterns are read; some seconds on one core."""
    for tag in tags:
        profile = Profile(tenant_id="", number="+14155550100", name="-", languages=(tag,))
        now = begin(profile, caller_id="+14155550101")
        said = (languages.line("ask_reason", tag), *_SAID)
        for text in said:
            now = step(now.talk, Heard(text), profile)
