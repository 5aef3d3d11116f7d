"""Fixtures of the mapping tests."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest


@pytest.fixture
def zone():
    """Give a time zone that is eight hours behind UTC in winter."""
    return ZoneInfo("America/Los_Angeles")
