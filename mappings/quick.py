"""The commonest directives, written out for speed; everything unusual goes to the plain function.

Most of what mappings do is to read a text or a flag at a short path, as it is, through one
conversion or through a value table. Each function here does that in one call, and hands over to
``slow``, the same directive compiled plainly, whatever else it meets: odd data, white space,
unprintable text, misfits. So there is one truth about the odd cases, in ``compiled``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any, Final

from mappings.convert import CONVERSIONS, Convert, Unfit

Fill = Callable[[dict[str, Any], Mapping[str, str], tzinfo], Any]

#: Conversions of which no result is empty, for texts that are not.
CONVERTS_QUICKLY: Final = frozenset(
    {"e164", "lower", "upper", "local_date", "local_datetime", "utc_datetime", "epoch_ms"}
)
_NONE: Final[dict[str, Any]] = {}


def read(path: str, absent: Any, slow: Fill) -> Fill:
    """Read one path as it is; ``absent`` is given where it has no value."""
    parts = path.split(".")
    return _READERS[len(parts)](*parts, absent, slow) if len(parts) in _READERS else slow


def _read_one(first: str, absent: Any, slow: Fill) -> Fill:
    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        value = facts.get(first)
        if value is None:
            return absent
        if value is True or value is False:
            return value
        if value.__class__ is str and value.isprintable() and value and not value.isspace():
            return value
        return slow(facts, ids, timezone)

    return fill


def _read_two(first: str, second: str, absent: Any, slow: Fill) -> Fill:
    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        try:
            value = facts.get(first, _NONE).get(second)
        except AttributeError:
            return slow(facts, ids, timezone)
        if value is None:
            return absent
        if value.__class__ is str and value.isprintable() and value and not value.isspace():
            return value
        return slow(facts, ids, timezone)

    return fill


def _read_three(first: str, second: str, third: str, absent: Any, slow: Fill) -> Fill:
    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        try:
            value = facts.get(first, _NONE).get(second, _NONE).get(third)
        except AttributeError:
            return slow(facts, ids, timezone)
        if value is None:
            return absent
        if value.__class__ is str and value.isprintable() and value and not value.isspace():
            return value
        return slow(facts, ids, timezone)

    return fill


_READERS: Final[dict[int, Callable[..., Fill]]] = {1: _read_one, 2: _read_two, 3: _read_three}


def convert(path: str, names: tuple[str, ...], absent: Any, slow: Fill) -> Fill:
    """Read a path of two parts and apply one conversion."""
    first, _, second = path.partition(".")
    if path.count(".") != 1 or len(names) != 1 or names[0] not in CONVERTS_QUICKLY:
        return slow
    return _convert_two(first, second, CONVERSIONS[names[0]].apply, absent, slow)


def _convert_two(first: str, second: str, apply: Convert, absent: Any, slow: Fill) -> Fill:
    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        try:
            value = facts.get(first, _NONE).get(second)
            if value is None:
                return absent
            if value.__class__ is str and value.isprintable() and value and not value.isspace():
                return apply(value, timezone)
        except (AttributeError, Unfit):
            pass  # What is odd, or does not fit, is told by the plain function.
        return slow(facts, ids, timezone)

    return fill


def choose(path: str, table: dict[str, Any], slow: Fill) -> Fill:
    """Read a path of two parts and look its text up in a value table."""
    first, _, second = path.partition(".")
    return _choose_two(first, second, table, slow) if path.count(".") == 1 else slow


def _choose_two(first: str, second: str, table: dict[str, Any], slow: Fill) -> Fill:
    # A key that is nothing but white space counts as absent; that is for the plain function.
    listed = {key: outcome for key, outcome in table.items() if key.strip()}

    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        try:
            value = facts.get(first, _NONE).get(second)
        except AttributeError:
            return slow(facts, ids, timezone)
        if value.__class__ is str and value in listed:
            return listed[value]
        return slow(facts, ids, timezone)

    return fill
