"""The short way for one event gives the answers of the long way."""

from __future__ import annotations

import json

import pytest
from flask import Flask

from hub.api import limits
from hub.context import Hub
from hub.db.keys import Scope, hash_secret
from hub.quick import ShortWay
from tests.api.calling import Program, data, event, program
from tests.conftest import Company


class Counted:
    """The long way, counting how often it is gone."""

    def __init__(self, app: Flask) -> None:
        """Begin at none."""
        self.way = app.wsgi_app._otherwise
        self.times = 0

    def __call__(self, environ, start_response):
        """Count and go on."""
        self.times += 1
        return self.way(environ, start_response)


@pytest.fixture
def long_way(app: Flask):
    """Count what goes the long way during a test."""
    short = app.wsgi_app
    counted = Counted(app)
    app.wsgi_app = ShortWay(app, short._hub, counted)
    yield counted
    app.wsgi_app = short


@pytest.fixture
def known(app: Flask, caller: Program, long_way: Counted) -> Program:
    """A program whose key is remembered and has units charged ahead, however slow the machine is."""
    caller.post(event())
    app.extensions["afterbeep.limits"]._bought[f"events:{caller.key.id}"].until = float("inf")
    held = app.extensions["afterbeep.keys"]._held
    secret_hash = hash_secret(caller.key.secret)
    held[secret_hash] = (float("inf"), held[secret_hash][1])
    long_way.times = 0
    return caller


def shape(answer) -> tuple:
    """Give what must be equal: status, header names and fixed values, and the body without ids."""
    changing = {"X-Request-Id", "Location", "RateLimit", "Content-Length"}
    headers = {name: value for name, value in answer.headers.items() if name not in changing}
    body = {name: value for name, value in answer.json.items() if name not in {"id", "links"}}
    return answer.status_code, headers, set(answer.headers.keys()), body, set(answer.json)


def test_both_ways_answer_alike(app: Flask, known: Program, long_way: Counted) -> None:
    """The same status, headers and body, for a new event and for one that is known."""
    sent = event()
    short = [known.post(sent), known.post(sent)]
    assert long_way.times == 0
    charset = "application/cloudevents+json; charset=utf-8"  # is not plain enough for the short way
    other = event()
    long = [known.post(other, charset), known.post(other, charset)]
    assert long_way.times == 2

    assert [answer.status_code for answer in short] == [202, 200]
    assert [shape(answer) for answer in short] == [shape(answer) for answer in long]


def test_an_event_of_the_short_way_is_stored(known: Program, long_way: Counted) -> None:
    """It can be read, and its request id is kept."""
    answer = known.call(
        "POST",
        "/v1/events",
        data=json.dumps(event("short")).encode(),
        content_type="application/cloudevents+json",
        headers={"X-Request-Id": "trace-87654321"},
    )

    assert long_way.times == 0
    assert answer.headers["X-Request-Id"] == "trace-87654321"
    found = known.get("/v1/events", event_id="short").json["items"]
    assert [item["id"] for item in found] == [answer.json["id"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (json.dumps(event(data=data(bucket="gossip"))).encode(), 422),
        (b" " * 1_048_577, 413),
    ],
)
def test_what_is_wrong_is_said_by_the_long_way(
    known: Program, long_way: Counted, body: bytes, status: int
) -> None:
    """With the whole problem."""
    answer = known.post(body)

    assert (answer.status_code, long_way.times) == (status, 1)
    assert answer.content_type == "application/problem+json"


def test_a_conflict_is_said_by_the_long_way(known: Program, long_way: Counted) -> None:
    """409, and nothing changed."""
    known.post(event("taken"))

    assert known.post(event("taken", subject="other")).status_code == 409
    assert long_way.times == 1


def test_a_key_without_the_scope_goes_the_long_way(
    app: Flask, hub: Hub, company: Company, long_way: Counted
) -> None:
    """And is refused there, however often it comes."""
    reader = program(app, hub, company.tenant_id, [Scope.EVENTS_READ])
    reader.get("/v1/events")

    assert reader.post(event()).status_code == 403


def test_the_short_way_spends_what_was_charged_ahead(app: Flask, known: Program) -> None:
    """Nobody gets more than the limit by it."""
    shared: limits.Limits = app.extensions["afterbeep.limits"]
    before = shared._bought[f"events:{known.key.id}"].units
    known.post(event())

    assert shared._bought[f"events:{known.key.id}"].units == before - 1
