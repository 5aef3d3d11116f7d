"""Which number to dial in danger, by country. Where it is not certain, none is told."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from voice.analyse.country import region_of
from voice.languages.catalogue import language
from voice.languages.digits import spell

_SHORT = re.compile(r"\d{2,5}")
_SERVICES = {"emergency_medical": "medical", "emergency_fire_gas": "fire"}


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    path = Path(__file__).with_name("emergency.toml")
    return {
        region: {"medical": entry, "fire": entry, "general": entry}
        if isinstance(entry, str)
        else entry
        for region, entry in tomllib.loads(path.read_text(encoding="utf-8"))["regions"].items()
    }


def emergency_number(region: str | None, kind: str = "emergency_general") -> str | None:
    """Give the number of a region (ISO 3166) for a kind of emergency line, None if not certain."""
    return _table().get((region or "").upper(), {}).get(_SERVICES.get(kind, "general"))


def spoken_number(tag: str, region_number: str | None, *, kind: str = "emergency_general") -> str:
    """Give what is said for ``{emergency}``: the number digit by digit, or "the emergency number"."""
    known: str = language(tag).get("emergency_known", "{number}")
    number = region_number.strip() if region_number else None
    if number and not _SHORT.fullmatch(number):
        number = emergency_number(region_of(number), kind)
    if number is None:
        return str(language(tag)["emergency_unknown"])
    return known.replace("{number}", spell(number, tag))
