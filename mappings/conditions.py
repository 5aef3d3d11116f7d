"""Conditions of ``when``: which voicemails a mapping is for.

A condition is ``{field: path, <test>: value}`` with exactly one test, or ``{any: [...]}`` or
``{all: [...]}``. A field without a value fails every test but ``not_in`` and ``present: false``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from mappings import limits
from mappings.directives import UNSET, Scalar, is_list, read_scalar
from mappings.paths import getter
from mappings.problem import Location, Problems, did_you_mean, listed, quoted
from mappings.templates import is_path

Test = Literal["is", "in", "not_in", "present", "at_least", "at_most", "contains"]
Predicate = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one field."""

    field: str
    test: Test
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Several conditions of which any, or all, must hold."""

    kind: Literal["any", "all"]
    conditions: tuple[Condition | Group, ...]


TESTS: Final[tuple[Test, ...]] = (
    "is",
    "in",
    "not_in",
    "present",
    "at_least",
    "at_most",
    "contains",
)


def read_conditions(
    data: object, at: Location, problems: Problems
) -> tuple[Condition | Group, ...]:
    """Read a list of conditions, reporting all that is wrong with them."""
    if not is_list(data):
        problems.error(at, "must be a list of conditions")
        return ()
    return _Reading(problems).all_of(data, at, depth=1)


class _Reading:
    """Counts the conditions of one ``when``, so that the sum of the nested ones is bounded."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.count = 0

    def all_of(self, data: object, at: Location, *, depth: int) -> tuple[Condition | Group, ...]:
        if not is_list(data):
            self.problems.error(at, "must be a list of conditions")
            return ()
        found: list[Condition | Group] = []
        for position, one in enumerate(data):
            self.count += 1
            if self.count > limits.MAX_CONDITIONS:
                message = f"has more than {limits.MAX_CONDITIONS} conditions"
                self.problems.error(at, message)
                break
            condition = self.one(one, (*at, position), depth=depth)
            if condition is not None:
                found.append(condition)
        return tuple(found)

    def one(self, data: object, at: Location, *, depth: int) -> Condition | Group | None:
        if not isinstance(data, Mapping):
            message = "must be a condition such as {field: bucket, in: [new_lead]}"
            self.problems.error(at, message)
            return None
        if "any" in data or "all" in data:
            return self._group(data, at, depth=depth)
        return _read_condition(data, at, self.problems)

    def _group(self, data: Mapping[Any, object], at: Location, *, depth: int) -> Group | None:
        if len(data) != 1:
            self.problems.error(at, "any and all stand alone: {any: [...]}")
            return None
        kind: Literal["any", "all"] = "any" if "any" in data else "all"
        if depth >= limits.MAX_CONDITION_DEPTH:
            self.problems.error(at, f"nests deeper than {limits.MAX_CONDITION_DEPTH} levels")
            return None
        inner = (*at, kind)
        if is_list(data[kind]) and not data[kind]:
            self.problems.error(inner, "needs at least one condition")
            return None
        return Group(kind, self.all_of(data[kind], inner, depth=depth + 1))


def _read_condition(
    data: Mapping[Any, object], at: Location, problems: Problems
) -> Condition | None:
    before = len(problems.found)
    for key in data:
        if key != "field" and key not in TESTS:
            guess = did_you_mean(str(key), ("field", *TESTS))
            problems.error((*at, str(key)), f"is not a test{guess}: {listed(TESTS)}")
    field = data.get("field")
    if not is_path(field):
        problems.error((*at, "field"), f"{quoted(field)} is not a path such as caller.phone")
    given = [test for test in TESTS if test in data]
    if len(given) != 1:
        has = f"has {' and '.join(given)}" if given else "has none of them"
        problems.error(at, f"needs exactly one of {listed(TESTS)}; it {has}")
        return None
    value = _read_tested(given[0], data[given[0]], (*at, given[0]), problems)
    if len(problems.found) > before or not is_path(field):
        return None
    return Condition(field, given[0], value)


def _read_tested(
    test: Test, data: object, at: Location, problems: Problems
) -> Scalar | tuple[Scalar, ...]:
    if test in {"in", "not_in"}:
        return _read_values(data, at, problems)
    if test == "present":
        if not isinstance(data, bool):
            problems.error(at, f"must be true or false, not {quoted(data)}")
            return None
        return data
    if test in {"at_least", "at_most"} and (
        isinstance(data, bool) or not isinstance(data, (int, float))
    ):
        problems.error(at, f"must be a number, not {quoted(data)}")
        return None
    if test == "contains" and (not isinstance(data, str) or not data.strip()):
        problems.error(at, f"must be text, not {quoted(data)}")
        return None
    found = read_scalar(data, at, problems)
    if found is None and test == "is":
        problems.error(at, "null equals nothing; write present: false")
    return None if found is UNSET else found


