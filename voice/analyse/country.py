"""Decide which country a number belongs to, and give it as E.164."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import phonenumbers
from phonenumbers import PhoneNumberFormat, ValidationResult

VALID, AMERICAN, LIKELY, POSSIBLE, _COMPLETED = 100.0, 92.0, 80.0, 60.0, 50.0
_LATER_REGION, _OTHER_REGION = 4.0, 6.0
_AMERICAN_DIGITS = 10
_E164 = re.compile(r"^\+[1-9]\d{3,14}$")


@dataclass(frozen=True, slots=True)
class Fit:
    """A number as E.164, and how well the digits fit it: VALID, LIKELY, POSSIBLE or less."""

    number: str
    quality: float


@dataclass(frozen=True, slots=True)
class Where:
    """Where a number may belong: regions, likeliest first; certain when the call itself says so."""

    regions: tuple[str, ...]
    is_certain: bool
    caller: str | None


@cache
def tables() -> Mapping[str, Mapping[str, object]]:
    """Give the tables of ``lexicon/regions.toml``."""
    path = Path(__file__).with_name("lexicon") / "regions.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def e164(number: str | None, region: str | None = None) -> str | None:
    """Give a written number, such as a caller id, as E.164, or None when it cannot be one."""
    if not number:
        return None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return _formatted(parsed)


def region_of(number: str | None) -> str | None:
    """Give the region of an E.164 number, or None when it is not known."""
    if not number:
        return None
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    found = phonenumbers.region_code_for_number(parsed)
    return found or phonenumbers.region_code_for_country_code(parsed.country_code or 0)


def regions(language: str | None, caller_id: str | None) -> tuple[str, ...]:
    """List the regions that a number without country code may belong to, likeliest first."""
    tag = (language or "en").replace("_", "-").split("-")
    listed = [region_of(caller_id)]
    listed += [part.upper() for part in tag[1:] if len(part) == 2]  # noqa: PLR2004  # ISO 3166 alpha-2
    known = tables()["regions"].get(tag[0].lower(), ["US"])
    listed += known if isinstance(known, list) else []
    usable = (region for region in listed if region in phonenumbers.SUPPORTED_REGIONS)
    return tuple(dict.fromkeys(usable))


@lru_cache(maxsize=4096)
def fit(digits: str, where: Where, *, has_plus: bool = False) -> Fit | None:
    """Read digits as a number of the likeliest region in which that works."""
    if has_plus:
        return _international(digits)
    if digits.startswith("00"):
        found = _international(digits.removeprefix("00"))
        if found:
            return found
    best: Fit | None = None
    for rank, region in enumerate(where.regions):
        quality, number = _national(digits, region)
        quality -= _LATER_REGION * rank + _OTHER_REGION * (rank > 0)
        if number and (best is None or quality > best.quality):
            best = Fit(number, quality)
        if not rank and quality >= LIKELY and where.is_certain:
            break
    if best is None or best.quality < POSSIBLE:
        return _completed(digits, where.caller) or _international_or_none(digits) or best
    return best


def _international(digits: str) -> Fit | None:
    try:
        parsed = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None
    is_valid = phonenumbers.is_valid_number(parsed)
    return Fit(_formatted(parsed), (VALID if is_valid else LIKELY) + 10)


def _international_or_none(digits: str) -> Fit | None:
    """Read digits that begin with a country code nobody announced; only a valid number counts."""
    found = _international(digits) if len(digits) > 10 else None  # noqa: PLR2004  # longer than national numbers
    return Fit(found.number, _COMPLETED + 20) if found and found.quality > VALID else None


def _national(digits: str, region: str) -> tuple[float, str | None]:
    try:
        parsed = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return 0.0, None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return 0.0, None
    number = _formatted(parsed)
    if not _E164.match(number):
        return 0.0, None
    if phonenumbers.is_valid_number(parsed):
        return VALID, number
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    trunk = metadata.national_prefix if metadata else None
    usual = trunk == "0" and digits.startswith("0") and _has_usual_length(parsed, metadata)
    if region in {"US", "CA"} and len(digits) >= _AMERICAN_DIGITS and digits[-10] not in "01":
        return AMERICAN, number
    return (LIKELY if usual else POSSIBLE), number


def _has_usual_length(
    parsed: phonenumbers.PhoneNumber, metadata: phonenumbers.PhoneMetadata | None
) -> bool:
    """Tell whether the region's ordinary numbers are as long, by its examples."""
    kinds = (metadata.mobile, metadata.fixed_line) if metadata else ()
    length = len(phonenumbers.national_significant_number(parsed))
    examples = [kind.example_number for kind in kinds if kind is not None and kind.example_number]
    return any(length == len(example) for example in examples)


def _completed(digits: str, caller: str | None) -> Fit | None:
    """Put the area code of the caller id before a local number."""
    if not caller or not 6 <= len(digits) <= 8:  # noqa: PLR2004  # subscriber numbers
        return None
    parsed = phonenumbers.parse(caller)
    national = phonenumbers.national_significant_number(parsed)
    area = national[: len(national) - len(digits)]
    if not area:
        return None
    completed = phonenumbers.parse(f"+{parsed.country_code}{area}{digits}")
    is_local = parsed.country_code == 1 and len(digits) == 7  # noqa: PLR2004  # NANP subscriber number
    if is_local or phonenumbers.is_valid_number(completed):
        return Fit(_formatted(completed), _COMPLETED + 15)
    return None


def _formatted(parsed: phonenumbers.PhoneNumber) -> str:
    number: str = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return number
