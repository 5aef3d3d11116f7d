"""What replays leave to live deliveries: the last third of each day's calls, where anything live comes at all.

A replay is in no hurry, and a day's calls that it spends are gone for the caller of this evening. So replayed rows wait
while less than a third of what we are granted is left, unless the account had nothing live for a whole period. Live
rows are not kept back by that, and whole batches of theirs take replayed rows along where that costs nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from hub.context import Hub
from hub.db.base import first_id, now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.tenancy import TenantSession
from hub.delivery.account import Line
from hub.delivery.outlook import LimitOutlook

#: The part of a day's grant that is kept for live deliveries.
KEPT = 1 / 3
#: How long replayed rows wait before they look again.
LOOK_AGAIN = timedelta(minutes=5)


def may_replay(connection: Connection) -> bool:
    """Tell whether replayed rows of a connection may be sent, as far as was known when it was last looked at."""
    return connection.replays_wake_at is None or connection.replays_wake_at <= now()


def is_kept(hub: Hub, line: Line, units: Mapping[str, int]) -> bool:
    """Tell whether what is left of a day is kept for live rows, when a replay asks for so many units."""
    scarce = [
        limit
        for limit in line.budget.outlook(line.connection)
        if units.get(limit.name, 0) and left_to_replays(limit) < units[limit.name]
    ]
    return any(_had_live(hub, line.connection, limit.period_s) for limit in scarce)


def left_to_replays(limit: LimitOutlook) -> float:
    """Give the units of a limit that replays may still spend now; only days are kept."""
    if limit.kind != "day":
        return float("inf")
    return max(0.0, limit.remaining - limit.granted * KEPT)


def put_off(hub: Hub, connection: Connection) -> datetime:
    """Let the replayed rows of a connection wait, and nothing else; gives until when."""
    until = now() + LOOK_AGAIN
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            update(Connection).where(Connection.id == connection.id).values(replays_wake_at=until)
        )
    return until


def hold(session: TenantSession) -> None:
    """Let the replayed rows of all of a tenant's connections wait, while some are put back."""
    session.execute(update(Connection).values(replays_wake_at=now() + LOOK_AGAIN))


def let_go(session: TenantSession) -> None:
    """Let what was held go on, as far as there are calls for it."""
    session.execute(update(Connection).values(replays_wake_at=None))


def _had_live(hub: Hub, connection: Connection, period_s: float) -> bool:
    """Tell whether anything came for this account in the last period that no replay brought."""
    account = func.coalesce(Connection.account_id, Connection.id)
    since = now() - timedelta(seconds=period_s)
    with hub.tenant(connection.tenant_id) as session:
        found = session.scalars(
            select(Delivery.id)
            .where(
                # Ids sort by the time they were made, and there is an index on them.
                Delivery.id >= first_id("dlv", since),
                Delivery.replay_id.is_(None),
                Delivery.connection_id.in_(
                    select(Connection.id).where(
                        Connection.connector == connection.connector,
                        account == (connection.account_id or connection.id),
                    )
                ),
            )
            .limit(1)
        ).first()
    return found is not None
