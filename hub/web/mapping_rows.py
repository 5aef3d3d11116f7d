"""The rows that the mapping pages show: mappings, their versions, and who saved them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, abort
from sqlalchemy import select

from hub.db import mappings as kept
from hub.db.connections import Connection
from hub.db.mappings import FieldMapping, MappingVersion
from hub.db.people import Person
from hub.db.tenancy import TenantSession
from hub.web.viewer import the_hub, viewer

#: All mapping pages; their modules add their views to it.
pages = Blueprint("mappings", __name__, url_prefix="/mappings")


@dataclass(frozen=True, slots=True)
class Found:
    """A mapping with its connection, the version in use, and the newest number."""

    row: FieldMapping
    connection: Connection
    version: MappingVersion
    newest: int


@dataclass(frozen=True, slots=True)
class Saved:
    """One saved version and who saved it."""

    row: MappingVersion
    author: str


def find(mapping_id: str) -> Found:
    """Give a mapping of the viewer's company; a 404 page without one."""
    with the_hub().tenant(viewer().tenant_id) as session:
        found = session.execute(
            select(FieldMapping, Connection, MappingVersion)
            .join(Connection, Connection.id == FieldMapping.connection_id)
            .join(
                MappingVersion,
                (MappingVersion.mapping_id == FieldMapping.id)
                & (MappingVersion.number == FieldMapping.version),
            )
            .where(FieldMapping.id == mapping_id, FieldMapping.archived_at.is_(None))
        ).one_or_none()
        if found is None:
            abort(404)
        return Found(found[0], found[1], found[2], kept.newest_number(session, mapping_id))


def version_row(session: TenantSession, mapping_id: str, number: int) -> MappingVersion:
    """Give one version; a 404 page without it."""
    row = session.scalars(
        select(MappingVersion).where(
            MappingVersion.mapping_id == mapping_id, MappingVersion.number == number
        )
    ).one_or_none()
    if row is None:
        abort(404)
    return row


def authors(session: TenantSession, rows: Sequence[MappingVersion]) -> dict[str, str]:
    """Give the names of people who saved versions; keys and commands keep their own words."""
    ids = {row.author.removeprefix("person:") for row in rows}
    people = session.execute(select(Person.id, Person.name).where(Person.id.in_(ids)))
    return {f"person:{person_id}": name for person_id, name in people}
