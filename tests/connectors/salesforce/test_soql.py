"""SOQL: what is written is read back as the same value, by the sandbox's own parser."""

from __future__ import annotations

from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce import soql
from connectors.salesforce.sandbox_soql import MalformedQuery, parse

# A NUL has no place in Salesforce's text and is left out of literals.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(WORDS)
def test_any_text_is_one_literal(words):
    """No text ends its literal early or means anything but itself."""
    query = parse(soql.select("Lead", ["Id"], soql.any_of("Phone", [words])))

    assert query.test({"Phone": words})
    assert not query.test({"Phone": words + "x"})


@given(st.lists(WORDS, min_size=2, max_size=20, unique=True))
def test_a_list_means_its_values(values):
    """IN holds exactly the values given."""
    query = parse(soql.select("Lead", ["Id"], soql.any_of("Phone", values)))

    assert all(query.test({"Phone": value}) for value in values)
    assert not query.test({"Phone": "".join(values) + "x"})


@given(st.lists(WORDS, min_size=1, max_size=200), st.integers(0, 2_000))
def test_pieces_hold_everything_and_fit(values, spent):
    """Nothing is lost between queries, and no query is too long unless one value is."""
    literals = [soql.literal(value) for value in values]
    pieces = list(soql.in_pieces(literals, spent=spent))

    assert [one for piece in pieces for one in piece] == literals
    for piece in pieces:
        size = spent + len(quote_plus(", ".join(piece)))
        assert len(piece) == 1 or size <= soql.MAX_QUERY_BYTES


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "null"), (True, "true"), (False, "false"), (5, "5"), (2.5, "2.5"), ("a'b", "'a\\'b'")],
)
def test_literals(value, expected):
    """Values of JSON in SOQL."""
    assert soql.literal(value) == expected


@pytest.mark.parametrize("name", ["", "Name FROM User", "a-b", "1x", "Owner.Name", "x\n"])
def test_names_are_checked(name):
    """What is no name of a field or object is not written into a query."""
    with pytest.raises(ValueError, match="not a name"):
        soql.name(name)


def test_lists_have_no_literal():
    """A list or object cannot be compared."""
    with pytest.raises(TypeError):
        soql.literal(["a"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT",
        "SELECT Id",
        "SELECT Id FROM Lead WHERE",
        "SELECT Id FROM Lead WHERE A = 'x",
        "x",
    ],
)
def test_the_sandbox_refuses_what_is_no_query(text):
    """As Salesforce does, with MALFORMED_QUERY."""
    with pytest.raises(MalformedQuery):
        parse(text)


@pytest.mark.parametrize(
    ("where", "row", "expected"),
    [
        ("A = 'X'", {"A": "x"}, True),
        ("A != 'x'", {"A": "y"}, True),
        ("A = null", {}, True),
        ("A > 3", {"A": 4}, True),
        ("A >= 2026-01-01", {"A": "2026-01-02"}, True),
        ("A < 3", {"A": None}, False),
        ("A NOT IN ('x', 'y')", {"A": "z"}, True),
        ("(A = 'x' OR B = true) AND NOT C = 1", {"B": True, "C": 2}, True),
        ("A = 'x' OR B = 'y' AND C = 'z'", {"A": "x"}, True),
    ],
)
def test_conditions(where, row, expected):
    """What conditions mean in the sandbox."""
    assert parse(f"SELECT Id FROM Lead WHERE {where}").test(row) is expected
