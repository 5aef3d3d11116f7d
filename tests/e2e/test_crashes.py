"""Nothing is lost and nothing twice, whatever dies."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from hub.delivery.ledger import ledger
from tests.e2e.installation import family, installation, survivors, until

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("vendor", ["salesforce", "hubspot"])
def test_a_killed_worker_and_a_wiped_redis_lose_and_double_nothing(folder: Path, vendor: str):
    """Workers die in mid-batch, answers get lost, Redis is emptied; each step has one record in the end."""
    number = 300
    with installation(folder, vendor) as one:
        box = one.boxes[vendor]
        box.fault(kind="slow", seconds=0.8, next=4)
        box.fault(kind="cut_after", method="POST", next=2)
        one.post(number)
        assert until(lambda: one.states().get("sending", 0) > 0)
        for worker in one.workers():
            worker.kill()
        one.hub.redis.flushall()
        assert until(lambda: len(one.workers()) == 2)
        assert until(lambda: one.states().get("sending", 0) > 0 or one.is_settled())
        for worker in one.workers():
            worker.kill()
        assert until(one.is_settled, within_s=60)

        assert one.states() == {"delivered": 2 * number}
        stats = box.stats()
        assert stats["duplicate_keys"] == []
        assert sum(stats["records"].values()) == 2 * number
        assert ledger(one.hub, one.home.tenant_id).problems == ()


def test_a_killed_supervisor_leaves_no_process_behind(folder: Path):
    """After SIGKILL the guardian stops hub, workers, sweep and Redis; PostgreSQL goes with its last user."""
    with installation(folder) as one:
        members = family(psutil.Process(one.process.pid), one.data_dir)
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()

        # This test uses the database too, so that PostgreSQL may not be stopped under it.
        ours = [member for member, name in members.items() if not name.startswith("postgres")]
        assert len(ours) >= 8
        assert until(lambda: not survivors(ours))
    assert until(lambda: not survivors(members))
