"""Read without a model what a caller has told: name, reason, urgency, and when they would like to come."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from mappings.event import Bucket
from voice import languages
from voice.analyse import appointment, signals, summary, urgency
from voice.analyse.fold import folded
from voice.analyse.gist import gist, phrase
from voice.analyse.language import primary
from voice.analyse.name import Introduction, greetings, introduction
from voice.analyse.spoken import SOLID
from voice.dialogue import number
from voice.dialogue.emergency import rubric
from voice.dialogue.types import Slot, Stage, Talk
from voice.profile import Profile

_OPEN = frozenset({Stage.CONSENT, Stage.GREETING, Stage.REASON})
_LETTERS = re.compile(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*")
_MARKS = re.compile(r"[\s,.;:!?¡¿。、！？،؟।…\"“”«»()-]+")
_MOST_NAME_WORDS, _LONGEST_NAME, _LONGEST_SOLID_NAME, _SHORT_NAME = 4, 60, 8, 3
_LONGEST_REASON, _LONGEST_WHEN, _FEW_WORDS = 300, 120, 2
#: A caller who says one of these has told how pressing it is.
_TELLING = frozenset({"now", "soon", "urgent", "calm", "life", "hazard"})
_ANY_DAY = datetime(2026, 1, 5, tzinfo=UTC)
_CHECKING = re.compile(
    r"^\W*(?:(?:hi|hello|hey|hallo|alo|allo|hola|pronto|moshi moshi)\W*)*"
    r"(?:(?:is )?any(?:one|body) (?:there|home)|are you there|can you hear me|who is this|who's this)?\W*$"
)


def read(talk: Talk, text: str, profile: Profile) -> Talk:
    """Take everything out of a text that it tells and that is not known yet, whatever was asked."""
    talk = _name(talk, text)
    talk = _number(talk, text)
    if Slot.REASON not in talk.slots and talk.stage not in {Stage.NAME, Stage.NUMBER}:
        reason = _reason(talk, text)
        talk = _with(talk, Slot.REASON, reason)
    talk = _urgency(talk, profile)
    return _appointment(talk, text)


def _with(talk: Talk, slot: Slot, value: str | None) -> Talk:
    return replace(talk, slots={**talk.slots, slot: value}) if value else talk


def _name(talk: Talk, text: str) -> Talk:
    """Take a name that the caller says to be theirs; once known, only in so many words."""
    found = introduction(text, talk.language).full
    if found is None:
        return talk
    is_first = Slot.NAME not in talk.slots and talk.stage in {*_OPEN, Stage.NAME}
    explicit = introduction(text.lower(), talk.language).full
    is_explicit = explicit is not None and folded(found).startswith(folded(explicit).split()[0])
    if is_first or (is_explicit and talk.stage in {*_OPEN, Stage.NAME}):
        return _with(talk, Slot.NAME, found[:_LONGEST_NAME])
    if is_explicit and Slot.NAME not in talk.slots:
        return _with(talk, Slot.NAME, found[:_LONGEST_NAME])
    return talk


def name_answer(text: str, language: str) -> str | None:
    """Read the answer to "May I have your name?", which may be the name alone."""
    found = introduction(text, language).full
    if found:
        return found[:_LONGEST_NAME]
    if "?" in text or "？" in text or "؟" in text or number.dictated(text, language):
        return None
    bare = " ".join(_MARKS.sub(" ", text).split())
    if SOLID.search(bare):
        is_answer = languages.yes_no(bare, language) is not None
        short = bare.replace(" ", "")
        return short if 1 < len(short) <= _LONGEST_SOLID_NAME and not is_answer else None
    said = _LETTERS.findall(bare)
    words = [word for word in said if not _is_filler(word)] or _short_name(said, language)
    if not 0 < len(words) <= _MOST_NAME_WORDS or languages.yes_no(text, language) is not None:
        return None
    if phrase("wants").search(folded(bare)):
        return None
    told = " ".join(words)
    return (told.title() if told.islower() else told)[:_LONGEST_NAME]


def _short_name(said: list[str], language: str) -> list[str]:
    """Take a lone "Jo" or "Bo" for a name, though some language hesitates or greets so."""
    is_name = len(said) == 1 and said[0].istitle() and len(said[0]) <= _SHORT_NAME
    return said if is_name and not languages.is_backchannel(said[0], language) else []


def _is_filler(word: str) -> bool:
    plain = folded(word)
    return plain in greetings() or bool(phrase("fillers").fullmatch(plain))


def _number(talk: Talk, text: str) -> Talk:
    if Slot.NUMBER not in talk.slots:
        return number.hear(talk, text)
    found = number.read(text, talk.language, talk.near)
    if found and found != talk.slots[Slot.NUMBER]:
        return number.take(talk, found)
    return talk


def _reason(talk: Talk, text: str) -> str | None:
    """Give what the text says beside name, number and greeting."""
    if _CHECKING.match(folded(text)):
        return None
    who = Introduction(full=talk.slots.get(Slot.NAME))
    rest = number.without_numbers(text, talk.language)
    heard = signals.find(rest, talk.language)
    found = summary.summarise(rest, who=who, signals=heard, language=talk.language).reason
    if found is None or languages.is_backchannel(found, talk.language):
        return None
    is_word = len(found.split()) < _FEW_WORDS and not SOLID.search(found)
    if is_word and talk.stage is not Stage.REASON:
        return None
    if languages.says_goodbye(found, talk.language) and len(found.split()) <= _FEW_WORDS + 1:
        return None
    is_answer = languages.yes_no(found, talk.language) is not None
    if is_answer and len(found.split()) <= _FEW_WORDS:
        return None
    return found[:_LONGEST_REASON]


def _urgency(talk: Talk, profile: Profile) -> Talk:
    """Score what was said so far; only what tells how pressing it is settles the matter."""
    if Slot.URGENCY in talk.slots:
        return talk
    found = signals.find(" ".join(talk.said), talk.language)
    score = urgency.score(found, bucket=Bucket.OTHER, rubric=rubric(profile))
    is_told = bool(_TELLING & {signal.kind for signal in found})
    if is_told or score.level in {"high", "critical"}:
        return _with(talk, Slot.URGENCY, score.level.value)
    return talk


def urgency_answer(talk: Talk, text: str, profile: Profile) -> Talk:
    """Read the answer to "Is this urgent?"; whoever says neither is taken for normal."""
    found = signals.find(text, talk.language)
    kinds = {signal.kind for signal in found}
    said = languages.yes_no(text, talk.language)
    level = urgency.score(found, bucket=Bucket.OTHER, rubric=rubric(profile)).level.value
    if "calm" in kinds or (said is False and not kinds & _TELLING):
        level = "low"
    elif level not in {"high", "critical"}:
        is_pressing = said is True or bool(kinds & {"now", "urgent"})
        level = "high" if is_pressing else "normal"
    return _with(talk, Slot.URGENCY, level)


def wants_appointment(talk: Talk) -> bool:
    """Tell whether the caller has spoken of an appointment."""
    words = phrase("appointment.words")
    return any(words.search(folded(text)) for text in talk.said)


def _appointment(talk: Talk, text: str) -> Talk:
    if not phrase("appointment.words").search(folded(text)):
        return talk
    if Slot.SERVICE not in talk.slots:
        # Which day it is matters to the window only; that is read after the call.
        found = appointment.appointment(
            text,
            bucket=Bucket.APPOINTMENT,
            language=talk.language,
            received_at=_ANY_DAY,
            timezone="UTC",
        )
        service = found.service
        is_named = service and not phrase("appointment.words").search(folded(service))
        talk = _with(talk, Slot.SERVICE, service if is_named else None)
    if Slot.WHEN not in talk.slots:
        talk = _with(talk, Slot.WHEN, when(text, talk.language))
    return talk


def when(text: str, language: str) -> str | None:
    """Give the part of a text that names a day, in the caller's words."""
    tag = primary(language) or "en"
    listed = ",".join(gist()[table].get(tag, "") for table in ("near", "days"))
    names = [folded(each).strip() for each in listed.split(",") if each.strip()]
    for clause in re.split(r"[.!?;。！？]|,\s", text):
        plain = folded(clause)
        for name in names:
            is_in = (
                name in plain
                if SOLID.search(name)
                else re.search(rf"\b{re.escape(name)}s?\b", plain)
            )
            if is_in:
                return clause.strip()[:_LONGEST_WHEN] or None
    return None


def when_answer(talk: Talk, text: str) -> Talk:
    """Read the answer to "When would suit you?": the caller's own words."""
    if languages.is_backchannel(text, talk.language):
        return talk
    told = " ".join(text.split())[:_LONGEST_WHEN]
    return _with(talk, Slot.WHEN, told)
