"""Say numbers digit by digit, in groups as people do, in words that a voice cannot misread."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
from phonenumbers import PhoneNumberFormat

from voice.analyse.country import region_of, regions
from voice.languages.catalogue import language, tag_for

_GROUP = re.compile(r"\d+")
_GROUP_PAUSE = ", "
_LONGEST = 4
_PAUSES = {"zh": "，", "zh-Hant": "，", "yue": "，", "ja": "、", "ar": "، ", "fa": "، ", "ur": "، "}


def digits(number: str, tag: str, *, region_number: str | None = None) -> str:
    """Give an E.164 number as it is read aloud: "4 1 5, 5 5 5, 0 1 3 2", "eins fünf eins, …".

    Numbers of the country of the tag (or, without one, of the language's likeliest country) are read as they are
    dialled there, and so are those of the country of *region_number*, the tenant's own; others with
    "plus" and country code. English has spaced figures, which all its voices read one by one; other
    languages have the words, since multilingual voices read figures in English at times.

    Raises ValueError for what is no E.164 number.
    """
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException as err:
        raise ValueError("That is no telephone number in international form (+…).") from err
    is_home = parsed.country_code in _homes(tag, region_number)
    style = PhoneNumberFormat.NATIONAL if is_home else PhoneNumberFormat.INTERNATIONAL
    written = phonenumbers.format_number(parsed, style)
    groups = [spell(group, tag) for run in _GROUP.findall(written) for group in _parts(run)]
    said = _PAUSES.get(tag_for(tag) or "", _GROUP_PAUSE).join(groups)
    return said if is_home else f"{language(tag)['plus']} {said}"


def _homes(tag: str, region_number: str | None) -> set[int]:
    """Give the country codes whose numbers are read without them."""
    tagged = [part.upper() for part in re.split("[-_]", tag)[1:] if len(part) == 2]  # noqa: PLR2004  # ISO 3166 alpha-2
    listed = tagged or list(regions(tag, None)[:1])
    own = region_of(region_number)
    return {
        phonenumbers.country_code_for_region(region)
        for region in (*listed, *([own] if own else []))
    }


def _parts(run: str) -> Iterator[str]:
    """Cut a long run of digits into groups that can be taken down."""
    if len(run) <= _LONGEST:
        yield run
        return
    count = -(-len(run) // 3)
    at = 0
    for index in range(count):
        size = (len(run) - at) // (count - index)
        yield run[at : at + size]
        at += size


def spell(figures: str, tag: str) -> str:
    """Give figures one by one: spaced figures in English, words in other languages."""
    words = language(tag)["digits"].split()
    if (tag_for(tag) or "en") == "en":
        return " ".join(figures)
    return " ".join(words[int(figure)] for figure in figures)
