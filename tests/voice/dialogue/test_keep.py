"""The talk as data: the same after a round trip, and readable by other releases."""

import json

import pytest

from voice.dialogue import from_json, to_json
from voice.dialogue.types import KnownCaller, Say, Slot, Stage, Talk

TALK = Talk(
    stage=Stage.CONFIRM_NUMBER,
    slots={Slot.NAME: "Dana", Slot.NUMBER: "+14155550133"},
    asked={Stage.NUMBER: 2},
    said=("hi",),
    known=KnownCaller(name="Dana", calls=1),
    last=(Say("confirm_number", values={"number": "4 1 5"}, is_fixed=True),),
    pending="+14155550133",
)


def test_a_talk_is_the_same_after_a_round_trip():
    """Through real JSON."""
    assert from_json(json.loads(json.dumps(to_json(TALK)))) == TALK


def test_what_another_release_wrote_can_be_read():
    """Unknown fields are ignored, missing ones have their defaults, an unknown stage begins with the reason."""
    data = to_json(TALK) | {"mood": "good", "stage": "haiku"}
    data["last"][0]["pitch"] = 3
    data["known"]["shoe_size"] = 43
    del data["pending"]
    found = from_json(json.loads(json.dumps(data)))

    assert found.stage is Stage.REASON
    assert found.last == TALK.last
    assert found.known == TALK.known
    assert found.pending is None


@pytest.mark.parametrize(
    "data", [{}, {"version": "x"}, {"version": 1, "said": 5}, {"version": 1, "last": [7]}]
)
def test_what_is_no_talk_is_refused(data):
    """With a clear error."""
    with pytest.raises(ValueError, match="This is no talk"):
        from_json(data)
