"""Say appointment times in the words of a language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

from voice.languages.catalogue import FALLBACK, language, tag_for

_SPACES = re.compile(r"[\u202f\u00a0\u2009]")
_SHORT_NAMES = re.compile(r"'[^']*'|[Ec]+|[LM]{3,}")
_SEPARATORS = {
    "zh": "、",
    "zh-Hant": "、",
    "yue": "、",
    "ja": "、",
    "ar": "، ",
    "fa": "، ",
    "ur": "، ",
}


@lru_cache(maxsize=128)
def _locale(tag: str) -> Locale:
    """Find CLDR's locale: the region counts, as it says whether the clock has 12 or 24 hours."""
    own = tag_for(tag) or FALLBACK
    region = [part.upper() for part in re.split("[-_]", tag)[1:] if len(part) == 2]  # noqa: PLR2004  # ISO 3166 alpha-2
    for written in ("_".join([own.replace("-", "_"), *region[:1]]), own.replace("-", "_")):
        try:
            return Locale.parse(written)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse(FALLBACK)


@lru_cache(maxsize=128)
def _date_pattern(tag: str) -> str:
    """Give the pattern for weekday, day and month, with the names in full."""
    pattern = str(_locale(tag).datetime_skeletons["MMMEd"].pattern)

    def in_full(name: re.Match[str]) -> str:
        found = name.group()
        if found.startswith("'"):
            return found
        return found[0] * 4

    return _SHORT_NAMES.sub(in_full, pattern)


def times(starts: Sequence[datetime | str], timezone: str, tag: str) -> str:
    """Give the times that are offered as one phrase: "Tuesday, March 3 at 2:30 PM or …".

    *starts* are aware moments (or ISO 8601 with an offset), *timezone* is the tenant's.
    Raises ValueError when there are none, or for a moment without an offset.
    """
    zone = ZoneInfo(timezone)
    said = [_one(_moment(start).astimezone(zone), tag) for start in starts]
    if not said:
        raise ValueError("No times are offered.")
    separator = _SEPARATORS.get(tag_for(tag) or "", ", ")
    if len(said) == 1:
        return said[0]
    return separator.join(said[:-1]) + str(language(tag)["or"]) + said[-1]


def _moment(start: datetime | str) -> datetime:
    found = datetime.fromisoformat(start) if isinstance(start, str) else start
    if found.tzinfo is None:
        raise ValueError("An offered time needs its offset from UTC.")
    return found


def _one(moment: datetime, tag: str) -> str:
    day = format_date(moment.date(), format=_date_pattern(tag), locale=_locale(tag))
    clock = format_time(moment.time(), format="short", locale=_locale(tag))
    phrase = str(language(tag)["at"]).format(date=day, time=clock)
    return _SPACES.sub(" ", phrase)
