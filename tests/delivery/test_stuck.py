"""No row blocks another, none is stuck, and a failure of ours keeps what it does not understand."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from rq import Queue
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.base import new_id, now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.mappings import MappingVersion
from hub.db.tenants import Tenant
from hub.db.vault import MasterKeys, Vault
from hub.delivery import jobs, replay, send, steer, sweep, wake
from hub.delivery.account import Line
from hub.delivery.bell import bell
from hub.delivery.budget import Budget
from hub.delivery.claim import only_drain
from hub.delivery.ledger import ledger
from hub.oauth.tokens import mark_needs_reconnect
from tests.delivery.connected import LEAD, MATCHED_LEAD, Connected, voicemail
from tests.delivery.test_send import detail, drain_all, drain_once, hurry, outcomes, rows


def change(connected: Connected, **columns: object) -> None:
    """Change columns of the connection."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Connection).where(Connection.id == connected.connection.id).values(**columns)
        )


def change_row(connected: Connected, row: Delivery, **columns: object) -> None:
    """Change columns of a delivery."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Delivery).where(Delivery.id == row.id).values(**columns))


def states(connected: Connected) -> list[str]:
    """Give the states of the company's deliveries, oldest first."""
    return [row.state for row in rows(connected)]


def rung(hub: Hub) -> list[str]:
    """Give the connections that workers were called for, first one first."""
    return [job.args[0] for job in Queue(wake.QUEUE, connection=hub.redis).jobs]


@pytest.mark.parametrize("body", [b"\x01", b"\x01\x00\x00\x00\x01 not what was sealed, but longer"])
def test_a_voicemail_that_cannot_be_read_parks_alone(connected: Connected, body: bytes) -> None:
    """One broken body stops neither the batch nor the connection: its row says why it is parked."""
    connected.publish(LEAD)
    broken, _, _ = connected.accept(voicemail(1), voicemail(2), voicemail(3))
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(StoredEvent).where(StoredEvent.id == broken.id).values(body=body))

    drain_all(connected)

    parked = next(row for row in rows(connected) if row.event_id == broken.id)
    assert sorted(states(connected)) == ["delivered", "delivered", "parked"]
    assert detail(connected, parked) == "The stored voicemail cannot be read."
    assert connected.refreshed().state == Health.HEALTHY


def test_a_mapping_that_no_longer_parses_parks_its_rows_alone(connected: Connected) -> None:
    """A bad template once stopped a whole partition for everybody; here it parks what it made."""
    mapping_id = connected.publish(LEAD)
    connected.accept(voicemail(1), voicemail(2))
    first = rows(connected)[0]
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.add(
            MappingVersion(
                mapping_id=mapping_id, number=2, document={"version": 9}, source="", author="old"
            )
        )
    change_row(connected, first, mapping_version=2)

    drain_all(connected)

    parked = rows(connected)[0]
    assert states(connected) == ["parked", "delivered"]
    assert "no longer valid" in detail(connected, parked)


def test_a_step_that_makes_another_object_now_is_not_sent(connected: Connected) -> None:
    """A lead's fields never become a contact because the mapping changed its mind."""
    mapping_id = connected.publish(LEAD)
    connected.accept(voicemail(1))
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Delivery).where(Delivery.mapping_id == mapping_id).values(object="Contact")
        )

    drain_all(connected)

    (row,) = rows(connected)
    assert (row.state, row.reason_path) == (State.PARKED, "steps[0].object")


def test_a_refused_question_parks_only_the_rows_that_asked_it(connected: Connected) -> None:
    """Two mappings make leads; that one of them matches by a field that is gone does not stop the other."""
    connected.publish(MATCHED_LEAD)
    connected.publish(
        MATCHED_LEAD.replace("match: {Phone:", "match: {Gone__c:").replace("id: lead", "id: other"),
        name="Broken",
    )
    connected.accept(voicemail(1), voicemail(2))

    drain_all(connected)

    by_step = {(row.step, row.state) for row in rows(connected)}
    assert by_step == {("lead", State.DELIVERED), ("other", State.PARKED)}


def test_without_its_connector_a_connection_waits(connected: Connected) -> None:
    """A connection of a vendor that this version does not know keeps its rows, and says what is wrong."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    change(connected, connector="fax")

    drain_once(connected)
    waiting, found = states(connected), connected.refreshed()
    change(connected, connector="salesforce")
    drain_all(connected)

    assert waiting == [State.WAITING]
    assert found.health == Health.DEGRADED
    assert 'no connector "fax"' in found.health_reason
    assert states(connected) == [State.DELIVERED]


def test_a_missing_master_key_parks_nothing(hub: Hub, connected: Connected) -> None:
    """An operator who starts a worker with the wrong keys finds the rows waiting when the key is back."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    hurry(connected)
    blind = replace(hub, vault=Vault(hub.engine, MasterKeys({"other": bytes(32)})))

    send.drain(blind, connected.connection.id)
    waiting, found = states(connected), connected.refreshed()
    drain_all(connected)

    assert waiting == [State.WAITING]
    assert "AFTERBEEP_MASTER_KEYS" in found.health_reason
    assert states(connected) == [State.DELIVERED]


