"""Render a voicemail through a mapping: pure functions, compiled once per version.

Nothing here reads a clock, a database or a setting. The same facts, ids and time zone give the
same fields, and none of them is changed. A value that does not fit raises :class:`RenderProblem`
with its path in the mapping; nothing else is raised, whatever the facts hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, Literal

from mappings.compiled import ABSENT, compile_directive
from mappings.conditions import Predicate, predicate
from mappings.convert import Unfit
from mappings.directives import IdOf
from mappings.document import Approve, MappingDocument, Step, Target
from mappings.paths import getter
from mappings.problem import Location, path_of
from mappings.quick import Fill

UpdateMode = Literal["never", "if_empty"]


class RenderProblem(Exception):
    """A row cannot be rendered and is parked; a person must change the mapping or the data.

    ``path`` is the place in the mapping; ``detail`` is a sentence for people that never holds what
    a caller said.
    """

    def __init__(self, path: str, detail: str) -> None:
        """Keep the place and the sentence."""
        super().__init__(f"{path}: {detail}")
        self.path = path
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Rendered:
    """A record to write.

    ``fields`` holds what has a value; None clears a field. ``matches`` are the ways, in order, to find
    the existing record, each a table of fields that must all be equal; ways with an absent value are
    left out. ``match`` is the first of them, or None: then a new record is made. ``update_modes`` names
    the fields that an existing record may keep.
    """

    fields: dict[str, Any]
    match: dict[str, Any] | None = None
    update_modes: dict[str, UpdateMode] = field(default_factory=dict)
    matches: tuple[dict[str, Any], ...] = ()


class CompiledStep:
    """One step, ready to render; ``depends_on`` lists the steps whose record ids it needs."""

    __slots__ = (
        "_at",
        "_matches",
        "_simple_match",
        "_targets",
        "_update_modes",
        "depends_on",
        "id",
        "object",
    )

    def __init__(self, step: Step, at: Location) -> None:
        """Compile a step that stands at a place of the mapping."""
        self.id = step.id
        self.object = step.object
        self.depends_on = _steps_needed(step)
        self._at = at
        self._targets = _fills(step.targets)
        self._matches = tuple(_fills(way) for way in step.matches)
        self._simple_match = _also_set(step)
        self._update_modes: dict[str, UpdateMode] = {
            target.name: target.directive.update
            for target in step.targets
            if target.directive.update != "always"
        }

    def render(
        self, facts: dict[str, Any], *, ids: Mapping[str, str], timezone: tzinfo
    ) -> Rendered:
        """Give the record for a voicemail.

        ``ids`` holds the vendor's record ids by step, for the steps of ``depends_on``. Raises
        RenderProblem when a value does not fit or an id is missing.
        """
        fields: dict[str, Any] = {}
        name = None
        try:
            for name, fill in self._targets:
                value = fill(facts, ids, timezone)
                if value is not ABSENT:
                    fields[name] = value
        except Unfit as error:
            raise self._problem(error, "set", name) from error
        if not fields:
            raise RenderProblem(path_of((*self._at, "set")), "gives no field a value")
        if not self._matches:
            return Rendered(fields, None, dict(self._update_modes))
        if (name := self._simple_match) is not None:
            match = {name: fields[name]} if fields.get(name) is not None else None
            return Rendered(fields, match, dict(self._update_modes), (match,) if match else ())
        matches = self._render_matches(facts, ids, timezone)
        return Rendered(fields, matches[0] if matches else None, dict(self._update_modes), matches)

    def _render_matches(
        self, facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo
    ) -> tuple[dict[str, Any], ...]:
        found = []
        for position, way in enumerate(self._matches):
            at = ("match",) if len(self._matches) == 1 else ("match", position)
            made: dict[str, Any] = {}
            name = None
            try:
                for name, fill in way:
                    made[name] = fill(facts, ids, timezone)
            except Unfit as error:
                raise self._problem(error, *at, name) from error
            # A lookup for "no value" would find every record that has none.
            if not any(value is ABSENT or value is None for value in made.values()):
                found.append(made)
        return tuple(found)

    def _problem(self, error: Unfit, *inside: str | int | None) -> RenderProblem:
        at = (*self._at, *(part for part in inside if part is not None))
        return RenderProblem(path_of(at), str(error))


class Compiled:
    """A mapping, ready to render; keep it as long as the version lives, from any thread."""

    __slots__ = ("_approve", "_matches", "steps")

    def __init__(self, document: MappingDocument) -> None:
        """Compile a document; what ``check`` accepts compiles."""
        self.steps: tuple[CompiledStep, ...] = tuple(
            CompiledStep(step, ("steps", position)) for position, step in enumerate(document.steps)
        )
        self._matches: Predicate = predicate(document.when)
        self._approve = _approval(document.approve)

    def matches(self, facts: dict[str, Any]) -> bool:
        """Tell whether this mapping is for the voicemail: all of ``when`` holds."""
        return self._matches(facts)

    def needs_approval(self, facts: dict[str, Any]) -> bool:
        """Tell whether a person must approve before anything of this voicemail is sent."""
        return self._approve(facts)


def compile_mapping(document: MappingDocument) -> Compiled:
    """Compile a mapping to functions; do it once per version."""
    return Compiled(document)


def apply_update_modes(
    rendered: Rendered, existing_values: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Give the fields to send, for a new record (None) or one that has these values.

    ``never`` fields are only for new records; ``if_empty`` fields only where the record has no value:
    none, null, empty text or an empty list. 0 and false are values.
    """
    if existing_values is None or not rendered.update_modes:
        return dict(rendered.fields)
    return {
        name: value
        for name, value in rendered.fields.items()
        if _may_update(rendered.update_modes.get(name), existing_values.get(name))
    }


def _may_update(mode: UpdateMode | None, existing: Any) -> bool:
    if mode is None:
        return True
    return mode == "if_empty" and (existing is None or existing in ("", [], ()))


def _fills(targets: tuple[Target, ...]) -> tuple[tuple[str, Fill], ...]:
    return tuple((target.name, compile_directive(target.directive)) for target in targets)


def _also_set(step: Step) -> str | None:
    """Name the field that is the only one to match by, when it is set to the same value too.

    That is the commonest way to match, and its value is then rendered once.
    """
    if len(step.matches) != 1 or len(step.matches[0]) != 1:
        return None
    (matched,) = step.matches[0]
    is_set = any(
        target.name == matched.name
        and replace(target.directive, update="always") == matched.directive
        for target in step.targets
    )
    return matched.name if is_set else None


def _steps_needed(step: Step) -> tuple[str, ...]:
    """List the steps that ``id_of`` names, in order, each once."""
    found: dict[str, None] = {}
    for target in (*step.targets, *(target for way in step.matches for target in way)):
        if isinstance(target.directive.source, IdOf):
            found[target.directive.source.step] = None
    return tuple(found)


def _approval(approve: Approve) -> Predicate:
    """Compile ``approve``; a voicemail without the figure needs no approval by it."""
    score, confidence = getter("urgency.score"), getter("bucket_confidence")
    least, below = approve.urgency_at_least, approve.confidence_below

    def holds(facts: dict[str, Any]) -> bool:
        if least is not None and _is_number(found := score(facts)) and found >= least:
            return True
        return below is not None and _is_number(found := confidence(facts)) and found < below

    return holds


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
