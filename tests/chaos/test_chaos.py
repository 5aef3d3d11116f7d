"""A short run of ``make chaos`` with every vendor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.registry import SANDBOXES

pytestmark = pytest.mark.processes


def test_chaos_loses_nothing_and_doubles_nothing(root: Path, tmp_path: Path) -> None:
    """Whatever dies, is wiped, cut or revoked: each step of each accepted voicemail has one record at every vendor."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seconds", "25"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )

    # The seed is in the answer, for the same run again.
    assert answer.returncode == 0, f"{answer.stdout}\n{answer.stderr[-4_000:]}"
    found = json.loads(answer.stdout.splitlines()[-1])
    assert (found["lost"], found["duplicated"], found["ledger_ok"]) == (0, 0, True)
    assert set(found["vendors"]) == set(SANDBOXES)
    assert found["events"] > 0
    assert found["delivered"] == sum(each["expected"] for each in found["vendors"].values())
    assert min(found["kills"], found["wipes"]) > 0
