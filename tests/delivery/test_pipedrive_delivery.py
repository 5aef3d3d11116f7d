"""Voicemails become persons, leads and calls in Pipedrive, through the hub with its OAuth, budget and look-ups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.delivery import send
from hub.delivery.ledger import ledger
from mappings.presets import presets
from tests.conftest import Company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect, unspent, voicemail

PRESET = next(one for one in presets("pipedrive") if one.name == "lead_and_call")


@pytest.fixture(name="pipedrive_sandbox", scope="module")
def _pipedrive_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running.sandbox("pipedrive", tmp_path_factory.mktemp("pipedrive")) as box:
        yield box


@pytest.fixture(name="company_on_pipedrive")
def _company_on_pipedrive(
    hub: Hub, company: Company, pipedrive_sandbox: Sandbox
) -> Iterator[Connected]:
    """A company connected to the Pipedrive sandbox, which starts without records and faults."""
    pipedrive_sandbox.clear_faults()
    pipedrive_sandbox.post("clear")
    unspent(hub)
    yield connect(hub, company, pipedrive_sandbox)
    pipedrive_sandbox.clear_faults()


def delivered(connected: Connected) -> list[Delivery]:
    """Drain as if every wait were over, for a fuller batch too; give what is not delivered, which should be nothing."""
    until = time.monotonic() + 60
    while (left := _left(connected)) and time.monotonic() < until:
        with connected.hub.tenant(connected.company.tenant_id) as session:
            for row in session.scalars(select(Delivery).where(Delivery.state == "waiting")):
                row.due_at = now() - timedelta(hours=1)
            found = session.get(Connection, connected.connection.id)
            assert found is not None
            found.retry_at = found.wake_at = None
        send.drain(connected.hub, connected.connection.id)
        time.sleep(0.1)
    return left


def _left(connected: Connected) -> list[Delivery]:
    with connected.hub.tenant(connected.company.tenant_id) as session:
        found = list(session.scalars(select(Delivery)))
    return [one for one in found if one.state != "delivered"]


def test_voicemails_become_persons_leads_and_calls(company_on_pipedrive: Connected) -> None:
    """Each has one of each, the call hangs on the lead and the lead on the person."""
    connected, box = company_on_pipedrive, company_on_pipedrive.sandbox
    connected.publish(PRESET.text)
    connected.accept(*(voicemail(n) for n in range(1, 5)))

    assert delivered(connected) == []
    assert box.stats()["records"] == {"Person": 4, "Lead": 4, "Activity": 4}
    leads = {one["id"]: one["fields"] for one in box.records("Lead")}
    persons = {one["id"] for one in box.records("Person")}
    calls = [one["fields"] for one in box.records("Activity")]
    assert {call["lead_id"] for call in calls} == set(leads)
    assert {str(lead["person_id"]) for lead in leads.values()} == persons
    assert ledger(connected.hub, connected.company.tenant_id).problems == ()


def test_lost_answers_make_no_second_record(company_on_pipedrive: Connected) -> None:
    """Every third creation is carried out and not answered; the search knows nothing of the last minutes."""
    connected, box = company_on_pipedrive, company_on_pipedrive.sandbox
    box.http.post(f"{box.url}/_pipedrive/settings", json={"index_lag_s": 300}).raise_for_status()
    connected.publish(PRESET.text)
    box.fault(kind="cut_after", method="POST", path="/api/", rate=0.34)
    connected.accept(*(voicemail(n) for n in range(11, 15)))

    left = delivered(connected)
    box.http.post(f"{box.url}/_pipedrive/settings", json={"index_lag_s": 0}).raise_for_status()

    assert left == []
    assert box.stats()["duplicate_keys"] == []
    assert box.stats()["records"] == {"Person": 4, "Lead": 4, "Activity": 4}


def test_a_second_voicemail_of_a_person_makes_no_second_person(
    company_on_pipedrive: Connected,
) -> None:
    """They are found by their number, and the new lead hangs on them."""
    connected, box = company_on_pipedrive, company_on_pipedrive.sandbox
    connected.publish(PRESET.text)
    connected.accept(voicemail(21))
    assert delivered(connected) == []
    connected.accept(voicemail(21))

    assert delivered(connected) == []
    assert box.stats()["records"] == {"Person": 1, "Lead": 2, "Activity": 2}
