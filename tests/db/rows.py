"""A row in every table of a tenant, made from the mapper registry, so that a new table is covered by itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, insert, inspect
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.sqltypes import BigInteger, Boolean, DateTime, Float, Integer, LargeBinary

from hub.context import Hub
from hub.db.base import Base, TenantOwned, new_id, now
from hub.db.schema import metadata
from tests.conftest import Company

#: Columns that a table's rules allow only some values of.
_ALLOWED = {
    "alert_sendings.channel": "mail",
    "alert_sendings.state": "waiting",
    "connections.health": "healthy",
    "invitations.role": "viewer",
    "deliveries.state": "held",
    "memberships.role": "viewer",
    "outcomes.kind": "touched",
    "outcomes.source": "poll",
    "replays.state": "running",
}


def owned() -> list[Mapper[Any]]:
    """Give the mappers of all tables that belong to tenants, parents first."""
    order = {table.name: place for place, table in enumerate(metadata.sorted_tables)}
    found = [one for one in Base.registry.mappers if issubclass(one.class_, TenantOwned)]
    return sorted(found, key=lambda one: order[one.local_table.name])


def fill(hub: Hub, company: Company) -> dict[str, dict[str, Any]]:
    """Put one row into every table; gives the values by table."""
    made: dict[str, dict[str, Any]] = {
        "tenants": {"id": company.tenant_id},
        "people": {"id": company.person_id},
    }
    with hub.everyone("a test fills all tables") as session:
        for mapper in owned():
            table = mapper.local_table
            if table.name == "memberships":
                person_id = new_id("per")
                session.execute(
                    insert(metadata.tables["people"]).values(
                        id=person_id, email=f"{person_id}@harbor.example", name="Kit Shore"
                    )
                )
                made["people"] = {"id": person_id}
            values = {
                column.name: _value(column, made) for column in table.columns if _is_wanted(column)
            }
            row = session.execute(insert(table).values(values).returning(*table.columns)).one()
            made[table.name] = dict(row._mapping)
    return made


def _is_wanted(column: Column[Any]) -> bool:
    return not column.nullable and column.identity is None


def _value(column: Column[Any], made: dict[str, dict[str, Any]]) -> Any:
    if column.name == "tenant_id":
        return made["tenants"]["id"]
    for foreign in column.foreign_keys:
        return made[foreign.column.table.name][foreign.column.name]
    name = f"{column.table.name}.{column.name}"
    if name in _ALLOWED:
        return _ALLOWED[name]
    samples: list[tuple[type, Any]] = [
        (Boolean, False),
        (BigInteger, 1),
        (Integer, 1),
        (Float, 1.0),
        (DateTime, now()),
        (LargeBinary, b"sealed"),
        (JSONB, {}),
        (ARRAY, []),
    ]
    return next((value for kind, value in samples if isinstance(column.type, kind)), new_id("x"))


def primary_key(mapper: Mapper[Any], made: dict[str, dict[str, Any]]) -> tuple[Any, ...]:
    """Give the key of the row that was put into a table."""
    return tuple(
        made[mapper.local_table.name][column.name] for column in inspect(mapper).primary_key
    )
