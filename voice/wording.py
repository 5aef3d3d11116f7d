"""The words of what the dialogue wants to be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voice import languages
from voice.dialogue.types import Act, Say, SpeakIn
from voice.profile import Profile


def text_of(say: Say, language: str, profile: Profile) -> str:
    """Give an act's words in a language: its own text, or the fixed line filled in."""
    if say.text is not None:
        return say.text
    if say.line is None:
        return ""
    return fixed(say.line, language, profile, values=say.values)


def fixed(
    name: str,
    language: str,
    profile: Profile,
    *,
    values: Mapping[str, str] | None = None,
    variant: int = 0,
) -> str:
    """Give a fixed line in a language; the tenant's name is put in where it belongs."""
    given = {"tenant": profile.name, **(values or {})}
    return languages.line(
        name, language, region_number=profile.number or None, variant=variant, **given
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """How a call begins: what is said at once, in one language and by one voice, and what comes after it."""

    text: str
    is_interruptible: bool
    rest: tuple[Act, ...]


def opening(acts: Sequence[Act], language: str, profile: Profile) -> Opening:
    """Split the first acts into what can be said before anything is connected, and the rest.

    Invitations in other languages belong to the rest: other voices speak them. So does what may be interrupted
    after something that may not.
    """
    says: list[Say] = []
    rest: list[Act] = []
    is_first = True
    for act in acts:
        if isinstance(act, SpeakIn) and act.language == language and is_first:
            continue
        is_first = is_first and not (says and _is_another_voice(act, says[0]))
        if isinstance(act, Say) and is_first:
            says.append(act)
        else:
            rest.append(act)
    text = " ".join(text_of(say, language, profile) for say in says)
    return Opening(text, all(say.is_interruptible for say in says), tuple(rest))


def _is_another_voice(act: Act, first: Say) -> bool:
    """Tell whether an act ends what can be said in one go."""
    if isinstance(act, Say):
        return act.is_interruptible != first.is_interruptible
    return isinstance(act, SpeakIn)
