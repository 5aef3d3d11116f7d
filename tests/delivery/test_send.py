"""From an accepted event to a record at the vendor, and what happens when the vendor fails."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from connectors.record import Lookup
from connectors.registry import connector
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Attempt, Delivery, State
from hub.delivery import held, replay, send, steer, sweep
from hub.delivery.account import Line
from hub.delivery.budget import Budget
from hub.delivery.ledger import ledger
from tests.delivery.connected import (
    LEAD,
    LEAD_AND_TASK,
    MATCHED_LEAD,
    Connected,
    allow,
    voicemail,
)


def drain_all(connected: Connected, *, seconds: float = 15) -> None:
    """Drain, cutting waits short, until every row has come to rest."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        drain_once(connected)
        left = ledger(connected.hub, connected.company.tenant_id).deliveries
        if not left["waiting"] and not left["sending"]:
            return
        time.sleep(0.05)


def drain_once(connected: Connected) -> None:
    """Drain for one turn, as if every wait were over."""
    hurry(connected)
    send.drain(connected.hub, connected.connection.id)


def hurry(connected: Connected) -> None:
    """Let every wait be over, as time would."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        for row in session.scalars(select(Delivery).where(Delivery.state == "waiting")):
            row.due_at = now() - timedelta(minutes=1)
        found = session.get(Connection, connected.connection.id)
        found.retry_at = found.wake_at = None


def rows(connected: Connected) -> list[Delivery]:
    """Give the company's deliveries, oldest first."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def outcomes(connected: Connected) -> list[str]:
    """Give what the attempts came to, oldest first."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        return list(session.scalars(select(Attempt.outcome).order_by(Attempt.id)))


def detail(connected: Connected, row: Delivery) -> str:
    """Give the vendor's sentence."""
    return connected.hub.vault.open_text(
        row.tenant_id, row.detail, about=f"deliveries.detail:{row.id}"
    )


def existing_lead(connected: Connected, **fields: str) -> str:
    """Put a lead into the account that is not ours, as a salesperson would; gives its id."""
    line = Line(connected.hub, connected.connection, Budget(connected.hub))

    def add(account):
        import simple_salesforce

        client = simple_salesforce.Salesforce(
            instance_url=account.base_url, session_id=account.token, version="62.0"
        )
        client.base_url = client.base_url.replace("https://", "http://")
        answer = client.restful(
            "composite/sobjects",
            method="POST",
            data=json.dumps(
                {"allOrNone": False, "records": [{"attributes": {"type": "Lead"}, **fields}]}
            ),
        )
        return answer[0]["id"]

    return line.call(add)


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


def test_a_backlog_costs_one_call_per_full_batch(connected: Connected) -> None:
    """Four hundred waiting rows go out in two calls."""
    connected.publish(LEAD)
    for start in range(0, 400, 100):
        connected.accept(*(voicemail(number) for number in range(start, start + 100)))
    before = sum(connected.sandbox.stats()["calls"].values())

    drain_all(connected)

    assert len(connected.sandbox.records("Lead", limit=1000)) == 400
    assert sum(connected.sandbox.stats()["calls"].values()) - before == 2


def test_one_refused_record_parks_alone(connected: Connected) -> None:
    """The vendor's sentence and the mapping's path are kept; the rest of the batch goes through."""
    connected.publish(LEAD.replace('{text: "{summary}", max: 32000}', "{from: summary}"))
    connected.sandbox.fault(kind="row", code="FIELD_CUSTOM_VALIDATION_EXCEPTION")
    connected.accept(voicemail(1), voicemail(2), voicemail(3))

    drain_all(connected)

    by_state = [row.state for row in rows(connected)]
    (parked,) = [row for row in rows(connected) if row.state == State.PARKED]
    assert sorted(by_state) == ["delivered", "delivered", "parked"]
    assert parked.reason == "The vendor refused this record"
    assert detail(connected, parked)
    assert ledger(connected.hub, connected.company.tenant_id).is_ok


