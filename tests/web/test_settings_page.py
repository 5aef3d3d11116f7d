"""The settings of a connection: the form, refusals in place, and choices from the account."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, FieldList
from hub.db.people import Membership, Role
from tests.conftest import Company, new_company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect, set_up_vendor
from tests.web.visitor import Visitor, signed_in


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A Google Calendar in miniature, as a process of its own."""
    with running.sandbox("google_calendar", tmp_path_factory.mktemp("google")) as box:
        yield box


@pytest.fixture
def calendar(hub: Hub, company: Company, google: Sandbox) -> Connected:
    """A company whose calendar is connected."""
    google.clear_faults()
    return connect(hub, company, google)


@pytest.fixture
def owner(app: Flask, hub: Hub, calendar: Connected) -> Visitor:
    """The owner of the company with the calendar."""
    return signed_in(app, hub, calendar.company)


def path_of(one: Connected) -> str:
    """Give the settings' address."""
    return f"/connections/{one.connection.id}/settings"


def form_of(owner: Visitor, one: Connected) -> dict[str, object]:
    """Give the form as a browser would send it back unchanged."""
    page = owner.page(path_of(one))
    form = next(one for one in page.forms if "set.slot_minutes" in one["fields"])
    return {**form["fields"], "set.calendar": "primary", "set.hold_status": "tentative"}


def test_an_unchanged_form_changes_nothing(owner: Visitor, calendar: Connected) -> None:
    """What holds by default stands in the form and is not kept as if an admin had set it."""
    answer = owner.post(path_of(calendar), form_of(owner, calendar))

    assert answer.status_code == 303
    assert (calendar.refreshed().settings, calendar.refreshed().budget) == ({}, {})


def test_settings_are_saved(owner: Visitor, calendar: Connected) -> None:
    """Hours as people write them, numbers, what the account offers, and our share in percent."""
    typed = form_of(owner, calendar) | {
        "label": "Crew",
        "set.slot_minutes": "15",
        "set.business_hours.mon": "08:00-12:00, 13:00-18:00",
        "set.business_hours.sat": "",
        "set.busy_calendars": ["crew@harbor.example"],
        "set.hold_status": "confirmed",
        "share": "50",
        "grants.user_minute": "100",
    }

    answer = owner.post(path_of(calendar), typed, follow_redirects=True)

    row = calendar.refreshed()
    assert "The settings of Crew are saved" in answer.text
    assert row.settings["slot_minutes"] == 15
    assert row.settings["business_hours"]["mon"] == ["08:00-12:00", "13:00-18:00"]
    assert row.settings["business_hours"]["tue"] == "09:00-17:00"
    assert row.settings["busy_calendars"] == ["crew@harbor.example"]
    assert row.settings["hold_status"] == "confirmed"
    assert row.budget == {"share": 0.5, "grants": {"user_minute": 100}}


def test_wrong_values_are_told_in_place_and_nothing_is_lost(
    owner: Visitor, calendar: Connected
) -> None:
    """Each field says what is wrong, and keeps what was typed; nothing is saved."""
    typed = form_of(owner, calendar) | {
        "label": "Crew",
        "set.slot_minutes": "soon",
        "set.time_zone": "Mars/Base",
        "share": "250",
    }

    answer = owner.post(path_of(calendar), typed)

    assert answer.status_code == 422
    for said in (
        "must be a whole number from 5 to 240",
        "is not a time zone",
        "must be above 0 and at most 1",
        'value="Mars/Base"',
        'value="soon"',
        'value="Crew"',
    ):
        assert said in answer.text
    assert calendar.refreshed().settings == {}


def test_choices_come_from_the_account(
    owner: Visitor, calendar: Connected, google: Sandbox
) -> None:
    """The account's calendars can be chosen, also while it does not answer."""
    first = owner.get(path_of(calendar)).text
    google.fault(kind="status", status=503, path="/", next=20)
    with calendar.hub.tenant(calendar.company.tenant_id) as session:
        session.execute(update(FieldList).values(read_at=now() - timedelta(days=2)))

    again = owner.get(path_of(calendar)).text

    assert '<option value="primary"' in first
    assert '<option value="primary"' in again
    assert "The account does not answer now" in again


def test_a_setting_that_the_account_does_not_offer_any_more_stays(
    owner: Visitor, calendar: Connected
) -> None:
    """Opening and saving the form does not change it unseen."""
    with calendar.hub.tenant(calendar.company.tenant_id) as session:
        session.execute(update(Connection).values(settings={"calendar": "gone@harbor.example"}))

    assert '<option value="gone@harbor.example" selected' in owner.get(path_of(calendar)).text


def test_only_admins_change_settings(app: Flask, hub: Hub, calendar: Connected) -> None:
    """An operator is told who may."""
    with hub.tenant(calendar.company.tenant_id) as session:
        session.execute(update(Membership).values(role=Role.OPERATOR.value))
    operator = signed_in(app, hub, calendar.company)

    assert operator.get(path_of(calendar)).status_code == 403
    assert operator.post(path_of(calendar), {"label": "Mine"}).status_code == 403


def test_an_address_of_ones_own_is_asked_for(
    visitor: Visitor, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vendor whose accounts share no address has a field for it; without one the form says what is missing."""
    with running.sandbox("zendesk", tmp_path) as box:
        set_up_vendor(box)
    monkeypatch.delenv("AFTERBEEP_ZENDESK_LOGIN_URL")

    page = visitor.get("/connections/new").text
    refused = visitor.post("/connections/new/zendesk", {"label": "Desk", "login_url": ""})
    going = visitor.post("/connections/new/zendesk", {"login_url": "harbor"})

    assert "Your Zendesk address" in page
    assert refused.status_code == 422
    assert "Fill in your Zendesk address, such as https://your-company.zendesk.com." in refused.text
    assert 'value="Desk"' in refused.text
    assert "https://harbor.zendesk.com/oauth/" in going.headers["Refresh"]


def test_another_companys_settings_are_not_found(app: Flask, hub: Hub, calendar: Connected) -> None:
    """Neither shown nor changed."""
    stranger = signed_in(app, hub, new_company(hub))

    assert stranger.get(path_of(calendar)).status_code == 404
    assert stranger.post(path_of(calendar), {"label": "Mine"}).status_code == 404
