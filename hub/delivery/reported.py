"""What vendors report by webhook: verified by the connector, without a call, and written down or looked into.

::

    closures in the report                      ──▶ outcomes
    only the names of records                   ──▶ those that are ours are asked for at once
    neither: the connector would have to ask    ──▶ all young records of the connection are asked for soon

A report is answered within the vendor's patience, so nothing is asked while the vendor waits: an account that is
handed to a connector here refuses every call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import select, update

from connectors.errors import Rejected, Throttled
from connectors.interface import Connector, NamesChanged, ReportsForAll
from connectors.record import Account, KeyAuth, WebhookRequest
from connectors.registry import UnknownConnector, connector
from hub import tally
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.outcomes import OutcomePoll, Source
from hub.delivery import hook_address, outcome_polling, outcomes, record_checks, subscriptions
from hub.delivery.outcomes import Reading
from hub.oauth import tokens
from hub.settings import vendor_settings
from hub.tally import families

_MOST_ACCOUNTS = 50


class Unknown(LookupError):
    """There is no connection, or no vendor that reports, at this address."""


class _WantsToCall(Throttled):
    """The connector would have to ask the vendor to understand the report, whose signature is right."""


def is_known(hub: Hub, connection_id: str) -> bool:
    """Tell whether a vendor may report to this connection's address."""
    return _connection(hub, connection_id) is not None


def take(hub: Hub, connection_id: str, request: WebhookRequest) -> None:
    """Take what a vendor reports of one account.

    Raises Unknown, and Rejected when it is not the vendor's; nothing is kept then.
    """
    connection = _connection(hub, connection_id)
    with _counted(hub, connection.connector if connection else None):
        _take(hub, connection, request)


def _take(hub: Hub, connection: Connection | None, request: WebhookRequest) -> None:
    vendor = _vendor(connection.connector) if connection else None
    if connection is None or vendor is None:
        raise Unknown
    token = ""
    if isinstance(vendor.oauth, KeyAuth):
        token = tokens.current(hub, connection.tenant_id, connection.id).value
    url = hook_address.of_connection(hub.settings, connection) or request.url
    request = replace(request, url=url, secret=token)
    held = subscriptions.held_by(hub, connection)
    if held is not None:
        told, known = held
        request = replace(request, url=told, secret=known.secret, state=known.state)
    _read(hub, connection, vendor, _account(connection, token), request)


def take_for_all(hub: Hub, connector_name: str, request: WebhookRequest) -> None:
    """Take what a vendor reports of any accounts of our app, to the app's one address.

    Raises Unknown, and Rejected when it is not the vendor's; nothing is kept then.
    """
    vendor = _vendor(connector_name)
    with _counted(hub, vendor.name if vendor else None):
        _take_for_all(hub, connector_name, vendor, request)


@contextmanager
def _counted(hub: Hub, name: str | None) -> Iterator[None]:
    """Count what becomes of a report."""
    result = "failed"
    try:
        yield
        result = "taken"
    except Unknown:
        result = "unknown"
        raise
    except Rejected:
        result = "refused"
        raise
    finally:
        tally.count(hub.redis, families.REPORTS, name or "unknown", result)


def _take_for_all(
    hub: Hub, connector_name: str, vendor: Connector | None, request: WebhookRequest
) -> None:
    if not isinstance(vendor, ReportsForAll):
        raise Unknown(connector_name)
    request = replace(
        request,
        url=hook_address.of_app(hub.settings, connector_name),
        secret=vendor_settings(connector_name).client_secret or "",
    )
    # Verified for nobody first: a wrong signature is refused whoever it speaks of.
    _verify(vendor, Account(id="", base_url="", token="", spend=_refuse), request)
    for connection in _connections(hub, connector_name, vendor.accounts_of(request)):
        _read(hub, connection, vendor, _account(connection, ""), request)


def _verify(vendor: Connector, account: Account, request: WebhookRequest) -> None:
    try:
        if isinstance(vendor, NamesChanged):
            vendor.changed(account, request)
        else:
            vendor.webhook(account, request)
    except _WantsToCall:
        return


def _read(
    hub: Hub, connection: Connection, vendor: Connector, account: Account, request: WebhookRequest
) -> None:
    at = now()
    wanted = 0
    if isinstance(vendor, NamesChanged):
        wanted = record_checks.want(hub, connection, vendor.changed(account, request))
    else:
        try:
            closures = vendor.webhook(account, request)
        except _WantsToCall:
            record_checks.want_open(hub, connection)
        else:
            outcomes.record(hub, connection, closures, Reading(Source.WEBHOOK, at))
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            update(OutcomePoll)
            .where(OutcomePoll.connection_id == connection.id)
            .values(reported_at=at)
        )
    if wanted:
        outcome_polling.wake(hub, [connection.id])


def _refuse(**units: int) -> None:
    del units
    raise _WantsToCall("Nothing is asked while the vendor waits for its answer.", retry_after_s=0.0)


def _account(connection: Connection, token: str) -> Account:
    return Account(
        id=connection.account_id or "",
        base_url=connection.base_url or "",
        token=token,
        settings=connection.settings,
        spend=_refuse,
    )


def _vendor(name: str) -> Connector | None:
    try:
        return connector(name)
    except (UnknownConnector, ImportError):
        return None


def _connection(hub: Hub, connection_id: str) -> Connection | None:
    with hub.everyone("a report's address names only the connection") as session:
        return session.scalars(
            select(Connection).where(
                Connection.id == connection_id, Connection.health != Health.DISCONNECTED.value
            )
        ).one_or_none()


def _connections(hub: Hub, connector_name: str, accounts: Sequence[str]) -> Sequence[Connection]:
    """Give the connections, of whichever tenants, to the accounts that a report speaks of."""
    with hub.everyone("a vendor reports on accounts, whoever has connected them") as session:
        return session.scalars(
            select(Connection).where(
                Connection.connector == connector_name,
                Connection.account_id.in_(accounts[:_MOST_ACCOUNTS]),
                Connection.health != Health.DISCONNECTED.value,
            )
        ).all()
