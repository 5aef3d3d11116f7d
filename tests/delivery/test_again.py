"""Sending again, approving and refusing: bounded, counted first, never twice and never another tenant's."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.base import new_id, now
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.delivery import held, replay
from hub.delivery.ledger import ledger
from hub.delivery.plan import Incoming, accept
from tests.conftest import new_company
from tests.delivery.connected import LEAD, LEAD_AND_TASK, MATCHED_LEAD, Connected, voicemail
from tests.delivery.test_send import drain_all, drain_once, existing_lead, hurry, rows

URGENT = {"score": 90, "level": "critical"}
HELD = LEAD_AND_TASK.replace("steps:", "approve: {urgency_at_least: 80}\nsteps:")


def states(connected: Connected) -> dict[str, str]:
    """Give the state of each step."""
    return {row.step: row.state for row in rows(connected)}


def again(connected: Connected, **selection: object) -> int:
    """Replay."""
    chosen = replay.Selection(**selection)
    return replay.replay(connected.hub, connected.company.tenant_id, chosen, actor="person:1")


def park(connected: Connected, count: int = 1) -> list[Delivery]:
    """Accept voicemails whose rows are then parked."""
    connected.publish(LEAD)
    connected.accept(*(voicemail(number) for number in range(count)))
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Delivery).values(state="parked", reason="It was refused"))
    return rows(connected)


def test_everything_parked_goes_at_once(connected: Connected) -> None:
    """Not only the rows in view: all that fit, as many as were counted."""
    park(connected, 120)
    selection = replay.Selection(state=State.PARKED)

    counted = replay.count(connected.hub, connected.company.tenant_id, selection)
    sent = again(connected, state=State.PARKED)
    drain_all(connected)

    assert (counted, sent) == (120, 120)
    assert len(connected.sandbox.records("Lead", limit=1000)) == 120


def test_a_replay_never_reaches_another_tenant(hub: Hub, connected: Connected) -> None:
    """A selection that would fit a neighbour's rows, even by their ids, sends none of them."""
    parked = park(connected)
    stranger = new_company(hub)

    for selection in (
        replay.Selection(state=State.PARKED),
        replay.Selection(delivery_ids=[parked[0].id]),
        replay.Selection(connection_id=connected.connection.id),
        replay.Selection(event_id=parked[0].event_id),
    ):
        assert replay.count(hub, stranger.tenant_id, selection) == 0
        assert replay.replay(hub, stranger.tenant_id, selection, actor="person:2") == 0
    assert rows(connected)[0].state == State.PARKED


def test_a_second_replay_by_hand_is_not_swallowed(connected: Connected) -> None:
    """Each time somebody asks, the row is sent again; the record is the same."""
    connected.publish(LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)

    for _ in range(3):
        assert again(connected, state=State.DELIVERED) == 1
        drain_all(connected)

    (row,) = rows(connected)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        noted = session.scalars(
            select(AuditRow).where(AuditRow.action == "delivery.replayed")
        ).all()
    assert row.attempts == 1
    assert len(noted) == 3
    assert len(connected.sandbox.records("Lead")) == 1


def test_a_replay_leaves_alone_what_is_being_sent(connected: Connected) -> None:
    """A row in a worker's hands is that worker's."""
    (row,) = park(connected)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Delivery).values(state="sending", claim="clm_1", lease_until=now(), reason=None)
        )

    sent = again(connected, delivery_ids=[row.id])

    assert sent == 0
    assert rows(connected)[0].claim == "clm_1"


def test_replays_during_a_drain_make_no_second_record(connected: Connected) -> None:
    """Rows are drained and replayed at the same time, again and again: one record each, and the sums agree."""
    connected.publish(LEAD_AND_TASK)
    connected.accept(*(voicemail(number) for number in range(30)))
    done = threading.Event()

    def keep_replaying() -> None:
        while not done.is_set():
            again(connected, connection_id=connected.connection.id)

    with ThreadPoolExecutor(1) as pool:
        replaying = pool.submit(keep_replaying)
        for _ in range(6):
            hurry(connected)
            drain_once(connected)
        done.set()
        replaying.result()
    drain_all(connected)

    assert {row.state for row in rows(connected)} == {State.DELIVERED}
    assert len(connected.sandbox.records("Lead", limit=1000)) == 30
    assert len(connected.sandbox.records("Task", limit=1000)) == 30
    assert ledger(connected.hub, connected.company.tenant_id).problems == ()


def test_a_replayed_row_starts_its_waits_anew(connected: Connected) -> None:
    """After many failures a replay does not wait an hour for its next try."""
    (row,) = park(connected)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Delivery).values(attempts=20, first_failed_at=now() - timedelta(hours=30))
        )
    again(connected, delivery_ids=[row.id])
    connected.sandbox.fault(kind="status", status=503, path="/composite/")

    drain_once(connected)

    (row,) = rows(connected)
    assert (row.state, row.attempts) == (State.WAITING, 1)
    assert row.due_at < now() + timedelta(seconds=10)


