"""Tenants are kept apart in one place: no query, write or delete crosses, whatever the table."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Mapper, aliased

from hub.context import Hub
from hub.db.base import new_id
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.mappings import FieldMapping
from hub.db.tenancy import TenantSession, WrongTenant
from tests.conftest import Company, new_company
from tests.db.rows import fill, owned, primary_key


@pytest.fixture(scope="module")
def neighbour(hub: Hub) -> tuple[Company, dict[str, Any]]:
    """Another tenant, with a row in every table."""
    company = new_company(hub)
    return company, fill(hub, company)


each_table = pytest.mark.parametrize("mapper", owned(), ids=lambda one: one.local_table.name)
Neighbour = tuple[Company, dict[str, Any]]


def test_every_table_of_a_tenant_is_known() -> None:
    """The tables that hold a tenant's data are the ones that these tests go through."""
    names = {mapper.local_table.name for mapper in owned()}

    assert {"events", "deliveries", "connections", "mappings", "audit", "data_keys"} <= names


@each_table
def test_a_select_finds_nothing_of_a_neighbour(
    mapper: Mapper[Any], hub: Hub, company: Company, neighbour: Neighbour
) -> None:
    """Neither rows nor a count, an alias or a subquery of them."""
    table = mapper.class_
    with hub.tenant(neighbour[0].tenant_id) as session:
        own = session.scalar(select(func.count()).select_from(table))
    with hub.tenant(company.tenant_id) as session:
        where = table.tenant_id == neighbour[0].tenant_id
        rows = session.scalars(select(table).where(where)).all()
        count = session.scalar(select(func.count()).select_from(table).where(where))
        other = aliased(table)
        alias = session.scalars(
            select(other).where(other.tenant_id == neighbour[0].tenant_id)
        ).all()
        inner = session.scalar(
            select(func.count()).select_from(select(table.tenant_id).where(where).subquery())
        )

    assert own
    assert (rows, count, alias, inner) == ([], 0, [], 0)


@each_table
def test_a_get_finds_nothing_of_a_neighbour(
    mapper: Mapper[Any], hub: Hub, company: Company, neighbour: Neighbour
) -> None:
    """Knowing a row's key is not enough."""
    with hub.tenant(company.tenant_id) as session:
        found = session.get(mapper.class_, primary_key(mapper, neighbour[1]))

    assert found is None


@each_table
def test_an_update_or_delete_leaves_a_neighbour_alone(
    mapper: Mapper[Any], hub: Hub, company: Company, neighbour: Neighbour
) -> None:
    """Statements without any condition touch no row of another tenant."""
    table = mapper.class_
    column = next(one for one in mapper.local_table.columns if one.name != "tenant_id")
    with hub.everyone("a test counts") as session:
        before = session.execute(select(mapper.local_table)).all()
    with hub.tenant(company.tenant_id) as session:
        where = table.tenant_id == neighbour[0].tenant_id
        changed = session.execute(update(table).where(where).values({column.name: column})).rowcount
        gone = session.execute(delete(table).where(where)).rowcount
    with hub.everyone("a test counts") as session:
        after = session.execute(select(mapper.local_table)).all()

    assert (changed, gone) == (0, 0)
    assert sorted(map(repr, before)) == sorted(map(repr, after))


@each_table
def test_an_insert_for_a_neighbour_is_refused(
    mapper: Mapper[Any], hub: Hub, company: Company, neighbour: Neighbour
) -> None:
    """By statement, by list, or by object: a row of another tenant is never written."""
    values = neighbour[1][mapper.local_table.name]
    session: TenantSession
    with pytest.raises(WrongTenant), hub.tenant(company.tenant_id) as session:
        session.execute(insert(mapper.class_).values(**values))
    with pytest.raises(WrongTenant), hub.tenant(company.tenant_id) as session:
        session.execute(insert(mapper.class_), [values])
    with pytest.raises(WrongTenant), hub.tenant(company.tenant_id) as session:
        session.execute(insert(mapper.class_).values([values, values]))
    with pytest.raises(WrongTenant), hub.tenant(company.tenant_id) as session:
        session.add(mapper.class_(**values))


@each_table
def test_no_row_is_given_to_a_neighbour(
    mapper: Mapper[Any], hub: Hub, company: Company, neighbour: Neighbour
) -> None:
    """An update that would move a row to another tenant is refused."""
    with pytest.raises(WrongTenant), hub.tenant(company.tenant_id) as session:
        session.execute(update(mapper.class_).values(tenant_id=neighbour[0].tenant_id))


def test_rows_of_a_list_are_confined_too(hub: Hub, company: Company, neighbour: Neighbour) -> None:
    """An update of many rows by their keys does not reach a neighbour's."""
    delivery_id = neighbour[1]["deliveries"]["id"]
    with hub.tenant(company.tenant_id) as session:
        session.execute(
            update(Delivery).where(Delivery.id.in_([delivery_id])).values(reason="mine now")
        )
    with hub.tenant(neighbour[0].tenant_id) as session:
        found = session.get(Delivery, delivery_id)

    assert found.reason is None


def test_a_join_shows_no_neighbour(hub: Hub, company: Company, neighbour: Neighbour) -> None:
    """Both sides of a join are confined."""
    with hub.tenant(company.tenant_id) as session:
        found = session.execute(
            select(StoredEvent.id, Delivery.id, FieldMapping.id)
            .outerjoin(Delivery, Delivery.event_id == StoredEvent.id)
            .outerjoin(FieldMapping, FieldMapping.id == Delivery.mapping_id)
        ).all()

    assert found == []


def test_an_object_of_a_neighbour_is_not_written(
    hub: Hub, company: Company, neighbour: Neighbour
) -> None:
    """An object that was read elsewhere cannot be changed through another tenant's session."""
    with hub.tenant(neighbour[0].tenant_id) as session:
        row = session.scalars(select(Connection)).one()
    row.label = "Mine now"

    with pytest.raises(WrongTenant), hub.tenant(company.tenant_id) as session:
        session.add(row)


def test_a_session_says_for_whom_it_is(hub: Hub) -> None:
    """There is no session that is neither for a tenant nor across tenants for a reason."""
    with pytest.raises(WrongTenant):
        TenantSession(hub.engine)
    with pytest.raises(WrongTenant):
        TenantSession(hub.engine, tenant_id=new_id("ten"), why="both")
