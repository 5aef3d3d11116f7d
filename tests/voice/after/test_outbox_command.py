"""``afterbeep outbox`` shows what waits without a key, and lets it be tried again."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from hub.cli import afterbeep
from tests.voice.after.conftest import parcel
from voice.spool import State


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run the command on the test's folder."""
    monkeypatch.setenv("AFTERBEEP_DATA_DIR", str(tmp_path))
    return lambda *words: CliRunner().invoke(afterbeep, ["outbox", *words])


def test_what_waits_is_listed_oldest_first_with_its_reason(command, spool):
    """Nothing of what was said is shown."""
    spool.put(parcel("CA2", minutes=1))
    spool.put(parcel("CA1", **{"3_recording_RE1": b"{}\n"}))
    spool.note("CA1", State(attempts=3, parked="event: the hub answered 422: x"))

    shown = [json.loads(line) for line in command("list", "--json").output.splitlines()]
    assert [one["call_id"] for one in shown] == ["CA1", "CA2"]
    assert shown[0]["left"] == ["event", "recording"]
    assert shown[0]["parked"] == "event: the hub answered 422: x"
    assert "chest pain" not in command("list").output
    assert command("list", "--parked").output.count("\n") == 1


def test_parked_calls_are_tried_again(command, spool):
    """The reason is gone, and it is due now."""
    spool.put(parcel("CA1"))
    spool.note("CA1", State(attempts=3, due=9e9, parked="no"))

    assert json.loads(command("retry", "--parked", "--json").output) == {
        "again": ["CA1"],
        "in_work": [],
    }
    assert spool.one("CA1").state == State()


def test_an_unknown_call_is_a_usage_error_and_changes_nothing(command, spool):
    """Exit code 2, and the call is named."""
    spool.put(parcel("CA1"))
    spool.note("CA1", State(parked="no"))

    found = command("retry", "CA1", "CA9")
    assert found.exit_code == 2
    assert "CA9" in found.output
    assert spool.one("CA1").state.parked == "no"
    assert command("retry").exit_code == 2


def test_an_empty_outbox_is_no_error(command):
    """Also when the folder does not exist yet."""
    found = command("list")

    assert (found.exit_code, found.output) == (0, "")


def test_help_has_examples(command):
    """For each command."""
    for name in ("list", "retry"):
        assert f"afterbeep outbox {name}" in command(name, "--help").output
