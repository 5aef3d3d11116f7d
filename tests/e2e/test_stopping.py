"""An installation that is told to stop under load finishes what it has begun, and leaves nothing in doubt."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import func, select

from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from tests.e2e.installation import Installation, installation, until, voicemail

pytestmark = pytest.mark.processes


class Caller:
    """Posts voicemails one by one, each on a connection of its own, until the hub refuses connections."""

    def __init__(self, one: Installation, first: int) -> None:
        """Begin to post."""
        self._one, self._first = one, first
        self.answers: Counter[int] = Counter()
        self.broken: list[str] = []
        self.is_refused = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        """Wait until it is refused."""
        self._thread.join(60)

    def _run(self) -> None:
        headers = {
            "Authorization": f"Bearer {self._one.home.api_key}",
            "Content-Type": "application/cloudevents+json",
        }
        number = self._first
        while not self.is_refused:
            number += 1
            try:
                answer = httpx.post(
                    f"{self._one.url}/v1/events",
                    json=voicemail(number),
                    headers=headers,
                    timeout=30,
                    trust_env=False,
                )
            except httpx.ConnectError:
                self.is_refused = True
            except httpx.HTTPError as err:
                self.broken.append(f"{type(err).__name__}: {err}")
            else:
                self.answers[answer.status_code] += 1


def test_stopping_under_load_loses_no_request_and_leaves_no_row_in_doubt(folder: Path):
    """Whoever was let in is answered well, batches are finished, and every accepted event is there."""
    with installation(folder, "hubspot") as one:
        box = one.boxes["hubspot"]
        callers = [Caller(one, first) for first in (0, 10_000, 20_000)]
        assert until(lambda: one.states().get("delivered", 0) > 20)
        box.fault(kind="slow", seconds=1.5, next=4)
        assert until(lambda: one.states().get("sending", 0) > 0)

        # A connection that stays open keeps the hub's processes for a while, with others still coming.
        with httpx.Client(trust_env=False) as idle:
            idle.get(f"{one.url}/healthz")
            one.process.send_signal(signal.SIGTERM)
            code = one.process.wait(60)
        for caller in callers:
            caller.join()

        answers = sum((caller.answers for caller in callers), Counter[int]())
        assert code == 0
        assert [caller.broken for caller in callers] == [[], [], []]
        assert set(answers) == {202}
        with one.hub.tenant(one.home.tenant_id) as session:
            stored = session.scalar(select(func.count(StoredEvent.id)))
            uncertain = session.scalar(select(func.count(Delivery.id)).where(Delivery.is_uncertain))
        assert stored == answers[202]
        assert uncertain == 0
        assert "sending" not in one.states()


def test_a_worker_finishes_its_batch_and_a_second_signal_ends_it_at_once(folder: Path):
    """After one SIGTERM it settles what it holds; after another it goes, and its rows are taken back."""
    with installation(folder, "hubspot", AFTERBEEP_WORKER_PROCESSES="1") as one:
        one.boxes["hubspot"].fault(kind="slow", seconds=25, next=1)
        one.post(5)
        assert until(lambda: one.states().get("sending", 0) > 0)
        [worker] = one.workers()
        worker.send_signal(signal.SIGTERM)
        time.sleep(1.5)  # RQ takes a second signal within a second for the first
        is_patient = worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE
        worker.send_signal(signal.SIGTERM)
        assert until(lambda: worker.pid not in {each.pid for each in one.workers()}, within_s=15)

        assert is_patient
        assert until(one.is_settled)
        assert one.states() == {"delivered": 10}
        assert one.boxes["hubspot"].stats()["duplicate_keys"] == []
