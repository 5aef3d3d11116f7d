"""Access tokens that are always fresh, refreshed by one process at a time.

::

    valid ──(near its end, or refused)──▶ lease taken by one process ──▶ vendor ──▶ stored ──▶ used
                                           │ others wait for the next version
                                           ├─ silent: the old one while it holds, and nobody asks for a while
                                           └─ invalid_grant: read again; unchanged → needs reconnect

The lease is a column, not a lock, so that no database connection is held while the vendor answers.
A new token is stored only onto the version that its refresh began with, and before anybody uses it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, true, update

from connectors.errors import NeedsReconnect, Unavailable
from connectors.record import OAuth
from connectors.registry import connector
from hub import log, tally
from hub.context import Hub
from hub.db import audit
from hub.db.base import new_id, now
from hub.db.connections import Connection, Health
from hub.db.vault import KeyMissing, Unreadable
from hub.oauth.client import NotSetUp, TokenRefused, VendorSilent, WrongHost, vendor_client
from hub.tally import families

_LOG = log.get(__name__)
_MARGIN_S = 120.0
_LEASE_S = 30.0
_COOL_DOWN_S = 30.0
_WAIT_S = 12.0
_POLL_S = 0.1
_LONGEST_S = 366 * 86_400.0
_GONE = {"invalid_grant", "invalid_token", "unauthorized_client", "access_denied"}


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and the version of the connection's tokens that it belongs to."""

    value: str
    version: int


def current(
    hub: Hub, tenant_id: str, connection_id: str, *, refused_version: int | None = None
) -> Token:
    """Give a token that holds for a while; ``refused_version`` names one that the vendor no longer takes.

    Raises NeedsReconnect when the authorisation is gone, Unavailable when the vendor's token server
    is silent.
    """
    until = time.monotonic() + _WAIT_S
    while True:
        connection = _read(hub, tenant_id, connection_id)
        if connection.health in {Health.NEEDS_RECONNECT.value, Health.DISCONNECTED.value}:
            raise NeedsReconnect(f"{connection.label} needs to be connected again.")
        if _is_good(connection, refused_version):
            return _opened(hub, connection)
        if _is_cooling(connection):
            if _is_alive(connection, refused_version):
                return _opened(hub, connection)
            raise Unavailable(
                f"The token of {connection.label} could not be refreshed; that is tried again soon."
            )
        if _take_lease(hub, connection):
            return _refresh(hub, connection, refused_version)
        if time.monotonic() > until:
            if _is_alive(connection, refused_version):
                return _opened(hub, connection)
            raise Unavailable(f"The token of {connection.label} is being refreshed; it takes long.")
        time.sleep(_POLL_S)  # another process is at it; it holds the lease for seconds at most


def _read(hub: Hub, tenant_id: str, connection_id: str) -> Connection:
    with hub.tenant(tenant_id) as session:
        return session.scalars(select(Connection).where(Connection.id == connection_id)).one()


def _is_good(connection: Connection, refused_version: int | None) -> bool:
    if connection.token_version == refused_version or connection.access_token is None:
        return False
    # Keys that a person pasted have no end that we know of.
    return connection.token_expires_at is None or (
        connection.token_expires_at - now() > timedelta(seconds=margin_s(connection))
    )


def _is_alive(connection: Connection, refused_version: int | None) -> bool:
    if connection.token_version == refused_version or connection.access_token is None:
        return False
    return connection.token_expires_at is None or connection.token_expires_at > now()


def _is_cooling(connection: Connection) -> bool:
    """Tell whether the token server failed a moment ago: the time of a lease that nobody holds."""
    return (
        connection.refresh_lease is None
        and connection.refresh_lease_until is not None
        and connection.refresh_lease_until > now()
    )


def margin_s(connection: Connection) -> float:
    """Give how long before its end a token is refreshed: two minutes, less for short-lived ones."""
    if not (connection.token_expires_at and connection.token_refreshed_at):
        return _MARGIN_S
    lifetime_s = (connection.token_expires_at - connection.token_refreshed_at).total_seconds()
    return min(_MARGIN_S, lifetime_s / 10)


def _opened(hub: Hub, connection: Connection) -> Token:
    if connection.access_token is None:
        raise NeedsReconnect(f"{connection.label} has no token; connect it again.")
    value = _open(hub, connection, connection.access_token, "access_token")
    return Token(value, connection.token_version)


def _open(hub: Hub, connection: Connection, sealed: bytes, column: str) -> str:
    try:
        about = f"connections.{column}:{connection.id}"
        return hub.vault.open_text(connection.tenant_id, sealed, about=about)
    except KeyMissing as err:
        raise Unavailable(str(err), code="master_key") from err
    except Unreadable as err:
        raise NeedsReconnect(f"The token of {connection.label} cannot be read.") from err


def _take_lease(hub: Hub, connection: Connection) -> bool:
    with hub.tenant(connection.tenant_id) as session:
        taken = session.scalars(
            update(Connection)
            .where(
                Connection.id == connection.id,
                Connection.token_version == connection.token_version,
                or_(
                    Connection.refresh_lease_until.is_(None), Connection.refresh_lease_until < now()
                ),
            )
            .values(
                refresh_lease=new_id("lea"), refresh_lease_until=now() + timedelta(seconds=_LEASE_S)
            )
            .returning(Connection.id)
        ).all()
    return bool(taken)


