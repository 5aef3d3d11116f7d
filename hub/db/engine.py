"""Connections to PostgreSQL."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from hub.settings import SettingsProblem


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
        pool_recycle=1_800,
        connect_args={
            "connect_timeout": 5,
            "application_name": "afterbeep",
            "options": "-c timezone=UTC",
        },
    )


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
