"""One running installation for all complaints, and a company of its own for each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.complaints.firm import Firm, open_firm
from tests.delivery.connected import unspent
from tests.e2e.installation import Installation, installation


@pytest.fixture(name="one", scope="package")
def _one() -> Iterator[Installation]:
    """Hub, workers, sweep, PostgreSQL and Redis as an operator runs them, and a Salesforce in miniature.

    The folder is not pytest's: run by root, PostgreSQL runs as a user of its own.
    """
    with (
        tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as made,
        installation(Path(made), "salesforce", has_presets=False) as found,
    ):
        yield found


@pytest.fixture(name="firm")
def _firm(one: Installation) -> Iterator[Firm]:
    """A company with nothing connected, vendors without records and faults, and no call made yet."""
    box = one.boxes["salesforce"]
    box.clear_faults()
    box.post("clear")
    unspent(one.hub)
    with open_firm(one) as found:
        yield found
    box.clear_faults()


@pytest.fixture(name="neighbour")
def _neighbour(one: Installation, firm: Firm) -> Iterator[Firm]:
    """Another company of the same installation."""
    with open_firm(one) as found:
        yield found
