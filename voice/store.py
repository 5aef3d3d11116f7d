"""Calls in Redis, sealed, so that any process can go on with any call.

Redis keys::

    afterbeep:voice:call:<CallSid>    hash: version, body (the sealed session)
    afterbeep:voice:open              sorted set: CallSid by the moment of its last sign of life
    afterbeep:voice:note:<name>       small sealed values that processes share, such as profiles
    afterbeep:voice:claim:<name>      who does some work that one process alone should do
    afterbeep:voice:spent:<name>      what may be used once and was

A process keeps the calls it works on in memory as well: when Redis is away they go on, and when it was wiped the next
save writes them again. A call is *held* by one socket at a time (``session.owner``). A webhook changes what is stored
beside it; the socket's next save takes such changes over. When another socket has taken the call, the save does
nothing and the event given by :meth:`SessionStore.hold` is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from voice import clock
from voice.metrics import Metrics
from voice.seal import Seal, Unreadable
from voice.session import CallSession, Phase

_LOG = structlog.get_logger(module=__name__)
_PREFIX = "afterbeep:voice:"
_OPEN = f"{_PREFIX}open"
_TTL_S = 24 * 3600
#: What is done is kept a little for late webhooks.
_DONE_TTL_S = 3600
_TIMEOUT_S = 1.0
#: After Redis failed it is left alone for so long.
_PAUSE_S = 1.0
_TRIES = 5
_CALLS = TypeAdapter(CallSession)

#: KEYS: the call, the open calls. ARGV: version that the writer knows, body, seconds to live, CallSid, moment.
#: Gives "" when it was written, else the newer body.
_SAVE = """
local stored = redis.call('HGET', KEYS[1], 'version')
if stored and tonumber(stored) > tonumber(ARGV[1]) then
  return redis.call('HGET', KEYS[1], 'body')
end
redis.call('HSET', KEYS[1], 'version', tonumber(ARGV[1]) + 1, 'body', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
if ARGV[5] == '' then
  redis.call('ZREM', KEYS[2], ARGV[4])
else
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[4])
end
return ''
"""

#: KEYS: the claim. ARGV: who claims it, milliseconds. Gives 0 when another one has it.
_CLAIM = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

#: KEYS: what is used up. ARGV: milliseconds for which it is remembered. Gives 0 when it was used up before.
_SPEND = """
return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) and 1 or 0
"""

#: KEYS: the claim. ARGV: who had it.
_UNCLAIM = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
"""


