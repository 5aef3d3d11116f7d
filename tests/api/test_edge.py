"""What holds for every answer: headers, request ids, logs, probes and metrics."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine

from hub import log
from hub.app import create_app
from hub.context import Hub
from hub.settings import Settings
from tests.api.calling import BATCH, Program, data, event
from tests.api.conftest import Mapped


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where the log is written during a test."""
    stream = io.StringIO()
    log.configure(level="debug", stream=stream)
    yield stream
    log.configure()


def test_answers_are_safe_by_default(caller: Program) -> None:
    """No sniffing, no framing, no keeping, no other origins."""
    for answer in (caller.get("/v1/events"), caller.client.get("/v1/nothing")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_unknown_paths_of_the_api_are_problems(caller: Program) -> None:
    """404 and 405 are JSON under /v1/, with the methods that would do; pages stay pages."""
    missing = caller.get("/v1/nothing")
    wrong = caller.call("DELETE", "/v1/events")
    page = caller.client.get("/nothing-here")

    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    assert (wrong.status_code, wrong.content_type) == (405, "application/problem+json")
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].split(", "))
    assert page.mimetype == "text/html"


def test_a_request_id_goes_through(caller: Program) -> None:
    """The sender's own when it is a plain one, else one of ours; problems name it."""
    kept = caller.call("GET", "/v1/nothing", headers={"X-Request-Id": "trace-12345678"})
    made = caller.call("GET", "/v1/nothing", headers={"X-Request-Id": "two words\tmore"})

    assert kept.headers["X-Request-Id"] == kept.json["request_id"] == "trace-12345678"
    assert made.headers["X-Request-Id"].startswith("req_")


def test_each_request_is_one_line_without_anything_personal(
    mapped: Mapped, lines: io.StringIO
) -> None:
    """Ids and figures only: no number, name, address, word, query or key."""
    said = data(
        call={"id": "CA7", "from": "+14155550132"},
        caller={
            "name": {"full": "Zebulon Quillfeather", "family": "Quillfeather"},
            "phone": "+14155550132",
            "email": "zeb@quillfeather.example",
        },
        summary="Quillfeather wants a plumber",
        transcript={"segments": [{"text": "The ceiling is a waterfall"}]},
    )
    mapped.caller.post(event(data=said, source="/lines/zebulon"))
    mapped.caller.post([event(data=said), event(data=said | {"bucket": "x"})], BATCH)
    mapped.caller.post(event(data=said | {"caller": {"phone": "0170 5550132"}}))
    mapped.caller.get("/v1/events", source="/lines/zebulon")
    mapped.caller.get("/v1/events/zebulon@quillfeather.example")

    text = lines.getvalue()
    answered = [json.loads(line) for line in text.splitlines() if "request answered" in line]
    assert [line["route"] for line in answered] == ["/v1/events"] * 4 + ["/v1/events/<id>"]
    assert all(line["tenant_id"] == mapped.caller.tenant_id for line in answered)
    assert all(line["request_id"].startswith("req_") for line in answered)
    for personal in ("uillfeather", "ebulon", "5550132", "waterfall", "plumber", "ab_live_"):
        assert personal not in text


def test_nothing_of_one_request_is_in_the_lines_of_the_next(
    caller: Program, lines: io.StringIO
) -> None:
    """What was bound to the log is cleared."""
    caller.get("/v1/events")
    caller.client.get("/v1/events")

    last = json.loads(lines.getvalue().splitlines()[-1])
    assert last["status"] == 401
    assert "tenant_id" not in last


def test_a_dead_database_is_a_503_that_says_that_nothing_was_taken(
    hub: Hub, caller: Program
) -> None:
    """With when to try again; readiness is down, health is not."""
    dead = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", pool_pre_ping=True)
    client = create_app(dataclasses.replace(hub, engine=dead)).test_client()
    headers = {"Authorization": f"Bearer {caller.key.secret}"}

    answer = client.post("/v1/events", json={}, headers=headers)
    ready = client.get("/readyz")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert (ready.status_code, ready.json["status"]) == (503, "down")
    assert client.get("/healthz").status_code == 200
    assert b"afterbeep_database_up 0.0" in client.get("/metrics").data


def figures(caller: Program) -> dict[str, float]:
    """Read the metrics by name and labels."""
    text = caller.client.get("/metrics").text
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) ([\d.e+-]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_metrics_count_events_requests_and_rows(mapped: Mapped) -> None:
    """What is posted shows in the counters; connections show their state and budget."""
    name = 'afterbeep_events_total{bucket="billing",status="accepted"}'
    before = figures(mapped.caller).get(name, 0)
    for _ in range(3):
        mapped.caller.take(data=data(bucket="billing"))

    after = figures(mapped.caller)

    assert after[name] - before == 3
    posted = 'afterbeep_http_request_duration_seconds_count{method="POST",route="/v1/events",status="202"}'
    assert after[posted] >= 3
    assert after["afterbeep_database_up"] == 1


def test_metrics_are_for_this_machine_or_for_who_has_the_token(hub: Hub, caller: Program) -> None:
    """A proxy speaks for others, so it needs the token too."""
    client = caller.client
    settings = Settings(**hub.settings.model_dump() | {"metrics_token": "let-me-see"})
    guarded = create_app(dataclasses.replace(hub, settings=settings)).test_client()

    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    outside = {"REMOTE_ADDR": "203.0.113.7"}
    assert client.get("/metrics", environ_base=outside).status_code == 403
    assert guarded.get("/metrics").status_code == 403
    right = {"Authorization": "Bearer let-me-see"}
    assert guarded.get("/metrics", headers=right, environ_base=outside).status_code == 200


def test_a_proxy_is_believed_only_when_a_setting_says_so(hub: Hub) -> None:
    """Who calls cannot choose their own address."""

    def seen(**settings: int) -> str:
        mine = Settings(**hub.settings.model_dump() | settings)
        app = create_app(dataclasses.replace(hub, settings=mine))
        with app.test_client() as client:
            from flask import request

            client.get("/healthz", headers={"X-Forwarded-For": "203.0.113.7"})
            return request.remote_addr

    assert seen() == "127.0.0.1"
    assert seen(trusted_proxies=1) == "203.0.113.7"
