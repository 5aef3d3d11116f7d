"""The usual mappings offered and set up with one press, and the page of the approval gate."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.mappings import FieldMapping
from hub.db.people import Membership, Role
from hub.delivery import gate
from hub.delivery.gate import Gate
from tests.conftest import new_company
from tests.delivery.connected import LEAD, Connected
from tests.web.visitor import Visitor, signed_in


@pytest.fixture
def owner(app: Flask, hub: Hub, connected: Connected) -> Visitor:
    """The owner of the connected company."""
    return signed_in(app, hub, connected.company)


def names(connected: Connected) -> set[str]:
    """Give the names of the company's mappings."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        return set(session.scalars(select(FieldMapping.name)))


def test_an_account_without_mappings_is_offered_the_usual_ones(
    owner: Visitor, connected: Connected
) -> None:
    """On its card, on the empty list, and above the presets; not once it has one."""
    where = f"/connections/{connected.connection.id}/playbook"

    offered = [owner.get(path).text for path in ("/connections", "/mappings", "/mappings/new")]
    connected.publish(LEAD)

    assert all(where in text for text in offered)
    assert where not in owner.get("/connections").text


def test_what_would_be_made_is_shown_and_one_press_makes_it(
    owner: Visitor, connected: Connected
) -> None:
    """The page alone makes nothing; afterwards all is in place."""
    where = f"/connections/{connected.connection.id}/playbook"

    shown = owner.get(where).text
    before = names(connected)
    answer = owner.post(where, follow_redirects=True)
    again = owner.get(where).text

    assert "Salesforce: Lead and call-back task" in shown
    assert "makes Lead, Task" in shown
    assert before == set()
    assert "mappings are in use now" in answer.text
    assert "Salesforce: Support case" in names(connected)
    assert "All that fits is in place" in again
    assert "Set up the usual mappings</button>" not in again


def test_a_viewer_sets_nothing_up(app: Flask, hub: Hub, connected: Connected) -> None:
    """Mappings are changed by those who may."""
    with hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Membership).values(role=Role.VIEWER.value))
    viewer = signed_in(app, hub, connected.company)

    answer = viewer.post(f"/connections/{connected.connection.id}/playbook")

    assert answer.status_code == 403
    assert names(connected) == set()


def test_the_gate_is_set(owner: Visitor, connected: Connected) -> None:
    """A score, with or without pages; empty takes it away."""
    hub, tenant_id = connected.hub, connected.company.tenant_id

    owner.post("/mappings/approval", {"urgency": "80", "pages": "yes"})
    kept = gate.gate(hub, tenant_id)
    shown = owner.get("/mappings/approval").text
    owner.post("/mappings/approval", {"urgency": ""})

    assert kept == Gate(80, pages=True)
    assert 'value="80"' in shown
    assert gate.gate(hub, tenant_id) == Gate()


@pytest.mark.parametrize("typed", ["soon", "101", "-1", "²"])
def test_a_wrong_gate_is_told_in_place(owner: Visitor, connected: Connected, typed: str) -> None:
    """What was typed stays, and nothing is changed."""
    answer = owner.post("/mappings/approval", {"urgency": typed})

    assert answer.status_code == 422
    assert "must be a whole number from 0 to 100" in answer.text
    assert f'value="{typed}"' in answer.text
    assert gate.gate(connected.hub, connected.company.tenant_id) == Gate()


def test_another_companys_account_is_not_found(app: Flask, hub: Hub, connected: Connected) -> None:
    """Neither shown nor set up."""
    stranger = signed_in(app, hub, new_company(hub))
    where = f"/connections/{connected.connection.id}/playbook"

    assert stranger.get(where).status_code == 404
    assert stranger.post(where).status_code == 404
    assert names(connected) == set()
