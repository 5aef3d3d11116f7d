"""Times that are offered, and which of them the caller takes: "the second", "Tuesday", "at ten", none."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError

from voice import languages
from voice.analyse.fold import fold, folded
from voice.analyse.gist import gist
from voice.analyse.language import primary
from voice.analyse.spoken import SOLID, phrase_pattern, spoken, tokens
from voice.dialogue.types import Act, Listen, Say, Slot, Stage, Step, Talk, UseTool
from voice.profile import Profile

MOST_OFFERED = 3
"""More times than this nobody keeps in mind on the telephone."""

_NOON, _STEM = 12, 4
_HOURS = ((5, 12), (12, 17), (17, 24))
_DAY, _DATE, _HOUR, _MINUTE, _PART = 4, 3, 3, 1, 2


def has_chosen(talk: Talk) -> bool:
    """Tell whether one of the offered times was taken."""
    return talk.slots.get(Slot.WHEN) in talk.offered if talk.offered else False


def look_up(talk: Talk, *before: Act) -> Step:
    """Ask the calendar for times; the caller hears that it takes a moment."""
    talk = replace(talk, stage=Stage.OFFER)
    return Step(talk, (*before, Say("filler"), UseTool("offer_times", {"from_day": ""})))


def found(talk: Talk, result: Mapping[str, Any] | None) -> Talk:
    """Take the times that the calendar gave; without any, none is offered in this call."""
    listed = result.get("times") if result else None
    starts = tuple(
        str(one) for one in (listed if isinstance(listed, list | tuple) else ()) if _moment(one)
    )
    if not starts:
        return replace(talk, asked={**talk.asked, "offer_over": 1})
    return replace(talk, offered=tuple(dict.fromkeys(starts))[:MOST_OFFERED], stage=Stage.OFFER)


def offer(talk: Talk, profile: Profile) -> Say | None:
    """Read the offered times."""
    if not talk.offered:
        return None
    said = languages.times(talk.offered, zone_name(profile), talk.language)
    return Say("offer_times", values={"time": said}, is_fixed=True)


def taken(talk: Talk, start: str, profile: Profile) -> tuple[Talk, Say]:
    """Put the chosen time into its slot and say so: it is noted, not promised."""
    said = languages.times([start], zone_name(profile), talk.language)
    talk = replace(talk, slots={**talk.slots, Slot.WHEN: start})
    return talk, Say("time_taken", values={"time": said}, is_fixed=True)


def zone_name(profile: Profile) -> str:
    """Give the tenant's time zone; one that does not exist counts as UTC."""
    try:
        ZoneInfo(profile.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
    return profile.timezone


def refuses(talk: Talk, text: str) -> bool:
    """Tell whether none of the times suits."""
    tag = primary(talk.language) or "en"
    none = _ordinals("none", tag).search(folded(text))
    return bool(none) or languages.yes_no(text, talk.language) is False


def choice(talk: Talk, text: str, profile: Profile) -> str | None:
    """Give the offered time that the caller means, or None where that is not clear."""
    tag = primary(talk.language) or "en"
    zone = ZoneInfo(zone_name(profile))
    moments = [datetime.fromisoformat(start).astimezone(zone) for start in talk.offered]
    weights = [_weight(text, tag, moment) for moment in moments]
    best = max(weights, default=0)
    if best >= _DATE and weights.count(best) == 1:
        return talk.offered[weights.index(best)]
    place = _place(folded(text), tag, len(moments))
    if place is not None:
        return talk.offered[place]
    if best and weights.count(best) == 1:
        return talk.offered[weights.index(best)]
    if best and len(set(moments)) > 1 and weights.count(best) < len(weights):
        return None
    numbers = [value for value in _numbers(text, tag) if 0 < value <= len(moments)]
    if len(numbers) == 1 and not best:
        return talk.offered[numbers[0] - 1]
    is_yes = languages.yes_no(text, talk.language) is True
    return talk.offered[0] if is_yes and len(talk.offered) == 1 else None


def _moment(start: object) -> datetime | None:
    try:
        found_at = datetime.fromisoformat(str(start))
    except ValueError:
        return None
    return found_at if found_at.tzinfo else None


def _weight(text: str, tag: str, moment: datetime) -> int:
    """Weigh how much of a moment is named in the text: weekday, date, hour, part of the day."""
    plain = folded(text)
    numbers = _numbers(text, tag)
    weight = _DAY * bool(_weekday(tag, moment.weekday()).search(plain))
    hours = {moment.hour, (moment.hour - 1) % _NOON + 1}
    if hours & set(numbers):
        weight += _HOUR
        weight += _MINUTE * (moment.minute in numbers or moment.minute == 0)
    elif moment.day in numbers:
        weight += _DATE
    for index, (begins, ends) in enumerate(_HOURS):
        is_named = any(name in plain for name in _parts(tag, index))
        weight += _PART * (is_named and begins <= moment.hour < ends)
    return weight


def _numbers(text: str, tag: str) -> list[int]:
    """Give the numbers of a text, written or in words."""
    lexicon = spoken(tag)
    said = tokens(fold(text), tag)
    values: list[int] = []
    index = 0
    while index < len(said):
        options = lexicon.at(said, index)
        if options:
            digits, count = options[0]
            values.append(int(digits) if len(digits) < 5 else 0)  # noqa: PLR2004  # no longer number is a time
        index += count if options else 1
    return values


@lru_cache(maxsize=512)
def _weekday(tag: str, day: int) -> re.Pattern[str]:
    """Compile the names of a weekday: CLDR's, and those that callers use."""
    names = {folded(name).split("-")[0] for name in _cldr_names(tag, day)}
    listed = gist()["days"].get(tag, "").split(",")
    if len(listed) == 7:  # noqa: PLR2004  # days of a week
        names.add(folded(listed[day]).strip())
    stems = []
    for name in sorted(names, key=len, reverse=True):
        if SOLID.search(name):
            stems.append(re.escape(name))
        else:
            stem = name[:-1] if len(name) > _STEM + 1 else name
            stems.append(rf"\b{re.escape(stem)}\w*")
    return re.compile("|".join(stems) or r"(?!)")


def _cldr_names(tag: str, day: int) -> Sequence[str]:
    try:
        days = Locale.parse(tag).days
    except (UnknownLocaleError, ValueError):
        return ()
    return tuple(str(days[use]["wide"][day]) for use in ("format", "stand-alone"))


@lru_cache(maxsize=128)
def _parts(tag: str, index: int) -> tuple[str, ...]:
    listed = gist()["parts"].get(tag, "").split(",")
    return (folded(listed[index]).strip(),) if index < len(listed) and listed[index].strip() else ()


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    path = Path(__file__).with_name("ordinals.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=512)
def _ordinals(kind: str, tag: str) -> re.Pattern[str]:
    table = _table()[kind]
    listed = f"{table.get(tag, '')},{table['en']}"
    return phrase_pattern(listed.split(","))


def _place(plain: str, tag: str, count: int) -> int | None:
    """Read "the second", "the last one", "any of them"."""
    named = {"first": 0, "second": 1, "third": 2, "last": count - 1, "any": 0}
    found = {
        place
        for kind, place in named.items()
        if place < count and _ordinals(kind, tag).search(plain)
    }
    return found.pop() if len(found) == 1 else None


def waits(talk: Talk) -> bool:
    """Tell whether the calendar was asked and has not answered yet."""
    return talk.stage is Stage.OFFER and not talk.offered


def keep_waiting(talk: Talk) -> Step:
    """Go on listening until the calendar answers."""
    return Step(talk, (Listen(),))
