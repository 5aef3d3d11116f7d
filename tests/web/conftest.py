"""The whole application on real servers, browsers of its people, and an account in a sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from hub.app import create_app
from hub.context import Hub
from tests.conftest import Company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect, unspent
from tests.web.visitor import Visitor, signed_in


@pytest.fixture(scope="session")
def app(hub: Hub) -> Flask:
    """The hub's application."""
    made = create_app(hub)
    made.testing = False  # error pages are shown as people see them
    return made


@pytest.fixture
def visitor(app: Flask, hub: Hub, company: Company) -> Visitor:
    """The owner of a fresh company, signed in."""
    return signed_in(app, hub, company)


@pytest.fixture(scope="session")
def salesforce_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A Salesforce in miniature, as a process of its own."""
    with running.sandbox("salesforce", tmp_path_factory.mktemp("salesforce")) as box:
        yield box


@pytest.fixture
def connected(hub: Hub, company: Company, salesforce_sandbox: Sandbox) -> Connected:
    """A company whose Salesforce sandbox is connected."""
    salesforce_sandbox.clear_faults()
    unspent(hub)
    return connect(hub, company, salesforce_sandbox)
