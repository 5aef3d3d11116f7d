"""A finished call is on disk whole or not at all, sealed, and one process works on it at a time."""

from __future__ import annotations

import os
import resource
import signal

import pytest

from tests.voice.after.conftest import parcel
from voice.seal import Unreadable
from voice.spool import State


def test_what_is_put_is_read_back_and_nothing_of_it_is_readable_on_disk(spool):
    """Files hold no word of the caller."""
    spool.put(parcel("CA1"))

    assert b"chest pain" in spool.step("CA1", "1-event")
    for file in spool.folder.rglob("*"):
        assert not file.is_file() or b"chest pain" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0 or file.name == "state.json"


def test_the_first_event_of_a_call_stays(spool):
    """A second finisher changes nothing: the hub gets the same bytes each time."""
    assert spool.put(parcel("CA1"))
    first = spool.step("CA1", "1-event")

    assert not spool.put(parcel("CA1", minutes=5, **{"2_tools": b"[]"}))
    assert spool.step("CA1", "1-event") == first
    assert spool.one("CA1").steps == ("1-event",)


def test_calls_come_oldest_first(spool):
    """The order is that of the calls, not of the folder."""
    for number in (3, 1, 2):
        spool.put(parcel(f"CA{number}", minutes=number))

    assert [one.name for one in spool.waiting()] == ["CA1", "CA2", "CA3"]


def test_the_folder_goes_with_the_last_step(spool):
    """Nothing stays of a call that the hub has."""
    spool.put(parcel("CA1", **{"2_tools": b"[]"}))

    spool.taken("CA1", "1-event")
    assert spool.one("CA1").steps == ("2-tools",)
    spool.taken("CA1", "2-tools")
    assert spool.one("CA1") is None
    assert list(spool.folder.iterdir()) == []


def test_a_call_is_held_by_one_at_a_time(spool):
    """Who comes second leaves it; when it is let go it can be had again."""
    spool.put(parcel("CA1"))

    with spool.held("CA1") as mine, spool.held("CA1") as also_mine:
        assert (mine, also_mine) == (True, False)
    with spool.held("CA1") as mine:
        assert mine
    with spool.held("CA2") as mine:
        assert not mine


def test_a_step_that_was_moved_to_another_call_does_not_open(spool):
    """Somebody with access to the disk cannot exchange events of two calls."""
    spool.put(parcel("CA1"))
    spool.put(parcel("CA2"))
    one, two = (spool.folder / f"call-CA{n}" / "1-event" for n in (1, 2))
    two.write_bytes(one.read_bytes())

    with pytest.raises(Unreadable):
        spool.step("CA2", "1-event")


def test_what_a_died_process_left_half_written_is_no_call_and_is_swept_later(spool):
    """A draft was promised to nobody."""
    spool.put(parcel("CA1"))
    draft = spool.folder / "draft-x"
    draft.mkdir()
    (draft / "1-event").write_bytes(b"half")

    assert [one.name for one in spool.waiting()] == ["CA1"]
    spool.sweep()
    assert draft.exists()
    os.utime(draft, (0, 0))
    spool.sweep()
    assert not draft.exists()


def test_ids_are_no_paths(spool):
    """An id from outside stays within the folder."""
    spool.put(parcel("../../x"))

    assert [one.name for one in spool.waiting()] == ["../../x"]
    assert all(path.parent == spool.folder for path in spool.folder.iterdir())
    with pytest.raises(ValueError, match="200 characters"):
        spool.put(parcel("x" * 201))


def test_a_full_disk_is_an_error_and_leaves_nothing(spool):
    """Whoever puts a call learns that it is not kept; what is there stays."""
    spool.put(parcel("CA1"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            spool.put(parcel("CA2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert [path.name for path in spool.folder.iterdir()] == ["call-CA1"]
    assert spool.put(parcel("CA2"))


def test_state_is_kept_beside_and_says_nothing_of_the_call(spool):
    """Attempts and reasons survive the process."""
    spool.put(parcel("CA1"))
    spool.note("CA1", State(attempts=2, due=5.0, parked="event: no"))

    assert spool.one("CA1").state == State(attempts=2, due=5.0, parked="event: no")
