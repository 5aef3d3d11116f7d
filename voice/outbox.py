"""Gives the hub what finished calls left in the spool, until it has taken it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voice.context import Context


async def run(context: Context) -> None:
    """Post what is in the spool, and what comes, until cancelled."""
