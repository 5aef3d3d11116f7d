"""Complaints about sending again: not in bulk, too much, too little, or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hub.db.base import now
from hub.db.deliveries import Delivery
from tests.complaints.firm import Firm, holds
from tests.delivery.connected import LEAD

pytestmark = pytest.mark.processes

NOTE = LEAD.replace("id: lead", "id: other").replace("{summary}", "Second: {summary}")


def park(firm: Firm, number: int, *, hours_ago: float) -> None:
    """Have so many voicemails parked since then, as if the vendor had refused them."""
    firm.change(paused_at=now(), paused_by="command")
    firm.post(number)
    at = now() - timedelta(hours=hours_ago)
    firm.change_rows(
        Delivery.state == "waiting", state="parked", reason="It was refused.", updated_at=at
    )


def again(firm: Firm, **chosen: Any) -> int:
    """Count what a replay would send, then send it; gives the count."""
    counted = firm.http.post("/v1/deliveries/replay", json={**chosen, "dry_run": True})
    sent = firm.http.post("/v1/deliveries/replay", json=chosen)
    assert (counted.status_code, sent.status_code) == (200, 202), sent.text
    return int(counted.json()["count"])


def test_complaints_39_40_42_43_and_49_all_that_failed_in_a_period_goes_at_once(firm: Firm) -> None:
    """For a year users asked to retry all that had failed within some hours, not page by page nor one by one.

    Of 130 parked ones the 110 of the period go, more than any page shows, by one request that was counted first.
    """
    firm.ready()
    park(firm, 20, hours_ago=30)
    park(firm, 110, hours_ago=3)
    period = {"since": now() - timedelta(hours=6), "until": now() - timedelta(hours=1)}
    chosen = {name: at.isoformat() for name, at in period.items()}
    firm.resume()

    counted = again(firm, state="parked", **chosen)

    firm.wait_for(delivered=110, parked=20)
    assert counted == 110
    assert len(firm.records()) == 110


def test_complaint_41_only_the_named_mapping_is_sent_again(firm: Firm) -> None:
    """A replay for one function made the others deliver a second time; here the others' rows are not touched."""
    firm.ready()
    named = firm.publish(NOTE, name="Other")
    firm.post(3)
    firm.delivered(6)
    before = {row["id"]: row["updated_at"] for row in firm.deliveries()}

    counted = again(firm, mapping_id=named)
    holds(lambda: firm.outcomes().count("updated") == 3, firm.outcomes)
    firm.delivered(6)

    touched = {r["step"] for r in firm.deliveries() if r["updated_at"] != before[r["id"]]}
    assert counted == 3
    assert touched == {"other"}
    assert len(firm.records()) == 6


@pytest.mark.parametrize("way", ["paused", "disconnected"])
def test_complaint_46_what_came_while_an_account_was_away_is_delivered(
    firm: Firm, way: str
) -> None:
    """Events that came while a destination was off were skipped and gone; here they wait, and are shown as waiting."""
    firm.ready()
    if way == "paused":
        firm.change(paused_at=now(), paused_by="command")
    else:
        firm.disconnect()
    firm.post(3)
    seen = firm.seen()

    assert (seen["state"], seen["deliveries"]["waiting"]) == (way, 3)
    firm.resume() if way == "paused" else firm.connect()
    firm.delivered(3)


def test_complaint_47_and_48_every_request_by_hand_counts(firm: Firm) -> None:
    """A second retry by hand was swallowed as a duplicate, and nobody could say what a retry of a pending one means.

    Each request sends the row once more, onto the same record; one that still waits simply goes on waiting.
    """
    firm.ready()
    firm.post(1)
    firm.delivered(1)
    (row,) = firm.deliveries()
    for number in (1, 2):
        answer = firm.http.post(f"/v1/deliveries/{row['id']}/replay")
        assert answer.status_code == 202
        holds(lambda number=number: firm.outcomes() == ["created", *["updated"] * number])
    firm.change(paused_at=now(), paused_by="command")
    pending = [firm.http.post(f"/v1/deliveries/{row['id']}/replay") for _ in range(2)]
    firm.resume()
    holds(lambda: firm.outcomes() == ["created", *["updated"] * 3], firm.outcomes)

    assert [answer.json()["state"] for answer in pending] == ["waiting", "waiting"]
    assert len(firm.records()) == 1
