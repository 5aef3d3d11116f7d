"""A day in minutes: ``make day``, or ``python -m tests.day --calls 50000 --grant 3000``.

A day of missed calls for one company whose Salesforce org grants us few API calls, with three other companies beside
it and an hour in which the vendor is down. Time is simulated; code, PostgreSQL, Redis and HTTP are real. The figures
go to ``build/day.json``, the calls spent over the day to ``build/day.svg``.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hub import log
from tests.day import plot
from tests.day.calls import day, hours
from tests.day.clock import VirtualClock
from tests.day.report import Day, Waits, report
from tests.day.simulate import Progress as Lived
from tests.day.simulate import run
from tests.day.world import world

_START = datetime(2026, 11, 23, tzinfo=UTC)
_BUILD = Path("build")


def simulate(
    *, calls: int, others: int, grant: int, outage_hour: int | None, seed: int, console: Console
) -> Day:
    """Live through a day; gives its figures and writes the plot."""
    clock = VirtualClock(_START)
    coming = day(_START, calls=calls, others=others, seed=seed)
    outage_at = None if outage_hour is None else _START + timedelta(hours=outage_hour)
    hour = timedelta(hours=1)
    with (
        tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as folder,
        world(Path(folder), clock, grant=grant, seed=seed) as found,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,} of {task.total:,} calls"),
            TimeElapsedColumn(),
            console=console,
        ) as bar,
    ):
        task = bar.add_task("00:00", total=calls)

        def tell(lived: Lived) -> None:
            bar.update(task, completed=lived.accepted, description=f"{clock.now():%H:%M}")

        lived = run(found, coming, start=_START, outage_at=outage_at, outage=hour, tell=tell)
        result = report(
            found,
            coming,
            grant=grant,
            spent=lived.spent,
            outage=outage_at and (outage_at, outage_at + hour),
            seed=seed,
        )
    _BUILD.mkdir(exist_ok=True)
    (_BUILD / "day.svg").write_text(
        plot.svg(
            lived.spent,
            start=_START,
            grant=grant,
            by_hour=list(hours(coming, _START)),
            outage=outage_at and (outage_at, outage_at + hour),
        ),
        encoding="utf-8",
    )
    return result


def main() -> int:
    """Read the command line; the exit code is 1 when something was lost or came twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.day", description=__doc__)
    parser.add_argument("--calls", type=int, default=50_000, help="missed calls of the day")
    parser.add_argument("--others", type=int, default=1_500, help="calls of the other companies")
    parser.add_argument("--grant", type=int, default=3_000, help="API calls that the org grants")
    parser.add_argument("--outage-hour", type=int, default=13, help="hour of the outage; -1: none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print only the figures, as JSON")
    chosen = parser.parse_args()
    # Whoever ends us lets us end what we started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    log.configure(level="error", style="console", stream=sys.stderr)
    console = Console(stderr=True)
    began = time.monotonic()
    result = simulate(
        calls=chosen.calls,
        others=chosen.others,
        grant=chosen.grant,
        outage_hour=None if chosen.outage_hour < 0 else chosen.outage_hour,
        seed=chosen.seed,
        console=console,
    )
    document = result.document() | {"took_s": round(time.monotonic() - began)}
    (_BUILD / "day.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if chosen.json:
        print(json.dumps(document))  # noqa: T201 - the answer of the command
    else:
        _print(result)
    return int(bool(result.lost or result.duplicated or not result.ledger_ok))


def _print(result: Day) -> None:
    console = Console()
    console.print(
        f"\n{result.calls:,} calls, {result.api_calls_spent:,} of {result.api_calls_granted:,} API calls spent."
    )
    console.print(
        f"{result.delivered:,} of {result.expected:,} records delivered, {result.lost} lost, "
        f"{result.duplicated} twice; {result.dropped_as_spam:,} calls dropped as spam; "
        f"the ledger {'agrees' if result.ledger_ok else 'does NOT agree'}."
    )
    for name, waits in (
        ("urgent calls, first record", result.urgent),
        ("other calls, first record", result.others),
        ("urgent calls, all records", result.urgent_all_steps),
        ("other calls, all records", result.others_all_steps),
        ("urgent calls outside of the outage", result.urgent_outside_outage),
        ("other calls outside of the outage", result.others_outside_outage),
    ):
        console.print(_line(name, waits))
    console.print(f"\nSeed {result.seed}. Written to {_BUILD}/day.json and {_BUILD}/day.svg.")


def _line(name: str, waits: Waits) -> str:
    return (
        f"  {name:36} {waits.calls:7,} · half within {waits.p50_s:,.1f} s · "
        f"95 % within {waits.p95_s:,.1f} s · longest {waits.longest_s:,.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
