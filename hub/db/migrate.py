"""Brings a database to the newest schema; safe to run from several processes at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

_LOCK = 7_201_461  # any number that only this uses


def config() -> Config:
    """Give Alembic's configuration, without a file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.set_main_option("path_separator", "os")
    return made


def migrate(engine: Engine) -> list[str]:
    """Apply what is missing; gives the revisions that were applied.

    A migration waits at most four seconds for a lock, so that it never stops a running hub.
    """
    before = current(engine)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text("set lock_timeout = '4s'"))
        connection.commit()
        try:
            settings = config()
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.execute(text("reset lock_timeout"))
            connection.commit()
    script = ScriptDirectory.from_config(config())
    return [item.revision for item in script.iterate_revisions("head", before or "base")]


def current(engine: Engine) -> str | None:
    """Give the revision that the database is at, or None when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_newest(engine: Engine) -> bool:
    """Tell whether the database has the newest schema."""
    return current(engine) == ScriptDirectory.from_config(config()).get_current_head()
