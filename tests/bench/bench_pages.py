"""Measure every page of a company with 100,000 voicemails and 300,000 deliveries, as its owner gets them over HTTP.

Run it with ``python -m tests.bench.bench_pages``. The hub is served as in production, its caches included; the browser
is a client that asks for one page after another. The first answer of each page after the start is told apart.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from hub import embedded
from hub.context import Hub, open_hub
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.db.mappings import FieldMapping
from hub.db.migrate import migrate
from hub.settings import load
from tests.bench.bench_accept import serving
from tests.bench.filling import PASSWORD, Filled, fill

VOICEMAILS = 100_000
TIMES = 20


def pages(hub: Hub, filled: Filled) -> dict[str, str]:
    """Give the pages by name: those of the navigation, each list with its filters, and one of each thing."""
    with hub.tenant(filled.tenant_id) as session:
        event_id = session.scalars(select(StoredEvent.id).order_by(StoredEvent.id.desc())).first()
        delivery_id = session.scalars(select(Delivery.id).order_by(Delivery.id.desc())).first()
        connection_id = session.scalars(select(Connection.id)).first()
        mapping_id = session.scalars(select(FieldMapping.id)).first()
    inbox = "/voicemails?tab=all"
    return {
        "overview": "/",
        "overview, 3 months": "/?days=92",
        "inbox": "/voicemails",
        "inbox, needs a person": "/voicemails?tab=needs",
        "inbox, all": inbox,
        "inbox, urgent first": f"{inbox}&order=urgent",
        "inbox, a bucket": f"{inbox}&bucket=billing",
        "inbox, critical": f"{inbox}&urgency=critical",
        "inbox, parked": f"{inbox}&state=parked",
        "inbox, has called before": f"{inbox}&caller=known",
        "inbox, first call": f"{inbox}&caller=new",
        "inbox, several filters": f"{inbox}&bucket=billing&urgency=high&caller=new",
        "inbox, a month": f"{inbox}&since=2026-06-01&until=2026-06-30",
        "inbox, a rare language": f"{inbox}&language=de",
        "voicemail": f"/voicemails/{event_id}",
        "delivery": f"/deliveries/{delivery_id}",
        "needs you": "/needs-you",
        "mappings": "/mappings",
        "mapping, form": f"/mappings/{mapping_id}",
        "mapping, YAML": f"/mappings/{mapping_id}?view=yaml",
        "mapping, versions": f"/mappings/{mapping_id}/versions",
        "new mapping": "/mappings/new",
        "approval": "/mappings/approval",
        "connections": "/connections",
        "connect": "/connections/new",
        "connection": f"/connections/{connection_id}",
        "disconnect": f"/connections/{connection_id}/disconnect",
        "sync": "/sync",
        "sync, rows": f"/sync/{connection_id}",
        "sync, delivered leads": f"/sync/{connection_id}?state=delivered&object=Lead",
        "send again": "/send-again",
        "company": "/settings/company",
        "telephone": "/settings/telephone",
        "urgency": "/settings/urgency",
        "try a call": "/settings/telephone/try",
        "notifications": "/notifications",
        "people": "/settings/people",
        "keys": "/settings/keys",
        "audit": "/settings/audit",
        "audit, a rare action": "/settings/audit?action=mapping.saved",
        "audit, a person": f"/settings/audit?actor=person:{filled.person_id}",
        "account": "/settings/account",
    }


def sign_in(client: httpx.Client, email: str) -> None:
    """Sign in through the form, as a person does."""
    page = client.get("/sign-in").raise_for_status().text
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    form = {"csrf": found.group(1), "email": email, "password": PASSWORD}
    answer = client.post("/sign-in", data=form)
    assert answer.is_redirect, answer.text[:500]


def timed(client: httpx.Client, path: str) -> tuple[float, int]:
    """Ask for a page; gives milliseconds and bytes as they were sent."""
    began = time.perf_counter()
    with client.stream("GET", path) as answer:
        size = sum(len(part) for part in answer.iter_raw())
    took_ms = (time.perf_counter() - began) * 1_000
    if answer.status_code != 200:
        raise RuntimeError(f"{path} is answered with {answer.status_code}")
    return took_ms, size


def measure(voicemails: int = VOICEMAILS) -> dict[str, Any]:
    """Give ``pages``: by name the first, median and worst milliseconds, and bytes; and the worst of all medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        services = embedded.start(load(data_dir=folder, database_url=None, redis_url=None))
        try:
            here = {
                "data_dir": folder,
                "database_url": services.database_url,
                "redis_url": services.redis_url,
            }
            hub = open_hub(load(**here))
            migrate(hub.engine)
            filled = fill(hub, voicemails)
            environment = {f"AFTERBEEP_{key.upper()}": str(value) for key, value in here.items()}
            with serving("hub.app:wsgi()", environment) as port:
                found = _all(port, pages(hub, filled), filled.email)
        finally:
            services.stop()
    worst = max(found.values(), key=lambda one: one["p50_ms"])
    return {
        "pages": found,
        "pages_worst_p50_ms": worst["p50_ms"],
        "pages_worst_first_ms": max(one["first_ms"] for one in found.values()),
    }


def _all(port: int, wanted: dict[str, str], email: str) -> dict[str, dict[str, float]]:
    found = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        sign_in(client, email)
        for name, path in wanted.items():
            first_ms, size = timed(client, path)
            took = sorted(timed(client, path)[0] for _ in range(TIMES))
            found[name] = {
                "first_ms": round(first_ms, 1),
                "p50_ms": round(took[TIMES // 2], 1),
                "most_ms": round(took[-1], 1),
                "bytes": size,
            }
    return found


if __name__ == "__main__":
    json.dump(measure(int((sys.argv[1:] or [VOICEMAILS])[0])), sys.stdout, indent=2)
