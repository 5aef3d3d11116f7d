"""The form of a mapping as a page shows it: problems, values and the account's fields beside each row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any

from connectors.record import Field
from hub.web.editor import Checked
from hub.web.mapping_draft import Draft
from hub.web.mapping_rows import pages
from hub.web.mapping_sides import AccountSide, EventField, shortened
from mappings.check import check
from mappings.compiled import ABSENT, compile_directive
from mappings.convert import CONVERSIONS, Unfit
from mappings.directives import Directive
from mappings.document import read
from mappings.filled import read as read_form
from mappings.form import Form, StepForm, show
from mappings.literals import name_of, typed
from mappings.problem import Location, Problem, pointer_of
from mappings.suggest import Suggestion
from mappings.templates import chips_of

#: In words, in the order in which a page offers them.
KINDS = {
    "from": "Field",
    "text": "Text",
    "value": "Fixed value",
    "id_of": "Record",
    "list": "List",
}
TESTS = {
    "is": "is",
    "in": "is one of",
    "not_in": "is none of",
    "present": "has a value",
    "at_least": "is at least",
    "at_most": "is at most",
    "contains": "contains",
}
#: What is missing in a row that was just added, in the form's words.
_SAID = {
    "must be a path or a list of paths, not []": "choose a field of the voicemail",
    "is not the name of a field": "choose a field of the account",
    "must be a table of at least one field": "add at least one field",
    '"" is not a path such as caller.phone': "choose a field of the voicemail",
}
TYPES = {
    "string": "text",
    "text": "long text",
    "html": "HTML",
    "integer": "whole number",
    "boolean": "yes or no",
    "datetime": "time",
    "email": "e-mail",
    "url": "address",
    "picklist": "list of values",
    "multipicklist": "several of a list",
    "choice": "one of a few",
    "any": "anything",
}
UPDATES = {
    "": "Always write it",
    "if_empty": "Only if it is empty there",
    "never": "Only on new records",
}


_ENTRY = re.compile(r"-c\d+\Z")


@pages.app_template_filter("typed")
def _typed(value: Any) -> str:
    """Write a literal as a person types it."""
    return typed(value)


@pages.app_template_filter("kind_of")
def _kind_of(name: str) -> str:
    """Say in words what a field holds."""
    return TYPES.get(name, name)


@pages.app_template_filter("directive")
def _directive(data: Mapping[str, Any]) -> str:
    """Write a suggested directive on one line: ``caller.phone, as e164``."""
    source = data.get("from", data.get("text", data.get("value", "")))
    paths = " or ".join(source) if isinstance(source, list) else str(source)
    rest = [f"{key} {value}" for key, value in data.items() if key in {"as", "or", "max"}]
    return ", ".join([paths, *rest, *(["matched values"] if "choose" in data else [])])


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A field of the account that the step does not set yet, and how it could be filled."""

    row: Field
    suggestion: Suggestion | None


@dataclass(frozen=True, slots=True)
class FormPage:
    """All that the form's template shows; what belongs to a row is found by the row's place."""

    form: Form
    side: AccountSide
    fields: tuple[EventField, ...]
    checked: Checked
    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)
    listed: Sequence[tuple[Problem, str]] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    found_by: Mapping[str, Sequence[str]] = field(default_factory=dict)
    focus: str = ""
    tool: str = ""
    more: str = ""
    #: Places that tell something, which is told anew while one types.
    slots: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=lambda: KINDS)
    tests: Mapping[str, str] = field(default_factory=lambda: TESTS)
    updates: Mapping[str, str] = field(default_factory=lambda: UPDATES)
    conversions: Mapping[str, Any] = field(default_factory=lambda: CONVERSIONS)

    @property
    def by_path(self) -> dict[str, EventField]:
        """Give what a voicemail gives, by path."""
        return {one.row.path: one for one in self.fields}

    def account_fields(self, step: StepForm) -> Mapping[str, Field]:
        """Give the fields of a step's object by name."""
        return self.side.named(name_of(step.object))

    def given(self, step: StepForm) -> set[str]:
        """Give the names of the fields that a step sets."""
        return {name_of(row.name) for row in step.rows}

    def unmapped(self, step: StepForm) -> list[Unmapped]:
        """List the fields that a step does not set yet: required ones, then suggested ones, then the rest."""
        given = self.given(step)
        suggested = self.side.suggestions.get(name_of(step.object), {})
        found = [
            Unmapped(one, suggested.get(one.name))
            for one in self.account_fields(step).values()
            if one.name not in given and (one.can_create or one.can_update)
        ]
        return sorted(found, key=lambda one: (not one.row.is_required, one.suggestion is None))

    def above(self, step: StepForm) -> list[str]:
        """List the ids of the steps before one."""
        steps = list(self.form.steps)
        return [one.id for one in steps[: steps.index(step)] if one.id]

    def chips(self, text: str) -> list[tuple[str, EventField | None]]:
        """List the fields that a text names, with what we know of each."""
        return [(path, self.by_path.get(path)) for path in chips_of(text)]

    def choices(self, path: str) -> tuple[str, ...]:
        """List the values that a field of the voicemail can have, where they are few."""
        found = self.by_path.get(name_of(path))
        if found is None or found.row.is_list:
            return ()
        return ("true", "false") if found.row.type == "boolean" else found.row.choices


