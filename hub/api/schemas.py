"""Schemas of events and kinds of problems: public, so that a program can look up what it is told."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

from flask import Response
from pydantic import Field

from hub.api import auth, edge
from hub.api.answers import Answer
from hub.api.paging import Address
from hub.api.problems import KINDS, Refused
from mappings.event import EVENT_TYPE, Event

tag = edge.tag("schemas", "JSON Schemas of events, and the kinds of problems.")

_SCHEMA_MEDIA_TYPE: Final = "application/schema+json"


class SchemaLine(Answer):
    """A type of event and where its JSON Schema is."""

    type: str
    href: str


class SchemaList(Answer):
    """Types of events that are accepted."""

    items: list[SchemaLine]


class ProblemKind(Answer):
    """A kind of problem and what to do about it."""

    type: str
    status: int
    title: str
    advice: str


class KindAddress(Address):
    """The path of a kind of problem."""

    kind: str = Field(pattern=r"^[a-z-]{1,40}$", json_schema_extra={"example": "invalid"})


class TypeAddress(Address):
    """The path of a type of event."""

    type: str = Field(pattern=r"^[a-z0-9.]{1,100}$", json_schema_extra={"example": EVENT_TYPE})


@tag.get(
    "/v1/schemas/",
    summary="List the types of events that are accepted",
    responses=edge.says({200: (SchemaList, "The types")}, is_public=True),
)
@auth.public
def list_schemas() -> Response:
    """List types of events."""
    href = f"/v1/schemas/{EVENT_TYPE}"
    return edge.sent(SchemaList(items=[SchemaLine(type=EVENT_TYPE, href=href)]))


def _schema_answer() -> edge.Said:
    said = edge.says({200: (SchemaList, "JSON Schema 2020-12")}, 404, is_public=True)
    said["200"]["content"] = {_SCHEMA_MEDIA_TYPE: {"schema": {"type": "object"}}}
    return said


@tag.get(
    "/v1/schemas/<type>",
    summary="Read the JSON Schema of a type of event",
    responses=_schema_answer(),
)
@auth.public
def get_schema(path: TypeAddress) -> Response:
    """Read the schema of a whole event, envelope and data."""
    if path.type != EVENT_TYPE:
        raise Refused("not-found", f"There is one type of event: {EVENT_TYPE}.")
    return Response(_schema(), mimetype=_SCHEMA_MEDIA_TYPE)


@cache
def _schema() -> str:
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/v1/schemas/{EVENT_TYPE}",
        **Event.model_json_schema(by_alias=True),
    }
    return json.dumps(made, indent=1)


@tag.get(
    "/v1/problems/<kind>",
    summary="Read what a kind of problem means",
    responses=edge.says({200: (ProblemKind, "The kind")}, 404, is_public=True),
)
@auth.public
def get_problem_kind(path: KindAddress) -> Response:
    """Read one kind of problem."""
    kind = KINDS.get(path.kind)
    if kind is None:
        raise Refused("not-found", f"The kinds of problems are {', '.join(KINDS)}.")
    answer = ProblemKind(
        type=f"/v1/problems/{path.kind}", status=kind.status, title=kind.title, advice=kind.advice
    )
    return edge.sent(answer)
