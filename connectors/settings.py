"""Checks what an admin sets for a connection by the very code that reads it before a write."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors.errors import Rejected
from connectors.record import JSON


def wrong(read: Callable[[Mapping[str, JSON]], object], values: Mapping[str, JSON]) -> list[str]:
    """Say what is wrong with each of these values; ``read`` raises Rejected at the first that it does not take."""
    found: list[str] = []
    for name, value in values.items():
        try:
            read({name: value})
        except Rejected as err:
            found.append(err.detail)
    return found
