"""Compiled mappings, kept per process: a version never changes, so neither does what it compiles to."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import select

from hub.context import Hub
from hub.db.mappings import MappingVersion
from mappings.document import parse
from mappings.render import Compiled, compile_mapping


class MappingGone(LookupError):
    """There is no such version of such a mapping."""


def compiled(hub: Hub, tenant_id: str, mapping_id: str, number: int) -> Compiled:
    """Give one version of a mapping, compiled once per process; raises MappingGone."""
    return _compiled(_Source(hub, tenant_id), mapping_id, number)


class _Source:
    """Where a version is read from; equal for equal tenants, so that it can be part of a cache key."""

    def __init__(self, hub: Hub, tenant_id: str) -> None:
        self.hub = hub
        self.tenant_id = tenant_id

    def __hash__(self) -> int:
        return hash(self.tenant_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Source) and other.tenant_id == self.tenant_id


@lru_cache(maxsize=4_096)
def _compiled(source: _Source, mapping_id: str, number: int) -> Compiled:
    with source.hub.tenant(source.tenant_id) as session:
        document = session.scalars(
            select(MappingVersion.document).where(
                MappingVersion.mapping_id == mapping_id, MappingVersion.number == number
            )
        ).one_or_none()
    if document is None:
        raise MappingGone(f"There is no version {number} of mapping {mapping_id}.")
    return compile_mapping(parse(document))
