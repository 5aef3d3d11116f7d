"""Who may hold how many workers, so that a vendor that hangs delays nobody else.

::

    workers there are       N     each holds a lock of PostgreSQL's while it lives, on whichever host
    of one vendor           at most N - 1 at a time, where connections of other vendors may deliver
    of slow connections     at most N / 2 together, of whichever vendors
    a turn                  20 s, or 2 s while others wait

A drain that gets no turn ends at once and is put into a line; whoever ends a turn wakes the first of the line. So a
worker never waits for another. The locks end with the process that holds them.

Redis: the sorted sets ``turns:<connector>`` and ``turns:of-the-slow`` hold connections in line by when they came (0:
urgent);
``slow:<connection>`` stands while its last calls took long. Wiped, the sweep rings for all, and what is slow is learnt
again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import redis
from sqlalchemy import Connection as SQLConnection
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hub import clock, log, tally
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection
from hub.delivery.wake import QUEUE, awake, doze, wake
from hub.tally import families

_LOG = log.get(__name__)
_WORKERS: Final = 7_201_464
_TURN_S: Final = 20.0
_SHORT_TURN_S: Final = 2.0
#: A batch that took longer makes a connection slow, one that took less makes it quick again.
_SLOW_S: Final = 5.0
_QUICK_S: Final = 1.0
_SLOW_FOR_S: Final = 300
#: Who is in line is woken by the turn before; this is for when that process dies.
_IN_LINE_S: Final = 60.0
_SLOW_LINE: Final = "turns:of-the-slow"
_FRESH_S: Final = 5.0
_PING_S: Final = 5.0

_STANDING: Final = """
select (select count(*) from pg_locks
        where locktype = 'advisory' and mode = 'ShareLock' and granted and classid = 0 and objid = :workers
          and database = (select oid from pg_database where datname = current_database())) as workers,
       (select count(distinct connector) from connections
        where health in ('healthy', 'degraded') and paused_at is null) as vendors
"""

#: Takes the first free one of some locks; none when all are taken.
_TAKE: Final = """
select place from generate_series(1, :places) as place
where pg_try_advisory_lock(hashtextextended(:name || place, 0)) limit 1
"""

_HAS_URGENT: Final = """
select exists (
    select from deliveries where connection_id = :id and state = 'waiting' and not is_blocked
       and is_urgent and due_at <= :at
)
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many workers live, and of how many vendors there are connections that may deliver."""

    workers: int
    vendors: int

    @property
    def has_others(self) -> bool:
        """Whether one could delay another at all."""
        return self.workers > 1 and self.vendors > 1

    @property
    def of_a_vendor(self) -> int:
        """Workers that one vendor may hold."""
        return max(1, self.workers - 1)

    @property
    def of_the_slow(self) -> int:
        """Workers that all slow connections together may hold."""
        return max(1, self.workers // 2)


@dataclass(slots=True)
class Turn:
    """A connection's turn on this worker, if it is one."""

    hub: Hub
    connection: Connection
    is_mine: bool = True
    is_slow: bool = False
    _began: float = field(default_factory=time.monotonic)
    _marked: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        """Tell, after each batch, whether it is others' turn."""
        self.mark()
        taken_s = time.monotonic() - self._began
        return taken_s >= _TURN_S or (taken_s >= _SHORT_TURN_S and self.is_wanted())

    def is_wanted(self) -> bool:
        """Tell whether somebody waits for a worker, or for this vendor's turn."""
        try:
            with self.hub.redis.pipeline(transaction=False) as pipe:
                pipe.llen(f"rq:queue:{QUEUE}")
                pipe.zcard(_line(self.connection.connector))
                return any(pipe.execute())
        except redis.RedisError:
            return False

    def mark(self) -> None:
        """Note how long the vendor took since the last mark."""
        took_s, self._marked = time.monotonic() - self._marked, time.monotonic()
        name = f"slow:{self.connection.id}"
        try:
            if took_s > _SLOW_S:
                self.hub.redis.set(name, 1, ex=_SLOW_FOR_S)
            elif took_s < _QUICK_S and self.is_slow:
                self.hub.redis.delete(name)
                self.is_slow = False
        except redis.RedisError:
            return  # it is learnt from the next batch


