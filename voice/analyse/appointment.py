"""Read when a caller wants an appointment, and for what; nothing where the words leave it open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mappings.event import Appointment, Bucket, Window
from voice.analyse.fold import fold, folded
from voice.analyse.gist import gist, phrase
from voice.analyse.spoken import SOLID, spoken, tokens

_DAY = (time(8), time(18))
_PARTS = ((time(8), time(12)), (time(12), time(17)), (time(17), time(20)))
_NEXT = re.compile(
    r"\b(?:next|nachst\w*|prochain\w*|proxim\w*|volgende|nasta|naeste|neste|w przyszly|следующ\w*)\s*$"
)
_CLOCK = re.compile(
    r"(?<![\d:.])(?:(?P<h>[01]?\d|2[0-3])(?:[:h.](?P<m>[0-5]\d))?\s*(?P<half>a\.?m\.?|p\.?m\.?|uhr|heures|h\b|o'clock|часов|点|點|時|시))"
    r"|(?<![\d:.])(?P<h2>[01]?\d|2[0-3])[:h](?P<m2>[0-5]\d)(?![\d:])"
)
_SPOKEN_CLOCK = re.compile(
    r"\b(?:at|around|about|a las|a la|um|gegen|vers|as|alle|om)\s+(?P<word>[^\W\d_]+)"
    r"(?:\s+(?P<minutes>thirty|fifteen|forty-five))?"
    r"(?P<half>\s+(?:a\.?m\.?|p\.?m\.?|o'clock|uhr|heures|uur|in the (?:morning|afternoon|evening)))?(?!\w)"
)
#: Words that leave the day open, or take it back.
_OPEN = re.compile(
    r"\b(?:except|any day but|any day|next month|next week|week beginning|week of|won't be|that day|"
    r"\d{1,2}(?:st|nd|rd|th)|the (?:\w+teenth|\w*(?:first|second|third|fourth|fifth|sixth|seventh)|"
    r"\w*(?:eighth|ninth|tenth|eleventh|twelfth|twentieth|thirtieth))|mois prochain|"
    r"semaine prochaine|nachste woche|nachsten monat|proxima semana|prossima settimana|"
    r"volgende week)\b"
)
_CANCELS = re.compile(r"\b(?:cancel|absag|stornier|annul|cancelar|disdir|annuler|afzeggen)\w*")
_MOVES = re.compile(
    r"\b(?:reschedul|instead|move|rebook|verschieb|verleg|umbuch|report|deplac|cambi|mudar|remarc|sposta|verzet)\w*"
)
_MINUTES = {"thirty": 30, "fifteen": 15, "forty-five": 45}
_NOON, _OFFICE_OPENS = 12, 7


@dataclass(frozen=True, slots=True)
class _Day:
    on: date
    at: int


def appointment(
    text: str, *, bucket: Bucket, language: str | None, received_at: datetime, timezone: str
) -> Appointment:
    """Give the requested window, in UTC, and the service; days count from when the call came in.

    A day alone means its working hours (8 to 18 o'clock in the tenant's zone), a part of the day
    that part, a time the hour that it begins. An unknown time zone counts as UTC.
    """
    plain = folded(text)
    if bucket is Bucket.SPAM or not (
        bucket is Bucket.APPOINTMENT or phrase("appointment.words").search(plain)
    ):
        return Appointment()
    tag = (language or "en").split("-")[0].lower()
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    service = _service(text, tag)
    is_open = _OPEN.search(plain) or (_CANCELS.search(plain) and not _MOVES.search(plain))
    day = None if is_open else _day(plain, tag, received_at.astimezone(zone).date())
    if day is None or bucket is not Bucket.APPOINTMENT:
        return Appointment(service=service)
    begins, ends = _hours(plain, tag, day.at)
    start = datetime.combine(day.on, begins, zone)
    end = datetime.combine(day.on, ends, zone)
    utc = ZoneInfo("UTC")
    return Appointment(
        window=Window(start=start.astimezone(utc), end=end.astimezone(utc)), service=service
    )


@cache
def _names(table: str, language: str) -> tuple[re.Pattern[str], ...]:
    tag = {"no": "nb", "nn": "nb", "yue": "zh"}.get(language, language)
    listed = gist()[table].get(tag, "").split(",") if tag in gist()[table] else []
    return tuple(
        re.compile(
            re.escape(folded(name))
            if SOLID.search(name)
            else rf"(?<!\w){re.escape(folded(name))}s?(?!\w)"
        )
        for name in listed
    )


def _day(text: str, language: str, today: date) -> _Day | None:
    """Find the one day that is meant; of several, the one after "to" or "instead", else none."""
    days: list[_Day] = []
    for ahead, pattern in enumerate(_names("near", language)):
        days += [
            _Day(today + timedelta(days=ahead), match.start())
            for match in pattern.finditer(text)
            if not _is_greeting(text, match)
        ]
    for weekday, pattern in enumerate(_names("days", language)):
        for match in pattern.finditer(text):
            ahead = (weekday - today.weekday()) % 7 or 7
            is_next = (
                _NEXT.search(text[max(0, match.start() - 14) : match.start()])
                and ahead < 7 - today.weekday()
            )  # days of a week
            days.append(_Day(today + timedelta(days=ahead + 7 * bool(is_next)), match.start()))
    days.sort(key=lambda day: day.at)
    if len({day.on for day in days}) <= 1:
        return days[0] if days else None
    moved = [
        day
        for day in days[1:]
        if phrase("appointment.move").search(text[max(0, day.at - 14) : day.at])
    ]
    return moved[-1] if len({day.on for day in moved}) == 1 else None


def _is_greeting(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - 10) : match.start()]
    return bool(re.search(r"(?:guten|goede|god|por la|de la)\s*$", before))


def _hours(text: str, language: str, at: int) -> tuple[time, time]:
    near = text[max(0, at - 60) : at + 80]
    part = next(
        (
            hours
            for pattern, hours in zip(_names("parts", language), _PARTS, strict=False)
            if re.search(rf"(?<!good ){pattern.pattern}", near)
        ),
        None,
    )
    clock = _clock(near, language, is_late=part is not None and part[0] >= time(_NOON))
    if clock is None:
        return part or _DAY
    ends = (datetime.combine(date.min, clock) + timedelta(hours=1)).time()
    return clock, ends if ends > clock else time(23, 59)


def _clock(text: str, language: str, *, is_late: bool) -> time | None:
    written = _CLOCK.search(text)
    if written:
        hour = int(written["h"] or written["h2"])
        minute = int(written["m"] or written["m2"] or 0)
        return _settled(
            hour, minute, written["half"] or "", is_late=is_late, is_24=bool(written["h2"])
        )
    for match in _SPOKEN_CLOCK.finditer(text):
        said = tokens(fold(match["word"]), language)
        options = spoken(language).at(said, 0) if said else []
        if options and 0 < int(options[0][0]) <= 24:  # noqa: PLR2004  # hours of a day
            minute = _MINUTES.get(match["minutes"] or "", 0)
            return _settled(
                int(options[0][0]), minute, match["half"] or "", is_late=is_late, is_24=False
            )
    return None


def _settled(hour: int, minute: int, half: str, *, is_late: bool, is_24: bool) -> time | None:
    """Put an hour before or after noon: as said, else as offices are open."""
    half = half.replace(".", "").strip()
    if half.startswith(("p", "in the afternoon", "in the evening")) or is_late:
        hour += _NOON if hour < _NOON else 0
    elif half.startswith("a") and hour == _NOON:
        hour = 0
    elif (
        not half.startswith(("a", "in the morning", "uhr", "h", "uur"))
        and not is_24
        and 0 < hour < _OFFICE_OPENS
    ):
        hour += _NOON
    return time(hour % 24, minute)


def _service(text: str, language: str) -> str | None:
    pattern = gist()["appointment"]["service"].get(language)
    found = re.search(pattern, text, re.IGNORECASE) if pattern else None
    if found is None:
        return None
    words = found.group(1).strip()
    return words[:1].upper() + words[1:] if len(words) > 3 else None  # noqa: PLR2004  # nothing so short is a service
