"""Mappings: read, check and save. A mapping with an error is never saved; every saved version is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

from flask import Response
from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import select

from hub.api import auth, edge
from hub.api.answers import (
    Checked,
    MappingFull,
    MappingLine,
    MappingList,
    MappingProblem,
    SavedMapping,
    VersionLine,
)
from hub.api.deliveries import Body
from hub.api.paging import Address
from hub.api.problems import Fault, Refused, counted
from hub.db import mappings as store
from hub.db.connections import Connection
from hub.db.keys import Scope
from hub.db.mappings import FieldMapping, MappingVersion
from hub.delivery.checking import checked
from mappings import document as documents
from mappings.check import check
from mappings.problem import InvalidMapping, Problem

tag = edge.tag("mappings", "How events become records: read, check and save.")

ID_PATTERN: Final = r"^map_[0-9a-z]{26}$"
_LOCATED: Final = "/document"

ConnectionId = Annotated[str, StringConstraints(pattern=r"^con_[0-9a-z]{26}$")]
Label = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", min_length=1, max_length=120)
]
Note = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=1_000)]


class MappingAddress(Address):
    """The path of one mapping."""

    id: str = Field(
        pattern=ID_PATTERN, json_schema_extra={"example": "map_01jd3f6g7h8j9kamnbpcqdrset"}
    )


class Draft(Body):
    """A mapping as a document: exactly one of ``document`` (JSON) and ``yaml`` (text)."""

    document: dict[str, Any] | None = Field(None, description="The mapping as JSON")
    yaml: str | None = Field(None, description="The mapping as YAML text", max_length=262_144)

    @model_validator(mode="after")
    def _is_one(self) -> Draft:
        if (self.document is None) == (self.yaml is None):
            raise ValueError("must have exactly one of document and yaml")
        return self

    def text(self) -> str:
        """Give the document as it would stand in a file."""
        return self.yaml if self.yaml is not None else json.dumps(self.document)


class CheckedDraft(Draft):
    """A mapping to check; with a connection its fields are checked too."""

    connection_id: ConnectionId | None = None


class NewMapping(Draft):
    """A mapping to save."""

    connection_id: ConnectionId
    name: Label = Field(examples=["Leads"])
    note: Note = Field("", description="What changed, for other people")


class ChangedMapping(NewMapping):
    """The next version of a mapping."""

    expected_version: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="The newest version when it was read; a 409 when somebody saved since",
    )


@tag.get(
    "/v1/mappings",
    summary="List mappings by name",
    security=edge.secured(Scope.MAPPINGS_READ),
    responses=edge.says({200: (MappingList, "All mappings, archived ones too")}),
)
@auth.needs(Scope.MAPPINGS_READ)
def list_mappings(query: edge.NoParameters) -> Response:  # noqa: ARG001 - being there refuses unknown parameters
    """List mappings."""
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        rows = session.scalars(
            select(FieldMapping).order_by(FieldMapping.name, FieldMapping.id)
        ).all()
    return edge.sent(MappingList(items=[_line(row) for row in rows]))


@tag.get(
    "/v1/mappings/<id>",
    summary="Read a mapping with its versions",
    security=edge.secured(Scope.MAPPINGS_READ),
    responses=edge.says({200: (MappingFull, "The mapping")}, 404),
)
@auth.needs(Scope.MAPPINGS_READ)
def get_mapping(path: MappingAddress) -> Response:
    """Read one mapping: the published document, and all versions."""
    return edge.sent(_full(path.id))


@tag.post(
    "/v1/mappings/check",
    summary="Check a mapping without saving it",
    description="With a connection, the fields are checked against what its account really has.",
    security=edge.secured(Scope.MAPPINGS_READ),
    responses=edge.says({200: (Checked, "What was found; nothing was saved")}, 400, 404, 413, 415),
)
@auth.needs(Scope.MAPPINGS_READ)
def check_mapping(body: CheckedDraft) -> Response:
    """Check a mapping."""
    _, problems = _checked(body, body.connection_id)
    return edge.sent(Checked(is_ok=_is_ok(problems), problems=[shown(one) for one in problems]))


@tag.post(
    "/v1/mappings",
    summary="Save a new mapping",
    description="It is published at once. A problem's pointers begin with `/document`.",
    security=edge.secured(Scope.MAPPINGS_WRITE),
    responses=edge.says({201: (SavedMapping, "Saved and published")}, 400, 404, 409, 413, 415),
)
@auth.needs(Scope.MAPPINGS_WRITE)
def post_mapping(body: NewMapping) -> Response:
    """Save a new mapping."""
    saved = _save(body)
    return edge.sent(saved, 201, {"Location": f"/v1/mappings/{saved.mapping.id}"})


@tag.put(
    "/v1/mappings/<id>",
    summary="Save the next version of a mapping",
    description="It is published at once; older versions are kept.",
    security=edge.secured(Scope.MAPPINGS_WRITE),
    responses=edge.says({200: (SavedMapping, "Saved and published")}, 400, 404, 409, 413, 415),
)
@auth.needs(Scope.MAPPINGS_WRITE)
def put_mapping(path: MappingAddress, body: ChangedMapping) -> Response:
    """Save the next version."""
    _full(path.id)
    return edge.sent(_save(body, mapping_id=path.id, expected=body.expected_version))


def _save(
    body: NewMapping, *, mapping_id: str | None = None, expected: int | None = None
) -> SavedMapping:
    data, problems = _checked(body, body.connection_id)
    if not _is_ok(problems):
        wrong = [one for one in problems if one.severity == "error"]
        faults = [
            Fault(pointer=_LOCATED + one.pointer, detail=str(one), parameter=None) for one in wrong
        ]
        raise Refused("invalid", counted(faults), errors=faults)
    holder = auth.holder()
    source = body.yaml if body.yaml is not None else documents.dump_yaml(documents.parse(data))
    try:
        with auth.the_hub().tenant(holder.tenant_id) as session:
            row = store.save(
                session,
                connection_id=body.connection_id,
                name=body.name,
                document=data,
                source=source,
                author=holder.actor,
                note=body.note,
                mapping_id=mapping_id,
                expected_version=expected,
            )
    except (store.EditConflict, store.NameTaken) as err:
        raise Refused("conflict", str(err)) from None
    except LookupError as err:
        raise Refused("not-found", str(err)) from None
    return SavedMapping(mapping=_full(row.id), warnings=[shown(one) for one in problems])


def _checked(body: Draft, connection_id: str | None) -> tuple[dict[str, Any], Sequence[Problem]]:
    """Read and check a draft; an account that does not answer is a warning, not an error."""
    if connection_id is None:
        try:
            data = documents.load(body.text())
        except InvalidMapping as err:
            return {}, err.problems
        return data, check(data)
    hub, tenant_id = auth.the_hub(), auth.holder().tenant_id
    with hub.tenant(tenant_id) as session:
        found = session.scalars(select(Connection.id).where(Connection.id == connection_id))
        if found.one_or_none() is None:
            raise Refused("not-found", "There is no such connection.")
    document, problems = checked(hub, tenant_id, connection_id, body.text())
    return document or {}, problems


def _is_ok(problems: Sequence[Problem]) -> bool:
    return all(one.severity != "error" for one in problems)


def shown(problem: Problem) -> MappingProblem:
    """Give a problem of a mapping as the API tells it."""
    return MappingProblem(
        pointer=problem.pointer,
        path=problem.path,
        severity=problem.severity,
        detail=problem.message,
    )


def _members(row: FieldMapping) -> dict[str, Any]:
    return {name: getattr(row, name) for name in MappingLine.model_fields}


def _line(row: FieldMapping) -> MappingLine:
    return MappingLine(**_members(row))


def _full(mapping_id: str) -> MappingFull:
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        row = session.scalars(
            select(FieldMapping).where(FieldMapping.id == mapping_id)
        ).one_or_none()
        if row is None:
            raise Refused("not-found", "There is no such mapping.")
        versions = session.scalars(
            select(MappingVersion)
            .where(MappingVersion.mapping_id == mapping_id)
            .order_by(MappingVersion.number.desc())
        ).all()
    published = next(version for version in versions if version.number == row.version)
    return MappingFull(
        **_members(row),
        newest_version=versions[0].number,
        document=published.document,
        yaml=published.source,
        versions=[
            VersionLine(**{name: getattr(version, name) for name in VersionLine.model_fields})
            for version in versions
        ],
    )
