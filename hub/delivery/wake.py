"""Waking workers. Redis only rings the bell: whatever is lost here, the sweep finds again in the table.

Keys: ``wake:<connection>`` stands while a wake-up is on its way, or while a drain has said that it wants
to wait for a fuller batch; an ordinary event does not ring again then. ``wake-urgent:<connection>`` is the same for
urgent events, which no wait for a fuller batch keeps from ringing.
"""

from __future__ import annotations

from collections.abc import Iterable

import redis
from rq import Queue

from hub import clock, log
from hub.context import Hub

QUEUE = "deliver"
_LOG = log.get(__name__)
_FLAG_S = 30
_JOB_S = 600


#: Sets a flag until a moment, unless it stands: 1 when it was set. The flag's value is that moment, by the hub's clock.
_RAISE = """
local stands = redis.call('GET', KEYS[1])
if stands and tonumber(stands) > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] + ARGV[2], 'PX', math.ceil(ARGV[2] * 1000))
return 1
"""


def _flag(connection_id: str, *, is_urgent: bool = False) -> str:
    return f"wake-urgent:{connection_id}" if is_urgent else f"wake:{connection_id}"


def wake(hub: Hub, connection_ids: Iterable[str], *, is_urgent: bool = False) -> None:
    """Ring for these connections; does nothing for one that is rung for already.

    Never raises: without Redis the sweep rings later.
    """
    try:
        for connection_id in connection_ids:
            flag = _flag(connection_id, is_urgent=is_urgent)
            if hub.redis.eval(_RAISE, 1, flag, str(clock.seconds()), str(_FLAG_S)):
                _enqueue(hub, connection_id, is_urgent=is_urgent)
    except redis.RedisError as err:
        _LOG.warning("wake-up failed", error=type(err).__name__)


def awake(hub: Hub, connection_id: str) -> None:
    """Say that a drain has begun, or could not, so that the next event rings again."""
    try:
        hub.redis.delete(_flag(connection_id), _flag(connection_id, is_urgent=True))
    except redis.RedisError as err:
        _LOG.warning("wake-up could not be cleared", error=type(err).__name__)


def doze(hub: Hub, connection_id: str, wait_s: float, *, is_urgent: bool) -> None:
    """Keep ordinary events, and with ``is_urgent`` urgent ones too, from ringing for a while.

    The sweep rings when the time has come.
    """
    try:
        for each in {False, is_urgent}:
            flag = _flag(connection_id, is_urgent=each)
            until = clock.seconds() + wait_s
            hub.redis.set(flag, str(until), px=max(1, int(wait_s * 1_000)))
    except redis.RedisError as err:
        _LOG.warning("wake-up could not be put off", error=type(err).__name__)


def _enqueue(hub: Hub, connection_id: str, *, is_urgent: bool) -> None:
    Queue(QUEUE, connection=hub.redis).enqueue(
        "hub.delivery.jobs.drain",
        connection_id,
        at_front=is_urgent,
        job_timeout=_JOB_S,
        result_ttl=0,
        failure_ttl=3_600,
    )
