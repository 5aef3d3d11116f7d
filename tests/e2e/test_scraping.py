"""What a scrape of one hub process tells of a whole installation that has worked."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from hub.db.connections import Connection
from hub.metrics.gauges import GAUGES
from hub.tally.families import COUNTERS, HISTOGRAMS
from tests.e2e.installation import Installation, installation, until

pytestmark = pytest.mark.processes

_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


def scrape(one: Installation) -> str:
    """Ask the hub as Prometheus does."""
    answer = httpx.get(f"{one.url}/metrics", timeout=30, trust_env=False)
    return answer.raise_for_status().text


def total(text: str, name: str, **labels: str) -> float:
    """Add up a metric over all label values that fit."""
    found = 0.0
    for sample, inside, value in _SAMPLE.findall(text):
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', inside))
        if sample == f"afterbeep_{name}" and labels.items() <= pairs.items():
            found += float(value)
    return found


def test_one_scrape_tells_what_all_processes_did(folder: Path):
    """Two hub processes, two workers and a sweep count together, under the names that are declared."""
    number = 150
    with installation(folder, "hubspot", AFTERBEEP_HUB_PROCESSES="2") as one:
        box = one.boxes["hubspot"]
        box.fault(kind="status", status=429, method="POST", next=1)
        one.post(number)
        with one.hub.tenant(one.home.tenant_id) as session:
            connection_id = session.query(Connection.id).scalar()
        httpx.post(f"{one.url}/hooks/{connection_id}", content=b"{}", trust_env=False)
        assert until(one.is_settled)
        rows = sum(one.states().values())
        assert until(
            lambda: total(scrape(one), "deliveries_settled_total", state="delivered") == rows
        )
        assert until(lambda: total(scrape(one), "workers") == 2)
        text = scrape(one)

    names = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    declared = {
        *(f"afterbeep_{one.name}_total" for one in COUNTERS),
        *(f"afterbeep_{one.name}" for one in (*HISTOGRAMS, *GAUGES)),
    }
    assert names == declared
    assert total(text, "events_total", status="accepted") == number
    assert total(text, "attempts_total", connector="hubspot", outcome="created") > 0
    assert total(text, "refusals_total", connector="hubspot", error="throttled", by="vendor") > 0
    assert total(text, "batch_rows_sum", connector="hubspot") >= rows
    assert total(text, "batch_calls_count") == total(text, "batch_rows_count")
    assert total(text, "vendor_call_seconds_count", connector="hubspot", status="429") == 1
    assert total(text, "delivery_seconds_count", connector="hubspot") == rows
    assert total(text, "api_calls_total", connector="hubspot") > 0
    assert total(text, "budget_granted", connector="hubspot") > 0
    assert total(text, "jobs_total", job="drain", result="done") > 0
    assert total(text, "webhooks_in_total", connector="hubspot") == 1
    assert total(text, "sweep_seconds_count") > 0
    assert total(text, "connection_state", state="healthy") == 1
    assert (total(text, "database_up"), total(text, "redis_up")) == (1, 1)
    assert not re.search(r"ten_|Whitfield|\+1\d|@", text)
