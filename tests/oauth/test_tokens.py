"""Tokens are always fresh, refreshed by one process at a time, and never lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import redis
from sqlalchemy import create_engine, select, update

from connectors.errors import NeedsReconnect, TokenExpired, Unavailable
from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.vault import Vault, read_master_keys
from hub.delivery.account import Line
from hub.delivery.budget import Budget
from hub.oauth import tokens
from tests.delivery.connected import Connected

TOKEN_PATH = "/services/oauth2/token"


@pytest.fixture(autouse=True)
def _usual_rules(connected: Connected) -> Iterator[None]:
    """Let the sandbox give refresh tokens as Salesforce usually does, when a test changed that."""
    yield
    connected.sandbox.set(rotates_refresh=False)


def another_process(hub: Hub) -> Hub:
    """Give a hub that shares nothing with ours but the servers: own pool, own Redis client, own keys."""
    own = create_engine(hub.engine.url, pool_size=2)
    client = redis.Redis.from_url(hub.settings.redis_url.get_secret_value())
    return replace(hub, engine=own, redis=client, vault=Vault(own, read_master_keys(hub.settings)))


def change(connected: Connected, **columns: object) -> None:
    """Change columns of the connection."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Connection).where(Connection.id == connected.connection.id).values(**columns)
        )


def end(connected: Connected, at: datetime) -> None:
    """Let the access token of two hours end at a moment."""
    change(connected, token_expires_at=at, token_refreshed_at=at - timedelta(hours=2))


def expire(connected: Connected) -> None:
    """Let the access token have ended."""
    end(connected, now() - timedelta(minutes=1))


def current(connected: Connected, hub: Hub | None = None, **options: int) -> tokens.Token:
    """Ask for a token."""
    return tokens.current(
        hub or connected.hub, connected.company.tenant_id, connected.connection.id, **options
    )


def counted(connected: Connected, what: str) -> int:
    """Tell how many tokens the vendor issued, refreshed, refused or revoked."""
    return int(connected.sandbox.stats()["tokens"].get(what, 0))


def wait_for_lease(connected: Connected) -> None:
    """Wait until somebody is refreshing."""
    until = time.monotonic() + 10
    while connected.refreshed().refresh_lease is None:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_many_processes_refresh_once(hub: Hub, connected: Connected) -> None:
    """Eight need a token in the same moment: one refresh, one new token for all; no token is garbled."""
    connected.sandbox.set(rotates_refresh=True)
    expire(connected)
    before, refused = counted(connected, "refreshed"), counted(connected, "refused")
    hubs = [another_process(hub) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: current(connected, one), hubs))
    for one in hubs:
        one.engine.dispose()

    assert counted(connected, "refreshed") - before == 1
    assert len({one.value for one in found}) == 1
    assert counted(connected, "refused") == refused


def test_a_sibling_that_was_quicker_is_believed(hub: Hub, connected: Connected) -> None:
    """A process whose refresh token was used up by another takes the other's token; nothing breaks."""
    connected.sandbox.set(rotates_refresh=True)
    expire(connected)
    connected.sandbox.fault(kind="slow", seconds=2, path=TOKEN_PATH)
    slow, before = another_process(hub), counted(connected, "refused")

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(current, connected, slow)
        wait_for_lease(connected)
        change(connected, refresh_lease_until=now() - timedelta(seconds=1))
        quick = current(connected)
        same = late.result()
    slow.engine.dispose()

    assert quick == same
    assert counted(connected, "refused") - before == 1
    assert connected.refreshed().state == Health.HEALTHY


def test_an_answer_that_comes_after_the_lease_is_kept(hub: Hub, connected: Connected) -> None:
    """A vendor that rotates takes no other refresh token any more, so a late answer must not be thrown away."""
    connected.sandbox.set(rotates_refresh=True)
    expire(connected)
    connected.sandbox.fault(kind="slow", seconds=1, path=TOKEN_PATH)
    version = connected.refreshed().token_version

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(current, connected)
        wait_for_lease(connected)
        change(
            connected, refresh_lease="lea_other", refresh_lease_until=now() + timedelta(minutes=1)
        )
        found = late.result()
    expire(connected)
    again = current(connected)

    assert found.version == version + 1
    assert again.version == version + 2


