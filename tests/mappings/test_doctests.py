"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["clip", "literals", "paths", "untrusted"])
def test_docstring_examples(name):
    """Every example of the module gives what it says, and there is one."""
    result = doctest.testmod(import_module(f"mappings.{name}"))

    assert result.attempted
    assert not result.failed
