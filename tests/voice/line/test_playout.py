"""What was sent to the caller's ear, and how much of it was heard."""

from voice.line.playout import Heard, Playout


def _sound(ms):
    return b"\x8c" * (ms * 8)


def test_the_agent_speaks_until_the_last_mark_has_come_back():
    """That all sound was sent proves nothing."""
    playout = Playout()
    marks = [piece.mark for piece in playout.add("a", _sound(300), 0.0)]

    assert [playout.echoed(mark, 300.0) for mark in marks] == [False, False, False, True]
    assert not playout.is_speaking(300.0)


def test_the_first_piece_is_short_and_nothing_is_lost_in_cutting():
    """Odd lengths are sent to the last byte."""
    pieces = Playout().add("a", _sound(333) + b"\x8c", 0.0)

    assert len(pieces[0].audio) == 20 * 8
    assert sum(len(piece.audio) for piece in pieces) == 333 * 8 + 1


def test_between_marks_the_clock_tells_what_was_heard():
    """A mark says where the sound is; the time since says how far it has gone on."""
    playout = Playout()
    marks = [piece.mark for piece in playout.add("a", _sound(1000), 0.0)]
    playout.echoed(marks[2], 260.0)  # 220 ms of sound, 40 ms late

    assert Heard("a", 320, 1000) == playout.heard_ms("a", 360.0)


def test_an_item_is_never_heard_longer_than_it_is():
    """A vendor refuses to cut behind the end of its sound."""
    playout = Playout()
    playout.add("a", _sound(500), 0.0)
    playout.add("b", _sound(500), 0.0)

    assert (Heard("b", 100, 500),) == playout.cut(600.0)


def test_marks_that_clear_returns_mean_nothing():
    """They were flushed, not played; what is sent after it is another stretch."""
    playout = Playout()
    old = [piece.mark for piece in playout.add("a", _sound(500), 0.0)]
    playout.cut(100.0)
    playout.add("b", _sound(500), 200.0)

    assert not any(playout.echoed(mark, 210.0) for mark in old)
    assert playout.is_speaking(210.0)
    assert Heard("b", 10, 500) == playout.heard_ms("b", 210.0)


def test_a_late_or_unknown_mark_takes_nothing_back():
    """Of marks out of order the furthest counts."""
    playout = Playout()
    marks = [piece.mark for piece in playout.add("a", _sound(500), 0.0)]
    playout.echoed(marks[3], 320.0)

    assert not playout.echoed(marks[1], 330.0)
    assert not playout.echoed("from-another-world", 330.0)
    assert Heard("a", 350, 500) == playout.heard_ms("a", 350.0)


def test_an_item_that_goes_on_after_a_gap_keeps_its_count():
    """A vendor counts from the item's beginning, whatever the caller heard in between."""
    playout = Playout()
    for piece in playout.add("a", _sound(200), 0.0):
        playout.echoed(piece.mark, 200.0)
    playout.add("a", _sound(400), 5000.0)

    assert (Heard("a", 300, 600),) == playout.cut(5100.0)


def test_a_mark_that_never_comes_does_not_make_the_agent_speak_for_ever():
    """After some grace the sound counts as played."""
    playout = Playout()
    playout.add("a", _sound(500), 0.0)

    assert playout.is_speaking(3400.0)
    assert not playout.is_speaking(3600.0)
