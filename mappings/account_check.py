"""Check the left side of a mapping against the fields that the account really has.

What the vendor alone can decide is left to it; here is what would surely be refused or surely go
wrong: unknown, read-only and missing fields, kinds that do not fit, values that a picklist does not
have, text that is too long, HTML made of a caller's words, references to the wrong kind of record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from connectors.record import Field, FieldType
from mappings.catalogue import find_field
from mappings.convert import Kind
from mappings.directives import Directive, From, IdOf, Items, Value
from mappings.document import MappingDocument, Step, Target
from mappings.kinds import (
    Literal,
    kind_of,
    literals_of,
    longest,
    may_be_absent,
    says_callers_words,
)
from mappings.problem import Location, Problems, did_you_mean, listed, pointer_of, quoted

_TEXT: Final[frozenset[Kind]] = frozenset({"text", "choice", "phone", "date", "datetime", "id"})
_FITS: Final[Mapping[FieldType, frozenset[Kind]]] = {
    "string": _TEXT,
    "text": _TEXT,
    "html": _TEXT | {"html"},
    "integer": frozenset({"integer", "epoch_ms"}),
    "number": frozenset({"integer", "number", "epoch_ms"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date"}),
    "datetime": frozenset({"datetime", "epoch_ms"}),
    "email": frozenset({"text"}),
    "phone": frozenset({"phone", "text"}),
    "url": frozenset({"text"}),
    "picklist": frozenset({"text", "choice"}),
    "multipicklist": frozenset({"text", "choice", "list"}),
    "reference": frozenset({"id"}),
    "id": frozenset({"id"}),
}
_TAKES: Final[Mapping[FieldType, str]] = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date",
    "datetime": "a time",
    "reference": "the id of a record",
    "id": "the id of a record",
    "multipicklist": "values of its list",
    "picklist": "a value of its list",
    "phone": "a phone number",
    "email": "an e-mail address",
    "url": "an address",
}
_IS: Final[Mapping[Kind, str]] = {
    "boolean": "true or false",
    "choice": "one of a few words",
    "date": "a date",
    "datetime": "a time",
    "epoch_ms": "a time in milliseconds",
    "html": "HTML",
    "id": "the id of a record",
    "integer": "a whole number",
    "list": "a list",
    "number": "a number",
    "phone": "a phone number",
    "text": "text",
}
_ADVICE: Final[Mapping[tuple[Kind, FieldType], str]] = {
    ("datetime", "date"): "as: local_date",
    ("number", "integer"): "as: integer",
    ("text", "integer"): "as: integer",
    ("text", "number"): "as: number",
    ("text", "boolean"): "as: boolean",
    ("text", "date"): "as: local_date",
    ("text", "datetime"): "as: utc_datetime",
    ("text", "reference"): "id_of: with the id of an earlier step",
    ("list", "multipicklist"): "as: join_semicolon",
}


def check_account(
    mapping: MappingDocument,
    schema: Callable[[str], Sequence[Field] | None],
    problems: Problems,
) -> None:
    """Report what the account would refuse; the document's own form is taken as it is."""
    described: dict[str, Sequence[Field] | None] = {}
    objects = {step.id: step.object for step in mapping.steps}
    for position, step in enumerate(mapping.steps):
        if not step.object:
            continue
        if step.object not in described:
            described[step.object] = schema(step.object)
        fields = described[step.object]
        at: Location = ("steps", position)
        if fields is None:
            message = f"the account has no object {quoted(step.object)}"
            problems.error((*at, "object"), message)
        else:
            _StepCheck(step, at, fields, objects, problems).run()


