"""The commands as a person uses them: they start, answer, stop, and say in a sentence what is wrong."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from hub.processes import free_port
from tests.e2e.installation import (
    COMMAND,
    environment,
    family,
    last_json,
    run,
    survivors,
    until,
)

pytestmark = pytest.mark.processes


def test_the_demonstration_lands_and_a_second_run_changes_nothing(folder: Path):
    """``demo --once --json`` ends with 0 and the books in order; the same voicemails again are known."""
    env = environment(folder / "data")
    port = str(free_port())

    first = run("demo", "--once", "--json", "--port", port, env=env)
    assert first.returncode == 0, first.stderr
    found = last_json(first.stdout)
    assert set(found) == {"events", "deliveries", "records", "ledger_ok", "seconds"}
    assert found["ledger_ok"] is True
    assert found["events"] > 0
    assert found["deliveries"]["dropped"] > 0
    assert found["deliveries"]["delivered"] > 0
    assert all(number > 0 for number in found["records"].values())

    second = run("demo", "--once", "--json", "--port", port, env=env)
    again = last_json(second.stdout)
    assert second.returncode == 0, second.stderr
    assert f"{found['events']} known from before" in second.stderr
    assert (again["events"], again["deliveries"]) == (found["events"], found["deliveries"])
    assert again["records"] == found["records"]


def test_ctrl_c_stops_everything_that_was_started(folder: Path):
    """After SIGINT the command ends with 0, and none of its processes is left."""
    data_dir = folder / "data"
    env = environment(data_dir, AFTERBEEP_PORT=str(free_port()))
    with subprocess.Popen(
        [*COMMAND, "up"], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "listens on" in line:
                break
        members = family(psutil.Process(process.pid), data_dir)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        code = process.wait(60)

    assert code == 0
    assert {"postgres", "redis-server"} <= {
        name.partition(" ")[0].rstrip(":") for name in members.values()
    }
    assert until(lambda: not survivors(members))


@pytest.mark.parametrize("command", ["up", "serve", "demo"])
def test_a_port_in_use_is_one_sentence(folder: Path, command: str):
    """The sentence names the port and the setting; the exit code is 2 and nothing was started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = run(command, env=environment(folder / "data", AFTERBEEP_PORT=port))

    assert answer.returncode == 2
    assert answer.stderr.splitlines() == [
        f"Error: Port {port} is in use by another program. Choose another one with AFTERBEEP_PORT."
    ]
    assert not (folder / "data").exists()


def test_an_unreachable_database_is_one_sentence(folder: Path):
    """The sentence names the setting; the exit code is 2."""
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    env = environment(
        folder,
        AFTERBEEP_PORT=str(free_port()),
        AFTERBEEP_DATABASE_URL=url,
        AFTERBEEP_REDIS_URL="redis://x",
    )

    answer = run("up", env=env)

    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert "AFTERBEEP_DATABASE_URL does not answer" in answer.stderr


def test_a_data_folder_that_cannot_be_written_is_one_sentence(folder: Path):
    """A file in its place is such a case; the sentence names the setting, the exit code is 2."""
    blocked = folder / "file"
    blocked.write_text("not a folder")

    answer = run("migrate", env=environment(blocked / "data"))

    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert "AFTERBEEP_DATA_DIR" in answer.stderr


def test_a_folder_is_used_by_one_installation_at_a_time(folder: Path):
    """A second ``up`` on the same folder says which process has it."""
    env = environment(folder / "data", AFTERBEEP_PORT=str(free_port()))
    with subprocess.Popen(
        [*COMMAND, "up"], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "listens on" in line:
                break
        answer = run("up", env=env | {"AFTERBEEP_PORT": str(free_port())})
        process.send_signal(signal.SIGTERM)
        process.stderr.read()

    assert answer.returncode == 2
    assert f"(process {process.pid})" in answer.stderr
