"""Connections: the cards, connecting at the vendor, and an operator's hand on an account."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from tests.connectors.running import Sandbox
from tests.delivery.connected import LEAD, Connected, allow, set_up_vendor, voicemail
from tests.web.visitor import Page, Visitor, signed_in


@pytest.fixture
def owner(app: Flask, hub: Hub, connected: Connected) -> Visitor:
    """The owner of the connected company."""
    return signed_in(app, hub, connected.company)


def test_account_is_connected(visitor: Visitor, salesforce_sandbox: Sandbox) -> None:
    """The form leads to the vendor by a page of ours, and the way back makes a healthy connection."""
    set_up_vendor(salesforce_sandbox)

    going = visitor.post("/connections/new/salesforce", {"label": "Sales"})
    address = going.headers["Refresh"].removeprefix("0; url=")
    back = allow(address)
    answer = visitor.get("/connections/callback", query_string=back, follow_redirects=True)

    assert going.status_code == 200  # a redirect would be refused by form-action
    assert address.startswith(salesforce_sandbox.url)
    assert "Sales is connected" in answer.text
    assert "Healthy" in answer.text


def test_refusal_at_the_vendor_is_told(visitor: Visitor) -> None:
    """Who comes back without permission, or with a made-up state, is told so."""
    answer = visitor.get(
        "/connections/callback?state=made-up&error=access_denied", follow_redirects=True
    )

    assert "belongs to no connection that you began" in answer.text


def test_foreign_sign_in_address_is_refused(visitor: Visitor, salesforce_sandbox: Sandbox) -> None:
    """An address that is not the vendor's leads nowhere."""
    set_up_vendor(salesforce_sandbox)

    answer = visitor.post(
        "/connections/new/salesforce",
        {"login_url": "https://login.evil.example"},
        follow_redirects=True,
    )

    assert "is not an address of Salesforce" in answer.text


def test_vendor_that_is_not_set_up_says_what_is_missing(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the operator's registration, the page names the settings instead of a button."""
    monkeypatch.delenv("AFTERBEEP_HUBSPOT_CLIENT_ID", raising=False)

    page = visitor.page("/connections/new")

    assert "AFTERBEEP_HUBSPOT_CLIENT_ID" in page.text
    assert "Continue to HubSpot" not in page.text


def test_pause_and_resume(owner: Visitor, connected: Connected) -> None:
    """A pause holds until it is resumed."""
    path = f"/connections/{connected.connection.id}"

    paused = owner.post(f"{path}/pause", follow_redirects=True)
    assert "is paused" in paused.text
    assert connected.refreshed().paused_at is not None
    owner.post(f"{path}/resume")

    assert connected.refreshed().paused_at is None


def test_reason_of_bad_health_is_shown(hub: Hub, owner: Visitor, connected: Connected) -> None:
    """Each health has its name, its reason, and the button that helps."""
    with hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Connection).values(
                health=Health.NEEDS_RECONNECT.value,
                health_reason="The refresh token was revoked.",
                todos=["Add a field: Call it Afterbeep key."],
                health_at=now(),
            )
        )

    row, page = owner.page("/connections"), owner.page(f"/connections/{connected.connection.id}")

    for one in (row, page):
        assert "The refresh token was revoked." in one.text
        assert "Reconnect" in one.text
    assert "1 thing to do in Salesforce" in row.text
    assert "Call it Afterbeep key" in page.text


def test_disconnecting_tells_what_follows_then_revokes(
    hub: Hub, owner: Visitor, connected: Connected
) -> None:
    """The page before names waiting rows and mappings; the button revokes at the vendor."""
    connected.publish(LEAD, name="Leads to sales")
    connected.accept(voicemail(1))
    path = f"/connections/{connected.connection.id}/disconnect"

    asked = owner.page(path)
    done = owner.post(path, follow_redirects=True)

    assert "1 delivery that waits" in asked.text
    assert "Leads to sales" in asked.text
    assert "has confirmed it" in done.text
    with hub.tenant(connected.company.tenant_id) as session:
        row = session.scalars(select(Connection)).one()
    assert (row.health, row.access_token) == ("disconnected", None)


def test_checking_prepares_the_account(owner: Visitor, connected: Connected) -> None:
    """The check asks the vendor and says when nothing is left to do."""
    answer = owner.post(f"/connections/{connected.connection.id}/check", follow_redirects=True)

    assert "has everything that is needed" in answer.text


def test_budget_is_shown_for_each_limit(owner: Visitor, connected: Connected) -> None:
    """Each limit of the vendor has a gauge with its figures."""
    from connectors.registry import connector

    page = owner.page(f"/connections/{connected.connection.id}")
    gauges = [found for tag, found in page.elements if tag == "progress" and "max" in found]

    assert len(gauges) == len(connector("salesforce").limits)
    assert isinstance(page, Page)


def test_what_cannot_be_stored_is_refused(owner: Visitor, connected: Connected) -> None:
    """U+0000 in a form, a query or an address gets a page that says so, and nothing is changed."""
    path = f"/connections/{connected.connection.id}"

    label = owner.post(f"{path}/settings", {"label": "Harbor\0CRM"})
    new = owner.post("/connections/new/salesforce", {"label": "Harbor\0CRM"})
    query = owner.get("/connections?state=%00")
    gone = owner.get("/connections/%00")

    assert [one.status_code for one in (label, new, query, gone)] == [400, 400, 400, 404]
    assert "U+0000" in label.text
    assert "U+0000" not in owner.page(f"{path}/settings").text
