"""How often a key may call: at most a round trip or two to Redis, and open when Redis is gone.

There are two limits, ``events`` (events posted, whatever the number of requests) and ``requests`` (all
others). Both are told in every answer by ``RateLimit`` and ``RateLimit-Policy``.
A process charges a 1,200th of a large limit ahead (50 ms of a key that uses its limit to the full) and
spends that without asking, so that most requests of a busy key ask nothing; what is not spent within a
second is lost. Small limits are exact.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (2026-11-22)
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Final, Literal, cast

import redis
from flask import Response, current_app, g

from hub import log
from hub.api.problems import Refused
from hub.context import Hub

Name = Literal["events", "requests"]

PERIOD_S: Final = 60
_PATIENCE_S: Final = 0.25
_REST_S: Final = 1.0
#: A busy process charges this fraction of a key's limit ahead and spends it without asking.
_FRACTION: Final = 1_200
_KEPT_S: Final = 1.0
_MOST_KEYS: Final = 10_000
_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands with a limit after a request; times in seconds."""

    name: Name
    limit: int
    left: int
    resets_in_s: int

    def headers(self) -> list[tuple[str, str]]:
        """Say it in the headers of an answer."""
        return [
            ("RateLimit-Policy", f'"{self.name}";q={self.limit};w={PERIOD_S}'),
            ("RateLimit", f'"{self.name}";r={self.left};t={self.resets_in_s}'),
        ]


@dataclass(slots=True)
class Bought:
    """Units that this process has charged ahead for a key, good until a moment."""

    units: int
    until: float
    standing: Standing


class Limits:
    """The rate limits of all keys."""

    def __init__(self, hub: Hub, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Count in the hub's Redis, over connections of their own that do not wait long."""
        self._allowed: dict[Name, int] = {
            "events": hub.settings.events_per_minute,
            "requests": hub.settings.requests_per_minute,
        }
        pool = hub.redis.connection_pool
        hasty = {"socket_timeout": _PATIENCE_S, "socket_connect_timeout": _PATIENCE_S}
        self._redis = redis.Redis(
            connection_pool=redis.ConnectionPool(
                connection_class=pool.connection_class, **(pool.connection_kwargs | hasty)
            )
        )
        text = files("hub.api").joinpath("limits.lua").read_text(encoding="utf-8")
        self._script = self._redis.register_script(text)
        self._clock = clock
        self._rests_until = 0.0
        self._lock = threading.Lock()
        self._bought: dict[str, Bought] = {}

    def charge(self, name: Name, key_id: str, units: int) -> None:
        """Charge a key, or raise the 429 problem; does nothing while Redis is gone.

        More units than a whole period allows cost a whole period, so that they can pass at all.
        """
        if self._clock() < self._rests_until:
            return
        which = f"{name}:{key_id}"
        if (standing := self.spend(name, key_id, units)) is not None:
            g.standing = standing
            return
        limit = self._allowed[name]
        more = limit // _FRACTION
        try:
            wait_ms, left, reset_ms = self._ask(which, units + more, limit)
            if wait_ms and more:
                more = 0
                wait_ms, left, reset_ms = self._ask(which, units, limit)
        except redis.RedisError as err:
            self._rests_until = self._clock() + _REST_S
            _log.warning("rate limit was not counted", kind=type(err).__name__)
            return
        standing = Standing(name, limit, max(0, left) + more, math.ceil(reset_ms / 1_000))
        g.standing = standing
        if wait_ms:
            wait_s = max(1, math.ceil(wait_ms / 1_000))
            raise Refused(
                "too-many",
                f"This key may send {limit} {name} a minute. Go on in {wait_s} s.",
                headers={"Retry-After": str(wait_s)},
            )
        if more:
            with self._lock:
                if len(self._bought) > _MOST_KEYS:
                    self._bought.clear()
                self._bought[which] = Bought(more, self._clock() + _KEPT_S, standing)

    def _ask(self, which: str, units: int, limit: int) -> tuple[int, int, int]:
        answer = self._script(keys=[f"rate:{which}"], args=[units, limit, PERIOD_S])
        wait_ms, left, reset_ms = (int(number) for number in answer)
        return wait_ms, left, reset_ms

    def spend(self, name: Name, key_id: str, units: int) -> Standing | None:
        """Take units that were charged ahead; gives where the key stands, or None when they do not suffice."""
        with self._lock:
            bought = self._bought.get(f"{name}:{key_id}")
            if bought is None or bought.units < units or self._clock() >= bought.until:
                return None
            bought.units -= units
            was = bought.standing
            return replace(was, left=was.left - units)


def of_app() -> Limits:
    """Give the application's limits."""
    return cast("Limits", current_app.extensions["afterbeep.limits"])


def tell(response: Response) -> Response:
    """Add where the key stands to an answer."""
    found: Standing | None = g.get("standing")
    if found is not None:
        response.headers.extend(found.headers())
    return response
