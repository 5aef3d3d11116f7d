"""Sending many again in the pages: chosen, counted, begun, watched, cancelled."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.deliveries import Delivery
from hub.db.people import Role
from hub.delivery import replays
from tests.conftest import new_company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.web.visitor import Visitor, signed_in


@pytest.fixture
def parked(connected: Connected) -> Connected:
    """A company with two parked deliveries."""
    connected.publish(LEAD)
    connected.accept(voicemail(1), voicemail(2))
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Delivery).values(state="parked", reason="No"))
    return connected


@pytest.fixture
def owner(app: Flask, hub: Hub, parked: Connected) -> Visitor:
    """The company's owner, signed in."""
    return signed_in(app, hub, parked.company)


def states(connected: Connected) -> list[str]:
    """Give the states of the deliveries."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        return list(session.scalars(select(Delivery.state)))


def test_a_choice_is_counted_begun_and_cancelled(parked: Connected, owner: Visitor) -> None:
    """The form of the count begins what was counted; its page tells how far it is and cancels it."""
    counted = owner.page("/send-again?state=parked&version=kept")
    form = next(
        one for one in counted.forms if one["method"] == "post" and "state" in one["fields"]
    )
    begun = owner.post(form["action"], form["fields"])
    page = owner.page(begun.location)
    waiting = states(parked)
    after = owner.post(f"{begun.location}/cancel", follow_redirects=True)
    again = owner.post(f"{begun.location}/cancel", follow_redirects=True)

    assert "Send again 2 deliveries" in counted.text
    assert "1 requests" in counted.text
    assert begun.status_code == 303
    assert "2 to go" in page.text
    assert "Robin Lake asked" in page.text
    assert waiting == ["waiting"] * 2
    assert "What was not sent yet is what it was before" in after.text
    assert states(parked) == ["parked"] * 2
    assert "cancelled already" in again.text


def test_a_choice_of_nothing_is_refused(parked: Connected, owner: Visitor) -> None:
    """Everything is not a choice; neither by the page nor by a form that somebody made."""
    answer = owner.post("/send-again")

    assert answer.status_code == 422
    assert "Say which deliveries" in answer.text
    assert states(parked) == ["parked"] * 2


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("since=yesterday", "This time cannot be understood"),
        ("since=0001-01-01T00:00", "Send again 2 deliveries"),
        ("state=parked&version=4", "needs a mapping"),
        ("state=held", "Choose a state"),
        ("until=2001-01-01T00:00", "Nothing fits"),
    ],
)
def test_every_choice_is_answered(owner: Visitor, query: str, says: str) -> None:
    """In the page: what cannot be counted is said."""
    assert says in owner.page(f"/send-again?{query}").text


def test_times_are_the_companys_own(app: Flask, hub: Hub, parked: Connected) -> None:
    """What a person in Auckland writes is Auckland's time."""
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from hub.db.base import now
    from hub.db.tenants import Tenant

    with hub.everyone("a test moves a company") as session:
        session.execute(
            update(Tenant)
            .where(Tenant.id == parked.company.tenant_id)
            .values(timezone="Pacific/Auckland")
        )
    owner = signed_in(app, hub, parked.company)
    here = now().astimezone(ZoneInfo("Pacific/Auckland"))
    before, after = (f"{here + timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (-1, 1))

    assert "Send again 2 deliveries" in owner.page(f"/send-again?since={before}").text
    assert "Nothing fits" in owner.page(f"/send-again?since={after}").text


@pytest.mark.parametrize("name", ["connection", "mapping"])
def test_nothing_of_another_company_is_chosen(
    app: Flask, hub: Hub, parked: Connected, name: str
) -> None:
    """404, by the page and by the form; nothing is touched and nothing is noted."""
    with hub.tenant(parked.company.tenant_id) as session:
        row = session.scalars(select(Delivery)).first()
    stranger = signed_in(app, hub, new_company(hub))
    value = {"connection": row.connection_id, "mapping": row.mapping_id}[name]

    read = stranger.get(f"/send-again?{name}={value}")
    sent = stranger.post("/send-again", {name: value})

    assert (read.status_code, sent.status_code) == (404, 404)
    assert states(parked) == ["parked"] * 2
    assert replays.latest(hub, stranger.company.tenant_id) == []


def test_a_viewer_only_looks(app: Flask, hub: Hub) -> None:
    """The list is there, the form is not."""
    visitor = signed_in(app, hub, new_company(hub, role=Role.VIEWER))

    page = visitor.page("/send-again?state=parked")

    assert "Nothing was sent again yet" in page.text
    assert not any("send-again" in one["action"] for one in page.forms)
