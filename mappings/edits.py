"""What a person does to a mapping in its form: add, remove, move, turn into, take over a suggestion.

An edit is a word and a place, such as ``up:s0-f2``. Edits take the data of a form and the places in it
(``filled.Filled``) and give new data. An edit that makes no sense here changes nothing.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mappings.catalogue import find_field
from mappings.directives import SOURCES
from mappings.filled import Filled
from mappings.problem import Location

_CHIP: Final = re.compile(r"\{([^{}]+)\}\Z")


@dataclass(slots=True)
class Edited:
    """The data after an edit, where to go on from (a location), and which rows get one more line to fill in."""

    data: dict[str, Any]
    focus: Location | None = None
    more: Location | None = None


def edit(
    filled: Filled, action: str, suggestions: Mapping[Location, Mapping[str, Any]] | None = None
) -> Edited:
    """Carry out one action, such as ``add-field:s0`` or ``kind-text:s0-f1``.

    ``suggestions`` holds directives by the location of the table that they belong to.
    """
    try:
        return _edited(filled, action, suggestions or {})
    except (LookupError, TypeError, ValueError, AttributeError):
        return Edited(
            copy.deepcopy(filled.data)
        )  # the place is of another kind than the action is for


def _edited(
    filled: Filled, action: str, suggestions: Mapping[Location, Mapping[str, Any]]
) -> Edited:
    word, _, place = action.partition(":")
    place, _, name = place.partition("/")
    data = copy.deepcopy(filled.data)
    at = filled.places.get(place)
    kind = word.removeprefix("kind-")
    if kind != word and kind in SOURCES and at is not None:
        return _Editing(data).turn(at, kind)
    make = _EDITS.get(word)
    if make is None or (at is None and place):
        return Edited(data)
    return make(_Editing(data, name, suggestions), at or ())


@dataclass(slots=True)
class _Editing:
    """Data that is being changed; ``name`` is a field that the action names."""

    data: dict[str, Any]
    name: str = ""
    suggestions: Mapping[Location, Mapping[str, Any]] = field(default_factory=dict)

    def at(self, where: Location) -> Any:
        found: Any = self.data
        for part in where:
            found = found[part]
        return found

    def add_step(self, at: Location) -> Edited:
        del at
        steps = self.data.setdefault("steps", [])
        taken = {step.get("id") for step in steps}
        number = next(n for n in range(len(steps) + 1, 1_000) if f"step{n}" not in taken)
        steps.append({"id": f"step{number}", "object": None, "set": {}})
        return Edited(self.data, ("steps", len(steps) - 1))

    def add_field(self, at: Location) -> Edited:
        """Add a field to a step, filled as suggested where its name is given."""
        where = (*at, "set")
        table = self.at(where)
        suggested = self.suggestions.get((*where, self.name)) if self.name else None
        if self.name not in table:
            table[self.name] = dict(suggested) if suggested else {"from": []}
        return Edited(self.data, (*where, self.name))

    def add_all(self, at: Location) -> Edited:
        """Take over all suggestions for a step."""
        where = (*at, "set")
        table = self.at(where)
        for place, directive in self.suggestions.items():
            if place[:-1] == where and place[-1] not in table:
                table[place[-1]] = dict(directive)
        return Edited(self.data, at)

    def add_way(self, at: Location) -> Edited:
        step = self.at(at)
        ways = step.get("match", [])
        ways = ways if isinstance(ways, list) else [ways]
        step["match"] = [*ways, {"": {"from": []}}]
        _in_order(step)
        where = (*at, "match", "") if not ways else (*at, "match", len(ways), "")
        if not ways:
            step["match"] = step["match"][0]
        return Edited(self.data, where)

    def add_key(self, at: Location) -> Edited:
        self.at(at).setdefault("", {"from": []})
        return Edited(self.data, (*at, ""))

    def add_item(self, at: Location) -> Edited:
        items = self.at(at).setdefault("list", [])
        items.append({"from": []})
        return Edited(self.data, (*at, "list", len(items) - 1))

    def add_path(self, at: Location) -> Edited:
        return Edited(self.data, at, more=at)

    def add_table(self, at: Location) -> Edited:
        self.at(at).setdefault("choose", {})
        return Edited(self.data, at, more=at)

    def drop_table(self, at: Location) -> Edited:
        directive = self.at(at)
        for name in ("choose", "else"):
            directive.pop(name, None)
        if "as" not in directive:
            directive.pop("unfit", None)
        return Edited(self.data, at)

    def add_test(self, at: Location) -> Edited:
        return self._add_condition(at, {"field": "", "is": ""})

    def add_group(self, at: Location) -> Edited:
        return self._add_condition(at, {"any": [{"field": "", "is": ""}]})

    def _add_condition(self, at: Location, condition: dict[str, Any]) -> Edited:
        if at:
            kind = next(iter(self.at(at)))
            at = (*at, kind)
            found = self.at(at)
        else:
            at = ("when",)
            found = self.data.setdefault("when", [])
            _in_order(self.data)
        found.append(condition)
        return Edited(self.data, (*at, len(found) - 1))

    def swap_group(self, at: Location) -> Edited:
        """Let any instead of all conditions of a group hold, or the other way round."""
        group = self.at(at)
        (kind,) = group
        group["all" if kind == "any" else "any"] = group.pop(kind)
        return Edited(self.data, at)

    def remove(self, at: Location) -> Edited:
        """Take something out; a way to match or a group goes with its last entry."""
        del self.at(at[:-1])[at[-1]]
        if at[0] == "when":
            self.data["when"] = _without_empty(self.data.get("when", []))
            if not self.data["when"]:
                del self.data["when"]
            return Edited(self.data)
        if "match" in at[2:3]:
            _tidy_match(self.at(at[:2]))
        return Edited(self.data, at[:2] if len(at) > 2 else None)  # noqa: PLR2004 - steps and their number

    def up(self, at: Location) -> Edited:
        return self._move(at, -1)

    def down(self, at: Location) -> Edited:
        return self._move(at, 1)

    def _move(self, at: Location, by: int) -> Edited:
        holder, part = self.at(at[:-1]), at[-1]
        if isinstance(holder, list):
            place = int(part)
            other = place + by
            if 0 <= other < len(holder):
                holder[place], holder[other] = holder[other], holder[place]
                return Edited(self.data, (*at[:-1], other))
            return Edited(self.data, at)
        keys = list(holder)
        place, other = keys.index(part), keys.index(part) + by
        if 0 <= other < len(keys):
            keys[place], keys[other] = keys[other], keys[place]
            entries = {key: holder[key] for key in keys}
            holder.clear()
            holder.update(entries)
        return Edited(self.data, at)

    def turn(self, at: Location, kind: str) -> Edited:
        """Let a field get its value in another way, carrying over what can be."""
        old = self.at(at)
        old = old if isinstance(old, dict) else {}
        if kind in old:
            return Edited(self.data, at)
        made: dict[str, Any] = {kind: _carried(old, kind)}
        kept = {"from": ("as", "or", "max", "unfit"), "text": ("or", "max"), "list": ("or",)}
        made |= {key: old[key] for key in (*kept.get(kind, ()), "update") if key in old}
        if "as" not in made:
            made.pop("unfit", None)
        self.at(at[:-1])[at[-1]] = made
        return Edited(self.data, at)


def _without_empty(conditions: list[Any]) -> list[Any]:
    made = []
    for one in conditions:
        for kind in ("any", "all"):
            if isinstance(one, dict) and isinstance(one.get(kind), list):
                one[kind] = _without_empty(one[kind])
        if one not in ({"any": []}, {"all": []}):
            made.append(one)
    return made


def _tidy_match(step: dict[str, Any]) -> None:
    ways = step.pop("match", [])
    ways = [way for way in (ways if isinstance(ways, list) else [ways]) if way]
    if ways:
        step["match"] = ways[0] if len(ways) == 1 else ways
    _in_order(step)


def _in_order(table: dict[str, Any]) -> None:
    """Put the keys of a document or step into the language's order."""
    order = ("version", "event", "when", "approve", "id", "object", "match", "steps", "set")
    entries = {
        key: table[key] for key in sorted(table, key=lambda k: order.index(k) if k in order else 9)
    }
    table.clear()
    table.update(entries)


