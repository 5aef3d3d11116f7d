"""The number to call back: said at once or in pieces, keyed, corrected, or the one that the call comes from.

Digits are read by ``voice.analyse.phone``. Here is when they are whole, when to wait for more, and what an answer to
a read-back means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache

import phonenumbers

from voice import languages
from voice.analyse import phone
from voice.analyse.country import e164, tables
from voice.analyse.digits import Run, joined, runs
from voice.analyse.fold import Folded, fold
from voice.analyse.language import primary
from voice.analyse.spoken import phrase_pattern
from voice.dialogue.types import Slot, Stage, Talk

#: Digits that fit this well are a whole number; others may be its beginning.
WHOLE = 76.0
_LEAST_DIGITS, _LONGEST_PIECES = 3, 400
_SURELY_NUMBER, _ANNOUNCED, _ANNOUNCING_WORDS = 6, 40, 5
#: What models save for the number that the call comes from, whose digits they are not told.
OWN = "caller"
_NOT_WORDS = re.compile(r"[\W_]+")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


#: How callers say that their number is there already, beside the lexicon's "this number".
_THE_ONE_YOU_HAVE = (
    "number you have,number you've got,number you see,the one you have,the one you see,one i'm calling from,"
    "one i am calling from,calling you from,never mind the number,my own number,"
    "el que tiene,el que ve,desde el que llamo,le numero affiche,celui que vous avez,celui-ci,"
    "die sie haben,die angezeigte,von der ich anrufe,die sie sehen,o que voce tem,o que aparece,"
    "quello che ha,quello da cui chiamo,het nummer dat u heeft,waarmee ik bel,ten ktory pan ma,z ktorego dzwonie,"
    "который у вас,с которого звоню,который высветился,sizde gorunen,aradigim numara"
)


@cache
def _cues(kind: str) -> re.Pattern[str]:
    listed = str(tables()["cues"][kind]).split(",")
    return phrase_pattern(listed + (_THE_ONE_YOU_HAVE.split(",") if kind == "same" else []))


def is_expected(talk: Talk) -> bool:
    """Tell whether digits are what the caller will say next, or is saying."""
    if talk.digits:
        return True
    if talk.stage is not Stage.NUMBER:
        return False
    return not any(say.line == "offer_caller_id" for say in talk.last)


@lru_cache(maxsize=16)
def dictated(text: str, language: str) -> Sequence[Run]:
    """Give the stretches of digits in a text, in the call's language or else in English."""
    whole = fold(text)
    for tag in dict.fromkeys((primary(language) or "en", "en")):
        found = runs(whole, tag)
        if found:
            return tuple(found)
    return ()


def count(text: str, language: str) -> int:
    """Count the digits that are dictated in a text."""
    return sum(len(joined(run.readings[0])) for run in dictated(text, language))


def without_numbers(text: str, language: str) -> str:
    """Leave out dictated numbers and the words that announce them: "my number is four one five …"."""
    whole = fold(text)
    spans = []
    for run in dictated(text, language):
        if len(joined(run.readings[0])) < _SURELY_NUMBER:
            continue
        sentence = max(whole.text.rfind(mark, 0, run.start) for mark in ".!?;") + 1
        cues = [match.start() for match in _cues("for").finditer(whole.text, sentence, run.start)]
        near = [start for start in cues if run.start - start <= _ANNOUNCED]
        spans.append(whole.span(min(near, default=run.start), run.end))
    for start, end in reversed(spans):
        text = f"{text[:start].rstrip(' ,')} {text[end:].lstrip(' ,')}"
    return text.strip()


def read(text: str, language: str, near: str | None, *, least: float = WHOLE) -> str | None:
    """Give the number of a text as E.164, if its digits fit well enough to be one."""
    found = phone.find(text, language=language, caller_id=near)
    if not found or found[0].score < least or not _E164.fullmatch(found[0].number):
        return None
    if least and not _is_near(found[0].number, near) and not _may_be_foreign(text, language):
        return None
    return found[0].number


def _is_near(number: str, near: str | None) -> bool:
    """Tell whether a number is of the country that the call belongs to."""
    if near is None:
        return True
    return phonenumbers.parse(number).country_code == phonenumbers.parse(near).country_code


def _may_be_foreign(text: str, language: str) -> bool:
    """Tell whether a number begins as one of another country may; nine American digits are a tenth short."""
    firsts = [run.readings[0][0] for run in dictated(text, language)]
    return any(first.begins_number or first.digits.startswith("0") for first in firsts)


def is_cut_short(text: str, language: str, near: str | None) -> bool:
    """Tell whether a text stops in the middle of a number, or right before one."""
    if not text.strip():
        return False
    whole = fold(text)
    found = dictated(text, language)
    if found and not _NOT_WORDS.sub("", whole.text[found[-1].end :]):
        last = found[-1]
        digits = len(joined(last.readings[0]))
        start = whole.at[last.start]
        tail = text[max(0, start - 2) :]
        is_part = digits >= _LEAST_DIGITS or bool(_cues("for").search(whole.text))
        return is_part and read(tail, language, near) is None
    return _ends_with_cue(whole)


def _ends_with_cue(whole: Folded) -> bool:
    """Tell whether a text ends with the words that announce a number: "my number is"."""
    said = whole.text.rstrip(" ,.:…-")
    starts = [match.start() for match in re.finditer(r"\b\w", said)][-_ANNOUNCING_WORDS:]
    matches = (_cues("for").match(said, start) for start in starts)
    is_announced = any(match and match.end() == len(said) for match in matches)
    return is_announced and "number" in said[-_ANNOUNCED:]


def wants_caller_id(text: str) -> bool:
    """Tell whether the caller means the number that they are calling from."""
    return bool(_cues("same").search(fold(text).text))


