"""A small day on the virtual clock: what ``make day`` does, short enough for every run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


def test_a_day_with_few_api_calls_and_an_outage_delivers_everything_once(
    root: Path, tmp_path: Path
) -> None:
    """Of 150 calls with 90 API calls and an hour's outage nothing is lost, doubled or overspent."""
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "tests.day", "--json", "--calls", "150", "--others", "15"),
            *("--grant", "90", "--seed", "3"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["calls"] == 150
    assert (found["lost"], found["duplicated"], found["ledger_ok"]) == (0, 0, True)
    assert found["delivered"] == found["expected"] > 250
    assert found["most_api_calls_in_24_h"] <= 90
    assert (tmp_path / "build" / "day.svg").read_text().startswith("<svg")
