"""Sync status: what stands where, told live, and only to those whose it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from connectors.registry import CONNECTORS, connector
from hub.context import Hub
from hub.db.base import new_id, now
from hub.db.deliveries import Attempt, Delivery, State
from hub.delivery.sync_status import sync_status
from hub.web import sync
from hub.web.display import limit
from tests.conftest import new_company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.web.visitor import Visitor, signed_in


@pytest.fixture(autouse=True)
def _places(app: Flask, hub: Hub) -> None:
    """Give back the places of streams that other tests never read to their end."""
    app.extensions["afterbeep.streams"] = sync.init_streams(hub.settings.hub_threads)


def _row(connected: Connected, event_id: str, state: State, **columns: object) -> str:
    row = Delivery(
        id=new_id("dlv"),
        tenant_id=connected.company.tenant_id,
        event_id=event_id,
        connection_id=connected.connection.id,
        step=new_id("step"),
        object="Lead",
        key=new_id("key"),
        state=state.value,
        **columns,
    )
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.add(row)
    return row.id


def test_without_accounts_the_page_says_what_comes(visitor: Visitor) -> None:
    """Nothing to keep up with yet."""
    assert "No account is connected" in visitor.page("/sync").text


def test_each_object_tells_what_waits_and_what_went_wrong(app: Flask, connected: Connected) -> None:
    """Rows by state now, and the last hour's attempts by what came of them."""
    hub, tenant_id = connected.hub, connected.company.tenant_id
    connected.publish(LEAD)
    (accepted,) = connected.accept(voicemail())
    due = now() - timedelta(minutes=7)
    _row(connected, accepted.id, State.PARKED, reason="no")
    waiting = _row(connected, accepted.id, State.WAITING, due_at=due, is_urgent=True)
    with hub.tenant(tenant_id) as session:
        attempts = (("created", 3), ("updated", 1), ("throttled", 2), ("taken", 4), ("not yet", 1))
        for outcome, number in attempts:
            for _ in range(number):
                session.add(
                    Attempt(
                        delivery_id=waiting,
                        batch=outcome,
                        batch_size=number,
                        ms=80,
                        outcome=outcome,
                    )
                )
        session.add(
            Attempt(
                delivery_id=waiting,
                batch="old",
                batch_size=1,
                ms=1,
                outcome="rejected",
                at=now() - timedelta(hours=2),
            )
        )

    (status,) = sync_status(hub, tenant_id, [connected.connection])
    (lead,) = status.objects

    assert (lead.waiting, lead.parked, lead.urgent) == (2, 1, 1)
    assert abs((lead.oldest_at - due).total_seconds()) < 0.01
    assert (lead.delivered, lead.batch_size, lead.per_minute) == (4, 2.5, 4 / 60)
    assert lead.errors == {"throttled": 2}
    assert "Limit reached 2" in signed_in(app, hub, connected.company).page("/sync").text


def test_limits_are_told_in_words() -> None:
    """What each vendor counts has a name that people know."""
    names = {limit(one.name) for vendor in CONNECTORS for one in connector(vendor).limits}

    assert {"Requests", "Searches", "Sending time, in ms"} <= names
    assert not {one for one in names if "minute" in one.casefold() or "_" in one}


def test_rows_of_an_account_are_found_by_object_and_state(app: Flask, connected: Connected) -> None:
    """One click from a number to what it counts."""
    visitor = signed_in(app, connected.hub, connected.company)
    connected.publish(LEAD)
    (accepted,) = connected.accept(voicemail())
    _row(connected, accepted.id, State.PARKED, reason="The vendor refused this record")
    where = f"/sync/{connected.connection.id}"

    assert (
        "The vendor refused this record" in visitor.page(f"{where}?state=parked&object=Lead").text
    )
    assert "No row is in this state" in visitor.page(f"{where}?state=parked&object=Task").text
    assert "No row is in this state" in visitor.page(f"{where}?state=delivered").text


def test_rows_are_of_all_objects_unless_one_is_asked_for(app: Flask, connected: Connected) -> None:
    """The filter begins with all, and names the object that was chosen."""
    visitor = signed_in(app, connected.hub, connected.company)
    where = f"/sync/{connected.connection.id}"

    assert ", only" not in visitor.page(where).text
    assert ", only Lead" in visitor.page(f"{where}?object=Lead").text


def test_pausing_leads_back_to_where_the_button_was(app: Flask, connected: Connected) -> None:
    """An operator who watches the queues stays with them."""
    visitor = signed_in(app, connected.hub, connected.company)
    page = visitor.page("/sync")
    form = next(one for one in page.forms if one["action"].endswith("/pause"))

    answer = visitor.client.post(form["action"], data=form["fields"])

    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sync"
    assert "Paused" in visitor.page("/sync").text


def test_the_stream_tells_of_a_change(app: Flask, connected: Connected, monkeypatch) -> None:
    """First where everything stands, then that it is another now; never what."""
    monkeypatch.setattr(sync, "_LOOK_S", 0.05)
    visitor = signed_in(app, connected.hub, connected.company)
    connected.publish(LEAD)
    answer = visitor.client.get("/sync/live")
    parts = answer.iter_encoded()

    first = [next(parts), next(parts)]
    connected.accept(voicemail())
    told = next(part for part in parts if b"changed" in part)
    answer.close()

    assert first[1].startswith(b"event: ready\ndata: ")
    assert told.split(b"data: ")[1] != first[1].split(b"data: ")[1]
    assert answer.mimetype == "text/event-stream"


def test_live_pages_leave_threads_for_others(app: Flask, connected: Connected) -> None:
    """Who finds no place is told to go without, and a place that is given back is free again."""
    visitor = signed_in(app, connected.hub, connected.company)
    most = max(1, connected.hub.settings.hub_threads // 4)
    opened = [visitor.client.get("/sync/live") for _ in range(most)]

    refused = visitor.client.get("/sync/live")
    for one in opened:
        one.close()
    again = visitor.client.get("/sync/live")
    again.close()

    assert [one.status_code for one in opened] == [200] * most
    assert (refused.status_code, again.status_code) == (204, 200)


def test_nobody_sees_another_company_s_queues(app: Flask, hub: Hub, connected: Connected) -> None:
    """Neither accounts nor rows."""
    connected.publish(LEAD)
    connected.accept(voicemail())
    stranger = signed_in(app, hub, new_company(hub))

    assert connected.connection.label not in stranger.page("/sync").text
    assert stranger.get(f"/sync/{connected.connection.id}").status_code == 404