def test_a_withdrawn_authorisation_is_noticed_once(connected: Connected) -> None:
    """The person reads a sentence, not ``invalid_grant``; nobody goes on asking the vendor."""
    connected.sandbox.post("revoke")
    expire(connected)
    before = counted(connected, "refused")

    for _ in range(3):
        with pytest.raises(NeedsReconnect):
            current(connected)

    found = connected.refreshed()
    with connected.hub.tenant(connected.company.tenant_id) as session:
        noted = session.scalars(
            select(AuditRow).where(AuditRow.action == "connection.needs_reconnect")
        ).all()
    assert counted(connected, "refused") - before == 1
    assert found.state == Health.NEEDS_RECONNECT
    assert found.health_reason.endswith("Connect the account again.")
    assert len(noted) == 1


def test_a_silent_token_server_is_left_alone_for_a_while(connected: Connected) -> None:
    """After a failure nobody asks again at once; when the time is over, a refresh works."""
    expire(connected)
    connected.sandbox.fault(kind="status", status=503, path=TOKEN_PATH, next=1)

    for _ in range(3):
        with pytest.raises(Unavailable):
            current(connected)
    refreshed = counted(connected, "refreshed")
    change(connected, refresh_lease_until=now() - timedelta(seconds=1))
    current(connected)

    assert connected.refreshed().refresh_failures == 0
    assert counted(connected, "refreshed") == refreshed + 1


def test_a_token_that_still_holds_is_used_while_the_server_is_silent(connected: Connected) -> None:
    """Refreshing ahead of time is no reason to stop delivering when it fails."""
    value = current(connected).value
    end(connected, now() + timedelta(seconds=60))
    connected.sandbox.fault(kind="status", status=503, path=TOKEN_PATH, next=1)

    first, second = current(connected), current(connected)

    assert {first.value, second.value} == {value}
    assert connected.refreshed().refresh_failures == 1


@pytest.mark.parametrize(("left_s", "refreshes"), [(100, 1), (600, 0)])
def test_a_token_is_refreshed_ahead_of_its_end(
    connected: Connected, left_s: int, refreshes: int
) -> None:
    """Two minutes before its end a token is exchanged, so that no call meets an expired one."""
    end(connected, now() + timedelta(seconds=left_s))
    before = counted(connected, "refreshed")

    current(connected)

    assert counted(connected, "refreshed") - before == refreshes


def test_a_token_that_the_vendor_refuses_is_replaced_for_the_call(connected: Connected) -> None:
    """Expired at the vendor before our time: the call is made once more with a new token and succeeds."""
    connected.sandbox.post("expire")
    before = counted(connected, "refreshed")
    seen: list[str] = []

    def ask(account) -> str:
        seen.append(account.token)
        if len(seen) == 1:
            raise TokenExpired("expired")
        return "answer"

    found = Line(connected.hub, connected.connection, Budget(connected.hub)).call(ask)

    assert found == "answer"
    assert len(set(seen)) == 2
    assert counted(connected, "refreshed") - before == 1


def test_refresh_tokens_follow_one_another(connected: Connected) -> None:
    """With and without rotation the refresh token that counts is kept, refresh after refresh."""
    for rotates in (False, True, True, False, False):
        connected.sandbox.set(rotates_refresh=rotates)
        expire(connected)
        current(connected)

    assert connected.refreshed().state == Health.HEALTHY


def test_tokens_are_kept_sealed(connected: Connected) -> None:
    """What stands in the table is not the token."""
    token = current(connected).value
    found = connected.refreshed()

    assert token.encode() not in found.access_token
    assert token not in repr(found.__dict__)
    assert found.refresh_token is not None


def test_a_token_that_cannot_be_read_asks_for_a_reconnection(connected: Connected) -> None:
    """A sealed token that was changed in the table is not sent anywhere."""
    sealed = connected.refreshed().access_token
    change(connected, access_token=sealed[:-1] + bytes([sealed[-1] ^ 1]))

    with pytest.raises(NeedsReconnect, match="cannot be read"):
        current(connected)
