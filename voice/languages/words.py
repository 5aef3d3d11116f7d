"""Understand the few words that steer a call: yes, no, "say that again", "a person, please", "bye"."""

from __future__ import annotations

import re
from functools import lru_cache

from voice.analyse.fold import folded
from voice.analyse.spoken import SOLID
from voice.languages.catalogue import FALLBACK, language, tag_for

_SHORT_WORDS, _SHORT_SOLID = 12, 24
_LATE_WORDS = 3
_NOT_LETTERS = re.compile(r"[\W_]+")
#: What people murmur in any language.
_MURMURS = "mhm,mm,mmm,mm-hmm,mmhmm,hmm,hm,uh-huh,uhuh,uh huh,aha,ah,oh,ok,okay"


def phrases(listed: str) -> tuple[str, ...]:
    """Split a list of phrases as the language files hold it."""
    return tuple(each for each in (folded(part).strip() for part in listed.split(",")) if each)


def expression(phrase: str) -> str:
    """Turn a folded phrase into a regular expression: whole words, ``*`` for any ending."""
    if SOLID.search(phrase):
        return re.escape(phrase)
    body = re.escape(phrase).replace(r"\*", r"\w*").replace(r"\ ", r"[\s,]+")
    return rf"(?<!\w){body}(?!\w)"


@lru_cache(maxsize=1024)
def pattern(tag: str, kind: str) -> re.Pattern[str]:
    """Compile a language's phrases of a kind, the longest tried first."""
    listed = phrases(language(tag)["words"].get(kind, ""))
    if kind == "backchannel":
        listed += phrases(_MURMURS)
    ordered = sorted(set(listed), key=len, reverse=True)
    return re.compile("|".join(map(expression, ordered)) or r"(?!)")


def is_short(text: str, words: int = _SHORT_WORDS, solid: int = _SHORT_SOLID) -> bool:
    """Tell whether a folded text is a remark rather than a message."""
    if SOLID.search(text) and " " not in text.strip():
        return len(_NOT_LETTERS.sub("", text)) <= solid
    return len(text.split()) <= words


def is_only(text: str, tag: str, *kinds: str) -> bool:
    """Tell whether a folded text holds nothing but phrases of these kinds, and at least one of the first."""
    if not pattern(tag, kinds[0]).search(text):
        return False
    rest = text
    for kind in kinds:
        rest = pattern(tag, kind).sub(" ", rest)
    return not _NOT_LETTERS.sub("", rest)


def yes_no(text: str, tag: str) -> bool | None:
    """Tell whether a caller agrees (True), refuses (False), or says neither (None).

    What comes first counts ("no, that's right, yes" refuses), and only in a short remark or at its
    beginning. English is understood in every language.
    """
    said = folded(text)
    for name in dict.fromkeys((tag_for(tag) or FALLBACK, FALLBACK)):
        found = [
            (match.start(), -len(match.group()), answer)
            for answer, kind in ((True, "yes"), (False, "no"))
            if (match := pattern(name, kind).search(said))
        ]
        if found:
            start, _, answer = min(found)
            if is_short(said) or not _NOT_LETTERS.sub("", said[:start]):
                return answer
    return None


def is_backchannel(text: str, tag: str) -> bool:
    """Tell whether the caller only shows that they listen ("mhm", "okay", "ja")."""
    return is_only(folded(text), tag, "backchannel")


def wants_repeat(text: str, tag: str) -> bool:
    """Tell whether the caller asks to hear it again."""
    return _asks(text, tag, "repeat")


def wants_person(text: str, tag: str) -> bool:
    """Tell whether the caller asks for a human being."""
    said = folded(text)
    names = dict.fromkeys((tag_for(tag) or FALLBACK, FALLBACK))
    return any(_is_asked(said, name, "person", anywhere=True) for name in names)


def _asks(text: str, tag: str, kind: str) -> bool:
    said = folded(text)
    names = dict.fromkeys((tag_for(tag) or FALLBACK, FALLBACK))
    return is_short(said) and any(_is_asked(said, name, kind, anywhere=True) for name in names)


def _is_asked(said: str, tag: str, kind: str, *, anywhere: bool) -> bool:
    """Look for a phrase; a single word of a script with spaces must be all that is said."""
    if anywhere and any(
        " " in match.group() or SOLID.search(match.group())
        for match in pattern(tag, kind).finditer(said)
    ):
        return True
    return is_only(said, tag, kind, "please", "backchannel")


def says_goodbye(text: str, tag: str) -> bool:
    """Tell whether the caller takes leave: a phrase of farewell at the end of what they say."""
    said = folded(text).strip()
    for name in dict.fromkeys((tag_for(tag) or FALLBACK, FALLBACK)):
        ends = [match.end() for match in pattern(name, "goodbye").finditer(said)]
        if ends and is_short(said[max(ends) :], _LATE_WORDS, _LATE_WORDS * 2):
            return True
    return False
