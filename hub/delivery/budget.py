"""What an account may still cost: one budget per remote account, in Redis, for whatever calls it.

Live deliveries, retries, replays, field discovery and polling all ask here before every call. No
process holds budget state and nobody sleeps: who may not call now is told how long to stay away. A
limit is fed by what the vendor documents (``Limit``), and corrected by what its headers say. An
answer of 429 halves our rate; clean time raises it again. A limit of simultaneous calls is a set of
places, each given back when its call is answered, or after a while when the process that held it died.
When Redis has been wiped, windows start anew (the vendor's 429 corrects us) and days are counted from
``call_counts`` in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import redis

from connectors.errors import Throttled
from connectors.record import Limit, LimitReading
from connectors.registry import connector
from hub import clock, tally
from hub.context import Hub
from hub.db.base import new_id
from hub.db.connections import Connection
from hub.delivery.call_counts import count, counted, per_slot, slots
from hub.delivery.outlook import LimitOutlook, outlook_of
from hub.delivery.remote_account import AccountKey, granted_of
from hub.tally import families

_LOWEST_FACTOR = 0.1
#: After a refusal our rate grows by a tenth for each clean period, of at least this many seconds.
_CLEAN_S = 10.0
_REDIS_GONE_S = 2.0
#: Writes fields of a limit and never shortens how long they are kept: a block may outlast the limit's period.
_NOTE = """
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
"""

#: Takes places among the simultaneous calls of an account, unless all are taken: milliseconds to wait, or 0.
_ENTER = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) + #ARGV - 3 > tonumber(ARGV[2]) then
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  local left = first[2] and (tonumber(first[2]) - tonumber(ARGV[1])) * 1000 or 1000
  return math.max(50, math.min(1000, math.ceil(left)))
end
for i = 4, #ARGV do
  redis.call('ZADD', KEYS[1], tonumber(ARGV[1]) + tonumber(ARGV[3]), ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[3]) * 1000))
return 0
"""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Place:
    """A place among the simultaneous calls of an account."""

    redis_key: str
    member: str


@cache
def _script_text() -> str:
    return files("hub.delivery").joinpath("budget.lua").read_text(encoding="utf-8")


