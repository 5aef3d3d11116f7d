"""Alembic's migrations, and what they share: decision 11 has the rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op

from hub.db.migrate import PATIENCE


@contextmanager
def beside_writers() -> Iterator[None]:
    """Make and drop indexes while rows are written: each statement its own transaction, with all the time it needs.

    A migration that uses this does nothing else, and each statement says ``if not exists`` or ``if exists``: what
    is left undone when it fails is done by the next try.
    """
    with op.get_context().autocommit_block():
        # Waiting for writers to end keeps none of them waiting.
        op.execute("set lock_timeout = 0")
        yield
        op.execute(f"set lock_timeout = '{PATIENCE}'")


def needs_code_of(revision: str) -> None:
    """Note that code which does not know this revision cannot use the database any more; for what takes away."""
    op.execute(f"comment on table alembic_version is 'needs code of {revision}'")
