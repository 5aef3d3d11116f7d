"""Telephone numbers: the spellings to search for, and whether two are the same."""

from __future__ import annotations

import phonenumbers


def spellings(number: str) -> list[str]:
    """Give the usual ways to write an E.164 number; only itself when it is none."""
    read = _read(number)
    if read is None:
        return [number]
    ways = [
        phonenumbers.format_number(read, form)
        for form in (
            phonenumbers.PhoneNumberFormat.E164,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.NATIONAL,
        )
    ]
    return list(dict.fromkeys([*ways, str(read.national_number)]))


def is_same(asked: str, kept: str) -> bool:
    """Say whether a kept number is the asked one; one without country code is read as of its country."""
    read = _read(asked)
    if read is None:
        return asked.casefold() == kept.casefold()
    region = phonenumbers.region_code_for_number(read)
    other = _read(kept, region)
    return other is not None and (read.country_code, read.national_number) == (
        other.country_code,
        other.national_number,
    )


def _read(number: str, region: str | None = None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
