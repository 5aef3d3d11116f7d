"""The usual mappings and the approval gate over the API."""

from __future__ import annotations

from sqlalchemy import update

from hub.db.connections import Connection, Health
from hub.db.keys import Scope
from tests.api.calling import Program, connection_of, program


def test_a_dry_run_says_what_would_be_made(hub, caller: Program) -> None:
    """Names, buckets, objects and what they do; nothing is saved. An account that is silent is a warning."""
    connection_id = connection_of(hub, caller.tenant_id)

    answer = caller.send(f"/v1/connections/{connection_id}/playbook", {"dry_run": True})

    assert answer.status_code == 200, answer.text
    lead = next(one for one in answer.json["items"] if one["preset"] == "lead_and_task")
    assert lead["buckets"] == ["new_lead"]
    assert lead["objects"] == ["Lead", "Task"]
    assert lead["does"] == ["A new caller"]
    assert lead["state"] == "new"
    assert {one["severity"] for one in lead["problems"]} == {"warning"}
    assert answer.json["gaps"] == []
    assert caller.get("/v1/mappings").json["items"] == []


def test_they_are_made_once(hub, caller: Program) -> None:
    """A second time all are there; their ids lead to the mappings."""
    path = f"/v1/connections/{connection_of(hub, caller.tenant_id)}/playbook"

    first, second = caller.send(path, {}).json, caller.send(path, {}).json

    assert {one["state"] for one in first["items"]} == {"new"}
    assert {one["state"] for one in second["items"]} == {"there"}
    kept = {one["id"] for one in caller.get("/v1/mappings").json["items"]}
    assert {one["mapping_id"] for one in second["items"]} == kept


def test_an_account_alone_that_keeps_no_records_leaves_gaps(hub, caller: Program) -> None:
    """They are named, so that nobody believes that all is well."""
    connection_id = connection_of(hub, caller.tenant_id)
    with hub.tenant(caller.tenant_id) as session:
        session.execute(
            update(Connection).values(connector="twilio_sms", health=Health.HEALTHY.value)
        )

    answer = caller.send(f"/v1/connections/{connection_id}/playbook", {"dry_run": True})

    assert "new_lead" in answer.json["gaps"]
    assert "spam" not in answer.json["gaps"]


def test_the_gate_is_set_and_read(caller: Program) -> None:
    """What was put is what is read; nothing is held before."""
    before = caller.get("/v1/approval")
    put = caller.send("/v1/approval", {"urgency_at_least": 80}, "PUT")

    assert before.json == {"urgency_at_least": None, "approve_pages": False}
    assert put.json == caller.get("/v1/approval").json
    assert put.json == {"urgency_at_least": 80, "approve_pages": False}


def test_a_wrong_gate_is_refused(caller: Program) -> None:
    """A score above 100 is named with its place."""
    answer = caller.send("/v1/approval", {"urgency_at_least": 101}, "PUT")

    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/urgency_at_least"


def test_a_key_that_only_reads_sets_nothing_up(app, hub, caller: Program) -> None:
    """Mappings are made, and the gate is set, with mappings:write."""
    reader = program(app, hub, caller.tenant_id, (Scope.MAPPINGS_READ,))
    path = f"/v1/connections/{connection_of(hub, caller.tenant_id)}/playbook"

    assert reader.send(path, {"dry_run": True}).status_code == 403
    assert reader.send("/v1/approval", {}, "PUT").status_code == 403
    assert reader.get("/v1/approval").status_code == 200
