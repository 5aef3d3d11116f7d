"""Brings a database to the newest schema; safe to run from several processes at once, and beside the last release.

::

    the database is at     this code starts and is ready
    the newest revision    yes
    an older one           no: run afterbeep migrate
    one it does not know   yes: the next release has migrated; unless that has taken away what this one needs

The rules for migrations are in decision 11; ``tests/db/migration_rules.py`` holds them.
"""

from __future__ import annotations

import random
import re
import time
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hub import log

_LOG = log.get(__name__)
_LOCK: Final = 7_201_461  # any number that only this uses
#: While a migration waits for a lock, whoever comes after it waits too. So it soon lets them by, and tries again: well
#: before PostgreSQL looks for deadlocks (1 s), or it might end the other's transaction instead.
PATIENCE: Final = "500ms"
_TRIES: Final = 60
_PAUSE_S: Final = 1.0
_LOOK_S: Final = 0.2
_PASSING: Final = {"55P03", "40P01"}  # no lock in time, deadlock
_NEEDS: Final = re.compile(r"needs code of (\w+)")


class Standing(Enum):
    """How a database's schema stands to this code."""

    NEWEST = "newest"
    OLDER = "older"
    NEWER = "newer"
    TOO_NEW = "too new"

    @property
    def is_fine(self) -> bool:
        """Whether this code can work on it."""
        return self in {Standing.NEWEST, Standing.NEWER}


def config() -> Config:
    """Give Alembic's configuration, without a file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.set_main_option("path_separator", "os")
    return made


def migrate(engine: Engine, *, to: str = "head") -> list[str]:
    """Apply what is missing; gives the revisions that were applied.

    A migration waits at most a second for a lock, so that it never stops a running hub, and then tries again for about
    a minute. Raises SQLAlchemy's OperationalError when it never gets it.
    """
    with engine.connect() as connection:
        _wait_for_turn(connection)
        connection.execute(text(f"set lock_timeout = '{PATIENCE}'"))
        connection.commit()
        try:
            before = _revision(connection)
            _upgrade_patiently(connection, to)
            after = _revision(connection)
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.execute(text("reset lock_timeout"))
            connection.commit()
    script = ScriptDirectory.from_config(config())
    return [item.revision for item in script.iterate_revisions(after, before or "base")]


def _wait_for_turn(connection: Connection) -> None:
    """Take the migrations' lock by asking again and again.

    Whoever waited for it within a statement would be waited for by an index that is made beside writers.
    """
    while True:
        query = text("select pg_try_advisory_lock(:lock)")
        is_mine = connection.execute(query, {"lock": _LOCK}).scalar_one()
        connection.commit()
        if is_mine:
            return
        time.sleep(_LOOK_S)


def _upgrade_patiently(connection: Connection, to: str) -> None:
    for number in range(1, _TRIES + 1):
        settings = config()
        settings.attributes["connection"] = connection
        try:
            _drop_unfinished(connection)
            command.upgrade(settings, to)
            connection.commit()
        except DBAPIError as err:
            connection.rollback()
            is_passing = getattr(err.orig, "sqlstate", None) in _PASSING
            if not is_passing or number == _TRIES:
                raise
            _LOG.info("migration gave way", number=number)
            time.sleep(random.uniform(0.5, 1.5) * _PAUSE_S)  # noqa: S311 - nothing secret
        else:
            return


def _drop_unfinished(connection: Connection) -> None:
    """Drop indexes whose making beside writers failed: they are kept up, are not used, and block their name."""
    names = connection.execute(
        text(
            "select indexrelid::regclass::text from pg_index"
            " where not indisvalid and indexrelid::regclass::text ~ '^(ix|uq)_'"
        )
    ).scalars()
    for name in list(names):
        connection.execute(text(f"drop index if exists {name}"))
    connection.commit()


def _revision(connection: Connection) -> str | None:
    found = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return found


def current(engine: Engine) -> str | None:
    """Give the revision that the database is at, or None when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def _revisions() -> tuple[str, ...]:
    """Give the revisions that this code knows, the newest first."""
    script: Any = ScriptDirectory.from_config(config())
    return tuple(item.revision for item in script.walk_revisions())


def standing(engine: Engine) -> Standing:
    """Tell how the database's schema stands to this code."""
    found, known = current(engine), _revisions()
    if found == known[0]:
        return Standing.NEWEST
    if found is None or found in known:
        return Standing.OLDER
    needed = _needed(engine)
    return Standing.NEWER if needed is None or needed in known else Standing.TOO_NEW


def _needed(engine: Engine) -> str | None:
    """Give the revision that code must know to use a database which has lost something; None when it has not."""
    with engine.connect() as connection:
        said = connection.execute(
            text("select obj_description('alembic_version'::regclass)")
        ).scalar()
    found = _NEEDS.search(said or "")
    return found.group(1) if found else None


def is_newest(engine: Engine) -> bool:
    """Tell whether the database has the newest schema that this code knows."""
    return standing(engine) is Standing.NEWEST
