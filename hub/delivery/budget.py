"""What an account may still cost: one budget per remote account, in Redis, for whatever calls it.

Live deliveries, retries, replays, field discovery and polling all ask here before every call. No
process holds budget state and nobody sleeps: who may not call now is told how long to stay away. A
limit is fed by what the vendor documents (``Limit``), and corrected by what its headers say. An
answer of 429 halves our rate; clean time raises it again. When Redis has been wiped, windows start
anew (the vendor's 429 corrects us) and days are counted from ``call_counts`` in the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import redis
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from connectors.errors import Throttled
from connectors.record import Limit, LimitReading
from connectors.registry import connector
from hub.context import Hub
from hub.db.connections import CallCount, Connection

_SLOTS = {"window": 10, "day": 96}
_LOWEST_FACTOR = 0.1
#: After a refusal our rate grows by a tenth for each clean period, of at least this many seconds.
_CLEAN_S = 10.0
_REDIS_GONE_S = 2.0
_HOUR_S = 3_600
#: Writes fields of a limit and never shortens how long they are kept: a block may outlast the limit's period.
_NOTE = """
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
"""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class LimitOutlook:
    """Where an account stands with one limit: units granted to us, used, and left.

    ``capacity`` is the whole account's, as the vendor last said it or else as it documents it.
    """

    name: str
    kind: str
    capacity: int
    granted: int
    used: int
    remaining: int
    period_s: float
    blocked_for_s: float
    source: str


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Which remote account a connection calls; two connections to one account share its budget."""

    connection_id: str
    tenant_id: str
    connector: str
    account: str
    share: float
    grants: Mapping[str, int]

    @classmethod
    def of(cls, connection: Connection, default_share: float) -> AccountKey:
        """Read a connection's account and what the tenant grants us of it.

        ``connection.budget`` may hold ``share`` (0 to 1) and ``grants`` (limit to units per period).
        """
        return cls(
            connection_id=connection.id,
            tenant_id=connection.tenant_id,
            connector=connection.connector,
            account=connection.account_id or connection.id,
            share=float(connection.budget.get("share", default_share)),
            grants=dict(connection.budget.get("grants", {})),
        )

    def redis_key(self, limit: str) -> str:
        """Name the hash that counts one limit of this account."""
        return f"budget:{self.connector}:{self.account}:{limit}"


@cache
def _script_text() -> str:
    return files("hub.delivery").joinpath("budget.lua").read_text(encoding="utf-8")


class Budget:
    """The budgets of all accounts."""

    def __init__(self, hub: Hub, *, clock: Clock = time.time) -> None:
        """Count in the hub's Redis; ``clock`` gives seconds since 1970."""
        self._hub = hub
        self._clock = clock
        self._script = hub.redis.register_script(_script_text())
        self._note = hub.redis.register_script(_NOTE)

    def take(self, key: AccountKey, units: Mapping[str, int], *, is_urgent: bool) -> None:
        """Charge units of several limits at once; raises Throttled, having charged nothing."""
        self._ask(key, units, is_urgent=is_urgent, is_dry=False)
        _count(self._hub, key, units, self._clock())

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
        """Stay away for a while and slow down: the vendor said 429 or the like."""
        at = self._clock()
        try:
            for limit in connector(key.connector).limits:
                found: dict[str, Any] = {"blocked": at + retry_after_s}
                if limit.kind == "window":
                    now_at = self._factor(key, limit, at)
                    found |= {"factor": max(_LOWEST_FACTOR, now_at / 2), "lowered": at}
                for_s = max(limit.period_s, retry_after_s, 20 * _CLEAN_S) + 60
                self._write(key, limit, found, for_s=for_s)
        except redis.RedisError:
            return  # the caller puts its rows off all the same

    def _factor(self, key: AccountKey, limit: Limit, at: float) -> float:
        """Give the part of our rate that we use now, after an earlier refusal."""
        answer: Any = self._hub.redis.hmget(key.redis_key(limit.name), ["factor", "lowered"])
        factor, lowered = answer
        if factor is None or lowered is None:
            return 1.0
        clean = int((at - float(lowered)) / max(limit.period_s, _CLEAN_S))
        return min(1.0, float(factor) + 0.1 * clean)

    def _write(
        self, key: AccountKey, limit: Limit, found: Mapping[str, Any], *, for_s: float
    ) -> None:
        fields = [part for pair in found.items() for part in pair]
        self._note(keys=[key.redis_key(limit.name)], args=[int(for_s * 1_000), *fields])

    def outlook(self, connection: Connection) -> list[LimitOutlook]:
        """Tell where a connection's account stands with each of its limits."""
        key = AccountKey.of(connection, self._hub.settings.account_share)
        return [self._outlook(key, limit) for limit in connector(key.connector).limits]

    def _outlook(self, key: AccountKey, limit: Limit) -> LimitOutlook:
        if limit.kind == "day":
            self._seed(key, limit)
        at = self._clock()
        length = limit.period_s / _slots(limit)
        oldest = int(at / length) - _slots(limit)
        try:
            raw: dict[bytes, bytes] = self._hub.redis.hgetall(  # type: ignore[assignment]  # a synchronous client answers at once
                key.redis_key(limit.name)
            )
        except redis.RedisError:
            raw = {}
        state = {name.decode(): float(value) for name, value in raw.items()}
        used = sum(
            int(value)
            for name, value in state.items()
            if name.startswith("s:") and int(name[2:]) >= oldest
        )
        capacity = int(state.get("cap", limit.capacity))
        granted = _granted(key, limit, capacity)
        remaining = max(0, granted - used)
        if "used" in state and at - state["seen"] < limit.period_s:
            remaining = min(
                remaining, max(0, int(capacity - state["used"] - state.get("since", 0)))
            )
        return LimitOutlook(
            name=limit.name,
            kind=limit.kind,
            capacity=capacity,
            granted=granted,
            used=used,
            remaining=remaining,
            period_s=limit.period_s,
            blocked_for_s=max(0.0, state.get("blocked", 0.0) - at),
            source=limit.source,
        )

    def _ask(
        self, key: AccountKey, units: Mapping[str, int], *, is_urgent: bool, is_dry: bool
    ) -> None:
        declared = {limit.name: limit for limit in connector(key.connector).limits}
        limits = [(declared[name], count) for name, count in units.items() if count > 0]
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
                _slots(limit),
                key.share,
                self._hub.settings.urgent_reserve,
                int(limit.kind == "day"),
                int(is_dry),
                -1 if granted is None else max(0, granted),
            ]
        try:
            answer = self._script(
                keys=[key.redis_key(limit.name) for limit, _ in limits], args=values
            )
        except redis.RedisError as err:
            # Without the budget nobody may call: the account's quota is not ours to risk.
            raise Throttled(
                "The budget cannot be read: Redis does not answer.",
                retry_after_s=_REDIS_GONE_S,
                code="budget",
            ) from err
        return int(answer[0]), int(answer[1]) if len(answer) > 1 else 0

    def _seed(self, key: AccountKey, limit: Limit) -> None:
        """Rebuild a day's counter from the database, unless it is there."""
        name = key.redis_key(limit.name)
        try:
            if self._hub.redis.hexists(name, "seeded"):
                return
            slots = _slots_of(limit, _counted(self._hub, key, limit, self._clock()), self._clock())
            with self._hub.redis.pipeline() as pipe:
                for slot, units in slots.items():
                    # Another process may have seeded and charged in the meantime.
                    pipe.hsetnx(name, f"s:{slot}", units)
                pipe.hset(name, "seeded", 1)
                pipe.pexpire(name, int(limit.period_s * 1_100))
                pipe.execute()
        except redis.RedisError:
            return  # asking again will say so


