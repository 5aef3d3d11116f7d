"""Check a mapping before it is saved: everything that is wrong with it, at once, each with its path.

Three readings: the form (``document.read``), the right side against the event's catalogue (here), and
the left side against what the account really has (``account_check``). Errors keep a mapping from
being saved. Warnings tell a person what will happen to voicemails that they may not have had in mind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from connectors.record import Field
from mappings import document
from mappings.account_check import check_account
from mappings.catalogue import CatalogueField, find_field, paths
from mappings.conditions import Condition, conditions_within
from mappings.directives import UNSET, Directive, From, IdOf, Items, Text, Value
from mappings.document import MappingDocument, Step, Target
from mappings.problem import Location, Problem, Problems, did_you_mean, listed, quoted

Schema = Callable[[str], Sequence[Field] | None]

_NUMERIC: Final = frozenset({"number", "integer", "any"})


def check(data: object, schema: Schema | None = None) -> list[Problem]:
    """List all problems of a mapping given as plain JSON data; errors first, never raises.

    ``schema`` gives the fields of an object of the account, or None when the account has no such
    object; without it the left side is not checked.
    """
    reading = document.read(data)
    problems = Problems()
    problems.found += reading.problems
    if not (isinstance(data, Mapping) and data.get("when")):
        message = "is not given: every voicemail goes through this mapping, spam too"
        problems.warning(("when",), message)
    _check_when(reading.document, problems)
    _check_steps(reading.document, problems)
    if schema is not None:
        check_account(reading.document, schema, problems)
    return sorted(problems.found, key=lambda problem: problem.severity != "error")


def targets_of(step: Step, at: Location) -> Iterator[tuple[Target, Location]]:
    """Walk the fields that a step matches by and sets, with their places."""
    for position, way in enumerate(step.matches):
        inner = (*at, "match") if len(step.matches) == 1 else (*at, "match", position)
        for target in way:
            yield target, (*inner, target.name)
    for target in step.targets:
        yield target, (*at, "set", target.name)


def _check_when(mapping: MappingDocument, problems: Problems) -> None:
    for condition, at in conditions_within(mapping.when, ("when",)):
        field = _find(condition.field, (*at, "field"), problems)
        if field is not None:
            _check_condition(condition, field, at, problems)


def _find(path: str, at: Location, problems: Problems) -> CatalogueField | None:
    """Give the catalogue's field, or report that the event has none at this path."""
    field = find_field(path)
    if field is not None:
        return field
    below = [known for known in paths() if known.startswith(f"{path}.")]
    if below:
        problems.error(at, f"{quoted(path)} is a group; choose one of {listed(below, most=6)}")
    else:
        guess = did_you_mean(path, paths()) if problems.are_few else ""
        problems.error(at, f"{quoted(path)} is not a field of the event{guess}")
    return None


def _check_condition(
    condition: Condition, field: CatalogueField, at: Location, problems: Problems
) -> None:
    inside = (*at, condition.test)
    if condition.test in {"at_least", "at_most"} and field.type not in _NUMERIC:
        problems.error(inside, f"{field.path} is not a number")
    elif condition.test == "contains" and field.type in {"number", "integer", "boolean"}:
        problems.error(inside, f"{field.path} is not text")
    elif condition.test == "present" and field.is_required:
        always = "always holds" if condition.value is True else "never holds"
        problems.warning(inside, f"{always}: every voicemail has {field.path}")
    if condition.test not in {"is", "in", "not_in"}:
        return
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    for position, value in enumerate(values):
        where = (*inside, position) if isinstance(condition.value, tuple) else inside
        if not _is_value_of(field, value):
            problems.error(where, not_a_value(field, value))
        elif value in values[:position]:
            problems.warning(where, f"{quoted(value)} stands here twice")


def _is_value_of(field: CatalogueField, value: object) -> bool:
    if field.type == "choice":
        return value in field.choices
    if field.type == "boolean":
        return isinstance(value, bool)
    if field.type in {"number", "integer"}:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return field.type == "any" or isinstance(value, str)


def not_a_value(field: CatalogueField, value: object) -> str:
    """Say that a value is none of a field's: ``"urgent" is not a value of urgency.level (…)``."""
    if field.type == "choice":
        known = f" ({listed(field.choices)})"
    else:
        words = {"boolean": "true or false", "number": "a number", "integer": "a whole number"}
        known = f", which is {words.get(field.type, 'text')}"
    return f"{quoted(value)} is not a value of {field.path}{known}"


