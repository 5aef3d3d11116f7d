"""What an account has: its objects and fields, asked within the budget and remembered for when it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from connectors.errors import ConnectorError, Throttled
from connectors.interface import Configurable
from connectors.record import Account, Choice, Field, Object, Todo
from connectors.registry import connector
from hub.context import Hub
from hub.db import audit
from hub.db.base import new_id, now
from hub.db.connections import Connection, FieldList
from hub.delivery.account import Line, is_ours
from hub.delivery.budget import Budget

T = TypeVar("T", Object, Field, Choice)
#: Before the name of a setting, where the choices for it are remembered; no object's name has a colon.
_SETTING = "setting:"
_FRESH_FOR = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """Objects, fields or choices, when they were read, and why they could not be read anew, if so."""

    items: tuple[T, ...]
    read_at: datetime | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was last read of an account: its objects, None if never, and the fields of some of them."""

    objects: Known[Object] | None
    fields: Mapping[str, Known[Field]]


def objects(
    hub: Hub, tenant_id: str, connection_id: str, *, refresh: bool = False
) -> Known[Object]:
    """List the account's objects; the last known ones, with the reason, when it does not answer."""
    line = _line(hub, tenant_id, connection_id)
    return _known(hub, line, "", Object, _described(line, None), is_wanted_anew=refresh)


def fields(
    hub: Hub, tenant_id: str, connection_id: str, object_name: str, *, refresh: bool = False
) -> Known[Field]:
    """List the fields of an object; the last known ones, with the reason, when it does not answer."""
    line = _line(hub, tenant_id, connection_id)
    ask = _described(line, object_name)
    return _known(hub, line, object_name, Field, ask, is_wanted_anew=refresh)


def remembered(hub: Hub, tenant_id: str, connection_id: str) -> Remembered:
    """Give what was last read of an account, however old; the account is not asked."""
    with hub.tenant(tenant_id) as session:
        found = session.scalars(
            select(FieldList).where(FieldList.connection_id == connection_id)
        ).all()
    named: Known[Object] | None = None
    described: dict[str, Known[Field]] = {}
    for row in found:
        if row.object_name == "":
            named = Known(_from_json(row.content, Object), row.read_at)
        elif not row.object_name.startswith(_SETTING):
            described[row.object_name] = Known(_from_json(row.content, Field), row.read_at)
    return Remembered(named, described)


def choices(
    hub: Hub, tenant_id: str, connection_id: str, setting: str, *, refresh: bool = False
) -> Known[Choice]:
    """List what the account offers for a setting; the last known ones, with the reason, when it does not answer."""
    line = _line(hub, tenant_id, connection_id)
    vendor = connector(line.connection.connector)
    if not isinstance(vendor, Configurable):
        return Known((), None)

    def ask(account: Account) -> Sequence[Choice]:
        return vendor.setting_choices(account, setting)

    return _known(hub, line, f"{_SETTING}{setting}", Choice, ask, is_wanted_anew=refresh)


def prepare(hub: Hub, tenant_id: str, connection_id: str, *, actor: str) -> Sequence[Todo]:
    """Create what we need in the account; gives and remembers what a person must still do there.

    Raises the connector's errors.
    """
    line = _line(hub, tenant_id, connection_id)
    todos = line.call(connector(line.connection.connector).prepare)
    with hub.tenant(tenant_id) as session:
        row = session.scalars(select(Connection).where(Connection.id == connection_id)).one()
        row.todos = [f"{todo.title}: {todo.how}" for todo in todos]
        audit.record(
            session,
            actor=actor,
            action="connection.prepared",
            target=connection_id,
            facts={"todos": len(todos)},
        )
    return todos


def _line(hub: Hub, tenant_id: str, connection_id: str) -> Line:
    with hub.tenant(tenant_id) as session:
        found = session.scalars(select(Connection).where(Connection.id == connection_id)).one()
    return Line(hub, found, Budget(hub))


def _described(line: Line, object_name: str | None) -> Callable[[Account], Any]:
    vendor = connector(line.connection.connector)
    return lambda account: vendor.describe(account, object_name)


def _known(
    hub: Hub,
    line: Line,
    object_name: str,
    kind: type[T],
    ask: Callable[[Account], Any],
    *,
    is_wanted_anew: bool,
) -> Known[T]:
    connection = line.connection
    with hub.tenant(connection.tenant_id) as session:
        kept = session.scalars(
            select(FieldList).where(
                FieldList.connection_id == connection.id, FieldList.object_name == object_name
            )
        ).one_or_none()
    if kept and not is_wanted_anew and now() - kept.read_at < _FRESH_FOR:
        return Known(_from_json(kept.content, kind), kept.read_at)
    try:
        found: Any = line.call(ask)
    except ConnectorError as err:
        if isinstance(err, Throttled) and not is_ours(err):
            line.stay_away(err.retry_after_s)  # the account is one, whoever called
        items = _from_json(kept.content, kind) if kept else ()
        return Known(items, kept.read_at if kept else None, err.detail)
    read_at = _keep(hub, connection, object_name, found)
    return Known(tuple(found), read_at)


def _keep(hub: Hub, connection: Connection, object_name: str, found: Sequence[Any]) -> datetime:
    at = now()
    content = {"items": [asdict(one) for one in found]}
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            insert(FieldList)
            .values(
                id=new_id("fld"),
                tenant_id=connection.tenant_id,
                connection_id=connection.id,
                object_name=object_name,
                content=content,
                read_at=at,
            )
            .on_conflict_do_update(
                index_elements=["connection_id", "object_name"],
                set_={"content": content, "read_at": at},
            )
        )
    return at


def _from_json(content: dict[str, Any], kind: type[T]) -> tuple[T, ...]:
    return tuple(_item(entry, kind) for entry in content["items"])


def _item(entry: dict[str, Any], kind: type[T]) -> T:
    known = {one.name for one in fields_of(kind)}
    # What an older version remembered may hold what is not asked for any more.
    values = {name: value for name, value in entry.items() if name in known}
    if "choices" in values:
        values["choices"] = tuple(Choice(**choice) for choice in values["choices"])
        values["references"] = tuple(values["references"])
    return kind(**values)
