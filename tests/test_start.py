"""What keeps an installation from starting is one sentence that says what to do."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hub import embedded
from hub.context import open_hub
from hub.db.engine import check_reachable
from hub.settings import SettingsProblem, load, vendor_settings


def sentence(caught: pytest.ExceptionInfo[SettingsProblem]) -> str:
    """Give the message, which is one line."""
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The folder, the reason, and the setting that chooses another."""
    (tmp_path / "file").touch()
    settings = load(data_dir=tmp_path / "file" / "var", database_url=None, redis_url=None)

    with pytest.raises(SettingsProblem) as caught:
        embedded.start(settings)

    assert "AFTERBEEP_DATA_DIR" in sentence(caught)


def test_a_database_that_does_not_answer() -> None:
    """The setting and the reason, without the password."""
    with pytest.raises(SettingsProblem) as caught:
        check_reachable("postgresql://robin:sesame@127.0.0.1:1/afterbeep")

    assert "AFTERBEEP_DATABASE_URL" in sentence(caught)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://127.0.0.1/x", "127.0.0.1", "sqlite:///x"])
def test_an_address_that_is_no_postgresql(url: str) -> None:
    """The setting and what it must look like."""
    with pytest.raises(SettingsProblem, match="AFTERBEEP_DATABASE_URL"):
        load(database_url=url)


def test_settings_that_are_wrong_are_all_named() -> None:
    """Not one after the other."""
    with pytest.raises(SettingsProblem) as caught:
        load(port=0, hub_threads="many", account_share=2)

    for name in ("PORT", "HUB_THREADS", "ACCOUNT_SHARE"):
        assert f"AFTERBEEP_{name}" in str(caught.value)


def test_a_hub_needs_both_servers() -> None:
    """Which settings are missing, and what starts embedded ones."""
    with pytest.raises(SettingsProblem) as caught:
        open_hub(load(database_url=None, redis_url=None))

    assert "AFTERBEEP_REDIS_URL" in sentence(caught)


def test_a_file_that_a_setting_names_and_that_is_missing(tmp_path: Path) -> None:
    """The variable and the file."""
    env = {"AFTERBEEP_SALESFORCE_CLIENT_SECRET_FILE": str(tmp_path / "none")}

    with pytest.raises(SettingsProblem) as caught:
        vendor_settings("salesforce", env)

    assert "AFTERBEEP_SALESFORCE_CLIENT_SECRET_FILE" in sentence(caught)


def test_a_registration_does_not_show_its_secret() -> None:
    """Not even where it is printed by mistake."""
    found = vendor_settings("salesforce", {"AFTERBEEP_SALESFORCE_CLIENT_SECRET": "sesame"})

    assert found.client_secret == "sesame"
    assert "sesame" not in repr(found)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that is not pytest's: PostgreSQL may run as a user of its own, and every pytest closes pytest's."""
    with tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def test_a_list_of_users_that_was_cut_short_is_overcome(folder: Path) -> None:
    """A process that was killed while it wrote keeps nobody from starting the database."""
    settings = load(data_dir=folder, database_url=None, redis_url="redis://127.0.0.1:1")
    first = embedded.start(settings)
    users = folder / "postgresql" / ".handle_pids.json"
    first.stop()
    users.write_text("[12", encoding="ascii")

    second = embedded.start(settings)
    with psycopg.connect(second.database_url) as connection:
        answer = connection.execute("select 1").fetchone()
    second.stop()

    assert answer == (1,)


def test_a_public_address_needs_its_scheme() -> None:
    """Without it cookies would silently not be marked secure."""
    with pytest.raises(SettingsProblem, match=r"AFTERBEEP_PUBLIC_URL.*https://"):
        load(public_url="hub.example.com")