def _read_values(data: object, at: Location, problems: Problems) -> tuple[Scalar, ...]:
    if not is_list(data) or not data:
        problems.error(at, "must be a list of at least one value, such as [new_lead]")
        return ()
    if len(data) > limits.MAX_CONDITION_VALUES:
        most = limits.MAX_CONDITION_VALUES
        problems.error(at, f"holds {len(data)} values; at most {most} are allowed")
        return ()
    found: list[Scalar] = []
    for position, one in enumerate(data):
        value = read_scalar(one, (*at, position), problems)
        if value is None:
            problems.error((*at, position), "null equals nothing; use present")
        elif value is not UNSET:
            found.append(value)
    return tuple(found)


def condition_data(condition: Condition | Group) -> dict[str, Any]:
    """Give a condition as plain JSON."""
    if isinstance(condition, Group):
        return {condition.kind: [condition_data(one) for one in condition.conditions]}
    value = condition.value
    tested = list(value) if isinstance(value, tuple) else value
    return {"field": condition.field, condition.test: tested}


def conditions_within(
    conditions: tuple[Condition | Group, ...], at: Location
) -> Iterator[tuple[Condition, Location]]:
    """Walk all conditions with their places, the nested ones too."""
    for position, one in enumerate(conditions):
        if isinstance(one, Group):
            yield from conditions_within(one.conditions, (*at, position, one.kind))
        else:
            yield one, (*at, position)


def predicate(conditions: tuple[Condition | Group, ...]) -> Predicate:
    """Compile conditions that must all hold to one function of an event's facts."""
    return _group_predicate("all", tuple(_compiled(one) for one in conditions))


def _compiled(condition: Condition | Group) -> Predicate:
    if isinstance(condition, Group):
        inner = tuple(_compiled(one) for one in condition.conditions)
        return _group_predicate(condition.kind, inner)
    return _TEST_COMPILERS[condition.test](condition)


def _group_predicate(kind: Literal["any", "all"], tests: tuple[Predicate, ...]) -> Predicate:
    if len(tests) == 1:
        return tests[0]
    if kind == "any":
        return lambda facts: any(test(facts) for test in tests)
    return lambda facts: all(test(facts) for test in tests)


def _same(value: Any) -> tuple[type, Any]:
    """Give a value by which JSON values are equal: 1 is 1.0 and is not true."""
    return (bool if isinstance(value, bool) else object, value)


def _is_in(condition: Condition) -> Predicate:
    get = getter(condition.field)
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    wanted = frozenset(_same(value) for value in values)

    def holds(facts: dict[str, Any]) -> bool:
        value = get(facts)
        if isinstance(value, list):
            return any(_same(one) in wanted for one in value if not isinstance(one, (list, dict)))
        return not isinstance(value, dict) and _same(value) in wanted

    return holds


def _not_in(condition: Condition) -> Predicate:
    is_in = _is_in(condition)
    return lambda facts: not is_in(facts)


def _present(condition: Condition) -> Predicate:
    get, wanted = getter(condition.field), condition.value is True
    return lambda facts: (get(facts) is not None) is wanted


def _number_at(get: Callable[[dict[str, Any]], Any], facts: dict[str, Any]) -> float | None:
    value = get(facts)
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value


def _at_least(condition: Condition) -> Predicate:
    get, least = getter(condition.field), condition.value

    def holds(facts: dict[str, Any]) -> bool:
        value = _number_at(get, facts)
        return value is not None and isinstance(least, (int, float)) and value >= least

    return holds


def _at_most(condition: Condition) -> Predicate:
    get, most = getter(condition.field), condition.value

    def holds(facts: dict[str, Any]) -> bool:
        value = _number_at(get, facts)
        return value is not None and isinstance(most, (int, float)) and value <= most

    return holds


def _contains(condition: Condition) -> Predicate:
    get, wanted = getter(condition.field), str(condition.value).casefold()

    def holds(facts: dict[str, Any]) -> bool:
        value = get(facts)
        texts = value if isinstance(value, list) else (value,)
        return any(isinstance(text, str) and wanted in text.casefold() for text in texts)

    return holds


_TEST_COMPILERS: Final[Mapping[Test, Callable[[Condition], Predicate]]] = {
    "is": _is_in,
    "in": _is_in,
    "not_in": _not_in,
    "present": _present,
    "at_least": _at_least,
    "at_most": _at_most,
    "contains": _contains,
}
