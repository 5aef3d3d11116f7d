"""Sending again, and what a person or program decides."""

from __future__ import annotations

import json

import pytest

from hub.context import Hub
from hub.db.deliveries import Delivery, State
from tests.api.calling import data
from tests.api.conftest import Mapped


def parked(hub: Hub, mapped: Mapped, count: int = 1) -> list[str]:
    """Park the first row of some events; gives their ids."""
    ids = [mapped.caller.deliveries(mapped.caller.take())[0]["id"] for _ in range(count)]
    with hub.tenant(mapped.caller.tenant_id) as session:
        for row_id in ids:
            row = session.get(Delivery, row_id)
            row.state, row.reason = State.PARKED.value, "The vendor refused it."
    return ids


def held(mapped: Mapped) -> str:
    """Post an urgent event, whose rows wait for approval; gives one row's id."""
    urgent = data(urgency={"score": 90, "level": "critical"})
    return mapped.caller.deliveries(mapped.caller.take(data=urgent))[0]["id"]


def test_a_parked_delivery_is_sent_again(hub: Hub, mapped: Mapped) -> None:
    """It waits again, without its reason, under the same key."""
    [row_id] = parked(hub, mapped)
    before = mapped.caller.get(f"/v1/deliveries/{row_id}").json

    answer = mapped.caller.send(f"/v1/deliveries/{row_id}/replay", {"version": "kept"})

    assert answer.status_code == 202
    assert (answer.json["state"], answer.json["reason"]) == ("waiting", None)
    assert answer.json["key"] == before["key"]


def test_a_replay_needs_no_body(hub: Hub, mapped: Mapped) -> None:
    """Nothing given means the version that it was planned by."""
    [row_id] = parked(hub, mapped)

    assert mapped.caller.send(f"/v1/deliveries/{row_id}/replay").status_code == 202


def test_a_selection_is_counted_before_it_is_sent(hub: Hub, mapped: Mapped) -> None:
    """A dry run changes nothing, and its number is the replay's."""
    ids = parked(hub, mapped, 3)
    chosen = {"state": "parked", "connection_id": mapped.connection_id}

    counted = mapped.caller.send("/v1/deliveries/replay", chosen | {"dry_run": True})
    still = mapped.caller.get("/v1/deliveries", state="parked").json["items"]
    sent = mapped.caller.send("/v1/deliveries/replay", chosen)

    assert (counted.status_code, counted.json) == (200, {"count": 3, "dry_run": True})
    assert {item["id"] for item in still} == set(ids)
    assert (sent.status_code, sent.json) == (202, {"count": 3, "dry_run": False})
    assert mapped.caller.get("/v1/deliveries", state="parked").json["items"] == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_selection_of_everything_is_refused(mapped: Mapped, dry_run) -> None:
    """Nobody sends everything again by mistake."""
    answer = mapped.caller.send("/v1/deliveries/replay", {"dry_run": dry_run})

    assert answer.status_code == 422


def test_a_held_delivery_is_approved_once(mapped: Mapped) -> None:
    """It goes on; a second approval is told that it is no longer held."""
    row_id = held(mapped)

    first = mapped.caller.send(f"/v1/deliveries/{row_id}/approve")
    again = mapped.caller.send(f"/v1/deliveries/{row_id}/approve")

    assert (first.status_code, first.json["state"]) == (200, "waiting")
    assert first.json["decided_by"] == f"key:{mapped.caller.key.id}"
    assert again.status_code == 409
    assert "waiting" in again.json["detail"]


def test_a_held_delivery_is_rejected(mapped: Mapped) -> None:
    """It is never sent; held rows are not replayed behind a person's back."""
    row_id = held(mapped)

    refused = mapped.caller.send(f"/v1/deliveries/{row_id}/replay")
    answer = mapped.caller.send(f"/v1/deliveries/{row_id}/reject")

    assert refused.status_code == 409
    assert (answer.status_code, answer.json["state"]) == (200, "rejected")


def ambiguous(hub: Hub, mapped: Mapped) -> str:
    """Park a row with two candidates."""
    [row_id] = parked(hub, mapped)
    tenant_id = mapped.caller.tenant_id
    candidates = [
        {"id": f"00Q{number}", "url": None, "label": f"Dana {number}", "values": {"City": "Hull"}}
        for number in (1, 2)
    ]
    with hub.tenant(tenant_id) as session:
        session.get(Delivery, row_id).candidates = hub.vault.seal_text(
            tenant_id, json.dumps(candidates), about=f"deliveries.candidates:{row_id}"
        )
    return row_id


@pytest.mark.parametrize("record_id", ["00Q2", None])
def test_a_record_is_chosen_among_the_candidates(hub: Hub, mapped: Mapped, record_id) -> None:
    """One of them, or none: the row goes on."""
    row_id = ambiguous(hub, mapped)
    shown = mapped.caller.get(f"/v1/deliveries/{row_id}").json["candidates"]

    answer = mapped.caller.send(f"/v1/deliveries/{row_id}/choose", {"record_id": record_id})

    assert [one["label"] for one in shown] == ["Dana 1", "Dana 2"]
    assert (answer.status_code, answer.json["state"]) == (200, "waiting")
    assert answer.json["candidates"] is None


def test_a_record_that_is_no_candidate_is_refused(hub: Hub, mapped: Mapped) -> None:
    """409, and the row still waits for a choice."""
    row_id = ambiguous(hub, mapped)

    answer = mapped.caller.send(f"/v1/deliveries/{row_id}/choose", {"record_id": "00Q9"})

    assert answer.status_code == 409
    assert mapped.caller.get(f"/v1/deliveries/{row_id}").json["state"] == "parked"


def test_bodies_are_checked(mapped: Mapped) -> None:
    """Malformed, of another type, or with members that nobody knows."""
    path = "/v1/deliveries/replay"

    malformed = mapped.caller.call("POST", path, data=b"{", content_type="application/json")
    other = mapped.caller.call("POST", path, data=b"a=b", content_type="text/plain")
    unknown = mapped.caller.send(path, {"colour": "blue", "state": "parked"})

    assert (malformed.status_code, other.status_code) == (400, 415)
    assert "line 1 column 1" in malformed.json["detail"]
    assert unknown.status_code == 422
    assert unknown.json["errors"] == [{"pointer": "/colour", "detail": "is not known here"}]
