"""Read a filled-in form back as a mapping's data; the other half of ``mappings.form``.

Rows count in the order in which they stand. Nothing is judged here: whatever was typed becomes data, and
``check`` says what is wrong with it. Of two fields of one name neither is lost: the second gets a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mappings.literals import literal, literals, name_of
from mappings.problem import Location

_PLACE: Final = re.compile(r"([sw]\d+(?:-(?:[mfklc]?\d+)){0,12})\.([a-z_]+)\Z")
_MODIFIERS: Final = ("else", "or", "max")
_WORDS: Final = ("unfit", "update")


@dataclass(frozen=True, slots=True)
class Filled:
    """The data of a form, and where in it each place of the form stands."""

    data: dict[str, Any]
    places: dict[str, Location] = field(default_factory=dict)


def read(pairs: Sequence[tuple[str, str]]) -> Filled:
    """Read all fields of a form; never raises."""
    return _Reading(pairs).whole()


def read_filling(pairs: Sequence[tuple[str, str]], at: str) -> Any:
    """Read one directive."""
    return _Reading(pairs).filling(at, ())


def read_test(pairs: Sequence[tuple[str, str]], at: str) -> Any:
    """Read one condition."""
    return _Reading(pairs).test(at, ())


class _Reading:
    """The fields of a form by their place, places in the order in which they first stand."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.fields: dict[str, dict[str, list[str]]] = {}
        self.plain: dict[str, str] = {}
        self.places: dict[str, Location] = {}
        self.order: dict[str, list[str]] = {}
        for name, value in pairs:
            found = _PLACE.match(name)
            if found is None:
                self.plain.setdefault(name, value)
                continue
            self._note(found[1])
            self.fields[found[1]].setdefault(found[2], []).append(value)

    def _note(self, place: str) -> None:
        """Put a place, and those that it is inside of, into their order."""
        if place in self.fields:
            return
        above = place.rpartition("-")[0]
        if above:
            self._note(above)
        self.fields[place] = {}
        self.order.setdefault(above, []).append(place)

    def _inside(self, at: str, letter: str) -> list[str]:
        """List the places of one kind right inside another, in their order."""
        start = len(at) + 1 if at else 0
        return [
            place
            for place in self.order.get(at, ())
            if place[start:].rstrip("0123456789") == letter
        ]

    def _one(self, at: str, name: str, otherwise: str = "") -> str:
        return self.fields.get(at, {}).get(name, [otherwise])[0]

    def whole(self) -> Filled:
        made: dict[str, Any] = {}
        for name in ("version", "event"):
            if (text := self.plain.get(f"doc.{name}", "")).strip():
                made[name] = literal(text)
        when = [self.test(at, ("when", i)) for i, at in enumerate(self._inside("", "w"))]
        if when:
            made["when"] = when
        if (approve := self._approve()) is not None:
            made["approve"] = approve
        made["steps"] = [self._step(at, ("steps", i)) for i, at in enumerate(self._inside("", "s"))]
        return Filled(_table(self.plain.get("doc.rest", "")) | made, self.places)

    def _approve(self) -> Any:
        if written := self.plain.get("approve.written", "").strip():
            return _written(written)
        made = {
            name: literal(text)
            for name in ("urgency_at_least", "confidence_below")
            if (text := self.plain.get(f"approve.{name}", "").strip())
        }
        return made or None

    def test(self, at: str, where: Location) -> Any:
        self.places[at] = where
        kind = self._one(at, "kind", "test")
        if kind == "written":
            return _written(self._one(at, "written"))
        if kind in {"any", "all"}:
            inside = self._inside(at, "")
            return {kind: [self.test(one, (*where, kind, i)) for i, one in enumerate(inside)]}
        test, text = self._one(at, "test", "is"), self._one(at, "value")
        ticked = self.fields.get(at, {}).get("values", [])
        made: dict[str, Any] = {"field": name_of(self._one(at, "field"))}
        if test in {"in", "not_in"}:
            made[test] = [literal(one) for one in ticked] + literals(text)
        elif test == "present":
            made[test] = literal(text) is not False
        else:
            made[test] = literal(text or (ticked[0] if ticked else ""))
        return made

    def _step(self, at: str, where: Location) -> dict[str, Any]:
        self.places[at] = where
        made: dict[str, Any] = {
            "id": _name(self._one(at, "id")),
            "object": _name(self._one(at, "object")),
        }
        ways = self._inside(at, "m")
        inner = (
            [(*where, "match")]
            if len(ways) == 1
            else [(*where, "match", i) for i in range(len(ways))]
        )
        found = [self._way(way, place) for way, place in zip(ways, inner, strict=True)]
        if found:
            made["match"] = found[0] if len(found) == 1 else found
        made["set"] = self._rows(self._inside(at, "f"), (*where, "set"))
        return _table(self._one(at, "rest")) | made

    def _way(self, at: str, where: Location) -> dict[str, Any]:
        self.places[at] = where
        return self._rows(self._inside(at, "k"), where)

    def _rows(self, rows: Sequence[str], where: Location) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for at in rows:
            name = _unused(name_of(self._one(at, "name")), made)
            made[name] = self.filling(at, (*where, name))
        return made

    def filling(self, at: str, where: Location) -> Any:
        self.places[at] = where
        kind = self._one(at, "kind", "from")
        if kind == "written":
            return _written(self._one(at, "written"))
        made: dict[str, Any] = {kind: self._source(kind, at, where)}
        convert = [one for one in self.fields.get(at, {}).get("as", []) if one]
        if convert:
            made["as"] = convert[0] if len(convert) == 1 else convert
        if self._one(at, "choose"):
            made["choose"] = self._choose(at, where)
        for name in _MODIFIERS:
            if text := self._one(at, name).strip():
                made[name] = literal(text)
        made |= {name: word for name in _WORDS if (word := self._one(at, name))}
        return made

    def _source(self, kind: str, at: str, where: Location) -> Any:
        if kind == "from":
            given = [name_of(one) for one in self.fields.get(at, {}).get("from", [])]
            paths = [one for one in given if one]
            return paths[0] if len(paths) == 1 else paths
        if kind == "list":
            inside = self._inside(at, "l")
            return [self.filling(one, (*where, "list", i)) for i, one in enumerate(inside)]
        text = self._one(at, kind)
        if kind == "value":
            return literal(text)
        return text.replace("\r\n", "\n") if kind == "text" else text.strip()

    def _choose(self, at: str, where: Location) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for one in self._inside(at, "c"):
            key, outcome = name_of(self._one(one, "key")), self._one(one, "to").strip()
            if outcome:
                key = _unused(key, made)
                made[key] = literal(outcome)
                self.places[one] = (*where, "choose", key)
        return made


def _name(text: str) -> Any:
    """Read an id or an object's name; nothing where nothing was typed."""
    return name_of(text) or None


def _unused(name: str, taken: dict[str, Any]) -> str:
    """Give a name that is not taken yet: ``Phone``, ``Phone 2``, ``Phone 3``."""
    if name not in taken:
        return name
    number = 2
    while f"{name} {number}".strip() in taken:
        number += 1
    return f"{name} {number}".strip()


def _written(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _table(text: str) -> dict[str, Any]:
    found = _written(text) if text.strip() else {}
    return found if isinstance(found, dict) else {}
