"""What changed between two versions of a mapping, by path, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from mappings.document import MappingDocument, data_of
from mappings.problem import Location, path_of, quoted

Kind = Literal["added", "removed", "changed", "moved"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; ``old`` and ``new`` are plain JSON, None where there is nothing."""

    kind: Kind
    path: str
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        """Give the change as one line."""
        if self.kind == "added":
            return f"+ {self.path}: {quoted(self.new)}"
        if self.kind == "removed":
            return f"- {self.path}: {quoted(self.old)}"
        if self.kind == "moved":
            return f"> {self.path}: from place {self.old} to {self.new}"
        return f"~ {self.path}: {quoted(self.old)} → {quoted(self.new)}"


# A value table and a template are read as a whole; below these nothing is looked at singly.
_WHOLE: Final = frozenset({"from", "as", "value", "text", "in", "not_in"})


def diff(old: MappingDocument, new: MappingDocument) -> list[Change]:
    """List the changes from one mapping to another, in document order; empty when they are the same.

    Steps are compared by id, so that a step that moved is one change; other lists by position.
    """
    return list(_compare(_by_step_id(old), _by_step_id(new), ()))


def _by_step_id(document: MappingDocument) -> dict[str, Any]:
    data = data_of(document)
    data["steps"] = {step["id"]: step for step in data["steps"]}
    return data


def _compare(old: Any, new: Any, at: Location) -> Iterator[Change]:
    if _same(old, new):
        if at == ("steps",):
            yield from _moves(old, new)
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _compare_tables(old, new, at)
    elif isinstance(old, list) and isinstance(new, list) and at[-1] not in _WHOLE:
        yield from _compare_lists(old, new, at)
    else:
        yield Change("changed", path_of(at), old, new)


def _compare_tables(
    old: Mapping[str, Any], new: Mapping[str, Any], at: Location
) -> Iterator[Change]:
    for key in dict.fromkeys((*old, *new)):
        where = (*at, key)
        if key not in new:
            yield Change("removed", path_of(where), old[key], None)
        elif key not in old:
            yield Change("added", path_of(where), None, new[key])
        else:
            yield from _compare(old[key], new[key], where)
    if at == ("steps",):
        yield from _moves(old, new)


def _compare_lists(old: list[Any], new: list[Any], at: Location) -> Iterator[Change]:
    for position in range(max(len(old), len(new))):
        where = (*at, position)
        if position >= len(new):
            yield Change("removed", path_of(where), old[position], None)
        elif position >= len(old):
            yield Change("added", path_of(where), None, new[position])
        else:
            yield from _compare(old[position], new[position], where)


def _moves(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Report steps in another order; only among those that both versions have."""
    before = [name for name in old if name in new]
    after = [name for name in new if name in old]
    for place, name in enumerate(after):
        if before[place] != name:
            yield Change("moved", path_of(("steps", name)), before.index(name), place)


def _same(old: Any, new: Any) -> bool:
    """Tell whether two JSON values are the same; 1 and true are not."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)
