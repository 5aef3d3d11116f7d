"""Decide in which language a call goes on. Pure: from what was said, what is listed and what is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from voice.analyse.fold import folded
from voice.analyse.language import primary, shares
from voice.languages.catalogue import (
    FALLBACK,
    english_name,
    language,
    line,
    placeholders,
    supported,
    tag_for,
)
from voice.languages.words import expression, pattern, phrases

MOST_INVITATIONS = 3
"""In so many languages a call is opened at most: more would keep the caller waiting."""

_SURE, _LIKELY = 0.9, 0.6
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LETTER = re.compile(r"[^\W\d_]")
_ENOUGH_WORDS, _ENOUGH_LETTERS, _MANY_LETTERS, _SCRIPT_LETTERS = 2, 10, 40, 3
_WISH_WORDS = 14
#: Languages that are read alike: the one that is spoken or listed already is kept.
_ALIKE = (
    frozenset({"hr", "sr", "bs"}),
    frozenset({"id", "ms"}),
    frozenset({"nb", "da", "nn", "no"}),
    frozenset({"zh", "yue"}),
)
#: Languages that a few words do not tell apart, but a sentence does.
_NEAR = (
    frozenset({"cs", "sk"}),
    frozenset({"gl", "pt", "es", "ca"}),
    frozenset({"ru", "uk", "be", "bg", "mk"}),
    frozenset({"hi", "mr", "ne"}),
    frozenset({"ar", "fa", "ur"}),
    frozenset({"nl", "af"}),
    frozenset({"tr", "az"}),
    frozenset({"hr", "sl"}),
)
#: How people ask for a language by its English name.
_ENGLISH_WISHES = (
    "in {}",
    "{} please",
    "speak {}",
    "speaks {}",
    "speaking {}",
    "someone {}",
    "a {} speaker",
)


def first(listed: Sequence[str], known: str | None = None) -> str:
    """Give the language that a call begins with: the caller's, where it is known, else the tenant's first."""
    if known:
        same = _variant(known, listed)
        if same:
            return same
    return next(iter(listed), FALLBACK)


def greeting(
    tenant: str, listed: Sequence[str], *, known: str | None = None, name: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Give what a call is opened with: (tag, text), the greeting and then a short invitation a language.

    A caller whose language is known is greeted in it alone. Others hear that they may also speak
    the tenant's other languages; nothing has to be chosen.
    """
    opening = first(listed, known)
    if name:
        said = line("greeting_known", opening, tenant=tenant, name=name)
    else:
        said = line("greeting", opening, tenant=tenant)
    if known and primary(known) == primary(opening):
        return ((opening, said),)
    seen = {tag_for(opening) or FALLBACK}
    parts = [(opening, said)]
    for tag in listed:
        spoken = tag_for(tag)
        if spoken and spoken not in seen and len(parts) < MOST_INVITATIONS:
            seen.add(spoken)
            parts.append((tag, line("invitation", tag)))
    return tuple(parts)


def choose(
    said: Sequence[str],
    *,
    current: str,
    listed: Sequence[str] = (),
    line_tag: str | None = None,
    known: str | None = None,
) -> str:
    """Give the language to go on in; *current* when nothing speaks for another.

    *said* is what the caller has said, oldest first; *line_tag* is what the line takes the last of it for;
    *listed* are the tenant's languages, *known* is the caller's from earlier calls. A wish
    ("¿habla español?") is followed at once. Else it takes a sentence that is surely of another
    language: a loan word or a name is no reason, nor is what two languages have in common.
    """
    last = said[-1] if said else ""
    wish = wished(last, current)
    if wish:
        return _settle(wish, current, listed, known)
    found = _told(last, line_tag, primary(current) or FALLBACK)
    found = found or _heard(last, current, listed, line_tag, known)
    if found is None and len(said) > 1:
        found = _heard(" ".join(said[-2:]), current, listed, None, known, is_joined=True)
    return _settle(found, current, listed, known) if found else current


def wished(text: str, current: str) -> str | None:
    """Give the language that the caller asks for in so many words, None when they ask for none."""
    said = folded(text)
    if len(said.split()) > _WISH_WORDS:
        return None
    for tag, wish in _wishes():
        if tag != (tag_for(current) or FALLBACK) and wish.search(said):
            return tag
    return None


