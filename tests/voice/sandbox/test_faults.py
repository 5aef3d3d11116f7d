"""The vocabulary of faults."""

from __future__ import annotations

import pytest

from voice.sandbox.faults import BadFaults, Do, Faults


def test_faults_of_a_place_come_in_order_each_after_its_count():
    """The third answer stalls, the fourth is an error, then all is well."""
    faults = Faults(
        [
            {"at": "stream", "do": "stall", "after": 2, "for_s": 3},
            {"at": "stream", "do": "error", "status": 529},
            {"at": "webhook", "do": "duplicate", "times": 2},
        ]
    )
    met = [faults.take("stream") for _ in range(5)]
    assert [fault and fault.do for fault in met] == [None, None, Do.STALL, Do.ERROR, None]
    assert [f.do for f in faults.left] == [Do.DUPLICATE]
    assert [bool(faults.take("webhook")) for _ in range(3)] == [True, True, False]
    assert faults.left == []
    assert len(faults.taken) == 4


def test_times_counts_from_the_first_time_it_happens():
    """After two good ones, three bad ones."""
    faults = Faults([{"at": "x", "do": "disconnect", "after": 2, "times": 3}])
    assert [bool(faults.take("x")) for _ in range(7)] == [
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"at": "x", "do": "explode"}, "do"),
        ({"at": "x", "do": "stall"}, "for_s"),
        ({"at": "x", "do": "stop", "status": 500}, "takes no 'status'"),
        ({"at": "x", "do": "error", "status": 200}, "status"),
        ({"at": "x", "do": "stop", "when": 3}, "when"),
        ({"at": "nowhere", "do": "stop"}, "no place 'nowhere'"),
    ],
)
def test_a_script_that_cannot_be_followed_is_refused_by_line(line, why):
    """The message names the line and the reason."""
    with pytest.raises(BadFaults, match=f"Fault 2.*{why}"):
        Faults([{"at": "x", "do": "stop"}, line], places=["x"])
