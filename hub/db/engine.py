"""Connections to PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from hub.settings import SettingsProblem

_RECYCLE_S: Final = 1_800
_CONNECT: Final = {
    "connect_timeout": 5,
    "application_name": "afterbeep",
    "options": "-c timezone=UTC",
}


def sqlalchemy_url(url: str) -> str:
    """Name the driver in a PostgreSQL URL."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else url


@cache
def engine(url: str, *, pool_size: int = 10) -> Engine:
    """Give this process's engine for a database; one engine, and so one pool, per URL."""
    return create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=10,
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_S,
        hide_parameters=True,  # an error's text would hold what people wrote and said
        connect_args=_CONNECT,
    )


@cache
def _statements(beside: Engine) -> Engine:
    """Give the engine for :func:`run`: the same database, each statement its own transaction.

    Its connections are neither asked for life before use nor reset after it: three round trips less.
    """
    return create_engine(
        beside.url,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        pool_size=10,
        max_overflow=20,
        pool_recycle=_RECYCLE_S,
        pool_reset_on_return=None,
        connect_args=_CONNECT,
    )


def run(beside: Engine, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run one statement of psycopg's own form in a transaction of its own, quickly; gives its rows.

    When the connection turns out to be dead the statement is run once more on a new one. It may have
    been carried out by then, so it must do nothing the second time. Raises SQLAlchemy's OperationalError
    when the database does not answer.
    """
    quick = _statements(beside)
    for is_last in (False, True):
        connection = quick.raw_connection()
        driver: Any = connection.driver_connection
        try:
            found: list[tuple[Any, ...]] = driver.execute(statement, values).fetchall()
        except psycopg.OperationalError as err:
            is_dead = driver.closed
            if is_dead:
                quick.dispose()  # what died with the server is dead on all connections
            if is_last or not is_dead:
                # Without the values: they hold what a caller said.
                raise OperationalError(None, None, err) from err
        else:
            return found
        finally:
            connection.close()
    raise AssertionError  # pragma: no cover - the loop returns or raises


def check_reachable(url: str) -> None:
    """Raise SettingsProblem when the database does not answer."""
    try:
        with engine(url).connect() as connection:
            connection.execute(text("select 1"))
    except OperationalError as err:
        reason = str(err.orig).strip().splitlines()[0] if err.orig else "no answer"
        raise SettingsProblem(
            f"The database of AFTERBEEP_DATABASE_URL does not answer: {reason}. "
            "Check the address, or unset the variable to use the embedded server."
        ) from err
