"""The name of an object in a mapping becomes a part of an address, and must not lead elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import running

from connectors.errors import Rejected
from connectors.record import OAuth, Write
from connectors.registry import connector

SALESFORCE = connector("salesforce")
assert isinstance(SALESFORCE.oauth, OAuth)
FACTS = SALESFORCE.oauth


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory) -> Iterator[running.Sandbox]:
    with running.sandbox("salesforce", tmp_path_factory.mktemp("salesforce")) as box:
        yield box


@pytest.mark.parametrize("name", ["Lead/../../tooling", "Lead?x=", "Lead%2F", "..", ""])
def test_no_other_resource_is_written(box, name):
    """A name that is none is refused before anything is sent with the account's token."""
    account = running.account(box, SALESFORCE, running.authorise(box, FACTS))
    before = box.stats()["calls"]

    with pytest.raises(Rejected, match="no object"):
        SALESFORCE.write(account, [Write("ab1", name, {"LastName": "Whitfield"})])

    assert box.stats()["calls"] == before