class SessionStore:
    """The open calls of all processes."""

    def __init__(self, redis_url: str, seal: Seal, *, metrics: Metrics | None = None) -> None:
        """Keep calls at ``redis_url``; connections are opened when they are needed."""
        self._redis: Redis = Redis.from_url(
            redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
        )
        self._seal = seal
        self._metrics = metrics
        self._known: dict[str, CallSession] = {}
        self._lost: dict[str, asyncio.Event] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._saving: dict[str, asyncio.Task[None]] = {}
        self._dirty: set[str] = set()
        self._away_until = 0.0
        #: Set while this process holds no call.
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def held(self) -> tuple[str, ...]:
        """The calls whose sockets this process holds."""
        return tuple(self._lost)

    async def load(self, sid: str) -> CallSession | None:
        """Give a call, or None when nobody knows it. A call that this process holds is the very same object."""
        if sid in self._lost:
            return self._known[sid]
        body = await self._ask("HGET", f"{_PREFIX}call:{sid}", "body")
        stored = self._opened(sid, body) if body else None
        known = self._known.get(sid)
        if stored is None or (known and known.version > stored.version):
            return known
        self._known[sid] = stored
        return stored

    async def save(self, session: CallSession) -> bool:
        """Keep a call as it is now; False when another socket has it and nothing was changed.

        Never raises for Redis' sake: the call is then kept by this process alone.
        """
        async with self._locks.setdefault(session.sid, asyncio.Lock()):
            return await self._save(session)

    def save_soon(self, session: CallSession) -> None:
        """Save without waiting; several changes in one moment are one save."""
        self._known[session.sid] = session
        self._dirty.add(session.sid)
        if session.sid not in self._saving:
            self._saving[session.sid] = asyncio.create_task(
                self._save_dirty(session.sid), name=f"save {session.sid}"
            )

    async def settle(self, sid: str) -> None:
        """Wait until what :meth:`save_soon` began is done."""
        while task := self._saving.get(sid):
            await asyncio.shield(task)

    async def change(self, sid: str, change: Callable[[CallSession], object]) -> CallSession | None:
        """Change a call whoever holds it, and give it; None when nobody knows it.

        ``change`` may be applied more than once, each time to a fresher call.
        """
        for _ in range(_TRIES):
            session = await self.load(sid)
            if session is None:
                return None
            change(session)
            if await self.save(session):
                return session
            self._known.pop(sid, None)
        _LOG.warning("call could not be changed", call_id=sid)
        return session

    def hold(self, session: CallSession, owner: str) -> asyncio.Event:
        """Take a call for a socket; the event given is set when another socket takes it."""
        before = self._lost.pop(session.sid, None)
        if before:
            before.set()
        session.owner = owner
        self._known[session.sid] = session
        lost = self._lost[session.sid] = asyncio.Event()
        self.idle.clear()
        return lost

    def release(self, session: CallSession, owner: str) -> None:
        """Let go of a call when its socket is closed."""
        if session.owner == owner and self._known.get(session.sid) is session:
            self._lost.pop(session.sid, None)
            self._look_idle()

    async def beat(self) -> None:
        """Give a sign of life for all calls that this process holds."""
        moment = clock.now().timestamp()
        for sid in self.held:
            await self._ask("ZADD", _OPEN, moment, sid)

    async def silent(self, for_s: float) -> tuple[str, ...]:
        """Give the open calls that gave no sign of life for so long, the oldest first."""
        until = clock.now().timestamp() - for_s
        found = await self._ask("ZRANGEBYSCORE", _OPEN, "-inf", until) or ()
        stored = [one.decode() if isinstance(one, bytes) else str(one) for one in found]
        return tuple(sid for sid in stored if sid not in self._lost)

    async def open_calls(self) -> tuple[str, ...]:
        """Give all calls that are not done, of all processes."""
        found = await self._ask("ZRANGE", _OPEN, 0, -1)
        if found is None:
            return tuple(sid for sid, one in self._known.items() if one.phase is not Phase.DONE)
        return tuple(one.decode() if isinstance(one, bytes) else str(one) for one in found)

    async def forget(self, sid: str) -> None:
        """Remove a call altogether."""
        self._known.pop(sid, None)
        self._locks.pop(sid, None)
        await self._ask("DEL", f"{_PREFIX}call:{sid}")
        await self._ask("ZREM", _OPEN, sid)

    async def note(self, name: str, value: bytes, *, for_s: float) -> None:
        """Share a small value with other processes for some time."""
        key = f"{_PREFIX}note:{name}"
        await self._ask("SET", key, self._seal.seal(value, about=key), "PX", int(for_s * 1000))

    async def noted(self, name: str) -> bytes | None:
        """Give what a process shared, or None."""
        key = f"{_PREFIX}note:{name}"
        found = await self._ask("GET", key)
        try:
            return self._seal.open(found, about=key) if found else None
        except Unreadable:
            return None

    async def claim(self, name: str, owner: str, *, for_s: float) -> bool:
        """Claim some work for a while, or go on with it; False when somebody else has it.

        While Redis is away everybody has it: what is claimed must be harmless to do twice.
        """
        key = f"{_PREFIX}claim:{name}"
        answer = await self._ask("EVAL", _CLAIM, 1, key, owner, int(for_s * 1000))
        return answer is None or bool(answer)

    async def unclaim(self, name: str, owner: str) -> None:
        """Let others have work that was claimed by this owner."""
        await self._ask("EVAL", _UNCLAIM, 1, f"{_PREFIX}claim:{name}", owner)

    async def spend(self, name: str, *, for_s: float) -> bool | None:
        """Use up something that may be used once; False when it was before, None while Redis cannot tell."""
        key = f"{_PREFIX}spent:{name}"
        answer = await self._ask("EVAL", _SPEND, 1, key, int(for_s * 1000))
        return None if answer is None else bool(answer)

    async def is_up(self) -> bool:
        """Tell whether Redis answers."""
        return bool(await self._ask("PING"))

    async def close(self) -> None:
        """Finish saves and close connections."""
        for sid in list(self._saving):
            await self.settle(sid)
        await self._redis.aclose()

    async def _save_dirty(self, sid: str) -> None:
        try:
            while sid in self._dirty:
                self._dirty.discard(sid)
                await self.save(self._known[sid])
        finally:
            self._saving.pop(sid, None)

    async def _save(self, session: CallSession) -> bool:
        sid = session.sid
        self._known[sid] = session
        is_done = session.phase is Phase.DONE
        for _ in range(_TRIES):
            version = session.version
            answer = await self._ask(
                "EVAL",
                _SAVE,
                2,
                f"{_PREFIX}call:{sid}",
                _OPEN,
                version,
                self._sealed(session),
                _DONE_TTL_S if is_done else _TTL_S,
                sid,
                "" if is_done else clock.now().timestamp(),
            )
            if answer is None:
                return True  # Redis is away: this process keeps it
            if not answer:
                session.version = version + 1
                if is_done:
                    self._known.pop(sid, None)
                    self._locks.pop(sid, None)
                return True
            newer = self._opened(sid, answer)
            if newer is None:
                session.version += 1_000  # nobody can read what is stored
                continue
            if sid not in self._lost or newer.owner != session.owner:
                self._lose(sid)
                return False
            _take_over(session, newer)
        return False

    def _lose(self, sid: str) -> None:
        self._known.pop(sid, None)
        if lost := self._lost.pop(sid, None):
            lost.set()
        self._look_idle()

    def _look_idle(self) -> None:
        if not self._lost:
            self.idle.set()

    def _sealed(self, session: CallSession) -> bytes:
        before, session.version = session.version, session.version + 1
        try:
            plain = _CALLS.dump_json(session)
        finally:
            session.version = before
        return self._seal.seal(plain, about=f"{_PREFIX}call:{session.sid}")

    def _opened(self, sid: str, body: bytes) -> CallSession | None:
        try:
            return _CALLS.validate_json(self._seal.open(body, about=f"{_PREFIX}call:{sid}"))
        except (Unreadable, ValidationError) as err:
            _LOG.warning("stored call could not be read", call_id=sid, error=type(err).__name__)
            return None

    async def _ask(self, *words: Any) -> Any:
        """Run one command; None when Redis is away (or has nothing)."""
        if clock.elapsed() < self._away_until:
            return None
        try:
            with clock.outside():
                return await self._redis.execute_command(*words)  # type: ignore[no-untyped-call]  # the package types it not
        except (RedisError, OSError, TimeoutError) as err:
            self._away_until = clock.elapsed() + _PAUSE_S
            if self._metrics:
                self._metrics.store_failures.inc()
            _LOG.warning("redis did not answer", error=type(err).__name__)
            return None


def _take_over(session: CallSession, newer: CallSession) -> None:
    """Take what webhooks changed meanwhile from the stored call into the one that a socket works on."""
    session.version = newer.version
    session.phase = newer.phase
    session.status = newer.status or session.status
    session.ended_at = newer.ended_at or session.ended_at
    session.duration_s = newer.duration_s or session.duration_s
    known = {one.sid for one in newer.recordings}
    session.recordings = newer.recordings + [r for r in session.recordings if r.sid not in known]
    session.transcribed = newer.transcribed + [
        turn for turn in session.transcribed if turn not in newer.transcribed
    ]
    for mine, theirs in (
        (session.failed_lines, newer.failed_lines),
        (session.fallbacks, newer.fallbacks),
    ):
        mine.extend(one for one in theirs if one not in mine)