def test_a_record_that_cannot_be_rendered_names_the_place(connected: Connected) -> None:
    """A value outside a value table parks the row with the path in the mapping."""
    connected.publish(
        LEAD
        + "      Rating: {from: urgency.level, choose: {critical: Hot, high: Hot, low: Cold}}\n"
    )
    connected.accept(voicemail(1))

    drain_all(connected)

    (row,) = rows(connected)
    assert row.state == State.PARKED
    assert row.reason_path == "steps[0].set.Rating"


def test_an_answer_lost_after_the_write_is_asked_for(connected: Connected) -> None:
    """The vendor wrote and the connection broke: we ask before sending again, and there is one record."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    connected.sandbox.fault(kind="cut_after", path="/composite/sobjects/Lead")

    drain_once(connected)
    (lost,) = rows(connected)
    drain_all(connected)

    (row,) = rows(connected)
    assert lost.state == State.WAITING
    assert lost.is_uncertain
    assert row.state == State.DELIVERED
    assert outcomes(connected) == ["uncertain", "found"]
    assert len(connected.sandbox.records("Lead")) == 1


def test_an_answer_lost_before_the_write_is_sent_again(connected: Connected) -> None:
    """Asking finds nothing, so the record is written, once."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    connected.sandbox.fault(kind="cut_before", path="/composite/sobjects/Lead")

    drain_all(connected)

    assert outcomes(connected)[-1] == "created"
    assert len(connected.sandbox.records("Lead")) == 1


def test_a_limit_costs_no_attempt(connected: Connected) -> None:
    """A vendor that says not now keeps its rows waiting, and the connection stays healthy."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    connected.sandbox.fault(kind="status", status=429, path="/composite/")

    drain_once(connected)

    (row,) = rows(connected)
    assert (row.state, row.attempts) == (State.WAITING, 0)
    assert connected.refreshed().state == Health.HEALTHY
    assert connected.refreshed().wake_at > now()


def test_a_vendor_that_is_down_degrades_and_recovers(connected: Connected) -> None:
    """The connection says so while it lasts, holds back, and forgets it afterwards."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    connected.sandbox.fault(kind="status", status=503, path="/composite/", next=2)

    drain_once(connected)
    down = connected.refreshed()
    drain_all(connected)
    up = connected.refreshed()

    assert down.state == Health.DEGRADED
    assert down.retry_at > down.health_at
    assert down.health_reason
    assert (up.state, up.failures, up.health_reason) == (Health.HEALTHY, 0, None)
    assert [row.state for row in rows(connected)] == [State.DELIVERED]


def test_an_answer_that_makes_no_sense_parks_and_never_loops(connected: Connected) -> None:
    """A broken answer parks the row as uncertain; a replay finds what was written."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    connected.sandbox.fault(kind="malformed", path="/composite/sobjects/Lead")

    drain_all(connected)
    (parked,) = rows(connected)
    selection = replay.Selection(state=State.PARKED)
    counted = replay.count(connected.hub, connected.company.tenant_id, selection)
    replay.replay(connected.hub, connected.company.tenant_id, selection, actor="command")
    drain_all(connected)

    (row,) = rows(connected)
    assert parked.state == State.PARKED
    assert counted == 1
    assert (row.state, outcomes(connected)[-1]) == (State.DELIVERED, "found")
    assert len(connected.sandbox.records("Lead")) == 1


def test_the_persons_record_is_updated(connected: Connected) -> None:
    """A record that matches is used instead of making a second one, and is remembered."""
    lead_id = existing_lead(connected, LastName="Whitfield", Company="W", Phone="+14155550001")
    connected.publish(MATCHED_LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    calls = sum(connected.sandbox.stats()["calls"].values())
    connected.accept(voicemail(1))

    drain_all(connected)

    assert {row.record_id for row in rows(connected)} == {lead_id}
    assert len(connected.sandbox.records("Lead")) == 1
    assert sum(connected.sandbox.stats()["calls"].values()) - calls == 1


def test_two_calls_of_one_new_person_make_one_record(connected: Connected) -> None:
    """Rows with the same match key never share a batch, so the second finds the first's record."""
    connected.publish(MATCHED_LEAD)
    connected.accept(voicemail(1), voicemail(1), voicemail(2))

    drain_all(connected)

    assert len(connected.sandbox.records("Lead")) == 2
    assert len({row.record_id for row in rows(connected)}) == 2


