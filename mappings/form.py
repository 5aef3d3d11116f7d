"""A mapping as a form: rows that a page shows one by one, and the fields that a browser sends of them.

Every part has a place, such as ``s0-f2``: the third field of the first step. A field of the form is named
after its place and part (``s0-f2.kind``). ``filled.read`` gives the same mapping back, in whatever order the rows
stand. What does not fit the form (an unknown directive, a mistyped condition) is kept as it is
written, as JSON in one text field, so that no document loses anything by being shown.

::

    w0, w0-1        conditions, and those inside a group
    s0              steps
    s0-m0, s0-m0-k0 ways to match, and their fields
    s0-f0           fields that a step sets
    s0-f0-l0        entries of a list
    s0-f0-c0        entries of a value table
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mappings.conditions import TESTS
from mappings.directives import MODIFIERS, SOURCES
from mappings.literals import typed, typed_list, typed_name
from mappings.untrusted import is_clean

Pairs = list[tuple[str, str]]
_APPROVALS: Final = ("urgency_at_least", "confidence_below")
_KNOWN: Final = frozenset({"version", "event", "when", "approve", "steps"})
_STEP: Final = frozenset({"id", "object", "match", "set"})


class Unshowable(ValueError):
    """The document is not built like a mapping, so that only its text can be shown."""


@dataclass(frozen=True, slots=True)
class Filling:
    """How a field gets its value. ``kind`` is a source, or ``written`` for what stands in ``written`` as JSON."""

    at: str
    kind: str
    value: str = ""
    paths: tuple[str, ...] = ()
    text: str = ""
    id_of: str = ""
    items: tuple[Filling, ...] = ()
    convert: tuple[str, ...] = ()
    choose: tuple[tuple[str, str], ...] | None = None
    otherwise: str = ""
    fallback: str = ""
    max_chars: str = ""
    unfit: str = ""
    update: str = ""
    written: str = ""

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Give the fields of the form."""
        at = self.at
        yield f"{at}.kind", self.kind
        single = {"value": self.value, "text": self.text, "id_of": self.id_of}
        if self.kind == "written":
            yield f"{at}.written", self.written
            return
        if self.kind in single:
            yield f"{at}.{self.kind}", single[self.kind]
        yield from ((f"{at}.from", path) for path in self.paths)
        for item in self.items:
            yield from item.pairs()
        yield from ((f"{at}.as", name) for name in self.convert)
        if self.choose is not None:
            yield f"{at}.choose", "yes"
            for place, (key, outcome) in enumerate(self.choose):
                yield f"{at}-c{place}.key", key
                yield f"{at}-c{place}.to", outcome
        for name, text in (
            ("else", self.otherwise),
            ("or", self.fallback),
            ("max", self.max_chars),
            ("unfit", self.unfit),
            ("update", self.update),
        ):
            yield f"{at}.{name}", text


@dataclass(frozen=True, slots=True)
class Row:
    """A field of the account and how it is filled."""

    at: str
    name: str
    filling: Filling

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Give the fields of the form."""
        yield f"{self.at}.name", self.name
        yield from self.filling.pairs()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to find the record that is already there."""

    at: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class StepForm:
    """One record to write; ``rest`` is what the language does not know, as JSON."""

    at: str
    id: str
    object: str
    ways: tuple[Way, ...]
    rows: tuple[Row, ...]
    rest: str = ""

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Give the fields of the form."""
        yield f"{self.at}.id", self.id
        yield f"{self.at}.object", self.object
        yield f"{self.at}.rest", self.rest
        for way in self.ways:
            yield f"{way.at}.way", "yes"
            for row in way.rows:
                yield from row.pairs()
        for row in self.rows:
            yield from row.pairs()


@dataclass(frozen=True, slots=True)
class Test:
    """A condition, or a group of them; ``kind`` is ``test``, ``any``, ``all`` or ``written``."""

    at: str
    kind: str
    field: str = ""
    test: str = ""
    value: str = ""
    values: tuple[str, ...] = ()
    inside: tuple[Test, ...] = ()
    written: str = ""

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Give the fields of the form."""
        yield f"{self.at}.kind", self.kind
        if self.kind == "written":
            yield f"{self.at}.written", self.written
        elif self.kind == "test":
            yield f"{self.at}.field", self.field
            yield f"{self.at}.test", self.test
            yield f"{self.at}.value", self.value
        for one in self.inside:
            yield from one.pairs()


@dataclass(frozen=True, slots=True)
class Form:
    """A whole mapping."""

    version: str
    event: str
    when: tuple[Test, ...]
    approve: Mapping[str, str]
    steps: tuple[StepForm, ...]
    rest: str = ""

    def pairs(self) -> Pairs:
        """Give all fields of the form, in order, as a browser sends them."""
        found = [("doc.version", self.version), ("doc.event", self.event), ("doc.rest", self.rest)]
        for one in self.when:
            found += one.pairs()
        found += ((f"approve.{name}", text) for name, text in self.approve.items())
        for step in self.steps:
            found += step.pairs()
        return found


def show(data: Mapping[str, Any]) -> Form:
    """Show a document's data as a form; raises Unshowable."""
    when, steps = data.get("when", []), data.get("steps", [])
    if not isinstance(when, list):
        raise Unshowable("when is not a list of conditions.")
    if not isinstance(steps, list) or not all(isinstance(one, Mapping) for one in steps):
        raise Unshowable("steps is not a list of steps.")
    return Form(
        version=typed(data["version"]) if "version" in data else "",
        event=typed(data["event"]) if "event" in data else "",
        when=tuple(_test(one, f"w{place}") for place, one in enumerate(when)),
        approve=_approve(data.get("approve")),
        steps=tuple(_step(one, f"s{place}") for place, one in enumerate(steps)),
        rest=_json_of({key: value for key, value in data.items() if key not in _KNOWN}),
    )


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two pieces of JSON say the same; 1, 1.0 and true do not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _json_of(data: Any) -> str:
    return json.dumps(data) if data else ""


