"""The calls of limits that last a day, counted in the database, where a wiped Redis cannot lose them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from connectors.record import Limit
from connectors.registry import connector
from hub.context import Hub
from hub.db.connections import CallCount, Connection
from hub.db.tenancy import TenantSession
from hub.delivery.remote_account import AccountKey

_SLOTS = {"window": 10, "day": 96}
_HOUR_S = 3_600


def slots(limit: Limit) -> int:
    """Give into how many slots the period of a limit is divided for counting."""
    return _SLOTS.get(limit.kind, _SLOTS["window"])


def per_slot(limit: Limit, counted: Iterable[tuple[datetime, int]], at: float) -> Mapping[int, int]:
    """Give the units of each slot; an hour counts where it ends, so that nothing comes free too early."""
    length = limit.period_s / slots(limit)
    found: dict[int, int] = {}
    for hour, units in counted:
        slot = int(min(hour.timestamp() + _HOUR_S - 1, at) / length)
        found[slot] = found.get(slot, 0) + units
    return found


def count(hub: Hub, key: AccountKey, units: Mapping[str, int], at: float) -> None:
    """Count calls of limits that last a day in the database, where a wiped Redis cannot lose them."""
    days = {limit.name for limit in connector(key.connector).limits if limit.kind == "day"}
    hour = datetime.fromtimestamp(at, UTC).replace(minute=0, second=0, microsecond=0)
    rows = [
        {
            "tenant_id": key.tenant_id,
            "connection_id": key.connection_id,
            "limit_name": name,
            "hour": hour,
            "units": count,
        }
        for name, count in units.items()
        if name in days and count > 0
    ]
    if not rows:
        return
    statement = insert(CallCount).values(rows)
    statement = statement.on_conflict_do_update(
        index_elements=["connection_id", "limit_name", "hour"],
        set_={"units": CallCount.units + statement.excluded.units},
    )
    with hub.tenant(key.tenant_id) as session:
        session.execute(statement)


def counted(hub: Hub, key: AccountKey, limit: Limit, at: float) -> list[tuple[datetime, int]]:
    """Give the units of each hour that may still count, of all connections that share the limit."""
    # An hour that began before the span may have ended in it.
    since = datetime.fromtimestamp(at, UTC) - timedelta(seconds=limit.period_s + _HOUR_S)
    with hub.everyone("connections of several tenants may share one remote account") as session:
        found = session.execute(
            select(CallCount.hour, func.sum(CallCount.units))
            .join(Connection, Connection.id == CallCount.connection_id)
            .where(
                Connection.connector == key.connector,
                or_(
                    literal(limit.scope == "app"),
                    func.coalesce(Connection.account_id, Connection.id) == key.account,
                ),
                CallCount.limit_name == limit.name,
                CallCount.hour > since,
            )
            .group_by(CallCount.hour)
        ).all()
    return [(hour, int(units)) for hour, units in found]


def daily(
    session: TenantSession, connection_id: str, *, since: datetime, timezone: str
) -> dict[str, dict[date, int]]:
    """Give the units of a connection by limit and day of a time zone, for limits that last a day."""
    day = func.date(func.timezone(timezone, CallCount.hour))
    rows = session.execute(
        select(CallCount.limit_name, day, func.sum(CallCount.units))
        .where(CallCount.connection_id == connection_id, CallCount.hour >= since)
        .group_by(CallCount.limit_name, day)
    )
    found: dict[str, dict[date, int]] = {}
    for name, on, units in rows:
        found.setdefault(name, {})[on] = int(units)
    return found
