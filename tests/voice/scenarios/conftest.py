"""One Redis for all scenarios; the analyser is loaded once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from voice.analyse import analysis
from voice.sandbox.redis import running


@pytest.fixture(scope="session")
def scenario_redis() -> Iterator[str]:
    """Give the URL of a Redis, with the analyser warm."""
    analysis.load()
    with running() as url:
        yield url
