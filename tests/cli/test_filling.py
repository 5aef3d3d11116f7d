"""``make fill``: a company to look at, put in by one command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from hub.context import Hub
from hub.db import people
from tests.cli.commands import Shell

ROOT = Path(__file__).parents[2]


def fill(shell: Shell, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run what ``make fill`` runs."""
    return subprocess.run(
        [sys.executable, "-m", "tests.bench.filling", *words],
        cwd=ROOT,
        env=shell.env | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_company_is_filled_and_its_owner_can_sign_in(shell: Shell, hub: Hub) -> None:
    """It says how much was made, and the address and password that open it."""
    done = fill(shell, "--voicemails", "30")

    assert done.returncode == 0, done.stderr
    assert "30 voicemails and 90 deliveries" in done.stdout
    found = re.search(r"Sign in as (\S+) with the password '([^']+)'", done.stdout)
    assert found is not None
    with hub.everyone("a test signs in") as session:
        assert people.check_password(session, email=found[1], password=found[2]) is not None


def test_without_a_database_it_says_what_is_missing(shell: Shell) -> None:
    """One sentence, and no traceback."""
    done = fill(shell, AFTERBEEP_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
