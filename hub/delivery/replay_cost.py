"""What sending a selection again would take: how many rows, of which accounts, at what price, and for how long.

The price is that of the writes in full batches; look-ups and retries come on top. The time is how long the account's
limits make it last at least, with what replays leave to live deliveries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from connectors.interface import Connector, WritesInBulk
from connectors.registry import UnknownConnector, connector
from hub.context import Hub
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery
from hub.db.tenancy import TenantSession
from hub.delivery.budget import Budget
from hub.delivery.outlook import LimitOutlook
from hub.delivery.reserve import KEPT, left_to_replays
from hub.delivery.selection import STOPPED, Selection, Version, check
from hub.delivery.sizing import cost


@dataclass(frozen=True, slots=True)
class Share:
    """What of a selection goes to one connection.

    ``units`` are those of the account's limits that the writes cost. ``at_least_s`` is None where the account lets
    nothing through for now, for the reason ``problem``.
    """

    connection_id: str
    connector: str
    label: str
    rows: int
    units: dict[str, int]
    at_least_s: float | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a replay would be, as things stand.

    ``will_wait`` rows hang on a step that has no record and is not sent again with them. ``to_plan`` are events that
    no mapping applied to; what they lead to now is not known yet.
    """

    rows: int
    by_state: dict[str, int]
    will_wait: int
    to_plan: int
    shares: tuple[Share, ...]

    @property
    def at_least_s(self) -> float | None:
        """How long the slowest account lets it last; None when one lets nothing through."""
        spans = [share.at_least_s for share in self.shares]
        known = [span for span in spans if span is not None]
        return max(known, default=0.0) if len(known) == len(spans) else None


def estimate(hub: Hub, tenant_id: str, selection: Selection, version: Version = "kept") -> Estimate:
    """Count a selection and say what it would take; changes nothing.

    Raises TooWide, NoSuchVersion and NotThere.
    """
    check(hub, tenant_id, selection, version)
    chosen = selection.where(version)
    with hub.tenant(tenant_id) as session:
        counts = session.execute(
            select(Delivery.connection_id, Delivery.object, Delivery.state, func.count(Delivery.id))
            .where(*chosen)
            .group_by(Delivery.connection_id, Delivery.object, Delivery.state)
        ).all()
        will_wait = _will_wait(session, select(Delivery.id).where(*chosen))
        accounts = session.scalars(
            select(Connection)
            .where(Connection.id.in_({row[0] for row in counts if row[0]}))
            .order_by(Connection.label, Connection.id)
        ).all()
    by_state: Counter[str] = Counter()
    by_object: dict[str | None, Counter[str]] = {}
    for connection_id, object_name, state, number in counts:
        by_state[state] += number
        by_object.setdefault(connection_id, Counter())[object_name or ""] += number
    return Estimate(
        rows=by_state.total(),
        by_state=dict(by_state),
        will_wait=will_wait,
        to_plan=by_object.get(None, Counter()).total(),
        shares=tuple(_share(hub, one, by_object[one.id]) for one in accounts),
    )


def _will_wait(session: TenantSession, chosen: Select[str]) -> int:
    """Count rows whose other step has no record, and will not have one by this replay."""
    parent = aliased(Delivery)
    # An array is unnested before it is joined: so the parents are found by their keys.
    wanted = (
        select(Delivery.id, func.unnest(Delivery.waits_for).label("parent_id"))
        .where(Delivery.id.in_(chosen), Delivery.waits_for.is_not(None))
        .subquery()
    )
    return (
        session.scalar(
            select(func.count(func.distinct(wanted.c.id)))
            .join(parent, parent.id == wanted.c.parent_id)
            .where(
                parent.record_id.is_(None),
                parent.state.in_([one.value for one in STOPPED]),
                parent.id.not_in(chosen),
            )
        )
        or 0
    )


def _share(hub: Hub, connection: Connection, objects: Mapping[str, int]) -> Share:
    problem = _problem(connection)
    units: Counter[str] = Counter()
    at_least_s: float | None = None
    try:
        vendor = connector(connection.connector)
    except (UnknownConnector, ImportError) as err:
        problem = str(err)
    else:
        for name, number in objects.items():
            units.update(_price(vendor, name, number))
        spans = [_span_s(limit, units[limit.name]) for limit in _outlook(hub, connection, units)]
        if problem is None and None not in spans:
            at_least_s = max((span for span in spans if span is not None), default=0.0)
        elif problem is None:
            problem = "You grant us nothing of a limit that this needs."
    return Share(
        connection_id=connection.id,
        connector=connection.connector,
        label=connection.label,
        rows=sum(objects.values()),
        units=dict(units),
        at_least_s=at_least_s,
        problem=problem,
    )


def _problem(connection: Connection) -> str | None:
    if connection.may_deliver:
        return None
    if connection.state is Health.PAUSED:
        return "Paused: it goes on when somebody resumes it."
    return connection.health_reason or "The account is not connected."


def _price(vendor: Connector, object_name: str, number: int) -> Counter[str]:
    """Give the units that writing so many records costs, in batches as full as they may be."""
    size = vendor.max_batch
    if isinstance(vendor, WritesInBulk) and number > vendor.bulk_from:
        size = vendor.max_bulk
    found: Counter[str] = Counter()
    full, rest = divmod(number, size)
    if full:
        units = cost(vendor, object_name, size)
        found.update({name: each * full for name, each in units.items()})
    if rest:
        found.update(cost(vendor, object_name, rest))
    return found


def _outlook(hub: Hub, connection: Connection, units: Mapping[str, int]) -> Sequence[LimitOutlook]:
    return [one for one in Budget(hub).outlook(connection) if units.get(one.name)]


def _span_s(limit: LimitOutlook, units: int) -> float | None:
    """Give how long a limit makes so many units last; None when it never lets them through."""
    if limit.kind == "concurrency":
        return 0.0
    if limit.granted <= 0:
        return None
    if limit.kind == "day":
        beyond = max(0.0, units - left_to_replays(limit))
        return beyond * limit.period_s / (limit.granted * (1 - KEPT))
    return max(0.0, units - limit.remaining) * limit.period_s / limit.granted
