"""Voicemails become users and tickets in Zendesk, through the hub with its OAuth, budget, jobs and look-ups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery, State
from hub.delivery.ledger import ledger
from hub.oauth import flow, tokens
from mappings.presets import presets
from tests.conftest import Company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect, unspent, voicemail
from tests.delivery.test_crash import end, wait_until, worker
from tests.delivery.test_send import drain_all, drain_once, hurry, rows

PRESET = next(one for one in presets("zendesk") if one.name == "support_ticket")
TICKET_ONLY = """
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
steps:
  - id: ticket
    object: Ticket
    set:
      subject: {text: "{summary}", max: 255}
      description: {text: "{summary}", max: 65535}
"""


@pytest.fixture(name="zendesk_sandbox", scope="module")
def _zendesk_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running.sandbox("zendesk", tmp_path_factory.mktemp("zendesk")) as box:
        yield box


@pytest.fixture(name="on_zendesk")
def _on_zendesk(hub: Hub, company: Company, zendesk_sandbox: Sandbox) -> Iterator[Connected]:
    """A company connected to the Zendesk sandbox, which starts without records and faults."""
    zendesk_sandbox.clear_faults()
    zendesk_sandbox.post("clear")
    asked = {"job_s": 0, "fail_jobs": 0}
    zendesk_sandbox.http.post(f"{zendesk_sandbox.url}/_zendesk/settings", json=asked)
    unspent(hub)
    yield connect(hub, company, zendesk_sandbox)
    zendesk_sandbox.clear_faults()


def settings(connected: Connected, **chosen: object) -> None:
    """Set what an admin sets for the connection."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Connection)
            .where(Connection.id == connected.connection.id)
            .values(settings=chosen)
        )


def deliver(connected: Connected) -> list[Delivery]:
    """Drain, letting waits go by, until all is delivered or parked; give what is not delivered."""
    drain_all(connected, seconds=40)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        found = session.scalars(select(Delivery)).all()
    return [one for one in found if one.state != "delivered"]


def test_voicemails_become_tickets_of_their_callers(on_zendesk: Connected) -> None:
    """Users one by one, tickets by a job; each ticket hangs on its caller."""
    box = on_zendesk.sandbox
    on_zendesk.publish(PRESET.text)
    on_zendesk.accept(*(voicemail(n, bucket="support") for n in range(1, 7)))

    assert deliver(on_zendesk) == []
    assert box.stats()["records"] == {"User": 6, "Ticket": 6}
    users = {one["id"] for one in box.records("User")}
    assert {str(one["fields"]["requester_id"]) for one in box.records("Ticket")} == users
    assert ledger(on_zendesk.hub, on_zendesk.company.tenant_id).problems == ()


def test_a_lost_job_makes_no_second_ticket(on_zendesk: Connected) -> None:
    """The job is queued and its answer lost: its tickets are found by their keys, none is written again."""
    box = on_zendesk.sandbox
    settings(on_zendesk, job_runs_s=0)
    on_zendesk.publish(TICKET_ONLY)
    box.fault(kind="cut_after", path="create_many")
    on_zendesk.accept(*(voicemail(n) for n in range(1, 60)))

    assert deliver(on_zendesk) == []
    assert box.stats()["duplicate_keys"] == []
    assert box.stats()["records"]["Ticket"] == 59


def test_a_job_that_never_began_does_not_starve(on_zendesk: Connected) -> None:
    """A hundred tickets of which none is there cost a look-up each: some at a time, within the budget."""
    box = on_zendesk.sandbox
    settings(on_zendesk, job_runs_s=0)
    on_zendesk.publish(TICKET_ONLY)
    box.fault(kind="cut_before", path="create_many")
    on_zendesk.accept(*(voicemail(n) for n in range(1, 101)))
    for _ in range(3):
        drain_once(on_zendesk)

    # A budget of eighty look-ups a minute: those that fit have come through, and the rest waits.
    assert box.stats()["records"]["Ticket"] >= 40
    assert box.stats()["duplicate_keys"] == []


