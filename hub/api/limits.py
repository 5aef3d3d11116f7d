"""How often a key may call: one Redis round trip per request, and open when Redis is gone.

There are two limits, ``events`` (events posted, whatever the number of requests) and ``requests`` (all
others). Both are told in every answer by ``RateLimit`` and ``RateLimit-Policy``.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (2026-11-22)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
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
_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands with a limit after a request; times in seconds."""

    name: Name
    limit: int
    left: int
    resets_in_s: int


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

    def charge(self, name: Name, key_id: str, units: int) -> None:
        """Charge a key, or raise the 429 problem; does nothing while Redis is gone.

        More units than a whole period allows cost a whole period, so that they can pass at all.
        """
        if self._clock() < self._rests_until:
            return
        limit = self._allowed[name]
        try:
            wait_ms, left, reset_ms = self._script(
                keys=[f"rate:{name}:{key_id}"], args=[units, limit, PERIOD_S]
            )
        except redis.RedisError as err:
            self._rests_until = self._clock() + _REST_S
            _log.warning("rate limit was not counted", kind=type(err).__name__)
            return
        g.standing = Standing(name, limit, max(0, int(left)), math.ceil(int(reset_ms) / 1_000))
        if wait_ms:
            wait_s = max(1, math.ceil(int(wait_ms) / 1_000))
            raise Refused(
                "too-many",
                f"This key may send {limit} {name} a minute. Go on in {wait_s} s.",
                headers={"Retry-After": str(wait_s)},
            )


def of_app() -> Limits:
    """Give the application's limits."""
    return cast("Limits", current_app.extensions["afterbeep.limits"])


def tell(response: Response) -> Response:
    """Add where the key stands to an answer."""
    found: Standing | None = g.get("standing")
    if found is not None:
        response.headers["RateLimit-Policy"] = f'"{found.name}";q={found.limit};w={PERIOD_S}'
        response.headers["RateLimit"] = f'"{found.name}";r={found.left};t={found.resets_in_s}'
    return response
