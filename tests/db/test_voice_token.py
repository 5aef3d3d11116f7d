"""The token that hub and voice front end share: made once where servers are embedded, for its owner only."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub import embedded
from hub.settings import SettingsProblem, load
from tests.conftest import VOICE_TOKEN


def test_it_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """Of many that start at once all get the same, from a file that nobody else reads."""
    settings = load(data_dir=tmp_path / "var", database_url=None, redis_url=None)

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: embedded.voice_token(settings), range(16)))

    [token] = found
    assert len(token) >= 32
    assert stat.S_IMODE((tmp_path / "var" / "voice.token").stat().st_mode) == 0o600
    assert [one.name for one in (tmp_path / "var").iterdir()] == ["voice.token"]


def test_what_is_set_counts(tmp_path: Path) -> None:
    """Then no file is made."""
    settings = load(data_dir=tmp_path, voice_token=VOICE_TOKEN)

    assert embedded.voice_token(settings) == VOICE_TOKEN
    assert list(tmp_path.iterdir()) == []


def test_with_servers_of_ones_own_none_is_made(tmp_path: Path) -> None:
    """The operator gives one, or there is no voice front end."""
    elsewhere = "postgresql://elsewhere.example/x"
    settings = load(data_dir=tmp_path, database_url=elsewhere, redis_url="redis://elsewhere")

    assert embedded.voice_token(settings) is None


def test_a_file_that_was_emptied_is_said(tmp_path: Path) -> None:
    """Rather than letting everybody in with nothing."""
    (tmp_path / "voice.token").write_text("\n", encoding="ascii")

    with pytest.raises(SettingsProblem, match="holds no voice token"):
        embedded.voice_token(load(data_dir=tmp_path))


def test_a_file_may_hold_it(tmp_path: Path) -> None:
    """``AFTERBEEP_VOICE_TOKEN_FILE``, as for every secret."""
    file = tmp_path / "token"
    file.write_text(f"{VOICE_TOKEN}\n", encoding="ascii")
    code = "from hub.settings import load; print(load().voice_token.get_secret_value())"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "AFTERBEEP_VOICE_TOKEN_FILE": str(file)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == VOICE_TOKEN


def test_processes_that_are_started_find_it(services: embedded.Services, tmp_path: Path) -> None:
    """Whatever a command starts has it in its environment, where a server is embedded."""
    code = (
        "import os; from hub.cli.opening import servers\n"
        "with servers(): print(os.environ['AFTERBEEP_VOICE_TOKEN'])"
    )
    outside = {name: text for name, text in os.environ.items() if not name.startswith("AFTERBEEP_")}

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=outside
        | {
            "AFTERBEEP_DATA_DIR": str(tmp_path),
            "AFTERBEEP_DATABASE_URL": services.database_url,
            "AFTERBEEP_LOG_LEVEL": "error",
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == (tmp_path / "voice.token").read_text(encoding="ascii")
