"""Figures that take long to count: kept in Redis, shown as they were counted last, counted anew behind the page.

A company with few voicemails has everything counted while its page is made. For one with many the page is answered at
once, with what is kept or with a place that says so, and asks for the figures by itself; only that request counts.
Redis: ``figures:<kind>:<key>`` for a day. Wiped, the next page counts again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar

import redis
from sqlalchemy import select

from hub import clock, log
from hub.context import Hub
from hub.db.events import StoredEvent
from hub.db.tenancy import TenantSession

_log = log.get(__name__)
T = TypeVar("T")
#: How a page wants figures: counted while it is made, as they are kept, or counted behind a page and kept for it.
How = Literal["now", "kept", "behind"]
#: A company with more voicemails has its figures counted behind its pages.
MANY: Final = 5_000
_KEPT_S: Final = 86_400
#: Figures are fresh for a hundred times as long as counting took, at most as long as their kind says. What was counted
#: while a page is made is not kept when that was quick; what a page waits for always is.
_FRESH: Final = 100
_QUICK_S: Final = 0.1
_LEAST_FRESH_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of figures: its name, for how many seconds they are fresh at most, and how they are written down."""

    name: str
    fresh_s: float
    written: Callable[[T], Any]
    read: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Shown(Generic[T]):
    """Figures as a page shows them.

    ``is_due`` says that they are to be counted, for the first time or anew; ``value`` is None where nothing is kept,
    or counting took too long.
    """

    value: T | None
    is_due: bool = False
    counted_at: datetime | None = None


def how(session: TenantSession) -> How:
    """Tell how a company's pages get their figures; none should wait for the sums of very many voicemails."""
    query = select(StoredEvent.id).order_by(StoredEvent.received_at).offset(MANY).limit(1)
    return "now" if session.scalars(query).first() is None else "kept"


def shown(
    hub: Hub, kind: Kind[T], key: str, count: Callable[[], T | None], *, how: How
) -> Shown[T]:
    """Give figures as a page wants them; ``count`` gives None when it took too long, which is not kept."""
    name = f"figures:{kind.name}:{key}"
    kept = _kept(hub, kind, name)
    if kept is not None and (how == "kept" or not kept.is_due):
        return kept
    if how == "kept":
        return Shown(None, is_due=True)
    began = time.monotonic()
    found = count()
    if found is None:
        return Shown(None)
    took_s, at = time.monotonic() - began, clock.seconds()
    if how == "behind" or took_s > _QUICK_S:
        fresh_s = min(max(took_s * _FRESH, _LEAST_FRESH_S), kind.fresh_s)
        entry = {"at": at, "fresh_until": at + fresh_s, "value": kind.written(found)}
        with suppress(redis.RedisError):
            hub.redis.set(name, json.dumps(entry), ex=_KEPT_S)
    return Shown(found, counted_at=datetime.fromtimestamp(at, UTC))


def forget(hub: Hub, kind: Kind[Any], key: str) -> None:
    """Have figures counted anew by the next page; while Redis is away they are as old as their kind allows."""
    with suppress(redis.RedisError):
        hub.redis.delete(f"figures:{kind.name}:{key}")


def _kept(hub: Hub, kind: Kind[T], name: str) -> Shown[T] | None:
    try:
        text: Any = hub.redis.get(name)
        if text is None:
            return None
        entry = json.loads(text)
        return Shown(
            kind.read(entry["value"]),
            is_due=clock.seconds() >= entry["fresh_until"],
            counted_at=datetime.fromtimestamp(entry["at"], UTC),
        )
    except redis.RedisError:
        return None
    except (ValueError, KeyError, TypeError) as err:
        # Written by another release; it is counted anew.
        _log.debug("kept figures are not legible", kind=type(err).__name__)
        return None
