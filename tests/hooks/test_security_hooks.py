"""Strangers who send to the addresses of hooks: they keep no vendor out, and nothing that they send breaks anything."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from connectors.errors import Rejected
from connectors.record import Account, WebhookRequest
from connectors.registry import connector
from hub.app import create_app
from hub.context import Hub
from hub.db.base import new_id

APP = "/hooks/app/hubspot"
VENDOR, STRANGER = "192.0.2.10", "198.51.100.20"


@pytest.fixture
def client(hub: Hub) -> FlaskClient:
    """A sender."""
    hub.redis.flushall()
    return create_app(hub).test_client()


def counted(hub: Hub) -> list[bytes]:
    """Give the names of what is counted."""
    return list(hub.redis.scan_iter("rate:hooks:*"))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_flood_keeps_only_its_sender_out(hub: Hub, client: FlaskClient, method: str) -> None:
    """The app's address is no secret: garbage sent there must not have the vendor's own reports refused."""
    where = APP if method == "POST" else f"/hooks/{new_id('con')}"
    flood = {"method": method, "data": b"x", "environ_base": {"REMOTE_ADDR": STRANGER}}
    client.open(where, **flood)
    for key in counted(hub):
        hub.redis.incrby(key, 1_000_000)

    flooded = client.open(where, **flood)
    theirs = client.open(where, method=method, data=b"x", environ_base={"REMOTE_ADDR": VENDOR})

    assert flooded.status_code == 429
    assert theirs.status_code in {401, 404}


def test_a_network_of_many_addresses_is_one_sender(hub: Hub, client: FlaskClient) -> None:
    """IPv6 addresses of one /64 are taken at will."""
    for last in ("1", "2", "abcd"):
        client.post(APP, data=b"x", environ_base={"REMOTE_ADDR": f"2001:db8:5:6::{last}"})

    assert len(counted(hub)) == 1


def test_every_count_ends(hub: Hub, client: FlaskClient) -> None:
    """A count without an end would refuse every report for good."""
    for _ in range(3):
        client.post(APP, data=b"x")

    assert counted(hub)
    assert all(0 < hub.redis.ttl(key) <= 60 for key in counted(hub))


@pytest.mark.parametrize("moment", ["\u00b2", "9" * 400, "9" * 5_000, "-1", "", "1e3"])
def test_a_moment_that_is_none_is_refused(moment: str) -> None:
    """HubSpot's time comes before its signature is known to be right: whatever stands there, it is refused."""
    request = WebhookRequest(
        headers={"x-hubspot-signature-v3": "x", "x-hubspot-request-timestamp": moment},
        body=b"[]",
        url="https://hub.harbor.example/hooks/app/hubspot",
        secret="any",
    )

    with pytest.raises(Rejected):
        connector("hubspot").webhook(Account(id="1", base_url="", token=""), request)