def test_several_matches_wait_for_a_persons_choice(connected: Connected) -> None:
    """Two hits park the row with the candidates; the choice is used, and remembered."""
    first = existing_lead(connected, LastName="Whitfield", Company="W", Phone="+14155550001")
    existing_lead(connected, LastName="Whitfield", Company="X", Phone="+14155550001")
    connected.publish(MATCHED_LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    (parked,) = rows(connected)

    held.choose(connected.hub, connected.company.tenant_id, parked.id, first, actor="person:1")
    drain_all(connected)
    connected.accept(voicemail(1))
    drain_all(connected)

    assert parked.state == State.PARKED
    assert parked.reason == "Several records match"
    assert [row.record_id for row in rows(connected)] == [first, first]


def test_the_second_way_of_matching_is_tried(connected: Connected) -> None:
    """Where nobody has the e-mail address, the number finds the person."""
    lead_id = existing_lead(connected, LastName="Whitfield", Company="W", Phone="+14155550001")
    connected.publish(
        LEAD.replace(
            "    object: Lead\n",
            "    object: Lead\n    match:\n      - {Email: {from: caller.email}}\n"
            "      - {Phone: {from: caller.phone, as: e164}}\n",
        )
    )
    caller = {"name": {"full": "Dana W"}, "phone": "+14155550001", "email": "d@w.example"}
    connected.accept(voicemail(1, caller=caller))

    drain_all(connected)

    assert [row.record_id for row in rows(connected)] == [lead_id]


def test_nobody_chooses_what_was_not_offered(connected: Connected) -> None:
    """A record that was not among the candidates is refused."""
    existing_lead(connected, LastName="Whitfield", Company="W", Phone="+14155550001")
    existing_lead(connected, LastName="Whitfield", Company="X", Phone="+14155550001")
    connected.publish(MATCHED_LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    (parked,) = rows(connected)

    with pytest.raises(held.NotWaiting):
        held.choose(
            connected.hub,
            connected.company.tenant_id,
            parked.id,
            "00Q000000000000",
            actor="person:1",
        )


def test_an_approval_holds_until_a_person_says_so(connected: Connected) -> None:
    """Above the threshold nothing is sent before somebody approves; a rejected row stays unsent."""
    connected.publish(LEAD.replace("steps:", "approve: {urgency_at_least: 80}\nsteps:"))
    urgency = {"score": 90, "level": "critical"}
    connected.accept(voicemail(1, urgency=urgency), voicemail(2, urgency=urgency), voicemail(3))
    drain_all(connected)
    waiting = [row for row in rows(connected) if row.state == State.HELD]

    tenant_id = connected.company.tenant_id
    held.approve(connected.hub, tenant_id, [waiting[0].id], actor="person:1")
    held.reject(connected.hub, tenant_id, [waiting[1].id], actor="person:1")
    drain_all(connected)

    assert len(waiting) == 2
    assert sorted(row.state for row in rows(connected)) == ["delivered", "delivered", "rejected"]


def test_a_replay_under_the_newest_mapping_updates_the_record(connected: Connected) -> None:
    """A delivered row sent again with a corrected mapping changes its record and makes no other."""
    mapping_id = connected.publish(LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    from hub.db import mappings
    from mappings.document import load

    text = LEAD.replace("[not given]", "Private caller")
    with connected.hub.tenant(connected.company.tenant_id) as session:
        mappings.save(
            session,
            connection_id=connected.connection.id,
            name="Lead",
            document=load(text),
            source=text,
            author="command",
            mapping_id=mapping_id,
        )

    replay.replay(
        connected.hub,
        connected.company.tenant_id,
        replay.Selection(mapping_id=mapping_id),
        version="newest",
        actor="command",
    )
    drain_all(connected)

    (record,) = connected.sandbox.records("Lead")
    (row,) = rows(connected)
    assert record["fields"]["Company"] == "Private caller"
    assert row.mapping_version == 2


def test_an_event_that_led_to_nothing_can_be_planned_later(connected: Connected) -> None:
    """It is kept as dropped, and a mapping that comes later applies to it by replay."""
    connected.accept(voicemail(1))
    (dropped,) = rows(connected)
    connected.publish(LEAD)

    replay.replay(
        connected.hub,
        connected.company.tenant_id,
        replay.Selection(state=State.DROPPED),
        version="newest",
        actor="command",
    )
    drain_all(connected)

    (row,) = rows(connected)
    assert dropped.state == State.DROPPED
    assert row.state == State.DELIVERED
    assert ledger(connected.hub, connected.company.tenant_id).is_ok


def test_nobody_replays_everything_by_mistake(connected: Connected) -> None:
    """A selection that nothing narrows is refused."""
    with pytest.raises(replay.TooWide):
        replay.replay(
            connected.hub, connected.company.tenant_id, replay.Selection(), actor="command"
        )


def test_spam_is_dropped_and_stays_in_the_ledger(connected: Connected) -> None:
    """A dropped voicemail sends nothing and is accounted for."""
    connected.publish(LEAD.replace("[new_lead]", "[new_lead, spam]"))
    connected.accept(voicemail(1, bucket="spam"))

    drain_all(connected)

    found = ledger(connected.hub, connected.company.tenant_id)
    assert connected.sandbox.records("Lead") == []
    assert found.deliveries["dropped"] == 1
    assert found.is_ok


def test_a_pause_keeps_rows_and_resuming_sends_them(connected: Connected) -> None:
    """While an operator's pause lasts nothing is sent, and nothing is lost."""
    connected.publish(LEAD)
    tenant_id, connection_id = connected.company.tenant_id, connected.connection.id
    steer.pause(connected.hub, tenant_id, connection_id, actor="person:1")
    connected.accept(voicemail(1))
    drain_once(connected)
    paused = rows(connected)[0].state

    steer.resume(connected.hub, tenant_id, connection_id, actor="person:1")
    drain_all(connected)

    assert paused == State.WAITING
    assert rows(connected)[0].state == State.DELIVERED


def test_a_revoked_account_waits_for_its_reconnection(connected: Connected) -> None:
    """Rows wait, the connection says what is wrong, and reconnecting keeps id and rows."""
    from hub.oauth import flow

    connected.publish(LEAD)
    connected.accept(voicemail(1))
    connected.sandbox.post("revoke")
    drain_once(connected)
    broken = connected.refreshed().state
    waiting = rows(connected)[0]

    url = flow.begin(
        connected.hub,
        connected.company.tenant_id,
        connected.company.person_id,
        "salesforce",
        connection_id=connected.connection.id,
    )
    back = allow(url)
    again = flow.finish(
        connected.hub, connected.company.person_id, back["state"], code=back["code"]
    )
    drain_all(connected)

    assert broken == Health.NEEDS_RECONNECT
    assert (waiting.state, waiting.attempts) == (State.WAITING, 0)
    assert again.id == connected.connection.id
    assert rows(connected)[0].state == State.DELIVERED


def test_a_wiped_redis_loses_no_wake_up(hub: Hub, connected: Connected) -> None:
    """The sweep rings for every connection that has due rows, from the table alone."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    hub.redis.flushall()

    assert connected.connection.id in sweep.sweep(hub)


def test_the_budget_says_no_before_anything_is_claimed(hub: Hub, connected: Connected) -> None:
    """When the tenant's grant is used up nothing is sent, and rows wait untouched."""
    connected.publish(LEAD)
    with hub.tenant(connected.company.tenant_id) as session:
        session.get(Connection, connected.connection.id).budget = {"grants": {"requests": 1}}
    connected.accept(voicemail(1))
    before = sum(connected.sandbox.stats()["calls"].values())

    drain_once(connected)

    (row,) = rows(connected)
    assert (row.state, row.attempts) == (State.WAITING, 0)
    assert sum(connected.sandbox.stats()["calls"].values()) == before


def test_a_record_without_our_key_is_not_ours(connected: Connected) -> None:
    """Looking up a key that was never written finds nothing."""
    line = Line(connected.hub, connected.connection, Budget(connected.hub))
    vendor = connector("salesforce")

    (found,) = line.call(lambda account: vendor.find(account, [Lookup("Lead", key="ab000")]))

    assert found.candidates == ()