def test_what_a_person_refused_is_only_sent_by_name(connected: Connected) -> None:
    """A time range or a connection does not bring back what somebody said no to; its own state does."""
    (row,) = park(connected)
    held.reject(connected.hub, connected.company.tenant_id, [row.id], actor="person:1")

    broad = again(connected, since=now() - timedelta(hours=1))
    named = again(connected, state=State.REJECTED)

    assert (broad, named) == (0, 1)


def test_a_body_that_cannot_be_read_does_not_stop_a_replay(connected: Connected) -> None:
    """Of several dropped events the legible ones are planned anew."""
    broken, _ = connected.accept(voicemail(1), voicemail(2))
    connected.publish(LEAD)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(StoredEvent).where(StoredEvent.id == broken.id).values(body=b""))

    sent = replay.replay(
        connected.hub,
        connected.company.tenant_id,
        replay.Selection(state=State.DROPPED),
        version="newest",
        actor="person:1",
    )

    assert sent == 1
    assert sorted(row.state for row in rows(connected)) == ["dropped", "waiting"]


def test_approving_a_step_approves_what_it_needs(connected: Connected) -> None:
    """The task that somebody approves cannot wait for a lead that nobody approved."""
    connected.publish(HELD)
    connected.accept(voicemail(1, urgency=URGENT))
    task = next(row for row in rows(connected) if row.step == "callback")

    approved = held.approve(connected.hub, connected.company.tenant_id, [task.id], actor="person:1")
    drain_all(connected)

    assert approved == 2
    assert states(connected) == {"lead": "delivered", "callback": "delivered"}


def test_refusing_a_step_refuses_what_hangs_on_it(connected: Connected) -> None:
    """A task does not wait for ever for a lead that will never be."""
    connected.publish(HELD)
    connected.accept(voicemail(1, urgency=URGENT))
    lead = next(row for row in rows(connected) if row.step == "lead")

    rejected = held.reject(connected.hub, connected.company.tenant_id, [lead.id], actor="person:1")

    assert rejected == 2
    assert states(connected) == {"lead": "rejected", "callback": "rejected"}
    assert ledger(connected.hub, connected.company.tenant_id).is_ok


def test_the_log_names_what_was_approved(connected: Connected) -> None:
    """Not what was asked for: ids of rows that were not held, or are not ours, are not in it."""
    connected.publish(HELD)
    connected.accept(voicemail(1, urgency=URGENT))
    ids = {row.id for row in rows(connected)}

    held.approve(
        connected.hub, connected.company.tenant_id, [*ids, new_id("dlv")], actor="person:1"
    )

    with connected.hub.tenant(connected.company.tenant_id) as session:
        facts = session.scalars(
            select(AuditRow.facts).where(AuditRow.action == "delivery.approved")
        ).one()
    assert set(facts["deliveries"]) == ids


@pytest.mark.parametrize("part", ["label", "prefix", "quoted"])
def test_only_a_whole_id_is_a_choice(connected: Connected, part: str) -> None:
    """Something that merely occurs in what was offered is not a record that was offered."""
    first = existing_lead(
        connected, LastName='x", "id": "00Q0000000EVIL', Company="W", Phone="+14155550001"
    )
    existing_lead(connected, LastName="Whitfield", Company="X", Phone="+14155550001")
    connected.publish(MATCHED_LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    (row,) = rows(connected)
    offered = json.loads(
        connected.hub.vault.open_text(
            row.tenant_id, row.candidates, about=f"deliveries.candidates:{row.id}"
        )
    )
    chosen = {
        "label": offered[0]["label"],
        "prefix": first[:10],
        "quoted": f'{offered[0]["id"]}", "url": "{offered[0]["url"]}',
    }[part]

    with pytest.raises(held.NotWaiting):
        held.choose(connected.hub, connected.company.tenant_id, row.id, chosen, actor="person:1")


def test_a_candidate_that_was_offered_can_be_chosen_whatever_its_name(connected: Connected) -> None:
    """Names with quotes, accents and braces are only names."""
    first = existing_lead(connected, LastName='O"Brién {x}', Company="W", Phone="+14155550001")
    existing_lead(connected, LastName="Whitfield", Company="X", Phone="+14155550001")
    connected.publish(MATCHED_LEAD)
    connected.accept(voicemail(1))
    drain_all(connected)
    (row,) = rows(connected)

    held.choose(connected.hub, connected.company.tenant_id, row.id, first, actor="person:1")
    drain_all(connected)

    assert rows(connected)[0].record_id == first


def test_the_sums_agree_while_events_come_in(hub: Hub, connected: Connected) -> None:
    """The ledger looks at one moment: accepting meanwhile never makes it find a fault."""
    connected.publish(LEAD_AND_TASK)
    company = connected.company
    problems = []

    def keep_accepting() -> None:
        for _ in range(200):
            accept(hub, company.tenant_id, [Incoming.of(voicemail(1)) for _ in range(5)])

    with ThreadPoolExecutor(1) as pool:
        accepting = pool.submit(keep_accepting)
        while not accepting.done():
            problems.append(ledger(hub, company.tenant_id).problems)
        accepting.result()

    assert len(problems) > 1
    assert set(problems) == {()}