def build(
    draft: Draft,
    side: AccountSide,
    fields: tuple[EventField, ...],
    facts: dict[str, Any],
    timezone: tzinfo,
) -> FormPage:
    """Put together what the form shows; ``facts`` are the voicemail's that rows show their value for."""
    form = show(draft.data)
    places = read_form(form.pairs()).places
    at = {where: place for place, where in places.items()}
    checked = _checked(draft.data, side)
    by_place: dict[str, list[Problem]] = {}
    listed = []
    pointers = {pointer_of(where): place for place, where in places.items()}
    for problem in checked.problems:
        place = _place_of(problem, pointers)
        by_place.setdefault(place, []).append(problem)
        listed.append((problem, place))
    values, found_by = _values(form, draft.data, facts, timezone)
    return FormPage(
        form=form,
        side=side,
        fields=fields,
        checked=checked,
        problems=by_place,
        listed=listed,
        values=values,
        found_by=found_by,
        focus=_at(draft.focus, at),
        tool=draft.tool,
        more=_at(draft.more, at),
        slots=tuple(one for one in places if _ENTRY.search(one) is None),
    )


def _at(where: Location | None, at: Mapping[Location, str]) -> str:
    return at.get(where, "") if where is not None else ""


def _checked(data: dict[str, Any], side: AccountSide) -> Checked:
    """Check against what is known of the account; whether it has an object that we have not read, nobody knows."""
    problems = check(data, side.schema if side.fields or side.is_known else None)
    steps = [step.object for step in read(data).document.steps]
    unsure = {
        f"/steps/{place}/object"
        for place, name in enumerate(steps)
        if name and not side.is_missing(name) and name not in side.fields
    }
    found = tuple(
        one for one in problems if one.pointer not in unsure or "no object" not in one.message
    )
    said = tuple(replace(one, message=_SAID.get(one.message, one.message)) for one in found)
    return Checked(said, data, side.problem, side.read_at)


def _place_of(problem: Problem, pointers: Mapping[str, str]) -> str:
    """Give the innermost place that a problem belongs to."""
    pointer = problem.pointer
    while pointer:
        if pointer in pointers:
            return pointers[pointer]
        pointer = pointer.rpartition("/")[0]
    return "when" if problem.pointer.startswith("/when") else ""


def _values(
    form: Form, data: dict[str, Any], facts: dict[str, Any], timezone: tzinfo
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Give what each row gives for a voicemail, by place, and what each step would look for.

    Each row is tried by itself: what is wrong in one does not hide what the others give.
    """
    values: dict[str, str] = {}
    found_by: dict[str, list[str]] = {}
    ids = {step.id: f"(id of {step.id})" for step in form.steps}
    for step, known in zip(form.steps, read(data).document.steps, strict=False):
        given = {one.name: _given(one.directive, facts, ids, timezone) for one in known.targets}
        for row in step.rows:
            if name_of(row.name) in given:
                values[row.at] = given[name_of(row.name)] or "no value: left out"
        for way in known.matches:
            sought = {
                one.name: _given(one.directive, facts, ids, timezone, misfit="") for one in way
            }
            if sought and all(sought.values()):
                said = ", ".join(f"{name} = {value}" for name, value in sought.items())
                found_by.setdefault(step.at, []).append(said)
    return values, found_by


def _given(
    directive: Directive,
    facts: dict[str, Any],
    ids: Mapping[str, str],
    timezone: tzinfo,
    *,
    misfit: str = "does not fit: waits for a person",
) -> str:
    try:
        value = compile_directive(directive)(facts, ids, timezone)
    except Unfit:
        return misfit
    except (KeyError, ValueError):
        return ""  # it cannot be compiled, which the check has said
    if value is None:
        return "cleared"
    return "" if value is ABSENT else shortened(value)