@cache
def _wishes() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Compile the wishes for each language, in its own words and in English ones."""
    found = []
    for tag in supported():
        name = folded(english_name(tag))
        listed = [expression(wish.format(name)) for wish in _ENGLISH_WISHES]
        listed += [expression(each) for each in phrases(language(tag)["words"]["wish"])]
        alone = rf"^\W*(?:{re.escape(name)}|{re.escape(folded(language(tag)['own']))})\W*$"
        found.append((tag, re.compile("|".join([alone, *listed]))))
    return tuple(found)


def _heard(
    text: str,
    current: str,
    listed: Sequence[str],
    line_tag: str | None,
    known: str | None,
    *,
    is_joined: bool = False,
) -> str | None:
    """Give the language that a text is surely in when it is another than the current one."""
    letters = len(_LETTER.findall(text))
    now = primary(current) or FALLBACK
    expected = {primary(tag) for tag in (*listed, line_tag, known, current)}
    found, share = shares(text)
    found = _kept_sibling(found, share, expected, now)
    if found == now or tag_for(found) is None:
        return None
    if _is_in_other_script(text, now):
        return _in_other_script(text, found, share)
    own, others = _known_words(text, found), _known_words(text, now)
    is_expected = found in expected
    enough = _ENOUGH_WORDS if is_expected else _ENOUGH_WORDS + 1
    if others >= own or letters < _ENOUGH_LETTERS:
        return None
    if own >= enough and share >= (_LIKELY if is_expected else _SURE):
        return found
    if letters >= _MANY_LETTERS and own and share >= _SURE and not is_joined:
        return found
    return None


def _kept_sibling(found: str, share: float, expected: set[str | None], now: str) -> str:
    """Prefer the expected one of two languages that a text does not tell apart."""
    if found in expected:
        return found
    for group in _ALIKE if share >= _SURE else (*_ALIKE, *_NEAR):
        if found in group:
            if now in group:
                return now
            return next((tag for tag in sorted(group) if tag in expected), found)
    return found


def _in_other_script(text: str, found: str, share: float) -> str | None:
    """Give the language of a text in foreign letters; which of several alike, its words decide."""
    letters = _LETTER.findall(text)
    if share >= _LIKELY:
        return found if len(letters) >= _SCRIPT_LETTERS else None
    # A name may be written in Latin letters in any language; other letters tell more.
    is_latin = any(_script(letter) == "LATIN" for letter in letters)
    return None if is_latin or len(letters) < _ENOUGH_LETTERS else _nearest_sibling(text, found)


def _nearest_sibling(text: str, found: str) -> str:
    """Give the one of languages alike whose everyday words a text holds most of: it is surely one of them."""
    groups = (group for group in (*_ALIKE, *_NEAR) if found in group)
    alike = [tag for group in groups for tag in sorted(group) if tag_for(tag)]
    return max([found, *alike], key=lambda tag: _known_words(text, tag))


def _told(text: str, line_tag: str | None, now: str) -> str | None:
    """Believe the line where everyday words of the language that it heard bear it out."""
    told = primary(line_tag)
    if told is None or told == now or tag_for(told) is None:
        return None
    own = _known_words(text, told)
    return told if own >= _ENOUGH_WORDS and own > _known_words(text, now) else None


@lru_cache(maxsize=128)
def _vocabulary(tag: str) -> frozenset[str]:
    """Collect the everyday words of a language: those of its fixed lines and phrases."""
    entry = language(tag)
    texts = [
        each
        for value in entry["lines"].values()
        for each in (value if isinstance(value, list) else [value])
    ]
    texts += entry["words"].values()
    words = {word for text in texts for word in _WORD.findall(folded(text))}
    return frozenset(words - {name for text in texts for name in placeholders(text)})


def _known_words(text: str, tag: str) -> int:
    """Count the different words of a text that are everyday words of a language."""
    words = set(_WORD.findall(folded(text)))
    found = len(words & _vocabulary(tag))
    return found or len(pattern(tag, "please").findall(folded(text)))


def _is_in_other_script(text: str, now: str) -> bool:
    """Tell whether most of a text is in letters that the current language is not written with."""
    own = "".join(line("ask_name", now) + str(language(now)["own"]) + line("consent_announce", now))
    scripts = {_script(letter) for letter in _LETTER.findall(own)}
    letters = _LETTER.findall(text)
    foreign = sum(_script(letter) not in scripts for letter in letters)
    return bool(letters) and foreign * 2 > len(letters)


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    """Name the script of a letter as Unicode's character names begin."""
    import unicodedata  # noqa: PLC0415 - kept by its only user

    return unicodedata.name(letter, "?").split(" ", maxsplit=1)[0].split("-", maxsplit=1)[0]


def _settle(found: str, current: str, listed: Sequence[str], known: str | None) -> str:
    """Give the variant of a language that is spoken: the tenant's, else the caller's, else its lines' tag."""
    if primary(found) == primary(current) and tag_for(found) == tag_for(current):
        return current
    return (
        _variant(found, listed)
        or _variant(found, [known] if known else [])
        or tag_for(found)
        or current
    )


def _variant(tag: str, listed: Sequence[str]) -> str | None:
    """Find a listed tag that is spoken with the same lines, or is at least the same language."""
    same = [each for each in listed if tag_for(each) == tag_for(tag)]
    near = [each for each in listed if primary(each) == primary(tag)]
    return next(iter([*same, *near]), None)
