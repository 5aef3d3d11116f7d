"""Words that run from right to left are kept apart, and nothing else is touched."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from hub.web.directions import apart


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Harbor <Home>", "Harbor <Home>"),
        (None, None),
        ("مكتب", "<bdi>مكتب</bdi>"),
        ("مكتب (بغداد)!", "<bdi>مكتب (بغداد)!</bdi>"),
        ("מוסך 24", "<bdi>מוסך 24</bdi>"),
        ("مكتب بغداد is paused.", "<bdi>مكتب بغداد</bdi> is paused."),
        ("It refused: مكتب (بغداد)! Go on.", "It refused: <bdi>مكتب (بغداد)!</bdi> Go on."),
        ("(مكتب) & so مكتب", "(<bdi>مكتب</bdi>) &amp; so <bdi>مكتب</bdi>"),
        ("<مكتب>", "<bdi>&lt;مكتب&gt;</bdi>"),
        (Markup("<b>مكتب</b>"), Markup("<b>مكتب</b>")),
    ],
)
def test_names_are_kept_apart(text: str | None, shown: str | None) -> None:
    """A whole name, or the names in a sentence, each with the marks that are its own; what is HTML stays."""
    assert apart(text) == shown


def test_what_people_typed_is_escaped() -> None:
    """As everywhere in a page."""
    made = apart("<i>مكتب")

    assert isinstance(made, Markup)
    assert "<i>" not in made
