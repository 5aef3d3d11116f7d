"""The fields of the canonical event that a mapping can read, derived from its model.

Mapping checks, the editor, suggestions and the documents read this one list. A path through a list
(``urgency.reasons.line``) gives the list of that part of every entry.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from mappings.event import Phone, Voicemail, with_transcript_text

FieldKind = Literal["text", "choice", "phone", "datetime", "number", "integer", "boolean", "any"]


@dataclass(frozen=True, slots=True)
class CatalogueField:
    """One thing that a mapping can read.

    ``path`` ends with ``.*`` where the event is open-ended (``extra.*`` stands for every field of
    the tenant's own). ``choices`` are all values that a field of type ``choice`` has. A field with
    ``is_list`` gives a list of values of its type. ``max_chars`` is None where the event sets no
    limit. ``is_required`` says that every event has it.
    """

    path: str
    label: str
    type: FieldKind
    example: Any = None
    choices: tuple[str, ...] = ()
    description: str = ""
    is_list: bool = False
    is_required: bool = False
    max_chars: int | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the last part of the path is the tenant's to name."""
        return self.path.endswith(".*")


@cache
def catalogue() -> tuple[CatalogueField, ...]:
    """List every field that a mapping can read, in the order of the model."""
    return tuple(_with_transcript_text(_fields_of(Voicemail, (), is_required=True)))


def find_field(path: str) -> CatalogueField | None:
    """Give the field at a path; a name under an open-ended path finds that path's field."""
    found = _by_path().get(path)
    if found is not None and not found.is_open:
        return found
    parent, _, name = path.rpartition(".")
    return _by_path().get(f"{parent}.*") if parent and name and name != "*" else None


@cache
def paths() -> tuple[str, ...]:
    """List all paths, for suggestions to people who mistyped one."""
    return tuple(_by_path())


@cache
def _by_path() -> Mapping[str, CatalogueField]:
    return {field.path: field for field in catalogue()}


def example_facts() -> dict[str, Any]:
    """Give a made-up voicemail, as mappings read it, in which every field has its example."""
    return copy.deepcopy(_example_facts())


@cache
def _example_facts() -> dict[str, Any]:
    return with_transcript_text(_example_of(Voicemail))


def _example_of(model: type[BaseModel]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        inner, is_list = _unwrap(info.annotation)
        value = _example_of(inner) if _is_model(inner) else _first_example(info)
        if value is not None:
            made[info.alias or name] = [value] if is_list and _is_model(inner) else value
    return made


def _fields_of(
    model: type[BaseModel], above: tuple[str, ...], *, is_required: bool, is_list: bool = False
) -> Iterator[CatalogueField]:
    """Walk a model depth first; ``is_list`` says that a list was passed on the way."""
    for name, info in model.model_fields.items():
        place = (*above, info.alias or name)
        inner, is_many = _unwrap(info.annotation)
        # A part with a default that is not None is there in every event too.
        has_value = is_required and not is_many and not _is_optional(info.annotation)
        if _is_model(inner):
            yield from _fields_of(inner, place, is_required=has_value, is_list=is_list or is_many)
        elif get_origin(inner) is dict:
            yield _open_field(info, place, get_args(inner)[1])
        else:
            yield _leaf(info, place, inner, is_list=is_list or is_many, is_required=has_value)


def _leaf(
    info: FieldInfo, place: tuple[str, ...], inner: Any, *, is_list: bool, is_required: bool
) -> CatalogueField:
    choices = _choices_of(inner)
    example = _first_example(info)
    if is_list and not isinstance(example, list):
        example = [example]
    return CatalogueField(
        path=".".join(place),
        label=info.title or _label_of(place),
        type="choice" if choices else _kind_of(inner, info),
        example=example,
        choices=choices,
        description=info.description or "",
        is_list=is_list,
        is_required=is_required,
        max_chars=_max_chars_of(info),
    )


def _open_field(info: FieldInfo, place: tuple[str, ...], values: Any) -> CatalogueField:
    example = _first_example(info)
    return CatalogueField(
        path=".".join((*place, "*")),
        label=_label_of((*place, "(any name)")),
        type=_kind_of(values, info) if values in {str, float, int} else "any",
        example=next(iter(example.values())) if isinstance(example, dict) and example else None,
        description=info.description or "",
    )


def _with_transcript_text(fields: Iterator[CatalogueField]) -> Iterator[CatalogueField]:
    """Add the joined transcript, which ``event.facts`` adds to the event's data."""
    for field in fields:
        yield field
        if field.path == "transcript.segments.text":
            yield CatalogueField(
                path="transcript.text",
                label="Transcript: text",
                type="text",
                example="\n".join(field.example),
                description="Everything that was said, a line for each segment",
            )


def _unwrap(annotation: Any) -> tuple[Any, bool]:
    """Take ``| None``, Annotated and tuple off a type: what is inside, and whether it is a list."""
    is_list = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in {Union, types.UnionType}:
            inner = [part for part in get_args(annotation) if part is not type(None)]
            if len(inner) != 1:
                return annotation, is_list
            annotation = inner[0]
        elif origin in {tuple, list}:
            is_list = True
            annotation = get_args(annotation)[0]
        else:
            return annotation, is_list


def _is_optional(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _is_model(inner: Any) -> bool:
    return isinstance(inner, type) and issubclass(inner, BaseModel)


def _choices_of(inner: Any) -> tuple[str, ...]:
    if get_origin(inner) is Literal:
        return tuple(str(value) for value in get_args(inner))
    if isinstance(inner, type) and issubclass(inner, Enum):
        return tuple(str(member.value) for member in inner)
    return ()


def _kind_of(inner: Any, info: FieldInfo) -> FieldKind:
    if inner is bool:
        return "boolean"
    if inner is int:
        return "integer"
    if inner is float:
        return "number"
    # AwareDatetime is a pydantic marker class, not a datetime.
    if inner is datetime or getattr(inner, "__name__", "") == "AwareDatetime":
        return "datetime"
    if inner is str:
        return "phone" if _constraints(Phone)[0] in _constraints_of(info) else "text"
    return "any"


def _constraints_of(info: FieldInfo) -> list[Any]:
    found = list(info.metadata)
    for part in (info.annotation, *get_args(info.annotation)):
        found += _constraints(part)
    return found


def _constraints(annotation: Any) -> list[Any]:
    return list(get_args(annotation)[1:]) if get_origin(annotation) is Annotated else []


def _max_chars_of(info: FieldInfo) -> int | None:
    for constraint in _constraints_of(info):
        if isinstance(constraint, (StringConstraints, MaxLen)) and constraint.max_length:
            return constraint.max_length
    return None


def _first_example(info: FieldInfo) -> Any:
    return info.examples[0] if info.examples else None


def _label_of(place: tuple[str, ...]) -> str:
    """Give a path as words: ``caller.name.family`` is "Caller name: family"."""
    words = [
        part.removesuffix("_s").replace("_", " ") + (" (s)" if part.endswith("_s") else "")
        for part in place
    ]
    head, last = " ".join(words[:-1]), words[-1]
    label = f"{head}: {last}" if head else last
    return label[:1].upper() + label[1:]
