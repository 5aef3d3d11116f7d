"""Directives: how one target field gets its value, as frozen data read from plain JSON.

A directive has exactly one source and any of the modifiers that go with it::

    value    a literal; null clears the field
    from     the first field of the event, of one path or several, that has a value
    text     a template with {path} chips; {{ and }} stand for braces
    id_of    the vendor's id of the record that an earlier step wrote
    list     a list made of directives

The order of work is: source, ``as``, ``choose`` (with ``else``), ``or``, ``max``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Literal, TypeGuard

from mappings import limits
from mappings.convert import CONVERSIONS
from mappings.problem import Location, Problems, did_you_mean, listed, quoted
from mappings.templates import Template, is_path, read_template
from mappings.untrusted import is_clean

Scalar = None | bool | int | float | str
Update = Literal["always", "if_empty", "never"]
Place = Literal["set", "match", "list"]


class Unset(Enum):
    """Stands where a modifier is not given; null is a value of its own."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: a scalar or a list of scalars."""

    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class From:
    """The first of these paths that has a value."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Text with chips."""

    template: Template


@dataclass(frozen=True, slots=True)
class IdOf:
    """The record that an earlier step wrote."""

    step: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list; entries without a value are left out."""

    items: tuple[Directive, ...]


Source = Value | From | Text | IdOf | Items


@dataclass(frozen=True, slots=True)
class Directive:
    """A source and its modifiers; see the module for the order of work.

    ``convert`` is ``as``; ``otherwise`` is ``else``; ``fallback`` is ``or``; ``max_chars`` is
    ``max``. ``leaves_out_unfit`` is ``unfit: leave_out``: a value that cannot be converted or chosen
    counts as absent instead of parking the row.
    """

    source: Source
    convert: tuple[str, ...] = ()
    choose: tuple[tuple[str, Scalar], ...] | None = None
    otherwise: Scalar | Unset = UNSET
    fallback: Scalar | Unset = UNSET
    max_chars: int | None = None
    update: Update = "always"
    leaves_out_unfit: bool = False


SOURCES: Final = ("value", "from", "text", "id_of", "list")
MODIFIERS: Final = ("as", "choose", "else", "or", "max", "unfit", "update")
UPDATES: Final[tuple[Update, ...]] = ("always", "if_empty", "never")
UNFITS: Final = ("park", "leave_out")

_GOES_WITH: Final[Mapping[str, frozenset[str]]] = {
    "value": frozenset({"update"}),
    "from": frozenset(MODIFIERS),
    "text": frozenset({"as", "or", "max", "unfit", "update"}),
    "id_of": frozenset({"update"}),
    "list": frozenset({"as", "or", "max", "unfit", "update"}),
}
# A lookup must not fall back to a value that many records have, and nothing is updated by it.
_NOT_IN: Final[Mapping[Place, frozenset[str]]] = {
    "set": frozenset(),
    "match": frozenset({"list", "or", "else", "max", "update"}),
    "list": frozenset({"list", "id_of", "update"}),
}
STEP_ID: Final = re.compile(r"[a-z][a-z0-9_]*\Z")


def read_directive(
    data: object, at: Location, problems: Problems, place: Place = "set"
) -> Directive | None:
    """Read one directive, reporting all that is wrong with it; None when it has no usable source."""
    if not isinstance(data, Mapping):
        problems.error(at, f"must be one of {listed(SOURCES)}, such as {{value: {quoted(data)}}}")
        return None
    _report_unknown(data, at, problems, place)
    given = [name for name in SOURCES if name in data and name not in _NOT_IN[place]]
    if not given and any(name in _NOT_IN[place] for name in SOURCES if name in data):
        return None
    if len(given) != 1:
        allowed = listed(name for name in SOURCES if name not in _NOT_IN[place])
        has = f"has {' and '.join(given)}" if given else "has none of them"
        problems.error(at, f"needs exactly one of {allowed}; it {has}")
        return None
    name = given[0]
    source = _read_source(name, data[name], (*at, name), problems, place)
    _report_misplaced(name, data, at, problems, place)
    if source is None:
        return None
    allowed_here = _GOES_WITH[name] - _NOT_IN[place]
    kept = {key: value for key, value in data.items() if key in allowed_here}
    return _read_modifiers(Directive(source), kept, at, problems)


def _report_unknown(
    data: Mapping[Any, object], at: Location, problems: Problems, place: Place
) -> None:
    for key in data:
        if key in _NOT_IN[place]:
            problems.error((*at, str(key)), f"does not go inside {place}")
        elif key not in SOURCES and key not in MODIFIERS:
            names = listed((*SOURCES, *MODIFIERS), most=20)
            guess = did_you_mean(str(key), (*SOURCES, *MODIFIERS))
            problems.error((*at, str(key)), f"is not a directive or modifier{guess}: {names}")


def _report_misplaced(
    source: str, data: Mapping[Any, object], at: Location, problems: Problems, place: Place
) -> None:
    for key in MODIFIERS:
        if key in data and key not in _NOT_IN[place] and key not in _GOES_WITH[source]:
            problems.error((*at, key), f"does not go with {source}")
    if "else" in data and "choose" not in data and "else" in _GOES_WITH[source]:
        problems.error((*at, "else"), "needs choose: it is for values that choose does not list")
    if "unfit" in data and "as" not in data and "choose" not in data:
        problems.error((*at, "unfit"), "needs as or choose: nothing else can be unfit")


def _read_source(
    name: str, data: object, at: Location, problems: Problems, place: Place
) -> Source | None:
    if name == "value":
        return _read_value(data, at, problems, place)
    if name == "from":
        return _read_from(data, at, problems)
    if name == "text":
        template = read_template(data, at, problems)
        return None if template is None else Text(template)
    if name == "id_of":
        if not isinstance(data, str) or not STEP_ID.match(data):
            problems.error(at, f"must be the id of an earlier step, not {quoted(data)}")
            return None
        return IdOf(data)
    return _read_items(data, at, problems)


def _read_value(data: object, at: Location, problems: Problems, place: Place) -> Value | None:
    if is_list(data):
        if len(data) > limits.MAX_ITEMS:
            problems.error(at, f"holds {len(data)} entries; at most {limits.MAX_ITEMS} are allowed")
            return None
        before = len(problems.found)
        entries = tuple(read_scalar(one, (*at, i), problems) for i, one in enumerate(data))
        return Value(entries) if len(problems.found) == before else None  # type: ignore[arg-type]  # no entry is UNSET when none was reported
    if data is None and place != "set":
        problems.error(at, "null clears a field and has no meaning here")
        return None
    found = read_scalar(data, at, problems)
    return None if found is UNSET else Value(found)


def _read_from(data: object, at: Location, problems: Problems) -> From | None:
    if isinstance(data, str):
        paths: Sequence[object] = (data,)
    elif is_list(data) and data:
        paths = data
    else:
        problems.error(at, f"must be a path or a list of paths, not {quoted(data)}")
        return None
    if len(paths) > limits.MAX_PATHS:
        problems.error(at, f"holds {len(paths)} paths; at most {limits.MAX_PATHS} are allowed")
        return None
    kept: list[str] = []
    for position, path in enumerate(paths):
        where = at if isinstance(data, str) else (*at, position)
        if not is_path(path):
            problems.error(where, f"{quoted(path)} is not a path such as caller.phone")
        elif path in kept:
            problems.error(where, f"{quoted(path)} stands here twice")
        else:
            kept.append(path)
    return From(tuple(kept)) if len(kept) == len(paths) else None


def _read_items(data: object, at: Location, problems: Problems) -> Items | None:
    if not is_list(data) or not data:
        problems.error(at, "must be a list of directives")
        return None
    if len(data) > limits.MAX_ITEMS:
        problems.error(at, f"holds {len(data)} entries; at most {limits.MAX_ITEMS} are allowed")
        return None
    found = [read_directive(one, (*at, i), problems, "list") for i, one in enumerate(data)]
    return Items(tuple(one for one in found if one is not None))


def _read_modifiers(
    directive: Directive, data: Mapping[str, object], at: Location, problems: Problems
) -> Directive:
    if "as" in data:
        directive = replace(directive, convert=_read_as(data["as"], (*at, "as"), problems))
    if "choose" in data:
        directive = replace(
            directive, choose=_read_choose(data["choose"], (*at, "choose"), problems)
        )
    if "else" in data:
        directive = replace(directive, otherwise=read_scalar(data["else"], (*at, "else"), problems))
    if "or" in data:
        directive = replace(directive, fallback=read_scalar(data["or"], (*at, "or"), problems))
    if "max" in data:
        directive = replace(directive, max_chars=_read_max(data["max"], (*at, "max"), problems))
    if "unfit" in data:
        unfit = _read_word(data["unfit"], UNFITS, (*at, "unfit"), problems)
        directive = replace(directive, leaves_out_unfit=unfit == "leave_out")
    if "update" in data:
        update = _read_word(data["update"], UPDATES, (*at, "update"), problems)
        directive = replace(directive, update=next((u for u in UPDATES if u == update), "always"))
    return directive


def _read_as(data: object, at: Location, problems: Problems) -> tuple[str, ...]:
    names: Sequence[object] = data if is_list(data) else (data,)
    if not names or len(names) > limits.MAX_CONVERSIONS:
        problems.error(at, f"must name one to {limits.MAX_CONVERSIONS} conversions")
        return ()
    kept: list[str] = []
    for position, name in enumerate(names):
        if isinstance(name, str) and name in CONVERSIONS:
            kept.append(name)
            continue
        guess = did_you_mean(name, CONVERSIONS) if isinstance(name, str) else ""
        where = (*at, position) if is_list(data) else at
        known = listed(sorted(CONVERSIONS), most=40)
        problems.error(where, f"{quoted(name)} is not a conversion{guess}: {known}")
    return tuple(kept)


def _read_choose(
    data: object, at: Location, problems: Problems
) -> tuple[tuple[str, Scalar], ...] | None:
    if not isinstance(data, Mapping) or not data:
        problems.error(at, "must be a table of values, such as {high: Hot, low: Cold}")
        return None
    if len(data) > limits.MAX_CHOICES:
        problems.error(at, f"holds {len(data)} values; at most {limits.MAX_CHOICES} are allowed")
        return None
    table: list[tuple[str, Scalar]] = []
    for key, value in data.items():
        outcome = read_scalar(value, (*at, str(key)), problems)
        if not isinstance(key, str) or not is_clean(key):
            problems.error(at, f"{quoted(key)} must be text without control characters")
        elif outcome is not UNSET:
            table.append((key, outcome))
    return tuple(table)


def _read_max(data: object, at: Location, problems: Problems) -> int | None:
    if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= limits.MAX_MAX_CHARS:
        problems.error(at, f"must be a whole number of characters, 1 to {limits.MAX_MAX_CHARS}")
        return None
    return data


def _read_word(data: object, words: Sequence[str], at: Location, problems: Problems) -> str | None:
    if isinstance(data, str) and data in words:
        return data
    problems.error(at, f"must be one of {listed(words)}, not {quoted(data)}")
    return None


def read_scalar(data: object, at: Location, problems: Problems) -> Scalar | Unset:
    """Read a literal that is not a list; UNSET after reporting why it is none."""
    if data is None or isinstance(data, bool):
        return data
    if isinstance(data, str):
        wrong = _wrong_with_text(data)
    elif isinstance(data, (int, float)):
        # This also refuses what is infinite or not a number.
        is_in_range = -limits.MAX_NUMBER <= data <= limits.MAX_NUMBER
        wrong = None if is_in_range else "is a number out of range; write it as text in quotes"
    else:
        problems.error(at, f"must be text, a number, true, false or null, not {quoted(data)}")
        return UNSET
    if wrong is None:
        return data
    problems.error(at, wrong)
    return UNSET


def _wrong_with_text(text: str) -> str | None:
    if len(text) > limits.MAX_LITERAL_CHARS:
        return f"is longer than {limits.MAX_LITERAL_CHARS} characters"
    return None if is_clean(text) else "holds control characters; take them out"


def is_list(data: object) -> TypeGuard[Sequence[object]]:
    """Tell whether something is a JSON list."""
    return isinstance(data, (list, tuple))


def directive_data(directive: Directive) -> dict[str, Any]:
    """Give a directive as plain JSON, in the language's own order of keys."""
    made: dict[str, Any] = _source_data(directive.source)
    if directive.convert:
        made["as"] = _one_or_list(directive.convert)
    if directive.choose is not None:
        made["choose"] = dict(directive.choose)
    if directive.otherwise is not UNSET:
        made["else"] = directive.otherwise
    if directive.fallback is not UNSET:
        made["or"] = directive.fallback
    if directive.max_chars is not None:
        made["max"] = directive.max_chars
    if directive.leaves_out_unfit:
        made["unfit"] = "leave_out"
    if directive.update != "always":
        made["update"] = directive.update
    return made


def _source_data(source: Source) -> dict[str, Any]:
    if isinstance(source, Value):
        return {"value": list(source.value) if isinstance(source.value, tuple) else source.value}
    if isinstance(source, From):
        return {"from": _one_or_list(source.paths)}
    if isinstance(source, Text):
        return {"text": source.template.text}
    if isinstance(source, IdOf):
        return {"id_of": source.step}
    return {"list": [directive_data(item) for item in source.items]}


def _one_or_list(names: tuple[str, ...]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)
