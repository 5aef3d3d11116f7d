"""The closed set of conversions that ``as`` names: pure, total, each one small.

A conversion takes any JSON value, its text already cleaned, and the tenant's time zone, and gives a
value or raises :class:`Unfit`. It never says the value in its message: callers' words stay out of errors. A list
is converted entry by entry, except by the ``join`` conversions, which make one text of it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final, Literal

import phonenumbers

from mappings.clip import as_html
from mappings.limits import MAX_NUMBER
from mappings.untrusted import clean

Kind = Literal[
    "any",
    "text",
    "choice",
    "phone",
    "html",
    "datetime",
    "date",
    "epoch_ms",
    "number",
    "integer",
    "boolean",
    "id",
    "list",
    "null",
]
"""What sort of value something is; ``any`` is known only when an event arrives."""

Convert = Callable[[Any, tzinfo], Any]

_is_e164: Final = re.compile(r"\+[1-9][0-9]{3,14}\Z").match
#: Whole numbers from here on, either way, are no value that anybody meant.
HUGE: Final = 10**30
# Looser than the standard on purpose: the vendor decides, this keeps out what was misheard.
_EMAIL: Final = re.compile(r"[^@\s,;<>()]{1,64}@[^@\s,;<>()]{1,180}\.[a-z]{2,63}\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?\Z")
# Spreadsheets read the wide forms as formulas too.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "＝", "＋", "－", "＠")
_WORD_START: Final = re.compile(r"(?:^|(?<=[\s\-/(\"“]))[^\W\d_]")
_NOT_SLUG: Final = re.compile(r"[^a-z0-9]+")
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})


class Unfit(ValueError):
    """A value cannot be converted; the message says what was expected, never the value."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One name that ``as`` may have: what it does, with an example, and the kind it gives."""

    name: str
    description: str
    gives: Kind
    takes: str
    example: tuple[Any, Any]
    apply: Convert


def as_text(value: Any, timezone: tzinfo) -> str:
    """Give any value as a person writes it: 41 for 41.0, yes and no, lists with commas."""
    del timezone
    return shown(value)


