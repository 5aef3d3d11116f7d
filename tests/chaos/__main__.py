"""Chaos, bounded to five minutes: ``make chaos``, or ``python -m tests.chaos --seconds 120 --seed 7``.

Real hub, workers, sweep, PostgreSQL, Redis and a sandbox of every vendor run while voicemails are posted.
Processes are killed, Redis is emptied, PostgreSQL crashes, answers are cut after the vendor wrote, and tokens are
rotated, expired and revoked. A person reconnects what needs it and sends again what was parked, as the pages let
them. In the end every step of every accepted voicemail must have exactly one record. The last line is JSON; the exit
code is 1 when anything is lost or doubled.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from connectors.registry import SANDBOXES
from hub import log
from tests.chaos.run import Chaos

_BUILD = Path("build")
_BOUND_S = 300.0


def main() -> int:
    """Read the command line and break things."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=130.0, help="how long things break")
    parser.add_argument("--per-second", type=float, default=2.0, help="voicemails posted")
    parser.add_argument("--seed", type=int, help="for the same order of events again")
    parser.add_argument(
        "--vendors", nargs="+", choices=sorted(SANDBOXES), default=sorted(SANDBOXES)
    )
    chosen = parser.parse_args()
    # Whoever ends us lets us end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = secrets.randbelow(1_000_000) if chosen.seed is None else chosen.seed
    log.configure(level="critical", style="console", stream=sys.stderr)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as folder:
        chaos = Chaos(Path(folder), vendors=chosen.vendors, seed=seed, console=console)
        found = chaos.run(
            seconds=chosen.seconds, per_second=chosen.per_second, until=time.monotonic() + _BOUND_S
        )
    _BUILD.mkdir(exist_ok=True)
    (_BUILD / "chaos.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found))  # noqa: T201 - the answer of the command
    return int(not is_right(found))


def is_right(found: dict[str, Any]) -> bool:
    """Tell whether nothing was lost and nothing came twice."""
    return not found["lost"] and not found["duplicated"] and bool(found["ledger_ok"])


if __name__ == "__main__":
    sys.exit(main())
