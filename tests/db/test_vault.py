"""What is sealed is opened only where it was put, only with the keys, and after every rotation."""

from __future__ import annotations

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hub.context import Hub
from hub.db.vault import (
    DataKey,
    KeyMissing,
    MasterKeys,
    Unreadable,
    Vault,
    key_number,
    read_master_keys,
)
from hub.settings import SettingsProblem, load
from tests.conftest import Company, new_company

ABOUT = "events.body:evt_1"


def keys(*names: str) -> MasterKeys:
    """Give master keys, each made of its name."""
    return MasterKeys({name: name.encode().ljust(32, b".") for name in names})


@given(value=st.binary(max_size=300))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_value_comes_back_as_it_was(hub: Hub, company: Company, value: bytes) -> None:
    """Any bytes, sealed differently each time."""
    first = hub.vault.seal(company.tenant_id, value, about=ABOUT)
    second = hub.vault.seal(company.tenant_id, value, about=ABOUT)

    assert hub.vault.open(company.tenant_id, first, about=ABOUT) == value
    assert first != second
    assert len(value) < 8 or value not in first


@given(place=st.integers(0, 1_000), bit=st.integers(0, 7))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_changed_value_is_not_opened(hub: Hub, company: Company, place: int, bit: int) -> None:
    """Whichever bit is changed."""
    sealed = bytearray(hub.vault.seal_text(company.tenant_id, "a voicemail", about=ABOUT))
    sealed[place % len(sealed)] ^= 1 << bit

    with pytest.raises(Unreadable):
        hub.vault.open(company.tenant_id, bytes(sealed), about=ABOUT)


def test_a_moved_value_is_not_opened(hub: Hub, company: Company) -> None:
    """Neither in another row or column, nor for another tenant."""
    sealed = hub.vault.seal_text(company.tenant_id, "a token", about=ABOUT)
    stranger = new_company(hub)

    with pytest.raises(Unreadable):
        hub.vault.open(company.tenant_id, sealed, about="events.body:evt_2")
    with pytest.raises(Unreadable):
        hub.vault.open(stranger.tenant_id, sealed, about=ABOUT)


def test_an_old_value_is_opened_after_a_rotation(hub: Hub, company: Company) -> None:
    """New values get the new key; old ones keep theirs."""
    old = hub.vault.seal_text(company.tenant_id, "before", about=ABOUT)

    number = hub.vault.rotate(company.tenant_id)
    new = hub.vault.seal_text(company.tenant_id, "after", about=ABOUT)

    assert (key_number(old), key_number(new), number) == (1, 2, 2)
    assert hub.vault.open_text(company.tenant_id, old, about=ABOUT) == "before"


def test_a_rotation_elsewhere_is_noticed(hub: Hub, company: Company) -> None:
    """A process opens what another sealed with a key that it has not seen yet."""
    hub.vault.seal_text(company.tenant_id, "warm", about=ABOUT)
    other = Vault(hub.engine, read_master_keys(hub.settings))
    other.rotate(company.tenant_id)
    sealed = other.seal_text(company.tenant_id, "new", about=ABOUT)

    assert hub.vault.open_text(company.tenant_id, sealed, about=ABOUT) == "new"


def test_many_processes_make_one_first_key(hub: Hub, company: Company) -> None:
    """Eight that seal a tenant's first value at once agree on the key."""
    vaults = [Vault(hub.engine, read_master_keys(hub.settings)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        sealed = list(
            pool.map(lambda one: one.seal_text(company.tenant_id, "x", about=ABOUT), vaults)
        )

    with hub.tenant(company.tenant_id) as session:
        numbers = session.scalars(select(DataKey.number)).all()
    assert numbers == [1]
    assert {hub.vault.open_text(company.tenant_id, one, about=ABOUT) for one in sealed} == {"x"}


def test_without_the_master_key_nothing_is_opened(hub: Hub, company: Company) -> None:
    """The operator reads which key is missing and what to do."""
    sealed = Vault(hub.engine, keys("first")).seal_text(company.tenant_id, "x", about=ABOUT)

    with pytest.raises(KeyMissing, match=r'"first".*AFTERBEEP_MASTER_KEYS') as caught:
        Vault(hub.engine, keys("second")).open(company.tenant_id, sealed, about=ABOUT)

    assert "Add it at the end" in str(caught.value)


def test_another_key_of_the_same_name_is_not_taken(hub: Hub, company: Company) -> None:
    """A master key that was overwritten is told apart from a broken value."""
    sealed = Vault(hub.engine, keys("first")).seal_text(company.tenant_id, "x", about=ABOUT)

    with pytest.raises(KeyMissing, match="not the one that was used"):
        Vault(hub.engine, MasterKeys({"first": bytes(32)})).open(
            company.tenant_id, sealed, about=ABOUT
        )


def test_a_new_master_key_replaces_the_old(hub: Hub, company: Company) -> None:
    """After wrapping again the old master key is not needed any more, and no value changed."""
    old = Vault(hub.engine, keys("first"))
    sealed = old.seal_text(company.tenant_id, "x", about=ABOUT)
    both = Vault(hub.engine, keys("second", "first"))

    changed, again = both.rewrap(company.tenant_id), both.rewrap(company.tenant_id)

    assert (changed, again) == (1, 0)
    only_new = Vault(hub.engine, keys("second"))
    assert only_new.open_text(company.tenant_id, sealed, about=ABOUT) == "x"


def test_fingerprints_are_stable_and_tell_nothing(hub: Hub, company: Company) -> None:
    """Equal for equal values through rotations and processes, different for each tenant, and no plain hash."""
    before = hub.vault.fingerprint(company.tenant_id, "+14155550101")
    hub.vault.rotate(company.tenant_id)
    other = Vault(hub.engine, read_master_keys(hub.settings))
    stranger = new_company(hub)

    assert other.fingerprint(company.tenant_id, "+14155550101") == before
    assert hub.vault.fingerprint(company.tenant_id, "+14155550102") != before
    assert hub.vault.fingerprint(stranger.tenant_id, "+14155550101") != before
    assert "4155550101" not in before


def test_a_master_key_is_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    """Of processes that start at once all read the same key, from a file that only its owner may read."""
    settings_of = load(data_dir=tmp_path, master_keys=None)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: read_master_keys(settings_of), range(8)))

    mode = stat.S_IMODE((tmp_path / "master.key").stat().st_mode)
    assert len({tuple(one.keys.items()) for one in found}) == 1
    assert mode == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize("text", ["local", "local:short", ":AAAA", "a:!!!!", " , "])
def test_wrong_master_keys_are_a_sentence(text: str) -> None:
    """The operator reads what an entry must look like, and not the key."""
    with pytest.raises(SettingsProblem, match="AFTERBEEP_MASTER_KEYS"):
        read_master_keys(load(master_keys=text))


def test_several_master_keys_are_read_newest_first() -> None:
    """The first one wraps."""
    parts = [f"{name}:{base64.b64encode(os.urandom(32)).decode()}" for name in ("new", "old")]

    found = read_master_keys(load(master_keys=",".join(parts)))

    assert (found.newest, list(found.keys)) == ("new", ["new", "old"])


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """Where the key cannot be made, the operator reads which folder and which settings."""
    (tmp_path / "file").touch()

    with pytest.raises(SettingsProblem, match="AFTERBEEP_DATA_DIR"):
        read_master_keys(load(data_dir=tmp_path / "file" / "var", master_keys=None))
