"""Complaints about work that was acknowledged and then lost, doubled, or given up when something was away."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from rq import Queue

from hub.db.base import new_id, now
from hub.delivery.ledger import ledger
from hub.delivery.wake import QUEUE
from tests.complaints.firm import Firm, holds, pids, processes
from tests.delivery.connected import LEAD_AND_TASK
from tests.e2e.installation import Installation

pytestmark = pytest.mark.processes

WRITES = "/composite/sobjects"


def post_until_taken(firm: Firm, event: dict[str, Any]) -> str:
    """Post an event again until there is an answer, as every client must; gives our id."""
    found: list[str] = []

    def is_taken() -> bool:
        try:
            answer = firm.send(event)
        except httpx.TransportError:
            return False
        if answer.is_success:
            found.append(str(answer.json()["id"]))
        return answer.is_success

    holds(is_taken)
    return found[0]


def come_to_rest(one: Installation) -> None:
    """Wait until no job waits or is worked on, and none has come for a second."""
    queue = Queue(QUEUE, connection=one.hub.redis)

    def is_idle() -> bool:
        return queue.count == 0 and queue.started_job_registry.count == 0

    def stays_idle() -> bool:
        for _ in range(50):
            if not is_idle():
                return False
            time.sleep(0.02)
        return True

    holds(stays_idle)


def test_complaint_23_what_was_acknowledged_is_there(one: Installation, firm: Firm) -> None:
    """The caller had its 200, and the payload was gone when the process died.

    All processes of the hub are killed while events come in: whatever was acknowledged can be read word for word.
    """
    firm.ready()
    events = [firm.event(number) for number in range(80)]

    def post(event: dict[str, Any]) -> str:
        if event is events[30]:
            for each in processes(one, "serve"):
                each.kill()
        return post_until_taken(firm, event)

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(post, events))

    for event_id, event in zip(ids, events, strict=True):
        kept = firm.get(f"/v1/events/{event_id}")["event"]
        assert kept["data"]["summary"] == event["data"]["summary"]
    assert len(set(ids)) == len(events)
    firm.delivered(len(events))
    assert ledger(one.hub, firm.home.tenant_id).problems == ()


def test_complaint_24_a_restart_of_workers_marks_nothing_failed(
    one: Installation, firm: Firm
) -> None:
    """Workers were restarted for a deployment, and runs that had succeeded were marked crashed.

    Asked to stop in the middle of a batch they finish it: each row has one try, which created its record.
    """
    firm.ready()
    firm.sandbox.fault(kind="slow", seconds=2.0, path=WRITES)
    workers = processes(one, "worker")
    firm.post_many(20)
    holds(lambda: firm.in_flight() == 1)
    for worker in workers:
        worker.terminate()

    firm.delivered(20)
    holds(lambda: len(pids(one, "worker") - {each.pid for each in workers}) == 2)
    assert firm.outcomes() == ["created"] * 20


def test_complaint_28_one_call_is_one_event_however_often_it_comes(firm: Firm) -> None:
    """One webhook call made several executions. Here twelve requests at once are one event and one record."""
    firm.ready()
    event = firm.event(1)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: firm.send(event), range(12)))

    firm.delivered(1)
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(firm.records()) == 1


def test_complaint_29_a_restarted_redis_needs_no_restart_of_ours(
    one: Installation, firm: Firm
) -> None:
    """After a restart of Redis everything hung until the workers were restarted too.

    Redis is killed with all that it held; the same processes go on, with what waited and with what is new.
    """
    firm.ready()
    firm.post(1)
    firm.delivered(1)
    firm.change(retry_at=now().replace(year=now().year + 1))
    firm.post(3)
    before = pids(one, "serve", "worker", "sweep")
    for each in psutil.process_iter():
        if each.name().startswith("redis") and str(one.data_dir) in " ".join(each.cmdline()):
            each.kill()

    firm.hurry()
    firm.delivered(4)
    firm.post(2)
    firm.delivered(6)
    assert pids(one, "serve", "worker", "sweep") == before


def test_complaint_30_what_leads_nowhere_does_not_go_round(one: Installation, firm: Firm) -> None:
    """A message whose endpoint had been deleted was picked up for ever.

    Wake-ups for a connection that is gone, and rows of an account that was disconnected: the queue is empty soon,
    nobody is called, and no row is tried.
    """
    firm.ready()
    firm.disconnect()
    calls = firm.calls()
    firm.post(2)
    queue = Queue(QUEUE, connection=one.hub.redis)
    for connection_id in [new_id("con")] * 3 + [firm.connection_id]:
        queue.enqueue("hub.delivery.jobs.drain", connection_id)

    come_to_rest(one)
    found = firm.deliveries()

    assert firm.calls() == calls
    assert [(row["state"], row["attempts"]) for row in found] == [("waiting", 0)] * 2
    assert firm.seen()["deliveries"]["waiting"] == 2


def test_complaints_31_and_32_tries_are_counted_later_each_time_and_end(firm: Firm) -> None:
    """Retries went on for ever uncounted, or stopped with the next one due in the past.

    Each try is counted and shown, the next one is due later; after a day without success a person is asked.
    """
    firm.ready()
    firm.sandbox.fault(kind="status", status=503, path=WRITES, rate=1.0)
    firm.post(1)
    (row,) = firm.deliveries()
    path = f"/v1/deliveries/{row['id']}"
    for number in (1, 2, 3):
        holds(lambda number=number: len(firm.get(path)["tries"]) == number)
        tried = firm.get(path)
        assert tried["attempts"] == number
        assert tried["due_at"] > tried["tries"][-1]["at"]
        if number == 3:
            day = now().replace(microsecond=0)
            firm.change_rows(first_failed_at=day.replace(year=day.year - 1))
        firm.hurry()
    firm.wait_for(parked=1)
    parked, calls = firm.get(path), firm.calls()

    firm.hurry()
    firm.resume()
    assert parked["reason"] == "The vendor did not take it for a day"
    assert len(parked["tries"]) == parked["attempts"] == 4
    assert firm.calls() == calls


def test_complaint_33_what_is_stuck_is_found(one: Installation, firm: Firm) -> None:
    """Deliveries were stuck between queue and worker until somebody wrote a job that looks for them.

    A row that a worker of another machine took and never gave back, with nothing in Redis, is delivered.
    """
    firm.ready()
    firm.change(paused_at=now(), paused_by="command")
    firm.post(1)
    come_to_rest(one)
    over = now().replace(year=now().year - 1)
    firm.change_rows(state="sending", claim=new_id("clm"), lease_until=over)
    firm.change(paused_at=None)
    one.hub.redis.flushall()

    firm.delivered(1)
    assert len(firm.records()) == 1


def test_complaint_35_a_short_outage_of_the_database_costs_nothing(
    one: Installation, firm: Firm
) -> None:
    """A database that was away for moments sent events to the dead letters at once, untried.

    PostgreSQL crashes in the middle of a batch and while voicemails come in: each is delivered once, none was parked.
    """
    firm.ready(LEAD_AND_TASK)
    firm.sandbox.fault(kind="slow", seconds=0.6, path=WRITES, next=3)
    firm.post(30)
    holds(lambda: bool(firm.states().get("sending")))
    (file,) = Path(one.data_dir).glob("**/postmaster.pid")
    os.kill(int(file.read_text().splitlines()[0]), signal.SIGQUIT)
    for number in range(100, 110):
        post_until_taken(firm, firm.event(number))

    firm.delivered(80)
    assert (len(firm.records("Lead")), len(firm.records("Task"))) == (40, 40)
    assert set(firm.outcomes()) <= {"created", "found", "updated", "uncertain"}
    assert ledger(one.hub, firm.home.tenant_id).problems == ()
