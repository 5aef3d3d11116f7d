"""Databases of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from hub.context import Hub
from hub.db.base import new_id


@pytest.fixture
def empty(hub: Hub) -> Iterator[Engine]:
    """A database of its own, without tables."""
    name = new_id("db")
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    made = create_engine(hub.engine.url.set(database=name))
    yield made
    made.dispose()
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database {name} with (force)"))