def _check_steps(mapping: MappingDocument, problems: Problems) -> None:
    every = {step.id for step in mapping.steps}
    above: set[str] = set()
    for position, step in enumerate(mapping.steps):
        at: Location = ("steps", position)
        if step.id in above and step.id:
            problems.error((*at, "id"), f"{quoted(step.id)} is the id of an earlier step too")
        for target, where in targets_of(step, at):
            _check_directive(target.directive, where, mapping, problems)
            if isinstance(target.directive.source, IdOf):
                other = target.directive.source.step
                misplaced = _why_not_above(other, step, above=above, every=every)
                if misplaced:
                    problems.error((*where, "id_of"), misplaced)
        _check_match(step, at, problems)
        if step.id:
            above.add(step.id)


def _why_not_above(other: str, step: Step, *, above: set[str], every: set[str]) -> str | None:
    """Say why an id does not name an earlier step; None when it does."""
    if other in above:
        return None
    if other == step.id:
        return f"{quoted(other)} is this step itself; it must be an earlier one"
    if other in every:
        return f"{quoted(other)} is a later step; move it above this one"
    return f"there is no earlier step {quoted(other)}{did_you_mean(other, above)}"


def _check_match(step: Step, at: Location, problems: Problems) -> None:
    for position, way in enumerate(step.matches):
        inner = (*at, "match") if len(step.matches) == 1 else (*at, "match", position)
        if way and all(isinstance(target.directive.source, Value) for target in way):
            message = "finds the same record for every voicemail; use a field of the event"
            problems.error(inner, message)
    if step.matches or not step.id:
        return
    for target in step.targets:
        if target.directive.update != "always":
            message = "has no effect: without match the step always makes a new record"
            problems.warning((*at, "set", target.name, "update"), message)


def _check_directive(
    directive: Directive, at: Location, mapping: MappingDocument, problems: Problems
) -> None:
    source = directive.source
    if isinstance(source, Items):
        for position, item in enumerate(source.items):
            _check_directive(item, (*at, "list", position), mapping, problems)
    elif isinstance(source, Text):
        for path in source.template.paths:
            _find(path, (*at, "text"), problems)
    elif isinstance(source, From):
        is_one = len(source.paths) == 1
        places = [(*at, "from") if is_one else (*at, "from", i) for i in range(len(source.paths))]
        found = [
            _find(path, where, problems) for path, where in zip(source.paths, places, strict=True)
        ]
        fields = [field for field in found if field is not None]
        if len(fields) == len(found):
            _check_order(fields, places, problems)
            _check_choose(directive, fields, at, mapping, problems)


def _check_order(fields: list[CatalogueField], places: list[Location], problems: Problems) -> None:
    """Report paths that are never read, because one before them always has a value."""
    for position, field in enumerate(fields[:-1]):
        if field.is_required:
            message = f"is never read: every voicemail has {field.path}"
            problems.warning(places[position + 1], message)
            return


def _check_choose(
    directive: Directive,
    fields: list[CatalogueField],
    at: Location,
    mapping: MappingDocument,
    problems: Problems,
) -> None:
    """Check a table's keys against the values that the field has and that ``when`` lets through."""
    if directive.choose is None or not _keeps_choices(directive, fields):
        return
    here = (*at, "choose")
    known = tuple(dict.fromkeys(itertools.chain(*(_choices(field) for field in fields))))
    reachable = set(itertools.chain(*(_let_through(field, mapping) for field in fields)))
    names = " or ".join(field.path for field in fields)
    keys = {key for key, _ in directive.choose}
    for key, _ in directive.choose:
        if key not in known:
            problems.error(here, f"{quoted(key)} is not a value of {names} ({listed(known)})")
        elif key not in reachable:
            message = f"{quoted(key)} never comes here: when does not let it through"
            problems.warning((*here, key), message)
    missing = [value for value in known if value in reachable and value not in keys]
    if directive.otherwise is not UNSET:
        if not missing:
            problems.warning((*at, "else"), "is never used: choose lists every value")
    elif missing:
        what = "leave the field out" if directive.leaves_out_unfit else "wait for a person"
        message = f"does not list {listed(missing)}: such voicemails {what}; add it, or give else"
        problems.warning(here, message)


def _keeps_choices(directive: Directive, fields: list[CatalogueField]) -> bool:
    """Tell whether the keys of choose are the values of these fields, all known beforehand."""
    return not directive.convert and all(_choices(field) and not field.is_list for field in fields)


def _choices(field: CatalogueField) -> tuple[str, ...]:
    return ("true", "false") if field.type == "boolean" else field.choices


def _let_through(field: CatalogueField, mapping: MappingDocument) -> set[str]:
    """Give the values of a field that the plain conditions of ``when`` let through."""
    left = set(_choices(field))
    for condition in mapping.when:
        if not isinstance(condition, Condition) or condition.field != field.path:
            continue
        values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        texts = {str(v).lower() if isinstance(v, bool) else str(v) for v in values}
        if condition.test in {"is", "in"}:
            left &= texts
        elif condition.test == "not_in":
            left -= texts
    return left
