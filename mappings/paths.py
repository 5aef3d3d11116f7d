"""Read a path out of an event's facts, compiled once per path.

None means that there is no value: the field is missing, null, empty text, white space, or an empty
list. 0 and false are values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Get = Callable[[dict[str, Any]], Any]


def getter(path: str) -> Get:
    """Give a function that reads this path; it never raises, whatever the facts hold.

    >>> getter("caller.name.family")({"caller": {"name": {"family": "Whitfield"}}})
    'Whitfield'
    """
    parts = tuple(path.split("."))
    if len(parts) <= len(_BY_LENGTH):
        return _BY_LENGTH[len(parts) - 1](*parts)
    return lambda facts: deep(facts, parts)


def deep(part: Any, names: tuple[str, ...]) -> Any:
    """Read names one below the other; where a list lies on the way, read them in every entry."""
    for position, name in enumerate(names):
        if isinstance(part, list):
            below = [deep(entry, names[position:]) for entry in part if isinstance(entry, dict)]
            return [entry for entry in below if entry is not None] or None
        if not isinstance(part, dict):
            return None
        part = part.get(name)
    return present(part)


def present(value: Any) -> Any:
    """Give the value, or None when it counts as none."""
    if value.__class__ is str:
        return None if not value or value.isspace() else value
    return None if value in ([], {}) else value


# The paths of the catalogue are short, and reading them is most of what rendering does: these
# are ``deep`` written out, several times as fast. They leave the odd cases to it.


def _one(first: str) -> Get:
    def get(facts: dict[str, Any]) -> Any:
        value = facts.get(first)
        if value.__class__ is str:
            return None if not value or value.isspace() else value
        return value if value is None else present(value)

    return get


def _two(first: str, second: str) -> Get:
    def get(facts: dict[str, Any]) -> Any:
        part = facts.get(first)
        if part.__class__ is not dict:
            return None if part is None else deep(part, (second,))
        value = part.get(second)
        if value.__class__ is str:
            return None if not value or value.isspace() else value
        return value if value is None else present(value)

    return get


def _three(first: str, second: str, third: str) -> Get:
    def get(facts: dict[str, Any]) -> Any:
        part = facts.get(first)
        part = part.get(second) if part.__class__ is dict else None
        if part.__class__ is not dict:
            return deep(facts, (first, second, third))
        value = part.get(third)
        if value.__class__ is str:
            return None if not value or value.isspace() else value
        return value if value is None else present(value)

    return get


_BY_LENGTH: tuple[Callable[..., Get], ...] = (_one, _two, _three)
