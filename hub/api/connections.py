"""Connections: the tenant's accounts, their health, their budget, and what they hold."""

from __future__ import annotations

from typing import Any, Final

from flask import Response
from pydantic import Field, field_validator
from sqlalchemy import func, select

from connectors.registry import CONNECTORS
from hub.api import auth, edge
from hub.api.answers import (
    BudgetLine,
    ChoiceLine,
    ChoiceList,
    ConnectionFull,
    ConnectionLine,
    ConnectionList,
    FieldLine,
    FieldsAnswer,
    ObjectLine,
    ObjectList,
    SettingLine,
)
from hub.api.deliveries import Body
from hub.api.paging import Address, Parameters
from hub.api.problems import Fault, Refused, counted
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.keys import Scope
from hub.delivery import configure, describe, steer
from hub.delivery.budget import Budget
from hub.delivery.remote_account import AccountKey

tag = edge.tag("connections", "The tenant's accounts at vendors: health, budget, objects, fields.")

_LONGEST_NAME: Final = 60
ID_PATTERN: Final = r"^con_[0-9a-z]{26}$"


class ConnectionAddress(Address):
    """The path of one connection."""

    id: str = Field(
        pattern=ID_PATTERN, json_schema_extra={"example": "con_01jd3f6g7h8j9kamnbpcqdrset"}
    )


class ObjectAddress(ConnectionAddress):
    """The path of one object of a connection."""

    object: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,120}$", json_schema_extra={"example": "Lead"})


class SettingAddress(ConnectionAddress):
    """The path of one setting of a connection."""

    name: str = Field(pattern=r"^[a-z0-9_]{1,60}$", json_schema_extra={"example": "calendar"})


class ChangedBudget(Body):
    """How much of the account's limits is ours; null goes back to the default."""

    share: float | None = Field(None, gt=0, le=1, examples=[0.5])
    grants: dict[str, int | None] = Field(
        {}, description="Units of a limit in its period, whatever the share", max_length=20
    )


class ChangedConnection(Body):
    """What to change of a connection; what is not named stays, a setting that is null goes back to its default."""

    label: str | None = Field(None, max_length=200, examples=["Harbor CRM"])
    settings: dict[str, Any] = Field({}, max_length=50)
    budget: ChangedBudget | None = None

    @field_validator("settings")
    @classmethod
    def _has_plain_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        if any(not name.isprintable() or len(name) > _LONGEST_NAME for name in value):
            raise ValueError("has a name that no setting has")
        return value


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
    return edge.sent(_full(_row(path.id)))


def _full(row: Connection) -> ConnectionFull:
    hub = auth.the_hub()
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
    key = AccountKey.of(row, hub.settings.account_share)
    return ConnectionFull(
        **_members(row),
        todos=list(row.todos),
        deliveries=counts,
        settings=_settings(row),
        share=key.share,
        grants=dict(key.grants),
        budget=budget,
    )


def _settings(row: Connection) -> list[SettingLine]:
    return [
        SettingLine(
            **{
                name: getattr(one, name)
                for name in SettingLine.model_fields
                if name not in {"value", "choices"}
            },
            value=row.settings.get(one.name),
            choices=[ChoiceLine(value=each.value, label=each.label) for each in one.choices],
        )
        for one in configure.settings_of(row.connector)
    ]


@tag.patch(
    "/v1/connections/<id>",
    summary="Change the settings of a connection",
    description="Its name, the vendor's settings, and how much of the account's limits is ours. "
    "All that is wrong is listed at once; then nothing is changed.",
    security=edge.secured(Scope.CONNECTIONS_WRITE),
    responses=edge.says({200: (ConnectionFull, "The connection as it is now")}, 400, 404, 413, 415),
)
@auth.needs(Scope.CONNECTIONS_WRITE)
def patch_connection(path: ConnectionAddress, body: ChangedConnection) -> Response:
    """Change what is set for a connection."""
    row, holder = _row(path.id), auth.holder()
    budget = body.budget.model_dump(exclude_unset=True) if body.budget else {}
    change = steer.Change(body.label, body.settings, budget)
    try:
        steer.configure(auth.the_hub(), row.tenant_id, row.id, change, actor=holder.actor)
    except steer.WrongSettings as err:
        faults = [
            Fault(pointer=_pointer(one.name), parameter=None, detail=one.detail)
            for one in err.problems
        ]
        raise Refused("invalid", counted(faults), errors=faults) from None
    return edge.sent(_full(_row(path.id)))


def _pointer(name: str) -> str:
    if name == configure.LABEL:
        return "/label"
    group, _, limit = name.partition(".")
    if group in {configure.SHARE, configure.GRANTS}:
        return f"/budget/{group}/{limit}" if limit else f"/budget/{group}"
    return f"/settings/{name.replace('~', '~0').replace('/', '~1')}"


@tag.get(
    "/v1/connections/<id>/settings/<name>/choices",
    summary="List what an account offers for a setting",
    security=edge.secured(Scope.CONNECTIONS_READ),
    responses=edge.says({200: (ChoiceList, "The choices as last known")}, 404),
)
@auth.needs(Scope.CONNECTIONS_READ)
def list_choices(path: SettingAddress, query: Freshness) -> Response:
    """List what can be chosen for a setting."""
    row = _row(path.id)
    setting = next(
        (one for one in configure.settings_of(row.connector) if one.name == path.name), None
    )
    if setting is None:
        raise Refused("not-found", "There is no such setting.")
    known = configure.choices(auth.the_hub(), row.tenant_id, row, setting, refresh=query.refresh)
    items = [ChoiceLine(value=one.value, label=one.label) for one in known.items]
    return edge.sent(ChoiceList(items=items, read_at=known.read_at, problem=known.problem))


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
