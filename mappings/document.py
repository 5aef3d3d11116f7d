"""A mapping as a document: frozen data, read from and written to YAML or JSON.

::

    version: 1
    event:   the type of event that it reads
    when:    conditions that must all hold (conditions)
    approve: when a person must approve first
    steps:   records to write, in order; each has an id, an object, ways to match, and fields to set

Here only the form is read. Whether paths exist and the account has the fields is ``check``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mappings import limits, source
from mappings.conditions import Condition, Group, condition_data, read_conditions
from mappings.directives import STEP_ID, Directive, directive_data, is_list, read_directive
from mappings.event import EVENT_TYPE
from mappings.problem import (
    InvalidMapping,
    Location,
    Problem,
    Problems,
    did_you_mean,
    listed,
    quoted,
)
from mappings.untrusted import is_clean

VERSION: Final = 1

load = source.load


@dataclass(frozen=True, slots=True)
class Target:
    """A field of the record and how it gets its value."""

    name: str
    directive: Directive


@dataclass(frozen=True, slots=True)
class Step:
    """One record to write.

    ``matches`` are ways to find the person's existing record, tried in order; the fields of one way
    must all be equal.
    """

    id: str
    object: str
    matches: tuple[tuple[Target, ...], ...] = ()
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Approve:
    """When a person must approve before anything is sent; any of these suffices."""

    urgency_at_least: int | float | None = None
    confidence_below: int | float | None = None


@dataclass(frozen=True, slots=True)
class MappingDocument:
    """A whole mapping."""

    event: str
    steps: tuple[Step, ...]
    when: tuple[Condition | Group, ...] = ()
    approve: Approve = Approve()
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read of a document, and what is wrong with the rest.

    A step with problems is still there, so that others may refer to it; a directive with problems
    in its source is left out.
    """

    document: MappingDocument
    problems: tuple[Problem, ...]


_KEYS: Final = ("version", "event", "when", "approve", "steps")
_STEP_KEYS: Final = ("id", "object", "match", "set")
_APPROVALS: Final[Mapping[str, int]] = {"urgency_at_least": 100, "confidence_below": 1}


def parse(data: object) -> MappingDocument:
    """Read plain JSON data as a mapping; raises InvalidMapping with every problem of its form."""
    reading = read(data)
    if reading.problems:
        raise InvalidMapping(reading.problems)
    return reading.document


def read(data: object) -> Reading:
    """Read as much of a mapping as there is, and report everything that is wrong with its form."""
    problems = Problems()
    if not isinstance(data, Mapping):
        problems.error((), "The document must be a table with version, event and steps.")
        return Reading(MappingDocument(EVENT_TYPE, ()), tuple(problems.found))
    _report_unknown(data, _KEYS, (), problems)
    version = data.get("version")
    if isinstance(version, bool) or version != VERSION:
        problems.error(("version",), f"must be {VERSION}, the version of the mapping language")
    event = data.get("event")
    if event != EVENT_TYPE:
        problems.error(("event",), f"must be {EVENT_TYPE}")
    when = read_conditions(data["when"], ("when",), problems) if "when" in data else ()
    approve = _read_approve(data["approve"], problems) if "approve" in data else Approve()
    steps = _read_steps(data.get("steps"), problems)
    return Reading(MappingDocument(EVENT_TYPE, steps, when, approve), tuple(problems.found))


def _report_unknown(
    data: Mapping[Any, object], known: tuple[str, ...], at: Location, problems: Problems
) -> None:
    for key in data:
        if key not in known:
            guess = did_you_mean(str(key), known)
            problems.error((*at, str(key)), f"is not known here{guess}: {listed(known)}")


def _read_approve(data: object, problems: Problems) -> Approve:
    at: Location = ("approve",)
    if not isinstance(data, Mapping) or not data:
        problems.error(at, "must say when, such as {urgency_at_least: 80}")
        return Approve()
    _report_unknown(data, tuple(_APPROVALS), at, problems)
    found: dict[str, int | float] = {}
    for name, most in _APPROVALS.items():
        value = data.get(name, 0)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= most:
            problems.error((*at, name), f"must be a number from 0 to {most}, not {quoted(value)}")
        elif name in data:
            found[name] = value
    return Approve(**found)


