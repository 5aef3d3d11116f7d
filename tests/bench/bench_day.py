"""Measure a day of 50,000 calls with 3,000 API calls on the virtual clock: see ``python -m tests.day --help``."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from hub import log
from tests.day.__main__ import simulate


def measure() -> dict[str, Any]:
    """Give the day's figures; it takes some minutes."""
    log.configure(level="error", style="console", stream=sys.stderr)
    found = simulate(
        calls=50_000,
        others=1_500,
        grant=3_000,
        outage_hour=13,
        seed=1,
        console=Console(stderr=True),
    )
    return {"day": found.document()}


if __name__ == "__main__":
    print(json.dumps(measure()))  # noqa: T201 - the figures are what this command is for
