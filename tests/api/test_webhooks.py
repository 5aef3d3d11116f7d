"""Webhooks over the API: shown once, changed, tried, removed; and alerts to read."""

from __future__ import annotations

import time

from flask import Flask

from hub.alerts import outbox
from hub.alerts.outbox import Item
from hub.alerts.send import send_due
from hub.context import Hub
from hub.db.alerts import AlertType
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.keys import Scope
from tests.alerts.receiving import receiver
from tests.api.calling import Program, connection_of, program

URL = "https://ops.harbor.example/beep"


def added(caller: Program, **members: object) -> dict:
    """Add a webhook; gives the answer."""
    answer = caller.send("/v1/webhooks", {"url": URL} | members)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/webhooks/{answer.json['webhook']['id']}"
    return answer.json


def test_a_secret_is_shown_once(caller: Program) -> None:
    """In the answer that makes it, and nowhere afterwards."""
    made = added(caller, note="Duty", types=["connection.needs_reconnect"])
    here = f"/v1/webhooks/{made['webhook']['id']}"

    listed = caller.get("/v1/webhooks")
    read = caller.get(here)

    assert made["secret"].startswith("whsec_")
    assert made["secret"] not in listed.text + read.text
    assert listed.json["items"] == [read.json]
    assert (read.json["note"], read.json["types"], read.json["is_enabled"]) == (
        "Duty",
        ["connection.needs_reconnect"],
        True,
    )


def test_what_is_wrong_is_said_with_its_place(caller: Program) -> None:
    """An address inside, one without TLS, a type that nobody can choose."""
    for members, pointer in (
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "http://ops.harbor.example/"}, "/url"),
        ({"url": "https://user:word@ops.harbor.example/"}, "/url"),
        ({"url": URL, "types": ["test"]}, "/types"),
        ({"url": URL, "types": ["weather"]}, "/types/0"),
    ):
        answer = caller.send("/v1/webhooks", members)
        assert answer.status_code == 422, members
        assert [one["pointer"] for one in answer.json["errors"]] == [pointer]
    assert caller.get("/v1/webhooks").json["items"] == []


def test_there_is_a_most(caller: Program) -> None:
    """Ten, so that one alert is not thousands of calls."""
    for _ in range(10):
        added(caller)

    assert caller.send("/v1/webhooks", {"url": URL}).status_code == 409


def test_a_rotation_gives_a_new_secret(caller: Program) -> None:
    """And says until when the old one signs too."""
    made = added(caller)

    again = caller.send(f"/v1/webhooks/{made['webhook']['id']}/rotate")

    assert again.status_code == 200
    assert again.json["secret"] != made["secret"]
    assert again.json["webhook"]["previous_secret_until"]


def test_a_test_arrives_and_stands_in_the_log(caller: Program, hub: Hub) -> None:
    """The way that alerts go: from the table, by the sender."""
    with receiver() as received:
        made = added(caller, url=received.url)
        here = f"/v1/webhooks/{made['webhook']['id']}"
        begun = caller.send(f"{here}/test")
        assert begun.status_code == 202
        assert begun.json["state"] == "waiting"
        received.answers.append(500)
        send_due(hub, now())
        (line,) = caller.get(f"{here}/sendings").json["items"]

    assert received.calls[0].verified(made["secret"])["type"] == "test"
    assert (line["id"], line["type"], line["state"]) == (begun.json["id"], "test", "waiting")
    assert [one["status"] for one in line["tries"]] == [500]
    assert caller.get(here).json["failing_since"]


def test_it_can_be_turned_off_and_removed(caller: Program) -> None:
    """Off: it is kept, and cannot be tested. Removed: it is gone."""
    here = f"/v1/webhooks/{added(caller)['webhook']['id']}"
    off = caller.send(here, {"url": URL, "is_enabled": False}, "PUT")

    assert (off.status_code, off.json["is_enabled"]) == (200, False)
    assert caller.send(f"{here}/test").status_code == 409
    assert caller.call("DELETE", here).status_code == 200
    assert caller.get(here).status_code == 404


def test_writing_needs_its_scope(app: Flask, hub: Hub, caller: Program) -> None:
    """A key that reads may not add, rotate or remove."""
    reader = program(app, hub, caller.tenant_id, [Scope.WEBHOOKS_READ])
    here = f"/v1/webhooks/{added(caller)['webhook']['id']}"

    assert reader.get(here).status_code == 200
    assert reader.send("/v1/webhooks", {"url": URL}).status_code == 403
    assert reader.send(f"{here}/rotate").status_code == 403
    assert reader.call("DELETE", here).status_code == 403


def test_alerts_are_listed_newest_first(caller: Program, hub: Hub) -> None:
    """By page, by connection and by type."""
    connection_id = connection_of(hub, caller.tenant_id)
    with hub.tenant(caller.tenant_id) as session:
        row = session.get(Connection, connection_id)
        kinds = (AlertType.PAUSED, AlertType.RESUMED, AlertType.DEGRADED)
        for kind in kinds:
            outbox.write(hub, session, [Item(caller.tenant_id, kind, now(), {}, row)], now())
            time.sleep(0.002)  # ids of one millisecond have no order

    first = caller.get("/v1/alerts", limit=2).json
    second = caller.get("/v1/alerts", limit=2, cursor=first["next_cursor"]).json

    found = [one["type"] for one in (*first["items"], *second["items"])]
    assert found == ["connection.degraded", "connection.resumed", "connection.paused"]
    assert second["next_cursor"] is None
    assert len(caller.get("/v1/alerts", type="connection.paused").json["items"]) == 1
    assert len(caller.get("/v1/alerts", connection_id=connection_id).json["items"]) == 3
    assert caller.get("/v1/alerts", connection_id="con_none").json["items"] == []


def test_a_connection_says_when_it_is_tried_again(caller: Program, hub: Hub) -> None:
    """While it is degraded; otherwise there is nothing to wait for."""
    connection_id = connection_of(hub, caller.tenant_id)
    at = now()
    with hub.tenant(caller.tenant_id) as session:
        row = session.get(Connection, connection_id)
        row.health, row.retry_at = Health.DEGRADED.value, at
    degraded = caller.get(f"/v1/connections/{connection_id}").json
    with hub.tenant(caller.tenant_id) as session:
        session.get(Connection, connection_id).health = Health.HEALTHY.value

    assert degraded["retry_at"].startswith(at.strftime("%Y-%m-%dT%H:%M"))
    assert caller.get(f"/v1/connections/{connection_id}").json["retry_at"] is None
