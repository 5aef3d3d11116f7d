"""Conversions do what they say, on their own examples."""

from __future__ import annotations

import pytest

from mappings.convert import CONVERSIONS, Unfit, converter


@pytest.mark.parametrize("conversion", CONVERSIONS.values(), ids=CONVERSIONS)
def test_the_example_is_true(conversion, zone):
    """A conversion's own example holds, and has the type it says."""
    given, wanted = conversion.example

    found = conversion.apply(given, zone)

    assert found == wanted
    assert type(found) is type(wanted)


def test_lists_are_converted_entry_by_entry(zone):
    """Every entry of a list is converted; join makes one text of it."""
    assert converter(("upper",))(["a", "b"], zone) == ["A", "B"]
    assert converter(("upper", "join"))(["a", "b"], zone) == "A, B"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("e164", "0415 555 0132"),
        ("e164", "anonymous"),
        ("email", "dana at whitfield"),
        ("local_date", "2026-11-20T10:00:00"),
        ("local_date", "next week"),
        ("utc_datetime", "0001-01-01T00:00:00+14:00"),
        ("number", "12,5"),
        ("number", True),
        ("number", float("inf")),
        ("integer", 10**20),
        ("boolean", "maybe"),
        ("digits", "none"),
        ("slug", "—"),
        ("lower", {"a": 1}),
    ],
)
def test_what_cannot_be_converted_is_unfit(name, value, zone):
    """A misfit is told in words that do not repeat the value."""
    with pytest.raises(Unfit) as caught:
        converter((name,))(value, zone)

    assert str(value) not in str(caught.value)


def test_formulas_are_neutralised_behind_white_space(zone):
    """A formula after spaces is one too; minus and at count."""
    plain = converter(("plain_text",))

    assert [plain(text, zone) for text in (" =1", "-1", "@x", "+1")] == [
        "' =1",
        "'-1",
        "'@x",
        "'+1",
    ]
    assert plain("a=1", zone) == "a=1"
