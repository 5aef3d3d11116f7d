"""API keys and rate limits."""

from __future__ import annotations

import dataclasses

import pytest
import redis
from sqlalchemy import update

from hub.api.auth import REMEMBERED_S, Memory
from hub.app import create_app
from hub.context import Hub
from hub.db import keys
from hub.db.base import now
from hub.db.keys import ApiKey, Holder, Scope
from hub.settings import Settings
from tests.api.calling import BATCH, Program, event, program
from tests.conftest import Company, new_company


def last_use(caller: Program):
    """Read when the key was last used."""
    with caller.hub.tenant(caller.tenant_id) as session:
        return session.get(ApiKey, caller.key.id).last_used_at


@pytest.mark.parametrize(
    "header", [None, "", "Basic x", "Bearer", "Bearer ab_live_wrong", "Bearer " + "x" * 5_000]
)
def test_a_request_without_a_valid_key_is_refused(caller: Program, header) -> None:
    """401, with how to do it."""
    headers = {} if header is None else {"Authorization": header}

    answer = caller.client.get("/v1/events", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.content_type == "application/problem+json"


def test_a_key_needs_the_scope(app, hub: Hub, company: Company) -> None:
    """403 names the scope that is missing."""
    writer = program(app, hub, company.tenant_id, [Scope.EVENTS_WRITE])

    assert writer.post(event()).status_code == 202
    refused = writer.get("/v1/events")

    assert refused.status_code == 403
    assert "events:read" in refused.json["detail"]


def test_a_revoked_key_opens_nothing_once_it_is_forgotten(hub: Hub, company: Company) -> None:
    """The database says no at once; a process forgets within five seconds."""
    with hub.tenant(company.tenant_id) as session:
        made = keys.create(session, name="Voice", scopes=[Scope.EVENTS_WRITE])
    with hub.tenant(company.tenant_id) as session:
        assert keys.revoke(session, made.id) is True
        assert keys.revoke(session, made.id) is False
    with hub.everyone("the test looks a key up") as session:
        assert keys.find(session, keys.hash_secret(made.secret)) is None
    assert REMEMBERED_S < 5


def test_a_remembered_key_is_forgotten_in_time() -> None:
    """Neither use nor anything else keeps it longer."""
    clock = [100.0]
    memory = Memory(clock=lambda: clock[0])
    holder = Holder("apk_1", "ten_1", frozenset(), is_phi=False)
    memory.put("hash", holder)

    clock[0] += REMEMBERED_S - 0.1
    assert memory.get("hash") is holder
    clock[0] += 0.2
    assert memory.get("hash") is None


def test_a_key_of_another_tenant_cannot_be_revoked(hub: Hub, caller: Program) -> None:
    """Revoking sees one tenant."""
    with hub.tenant(new_company(hub).tenant_id) as session:
        assert keys.revoke(session, caller.key.id) is False


def test_only_the_hash_of_a_secret_is_kept(hub: Hub, caller: Program) -> None:
    """The secret is shown once; its hint is not enough to use it."""
    with hub.tenant(caller.tenant_id) as session:
        row = session.get(ApiKey, caller.key.id)

    assert caller.key.secret not in {row.secret_hash, row.hint}
    assert row.secret_hash == keys.hash_secret(caller.key.secret)


def test_a_key_notes_its_use_at_most_once_a_minute(hub: Hub, caller: Program) -> None:
    """One write a minute, however many requests."""
    caller.get("/v1/events")
    first = last_use(caller)
    assert first is not None

    for _ in range(3):
        with hub.everyone("the test uses a key") as session:
            keys.note_use(session, caller.key.id)
    assert last_use(caller) == first

    with hub.tenant(caller.tenant_id) as session:
        long_ago = now().replace(year=2020)
        session.execute(
            update(ApiKey).where(ApiKey.id == caller.key.id).values(last_used_at=long_ago)
        )
    with hub.everyone("the test uses a key") as session:
        keys.note_use(session, caller.key.id)
    assert last_use(caller) > first


def limited(hub: Hub, company: Company, **limits: int) -> Program:
    """Give a program at a hub with other limits."""
    settings = Settings(**hub.settings.model_dump() | limits)
    mine = dataclasses.replace(hub, settings=settings)
    return program(create_app(mine), mine, company.tenant_id)


def test_events_beyond_the_limit_are_refused(hub: Hub, company: Company) -> None:
    """429 says when to go on, and takes nothing."""
    caller = limited(hub, company, events_per_minute=3)
    for _ in range(3):
        taken = caller.post(event())
    refused = caller.post(event("late"))

    assert taken.headers["RateLimit-Policy"] == '"events";q=3;w=60'
    assert taken.headers["RateLimit"].startswith('"events";r=0;t=')
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert caller.get("/v1/events", event_id="late").json["items"] == []


def test_a_batch_costs_as_many_as_it_holds(hub: Hub, company: Company) -> None:
    """A refusal charges nothing, so that a smaller batch still fits."""
    caller = limited(hub, company, events_per_minute=10)

    assert caller.post([event() for _ in range(7)], BATCH).status_code == 202
    assert caller.post([event() for _ in range(7)], BATCH).status_code == 429
    assert caller.post([event() for _ in range(3)], BATCH).status_code == 202


def test_a_large_limit_is_spent_ahead_and_told(hub: Hub, company: Company) -> None:
    """What a process has charged ahead counts down in the answers."""
    caller = limited(hub, company, events_per_minute=60_000)

    left = [
        int(caller.post(event()).headers["RateLimit"].split("r=")[1].split(";")[0])
        for _ in range(3)
    ]

    assert left == sorted(left, reverse=True)
    assert left[0] <= 59_999


def test_other_requests_have_a_limit_of_their_own(hub: Hub, company: Company) -> None:
    """Reading does not use up the events."""
    caller = limited(hub, company, requests_per_minute=2)
    statuses = [caller.get("/v1/events").status_code for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert caller.post(event()).status_code == 202


def test_without_redis_events_are_taken(hub: Hub, company: Company) -> None:
    """The limit is open and the answer is as always when Redis is gone."""
    gone = redis.Redis(host="127.0.0.1", port=1, socket_timeout=0.2)
    mine = dataclasses.replace(hub, redis=gone)
    caller = program(create_app(mine), mine, company.tenant_id)

    answer = caller.post(event())

    assert answer.status_code == 202
    assert "RateLimit" not in answer.headers
    ready = caller.client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "degraded")
