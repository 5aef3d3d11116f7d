"""Real PostgreSQL and Redis for every test that asks for them, and a fresh tenant each time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from hub import embedded
from hub.context import Hub, open_hub
from hub.db.base import new_id
from hub.db.migrate import migrate
from hub.db.people import Membership, Person, Role
from hub.db.tenants import Tenant
from hub.settings import load

#: What the voice front end and the hub share in tests.
VOICE_TOKEN = "a-voice-token-that-is-for-tests-only"


@pytest.fixture(scope="session")
def services() -> Iterator[embedded.Services]:
    """Embedded servers in a folder of their own, once per session.

    The folder is not pytest's: run by root, PostgreSQL runs as a user of its own, and every pytest
    that starts closes pytest's folder to others.
    """
    with tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as folder:
        started = embedded.start(load(data_dir=Path(folder), database_url=None, redis_url=None))
        _do_not_wait_for_the_disk(started)
        yield started
        started.stop()


def _do_not_wait_for_the_disk(services: embedded.Services) -> None:
    """Spare each commit its wait: what is written may be lost when the machine loses power, and not otherwise.

    Tests that crash a PostgreSQL start an installation of their own, as an operator does.
    """
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")


@pytest.fixture(scope="session")
def hub(services: embedded.Services, tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """A hub on the session's servers, with the newest schema."""
    opened = open_hub(
        load(
            data_dir=tmp_path_factory.mktemp("keys"),
            database_url=services.database_url,
            redis_url=services.redis_url,
            allow_loopback_vendors=True,
            voice_token=VOICE_TOKEN,
        )
    )
    migrate(opened.engine)
    return opened


@dataclass(frozen=True)
class Company:
    """A tenant with an owner."""

    tenant_id: str
    person_id: str


def new_company(hub: Hub, *, role: Role = Role.OWNER, **columns: object) -> Company:
    """Make a tenant of its own, so that tests do not see each other's rows."""
    tenant_id, person_id = new_id("ten"), new_id("per")
    with hub.everyone("a test makes a tenant") as session:
        session.add(Tenant(id=tenant_id, slug=tenant_id, name="Harbor Home Services", **columns))
        session.add(Person(id=person_id, email=f"{person_id}@harbor.example", name="Robin Lake"))
        session.flush()
        session.add(Membership(tenant_id=tenant_id, person_id=person_id, role=role.value))
    return Company(tenant_id, person_id)


@pytest.fixture
def company(hub: Hub) -> Company:
    """A fresh tenant with an owner."""
    return new_company(hub)


@pytest.fixture
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parents[1]