@contextmanager
def turn(hub: Hub, connection: Connection, *, lines_up: bool = True) -> Iterator[Turn]:
    """Hold a turn for a connection; when it gets none, it is put in line, unless it has no need to be."""
    mine = Turn(hub, connection, is_slow=_is_slow(hub, connection))
    standing = standing_of(hub)
    if not standing.has_others:
        try:
            yield mine
        finally:
            mine.mark()
        return
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        was_slow, line = mine.is_slow, _take(session, mine, standing)
        if line is not None and lines_up:
            _line_up(hub, session, mine, line)
            # Whoever held the turn may have ended it before we stood in line.
            line = _take(session, mine, standing)
        mine.is_mine = line is None
        if not mine.is_mine:
            tally.count(hub.redis, families.TURNS_REFUSED, connection.connector)
        try:
            yield mine
        finally:
            _give_back(session)
            if mine.is_mine:
                mine.mark()
                _call_next(hub, _line(connection.connector))
                if was_slow:
                    _call_next(hub, _SLOW_LINE)


def _line(connector: str) -> str:
    return f"turns:{connector}"


def _is_slow(hub: Hub, connection: Connection) -> bool:
    try:
        return bool(hub.redis.exists(f"slow:{connection.id}"))
    except redis.RedisError:
        return False


def _take(session: SQLConnection, mine: Turn, standing: Standing) -> str | None:
    """Take a turn, or give the line to stand in for one."""
    wanted = [(_line(mine.connection.connector), standing.of_a_vendor)]
    if mine.is_slow:
        wanted.append((_SLOW_LINE, standing.of_the_slow))
    for line, places in wanted:
        values = {"name": f"{line}:", "places": places}
        if session.execute(text(_TAKE), values).scalar() is None:
            _give_back(session)
            return line
    return None


def _give_back(session: SQLConnection) -> None:
    try:
        session.execute(text("select pg_advisory_unlock_all()"))
    except SQLAlchemyError:
        session.invalidate()  # with the session the locks are gone too


def _line_up(hub: Hub, session: SQLConnection, mine: Turn, line: str) -> None:
    which = mine.connection
    is_urgent = session.execute(text(_HAS_URGENT), {"id": which.id, "at": now()}).scalar()
    try:
        hub.redis.zadd(line, {which.id: 0.0 if is_urgent else clock.seconds()}, lt=True)
        hub.redis.expire(line, int(_IN_LINE_S))
    except redis.RedisError:
        return  # the sweep rings for it
    doze(hub, which.id, _IN_LINE_S, is_urgent=False)


def _call_next(hub: Hub, line: str) -> None:
    """Wake the first in a line."""
    try:
        found: Any = hub.redis.zpopmin(line)
    except redis.RedisError:
        return
    for name, since in found:
        awake(hub, name.decode())
        wake(hub, [name.decode()], is_urgent=since == 0.0)


_SEEN: Final[dict[str, tuple[float, Standing]]] = {}


def standing_of(hub: Hub) -> Standing:
    """Count workers and vendors, or give what was so a moment ago."""
    where = str(hub.engine.url)
    seen_at, found = _SEEN.get(where, (-_FRESH_S, Standing(0, 0)))
    if time.monotonic() - seen_at < _FRESH_S:
        return found
    with hub.everyone("workers are shared by all tenants") as session:
        row = session.execute(text(_STANDING), {"workers": _WORKERS}).one()
    found = Standing(row.workers, row.vendors)
    _SEEN[where] = (time.monotonic(), found)
    return found


def attend(hub: Hub, stop: threading.Event) -> None:
    """Be counted as a worker until told to stop; for a thread of its own."""
    while not stop.is_set():
        try:
            with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
                session.execute(
                    text("select pg_advisory_lock_shared(:workers)"), {"workers": _WORKERS}
                )
                while not stop.wait(_PING_S):
                    session.execute(text("select 1"))
                session.execute(text("select pg_advisory_unlock_all()"))
        except SQLAlchemyError as err:
            _LOG.warning("worker is not counted", error=type(err).__name__)
            stop.wait(1.0)
