"""Calls in Redis: sealed, taken over by one socket from another, and kept in memory while Redis is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import redis

from tests.voice.service.conftest import started
from tests.voice.service.world import profile_of
from voice.profile import LineKind
from voice.seal import read_keys
from voice.session import CallSession, Phase, Recording, Turn, Voice
from voice.store import SessionStore

SID = "CA" + "1" * 32


def session_of(**changed):
    """Give a call."""
    usual = {
        "sid": SID,
        "token": "t",
        "profile": profile_of(),
        "started_at": datetime(2026, 12, 1, tzinfo=UTC),
        "line": LineKind.CONVERSATION_RELAY,
    }
    return CallSession(**{**usual, **changed})


def turn(text):
    """Give something that the caller said."""
    return Turn(Voice.CALLER, text, 0.0, 1.0)


def test_what_a_process_saves_another_one_loads(redis_url, tmp_path):
    """The whole call comes back, and nothing of it can be read in Redis."""

    async def play():
        seal = read_keys(None, tmp_path)
        one, two = SessionStore(redis_url, seal), SessionStore(redis_url, seal)
        await one.save(session_of(turns=[turn("my chest hurts")], from_="+14155550132"))
        found = await two.load(SID)
        await one.close()
        await two.close()
        return found

    found = asyncio.run(play())
    raw = redis.Redis.from_url(redis_url).hget(f"afterbeep:voice:call:{SID}", "body")

    assert found.turns == [turn("my chest hurts")]
    assert found.version == 1
    assert b"chest" not in raw
    assert b"4155550132" not in raw


def test_the_newer_socket_has_the_call(redis_url, tmp_path):
    """What the older one still wants to save is dropped, and it is told."""

    async def play():
        seal = read_keys(None, tmp_path)
        one, two = SessionStore(redis_url, seal), SessionStore(redis_url, seal)
        mine = session_of()
        lost = one.hold(mine, "a")
        await one.save(mine)
        theirs = await two.load(SID)
        two.hold(theirs, "b")
        theirs.turns.append(turn("new"))
        await two.save(theirs)
        mine.turns.append(turn("old"))
        was_saved = await one.save(mine)
        found = await two.load(SID)
        held = one.held
        await one.close()
        await two.close()
        return lost.is_set(), was_saved, held, [each.text for each in found.turns]

    assert asyncio.run(play()) == (True, False, (), ["new"])


def test_a_webhook_elsewhere_changes_a_call_that_a_socket_holds(redis_url, tmp_path):
    """The socket's next save takes over what the webhook brought."""

    async def play():
        seal = read_keys(None, tmp_path)
        one, two = SessionStore(redis_url, seal), SessionStore(redis_url, seal)
        mine = session_of()
        one.hold(mine, "a")
        await one.save(mine)
        made = Recording("RE1", "https://api.twilio.com/RE1")
        await two.change(SID, lambda call: call.recordings.append(made))
        mine.turns.append(turn("hello"))
        was_saved = await one.save(mine)
        found = await two.load(SID)
        await one.close()
        await two.close()
        return was_saved, mine.recordings, len(found.turns), len(found.recordings)

    was_saved, recordings, turns, stored = asyncio.run(play())

    assert was_saved
    assert [one.sid for one in recordings] == ["RE1"]
    assert (turns, stored) == (1, 1)


def test_calls_outlive_redis(tmp_path):
    """While Redis is away the call goes on in memory; when it comes back empty, the call is written again."""
    folder = Path(tmp_path) / "redis"
    folder.mkdir()
    url = f"unix://{folder / 'r.sock'}"

    async def play():
        seal = read_keys(None, tmp_path)
        store, other = SessionStore(url, seal), SessionStore(url, seal)
        server = started(folder / "r.sock")
        call = session_of()
        store.hold(call, "a")
        await store.save(call)
        server.kill()
        server.wait()
        call.turns.append(turn("while it was away"))
        assert await store.save(call)
        assert (await store.load(SID)) is call
        server = started(folder / "r.sock")
        await asyncio.sleep(1.1)
        await store.save(call)
        found = await other.load(SID)
        await store.close()
        await other.close()
        server.kill()
        server.wait()
        return found

    found = asyncio.run(play())

    assert [each.text for each in found.turns] == ["while it was away"]


def test_calls_without_a_sign_of_life_are_found(redis_url, tmp_path):
    """A call whose process died is silent; one that is done is not open any more."""

    async def play():
        seal = read_keys(None, tmp_path)
        dead, alive = SessionStore(redis_url, seal), SessionStore(redis_url, seal)
        await dead.save(session_of())
        await asyncio.sleep(0.05)
        silent = await alive.silent(0.01)
        call = await alive.load(SID)
        call.phase = Phase.DONE
        await alive.save(call)
        left = await alive.open_calls()
        await dead.close()
        await alive.close()
        return silent, left

    assert asyncio.run(play()) == ((SID,), ())


def test_a_call_sealed_with_another_key_is_nobodys(redis_url, tmp_path):
    """What cannot be opened does not stop a new call from being stored."""

    async def play():
        one = SessionStore(redis_url, read_keys(None, tmp_path / "a"))
        two = SessionStore(redis_url, read_keys(None, tmp_path / "b"))
        await one.save(session_of())
        found = await two.load(SID)
        was_saved = await two.save(session_of(turns=[turn("again")]))
        again = await SessionStore(redis_url, read_keys(None, tmp_path / "b")).load(SID)
        await one.close()
        await two.close()
        return found, was_saved, again.turns

    found, was_saved, turns = asyncio.run(play())

    assert found is None
    assert was_saved
    assert turns == [turn("again")]