def take(talk: Talk, number: str, *, is_confirmed: bool = False) -> Talk:
    """Put a number in its slot; unless it is confirmed it waits to be read back."""
    return replace(
        talk,
        slots={**talk.slots, Slot.NUMBER: number},
        is_number_confirmed=is_confirmed,
        pending=None if is_confirmed else number,
        digits="",
    )


def keep_caller_id(talk: Talk, *, is_confirmed: bool = False) -> Talk:
    """Settle for the number that the call comes from; without one, for none."""
    if talk.caller_id:
        return replace(take(talk, talk.caller_id, is_confirmed=is_confirmed), pending=None)
    return give_up(talk)


def give_up(talk: Talk) -> Talk:
    """Ask for no number any more."""
    slots = {key: value for key, value in talk.slots.items() if key != Slot.NUMBER}
    asked = {**talk.asked, "number_given_up": 1}
    return replace(talk, slots=slots, asked=asked, pending=None, digits="")


def is_settled(talk: Talk) -> bool:
    """Tell whether nothing more is to be found out about the number."""
    has_number = Slot.NUMBER in talk.slots and talk.pending is None
    return has_number or "number_given_up" in talk.asked


def hear(talk: Talk, text: str) -> Talk:
    """Take a number, or a part of one, out of what was said; the talk is the same when there is none."""
    pieces = f"{talk.digits}, {text}" if talk.digits else text
    found = read(pieces, talk.language, talk.near)
    if found is None and talk.digits:
        # The pieces may be a false start, and this the number anew.
        found = read(text, talk.language, talk.near)
    if found:
        return take(talk, found)
    if wants_caller_id(text) and talk.caller_id:
        return keep_caller_id(talk, is_confirmed=True)
    has_digits = count(text, talk.language) >= (1 if is_expected(talk) else _LEAST_DIGITS)
    is_part = has_digits and (is_expected(talk) or is_cut_short(text, talk.language, talk.near))
    if is_part and len(pieces) <= _LONGEST_PIECES:
        return replace(talk, digits=pieces)
    return talk


def hear_keys(talk: Talk, keys: str) -> Talk:
    """Take keys that were pressed: digits go on, ``*`` begins anew, ``#`` ends."""
    digits = talk.digits if talk.digits.isdigit() else ""
    is_ended = False
    for key in keys:
        if key == "*":
            digits = ""
        elif key == "#":
            is_ended = bool(digits)
        elif key.isascii() and key.isdigit():
            digits += key
    found = read(digits, talk.language, talk.near) if digits else None
    if found:
        return take(talk, found)
    held = replace(talk, digits=digits[:20])
    return settle_pieces(held) if is_ended else held


def settle_pieces(talk: Talk) -> Talk:
    """Make do with the pieces, as no more come: a number that fits less well, or none."""
    found = read(talk.digits, talk.language, talk.near, least=1.0) if talk.digits else None
    return take(talk, found) if found else replace(talk, digits="")


def answer(talk: Talk, text: str) -> Talk | None:
    """Read the answer to "I have … Is that right?"; None when it says neither.

    The number is then confirmed, replaced by another one that waits to be read back, or gone.
    """
    pending = talk.pending
    if pending is None:
        return talk
    said = languages.yes_no(text, talk.language)
    parts = dictated(text, talk.language)
    digits = "".join(joined(run.readings[0]) for run in parts)
    if len(digits) < 2:  # noqa: PLR2004  # "no, one moment" corrects nothing
        return _plain_answer(talk, pending, said, text)
    is_again = said is not False and _is_said_again(pending, parts)
    whole = pending if is_again else read(text, talk.language, talk.near)
    if whole:
        return take(talk, whole, is_confirmed=whole == pending)
    other = _longer(talk, pending, text) if said is None else None
    other = other or _corrected(talk, pending, text)
    return take(talk, other) if other else _without(talk)


def _longer(talk: Talk, pending: str, text: str) -> str | None:
    """Read further digits as the end of the number: it was read back too soon."""
    found = read(f"{pending}, {text}", talk.language, talk.near)
    return found if found and found != pending and found.startswith(pending) else None


def _corrected(talk: Talk, pending: str, text: str) -> str | None:
    """Read further digits in the place of as many of the number: "no, 0133"."""
    longest = max((joined(run.readings[0]) for run in dictated(text, talk.language)), key=len)
    for said in (text, longest):
        corrected = f"{pending}, no, sorry, {said}"
        found = read(corrected, talk.language, talk.near, least=0.0)
        if found and found != pending:
            return found
    return None


def _is_said_again(pending: str, parts: Sequence[Run]) -> bool:
    """Tell whether the digits only repeat a part of the number."""
    return all(any(joined(reading) in pending for reading in run.readings[:3]) for run in parts)


def _plain_answer(talk: Talk, pending: str, said: bool | None, text: str) -> Talk | None:  # noqa: FBT001  # yes, no or neither
    if wants_caller_id(text) and talk.caller_id:
        return keep_caller_id(talk, is_confirmed=True)
    if said is None:
        return None
    return take(talk, pending, is_confirmed=True) if said else _without(talk)


def _without(talk: Talk) -> Talk:
    slots = {key: value for key, value in talk.slots.items() if key != Slot.NUMBER}
    return replace(talk, slots=slots, pending=None, is_number_confirmed=False, digits="")


def saved(value: str, talk: Talk) -> str | None:
    """Read a number that a model has written down, or its word for the caller's own; None when it can be none."""
    if value.strip().lower() == OWN or (not count(value, "en") and wants_caller_id(value)):
        return talk.caller_id
    written = e164(value)
    if written and _E164.fullmatch(written):
        return written
    return read(value, talk.language, talk.near, least=0.0)
