"""What voice keeps outside its memory is encrypted, bound to its place, and survives a change of keys."""

from __future__ import annotations

import base64
import os
import stat

import pytest

from voice.seal import KeyProblem, Seal, Unreadable, key_name, read_keys


def entry(name):
    """Give an entry of the setting."""
    return f"{name}:{base64.b64encode(os.urandom(32)).decode()}"


def test_what_was_sealed_opens_in_its_place_alone():
    """A value that was copied to another call's place does not open there."""
    seal = read_keys(entry("a"), None)
    sealed = seal.seal(b"said", about="session:CA1")

    assert seal.open(sealed, about="session:CA1") == b"said"
    assert b"said" not in sealed
    with pytest.raises(Unreadable, match="changed or moved"):
        seal.open(sealed, about="session:CA2")


def test_every_changed_byte_is_noticed():
    """Whatever byte is changed, the value does not open."""
    seal = read_keys(entry("a"), None)
    sealed = seal.seal(b"said", about="x")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Unreadable):
            seal.open(bytes(changed), about="x")
    for length in range(len(sealed)):
        with pytest.raises(Unreadable):
            seal.open(sealed[:length], about="x")


def test_a_new_key_in_front_seals_and_the_old_one_still_opens():
    """Keys are rotated without losing what waits; a missing key is named."""
    old, new = entry("2025"), entry("2026")
    sealed = read_keys(old, None).seal(b"said", about="x")
    both = read_keys(f"{new}, {old}", None)

    assert both.open(sealed, about="x") == b"said"
    assert not both.is_newest(sealed)
    assert key_name(both.seal(b"said", about="x")) == "2026"
    with pytest.raises(Unreadable, match=r'"2025".*AFTERBEEP_VOICE_KEYS'):
        read_keys(new, None).open(sealed, about="x")


def test_without_a_setting_a_key_is_made_once_that_only_its_owner_may_read(tmp_path):
    """Two processes that start on one folder have the same key."""
    folder = tmp_path / "var"
    first, second = read_keys(None, folder), read_keys("  ", folder)

    assert first == second
    assert isinstance(first, Seal)
    assert stat.S_IMODE((folder / "voice.key").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text", ["a", "a:", "a:AAAA", ":" + "A" * 44, "a:====", ",", entry("n" * 65)]
)
def test_keys_that_cannot_be_read_are_refused_with_what_to_do(text):
    """The message names the setting and the command that makes a key."""
    with pytest.raises(KeyProblem, match=r"AFTERBEEP_VOICE_KEYS.*afterbeep key new"):
        read_keys(text, None)


def test_two_keys_of_one_name_are_refused():
    """Otherwise one of them could never open what it sealed."""
    with pytest.raises(KeyProblem):
        read_keys(f"{entry('a')},{entry('a')}", None)
