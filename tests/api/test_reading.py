"""Reading events, deliveries, connections and the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.deliveries import Attempt, Delivery, State
from hub.db.events import StoredEvent
from hub.db.tenants import Tenant
from tests.api.calling import BATCH, Program, data, event, program
from tests.api.conftest import Mapped
from tests.conftest import new_company


def test_events_are_paged_newest_first_without_gaps(caller: Program) -> None:
    """Every event is seen once, whatever the size of a page, and the last page has no cursor."""
    for _ in range(3):
        caller.post([event() for _ in range(5)], BATCH)
    seen, cursor = [], None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = caller.get("/v1/events", **query).json
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert len({item["id"] for item in seen}) == len(seen) == 15
    times = [item["received_at"] for item in seen]
    assert times == sorted(times, reverse=True)


def test_events_that_come_between_two_pages_shift_nothing(caller: Program) -> None:
    """A cursor names a row, not a position."""
    caller.post([event() for _ in range(4)], BATCH)
    first = caller.get("/v1/events", limit=2).json
    caller.post([event() for _ in range(3)], BATCH)

    second = caller.get("/v1/events", limit=2, cursor=first["next_cursor"]).json

    assert not {item["id"] for item in first["items"]} & {item["id"] for item in second["items"]}
    assert len(second["items"]) == 2


def test_events_are_filtered(caller: Program) -> None:
    """All that is given must hold."""
    spam = caller.take(data=data(bucket="spam"))
    urgent = caller.take(
        data=data(urgency={"score": 85, "level": "critical"}), source="/lines/two", id="mine"
    )

    def ids(**query: str) -> list[str]:
        return [item["id"] for item in caller.get("/v1/events", **query).json["items"]]

    soon = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ids(bucket="spam") == [spam]
    assert ids(urgency_level="critical") == [urgent]
    assert ids(source="/lines/two", event_id="mine") == [urgent]
    assert ids(bucket="spam", urgency_level="critical") == []
    assert ids(since=soon) == []
    assert ids(until=soon) == [urgent, spam]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/deliveries"])
@pytest.mark.parametrize("cursor", ["x", "WyIiLCIiXQ", "bnVsbA", "W10", "%00", "é"])
def test_a_bad_cursor_is_a_400(caller: Program, path: str, cursor: str) -> None:
    """A cursor that is not ours is not guessed at."""
    answer = caller.get(path, cursor=cursor)

    assert answer.status_code == 400
    assert answer.json["type"] == "/v1/problems/bad-cursor"


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "blue"},
        {"limit": "0"},
        {"limit": "many"},
        {"bucket": "gossip"},
        {"since": "5"},
        {"since": "2026-11-20T10:00:00"},
        {"source": "a\x00b"},
    ],
)
def test_a_wrong_parameter_is_named(caller: Program, query: dict[str, str]) -> None:
    """422 with the parameter's name."""
    answer = caller.get("/v1/events", **query)

    assert answer.status_code == 422
    assert [fault["parameter"] for fault in answer.json["errors"]] == list(query)


@pytest.mark.parametrize("path", ["/v1/mappings", "/v1/connections", "/v1/ledger"])
def test_unknown_parameters_are_refused_everywhere(caller: Program, path: str) -> None:
    """Also where there are none."""
    assert caller.get(path, colour="blue").status_code == 422


def test_a_list_holds_nothing_that_a_caller_said(caller: Program) -> None:
    """Lists are read without decrypting anything."""
    caller.take()

    assert "Whitfield" not in caller.get("/v1/events").text


def test_one_event_is_shown_as_it_was_taken(mapped: Mapped) -> None:
    """The envelope and the deliveries."""
    sent = event()
    event_id = mapped.caller.post(sent).json["id"]

    found = mapped.caller.get(f"/v1/events/{event_id}").json

    assert found["event"]["data"]["caller"]["name"]["full"] == "Dana Whitfield"
    assert found["event"]["id"] == sent["id"]
    assert {row["step"] for row in found["deliveries"]} == {"lead", "callback"}
    assert {row["state"] for row in found["deliveries"]} == {"waiting"}


def test_an_expunged_event_has_no_envelope(hub: Hub, caller: Program) -> None:
    """What was removed is null, the rest stays."""
    event_id = caller.take()
    with hub.tenant(caller.tenant_id) as session:
        session.execute(
            update(StoredEvent)
            .where(StoredEvent.id == event_id)
            .values(expunged_at=datetime.now(UTC))
        )

    assert caller.get(f"/v1/events/{event_id}").json["event"] is None


