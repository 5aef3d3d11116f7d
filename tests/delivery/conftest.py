"""Sandboxes shared by the delivery tests, and a company that is connected to one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.context import Hub
from tests.conftest import Company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect, unspent


@pytest.fixture(scope="module")
def salesforce_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A Salesforce in miniature, as a process of its own."""
    with running.sandbox("salesforce", tmp_path_factory.mktemp("salesforce")) as box:
        yield box


@pytest.fixture
def connected(hub: Hub, company: Company, salesforce_sandbox: Sandbox) -> Iterator[Connected]:
    """A company connected to the Salesforce sandbox, which starts without records and faults."""
    salesforce_sandbox.clear_faults()
    salesforce_sandbox.post("clear")
    unspent(hub)
    yield connect(hub, company, salesforce_sandbox)
    salesforce_sandbox.clear_faults()
