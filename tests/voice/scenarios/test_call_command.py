"""``afterbeep call`` as an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def _run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AFTERBEEP_")}
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", "call", *words],
        env=clean | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_a_call_is_shown_as_it_was_heard() -> None:
    """Times, both sides, what was captured, and the verdict; its own Redis comes and goes."""
    done = _run("--script", "lead_all_at_once")

    assert done.returncode == 0, done.stderr
    assert "holds" in done.stdout
    assert "This is Dana Whitfield" in done.stdout or "this is Dana Whitfield" in done.stdout
    assert "+14155550132" in done.stdout


def test_what_does_not_hold_is_told_and_the_exit_code_is_1(
    tmp_path: Path, scenario_redis: str
) -> None:
    """As JSON for machines, with what was captured instead."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        "title: A call that comes out otherwise\n"
        "about: [support]\n"
        "caller:\n"
        "  does:\n"
        '    - {says: "This is Dana Whitfield, my sink is leaking."}\n'
        "    - {hangs_up: true}\n"
        "expect: {captured: {name: Nobody}}\n",
        encoding="utf-8",
    )
    done = _run("--script", str(file), "--json", AFTERBEEP_REDIS_URL=scenario_redis)

    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["holds"] is False
    assert told["problems"] == ["The name is 'Dana Whitfield', which does not match /Nobody/."]
    assert told["event"]["data"]["summary"] == "Dana Whitfield: My sink is leaking"


def test_the_shipped_calls_are_listed() -> None:
    """One a line, with its title."""
    done = _run("--list", "--json")
    assert done.returncode == 0
    assert len([json.loads(line) for line in done.stdout.splitlines()]) >= 40


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--script FILE"),
        (("--script", "nowhere.yaml"), "nowhere.yaml"),
        (("--script", "cough", "--line", "telex"), "telex"),
        (("--script", "cough", "--hub", "http://127.0.0.1:9"), "AFTERBEEP_VOICE_TOKEN"),
        (("--replay", "CA1"), "AFTERBEEP_VOICE_TOKEN"),
    ],
)
def test_what_is_asked_wrongly_is_one_sentence(words: tuple[str, ...], told: str) -> None:
    """Exit code 2, nothing on standard output."""
    done = _run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