def test_a_bad_row_of_a_job_parks_alone(on_zendesk: Connected) -> None:
    """The vendor's sentence and the place in the mapping stand beside the row."""
    on_zendesk.publish(TICKET_ONLY)
    bad = TICKET_ONLY.replace("subject:", "priority: {text: '{bucket}'}\n      subject:")
    on_zendesk.publish(bad, name="Bad")
    on_zendesk.accept(*(voicemail(n) for n in range(1, 4)))

    parked = deliver(on_zendesk)

    assert len(parked) == 3
    assert {one.state for one in parked} == {"parked"}
    assert {one.reason_path for one in parked} == {"ticket.set.priority"}
    assert on_zendesk.sandbox.stats()["records"]["Ticket"] == 3


def test_disconnecting_ends_the_access_token(on_zendesk: Connected) -> None:
    """Zendesk ends the token that asks for it; the hub says whether it did."""
    before = on_zendesk.sandbox.stats()["tokens"].get("revoked", 0)
    is_revoked = flow.disconnect(
        on_zendesk.hub, on_zendesk.company.tenant_id, on_zendesk.connection.id, actor="command"
    )

    assert is_revoked
    assert on_zendesk.sandbox.stats()["tokens"]["revoked"] == before + 1


def jobs(connected: Connected) -> list[object]:
    """List the account's jobs, as Zendesk knows them."""
    token = tokens.current(
        connected.hub, connected.company.tenant_id, connected.connection.id
    ).value
    answer = connected.sandbox.http.get(
        f"{connected.sandbox.url}/api/v2/job_statuses", headers={"Authorization": f"Bearer {token}"}
    )
    return list(answer.raise_for_status().json()["job_statuses"])


@pytest.fixture(name="without_limits")
def _without_limits(on_zendesk: Connected) -> Iterator[None]:
    """What other tests have spent is not in the way."""
    box = on_zendesk.sandbox
    before = box.http.get(f"{box.url}/_sandbox/settings").json()["limits"]
    box.set(limits=dict.fromkeys(before, 1_000_000))
    yield
    box.set(limits=before)


@pytest.mark.processes
@pytest.mark.usefixtures("without_limits")
def test_a_worker_that_dies_after_a_job_was_taken_leaves_its_rows_alone(
    on_zendesk: Connected, hub: Hub, root: Path
) -> None:
    """Its name is lost with it, so nobody asks before it must have ended; then its tickets are found."""
    box, runs_s = on_zendesk.sandbox, 5
    settings(on_zendesk, job_runs_s=runs_s)
    box.http.post(f"{box.url}/_zendesk/settings", json={"job_s": 2.5})
    on_zendesk.publish(TICKET_ONLY)
    on_zendesk.accept(*(voicemail(n) for n in range(1, 31)))
    hurry(on_zendesk)
    before = len(jobs(on_zendesk))
    # Longer than a busy machine takes to see the job and end the worker.
    box.fault(kind="late", path="create_many", seconds=25.0)
    process = worker(on_zendesk, root)
    wait_until(lambda: {row.state for row in rows(on_zendesk)} == {State.SENDING})
    while len(jobs(on_zendesk)) == before:
        time.sleep(0.2)  # Zendesk counts these calls too
    claimed_at = {row.id: row.updated_at for row in rows(on_zendesk)}
    end(process)
    hub.redis.flushall()
    wait_until(lambda: max(row.lease_until for row in rows(on_zendesk)) < now())

    calls = box.stats()["calls_total"]
    drain_once(on_zendesk)
    left_alone = rows(on_zendesk)
    asked = box.stats()["calls_total"] - calls
    wait_until(lambda: max(row.due_at for row in rows(on_zendesk)) < now())

    assert deliver(on_zendesk) == []
    assert asked == 0
    assert {row.state for row in left_alone} == {State.WAITING}
    wait = timedelta(seconds=runs_s)
    assert all(row.due_at >= claimed_at[row.id] + wait for row in left_alone)
    assert box.stats()["records"]["Ticket"] == 30
    assert box.stats()["duplicate_keys"] == []
    assert len(jobs(on_zendesk)) == before + 1
    assert ledger(hub, on_zendesk.company.tenant_id).problems == ()
