"""The page of one account: what it was granted, its calls with history and forecast, and what an app needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from connectors.registry import CONNECTORS, connector
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import CallCount, Connection
from hub.db.people import Role
from hub.delivery.outlook import LimitOutlook
from hub.web import accounts, vendor_steps
from tests.conftest import new_company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.web.visitor import Page, Visitor, signed_in

LIMIT = LimitOutlook(
    name="requests",
    kind="day",
    capacity=1_000,
    granted=900,
    used=600,
    remaining=300,
    period_s=86_400,
    blocked_for_s=0,
    source="",
    affordable_per_s=0.01,
    recent_per_s=0.1,
)


@pytest.fixture
def owner(app: Flask, hub: Hub, connected: Connected) -> Visitor:
    """The owner of the connected company."""
    return signed_in(app, hub, connected.company)


def test_granted_scopes_stand_beside_wanted_ones(
    hub: Hub, owner: Visitor, connected: Connected
) -> None:
    """What is missing is marked; what was granted besides is listed; where nothing is known it says so."""
    path = f"/connections/{connected.connection.id}"
    seen = []
    for granted in (["api", "chatter"], []):
        with hub.tenant(connected.company.tenant_id) as session:
            session.execute(update(Connection).values(granted_scopes=granted))
        seen.append(owner.page(path).text)

    assert "refresh_token Missing" in seen[0]
    assert "api Missing" not in seen[0]
    assert "Granted besides (1) chatter" in seen[0]
    assert "Salesforce does not say what it granted" in seen[1]


def test_calls_of_the_last_days_are_drawn(hub: Hub, owner: Visitor, connected: Connected) -> None:
    """Each day's units stand in the chart and its table; older ones do not."""
    with hub.tenant(connected.company.tenant_id) as session:
        for days, units in ((0, 40), (2, 1_250), (9, 7_777)):
            at = (now() - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
            session.merge(
                CallCount(
                    tenant_id=connected.company.tenant_id,
                    connection_id=connected.connection.id,
                    limit_name="requests",
                    hour=at,
                    units=units,
                )
            )

    page = owner.page(f"/connections/{connected.connection.id}")

    assert "1,250" in page.text
    assert "7,777" not in page.text
    assert "of 90,000 used" in page.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "would run out in 50 min"),
        ({"recent_per_s": 0.005}, "never runs out"),
        ({"recent_per_s": 0.0}, "it lasts"),
        ({"remaining": 0}, "used up"),
        ({"blocked_for_s": 90.0}, "Held back for another 1 min 30 s"),
        ({"recent_per_s": None, "affordable_per_s": None}, ""),
    ],
)
def test_the_forecast_in_words(changed: dict, words: str) -> None:
    """From what is left and the rate of the last half hour."""
    found = accounts.forecast(replace(LIMIT, **changed))

    assert words in found
    assert bool(words) is bool(found)


def test_every_action_says_what_follows(app: Flask, hub: Hub, connected: Connected) -> None:
    """Beside each button; an operator sees only pausing."""
    connected.publish(LEAD, name="Leads to sales")
    connected.accept(voicemail(1))
    path = f"/connections/{connected.connection.id}"
    page = signed_in(app, hub, connected.company).page(path)

    assert "What waits stays here unsent until you reconnect" in page.text
    assert "Nothing more is sent to Salesforce" in page.text
    assert "Leads to sales" in page.text
    assert "Waiting 1" in page.text


def test_an_operator_sees_what_an_operator_may(app: Flask, hub: Hub, connected: Connected) -> None:
    """Reconnecting and disconnecting are for admins, and the page says so."""
    from hub.db import people

    person = new_company(hub).person_id
    with hub.tenant(connected.company.tenant_id) as session:
        people.add_member(session, person_id=person, role=Role.OPERATOR)
    visitor = signed_in(app, hub, replace(connected.company, person_id=person))

    page = visitor.page(f"/connections/{connected.connection.id}")

    assert "are for admins" in page.text
    assert "Disconnect…" not in page.text
    assert "Pause" in page.text


@pytest.mark.parametrize("name", list(CONNECTORS))
def test_the_wizard_tells_what_an_app_needs(visitor: Visitor, name: str) -> None:
    """The redirect URL, every scope, and the vendor's steps with our own address in them."""
    page = visitor.page("/connections/new")
    fields = [found.get("value", "") for tag, found in page.elements if tag == "input"]
    base = visitor.client.application.extensions["afterbeep"].settings.base_url
    steps = vendor_steps.steps(name, base)

    assert len(steps) > 3
    assert f"{base}/connections/callback" in fields
    for scope in getattr(connector(name).oauth, "scopes", ()):
        assert scope in page.text
    assert "<your hub>" not in page.text
    assert "".join(str(one) for one in steps).count("<script") == 0


def test_marks_of_steps_become_html_and_all_else_text() -> None:
    """Bold, code and links, and nothing that a file could smuggle in."""
    found = vendor_steps._written("**Save** `a<b>` at [here](https://x.example/?a=1&b) <b>now</b>")

    assert str(found) == (
        "<strong>Save</strong> <code>a&lt;b&gt;</code> at "
        '<a href="https://x.example/?a=1&amp;b" target="_blank" rel="noopener noreferrer">here</a>'
        " &lt;b&gt;now&lt;/b&gt;"
    )


def test_settings_that_two_people_change_lose_neither(
    hub: Hub, owner: Visitor, connected: Connected
) -> None:
    """Who saves second sees beside the field what the first one set, keeps what they typed, and may save again."""
    path = f"/connections/{connected.connection.id}/settings"
    seen = owner.page(path).forms[-1]["fields"]["seen"]
    owner.post(path, {"label": "Sales", "seen": seen})

    second = owner.post(path, {"label": "Leads", "seen": seen})
    newer = Page(second.text).forms[-1]["fields"]["seen"]
    kept = connected.refreshed().label
    third = owner.post(path, {"label": "Leads", "seen": newer})

    assert second.status_code == 409
    assert "Somebody set this to “Sales” meanwhile" in second.text
    assert 'value="Leads"' in second.text
    assert kept == "Sales"
    assert third.status_code == 303
    assert connected.refreshed().label == "Leads"