class Budget:
    """The budgets of all accounts."""

    def __init__(self, hub: Hub, *, clock: Clock = clock.seconds) -> None:
        """Count in the hub's Redis; ``clock`` gives seconds since 1970."""
        self._hub = hub
        self._clock = clock
        self._script = hub.redis.register_script(_script_text())
        self._note = hub.redis.register_script(_NOTE)
        self._enter = hub.redis.register_script(_ENTER)

    def take(
        self, key: AccountKey, units: Mapping[str, int], *, is_urgent: bool
    ) -> tuple[Place, ...]:
        """Charge units of several limits at once; raises Throttled, having charged nothing.

        Gives the places that were taken among simultaneous calls: ``leave`` them when the call is answered.
        """
        places = self._take_places(key, units, is_urgent=is_urgent)
        try:
            self._ask(key, units, is_urgent=is_urgent, is_dry=False)
        except Throttled:
            self.leave(places)
            raise
        count(self._hub, key, units, self._clock())
        for name, number in units.items():
            tally.count(self._hub.redis, families.API_UNITS, key.connector, name, number=number)
        return places

    def leave(self, places: Iterable[Place]) -> None:
        """Give places among simultaneous calls back."""
        try:
            for place in places:
                self._hub.redis.zrem(place.redis_key, place.member)
        except redis.RedisError:
            return  # they become free when their time is over

    def _take_places(
        self, key: AccountKey, units: Mapping[str, int], *, is_urgent: bool
    ) -> tuple[Place, ...]:
        taken: list[Place] = []
        for limit in connector(key.connector).limits:
            number = units.get(limit.name, 0)
            if limit.kind != "concurrency" or number <= 0:
                continue
            ours = granted_of(key, limit, limit.capacity)
            if not is_urgent:
                ours = max(min(1, ours), int(ours * (1 - self._hub.settings.urgent_reserve)))
            name = f"{key.redis_key(limit)}:places"
            members = [new_id("call") for _ in range(number)]
            try:
                wait_ms = int(
                    self._enter(keys=[name], args=[self._clock(), ours, limit.period_s, *members])
                )
            except redis.RedisError as err:
                raise _redis_gone() from err
            if wait_ms:
                self.leave(taken)
                raise Throttled(
                    f"All {ours} of the account's {limit.name} calls at a time are under way.",
                    retry_after_s=wait_ms / 1_000,
                    code="budget",
                )
            taken += [Place(name, member) for member in members]
        return tuple(taken)

    def check(self, key: AccountKey, units: Mapping[str, int], *, is_urgent: bool) -> float:
        """Give how many seconds to wait before these units could be taken; 0 when they could be now."""
        try:
            self._ask(key, units, is_urgent=is_urgent, is_dry=True)
        except Throttled as err:
            return err.retry_after_s
        return 0.0

    def observe(self, key: AccountKey, readings: Iterable[LimitReading]) -> None:
        """Take over what the vendor's headers say."""
        declared = {limit.name: limit for limit in connector(key.connector).limits}
        at = self._clock()
        try:
            for reading in readings:
                limit = declared[reading.name]
                self._write(
                    key, limit, _observation(reading, limit, at), for_s=limit.period_s * 1.1
                )
        except redis.RedisError:
            return  # the next answer says it again

    def throttled(self, key: AccountKey, retry_after_s: float) -> None:
        """Stay away for a while and slow down: the vendor said 429 or the like.

        That is this account's affair: what all accounts share is not closed to the others for it. Should that be
        spent, each account hears so by itself.
        """
        at = self._clock()
        try:
            for limit in connector(key.connector).limits:
                if limit.scope == "app":
                    continue
                found: dict[str, Any] = {"blocked": at + retry_after_s}
                if limit.kind == "window":
                    now_at = self._factor(key, limit, at)
                    found |= {"factor": max(_LOWEST_FACTOR, now_at / 2), "lowered": at}
                for_s = max(limit.period_s, retry_after_s, 20 * _CLEAN_S) + 60
                self._write(key, limit, found, for_s=for_s)
        except redis.RedisError:
            return  # the caller puts its rows off all the same

    def forgive(self, key: AccountKey) -> None:
        """Forget how long the vendor told us to stay away: an operator knows better, or wants to see for themselves."""
        try:
            for limit in connector(key.connector).limits:
                self._hub.redis.hdel(key.redis_key(limit), "blocked")
        except redis.RedisError:
            return  # it is over when its time is over

    def _factor(self, key: AccountKey, limit: Limit, at: float) -> float:
        """Give the part of our rate that we use now, after an earlier refusal."""
        answer: Any = self._hub.redis.hmget(key.redis_key(limit), ["factor", "lowered"])
        factor, lowered = answer
        if factor is None or lowered is None:
            return 1.0
        clean = int((at - float(lowered)) / max(limit.period_s, _CLEAN_S))
        return min(1.0, float(factor) + 0.1 * clean)

    def _write(
        self, key: AccountKey, limit: Limit, found: Mapping[str, Any], *, for_s: float
    ) -> None:
        fields = [part for pair in found.items() for part in pair]
        self._note(keys=[key.redis_key(limit)], args=[int(for_s * 1_000), *fields])

    def outlook(self, connection: Connection) -> list[LimitOutlook]:
        """Tell where a connection's account stands with each of its limits."""
        key = AccountKey.of(connection, self._hub.settings.account_share)
        return [self._outlook(key, limit) for limit in connector(key.connector).limits]

    def _outlook(self, key: AccountKey, limit: Limit) -> LimitOutlook:
        if limit.kind == "day":
            self._seed(key, limit)
        try:
            raw: dict[bytes, bytes] = self._hub.redis.hgetall(  # type: ignore[assignment]  # a synchronous client answers at once
                key.redis_key(limit)
            )
        except redis.RedisError:
            raw = {}
        state = {name.decode(): float(value) for name, value in raw.items()}
        return outlook_of(key, limit, state, self._clock())

    def _ask(
        self, key: AccountKey, units: Mapping[str, int], *, is_urgent: bool, is_dry: bool
    ) -> None:
        declared = {limit.name: limit for limit in connector(key.connector).limits}
        limits = [
            (declared[name], number)
            for name, number in units.items()
            if number > 0 and declared[name].kind != "concurrency"
        ]
        if not limits:
            return
        for _ in range(1 + len(limits)):
            wait_ms, index = self._run(key, limits, is_urgent=is_urgent, is_dry=is_dry)
            if wait_ms == 0:
                return
            limit = limits[index - 1][0]
            if wait_ms > 0:
                raise Throttled(
                    f"The account's limit {limit.name!r} leaves nothing for now.",
                    retry_after_s=wait_ms / 1_000,
                    code="budget",
                )
            self._seed(key, limit)
        raise Throttled(
            "The account's calls of today could not be counted.",
            retry_after_s=_REDIS_GONE_S,
            code="budget",
        )

    def _run(
        self, key: AccountKey, limits: Sequence[tuple[Limit, int]], *, is_urgent: bool, is_dry: bool
    ) -> tuple[int, int]:
        values: list[Any] = [self._clock(), int(is_urgent)]
        for limit, units in limits:
            granted = key.grants.get(limit.name)
            values += [
                units,
                limit.capacity,
                limit.period_s,
                slots(limit),
                key.share_of(limit),
                self._hub.settings.urgent_reserve,
                int(limit.kind == "day"),
                int(is_dry),
                -1 if granted is None else max(0, granted),
            ]
        try:
            answer = self._script(keys=[key.redis_key(limit) for limit, _ in limits], args=values)
        except redis.RedisError as err:
            # Without the budget nobody may call: the account's quota is not ours to risk.
            raise _redis_gone() from err
        return int(answer[0]), int(answer[1]) if len(answer) > 1 else 0

    def _seed(self, key: AccountKey, limit: Limit) -> None:
        """Rebuild a day's counter from the database, unless it is there."""
        name = key.redis_key(limit)
        try:
            if self._hub.redis.hexists(name, "seeded"):
                return
            found = per_slot(limit, counted(self._hub, key, limit, self._clock()), self._clock())
            with self._hub.redis.pipeline() as pipe:
                for slot, units in found.items():
                    # Another process may have seeded and charged in the meantime.
                    pipe.hsetnx(name, f"s:{slot}", units)
                pipe.hset(name, "seeded", 1)
                pipe.pexpire(name, int(limit.period_s * 1_100))
                pipe.execute()
        except redis.RedisError:
            return  # asking again will say so


def _redis_gone() -> Throttled:
    return Throttled(
        "The budget cannot be read: Redis does not answer.",
        retry_after_s=_REDIS_GONE_S,
        code="budget",
    )


def _observation(reading: LimitReading, limit: Limit, at: float) -> dict[str, Any]:
    capacity = reading.capacity if reading.capacity is not None else limit.capacity
    found: dict[str, Any] = {}
    if reading.capacity is not None:
        found["cap"] = capacity
    if reading.remaining is not None:
        found |= {"cap": capacity, "used": capacity - reading.remaining, "since": 0, "seen": at}
    if reading.remaining == 0 and reading.resets_in_s:
        found["blocked"] = at + reading.resets_in_s
    return found or {"seen": at}
