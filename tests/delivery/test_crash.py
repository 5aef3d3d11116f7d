"""Real processes, killed at the worst moment: nothing is lost and nothing is written twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.context import Hub
from hub.db.deliveries import Delivery, State
from hub.delivery.ledger import ledger
from tests.delivery.connected import LEAD, LEAD_AND_TASK, Connected, voicemail
from tests.delivery.test_send import drain_all, hurry, rows

pytestmark = pytest.mark.processes


def worker(connected: Connected, root: Path) -> subprocess.Popen[str]:
    """Start a process that drains the connection."""
    settings = connected.hub.settings
    return subprocess.Popen(
        [sys.executable, "-m", "tests.delivery.drain_process", connected.connection.id],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "AFTERBEEP_DATABASE_URL": settings.database_url.get_secret_value(),
            "AFTERBEEP_REDIS_URL": settings.redis_url.get_secret_value(),
            "AFTERBEEP_DATA_DIR": str(settings.data_dir),
            "AFTERBEEP_ALLOW_LOOPBACK_VENDORS": "1",
            "AFTERBEEP_LEASE_S": "1",
        },
    )


def wait_until(condition, *, seconds: float = 20) -> None:
    """Wait for something to become true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process without warning and clean up behind it."""
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize(
    ("moment", "fault"),
    [
        ("before the vendor wrote", {"kind": "slow", "seconds": 2.0}),
        ("after the vendor wrote", {"kind": "slow", "seconds": 2.0}),
    ],
)
def test_a_killed_worker_loses_and_repeats_nothing(
    moment: str, fault: dict, connected: Connected, hub: Hub, root: Path
) -> None:
    """SIGKILL in mid-batch and a wiped Redis: every lead is there once, and the sums agree."""
    connected.publish(LEAD)
    connected.accept(*(voicemail(number) for number in range(100)))
    hurry(connected)
    connected.sandbox.fault(path="/composite/sobjects/Lead", **fault)
    process = worker(connected, root)
    wait_until(lambda: {row.state for row in rows(connected)} == {State.SENDING})
    if moment == "after the vendor wrote":
        wait_until(lambda: len(connected.sandbox.records("Lead", limit=1000)) == 100)

    end(process)
    hub.redis.flushall()
    wait_until(lambda: len(connected.sandbox.records("Lead", limit=1000)) in {0, 100})
    drain_all(connected, seconds=30)

    leads = connected.sandbox.records("Lead", limit=1000)
    found = ledger(hub, connected.company.tenant_id)
    assert len(leads) == 100
    assert {row.state for row in rows(connected)} == {State.DELIVERED}
    assert {row.record_id for row in rows(connected)} == {lead["id"] for lead in leads}
    assert found.problems == ()


def test_a_worker_killed_again_and_again_finishes(
    connected: Connected, hub: Hub, root: Path
) -> None:
    """Leads with tasks, a worker killed at ten moments and Redis wiped each time: one record a step."""
    connected.publish(LEAD_AND_TASK)
    connected.accept(*(voicemail(number) for number in range(60)))
    connected.sandbox.fault(kind="slow", seconds=0.05, rate=1.0)
    for moment in range(10):
        hurry(connected)
        process = worker(connected, root)
        process.stdout.readline()
        time.sleep(0.04 * moment)
        end(process)
        hub.redis.flushall()
    connected.sandbox.clear_faults()

    drain_all(connected, seconds=30)

    leads = connected.sandbox.records("Lead", limit=1000)
    tasks = connected.sandbox.records("Task", limit=1000)
    assert (len(leads), len(tasks)) == (60, 60)
    assert {task["fields"]["WhoId"] for task in tasks} == {lead["id"] for lead in leads}
    assert ledger(hub, connected.company.tenant_id).problems == ()


def test_two_workers_never_hold_the_same_row(connected: Connected, hub: Hub, root: Path) -> None:
    """Four processes drain one connection at once: each row has one attempt."""
    connected.publish(LEAD)
    connected.accept(*(voicemail(number) for number in range(100)))
    hurry(connected)
    processes = [worker(connected, root) for _ in range(4)]
    for process in processes:
        assert process.wait(timeout=60) == 0
        process.stdout.close()
    drain_all(connected)

    with hub.tenant(connected.company.tenant_id) as session:
        attempts = session.scalars(select(Delivery.attempts)).all()
    assert set(attempts) == {1}
    assert len(connected.sandbox.records("Lead", limit=1000)) == 100