def _read_steps(data: object, problems: Problems) -> tuple[Step, ...]:
    at: Location = ("steps",)
    if not is_list(data) or not data:
        problems.error(at, "must be a list of at least one step")
        return ()
    if len(data) > limits.MAX_STEPS:
        problems.error(at, f"has {len(data)} steps; at most {limits.MAX_STEPS} are allowed")
        return ()
    return tuple(_read_step(one, (*at, i), problems) for i, one in enumerate(data))


def _read_step(data: object, at: Location, problems: Problems) -> Step:
    if not isinstance(data, Mapping):
        problems.error(at, "must be a table with id, object and set")
        return Step("", "")
    _report_unknown(data, _STEP_KEYS, at, problems)
    step_id = data.get("id")
    is_id = isinstance(step_id, str) and STEP_ID.match(step_id) is not None
    if not is_id or len(str(step_id)) > limits.MAX_ID_CHARS:
        problems.error(
            (*at, "id"),
            f"must be a small letter followed by small letters, digits and _, "
            f"at most {limits.MAX_ID_CHARS}, not {quoted(step_id)}",
        )
        step_id = ""
    object_name = data.get("object")
    if not _is_name(object_name):
        problems.error((*at, "object"), "must name the kind of record, such as Lead")
        object_name = ""
    matches = _read_matches(data["match"], (*at, "match"), problems) if "match" in data else ()
    targets = _read_set(data.get("set"), (*at, "set"), problems)
    return Step(str(step_id), str(object_name), matches, targets)


def _is_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) <= limits.MAX_NAME_CHARS
        and name == name.strip()
        and name.isprintable()
        and is_clean(name)
    )


def _read_set(data: object, at: Location, problems: Problems) -> tuple[Target, ...]:
    if not isinstance(data, Mapping) or not data:
        problems.error(at, "must be a table of at least one field")
        return ()
    if len(data) > limits.MAX_TARGETS:
        problems.error(at, f"has {len(data)} fields; at most {limits.MAX_TARGETS} are allowed")
        return ()
    return _read_targets(data, at, problems, is_match=False)


def _read_matches(data: object, at: Location, problems: Problems) -> tuple[tuple[Target, ...], ...]:
    ways = data if is_list(data) else (data,)
    if not ways or len(ways) > limits.MAX_MATCHES:
        problems.error(at, f"must hold one to {limits.MAX_MATCHES} ways to find a record")
        return ()
    found: list[tuple[Target, ...]] = []
    for position, way in enumerate(ways):
        where = (*at, position) if is_list(data) else at
        if not isinstance(way, Mapping) or not 1 <= len(way) <= limits.MAX_MATCH_FIELDS:
            most = limits.MAX_MATCH_FIELDS
            problems.error(where, f"must be a table of one to {most} fields")
            continue
        found.append(_read_targets(way, where, problems, is_match=True))
    return tuple(found)


def _read_targets(
    data: Mapping[Any, object], at: Location, problems: Problems, *, is_match: bool
) -> tuple[Target, ...]:
    found: list[Target] = []
    for name, one in data.items():
        where = (*at, str(name))
        if not _is_name(name):
            problems.error(where, "is not the name of a field")
            continue
        directive = read_directive(one, where, problems, "match" if is_match else "set")
        if directive is not None:
            found.append(Target(name, directive))
    return tuple(found)


def data_of(document: MappingDocument) -> dict[str, Any]:
    """Give a document as plain JSON data, in the language's own order of keys."""
    made: dict[str, Any] = {"version": document.version, "event": document.event}
    if document.when:
        made["when"] = [condition_data(one) for one in document.when]
    approve = {
        name: value for name in _APPROVALS if (value := getattr(document.approve, name)) is not None
    }
    if approve:
        made["approve"] = approve
    made["steps"] = [_step_data(step) for step in document.steps]
    return made


def _step_data(step: Step) -> dict[str, Any]:
    made: dict[str, Any] = {"id": step.id, "object": step.object}
    ways = [
        {target.name: directive_data(target.directive) for target in way} for way in step.matches
    ]
    if ways:
        made["match"] = ways[0] if len(ways) == 1 else ways
    made["set"] = {target.name: directive_data(target.directive) for target in step.targets}
    return made


def dump_yaml(document: MappingDocument) -> str:
    """Write a mapping as YAML; ``parse(load(...))`` of it gives the same mapping."""
    return source.dump_yaml(data_of(document))


def dump_json(document: MappingDocument) -> str:
    """Write a mapping as JSON; ``parse(load(...))`` of it gives the same mapping."""
    return source.dump_json(data_of(document))