def _carried(old: Mapping[str, Any], kind: str) -> Any:
    """Give a new source's value as far as the old one has it."""
    paths = old.get("from", [])
    paths = paths if isinstance(paths, list) else [paths]
    if kind == "text":
        value = old.get("value")
        return "".join(f"{{{path}}}" for path in paths[:1]) or (
            value if isinstance(value, str) else ""
        )
    if kind == "from":
        chip = _CHIP.match(str(old.get("text", "")).strip())
        return chip[1] if chip and find_field(chip[1]) else []
    if kind == "value":
        text = old.get("text", "")
        return text if text and "{" not in text else ""
    if kind == "list":
        keys = ("value", "from", "text", "as", "choose", "else")
        return (
            [{key: old[key] for key in keys if key in old}] if old.keys() & {"from", "text"} else []
        )
    return ""


_EDITS: Final[Mapping[str, Callable[[_Editing, Location], Edited]]] = {
    "add-step": _Editing.add_step,
    "add-field": _Editing.add_field,
    "add-all": _Editing.add_all,
    "add-way": _Editing.add_way,
    "add-key": _Editing.add_key,
    "add-item": _Editing.add_item,
    "add-path": _Editing.add_path,
    "add-table": _Editing.add_table,
    "drop-table": _Editing.drop_table,
    "add-test": _Editing.add_test,
    "add-group": _Editing.add_group,
    "swap-group": _Editing.swap_group,
    "remove": _Editing.remove,
    "up": _Editing.up,
    "down": _Editing.down,
}
