"""Connecting an account with keys that a person pastes, where a vendor has no page to allow us in.

The keys are checked by reading the account before anything is stored, and are kept sealed as the
connection's token. Pasting new ones keeps the connection's id, mappings and history.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import select

from connectors.record import KeyAuth
from connectors.registry import CONNECTORS, connector
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import ConnectFlow, Connection
from hub.oauth.client import NoAddress, WrongHost, check_host, login_address
from hub.oauth.flow import ConnectProblem, store

_LONGEST_CHARS = 1_000


def connect(
    hub: Hub,
    tenant_id: str,
    person_id: str,
    connector_name: str,
    values: Mapping[str, str],
    *,
    label: str = "",
    login_url: str | None = None,
    connection_id: str | None = None,
) -> Connection:
    """Store a connection that these keys open; with ``connection_id`` it gets new keys.

    Raises ConnectProblem when a field is empty, the address is not the vendor's, or the keys do not open an account.
    """
    auth = connector(connector_name).oauth if connector_name in CONNECTORS else None
    if not isinstance(auth, KeyAuth):
        raise ConnectProblem(f'"{connector_name}" is not connected with keys.')
    keys = {name: values.get(name, "").strip() for name in auth.fields}
    empty = [auth.fields[name] for name, value in keys.items() if not value]
    if empty:
        raise ConnectProblem(f"Fill in: {', '.join(empty)}.")
    if any(len(value) > _LONGEST_CHARS for value in keys.values()):
        raise ConnectProblem("One of the keys is far too long; copy it again.")
    flow = ConnectFlow(
        tenant_id=tenant_id,
        connector=connector_name,
        connection_id=connection_id,
        person_id=person_id,
        label=label,
        login_url=_address(hub, tenant_id, connector_name, login_url, connection_id=connection_id),
        verifier=b"",
        state_hash="",
        expires_at=now() + timedelta(minutes=1),
    )
    answer = {"access_token": json.dumps(keys)}
    return store(hub, flow, answer, keeps=(), base_url=flow.login_url)


def _address(
    hub: Hub,
    tenant_id: str,
    connector_name: str,
    login_url: str | None,
    *,
    connection_id: str | None,
) -> str:
    """Give the checked address of the API: the one asked for, the connection's own, or the vendor's."""
    if connection_id:
        with hub.tenant(tenant_id) as session:
            old = session.scalars(
                select(Connection).where(Connection.id == connection_id)
            ).one_or_none()
        if old is None or old.connector != connector_name:
            raise ConnectProblem("There is no such connection to give new keys to.")
        login_url = login_url or old.login_url
    try:
        return check_host(hub.settings, connector_name, login_address(connector_name, login_url))
    except (NoAddress, WrongHost) as err:
        raise ConnectProblem(str(err)) from err
