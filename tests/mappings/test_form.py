"""A mapping shown as a form and read back is the same mapping."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.document import load, parse, read
from mappings.filled import read as read_form
from mappings.form import Unshowable, is_same, show
from mappings.literals import literal, literals, name_of, typed, typed_list, typed_name
from mappings.presets import presets
from tests.mappings import strategies

VENDORS = ("salesforce", "hubspot", "pipedrive", "google_calendar", "zendesk", "pagerduty")


@pytest.mark.parametrize("vendor", VENDORS)
def test_presets_survive_the_form(vendor: str) -> None:
    """Every preset that ships is the same after form and back, with nothing shown as raw text."""
    for preset in presets(vendor):
        data = load(preset.text)
        pairs = show(data).pairs()
        assert parse(read_form(pairs).data) == parse(data), preset.name
        assert "written" not in {value for name, value in pairs if name.endswith(".kind")}


@settings(max_examples=150, deadline=None)
@given(strategies.mappings())
def test_any_mapping_survives_the_form(data: dict) -> None:
    """Whatever the language can say goes through the form without a change."""
    assert read(read_form(show(data).pairs()).data) == read(data)


@settings(max_examples=150, deadline=None)
@given(strategies.mappings(), strategies.JSON, st.data())
def test_what_the_form_does_not_know_survives(data: dict, odd: object, draw: st.DataObject) -> None:
    """Unknown keys and mistyped parts come back as they were, or the form refuses to show them."""
    step = data["steps"][0]
    name = draw.draw(st.sampled_from(sorted(step["set"])))
    step["set"][name] = odd
    data["colour"] = odd
    step["colour"] = odd
    data["approve"] = odd if odd is not None else {}
    once = read_form(show(data).pairs()).data
    again = read_form(show(once).pairs()).data

    assert is_same(once["steps"][0]["set"][name], odd) or isinstance(odd, dict)
    assert is_same(again, once)


@given(strategies.LITERALS | st.lists(strategies.LITERALS, max_size=3))
def test_literals_survive_a_line(value: object) -> None:
    """What is typed for a literal is read as that literal."""
    assert is_same(literal(typed(value)), value)
    assert typed(value).isprintable()


@given(st.lists(strategies.LITERALS, max_size=4))
def test_lists_of_literals_survive_a_line(values: list) -> None:
    """So are several with commas."""
    assert is_same(literals(typed_list(values)), values)


@given(st.text(min_size=1, max_size=20))
def test_names_survive_a_line(name: str) -> None:
    """Names and keys are text, whatever they look like."""
    assert name_of(typed_name(name)) == name


def test_rows_count_in_the_order_in_which_they_stand() -> None:
    """A browser that moved a row sends it first, whatever its number."""
    pairs = [
        ("s0.id", "a"),
        ("s0-f1.name", "B"),
        ("s0-f1.kind", "value"),
        ("s0-f1.value", "1"),
        ("s0-f0.name", "A"),
        ("s0-f0.kind", "from"),
        ("s0-f0.from", "summary"),
    ]

    found = read_form(pairs)

    assert list(found.data["steps"][0]["set"]) == ["B", "A"]
    assert found.places["s0-f1"] == ("steps", 0, "set", "B")


def test_two_fields_of_one_name_are_both_kept() -> None:
    """Nothing that was typed is lost to a field of the same name."""
    row = [("kind", "value"), ("value", "x"), ("name", "Phone")]
    pairs = [(f"s0-f{n}.{part}", value) for n in range(2) for part, value in row]

    assert list(read_form(pairs).data["steps"][0]["set"]) == ["Phone", "Phone 2"]


@pytest.mark.parametrize(
    "odd", [{"steps": 1}, {"steps": [1]}, {"when": {}}, {"steps": [{"set": []}]}]
)
def test_what_is_no_mapping_is_left_to_the_text(odd: dict) -> None:
    """A document that is built otherwise is not squeezed into a form."""
    with pytest.raises(Unshowable):
        show(odd)
