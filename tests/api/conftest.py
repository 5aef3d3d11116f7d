"""The application on real servers, and a program with a key of a fresh company."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from flask import Flask

from hub.app import create_app
from hub.context import Hub
from tests.api.calling import Program, connection_of, mapping_of, program
from tests.conftest import Company


@pytest.fixture(scope="session")
def app(hub: Hub) -> Flask:
    """The hub's application."""
    return create_app(hub)


@pytest.fixture
def caller(app: Flask, hub: Hub, company: Company) -> Program:
    """A program with a key that may do everything in a fresh company."""
    return program(app, hub, company.tenant_id)


@dataclass
class Mapped:
    """A company whose voicemails lead to a lead and a task."""

    caller: Program
    connection_id: str
    mapping_id: str


@pytest.fixture
def mapped(hub: Hub, caller: Program) -> Mapped:
    """A connection and a published mapping."""
    connection_id = connection_of(hub, caller.tenant_id)
    return Mapped(caller, connection_id, mapping_of(hub, caller.tenant_id, connection_id))
