"""Measure how many events the hub takes durably, beside bare Flask and PostgreSQL in the same run.

Run it with ``python -m tests.bench.bench_accept``. Client, gunicorn and PostgreSQL share the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg

from hub import embedded
from hub.context import Hub, open_hub
from hub.db import mappings
from hub.db.base import new_id
from hub.db.connections import Connection
from hub.db.keys import Scope, create
from hub.db.migrate import migrate
from hub.db.tenants import Tenant
from hub.processes import free_port
from hub.settings import load
from mappings.document import load as load_mapping
from tests.bench.posting import Load, post_for, request

PROCESSES, THREADS, CONNECTIONS = 2, 8, 10
SECONDS = 4.0
MAPPING = """
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
steps:
  - id: lead
    object: Lead
    match: {Phone: {from: caller.phone, as: e164}}
    set:
      LastName: {from: [caller.name.family, caller.name.full], or: Unknown}
      Company: {from: caller.company, or: "[not given]"}
      Phone: {from: caller.phone, as: e164}
      Description: {text: "{summary}", max: 32000}
  - id: callback
    object: Task
    set:
      WhoId: {id_of: lead}
      Subject: {text: "Call back {caller.name.full}"}
"""


def event(name: str) -> dict[str, Any]:
    """Give a voicemail of ordinary size."""
    said = "Hi, this is Dana Whitfield, water is coming through the kitchen ceiling, please call."
    return {
        "specversion": "1.0",
        "id": name,
        "source": "/voice/lines/main",
        "type": "com.afterbeep.voicemail.completed.v1",
        "time": "2026-11-20T16:03:53Z",
        "data": {
            "call": {
                "id": name,
                "from": "+14155550132",
                "to": "+14155550100",
                "started_at": "2026-11-20T16:03:11Z",
                "duration_s": 41.0,
            },
            "caller": {
                "name": {"full": "Dana Whitfield", "given": "Dana", "family": "Whitfield"},
                "phone": "+14155550132",
                "email": "dana@whitfield.example",
            },
            "language": "en-US",
            "bucket": "new_lead",
            "bucket_confidence": 0.93,
            "urgency": {
                "score": 45,
                "level": "normal",
                "reasons": [{"line": "Water is escaping", "points": 45, "evidence": said}],
            },
            "lead_score": 72,
            "reason": "Water leak",
            "callback": {"number": "+14155550132"},
            "summary": "Dana Whitfield: water through the kitchen ceiling",
            "transcript": {"segments": [{"speaker": "caller", "start_s": 3.2, "text": said}]},
        },
    }


@contextmanager
def serving(app: str, environment: dict[str, str]) -> Iterator[int]:
    """Serve an application with gunicorn as the hub is served; gives the port."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", app, "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "hub.serving.Worker", "--keep-alive", "75", "--log-level", "error"),
        *("--workers", str(PROCESSES), "--threads", str(THREADS)),
    ]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until both processes have loaded the application: gunicorn listens before that."""
    until = time.monotonic() + 60
    answered = 0
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30)
        except httpx.TransportError:
            answered = 0
        else:
            answered += 1
        if answered == 20:
            time.sleep(3)  # the other process began at the same time
            return
        time.sleep(0.05)
    raise RuntimeError("gunicorn did not start")


def tenant_with_key(hub: Hub) -> str:
    """Make a tenant whose voicemails lead to two deliveries each; gives an API key."""
    tenant_id = new_id("ten")
    with hub.everyone("the benchmark makes a tenant") as session:
        session.add(Tenant(id=tenant_id, slug=tenant_id, name="Harbor Home Services"))
    with hub.tenant(tenant_id) as session:
        connection = Connection(
            connector="salesforce", label="Benchmark", login_url="http://127.0.0.1"
        )
        session.add(connection)
        session.flush()
        mappings.save(
            session,
            connection_id=connection.id,
            name="Lead",
            document=load_mapping(MAPPING),
            source=MAPPING,
            author="command",
        )
    with hub.tenant(tenant_id) as session:
        return create(session, name="Benchmark", scopes=[Scope.EVENTS_WRITE]).secret


def one_by_one(port: int, secret: str, run: str) -> Load:
    """Post events one by one on ten connections."""

    def requests_of(connection: int) -> Iterator[bytes]:
        for number in count():
            body = json.dumps(event(f"{run}-{connection}-{number}")).encode()
            yield request("/v1/events", "application/cloudevents+json", body, secret)

    return post_for(SECONDS, port, requests_of, connections=CONNECTIONS)


def batched(port: int, secret: str, run: str) -> Load:
    """Post batches of a hundred events on four connections."""

    def requests_of(connection: int) -> Iterator[bytes]:
        for number in count():
            name = f"{run}-{connection}-{number}"
            body = json.dumps([event(f"{name}-{index}") for index in range(100)]).encode()
            yield request("/v1/events", "application/cloudevents-batch+json", body, secret)

    return post_for(SECONDS, port, requests_of, connections=4)


def bare(port: int) -> Load:
    """Post the same events to the yardstick."""

    def requests_of(connection: int) -> Iterator[bytes]:
        for number in count():
            body = json.dumps(event(f"{connection}-{number}")).encode()
            yield request("/v1/events", "application/json", body)

    return post_for(SECONDS, port, requests_of, connections=CONNECTIONS)


def measure() -> dict[str, float]:
    """Give ``accept_per_s``, ``accept_batched_per_s`` and ``accept_bare_per_s``, all events per second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        services = embedded.start(load(data_dir=folder, database_url=None, redis_url=None))
        try:
            return _measure(folder, services)
        finally:
            services.stop()


def _measure(folder: Path, services: embedded.Services) -> dict[str, float]:
    environment = {
        "AFTERBEEP_DATA_DIR": str(folder),
        "AFTERBEEP_DATABASE_URL": services.database_url,
        "AFTERBEEP_REDIS_URL": services.redis_url,
        "AFTERBEEP_EVENTS_PER_MINUTE": "100000000",
        "BARE_DATABASE_URL": services.database_url,
    }
    hub = open_hub(
        load(data_dir=folder, database_url=services.database_url, redis_url=services.redis_url)
    )
    migrate(hub.engine)
    with psycopg.connect(services.database_url, autocommit=True) as database:
        database.execute(
            "create table bare_events (id bigserial primary key, name text, body bytea)"
        )
        database.execute(
            "create table bare_deliveries (id bigserial primary key, event bigint, step text)"
        )
    secret = tenant_with_key(hub)
    with serving("hub.app:wsgi()", environment) as port:
        _expect(one_by_one(port, secret, "warm"), 202)
        single = _expect(one_by_one(port, secret, "one"), 202)
        many = _expect(batched(port, secret, "many"), 202)
    with serving("tests.bench.bare_app:app", environment) as port:
        plain = _expect(bare(port), 202)
    hub.engine.dispose()
    return {
        "accept_per_s": round(single.per_s),
        "accept_batched_per_s": round(many.per_s * 100),
        "accept_bare_per_s": round(plain.per_s),
        "accept_vs_bare": round(single.per_s / plain.per_s, 2),
    }


def _expect(found: Load, status: int) -> Load:
    if set(found.statuses) != {status}:
        raise AssertionError(f"expected only {status}, got {dict(found.statuses)}")
    return found


if __name__ == "__main__":
    print(json.dumps(measure()))  # noqa: T201 - the figures are what this command is for
