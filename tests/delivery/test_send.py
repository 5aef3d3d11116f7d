"""From an accepted event to a record at the vendor."""

from __future__ import annotations

import time

from sqlalchemy import select

from hub.context import Hub
from hub.db.deliveries import Delivery, State
from hub.delivery import send
from hub.delivery.ledger import ledger
from tests.delivery.connected import LEAD, LEAD_AND_TASK, Connected, voicemail


def drain_all(connected: Connected, *, seconds: float = 10) -> None:
    """Drain until nothing waits that is due."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        send.drain(connected.hub, connected.connection.id)
        left = ledger(connected.hub, connected.company.tenant_id).deliveries
        if not left["waiting"] and not left["sending"]:
            return
        time.sleep(0.05)


def rows(connected: Connected) -> list[Delivery]:
    """Give the company's deliveries, oldest first."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def test_a_lead_arrives(hub: Hub, connected: Connected) -> None:
    """A voicemail of a new lead becomes a record in the account, and the row says where."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))

    drain_all(connected)

    (row,) = rows(connected)
    (record,) = connected.sandbox.records("Lead")
    assert row.state == State.DELIVERED
    assert row.record_id == record["id"]
    assert row.record_url
    assert ledger(hub, connected.company.tenant_id).problems == ()


def test_a_task_hangs_on_its_lead(connected: Connected) -> None:
    """A step that needs another's record waits for it, and gets its id."""
    connected.publish(LEAD_AND_TASK)
    connected.accept(voicemail(1), voicemail(2))

    drain_all(connected)

    tasks = connected.sandbox.records("Task")
    leads = {lead["id"] for lead in connected.sandbox.records("Lead")}
    assert len(tasks) == 2
    assert {task["fields"]["WhoId"] for task in tasks} == leads
