"""Mapping documents as text: YAML or JSON in, plain JSON values out, and back.

YAML here means what JSON can say, in YAML's layout. A plain scalar is ``null``, ``true``, ``false`` or
a number only where JSON would read it so; everything else is text: ``yes``, ``on``, ``012``, ``1:30``
and ``2026-11-20`` too. Keys are always text. Anchors, aliases, tags, merge keys, several documents and
duplicate keys are refused, since each of them hides what a document says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from mappings.limits import MAX_DEPTH, MAX_NUMBER, MAX_TEXT_BYTES
from mappings.problem import InvalidMapping, Location, Problem, Problems, quoted

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_WORDS: Final[Mapping[str, bool | None]] = {"null": None, "true": True, "false": False}
_FLOW_CHARS: Final = 92


def load(text: str) -> dict[str, Any]:
    """Read a mapping document; raises InvalidMapping with everything that is wrong with it."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise _refusal(f"The document is larger than {MAX_TEXT_BYTES // 1024} KiB.")
    text = text.removeprefix("\ufeff")
    data = _load_json(text) if text.lstrip()[:1] == "{" else _NOT_JSON
    if data is _NOT_JSON:
        data = _load_yaml(text)
    if not isinstance(data, dict):
        raise _refusal("The document must be a table with version, event and steps.")
    return data


def _refusal(message: str) -> InvalidMapping:
    return InvalidMapping([Problem("", message)])


_NOT_JSON: Final = object()


def _load_json(text: str) -> object:
    """Read JSON, or say that the text is none (it may still be YAML in flow style)."""
    problems = Problems()

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            if key in made:
                problems.error((), f"The key {quoted(key)} stands twice in one table.")
            made[key] = value
        return made

    def number(digits: str) -> int | float:
        value = _number(digits)
        if value is None:
            problems.error((), f"{quoted(digits)} is a number out of range; write it in quotes.")
        return 0 if value is None else value

    try:
        data = json.loads(
            text,
            object_pairs_hook=table,
            parse_int=number,
            parse_float=number,
            parse_constant=number,
        )
    except RecursionError:
        raise _refusal(f"The document nests deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError:
        return _NOT_JSON
    if _is_deeper(data, MAX_DEPTH):
        problems.error((), f"The document nests deeper than {MAX_DEPTH} levels.")
    if problems.found:
        raise InvalidMapping(problems.found)
    return data


def _is_deeper(data: object, levels: int) -> bool:
    """Tell whether a document nests deeper than so many levels, however deep it is."""
    level = [data]
    for _ in range(levels + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def _number(digits: str) -> int | float | None:
    """Read a JSON number; None when it is too large to mean the same everywhere."""
    if not _NUMBER.match(digits):
        return None
    if digits.lstrip("-").isdigit():
        is_small = len(digits) <= len(str(MAX_NUMBER)) + 1
        return int(digits) if is_small and abs(int(digits)) <= MAX_NUMBER else None
    value = float(digits)
    return value if math.isfinite(value) and abs(value) <= MAX_NUMBER else None


def _load_yaml(text: str) -> object:
    reader = _Reader(text)
    try:
        data = reader.document()
    except yaml.YAMLError as error:
        raise InvalidMapping([*reader.problems.found, _syntax_problem(error)]) from None
    if reader.problems.found:
        raise InvalidMapping(reader.problems.found)
    return data


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    where = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return Problem("", f"{where}{what}.")


class _TooDeep(yaml.YAMLError):
    """The document nests deeper than it may; reading stops there."""

    reason = f"The document nests deeper than {MAX_DEPTH} levels"


class _Reader:
    """Builds plain JSON values from YAML events, without ever resolving a YAML type."""

    def __init__(self, text: str) -> None:
        self.problems = Problems()
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)

    def document(self) -> object:
        self._next()
        if not isinstance(self._next(), yaml.DocumentStartEvent):
            raise _refusal("The document is empty.")
        data = self._value(self._next(), ())
        self._next()
        if isinstance(self._next(), yaml.DocumentStartEvent):
            self.problems.error((), "The text holds several documents; a mapping is one.")
        return data

    def _next(self) -> Any:
        return next(self._events)

    def _error(self, event: Any, at: Location, message: str) -> None:
        self.problems.error(at, f"{message} (line {event.start_mark.line + 1})")

    def _value(self, event: Any, at: Location) -> object:
        if len(at) > MAX_DEPTH:
            raise _TooDeep
        if isinstance(event, yaml.AliasEvent):
            self._error(event, at, f"the alias *{event.anchor} is not allowed; write it out")
            return None
        self._refuse_extras(event, at)
        if isinstance(event, yaml.MappingStartEvent):
            return self._table(at)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(at)
        return self._scalar(event, at)

    def _refuse_extras(self, event: Any, at: Location) -> None:
        if event.anchor:
            self._error(event, at, f"the anchor &{event.anchor} is not allowed")
        if event.tag and event.tag != "!":
            self._error(event, at, "tags are not allowed; values have the types of JSON")

    def _list(self, at: Location) -> list[object]:
        made: list[object] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            made.append(self._value(event, (*at, len(made))))
        return made

    def _table(self, at: Location) -> dict[str, object]:
        made: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, at)
            value = self._value(self._next(), (*at, key))
            if key in made:
                self._error(event, (*at, key), "this key stands twice in one table")
            made[key] = value
        return made

    def _key(self, event: Any, at: Location) -> str:
        """Read a key as the text that stands there, whatever YAML would make of it."""
        if not isinstance(event, yaml.ScalarEvent):
            self._error(event, at, "a key must be text")
            # Read past it one level down: keys of keys nest as deep as values do.
            self._value(event, (*at, "?"))
            return "?"
        self._refuse_extras(event, at)
        if event.style is None and event.value == "<<":
            self._error(event, at, "the merge key << is not allowed; write the keys out")
        return str(event.value)

    def _scalar(self, event: Any, at: Location) -> object:
        text = str(event.value)
        if event.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text in {"", "~"}:
            self._error(event, at, 'has no value; write null, or "" for empty text')
            return None
        if not _NUMBER.match(text):
            return text
        value = _number(text)
        if value is None:
            self._error(event, at, "is a number out of range; write it in quotes")
        return value


def dump_json(data: Mapping[str, Any]) -> str:
    """Write a document's data as JSON, in its own order."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Write a document's data as YAML that this module reads back as the same data.

    Text that YAML readers take for something else is quoted; short tables stand on one line.
    """
    return yaml.dump(
        data,
        Dumper=_Writer,
        sort_keys=False,
        allow_unicode=True,
        width=_FLOW_CHARS + 8,
        default_flow_style=False,
    )


class _Writer(yaml.SafeDumper):
    """Writes JSON data the way people write mappings."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out; our reader refuses aliases."""
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's own signature
        """Indent lists below their key, as people do."""
        del indentless
        super().increase_indent(flow, indentless=False)

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Quote what any YAML reader would take for something other than text, and breaks that it would fold."""
        is_special = _NUMBER.match(text) or text in {"null", "true", "false", "~", ""}
        has_odd_break = any(one in text for one in "\x85\u2028\u2029")
        style = '"' if is_special or has_odd_break else "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)

    def represent_table(self, table: Mapping[str, Any]) -> yaml.MappingNode:
        """Put short tables of plain values on one line."""
        is_flow = bool(table) and _fits_a_line(table)
        return self.represent_mapping("tag:yaml.org,2002:map", table.items(), flow_style=is_flow)

    def represent_entries(self, entries: list[Any]) -> yaml.SequenceNode:
        """Put short lists of plain values on one line."""
        is_flow = _fits_a_line(entries) and not any(isinstance(one, dict) for one in entries)
        return self.represent_sequence("tag:yaml.org,2002:seq", entries, flow_style=is_flow)

    def represent_number(self, number: float) -> yaml.ScalarNode:
        """Write a number as JSON does, in the form that YAML readers know too (1.0e+20)."""
        tag = "int" if isinstance(number, int) else "float"
        mantissa, exponent, power = json.dumps(number).partition("e")
        written = f"{mantissa}{'' if '.' in mantissa else '.0'}e{power}" if exponent else mantissa
        return self.represent_scalar(f"tag:yaml.org,2002:{tag}", written)


def _fits_a_line(data: object) -> bool:
    written = json.dumps(data, ensure_ascii=False)
    return len(written) <= _FLOW_CHARS and "\\n" not in written


_Writer.add_representer(str, _Writer.represent_text)
_Writer.add_representer(dict, _Writer.represent_table)
_Writer.add_representer(list, _Writer.represent_entries)
_Writer.add_representer(int, _Writer.represent_number)
_Writer.add_representer(float, _Writer.represent_number)
