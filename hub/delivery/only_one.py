"""Locks by name that end with the process that holds them, however that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.context import Hub


@contextmanager
def only_one(hub: Hub, name: str) -> Iterator[bool]:
    """Hold a lock of PostgreSQL's by name; gives False when another process has it.

    The lock has a database connection of its own, so that a broken transaction elsewhere does not drop it.
    """
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lock:
        values = {"name": name}
        has_lock = lock.execute(
            text("select pg_try_advisory_lock(hashtextextended(:name, 0))"), values
        ).scalar_one()
        try:
            yield bool(has_lock)
        finally:
            if has_lock:
                try:
                    lock.execute(
                        text("select pg_advisory_unlock(hashtextextended(:name, 0))"), values
                    )
                except DBAPIError:
                    lock.invalidate()  # with the session the lock is gone too
