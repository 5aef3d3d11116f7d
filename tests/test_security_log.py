"""The redactors look through what strangers send, which must not keep a process busy for minutes."""

from __future__ import annotations

import pytest

from connectors.http import redacted
from hub import log

LONG = ["a@" * 50_000, "a" * 100_000 + "@", "eyJ-" * 25_000, "1 " * 50_000 + "a", "token" * 20_000]


@pytest.mark.parametrize("text", LONG, ids=["ats", "word", "tokens", "digits", "names"])
def test_long_text_is_looked_through_soon(text: str) -> None:
    """Text made to have a pattern try every way ends all the same, and is cut."""
    assert len(str(log.redact(text))) < 5_000
    assert len(redacted(text)) <= 400


def test_what_is_cut_was_looked_through() -> None:
    """An address in a long text is blotted out as in a short one."""
    text = f"{'word ' * 500}dana@whitfield.example"

    assert "whitfield" not in str(log.redact(text))
    assert "whitfield" not in redacted(text, max_chars=4_000)
