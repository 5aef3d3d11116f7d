"""Replays at the JSON edge: begun, watched, cancelled, and counted before."""

from __future__ import annotations

import pytest
from flask import Flask

from hub.context import Hub
from hub.db.base import new_id
from hub.db.deliveries import Delivery, State
from tests.api.calling import Program, program
from tests.api.conftest import Mapped
from tests.api.test_deciding import parked
from tests.conftest import new_company

PARKED = {"state": "parked"}


def test_a_replay_is_counted_begun_watched_and_cancelled(hub: Hub, mapped: Mapped) -> None:
    """The dry run changes nothing; afterwards every row is what it was."""
    ids = parked(hub, mapped, 3)
    caller = mapped.caller

    counted = caller.send("/v1/replays", PARKED | {"dry_run": True})
    begun = caller.send("/v1/replays", PARKED)
    read = caller.get(begun.headers["Location"])
    rows = caller.get("/v1/deliveries", replay_id=begun.json["id"])
    cancelled = caller.send(f"{begun.headers['Location']}/cancel")
    again = caller.send(f"{begun.headers['Location']}/cancel")

    assert (counted.status_code, counted.json["rows"], counted.json["by_state"]) == (
        200,
        3,
        {"parked": 3},
    )
    (share,) = counted.json["connections"]
    assert (share["rows"], share["units"], share["at_least_s"]) == (3, {"requests": 1}, None)
    assert share["problem"] == "The account no longer accepts us."
    assert (begun.status_code, begun.json["counted"], begun.json["marked"]) == (202, 3, 3)
    assert begun.json["actor"] == f"key:{caller.key.id}"
    assert begun.json["selection"]["state"] == "parked"
    assert (read.json["state"], read.json["deliveries"], read.json["open"]) == (
        "running",
        {"waiting": 3},
        3,
    )
    assert {item["id"] for item in rows.json["items"]} == set(ids)
    assert (cancelled.status_code, cancelled.json["state"], cancelled.json["put_back"]) == (
        200,
        "cancelled",
        3,
    )
    assert again.status_code == 409
    still = caller.get("/v1/deliveries", state="parked").json["items"]
    assert {item["reason"] for item in still} == {"The vendor refused it."}


def test_replays_are_listed_by_pages(hub: Hub, mapped: Mapped) -> None:
    """Newest first, each once."""
    parked(hub, mapped)
    made = [mapped.caller.send("/v1/replays", PARKED).json["id"] for _ in range(3)]

    first = mapped.caller.get("/v1/replays", limit=2).json
    second = mapped.caller.get("/v1/replays", limit=2, cursor=first["next_cursor"]).json

    assert [one["id"] for one in (*first["items"], *second["items"])] == made[::-1]
    assert second["next_cursor"] is None


def test_a_replay_of_nothing_is_done(mapped: Mapped) -> None:
    """It is no error that nothing is parked."""
    answer = mapped.caller.send("/v1/replays", PARKED)

    assert (answer.status_code, answer.json["state"], answer.json["counted"]) == (202, "done", 0)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"version": 1}, None),
        (PARKED | {"version": 1}, "/version"),
        (PARKED | {"version": "latest"}, "/version"),
        (PARKED | {"version": True}, "/version"),
        (PARKED | {"version": 0}, "/version"),
        (PARKED | {"colour": "blue"}, "/colour"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_cannot_be_sent_again_is_said(mapped: Mapped, body, pointer, dry_run) -> None:
    """Everything, a version without a mapping, and what is not known."""
    answer = mapped.caller.send("/v1/replays", body | {"dry_run": dry_run})

    assert answer.status_code == 422
    found = [one["pointer"] for one in answer.json.get("errors") or ()]
    assert (pointer in found) if pointer else not found


def test_a_version_is_chosen_by_its_number(hub: Hub, mapped: Mapped) -> None:
    """It must be one of the mapping."""
    parked(hub, mapped)
    body = {"mapping_id": mapped.mapping_id}

    wrong = mapped.caller.send("/v1/replays", body | {"version": 9})
    right = mapped.caller.send("/v1/replays", body | {"version": 1})

    assert wrong.status_code == 422
    assert wrong.json["errors"] == [
        {"pointer": "/version", "detail": "The mapping has no version 9."}
    ]
    assert (right.status_code, right.json["version"]) == (202, 1)


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("member", ["event_id", "connection_id", "mapping_id"])
def test_another_companys_things_are_not_sent_again(
    app: Flask, hub: Hub, mapped: Mapped, member: str, dry_run
) -> None:
    """404, as for what does not exist, and nothing of them is touched."""
    [row_id] = parked(hub, mapped)
    stranger: Program = program(app, hub, new_company(hub).tenant_id)
    row = mapped.caller.get(f"/v1/deliveries/{row_id}").json

    foreign = stranger.send("/v1/replays", {member: row[member], "dry_run": dry_run})
    nothing = stranger.send("/v1/replays", {member: new_id("non"), "dry_run": dry_run})

    assert foreign.status_code == 404
    assert foreign.json | {"request_id": ""} == nothing.json | {"request_id": ""}
    with hub.tenant(mapped.caller.tenant_id) as session:
        assert session.get(Delivery, row_id).state == State.PARKED


def test_the_older_way_makes_a_replay_too(hub: Hub, mapped: Mapped) -> None:
    """Its answer leads to it."""
    parked(hub, mapped)

    answer = mapped.caller.send("/v1/deliveries/replay", PARKED)

    assert mapped.caller.get(answer.headers["Location"]).json["marked"] == 1
