"""Folders for whole installations."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder outside pytest's own.

    Run by root, PostgreSQL runs as a user of its own, and every pytest that starts closes pytest's folder to others.
    """
    with tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as made:
        yield Path(made)