def _slots(limit: Limit) -> int:
    return _SLOTS.get(limit.kind, _SLOTS["window"])


def _slots_of(
    limit: Limit, counted: Iterable[tuple[datetime, int]], at: float
) -> Mapping[int, int]:
    """Give the units of each slot; an hour counts where it ends, so that nothing comes free too early."""
    length = limit.period_s / _slots(limit)
    found: dict[int, int] = {}
    for hour, units in counted:
        slot = int(min(hour.timestamp() + _HOUR_S - 1, at) / length)
        found[slot] = found.get(slot, 0) + units
    return found


def _granted(key: AccountKey, limit: Limit, capacity: int) -> int:
    """Give the units that are ours: what the tenant grants, which may be none, or our share."""
    granted = key.grants.get(limit.name)
    if granted is not None:
        return int(min(max(0, granted), capacity))
    return max(1, int(capacity * key.share))


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


def _count(hub: Hub, key: AccountKey, units: Mapping[str, int], at: float) -> None:
    """Count calls of limits that last a day in the database, where a wiped Redis cannot lose them."""
    days = {limit.name for limit in connector(key.connector).limits if limit.kind == "day"}
    hour = datetime.fromtimestamp(at, UTC).replace(minute=0, second=0, microsecond=0)
    rows = [
        {
            "tenant_id": key.tenant_id,
            "connection_id": key.connection_id,
            "limit_name": name,
            "hour": hour,
            "units": count,
        }
        for name, count in units.items()
        if name in days and count > 0
    ]
    if not rows:
        return
    statement = insert(CallCount).values(rows)
    statement = statement.on_conflict_do_update(
        index_elements=["connection_id", "limit_name", "hour"],
        set_={"units": CallCount.units + statement.excluded.units},
    )
    with hub.tenant(key.tenant_id) as session:
        session.execute(statement)


def _counted(hub: Hub, key: AccountKey, limit: Limit, at: float) -> list[tuple[datetime, int]]:
    # An hour that began before the span may have ended in it.
    since = datetime.fromtimestamp(at, UTC) - timedelta(seconds=limit.period_s + _HOUR_S)
    with hub.everyone("connections of several tenants may share one remote account") as session:
        found = session.execute(
            select(CallCount.hour, func.sum(CallCount.units))
            .join(Connection, Connection.id == CallCount.connection_id)
            .where(
                Connection.connector == key.connector,
                func.coalesce(Connection.account_id, Connection.id) == key.account,
                CallCount.limit_name == limit.name,
                CallCount.hour > since,
            )
            .group_by(CallCount.hour)
        ).all()
    return [(hour, int(units)) for hour, units in found]