def _approve(data: Any) -> dict[str, str]:
    if data is None:
        return {}
    if isinstance(data, Mapping) and data and set(data) <= set(_APPROVALS):
        return {name: typed(data[name]) for name in _APPROVALS if name in data}
    return {"written": json.dumps(data)}


def _step(data: Mapping[str, Any], at: str) -> StepForm:
    table, ways = data.get("set", {}), data.get("match", [])
    ways = ways if isinstance(ways, list) else [ways]
    if not isinstance(table, Mapping) or not all(isinstance(one, Mapping) for one in ways):
        raise Unshowable(f"{at}: set or match is not a table of fields.")
    return StepForm(
        at=at,
        id=_name_or_json(data.get("id")),
        object=_name_or_json(data.get("object")),
        ways=tuple(
            Way(f"{at}-m{place}", _rows(one, f"{at}-m{place}-k")) for place, one in enumerate(ways)
        ),
        rows=_rows(table, f"{at}-f"),
        rest=_json_of({key: value for key, value in data.items() if key not in _STEP}),
    )


def _name_or_json(value: Any) -> str:
    if value is None:
        return ""
    return typed_name(value) if isinstance(value, str) else json.dumps(value)


def _rows(table: Mapping[str, Any], at: str) -> tuple[Row, ...]:
    return tuple(
        Row(f"{at}{place}", typed_name(str(name)), filling(one, f"{at}{place}"))
        for place, (name, one) in enumerate(table.items())
    )


def filling(data: Any, at: str) -> Filling:
    """Show one directive; as it is written where the form has no place for a part of it."""
    from mappings.filled import read_filling  # noqa: PLC0415 - showing and reading prove each other

    shown = _filling(data, at)
    if shown is not None and is_same(read_filling(list(shown.pairs()), at), collapsed(data)):
        return shown
    return Filling(at, "written", written=json.dumps(data))


def collapsed(data: Any) -> Any:
    """Write a list of one path or conversion as that one, throughout a directive."""
    if not isinstance(data, Mapping):
        return data
    made = dict(data)
    for name in ("from", "as"):
        if isinstance(made.get(name), list) and len(made[name]) == 1:
            made[name] = made[name][0]
    if isinstance(made.get("list"), list):
        made["list"] = [collapsed(one) for one in made["list"]]
    return made


def _filling(data: Any, at: str) -> Filling | None:
    if not isinstance(data, Mapping) or not set(data) <= {*SOURCES, *MODIFIERS}:
        return None
    kinds = [name for name in SOURCES if name in data]
    if len(kinds) != 1:
        return None
    source = data[kinds[0]]
    paths = source if kinds[0] == "from" and isinstance(source, list) else [source]
    choose, convert = data.get("choose"), data.get("as", [])
    items = source if kinds[0] == "list" and isinstance(source, list) else []
    if kinds[0] in {"text", "id_of"} and not (isinstance(source, str) and is_clean(source)):
        return None
    if choose is not None and not isinstance(choose, Mapping):
        return None
    return Filling(
        at=at,
        kind=kinds[0],
        value=typed(source) if kinds[0] == "value" else "",
        paths=tuple(typed_name(str(path)) for path in paths) if kinds[0] == "from" else (),
        text=source if kinds[0] == "text" else "",
        id_of=source if kinds[0] == "id_of" else "",
        items=tuple(filling(one, f"{at}-l{place}") for place, one in enumerate(items)),
        convert=tuple(str(one) for one in (convert if isinstance(convert, list) else [convert])),
        choose=None
        if choose is None
        else tuple((typed_name(str(key)), typed(to)) for key, to in choose.items()),
        otherwise=typed(data["else"]) if "else" in data else "",
        fallback=typed(data["or"]) if "or" in data else "",
        max_chars=typed(data["max"]) if "max" in data else "",
        unfit=str(data.get("unfit", "")),
        update=str(data.get("update", "")),
    )


def _test(data: Any, at: str) -> Test:
    from mappings.filled import read_test  # noqa: PLC0415 - showing and reading prove each other

    shown = _shown_test(data, at)
    if shown is not None and is_same(read_test(list(shown.pairs()), at), data):
        return shown
    return Test(at, "written", written=json.dumps(data))


def _shown_test(data: Any, at: str) -> Test | None:
    if not isinstance(data, Mapping):
        return None
    for kind in ("any", "all"):
        if set(data) == {kind} and isinstance(data[kind], Sequence) and data[kind]:
            inside = (_test(one, f"{at}-{place}") for place, one in enumerate(data[kind]))
            return Test(at, kind, inside=tuple(inside))
    tests = [name for name in TESTS if name in data]
    if len(tests) != 1 or set(data) != {"field", tests[0]} or not isinstance(data["field"], str):
        return None
    value = data[tests[0]]
    is_many = tests[0] in {"in", "not_in"}
    if is_many and not isinstance(value, list):
        return None
    return Test(
        at,
        "test",
        field=typed_name(data["field"]),
        test=tests[0],
        value=typed_list(value) if is_many else typed(value),
        values=tuple(typed(one) for one in value) if is_many else (),
    )
