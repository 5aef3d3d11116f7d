"""Times that callers are offered, from a connected calendar in miniature: free ones, within budget and patience."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from connectors.record import Write
from connectors.registry import connector
from hub.context import Hub
from hub.db.base import new_id
from hub.db.connections import Connection, Health
from hub.delivery.account import Line
from hub.delivery.budget import Budget
from hub.voice import times
from tests.api.speaking import Speaker, speaker
from tests.conftest import new_company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect

#: A Monday, far enough ahead for everything.
MONDAY = datetime(2029, 3, 5, tzinfo=UTC)
CALENDAR = connector("google_calendar")
DAY = {"from": "2029-03-05T00:00:00Z", "days": "1"}


@pytest.fixture(name="google", scope="module")
def _google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running.sandbox("google_calendar", tmp_path_factory.mktemp("google")) as box:
        yield box


@pytest.fixture(name="connected")
def _connected(hub: Hub, google: Sandbox) -> Iterator[Connected]:
    """A company in London with a calendar."""
    google.clear_faults()
    hub.redis.flushall()
    yield connect(hub, new_company(hub, timezone="Europe/London"), google)
    google.clear_faults()


@pytest.fixture
def voice(app: Flask, connected: Connected) -> Speaker:
    """The voice front end acting for that company."""
    setting(connected, business_hours={"mon": "09:00-12:00", "tue": "09:00-10:00"})
    return speaker(app.test_client(), connected.company.tenant_id)


def setting(connected: Connected, **settings: object) -> None:
    """Set something for the connection."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(
            update(Connection).values(settings={"time_zone": "Europe/London"} | settings)
        )


def asked(voice: Speaker, **query: str) -> list[str]:
    """Give the hours and minutes that are offered on the Monday."""
    answer = voice.get("/v1/voice/times", **(DAY | query))
    assert answer.status_code == 200, answer.text
    assert answer.json["timezone"] == "Europe/London"
    return [one[11:16] for one in answer.json["times"]]


def book(connected: Connected, start: int, end: int) -> None:
    """Put something into the calendar of the Monday, from one hour to another."""
    begins, ends = ((MONDAY + timedelta(hours=hour)).isoformat() for hour in (start, end))
    fields = {"start": begins, "end": ends, "summary": "Dentist"}
    line = Line(connected.hub, connected.refreshed(), Budget(connected.hub))
    [done] = line.call(
        lambda account: CALENDAR.write(account, [Write(new_id("key"), "event", fields)])
    )
    assert done.record is not None


def test_free_times_of_the_calendar_are_offered(voice: Speaker, connected: Connected) -> None:
    """What is busy is left out; asking takes nothing, so that the same is free again."""
    before = asked(voice)
    connected.sandbox.post("clear")
    book(connected, 9, 11)

    assert before == ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30"]
    assert asked(voice) == asked(voice) == ["11:00", "11:30"]
    assert asked(voice, duration_minutes="60") == ["11:00"]
    assert asked(voice, **{"from": "2029-03-04T00:00:00Z"}) == []
    connected.sandbox.post("clear")


def test_of_several_days_each_has_some(voice: Speaker) -> None:
    """A caller can choose the day."""
    answer = voice.get("/v1/voice/times", **(DAY | {"days": "9"}))

    assert [one[:16] for one in answer.json["times"]] == [
        "2029-03-05T09:00",
        "2029-03-05T10:30",
        "2029-03-06T09:00",
        "2029-03-06T09:30",
        "2029-03-12T09:00",
        "2029-03-12T10:30",
    ]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "rate": 1.0},
        {"kind": "status", "status": 429, "rate": 1.0},
        {"kind": "malformed", "rate": 1.0},
        {"kind": "html", "rate": 1.0},
        {"kind": "cut_before", "rate": 1.0},
    ],
)
def test_a_calendar_that_fails_is_not_made_up_for(
    voice: Speaker, connected: Connected, fault: dict
) -> None:
    """503 whatever is wrong with it: a time of the business hours may be taken."""
    connected.sandbox.fault(path="/batch/", **fault)

    answer = voice.get("/v1/voice/times", **DAY)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_nobody_waits_long_for_a_calendar(voice: Speaker, connected: Connected) -> None:
    """After three seconds the caller hears that it cannot be told."""
    connected.sandbox.fault(kind="slow", seconds=6.0, path="/batch/", rate=1.0)
    began = time.monotonic()

    answer = voice.get("/v1/voice/times", **DAY)

    assert answer.status_code == 503
    assert times.PATIENCE_S <= time.monotonic() - began < times.PATIENCE_S + 2


def test_a_budget_that_is_spent_is_not_overdrawn(voice: Speaker, connected: Connected) -> None:
    """Asking costs what it costs, within what is ours of the account's limits."""
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Connection).values(budget={"grants": {"user_minute": 0}}))
    before = connected.sandbox.stats()["calls"]

    assert voice.get("/v1/voice/times", **DAY).status_code == 503
    assert connected.sandbox.stats()["calls"] == before


def test_a_calendar_that_needs_connecting_is_not_asked(
    voice: Speaker, connected: Connected
) -> None:
    """Nor one that somebody paused."""
    for values in (
        {"health": Health.NEEDS_RECONNECT.value},
        {"health": "healthy", "paused_at": MONDAY},
    ):
        with connected.hub.tenant(connected.company.tenant_id) as session:
            session.execute(update(Connection).values(**values))
        assert voice.get("/v1/voice/times", **DAY).status_code == 503
