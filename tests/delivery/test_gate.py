"""The approval gate: what is urgent waits for a person, and what wakes somebody does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.deliveries import Delivery
from hub.db.tenants import Tenant
from hub.delivery import gate, held
from hub.delivery.gate import Gate
from tests.conftest import Company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import LEAD, Connected, connect, voicemail

PAGE = """
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: urgency.score, at_least: 50}
steps:
  - id: page
    object: incident
    set:
      title: {text: "{summary}"}
  - id: recording
    object: note
    set:
      incident: {id_of: page}
      content: {text: "{summary}"}
"""


@pytest.fixture(scope="module")
def pagerduty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A PagerDuty in miniature, as a process of its own."""
    with running.sandbox("pagerduty", tmp_path_factory.mktemp("pagerduty")) as box:
        yield box


def states(hub: Hub, company: Company) -> dict[str, str]:
    """Give the state of each step's row."""
    with hub.tenant(company.tenant_id) as session:
        return dict(session.execute(select(Delivery.step, Delivery.state)).tuples().all())


def urgent(score: int) -> dict[str, dict[str, object]]:
    """Give the urgency of an event."""
    return {"urgency": {"score": score, "level": "critical" if score >= 80 else "normal"}}


def test_what_is_urgent_waits_for_a_person(hub: Hub, connected: Connected) -> None:
    """From the threshold on every mapping is held, and goes on when somebody approves; below it nothing is."""
    connected.publish(LEAD)
    company = connected.company
    gate.set_gate(hub, company.tenant_id, Gate(80), actor="person:robin")

    connected.accept(voicemail(1, **urgent(79)))
    assert states(hub, company) == {"lead": "waiting"}
    connected.accept(voicemail(2, **urgent(80)))
    with hub.tenant(company.tenant_id) as session:
        [row] = session.scalars(select(Delivery).where(Delivery.state == "held"))

    assert held.approve(hub, company.tenant_id, [row.id], actor="person:robin") == 1
    assert set(states(hub, company).values()) == {"waiting"}


def test_a_page_is_let_through_unless_the_tenant_says_so(
    hub: Hub, connected: Connected, pagerduty: Sandbox
) -> None:
    """With its note; a lead of the same voicemail is held."""
    pager = connect(hub, connected.company, pagerduty)
    connected.publish(LEAD)
    pager.publish(PAGE, "Page")
    gate.set_gate(hub, connected.company.tenant_id, Gate(80), actor="person:robin")

    connected.accept(voicemail(**urgent(95)))
    first = states(hub, connected.company)
    gate.set_gate(hub, connected.company.tenant_id, Gate(80, pages=True), actor="person:robin")
    connected.accept(voicemail(2, **urgent(95)))
    with hub.tenant(connected.company.tenant_id) as session:
        second = session.scalars(
            select(Delivery.state).where(Delivery.object == "incident").order_by(Delivery.id)
        ).all()

    assert first == {"lead": "held", "page": "waiting", "recording": "waiting"}
    assert second == ["waiting", "held"]


def test_without_a_threshold_nothing_is_held(hub: Hub, connected: Connected) -> None:
    """As before anybody set one, and again after it was taken away."""
    connected.publish(LEAD)
    tenant_id = connected.company.tenant_id
    assert gate.gate(hub, tenant_id) == Gate()
    gate.set_gate(hub, tenant_id, Gate(0), actor="person:robin")
    gate.set_gate(hub, tenant_id, Gate(), actor="person:robin")

    connected.accept(voicemail(**urgent(100)))

    assert states(hub, connected.company) == {"lead": "waiting"}


def test_a_change_is_audited_and_makes_plans_anew(hub: Hub, company: Company) -> None:
    """Every process that plans learns of it; who changed it stands in the audit log."""
    gate.set_gate(hub, company.tenant_id, Gate(70), actor="person:robin")

    with hub.tenant(company.tenant_id) as session:
        row = session.scalars(select(AuditRow)).one()
        revision = session.scalars(
            select(Tenant.plan_revision).where(Tenant.id == company.tenant_id)
        ).one()
    assert (row.actor, row.action) == ("person:robin", "tenant.approval_set")
    assert revision == 1


@pytest.mark.parametrize("least", [-1, 101])
def test_a_threshold_out_of_range_is_refused(hub: Hub, company: Company, least: int) -> None:
    """A score goes from 0 to 100."""
    with pytest.raises(gate.WrongGate, match="from 0 to 100"):
        gate.set_gate(hub, company.tenant_id, Gate(least), actor="person:robin")


@pytest.mark.parametrize("kept", [{}, {"approval": 80}, {"approval": {"urgency_at_least": "80"}}])
def test_what_cannot_be_read_is_not_set(kept: dict[str, object]) -> None:
    """Settings of another release hold nothing back."""
    assert Gate.of(kept) == Gate()
