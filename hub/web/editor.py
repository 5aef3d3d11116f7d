"""What the mapping editor asks: is this text right for the account, and what would it write?"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from connectors.record import Field
from hub.context import Hub
from hub.delivery import describe
from hub.delivery.look_up import Present
from mappings.check import Schema, check
from mappings.document import load, parse, read
from mappings.event import with_transcript_text
from mappings.problem import InvalidMapping, Problem
from mappings.render import (
    Compiled,
    CompiledStep,
    Rendered,
    RenderProblem,
    apply_update_modes,
    compile_mapping,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """All problems of a text; ``document`` is its plain data, or None when it cannot be read.

    ``account_problem`` says why the account's fields could not be looked at; ``read_at`` when they were.
    """

    problems: tuple[Problem, ...]
    document: dict[str, Any] | None
    account_problem: str | None = None
    read_at: datetime | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What keeps the text from being saved."""
        return tuple(one for one in self.problems if one.severity == "error")


@dataclass(frozen=True, slots=True)
class Line:
    """A field that would be sent; ``now`` is what the account has, where it was asked.

    ``change`` is ``new``, ``same``, ``changed`` or ``kept``: then the account's value stays.
    """

    name: str
    value: str
    mode: str | None
    now: str | None = None
    change: str | None = None


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """A record that would be written, or why it could not be made."""

    id: str
    object: str
    lines: tuple[Line, ...] = ()
    matched_by: tuple[str, ...] = ()
    problem: RenderProblem | None = None
    rendered: Rendered | None = None
    present: Present | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a text would do with one voicemail; ``problems`` when it cannot be tried."""

    matches: bool = False
    needs_approval: bool = False
    steps: tuple[PreviewStep, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _AccountFields:
    """The fields of an account, asked for once per object."""

    hub: Hub
    tenant_id: str
    connection_id: str
    problem: str | None = None
    read_at: datetime | None = None
    known: dict[str, Sequence[Field] | None] = field(default_factory=dict)

    def read(self, object_name: str) -> None:
        """Look up one object's fields; None for an object that the account does not have."""
        if object_name in self.known or not object_name:
            return
        found = describe.fields(self.hub, self.tenant_id, self.connection_id, object_name)
        if found.items:
            self.known[object_name], self.read_at = found.items, found.read_at
            return
        objects = describe.objects(self.hub, self.tenant_id, self.connection_id)
        if objects.items and object_name not in {one.name for one in objects.items}:
            self.known[object_name] = None
        else:
            self.problem = found.problem or objects.problem or "the account named no fields"


def check_text(hub: Hub, tenant_id: str, connection_id: str, text: str) -> Checked:
    """Check a text against the language and against what the account really has."""
    try:
        data = load(text)
    except InvalidMapping as err:
        return Checked(err.problems, None)
    account = _AccountFields(hub, tenant_id, connection_id)
    for step in read(data).document.steps:
        account.read(step.object)
    schema: Schema | None = None if account.problem else account.known.get
    return Checked(tuple(check(data, schema)), data, account.problem, account.read_at)


def preview(text: str, data: dict[str, Any], timezone: tzinfo) -> Preview:
    """Render a text for one voicemail's data; nothing is sent."""
    try:
        compiled = compile_mapping(parse(load(text)))
    except InvalidMapping as err:
        return Preview(problems=err.problems)
    return tried(compiled, data, timezone)


def tried(compiled: Compiled, data: dict[str, Any], timezone: tzinfo) -> Preview:
    """Render a compiled mapping for one voicemail's data."""
    facts = with_transcript_text(data)
    return Preview(
        matches=compiled.matches(facts),
        needs_approval=compiled.needs_approval(facts),
        steps=_steps(compiled, facts, timezone),
    )


def first_match(text: str, bodies: Mapping[str, dict[str, Any]]) -> str | None:
    """Name the first of some voicemails, by id, that a text applies to; None when none does."""
    try:
        compiled = compile_mapping(parse(load(text)))
    except InvalidMapping:
        return None
    matching = (
        event_id
        for event_id, data in bodies.items()
        if compiled.matches(with_transcript_text(data))
    )
    return next(matching, None)


def _steps(compiled: Compiled, facts: dict[str, Any], timezone: tzinfo) -> tuple[PreviewStep, ...]:
    # The vendor gives the real ids when it has written the records.
    ids = {step.id: f"(id of {step.id})" for step in compiled.steps}
    return tuple(_step(step, facts, ids, timezone) for step in compiled.steps)


def _step(
    step: CompiledStep, facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo
) -> PreviewStep:
    try:
        rendered = step.render(facts, ids=ids, timezone=timezone)
    except RenderProblem as err:
        return PreviewStep(step.id, step.object, problem=err)
    return PreviewStep(step.id, step.object, _lines(rendered), _ways(rendered), rendered=rendered)


def beside(found: Preview, present: Mapping[str, Present]) -> Preview:
    """Put what the account has now beside what would be sent."""
    steps = (
        _beside(step, present[step.id]) if step.id in present else step for step in found.steps
    )
    return replace(found, steps=tuple(steps))


def _beside(step: PreviewStep, present: Present) -> PreviewStep:
    if step.rendered is None or len(present.candidates) != 1:
        return replace(step, present=present)
    values = present.candidates[0].values
    sent = apply_update_modes(step.rendered, values)
    lines = []
    for line in step.lines:
        now = _shown(values[line.name]) if values.get(line.name) not in (None, "") else ""
        is_kept, is_same = line.name not in sent, now == line.value
        change = "kept" if is_kept else "same" if is_same else "changed" if now else "new"
        lines.append(replace(line, now=now, change=change))
    return replace(step, present=present, lines=tuple(lines))


def _lines(rendered: Rendered) -> tuple[Line, ...]:
    modes = {"never": "new records only", "if_empty": "if empty"}
    return tuple(
        Line(name, _shown(value), modes.get(rendered.update_modes.get(name, "")))
        for name, value in rendered.fields.items()
    )


def _ways(rendered: Rendered) -> tuple[str, ...]:
    return tuple(
        ", ".join(f"{name} = {_shown(value)}" for name, value in way.items())
        for way in rendered.matches
    )


def _shown(value: Any) -> str:
    if value is None:
        return "(cleared)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def difference(old: str, new: str) -> list[tuple[str, str]]:
    """Compare two texts line by line: (kind, line), kinds are added, removed, same and place."""
    kinds = {"+": "added", "-": "removed", "@": "place"}
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=3, lineterm="")
    return [
        (kinds.get(line[:1], "same"), line) for line in lines if not line.startswith(("---", "+++"))
    ]
