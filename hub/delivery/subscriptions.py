"""Subscriptions of connections whose vendors report to an address that they are told: made, renewed, ended.

A connection is looked after when it is new, when its health has changed (somebody may have reconnected it), before its
subscription ends, and once a day. What goes wrong is kept beside it, tried again, and costs nothing but later
outcomes: then they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from connectors.errors import ConnectorError, ContractBroken, NeedsReconnect, Throttled
from connectors.interface import Connector, Subscribes
from connectors.record import Account, Subscription
from connectors.registry import UnknownConnector, connector
from hub import log
from hub.context import Hub
from hub.db import audit
from hub.db.base import new_id, now
from hub.db.connections import Connection
from hub.db.outcomes import OutcomePoll
from hub.db.subscriptions import HeldSubscription
from hub.delivery import backoff, hook_address
from hub.delivery.account import Line, is_ours
from hub.delivery.budget import Budget

_LOG = log.get(__name__)
_LOOK_AGAIN = timedelta(days=1)
_SOONEST = timedelta(minutes=5)
#: A subscription is renewed when this part of its time is left.
_RENEW_WITH = 0.2


def look_after(hub: Hub, line: Line, vendor: Connector, cursor: OutcomePoll) -> None:
    """Make or renew the subscription of a connection when it is time; never raises for what a vendor does."""
    connection, at = line.connection, now()
    is_changed = cursor.looked_after_at is None or connection.health_at > cursor.looked_after_at
    if not is_changed and cursor.subscribe_at > at:
        return
    again_at = at + _LOOK_AGAIN
    url = hook_address.of_connection(hub.settings, connection)
    if isinstance(vendor, Subscribes) and url is not None:
        held = _held(hub, connection)
        if held is None or is_changed or _is_wanted(held, url, at):
            held = _renew(hub, line, vendor, held, url)
        again_at = _again_at(held, at)
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            update(OutcomePoll)
            .where(OutcomePoll.connection_id == connection.id)
            .values(subscribe_at=again_at, looked_after_at=at)
        )


def end(hub: Hub, tenant_id: str, connection_id: str) -> None:
    """End a connection's subscription before its authorisation is given back; never raises for a vendor.

    What the vendor does not confirm ends with the authorisation, or is refused here as unknown.
    """
    with hub.tenant(tenant_id) as session:
        found = session.execute(
            select(Connection, HeldSubscription)
            .join(HeldSubscription, HeldSubscription.connection_id == Connection.id)
            .where(Connection.id == connection_id)
        ).one_or_none()
    if found is None:
        return
    connection, held = found
    known = opened(hub, held)
    try:
        vendor = connector(connection.connector)
        if isinstance(vendor, Subscribes) and known is not None:
            Line(hub, connection, Budget(hub)).call(
                lambda account: _unsubscribe(vendor, account, known)
            )
    except (ConnectorError, UnknownConnector, ImportError) as err:
        _LOG.warning(
            "subscription was not ended", connection_id=connection_id, error=type(err).__name__
        )
    with hub.tenant(tenant_id) as session:
        session.execute(
            delete(HeldSubscription).where(HeldSubscription.connection_id == connection_id)
        )


def held_by(hub: Hub, connection: Connection) -> tuple[str, Subscription] | None:
    """Give a connection's subscription and the address that its vendor was told; None without one."""
    held = _held(hub, connection)
    known = opened(hub, held) if held is not None else None
    return (held.url, known) if held is not None and known is not None else None


def opened(hub: Hub, held: HeldSubscription) -> Subscription | None:
    """Open a subscription for its connector; None while there is none yet."""
    if held.remote_id is None:
        return None
    about = f"subscriptions.secret:{held.id}"
    secret = hub.vault.open_text(held.tenant_id, held.secret, about=about) if held.secret else ""
    return Subscription(held.remote_id, secret, held.expires_at, held.state)