def shown(value: Any) -> str:
    """Give a JSON value as text for people, without control characters."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, (shown(entry) for entry in value if not _is_nested(entry))))
    return _number_shown(value) if isinstance(value, (int, float)) else ""


def _number_shown(value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        # Python refuses to write whole numbers of thousands of digits.
        return str(value) if abs(value) < HUGE else ""
    if not math.isfinite(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) <= MAX_NUMBER else repr(value)


def _is_nested(value: Any) -> bool:
    return isinstance(value, (list, tuple, dict))


def _text_of(value: Any) -> str:
    """Give the text of a text or number; other values are unfit."""
    if value.__class__ is str:
        return value
    if isinstance(value, (bool, list, tuple, dict)) or value is None:
        raise Unfit("is not text")
    return shown(value)


def read_datetime(value: Any) -> datetime:
    """Read an ISO 8601 time with its offset; raises Unfit for anything else."""
    if not isinstance(value, str):
        raise Unfit("is not a time in ISO 8601 form with its offset")
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise Unfit("is not a time in ISO 8601 form with its offset") from None
    if found.tzinfo is None:
        raise Unfit("is a time without its offset from UTC")
    return found


def in_zone(value: Any, timezone: tzinfo) -> datetime:
    """Read a time and give it in a zone; raises Unfit when it is none or out of range."""
    try:
        return read_datetime(value).astimezone(timezone)
    except (OverflowError, ValueError) as error:
        if isinstance(error, Unfit):
            raise
        raise Unfit("is a time outside the years 1 to 9999") from None


def _e164(value: Any, _: tzinfo) -> str:
    text = value if value.__class__ is str else _text_of(value)
    if _is_e164(text):
        return text
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise Unfit("is not a telephone number with its country code (E.164)") from None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not _is_e164(written):
        raise Unfit("is not a telephone number with its country code (E.164)")
    return written


def _email(value: Any, _: tzinfo) -> str:
    text = _text_of(value).strip().lower()
    if not _EMAIL.match(text):
        raise Unfit("is not an e-mail address")
    return text


def _lower(value: Any, _: tzinfo) -> str:
    return (value if value.__class__ is str else _text_of(value)).lower()


def _upper(value: Any, _: tzinfo) -> str:
    return _text_of(value).upper()


def _trim(value: Any, _: tzinfo) -> str:
    return " ".join(_text_of(value).split(" ")).strip()


def _one_line(value: Any, _: tzinfo) -> str:
    return " ".join(_text_of(value).split())


def _title(value: Any, _: tzinfo) -> str:
    text = _text_of(value)
    if text.isupper():
        text = text.lower()
    return _WORD_START.sub(lambda found: found.group().title(), text)


def _slug(value: Any, _: tzinfo) -> str:
    letters = unicodedata.normalize("NFKD", _text_of(value)).lower()
    slug = _NOT_SLUG.sub("-", "".join(c for c in letters if not unicodedata.combining(c)))
    found = slug.strip("-")
    if not found:
        raise Unfit("has no letter or digit for a slug")
    return found


def _digits(value: Any, _: tzinfo) -> str:
    found = "".join(
        str(unicodedata.decimal(c))
        for c in _text_of(value)
        if unicodedata.decimal(c, None) is not None
    )
    if not found:
        raise Unfit("has no digits")
    return found


def _html_text(value: Any, timezone: tzinfo) -> str:
    return as_html(as_text(value, timezone))


def _plain_text(value: Any, timezone: tzinfo) -> str:
    text = as_text(value, timezone)
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA_STARTS) else text


def _local_date(value: Any, timezone: tzinfo) -> str:
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.astimezone(timezone).date().isoformat()
    except (TypeError, ValueError, OverflowError):
        pass  # What it is not, in words, is found out below.
    if isinstance(value, str) and len(value) == len("2026-11-20"):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise Unfit("is neither a time nor a date") from None
    return in_zone(value, timezone).date().isoformat()


def _local_datetime(value: Any, timezone: tzinfo) -> str:
    return in_zone(value, timezone).isoformat(timespec="seconds")


def _utc_datetime(value: Any, _: tzinfo) -> str:
    return in_zone(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def _epoch_ms(value: Any, _: tzinfo) -> int:
    return (in_zone(value, UTC) - _EPOCH) // _MILLISECOND


def _number(value: Any, _: tzinfo) -> int | float:
    if isinstance(value, str) and _NUMBER.match(value.strip()):
        text = value.strip()
        value = float(text) if "." in text or len(text) > 16 else int(text)  # noqa: PLR2004 - 16 digits are below 2^53
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unfit("is not a number")
    if not math.isfinite(value) if isinstance(value, float) else abs(value) > MAX_NUMBER:
        raise Unfit("is a number out of range")
    return value


def _integer(value: Any, timezone: tzinfo) -> int:
    found = _number(value, timezone)
    whole = found if isinstance(found, int) else math.floor(abs(found) + 0.5)
    if abs(whole) > MAX_NUMBER:
        raise Unfit("is a number out of range")
    return -whole if isinstance(found, float) and found < 0 else whole


def _boolean(value: Any, _: tzinfo) -> bool:
    if isinstance(value, bool):
        return value
    word = shown(value).strip().lower() if isinstance(value, (str, int, float)) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Unfit("is neither yes nor no")


def _joined_by(separator: str) -> Convert:
    def join(value: Any, _: tzinfo) -> str:
        entries = value if isinstance(value, (list, tuple)) else (value,)
        return separator.join(filter(None, (shown(e) for e in entries if not _is_nested(e))))

    return join


_DATE = "2026-11-20T22:00:00Z"

_ALL: Final = (
    Conversion("text", "Writes any value as people do: 41.0 as 41, true as yes.", "text",
               "any value", (41.0, "41"), as_text),
    Conversion("trim", "Takes white space off both ends.", "text",
               "text", ("  Dana ", "Dana"), _trim),
    Conversion("one_line", "Puts single spaces where line breaks and runs of spaces are.", "text",
               "text", ("Leak\nin the  kitchen", "Leak in the kitchen"), _one_line),
    Conversion("lower", "Small letters.", "text",
               "text", ("Dana@Whitfield.example", "dana@whitfield.example"), _lower),
    Conversion("upper", "Capital letters.", "text", "text", ("en-us", "EN-US"), _upper),
    Conversion("title", "A capital for each word; capitals inside words stay.", "text",
               "text", ("dana o'neil mcDonald", "Dana O'neil McDonald"), _title),
    Conversion("slug", "Small letters a to z, digits and hyphens.", "text",
               "text", ("Boiler – inspección", "boiler-inspeccion"), _slug),
    Conversion("digits", "Only the digits, in any script, as 0 to 9.", "text",
               "text", ("(415) 555-0132", "4155550132"), _digits),
    Conversion("e164", "A telephone number with its country code, as + and digits.", "phone",
               "a phone number with country code", ("+1 (415) 555-0132", "+14155550132"), _e164),
    Conversion("email", "An e-mail address in small letters.", "text",
               "text", (" Dana@Whitfield.example", "dana@whitfield.example"), _email),
    Conversion("html_text", "Text made safe for a field that holds HTML: markup escaped, line "
               "breaks kept as <br>.", "html", "any value", ("<b>Hi</b>\nDana",
               "&lt;b&gt;Hi&lt;/b&gt;<br>Dana"), _html_text),
    Conversion("plain_text", "Text that no spreadsheet runs as a formula: a leading = + - @ gets "
               "an apostrophe before it.", "text", "any value", ("=1+1", "'=1+1"), _plain_text),
    Conversion("local_date", "The day in the tenant's time zone.", "date",
               "a time", (_DATE, "2026-11-20"), _local_date),
    Conversion("local_datetime", "The time in the tenant's time zone, with its offset.",
               "datetime", "a time", (_DATE, "2026-11-20T14:00:00-08:00"), _local_datetime),
    Conversion("utc_datetime", "The time in UTC, to the second.", "datetime",
               "a time", ("2026-11-20T14:00:00-08:00", _DATE), _utc_datetime),
    Conversion("epoch_ms", "Milliseconds since 1970 in UTC, as HubSpot's times are.", "epoch_ms",
               "a time", (_DATE, 1_795_212_000_000), _epoch_ms),
    Conversion("number", "A number; text may hold one with a decimal point.", "number",
               "a number or text", ("12.5", 12.5), _number),
    Conversion("integer", "The nearest whole number.", "integer",
               "a number or text", (38.5, 39), _integer),
    Conversion("boolean", "True or false; yes, on, 1 and no, off, 0 are understood.", "boolean",
               "text, a number or true and false", ("yes", True), _boolean),
    Conversion("join", "One text of a list, with commas.", "text",
               "a list", (["a", "b"], "a, b"), _joined_by(", ")),
    Conversion("join_lines", "One text of a list, an entry a line.", "text",
               "a list", (["a", "b"], "a\nb"), _joined_by("\n")),
    Conversion("join_semicolon", "One text of a list, with semicolons, as multi-select picklists "
               "are written.", "text", "a list", (["a", "b"], "a;b"), _joined_by(";")),
)  # fmt: skip

CONVERSIONS: Final[dict[str, Conversion]] = {conversion.name: conversion for conversion in _ALL}
#: These take a whole list; all others take its entries one by one.
WHOLE_LIST: Final = frozenset(
    {"join", "join_lines", "join_semicolon", "text", "html_text", "plain_text"}
)


def converter(names: tuple[str, ...]) -> Convert:
    """Give one function that applies conversions in order; raises KeyError for unknown names."""
    applied = tuple(_for_lists(CONVERSIONS[name]) for name in names)
    if len(applied) == 1:
        return applied[0]

    def convert(value: Any, timezone: tzinfo) -> Any:
        for apply in applied:
            value = apply(value, timezone)
        return value

    return convert


def _for_lists(conversion: Conversion) -> Convert:
    apply = conversion.apply
    if conversion.name in WHOLE_LIST:
        return apply

    def convert(value: Any, timezone: tzinfo) -> Any:
        if value.__class__ is list:
            return [apply(entry, timezone) for entry in value]
        return apply(value, timezone)

    return convert
