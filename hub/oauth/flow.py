"""Connecting an account: out to the vendor's authorise page, and back with a code.

The state is random, kept as a hash, bound to the person who began, good once and for ten minutes;
the PKCE verifier is kept sealed. Reconnecting keeps the connection's id, and with it mappings, rows
and history.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select

from connectors.errors import ConnectorError
from connectors.interface import TellsAddress
from connectors.record import Account, OAuth
from connectors.registry import CONNECTORS, UnknownConnector, connector
from hub.context import Hub
from hub.db import audit
from hub.db.base import new_id, now
from hub.db.connections import ConnectFlow, Connection, Health
from hub.db.people import Membership, Role
from hub.db.tenants import touch_plan
from hub.oauth.client import (
    NoAddress,
    NotSetUp,
    TokenRefused,
    VendorClient,
    VendorSilent,
    WrongHost,
    check_host,
    vendor_client,
)
from hub.oauth.tokens import sealed_tokens

_BETWEEN_SCOPES = re.compile(r"[\s,]+")
_GOOD_FOR = timedelta(minutes=10)
#: Under these names vendors tell in the token answer where the account's API is.
_BASE_URL_KEYS = ("instance_url", "api_domain")


class ConnectProblem(Exception):
    """An account could not be connected; the message is for the person who tried."""


def begin(
    hub: Hub,
    tenant_id: str,
    person_id: str,
    connector_name: str,
    *,
    label: str = "",
    login_url: str | None = None,
    connection_id: str | None = None,
) -> str:
    """Give the vendor's authorise page to send the person to; with ``connection_id`` it reconnects.

    Raises ConnectProblem when the connector is unknown or not set up, or the address is not the vendor's.
    """
    if connector_name not in CONNECTORS:
        raise ConnectProblem(f'There is no connector "{connector_name}".')
    if connection_id:
        with hub.tenant(tenant_id) as session:
            old = session.scalars(
                select(Connection).where(Connection.id == connection_id)
            ).one_or_none()
        if old is None or old.connector != connector_name:
            raise ConnectProblem("There is no such connection to reconnect.")
        login_url, label = login_url or old.login_url, label or old.label
    try:
        client = vendor_client(hub.settings, connector_name, login_url)
    except (NotSetUp, NoAddress, WrongHost) as err:
        raise ConnectProblem(str(err)) from err
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    flow_id = new_id("flo")
    with hub.tenant(tenant_id) as session:
        session.execute(delete(ConnectFlow).where(ConnectFlow.expires_at < now()))
        session.add(
            ConnectFlow(
                id=flow_id,
                state_hash=_hash(state),
                connector=connector_name,
                connection_id=connection_id,
                person_id=person_id,
                label=label,
                login_url=client.login_url,
                verifier=hub.vault.seal_text(
                    tenant_id, verifier, about=f"connect_flows.verifier:{flow_id}"
                ),
                expires_at=now() + _GOOD_FOR,
            )
        )
    return client.authorize_url(state=state, verifier=verifier)


def finish(
    hub: Hub, person_id: str, state: str, *, code: str | None = None, error: str | None = None
) -> Connection:
    """Take the person back from the vendor and store the connection; raises ConnectProblem.

    The new connection is healthy and its account is identified; prepare it next.
    """
    flow = _take_flow(hub, person_id, state)
    _check_member(hub, flow)
    if error or not code:
        why = "You did not allow it" if error == "access_denied" else f"The vendor said: {error}"
        raise ConnectProblem(f"{why}. Nothing was connected; you can try again.")
    try:
        client = vendor_client(hub.settings, flow.connector, flow.login_url)
        verifier = hub.vault.open_text(
            flow.tenant_id, flow.verifier, about=f"connect_flows.verifier:{flow.id}"
        )
        answer = client.exchange(code=code, verifier=verifier)
        base_url = _base_url(hub, flow.connector, client, answer)
    except TokenRefused as err:
        raise ConnectProblem(f"The vendor refused the authorisation: {err}. Try again.") from err
    except (VendorSilent, NotSetUp, NoAddress, WrongHost) as err:
        raise ConnectProblem(f"The account could not be connected: {err}") from err
    _check_scopes(client.oauth, answer)
    return store(hub, flow, answer, keeps=client.oauth.keeps, base_url=base_url)


def _take_flow(hub: Hub, person_id: str, state: str) -> ConnectFlow:
    with hub.everyone("the state is all that a person brings back from the vendor") as session:
        flow = session.scalars(
            delete(ConnectFlow)
            .where(
                ConnectFlow.state_hash == _hash(state),
                ConnectFlow.person_id == person_id,
                ConnectFlow.expires_at > now(),
            )
            .returning(ConnectFlow)
        ).one_or_none()
    if flow is None:
        raise ConnectProblem(
            "This answer belongs to no connection that you began in the last ten minutes. Begin again."
        )
    return flow


def _check_member(hub: Hub, flow: ConnectFlow) -> None:
    """Refuse somebody who was taken out of the tenant, or may do less there, since they left for the vendor.

    The company that they look at now may be another one.
    """
    with hub.tenant(flow.tenant_id) as session:
        role = session.scalars(
            select(Membership.role).where(Membership.person_id == flow.person_id)
        ).first()
    if role is None:
        raise ConnectProblem("You do not belong to this company any more; nothing was connected.")
    if not Role(role).covers(Role.ADMIN):
        raise ConnectProblem("Only owners and admins connect accounts; nothing was connected.")


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _base_url(hub: Hub, connector_name: str, client: VendorClient, answer: dict[str, Any]) -> str:
    vendor = connector(connector_name)
    told = vendor.api_address(answer) if isinstance(vendor, TellsAddress) else None
    named = told or next((answer[key] for key in _BASE_URL_KEYS if answer.get(key)), None)
    return check_host(hub.settings, connector_name, str(named or client.api_url))


def _check_scopes(oauth: OAuth, answer: dict[str, Any]) -> None:
    """Refuse an authorisation that grants less than we need; some vendors do so silently."""
    words = scopes_in(answer)
    if not words:
        return
    missing = [scope for scope in oauth.scopes if scope not in words]
    if missing and not words & {"full"}:
        raise ConnectProblem(
            f"The account did not grant: {', '.join(missing)}. Connect again with a user who may grant it."
        )


def scopes_in(answer: dict[str, Any]) -> set[str]:
    """Give the scopes that a token answer says were granted; none when it does not say."""
    granted = answer.get("scope") or ()
    # OAuth separates them by blanks, some vendors by commas.
    words = _BETWEEN_SCOPES.split(granted) if isinstance(granted, str) else map(str, granted)
    return {word for word in words if word}


def store(
    hub: Hub, flow: ConnectFlow, answer: dict[str, Any], *, keeps: Sequence[str], base_url: str
) -> Connection:
    """Identify the account that an answer opens and store the connection; raises ConnectProblem."""
    found = connector(flow.connector)
    kept = {name: answer[name] for name in keeps if name in answer}
    account = Account(id="", base_url=base_url, token=answer["access_token"], settings=kept)
    try:
        account_id, account_name = found.identify(account)
    except ConnectorError as err:
        raise ConnectProblem(f"The account could not be read: {err.detail}") from err
    with hub.tenant(flow.tenant_id) as session:
        connection = (
            session.scalars(
                select(Connection).where(Connection.id == flow.connection_id).with_for_update()
            ).one()
            if flow.connection_id
            else Connection(id=new_id("con"), tenant_id=flow.tenant_id, connector=flow.connector)
        )
        is_new = flow.connection_id is None
        if connection.account_id and connection.account_id != account_id:
            raise ConnectProblem(
                f'This is another account ("{account_name}"). Reconnect '
                f'"{connection.account_name}", or make a new connection: mappings and history '
                "belong to one account."
            )
        connection.label = flow.label or connection.label or f"{found.label}: {account_name}"
        connection.account_id, connection.account_name = account_id, account_name
        connection.login_url, connection.base_url = flow.login_url, base_url
        # What the vendor told is renewed; what an admin set stays.
        connection.settings = {**(connection.settings or {}), **kept}
        connection.granted_scopes = sorted(scopes_in(answer))
        connection.health, connection.health_reason = Health.HEALTHY.value, None
        connection.health_at = now()
        connection.failures, connection.refresh_failures = 0, 0
        connection.retry_at = connection.wake_at = None
        connection.refresh_lease = connection.refresh_lease_until = None
        connection.token_version = (connection.token_version or 0) + 1
        columns = sealed_tokens(hub, flow.tenant_id, connection.id, flow.connector, answer)
        for name, value in columns.items():
            setattr(connection, name, value)
        session.add(connection)
        session.flush()
        touch_plan(session)
        audit.record(
            session,
            actor=f"person:{flow.person_id}",
            action="connection.connected" if is_new else "connection.reconnected",
            target=connection.id,
            facts={"connector": flow.connector, "account": account_id},
        )
    return connection


def disconnect(hub: Hub, tenant_id: str, connection_id: str, *, actor: str) -> bool:
    """Give the authorisation back and forget the tokens; rows, mappings and history stay.

    Tells whether the vendor confirmed that the token is revoked.
    """
    with hub.tenant(tenant_id) as session:
        connection = session.scalars(
            select(Connection).where(Connection.id == connection_id).with_for_update()
        ).one()
        oauth = CONNECTORS.get(connection.connector) and connector(connection.connector).oauth
        is_bearers = isinstance(oauth, OAuth) and oauth.revoke_by == "bearer"
        is_refresh = bool(connection.refresh_token) and not is_bearers
        sealed = connection.refresh_token if is_refresh else connection.access_token
        kind = "refresh_token" if is_refresh else "access_token"
        token = sealed and hub.vault.open_text(
            tenant_id, sealed, about=f"connections.{kind}:{connection_id}"
        )
        connection.access_token = connection.refresh_token = connection.token_expires_at = None
        connection.token_version += 1
        connection.health, connection.health_at = Health.DISCONNECTED.value, now()
        connection.health_reason = "Disconnected by a person."
        audit.record(session, actor=actor, action="connection.disconnected", target=connection_id)
    if not token:
        return False
    try:
        client = vendor_client(hub.settings, connection.connector, connection.login_url)
    except (NotSetUp, NoAddress, WrongHost, UnknownConnector):
        return False
    return client.revoke(token)
