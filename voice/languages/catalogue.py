"""Read the fixed lines of each language and fill them in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

FALLBACK = "en"
"""What is spoken when a language has no lines of its own."""

EMERGENCY = "emergency"
"""The value that is filled in from the region: which number to dial in danger."""

_LINES = Path(__file__).with_name("lines")
_FIELD = re.compile(r"\{(\w+)\}")
#: A value may end in the stop that the line has too: "9:30 a.m.".
_TWO_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")

#: Tags whose lines stand in another file than their own or their primary subtag's.
_SAME = {
    "no": "nb",
    "nn": "nb",
    "tl": "fil",
    "iw": "he",
    "in": "id",
    "ji": "he",
    "cmn": "zh",
    "zh-tw": "zh-Hant",
    "zh-mo": "zh-Hant",
    "cmn-tw": "zh-Hant",
    "cmn-hant": "zh-Hant",
    "zh-hk": "yue",
    "zh-yue": "yue",
    "pt-ao": "pt-PT",
    "pt-mz": "pt-PT",
    "sh": "hr",
    "arb": "ar",
    "pes": "fa",
}


@cache
def supported() -> tuple[str, ...]:
    """Name the tags of all languages that have lines, in alphabetical order."""
    return tuple(sorted(path.stem for path in _LINES.glob("*.toml")))


@cache
def _by_lower() -> Mapping[str, str]:
    own = {tag.lower(): tag for tag in supported()}
    return own | {alias: tag for alias, tag in _SAME.items() if tag in supported()}


@lru_cache(maxsize=512)
def tag_for(tag: str) -> str | None:
    """Give the supported tag that a BCP 47 tag is spoken with, or None when there is none.

    The longest known beginning counts: ``zh-Hant-TW`` is ``zh-Hant``, ``de-AT`` is ``de``.
    """
    written = tag.strip().replace("_", "-")
    if not _TAG.fullmatch(written):
        return None
    parts = written.lower().split("-")
    for count in range(len(parts), 0, -1):
        found = _by_lower().get("-".join(parts[:count]))
        if found:
            return found
    return None


@lru_cache(maxsize=256)
def language(tag: str) -> Mapping[str, Any]:
    """Give everything that is known of the language that a tag is spoken with, English if none."""
    path = _LINES / f"{tag_for(tag) or FALLBACK}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def names() -> tuple[str, ...]:
    """Name the fixed lines that each language has."""
    return tuple(language(FALLBACK)["lines"])


def english_name(tag: str) -> str:
    """Give a language's English name, for logs and settings pages."""
    return str(language(tag)["english"])


def variants(name: str, tag: str) -> tuple[str, ...]:
    """Give the ways in which a line may be said, with their ``{placeholders}`` as they stand.

    Raises KeyError for a line that no language has.
    """
    if name not in names():
        raise KeyError(f"There is no fixed line {name!r}; there are {', '.join(names())}.")
    found = language(tag)["lines"][name]
    return tuple(found) if isinstance(found, list) else (found,)


def placeholders(text: str) -> frozenset[str]:
    """Name the values that a line's text needs."""
    return frozenset(_FIELD.findall(text))


def line(
    name: str, tag: str, /, *, region_number: str | None = None, variant: int = 0, **values: str
) -> str:
    """Give a fixed line in a language, filled in.

    A language is found by its exact tag, else by its primary subtag; English is spoken where it has
    no lines. ``region_number`` decides which emergency number is told: an E.164 number of the place
    (the tenant's), or the short number itself ("911"). ``variant`` counts round the line's variants.

    Raises KeyError for an unknown line and ValueError for a missing value. Values that the line
    does not have are left aside. Values are put in as they are: nothing in them is filled in again.
    """
    listed = variants(name, tag)
    text = listed[variant % len(listed)]
    needed = placeholders(text)
    given = dict(values)
    if EMERGENCY in needed and EMERGENCY not in given:
        # Imported late: which number it is needs this module for its words.
        from voice.languages.emergency import spoken_number  # noqa: PLC0415 - see above

        given[EMERGENCY] = spoken_number(tag, region_number, kind=name)
    missing = sorted(key for key in needed if not str(given.get(key) or "").strip())
    if missing:
        raise ValueError(f"The line {name!r} needs a value for {', '.join(missing)}.")
    said = _FIELD.sub(lambda field: str(given[field.group(1)]).strip(), text)
    return _TWO_STOPS.sub(".", said)
