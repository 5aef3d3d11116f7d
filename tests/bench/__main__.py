"""Measure everything, print a table with the goals beside, and write ``build/bench.json``: ``make bench``.

Each ``bench_*.py`` has ``measure()``, which gives figures by name. With names as arguments only those run.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_HERE = Path(__file__).parent
_OUT = Path("build/bench.json")
#: Figure to its goal; with ``most`` the figure should not be above it.
GOALS: dict[str, tuple[str, float]] = {
    "render_per_s": ("least", 120_000),
    "accept_per_s": ("least", 800),
    "accept_batched_per_s": ("least", 4_000),
    "end_to_end_per_s": ("least", 500),
    "calls_per_1000.salesforce": ("most", 6),
    "calls_per_1000.hubspot": ("most", 11),
    "calls_per_1000.zendesk": ("most", 12),
    "pages_worst_p50_ms": ("most", 200),
    "day.lost": ("most", 0),
    "day.duplicated": ("most", 0),
    "day.most_api_calls_in_24_h": ("most", 3_000),
    "day.urgent.p95_s": ("most", 30),
    "day.others.p95_s": ("most", 300),
    "chaos.lost": ("most", 0),
    "chaos.duplicated": ("most", 0),
    "voice.relay_answer_p95_ms": ("most", 1_000),
    "voice.openai_answer_p95_ms": ("most", 1_000),
    "voice.relay_barge_in_p95_ms": ("most", 250),
    "voice.openai_barge_in_p95_ms": ("most", 250),
    "voice.after_clear_ms": ("most", 0),
    "voice.own_p95_ms_at_1": ("most", 30),
    "voice.own_p95_ms_at_10": ("most", 30),
    "voice.own_p95_ms_at_50": ("most", 30),
}


def main(names: list[str]) -> None:
    """Run the measurements that are named, or all."""
    console = Console(stderr=False)
    figures: dict[str, Any] = {}
    for file in sorted(_HERE.glob("bench_*.py")):
        name = file.stem.removeprefix("bench_")
        if names and name not in names:
            continue
        console.print(f"Measuring {name} …", style="dim")
        figures |= import_module(f"tests.bench.{file.stem}").measure()
    figures["machine"] = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    _OUT.parent.mkdir(exist_ok=True)
    _OUT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    console.print(_table(figures))
    console.print(f"Written to {_OUT}.")


def _table(figures: dict[str, Any]) -> Table:
    table = Table("Figure", "Measured", "Goal", box=None, header_style="bold", pad_edge=False)
    for name, value in _flat(figures):
        if isinstance(value, str | bool):
            continue
        kind, goal = GOALS.get(name, ("", 0.0))
        is_met = {"least": value >= goal, "most": value <= goal, "": True}[kind]
        sign = {"least": "≥", "most": "≤", "": ""}[kind]
        shown = f"{sign} {goal:,g}" + ("" if is_met else "  not met") if kind else ""
        table.add_row(name, f"{value:,.6g}", shown, style=None if is_met else "red")
    return table


def _flat(figures: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in figures.items():
        found += (
            _flat(value, f"{before}{name}.")
            if isinstance(value, dict)
            else [(before + name, value)]
        )
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