def _held(hub: Hub, connection: Connection) -> HeldSubscription | None:
    with hub.tenant(connection.tenant_id) as session:
        return session.scalars(
            select(HeldSubscription).where(HeldSubscription.connection_id == connection.id)
        ).one_or_none()


def _is_wanted(held: HeldSubscription, url: str, at: datetime) -> bool:
    if held.remote_id is None or held.url != url or held.problem is not None:
        return True
    return held.expires_at is not None and _renew_at(held, held.expires_at) <= at


def _renew_at(held: HeldSubscription, expires_at: datetime) -> datetime:
    lasts = expires_at - (held.renewed_at or held.created_at)
    return expires_at - max(lasts * _RENEW_WITH, _SOONEST)


def _again_at(held: HeldSubscription, at: datetime) -> datetime:
    if held.problem is not None:
        wait = timedelta(
            seconds=backoff.delay_s(held.failures + 6, longest_s=_LOOK_AGAIN.total_seconds())
        )
        return at + max(wait, _SOONEST)
    if held.expires_at is not None:
        return max(min(_renew_at(held, held.expires_at), at + _LOOK_AGAIN), at + _SOONEST)
    return at + _LOOK_AGAIN


def _renew(
    hub: Hub, line: Line, vendor: Subscribes, held: HeldSubscription | None, url: str
) -> HeldSubscription:
    """Ask the vendor, and keep what it gave or why it gave nothing."""
    known = opened(hub, held) if held is not None else None
    try:
        made = line.call(lambda account: _subscribe(vendor, account, known))
    except ConnectorError as err:
        _LOG.warning(
            "subscription was not made",
            connection_id=line.connection.id,
            error=type(err).__name__,
            code=err.code,
        )
        if isinstance(err, Throttled) and not is_ours(err):
            line.stay_away(err.retry_after_s)
        problem = None if isinstance(err, NeedsReconnect) else err.detail
        return _keep(
            hub, line.connection, url, None, problem=problem or "It needs to be reconnected."
        )
    return _keep(hub, line.connection, url, made, problem=None)


def _subscribe(vendor: Subscribes, account: Account, known: Subscription | None) -> Subscription:
    with _defects_told():
        return vendor.subscribe(account, known)


def _unsubscribe(vendor: Subscribes, account: Account, known: Subscription) -> None:
    with _defects_told():
        vendor.unsubscribe(account, known)


@contextmanager
def _defects_told() -> Iterator[None]:
    """Make what a connector did not foresee an error that is kept and tried again.

    Else it would end the poll that looks after a subscription, each time before any record is asked about, and keep
    people from disconnecting.
    """
    try:
        yield
    except (ConnectorError, SQLAlchemyError):
        raise
    except Exception as err:
        _LOG.error("subscription failed", error=type(err).__name__, where=log.places(err))
        raise ContractBroken("The connector failed on the vendor's answer.") from err


def _keep(
    hub: Hub, connection: Connection, url: str, made: Subscription | None, *, problem: str | None
) -> HeldSubscription:
    with hub.tenant(connection.tenant_id) as session:
        held = session.scalars(
            select(HeldSubscription).where(HeldSubscription.connection_id == connection.id)
        ).one_or_none()
        is_new = held is None or held.remote_id is None
        if held is None:
            held = HeldSubscription(
                id=new_id("sub"), tenant_id=connection.tenant_id, connection_id=connection.id
            )
            held.url, held.state, held.failures = url, {}, 0
            session.add(held)
        held.problem = problem
        held.failures = held.failures + 1 if problem else 0
        if made is not None:
            held.url, held.remote_id, held.expires_at = url, made.id, made.expires_at
            held.state, held.renewed_at = dict(made.state), now()
            held.secret = hub.vault.seal_text(
                connection.tenant_id, made.secret, about=f"subscriptions.secret:{held.id}"
            )
        session.flush()
        if made is not None and is_new:
            audit.record(
                session,
                actor="worker",
                action="connection.subscribed",
                target=connection.id,
                facts={"subscription": held.id},
            )
        session.refresh(held)
    return held
