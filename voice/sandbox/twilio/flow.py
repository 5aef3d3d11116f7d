"""How a verb says what comes next: another document, or the end."""

from __future__ import annotations

from dataclasses import dataclass


class HungUp(Exception):
    """The call is over."""


@dataclass(frozen=True, slots=True)
class Go:
    """Go on with another document."""

    url: str
    form: dict[str, str]
    method: str = "POST"
    why: str = "action"