def _refresh(hub: Hub, connection: Connection, refused_version: int | None) -> Token:
    """Ask for new tokens; while the vendor cannot answer, the old one is used as long as it holds."""
    refresh_token = connection.refresh_token and _open(
        hub, connection, connection.refresh_token, "refresh_token"
    )
    try:
        if not refresh_token:
            raise TokenRefused("invalid_grant", "there is no refresh token")  # noqa: TRY301 - the same end
        client = vendor_client(hub.settings, connection.connector, connection.login_url)
        answer = client.refresh(refresh_token)
    except TokenRefused as err:
        return _refused(hub, connection, refused_version, err)
    except (VendorSilent, NotSetUp, WrongHost) as err:
        return _later(hub, connection, refused_version, err)
    answer["refresh_token"] = answer.get("refresh_token") or refresh_token
    return _store_refreshed(hub, connection, answer)


def _later(hub: Hub, connection: Connection, refused_version: int | None, err: Exception) -> Token:
    _cool_down(hub, connection)
    tally.count(hub.redis, families.TOKENS, connection.connector, "deferred")
    if _is_alive(connection, refused_version):
        return _opened(hub, connection)
    raise Unavailable(f"The token of {connection.label} could not be refreshed: {err}") from err


def _store_refreshed(hub: Hub, connection: Connection, answer: dict[str, Any]) -> Token:
    """Store new tokens unless there are newer ones.

    It does not matter who holds the lease by now: a vendor that rotates takes no other refresh token any more.
    """
    with hub.tenant(connection.tenant_id) as session:
        stored = session.scalars(
            update(Connection)
            .where(
                Connection.id == connection.id,
                Connection.token_version == connection.token_version,
            )
            .values(
                **sealed_tokens(
                    hub, connection.tenant_id, connection.id, connection.connector, answer
                ),
                token_version=Connection.token_version + 1,
                refresh_lease=None,
                refresh_lease_until=None,
                refresh_failures=0,
            )
            .returning(Connection.id)
        ).all()
        if stored:
            audit.record(
                session,
                actor="worker",
                action="connection.token_refreshed",
                target=connection.id,
                facts={"version": connection.token_version + 1},
            )
    _LOG.info("token refreshed", connection_id=connection.id, connector=connection.connector)
    tally.count(hub.redis, families.TOKENS, connection.connector, "refreshed")
    return _opened(hub, _read(hub, connection.tenant_id, connection.id))


def _refused(
    hub: Hub, connection: Connection, refused_version: int | None, err: TokenRefused
) -> Token:
    """Look again before giving up: a sibling may have rotated the token in the same moment."""
    again = _read(hub, connection.tenant_id, connection.id)
    if again.token_version != connection.token_version:
        return _opened(hub, again)
    if err.code not in _GONE:
        return _later(hub, connection, refused_version, err)
    reason = "The vendor no longer accepts our authorisation. Connect the account again."
    mark_needs_reconnect(
        hub, connection.tenant_id, connection.id, reason, version=connection.token_version
    )
    tally.count(hub.redis, families.TOKENS, connection.connector, "refused")
    raise NeedsReconnect(reason, code=err.code) from err


def _cool_down(hub: Hub, connection: Connection) -> None:
    """Let nobody ask the token server again for a while."""
    with hub.tenant(connection.tenant_id) as session:
        session.execute(
            update(Connection)
            .where(
                Connection.id == connection.id, Connection.token_version == connection.token_version
            )
            .values(
                refresh_lease=None,
                refresh_lease_until=now() + timedelta(seconds=_COOL_DOWN_S),
                refresh_failures=Connection.refresh_failures + 1,
            )
        )


def mark_needs_reconnect(
    hub: Hub, tenant_id: str, connection_id: str, reason: str, *, version: int | None = None
) -> None:
    """Stop a connection whose authorisation is gone; its rows stay and wait.

    ``version`` names the tokens that were refused: when there are newer ones, somebody has just reconnected.
    """
    is_same = Connection.token_version == version if version is not None else true()
    with hub.tenant(tenant_id) as session:
        changed = session.scalars(
            update(Connection)
            .where(
                Connection.id == connection_id,
                is_same,
                Connection.health.in_((Health.HEALTHY.value, Health.DEGRADED.value)),
            )
            .values(health=Health.NEEDS_RECONNECT.value, health_reason=reason, health_at=now())
            .returning(Connection.id)
        ).all()
        if changed:
            audit.record(
                session, actor="worker", action="connection.needs_reconnect", target=connection_id
            )
    if changed:
        _LOG.error("connection needs reconnect", connection_id=connection_id, tenant_id=tenant_id)


def _lifetime_s(told: Any, default_s: float) -> float:
    """Read ``expires_in``, which some vendors send as text and some not at all."""
    try:
        lifetime_s = float(told)
    except (TypeError, ValueError):
        return default_s
    return min(lifetime_s, _LONGEST_S) if lifetime_s > 0 else default_s


def sealed_tokens(
    hub: Hub, tenant_id: str, connection_id: str, connector_name: str, answer: dict[str, Any]
) -> dict[str, Any]:
    """Give the columns that hold a token answer: both tokens sealed, and when the access token ends.

    Of an account that is reached with keys, the keys are the token, and it has no end.
    """
    oauth = connector(connector_name).oauth
    at: datetime = now()
    ends_at = None
    if isinstance(oauth, OAuth):
        lifetime_s = _lifetime_s(answer.get("expires_in"), oauth.default_lifetime_s)
        ends_at = at + timedelta(seconds=lifetime_s)
    refresh_token = answer.get("refresh_token")
    return {
        "access_token": hub.vault.seal_text(
            tenant_id, answer["access_token"], about=f"connections.access_token:{connection_id}"
        ),
        "refresh_token": refresh_token
        and hub.vault.seal_text(
            tenant_id, refresh_token, about=f"connections.refresh_token:{connection_id}"
        ),
        "token_expires_at": ends_at,
        "token_refreshed_at": at,
    }