class _StepCheck:
    """Checks one step against the fields of its object."""

    def __init__(
        self,
        step: Step,
        at: Location,
        fields: Sequence[Field],
        objects: Mapping[str, str],
        problems: Problems,
    ) -> None:
        self.step, self.at, self.objects, self.problems = step, at, objects, problems
        self.fields = {field.name: field for field in fields}

    def run(self) -> None:
        for position, way in enumerate(self.step.matches):
            is_one = len(self.step.matches) == 1
            inner = (*self.at, "match") if is_one else (*self.at, "match", position)
            for target in way:
                if (field := self._find(target, (*inner, target.name))) is not None:
                    self._check_match_field(field, (*inner, target.name))
                    self._check_kind(field, target.directive, (*inner, target.name))
        for target in self.step.targets:
            where = (*self.at, "set", target.name)
            if (field := self._find(target, where)) is not None:
                self._check_access(field, target.directive, where)
                self._check_value(field, target.directive, where)
        self._check_required()

    def _find(self, target: Target, at: Location) -> Field | None:
        field = self.fields.get(target.name)
        if field is None:
            self.problems.error(
                at,
                f"{self.step.object} has no field {quoted(target.name)}{self._guess(target.name)}",
            )
        return field

    def _guess(self, name: str) -> str:
        """Suggest the field of nearly this name, or of this label."""
        if not self.problems.are_few:
            return ""
        by_label = {field.label.lower(): field.name for field in self.fields.values()}
        if label := by_label.get(name.lower()):
            return f" (did you mean {label}?)"
        return did_you_mean(name, self.fields)

    def _name(self, field: Field) -> str:
        return f"{self.step.object}.{field.name}"

    def _check_match_field(self, field: Field, at: Location) -> None:
        if not field.can_match:
            self.problems.error(at, f"records cannot be looked up by {self._name(field)}")
        elif not field.is_unique and field.type not in {"phone", "email", "id", "reference"}:
            self.problems.warning(
                at,
                f"several records may have the same {self._name(field)}; "
                "a voicemail that fits more than one waits for a person",
            )

    def _check_access(self, field: Field, directive: Directive, at: Location) -> None:
        if not field.can_create and not field.can_update:
            self.problems.error(at, f"{self._name(field)} is read-only")
        elif not field.can_create:
            message = f"{self._name(field)} cannot be set when a record is made"
            self.problems.error(at, message)
        elif not field.can_update and self.step.matches and directive.update != "never":
            message = f"{self._name(field)} cannot be changed later; add update: never"
            self.problems.error(at, message)

    def _check_value(self, field: Field, directive: Directive, at: Location) -> None:
        source = directive.source
        if field.is_required and isinstance(source, Value) and source.value is None:
            self.problems.error(at, f"{self._name(field)} is required and cannot be cleared")
        elif field.is_required and may_be_absent(directive):
            self.problems.warning(
                at, f"{self._name(field)} is required and this may have no value; add or"
            )
        self._check_kind(field, directive, at)
        self._check_length(field, directive, at)

    def _check_kind(self, field: Field, directive: Directive, at: Location) -> None:
        if isinstance(directive.source, IdOf):
            self._check_reference(field, directive.source.step, at)
            return
        if isinstance(directive.source, Items):
            if field.type == "multipicklist":
                for position, item in enumerate(directive.source.items):
                    self._check_picklist(field, item, (*at, "list", position))
            self._report_misfit(field, kind_of(directive) or "list", at)
            return
        for literal in literals_of(directive, at):
            self._report_misfit(field, literal.kind, literal.at, literal=literal)
        if (kind := kind_of(directive)) is not None:
            self._report_misfit(field, kind, at)
        if field.type in {"picklist", "multipicklist"}:
            self._check_picklist(field, directive, at)
        if field.type == "html" and says_callers_words(directive):
            self.problems.error(
                at,
                f"{self._name(field)} holds HTML and this may hold a caller's words; "
                "add as: html_text",
            )

    def _report_misfit(
        self, field: Field, kind: Kind, at: Location, *, literal: Literal | None = None
    ) -> None:
        """Report a kind that the field's type does not take, with what would help."""
        if kind in {"any", "null"} or kind in _FITS[field.type]:
            return
        if literal is not None and _literal_fits(field.type, literal.value):
            return
        takes = _TAKES.get(field.type, "text")
        what = quoted(literal.value) if literal is not None else f"this is {_IS.get(kind, kind)}"
        verb = " is given" if literal is not None else ""
        advice = "" if literal is not None else _advice(kind, field.type)
        self.problems.error(at, f"{what}{verb} and {self._name(field)} takes {takes}{advice}")

    def _check_picklist(self, field: Field, directive: Directive, at: Location) -> None:
        values = [choice.value for choice in field.choices]
        if not values and not field.is_restricted:
            return
        unlisted: list[str] = []
        for literal in literals_of(directive, at):
            if not isinstance(literal.value, str):
                continue
            is_many = field.type == "multipicklist"
            texts = literal.value.split(";") if is_many else [literal.value]
            strange = [text for text in texts if text not in values]
            if field.is_restricted:
                for text in strange:
                    self._report_unlisted(field, text, values, literal.at)
            unlisted += strange
        if field.is_restricted:
            self._check_source_values(field, directive, values, at)
        elif unlisted:
            self._warn_of_unlisted(field, unlisted, values, at)

    def _check_source_values(
        self, field: Field, directive: Directive, values: list[str], at: Location
    ) -> None:
        """Report a source whose values a restricted list does not have; choose would give them."""
        source = directive.source
        if directive.choose is not None or not isinstance(source, From) or directive.convert:
            return
        for path in source.paths:
            found = find_field(path)
            if found is None or found.type == "any":
                continue
            if not found.choices or any(value not in values for value in found.choices):
                self.problems.error(
                    at,
                    f"{self._name(field)} takes only {listed(values)}; "
                    f"add choose to give one of these for each value of {path}",
                )
                return

    def _report_unlisted(self, field: Field, value: str, values: list[str], at: Location) -> None:
        guess = did_you_mean(value, values)
        known = listed(values)
        self.problems.error(
            at, f"{quoted(value)} is not a value of {self._name(field)} ({known}){guess}"
        )

    def _warn_of_unlisted(
        self, field: Field, unlisted: list[str], values: list[str], at: Location
    ) -> None:
        """Warn once of all values that the list does not have, where the account takes any."""
        names = listed((quoted(value) for value in dict.fromkeys(unlisted)), most=3)
        guess = did_you_mean(unlisted[0], values) if len(unlisted) == 1 else ""
        self.problems.warning(
            at,
            f"{self._name(field)} does not list {names}{guess}, but the account takes any text "
            f"({listed(values)})",
        )

    def _check_length(self, field: Field, directive: Directive, at: Location) -> None:
        if field.max_chars is None or field.type in {
            "picklist",
            "multipicklist",
            "date",
            "boolean",
        }:
            return
        for literal in literals_of(directive, at):
            if isinstance(literal.value, str) and len(literal.value) > field.max_chars:
                self.problems.error(
                    literal.at,
                    f"has {len(literal.value)} characters and {self._name(field)} takes at most "
                    f"{field.max_chars}",
                )
        most = longest(directive)
        if directive.max_chars is not None and directive.max_chars > field.max_chars:
            self.problems.error(
                (*at, "max"), f"{self._name(field)} takes at most {field.max_chars} characters"
            )
        elif directive.max_chars is None and (most is None or most > field.max_chars):
            self.problems.warning(
                at,
                f"may be longer than {self._name(field)} takes; add max: {field.max_chars}",
            )

    def _check_reference(self, field: Field, step: str, at: Location) -> None:
        where = (*at, "id_of")
        if field.type not in {"reference", "id"}:
            if field.type not in {"string", "text"}:
                takes = _TAKES.get(field.type, "text")
                message = f"this is the id of a record and {self._name(field)} takes {takes}"
                self.problems.error(where, message)
            return
        target = self.objects.get(step)
        if target and field.references and target not in field.references:
            self.problems.error(
                where,
                f"{self._name(field)} points to {listed(field.references)}, "
                f"and step {quoted(step)} writes {target}",
            )

    def _check_required(self) -> None:
        given = {target.name for target in self.step.targets}
        for field in self.fields.values():
            if not field.is_required or not field.can_create or field.name in given:
                continue
            # A directive that could not be read is there all the same, and is reported already.
            there = pointer_of((*self.at, "set", field.name))
            if any(f"{one.pointer}/".startswith(f"{there}/") for one in self.problems.found):
                continue
            message = f"{self._name(field)} is required; give it a value"
            self.problems.error((*self.at, "set"), message)


def _literal_fits(kind: FieldType, value: object) -> bool:
    """Tell whether a literal that is written as text or number is what the type takes."""
    if kind in {"date", "datetime", "reference", "id"}:
        return isinstance(value, str)
    return kind == "picklist" and isinstance(value, (int, float))


def _advice(kind: Kind, wanted: FieldType) -> str:
    if (kind, wanted) in _ADVICE:
        return f"; add {_ADVICE[kind, wanted]}"
    if wanted in {"string", "text", "html"} and kind != "html":
        return "; add as: join" if kind == "list" else "; add as: text"
    return ""