def test_reading_health_data_is_written_down(app, hub: Hub) -> None:
    """For a tenant with health data the audit log says which key read which event."""
    company = new_company(hub)
    with hub.everyone("the test sets a tenant up") as session:
        session.execute(update(Tenant).where(Tenant.id == company.tenant_id).values(is_phi=True))
    reader = program(app, hub, company.tenant_id)
    event_id = reader.take()

    reader.get(f"/v1/events/{event_id}")

    with hub.tenant(company.tenant_id) as session:
        rows = [(row.action, row.actor, row.target) for row in session.query(AuditRow)]
    assert rows == [("event.read", f"key:{reader.key.id}", event_id)]


def test_deliveries_are_filtered_and_paged(mapped: Mapped) -> None:
    """By state, connection, mapping, event and time."""
    one = mapped.caller.take()
    mapped.caller.take(data=data(bucket="spam"))

    def count(**query: str) -> int:
        return len(mapped.caller.get("/v1/deliveries", **query).json["items"])

    assert count() == 3
    assert count(state="waiting") == 2
    assert count(state="dropped") == 1
    assert count(connection_id=mapped.connection_id) == 2
    assert count(mapping_id=mapped.mapping_id, event_id=one) == 2
    assert count(until="2020-01-01T00:00:00Z") == 0
    page = mapped.caller.get("/v1/deliveries", limit=2).json
    rest = mapped.caller.get("/v1/deliveries", limit=2, cursor=page["next_cursor"]).json
    assert len(page["items"] + rest["items"]) == 3
    assert rest["next_cursor"] is None


def test_a_delivery_tells_its_attempts_and_the_vendors_sentence(hub: Hub, mapped: Mapped) -> None:
    """Sealed sentences are opened for the one delivery that is read."""
    tenant_id = mapped.caller.tenant_id
    row_id = mapped.caller.deliveries(mapped.caller.take())[0]["id"]
    sentence = "Email: invalid address"
    with hub.tenant(tenant_id) as session:
        row = session.get(Delivery, row_id)
        row.state, row.reason = State.PARKED.value, "The vendor refused it."
        row.detail = hub.vault.seal_text(tenant_id, sentence, about=f"deliveries.detail:{row_id}")
        session.add(
            Attempt(
                delivery_id=row_id,
                batch="bat_1",
                batch_size=3,
                ms=12.5,
                outcome="rejected",
                mapping_version=1,
                status=400,
                code="INVALID_EMAIL",
                detail=hub.vault.seal_text(tenant_id, sentence, about=f"attempts.detail:{row_id}"),
            )
        )

    found = mapped.caller.get(f"/v1/deliveries/{row_id}").json

    assert (found["state"], found["detail"]) == ("parked", sentence)
    assert [(try_["outcome"], try_["detail"]) for try_ in found["tries"]] == [
        ("rejected", sentence)
    ]
    assert sentence not in mapped.caller.get("/v1/deliveries").text


def test_a_connection_tells_its_state_budget_and_rows(mapped: Mapped) -> None:
    """The reason, what is left of each limit, and rows by state."""
    mapped.caller.take()

    found = mapped.caller.get(f"/v1/connections/{mapped.connection_id}").json

    assert found["connector_label"] == "Salesforce"
    assert (found["state"], found["reason"]) == (
        "needs_reconnect",
        "The account no longer accepts us.",
    )
    assert found["deliveries"]["waiting"] == 2
    assert all(line["remaining"] <= line["granted"] <= line["capacity"] for line in found["budget"])
    assert found["budget"]
    listed = mapped.caller.get("/v1/connections").json["items"]
    assert [item["id"] for item in listed] == [mapped.connection_id]


def test_objects_of_an_account_that_does_not_answer_say_why(mapped: Mapped) -> None:
    """An empty list with the reason is an answer, not a failure."""
    path = f"/v1/connections/{mapped.connection_id}/objects"

    for each in (path, f"{path}/Lead/fields"):
        found = mapped.caller.get(each)
        assert found.status_code == 200, found.text
        assert found.json["items"] == []
        assert found.json["problem"]


def test_the_ledger_adds_up(mapped: Mapped) -> None:
    """Every event and every row is in it."""
    mapped.caller.take()
    mapped.caller.take(data=data(bucket="spam"))

    found = mapped.caller.get("/v1/ledger").json

    assert (found["is_ok"], found["events"], found["problems"]) == (True, 2, [])
    assert (found["deliveries"]["waiting"], found["deliveries"]["dropped"]) == (2, 1)


def test_schemas_and_problem_kinds_are_public(caller: Program) -> None:
    """A program can look up what it is told without a key."""
    listed = caller.client.get("/v1/schemas/").json["items"][0]
    schema = caller.client.get(listed["href"])
    refused = caller.client.get("/v1/events").json

    assert schema.content_type == "application/schema+json"
    assert {"id", "source", "data"} <= set(schema.get_json(force=True)["required"])
    assert caller.client.get(refused["type"]).json["status"] == 401
