"""Complaints about silence: nobody alerted, nothing to show to customers, and what is shown untrue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.registry import CONNECTORS
from hub.db.base import now
from hub.db.tenants import Tenant
from tests.alerts.receiving import Receiver, receiver
from tests.complaints.firm import Firm, holds
from tests.delivery.connected import LEAD, MATCHED_LEAD

pytestmark = pytest.mark.processes

WRITES = "/composite/sobjects"


def told(firm: Firm, inbox: Receiver) -> Callable[[], list[dict]]:
    """Have the company told at an address; gives what reads the verified payloads of its connection, oldest first."""
    answer = firm.http.post("/v1/webhooks", json={"url": inbox.url})
    assert answer.status_code == 201, answer.text
    secret = answer.json()["secret"]
    return lambda: [call.verified(secret) for call in list(inbox.calls)]


def prefer(firm: Firm, **alerts: object) -> None:
    """Set what the company wants of alerts."""
    with firm.one.hub.tenant(firm.home.tenant_id) as session:
        session.get(Tenant, firm.home.tenant_id).settings = {"alerts": alerts}


def test_complaints_8_51_and_52_trouble_and_its_end_are_told(firm: Firm) -> None:
    """Destinations were degraded or disabled silently, an alert did not say which, and its end was told to nobody.

    Both arrive by webhook: which connection, since when, how long it lasted, and where to look.
    """
    firm.ready()
    prefer(firm, steady_s=0)
    with receiver() as inbox:
        read = told(firm, inbox)
        firm.sandbox.fault(kind="status", status=503, path=WRITES)
        firm.post(1)
        holds(lambda: [each["type"] for each in read()] == ["connection.degraded"])
        firm.hurry()
        firm.delivered(1)
        holds(lambda: len(read()) == 2)
        first, second = (each["data"] for each in read())

    assert [each["type"] for each in read()][1] == "connection.recovered"
    for alert in (first, second):
        assert alert["connection"]["id"] == firm.connection_id
        assert alert["connection"]["label"] == firm.seen()["label"]
        assert alert["reason"]
        assert alert["url"].endswith(firm.connection_id)
    assert second["facts"]["problem"] == "degraded"
    assert "Dana" not in str((first, second))


def test_complaints_25_26_and_27_a_queue_that_stands_still_is_told(firm: Firm) -> None:
    """Work was queued for hours or days, and nobody was alerted; the end of it is told as well."""
    firm.ready()
    with receiver() as inbox:
        read = told(firm, inbox)
        firm.sandbox.fault(kind="status", status=503, path=WRITES, rate=1.0)
        firm.post(2)
        holds(lambda: firm.seen()["state"] == "degraded")
        firm.change_rows(first_failed_at=now() - timedelta(minutes=6))
        holds(lambda: "queue.old" in [each["type"] for each in read()], read)
        (alert,) = [each["data"] for each in read() if each["type"] == "queue.old"]

    assert alert["facts"]["waiting"] == 2
    assert alert["facts"]["age_s"] >= 300
    assert alert["connection"]["id"] == firm.connection_id


def test_complaints_53_and_55_what_is_shown_is_what_is_done(firm: Firm) -> None:
    """The API said enabled while the worker had disabled it; customers had no status to look at at all.

    State, reason, next try and rows by state are read from what the workers go by, also with an empty Redis.
    """
    firm.ready()
    firm.sandbox.fault(kind="status", status=503, path=WRITES, rate=1.0)
    firm.post(2)
    holds(lambda: firm.seen()["state"] == "degraded")
    firm.one.hub.redis.flushall()
    down = firm.seen()
    firm.change(retry_at=now() + timedelta(hours=1))
    firm.sandbox.clear_faults()
    calls = firm.calls()
    firm.post(1)
    assert firm.seen()["deliveries"]["waiting"] == 3
    assert firm.calls() == calls
    firm.change(paused_at=now(), paused_by="command")
    paused = firm.seen()
    firm.resume()
    firm.delivered(3)
    up = firm.seen()

    assert (down["state"], paused["state"], up["state"]) == ("degraded", "paused", "healthy")
    assert down["reason"]
    assert down["retry_at"]
    assert (up["reason"], up["retry_at"], up["deliveries"]["delivered"]) == (None, None, 3)


def test_complaint_56_a_persons_own_record_gets_the_values(firm: Firm) -> None:
    """Only events could be mapped, not the contact's own properties.

    A second call changes the fields of the record that the first one made, and makes no other.
    """
    firm.ready(MATCHED_LEAD + "      Title: {from: caller.company}\n")
    caller = {"name": {"full": "Dana W", "family": "W"}, "phone": "+14155550101"}
    firm.post(1, caller=caller)
    firm.delivered(1)
    firm.post(1, caller={**caller, "company": "Whitfield Interiors"})
    firm.delivered(2)

    (lead,) = firm.records()
    assert lead["fields"]["Title"] == "Whitfield Interiors"


def test_complaint_61_what_failed_can_be_fetched_as_it_came(firm: Firm) -> None:
    """Users wanted the raw events of what had failed; here each parked row leads to its event, word for word."""
    firm.ready(LEAD.replace("{from: caller.company", "{from: call.id, max: 5"))
    firm.sandbox.fault(kind="row", code="FIELD_CUSTOM_VALIDATION_EXCEPTION", path=WRITES)
    sent = firm.event(1)
    assert firm.send(sent).status_code == 202
    firm.wait_for(parked=1)

    (row,) = firm.deliveries(state="parked")
    kept = firm.get(f"/v1/events/{row['event_id']}")["event"]

    assert {name: kept[name] for name in ("id", "source", "type")} == {
        name: sent[name] for name in ("id", "source", "type")
    }
    assert kept["data"]["caller"]["name"]["full"] == sent["data"]["caller"]["name"]["full"]
    assert kept["data"]["summary"] == sent["data"]["summary"]
    assert firm.get(f"/v1/deliveries/{row['id']}")["detail"]


def test_complaints_58_to_60_what_there_is_is_said(root: Path) -> None:
    """The edition that one could run oneself lacked what the product was chosen for, and no page said so.

    There is one edition. The README names every vendor that it comes with, and each leads to its own page.
    """
    text = (root / "README.md").read_text(encoding="utf-8")

    for name, (label, *_) in CONNECTORS.items():
        assert label in text
        assert f"connectors/{name}/README.md" in text
