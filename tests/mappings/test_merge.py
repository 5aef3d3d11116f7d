"""Two people's changes to one text, merged line by line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mappings.merge import merge

BASE = "a\nb\nc\nd\n"
LINES = st.lists(st.sampled_from("abcdef"), max_size=8).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


def test_changes_at_different_places_are_both_there() -> None:
    """What only one has changed is taken from them."""
    found = merge(BASE, "a\nB\nc\nd\n", "a\nb\nc\nd\ne\n", whose="Robin")

    assert found.text == "a\nB\nc\nd\ne\n"
    assert found.conflicts == 0


def test_neighbouring_lines_are_no_conflict() -> None:
    """Lines beside each other that each changed one of are both taken."""
    assert merge(BASE, "a\nB\nc\nd\n", "a\nb\nC\nd\n", whose="Robin").text == "a\nB\nC\nd\n"


def test_same_line_is_left_to_a_person() -> None:
    """Where both changed one line, both stand between marks."""
    found = merge(BASE, "a\nmine\nc\nd\n", "a\ntheirs\nc\nd\n", whose="Robin")

    assert found.conflicts == 1
    assert "<<<<<<< yours\nmine\n=======\ntheirs\n>>>>>>> Robin\n" in found.text


@given(LINES, LINES)
def test_one_sided_changes_are_taken_whole(base: str, other: str) -> None:
    """When one has changed nothing, the other's text is the result."""
    assert merge(base, other, base, whose="R").text == other
    assert merge(base, base, other, whose="R").text == other
    assert merge(base, other, other, whose="R").text == other


@given(LINES, LINES, LINES)
def test_no_line_of_either_is_lost(base: str, mine: str, theirs: str) -> None:
    """Every line that somebody added stands in the result."""
    made = merge(base, mine, theirs, whose="R").text.split("\n")
    old = base.split("\n")

    assert {*mine.split("\n"), *theirs.split("\n")} - {*old} <= {*made}
