"""Connections: the tenant's accounts, their health, their budget, and what they hold."""

from __future__ import annotations

from typing import Any, Final

from flask import Response
from pydantic import Field
from sqlalchemy import func, select

from connectors.registry import CONNECTORS
from hub.api import auth, edge
from hub.api.answers import (
    BudgetLine,
    ChoiceLine,
    ConnectionFull,
    ConnectionLine,
    ConnectionList,
    FieldLine,
    FieldsAnswer,
    ObjectLine,
    ObjectList,
)
from hub.api.paging import Address, Parameters
from hub.api.problems import Refused
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.keys import Scope
from hub.delivery import describe
from hub.delivery.budget import Budget

tag = edge.tag("connections", "The tenant's accounts at vendors: health, budget, objects, fields.")

ID_PATTERN: Final = r"^con_[0-9a-z]{26}$"


class ConnectionAddress(Address):
    """The path of one connection."""

    id: str = Field(
        pattern=ID_PATTERN, json_schema_extra={"example": "con_01jd3f6g7h8j9kamnbpcqdrset"}
    )


class ObjectAddress(ConnectionAddress):
    """The path of one object of a connection."""

    object: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,120}$", json_schema_extra={"example": "Lead"})


class Freshness(Parameters):
    """Whether to ask the vendor even when we know."""

    refresh: bool = Field(False, description="Ask the vendor now; this costs its API limit")


@tag.get(
    "/v1/connections",
    summary="List connections, oldest first",
    security=edge.secured(Scope.CONNECTIONS_READ),
    responses=edge.says({200: (ConnectionList, "All connections")}),
)
@auth.needs(Scope.CONNECTIONS_READ)
def list_connections(query: edge.NoParameters) -> Response:  # noqa: ARG001 - being there refuses unknown parameters
    """List connections."""
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        rows = session.scalars(
            select(Connection).order_by(Connection.created_at, Connection.id)
        ).all()
    lines = [ConnectionLine(**_members(row)) for row in rows]
    return edge.sent(ConnectionList(items=lines))


@tag.get(
    "/v1/connections/<id>",
    summary="Read a connection: state, budget, and what waits",
    security=edge.secured(Scope.CONNECTIONS_READ),
    responses=edge.says({200: (ConnectionFull, "The connection")}, 404),
)
@auth.needs(Scope.CONNECTIONS_READ)
def get_connection(path: ConnectionAddress) -> Response:
    """Read one connection."""
    hub = auth.the_hub()
    row = _row(path.id)
    with hub.tenant(row.tenant_id) as session:
        counted = session.execute(
            select(Delivery.state, func.count())
            .where(Delivery.connection_id == row.id)
            .group_by(Delivery.state)
        ).all()
    counts = {state.value: 0 for state in State} | {state: int(number) for state, number in counted}
    budget = [
        BudgetLine(**{name: getattr(one, name) for name in BudgetLine.model_fields})
        for one in Budget(hub).outlook(row)
    ]
    full = ConnectionFull(**_members(row), todos=list(row.todos), deliveries=counts, budget=budget)
    return edge.sent(full)


@tag.get(
    "/v1/connections/<id>/objects",
    summary="List the objects of an account",
    security=edge.secured(Scope.CONNECTIONS_READ),
    responses=edge.says({200: (ObjectList, "The objects as last known")}, 404),
)
@auth.needs(Scope.CONNECTIONS_READ)
def list_objects(path: ConnectionAddress, query: Freshness) -> Response:
    """List the account's objects."""
    row = _row(path.id)
    known = describe.objects(auth.the_hub(), row.tenant_id, row.id, refresh=query.refresh)
    items = [
        ObjectLine(name=one.name, label=one.label, is_custom=one.is_custom) for one in known.items
    ]
    return edge.sent(ObjectList(items=items, read_at=known.read_at, problem=known.problem))


@tag.get(
    "/v1/connections/<id>/objects/<object>/fields",
    summary="List the fields of an object of an account",
    security=edge.secured(Scope.CONNECTIONS_READ),
    responses=edge.says({200: (FieldsAnswer, "The fields as last known")}, 404),
)
@auth.needs(Scope.CONNECTIONS_READ)
def list_fields(path: ObjectAddress, query: Freshness) -> Response:
    """List an object's fields."""
    row = _row(path.id)
    known = describe.fields(
        auth.the_hub(), row.tenant_id, row.id, path.object, refresh=query.refresh
    )
    items = [
        FieldLine(
            **{name: getattr(one, name) for name in FieldLine.model_fields if name != "choices"},
            choices=[ChoiceLine(value=choice.value, label=choice.label) for choice in one.choices],
        )
        for one in known.items
    ]
    answer = FieldsAnswer(items=items, read_at=known.read_at, problem=known.problem)
    return edge.sent(answer)


def _row(connection_id: str) -> Connection:
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        row = session.scalars(
            select(Connection).where(Connection.id == connection_id)
        ).one_or_none()
    if row is None:
        raise Refused("not-found", "There is no such connection.")
    return row


def _members(row: Connection) -> dict[str, Any]:
    label, _ = CONNECTORS.get(row.connector, (row.connector, ""))
    reason = row.health_reason
    if row.state is Health.PAUSED:
        reason = "Somebody paused it."
    return {
        "id": row.id,
        "connector": row.connector,
        "connector_label": label,
        "label": row.label,
        "account_id": row.account_id,
        "account_name": row.account_name,
        "state": row.state,
        "reason": reason,
        "since": row.paused_at if row.state is Health.PAUSED else row.health_at,
        "retry_at": row.retry_at if row.state is Health.DEGRADED else None,
        "last_success_at": row.last_success_at,
        "created_at": row.created_at,
    }