def test_an_unknown_time_zone_parks_nothing(hub: Hub, connected: Connected) -> None:
    """The rows wait for the setting to be mended; the connection names it."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    with hub.everyone("a test changes a tenant") as session:
        session.get(Tenant, connected.company.tenant_id).timezone = "Mars/Olympus"

    drain_once(connected)

    assert states(connected) == [State.WAITING]
    assert "Mars/Olympus" in connected.refreshed().health_reason


def test_a_row_that_is_throttled_stops_the_connection(connected: Connected) -> None:
    """A limit that shows only in one record's answer is a limit of the account: we stay away."""
    connected.publish(LEAD)
    connected.sandbox.fault(kind="row", code="REQUEST_LIMIT_EXCEEDED")
    connected.accept(voicemail(1), voicemail(2))

    drain_once(connected)

    throttled = next(row for row in rows(connected) if row.state == State.WAITING)
    assert sorted(states(connected)) == ["delivered", "waiting"]
    assert throttled.attempts == 0
    assert connected.refreshed().wake_at > now() + timedelta(seconds=60)


@pytest.mark.parametrize("status", [429, 401])
def test_doubt_outlives_a_limit(connected: Connected, status: int) -> None:
    """A row whose answer was lost stays in doubt when the question is refused for now: never two records."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    connected.sandbox.fault(kind="cut_after", path="/composite/sobjects/Lead")
    drain_once(connected)
    connected.sandbox.fault(kind="status", status=status, path="/query", next=1)

    drain_once(connected)
    (doubtful,) = rows(connected)
    change(connected, health=Health.HEALTHY.value)
    steer.resume(
        connected.hub, connected.company.tenant_id, connected.connection.id, actor="command"
    )
    connected.hub.redis.flushall()
    drain_all(connected)

    assert doubtful.is_uncertain
    assert outcomes(connected)[-1] == "found"
    assert len(connected.sandbox.records("Lead")) == 1


def test_a_deleted_record_is_replaced_not_parked(connected: Connected) -> None:
    """A salesperson deletes the lead; the person's next call makes a new one by itself."""
    connected.publish(MATCHED_LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    delete_lead(connected, rows(connected)[0].record_id)
    connected.accept(voicemail(1))

    drain_all(connected)

    (lead,) = connected.sandbox.records("Lead")
    assert states(connected) == [State.DELIVERED, State.DELIVERED]
    assert rows(connected)[1].record_id == lead["id"]


def test_a_replay_makes_a_deleted_record_anew(connected: Connected) -> None:
    """Sending again is possible after the record is gone, and leads to one record."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    delete_lead(connected, rows(connected)[0].record_id)

    replay.replay(
        connected.hub,
        connected.company.tenant_id,
        replay.Selection(state=State.DELIVERED),
        actor="command",
    )
    drain_all(connected)

    (lead,) = connected.sandbox.records("Lead")
    (row,) = rows(connected)
    assert (row.state, row.record_id) == (State.DELIVERED, lead["id"])


def delete_lead(connected: Connected, record_id: str) -> None:
    """Delete a lead, as a salesperson does."""

    def delete(account) -> None:
        url = f"{account.base_url}/services/data/v62.0/sobjects/Lead/{record_id}"
        httpx.delete(url, headers={"Authorization": f"Bearer {account.token}"}).raise_for_status()

    Line(connected.hub, connected.connection, Budget(connected.hub)).call(delete)


def test_rows_of_a_dead_worker_come_back_in_a_pause_too(connected: Connected) -> None:
    """The lease over, a row leaves ``sending`` though nothing may be sent; it is in doubt, and sent later once."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    (row,) = rows(connected)
    over = now() - timedelta(seconds=1)
    change_row(connected, row, state="sending", claim=new_id("clm"), lease_until=over)
    change(connected, paused_at=now(), paused_by="person:1")

    found = sweep.sweep(connected.hub)
    send.drain(connected.hub, connected.connection.id)
    (back,) = rows(connected)
    change(connected, paused_at=None)
    drain_all(connected)

    assert connected.connection.id in found
    assert (back.state, back.is_uncertain) == (State.WAITING, True)
    assert states(connected) == [State.DELIVERED]


def test_an_urgent_row_does_not_wait_for_a_fuller_batch(hub: Hub, connected: Connected) -> None:
    """While ordinary rows wait for company, the sweep rings for an urgent one, and only for that."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    send.sleep_until(hub, connected.refreshed(), 60, is_urgent=False)

    ordinary = sweep.sweep(hub)
    connected.accept(voicemail(2, urgency={"score": 90, "level": "critical"}))
    urgent = sweep.sweep(hub)

    assert connected.connection.id not in ordinary
    assert connected.connection.id in urgent


def test_an_urgent_ring_is_heard_while_a_connection_dozes(hub: Hub, connected: Connected) -> None:
    """An ordinary ring is not; when even urgent rows may not be sent, nobody rings in vain."""
    connection_id = connected.connection.id
    wake.doze(hub, connection_id, 60, is_urgent=False)

    wake.wake(hub, [connection_id])
    ordinary = rung(hub)
    wake.wake(hub, [connection_id], is_urgent=True)
    urgent = rung(hub)
    wake.doze(hub, connection_id, 60, is_urgent=True)
    wake.wake(hub, [connection_id], is_urgent=True)

    assert (ordinary, urgent, rung(hub)) == ([], [connection_id], [connection_id])


def test_many_urgent_events_ring_once(hub: Hub, connected: Connected) -> None:
    """A storm of urgent events does not fill the queue with calls for the same connection."""
    for _ in range(20):
        wake.wake(hub, [connected.connection.id], is_urgent=True)

    assert rung(hub) == [connected.connection.id]


def test_a_ring_during_a_drain_is_not_swallowed(hub: Hub, connected: Connected) -> None:
    """A worker that finds another at it leaves the bell free, so that the next second's sweep rings again."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    bell(hub).flush()  # it rings beside the answer, and not later
    hub.redis.flushall()
    wake.wake(hub, [connected.connection.id])

    with only_drain(hub, connected.connection.id):
        done = send.drain(hub, connected.connection.id)
    sweep.sweep(hub)

    assert done.is_busy
    assert rung(hub).count(connected.connection.id) == 2


def test_an_idle_account_does_not_wait_for_the_sweep(
    hub: Hub, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that waited its moment for company is rung for when that is over, by the worker that let it wait."""
    monkeypatch.setattr(jobs, "process_hub", lambda: hub)
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    bell(hub).flush()
    hub.redis.flushall()

    jobs.drain(connected.connection.id)
    end = time.monotonic() + 20
    while not rung(hub) and time.monotonic() < end:
        time.sleep(0.02)
    is_rung = rung(hub) == [connected.connection.id]
    jobs.drain(connected.connection.id)

    assert is_rung
    assert [row.state for row in rows(connected)] == [State.DELIVERED.value]


def test_a_refusal_of_old_tokens_does_not_undo_a_reconnection(
    hub: Hub, connected: Connected
) -> None:
    """A drain that was refused with tokens that somebody has just replaced leaves the connection well."""
    version = connected.refreshed().token_version

    mark_needs_reconnect(
        hub, connected.company.tenant_id, connected.connection.id, "old", version=version - 1
    )
    unharmed = connected.refreshed().state
    mark_needs_reconnect(
        hub, connected.company.tenant_id, connected.connection.id, "gone", version=version
    )

    assert unharmed == Health.HEALTHY
    assert connected.refreshed().state == Health.NEEDS_RECONNECT


def test_a_long_wait_is_looked_at_in_between(hub: Hub, connected: Connected) -> None:
    """Somebody may grant more in the meantime: nobody stays away for a day without looking."""
    send.sleep_until(hub, connected.refreshed(), 86_400, is_urgent=True)

    assert connected.refreshed().wake_at < now() + timedelta(minutes=10)


def test_a_day_without_an_answer_parks(connected: Connected) -> None:
    """A row that failed for more than a day waits for a person, with the reason; retries do not go on for ever."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    change_row(connected, rows(connected)[0], first_failed_at=now() - timedelta(hours=25))
    connected.sandbox.fault(kind="status", status=503, path="/composite/")

    drain_once(connected)

    (row,) = rows(connected)
    assert (row.state, row.reason) == (State.PARKED, "The vendor did not take it for a day")
    assert ledger(connected.hub, connected.company.tenant_id).is_ok


def test_the_next_try_is_never_in_the_past(connected: Connected) -> None:
    """After a failure the row is due later, and later each time."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    connected.sandbox.fault(kind="status", status=503, path="/composite/", next=3)
    waits = []
    for _ in range(3):
        drain_once(connected)
        with connected.hub.tenant(connected.company.tenant_id) as session:
            due_at = session.scalars(select(Delivery.due_at)).one()
        waits.append((due_at - now()).total_seconds())

    assert waits[0] > 0
    assert waits[2] > waits[0]


@pytest.mark.parametrize(("failures", "is_let_go"), [(6, True), (1, False)])
def test_rows_that_met_an_outage_go_on_when_it_is_over(
    connected: Connected, failures: int, *, is_let_go: bool
) -> None:
    """Their own waits end with the outage; a row that fails by itself among others keeps its wait."""
    connected.publish(LEAD)
    connected.accept(voicemail(1), voicemail(2), voicemail(3))
    hurry(connected)
    _, met, doubtful = rows(connected)
    later = now() + timedelta(minutes=50)
    failed = {"first_failed_at": now() - timedelta(minutes=30), "attempts": 9, "due_at": later}
    change_row(connected, met, **failed)
    change_row(connected, doubtful, is_uncertain=True, **failed)
    change(connected, failures=failures, health=Health.DEGRADED.value)

    send.drain(connected.hub, connected.connection.id)

    first, met, doubtful = rows(connected)
    assert first.state == State.DELIVERED
    assert (met.state == State.DELIVERED or met.due_at <= now()) is is_let_go
    assert doubtful.due_at == later
