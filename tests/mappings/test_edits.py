"""What a person does to a mapping in its form: never an error, never a loss elsewhere."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.edits import _EDITS, edit
from mappings.filled import Filled
from mappings.filled import read as read_form
from mappings.form import Unshowable, show
from tests.mappings import strategies

WORDS = st.sampled_from([*_EDITS, "kind-text", "kind-value", "kind-list", "kind-from", "nothing"])


def form_of(data: dict) -> Filled:
    """Give the data as a form holds it, with its places."""
    return read_form(show(data).pairs())


@settings(max_examples=200, deadline=None)
@given(strategies.mappings(), WORDS, st.data())
def test_no_action_breaks_the_form(data: dict, word: str, draw: st.DataObject) -> None:
    """Whatever is pressed wherever, there is a form afterwards, and the data before is left alone."""
    filled = form_of(data)
    before = copy.deepcopy(filled.data)
    place = draw.draw(st.sampled_from(["", "s9", *filled.places]))

    made = edit(filled, f"{word}:{place}/Phone")

    assert filled.data == before
    try:
        show(made.data)
    except Unshowable as err:
        raise AssertionError(f"{word} of {place} left no form") from err


@settings(max_examples=100, deadline=None)
@given(strategies.mappings(), st.data())
def test_up_and_down_come_back(data: dict, draw: st.DataObject) -> None:
    """A row that goes down and up again stands where it stood."""
    filled = form_of(data)
    rows = [place for place in filled.places if "-f" in place and place.count("-") == 1]
    place = draw.draw(st.sampled_from(rows))
    names = list(data["steps"][int(place[1 : place.index("-")])]["set"])
    at = filled.places[place]

    down = edit(filled, f"down:{place}")
    again = form_of(down.data)
    back = edit(again, f"up:{next(one for one, where in again.places.items() if where == at)}")

    is_last = names[-1] == at[-1]
    assert list(back.data["steps"][at[1]]["set"]) == names or is_last


def test_last_entry_takes_its_group_along() -> None:
    """A group, a way to match and all conditions go with what was last in them."""
    data = {
        "when": [{"any": [{"field": "bucket", "is": "spam"}]}],
        "steps": [
            {"id": "a", "object": "Lead", "match": {"Phone": {"from": "caller.phone"}}, "set": {}}
        ],
    }

    made = edit(form_of(data), "remove:w0-0").data
    made = edit(form_of(made), "remove:s0-m0-k0").data

    assert "when" not in made
    assert "match" not in made["steps"][0]
