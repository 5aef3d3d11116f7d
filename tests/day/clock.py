"""A clock that only the simulation moves, for the hub, the vendors in miniature and PostgreSQL alike."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import psycopg

from connectors.sandbox import clock as sandbox_clock
from hub import clock as hub_clock

#: An unqualified now() means this one in every statement and default, since the schema comes before the system's.
_SET_UP = """
create schema if not exists simulated;
create table simulated.clock (at timestamptz not null);
insert into simulated.clock values (to_timestamp(%s));
create function simulated.now() returns timestamptz language sql stable parallel safe
  as 'select at from simulated.clock';
grant usage on schema simulated to public;
grant select on simulated.clock to public;
"""


class VirtualClock:
    """Seconds since 1970, moved by hand. ``install`` makes every part of this process, and the database, live by it."""

    def __init__(self, start: datetime) -> None:
        """Begin at a moment."""
        self._at = start.timestamp()
        self._lock = threading.Lock()
        self._database: psycopg.Connection[tuple[object, ...]] | None = None

    def seconds(self) -> float:
        """Give the present moment."""
        return self._at

    def now(self) -> datetime:
        """Give the present moment, in UTC."""
        return datetime.fromtimestamp(self._at, UTC)

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.to(self._at + seconds)

    def to(self, at: float) -> None:
        """Go on to a moment, unless it is past."""
        with self._lock:
            self._at = max(self._at, at)
            if self._database is not None:
                self._database.execute(
                    "update simulated.clock set at = to_timestamp(%s)", (self._at,)
                )

    def install(self, database_url: str) -> None:
        """Replace the clocks of the hub, of sandboxes in this process, and of this database."""
        self._database = psycopg.connect(database_url, autocommit=True)
        for statement in _SET_UP.strip().split(";\n"):
            values = (self._at,) if "%s" in statement else None
            self._database.execute(statement, values)  # type: ignore[call-overload]  # our own text
        name = self._database.info.dbname
        # Tables are still made in public: it stands first and has no now() of its own.
        self._database.execute(
            f'alter database "{name}" set search_path = public, simulated, pg_catalog'  # type: ignore[call-overload]
        )
        hub_clock.use(self.seconds)
        sandbox_clock.use(self.seconds)

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()
            self._database = None
