"""Count what is lost or doubled while everything breaks: see ``python -m tests.chaos --help``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

_SEED = "1"


def measure() -> dict[str, Any]:
    """Give what one run of chaos came to; it takes up to five minutes."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seed", _SEED],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return {"chaos": json.loads(answer.stdout.splitlines()[-1])}


if __name__ == "__main__":
    print(json.dumps(measure()))  # noqa: T201 - the figures are what this command is for
