"""What a directive can give, found without rendering it: kinds, literals, lengths, absence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mappings.catalogue import CatalogueField, find_field
from mappings.convert import CONVERSIONS, Kind
from mappings.directives import UNSET, Directive, From, IdOf, Items, Scalar, Text, Value
from mappings.problem import Location

# Text of these can hold whatever a caller said; other kinds have a form of their own.
_WORDS: Final = frozenset({"text", "any"})
_MADE_SAFE: Final = frozenset(
    {"html_text"}
    | {name for name, one in CONVERSIONS.items() if one.gives not in {"text", "list"}}
    | {"slug", "digits"}
)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that the mapping itself holds, with its kind and its place."""

    kind: Kind
    at: Location
    value: Scalar = None


def kind_of(directive: Directive) -> Kind | None:
    """Give the kind of what the source and its conversions give; None when only literals come out."""
    source = directive.source
    if isinstance(source, Value) or directive.choose is not None:
        return None
    if directive.convert:
        return CONVERSIONS[directive.convert[-1]].gives
    if isinstance(source, Text):
        return "text"
    if isinstance(source, From):
        kinds = {_field_kind(find_field(path)) for path in source.paths}
        return kinds.pop() if len(kinds) == 1 else _common(kinds)
    return "id" if isinstance(source, IdOf) else "list"


def _field_kind(field: CatalogueField | None) -> Kind:
    if field is None:
        return "any"
    return "list" if field.is_list else field.type


def _common(kinds: set[Kind]) -> Kind:
    """Give the kind of several: text where all are written as text, else only the event tells."""
    return "text" if kinds <= {"text", "choice", "phone"} else "any"


def literals_of(directive: Directive, at: Location) -> Iterator[Literal]:
    """Walk the values that the mapping itself holds, with their places."""
    if isinstance(directive.source, Value):
        value = directive.source.value
        if isinstance(value, tuple):
            for position, entry in enumerate(value):
                yield _literal(entry, (*at, "value", position))
        else:
            yield _literal(value, (*at, "value"))
    for key, outcome in directive.choose or ():
        yield _literal(outcome, (*at, "choose", key))
    if directive.otherwise is not UNSET:
        yield _literal(directive.otherwise, (*at, "else"))
    if directive.fallback is not UNSET:
        yield _literal(directive.fallback, (*at, "or"))


def _literal(value: Scalar, at: Location) -> Literal:
    if value is None:
        return Literal("null", at)
    if isinstance(value, bool):
        return Literal("boolean", at, value)
    if isinstance(value, (int, float)):
        is_whole = isinstance(value, int) or value.is_integer()
        return Literal("integer" if is_whole else "number", at, value)
    return Literal("text", at, value)


def may_be_absent(directive: Directive) -> bool:
    """Tell whether some voicemails give the field no value."""
    source = directive.source
    if directive.fallback is not UNSET:
        return directive.fallback is None
    if directive.leaves_out_unfit:
        return True
    if isinstance(source, From):
        fields = [find_field(path) for path in source.paths]
        return not any(field is not None and field.is_required for field in fields)
    if isinstance(source, Text):
        words = "".join(part for part in source.template.parts if isinstance(part, str)).strip()
        fields = [find_field(path) for path in source.template.paths]
        has_value = any(field is not None and field.is_required for field in fields)
        return not has_value and (not words or "\n" in source.template.text.strip())
    if isinstance(source, Items):
        return all(may_be_absent(item) for item in source.items)
    return False


def longest(directive: Directive) -> int | None:
    """Give the most characters that the event can fill in; None when there is no bound, 0 for none."""
    source = directive.source
    if directive.choose is not None or isinstance(source, (Value, IdOf)):
        return 0
    if directive.convert and CONVERSIONS[directive.convert[-1]].gives not in {"text", "html"}:
        return 0
    if isinstance(source, Items):
        return None
    paths = source.paths if isinstance(source, From) else source.template.paths
    lengths = [_max_chars(find_field(path)) for path in paths]
    if "html_text" in directive.convert or any(length is None for length in lengths):
        return None
    known = [length for length in lengths if length is not None]
    if isinstance(source, From):
        return max(known, default=0)
    return sum(known) + sum(len(part) for part in source.template.parts if isinstance(part, str))


def _max_chars(field: CatalogueField | None) -> int | None:
    if field is None or field.is_list:
        return None
    if field.type in {"text", "any"}:
        return field.max_chars
    return max((len(choice) for choice in field.choices), default=32)


def says_callers_words(directive: Directive) -> bool:
    """Tell whether the result can hold words that a caller said, as they were said."""
    source = directive.source
    if directive.choose is not None or isinstance(source, (Value, IdOf)):
        return False
    if directive.convert and directive.convert[-1] in _MADE_SAFE:
        return False
    if isinstance(source, Items):
        return any(says_callers_words(item) for item in source.items)
    paths = source.paths if isinstance(source, From) else source.template.paths
    fields = [find_field(path) for path in paths]
    return any(field is None or field.type in _WORDS for field in fields)
