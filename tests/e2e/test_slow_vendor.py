"""A vendor that hangs delays nobody else, with real workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.db.connections import Connection
from hub.db.deliveries import Attempt, Delivery, State
from hub.db.mappings import save
from hub.demo.connect import connect
from hub.demo.house import House, house
from hub.demo.vendors import Vendor
from hub.posting import Poster
from mappings.document import load
from tests.chaos.mappings import mapping
from tests.connectors.running import Sandbox
from tests.e2e.installation import Installation, installation, until, voicemail

pytestmark = pytest.mark.processes


def publish(one: Installation, home: House, name: str) -> None:
    """Send every voicemail of a tenant to its account at a vendor."""
    with one.hub.tenant(home.tenant_id) as session:
        query = select(Connection).where(Connection.connector == name)
        save(
            session,
            connection_id=session.scalars(query).one().id,
            name=name,
            document=load(mapping(name)),
            source=mapping(name),
            author="command",
        )


def neighbour(one: Installation, number: int, box: Sandbox) -> House:
    """Make another tenant, with an account at a vendor."""
    home, _ = house(one.hub, one.data_dir / f"neighbour-{number}.json")
    connect(one.hub, home, Vendor(box.name, box.url, box.folder))
    publish(one, home, box.name)
    return home


def post(one: Installation, home: House, *numbers: int) -> None:
    """Post voicemails of a tenant."""
    with Poster(one.url, home.api_key) as poster:
        assert {each.status for each in poster.post_all([voicemail(n) for n in numbers])} == {
            "accepted"
        }


def count(one: Installation, home: House, state: State) -> int:
    """Count a tenant's deliveries in a state."""
    with one.hub.tenant(home.tenant_id) as session:
        query = select(func.count(Delivery.id)).where(Delivery.state == state.value)
        return session.scalar(query) or 0


def test_a_vendor_that_hangs_delays_nobody_else(folder: Path):
    """With two workers, three accounts of a vendor that answers nobody, and another vendor's voicemails.

    They all arrive before a single call to the dead vendor has come back.
    """
    with installation(folder, "salesforce", "hubspot", has_presets=False) as one:
        dead = one.boxes["hubspot"]
        publish(one, one.home, "salesforce")
        others = [neighbour(one, number, dead) for number in range(3)]
        dead.fault(kind="slow", seconds=120, rate=1.0)
        for number, home in enumerate(others):
            post(one, home, 100 + number)
        assert until(lambda: any(count(one, home, State.SENDING) for home in others))

        for number in range(5):
            post(one, one.home, number)
            assert until(lambda wanted=2 * (number + 1): one.states().get("delivered") == wanted)
        hanging = [count(one, home, State.SENDING) for home in others]
        with one.hub.everyone("a test counts the tries of all tenants") as session:
            ids = [home.tenant_id for home in others]
            tries = session.scalar(select(func.count(Attempt.id)).where(Attempt.tenant_id.in_(ids)))
        dead.kill()

    assert tries == 0
    assert sum(map(bool, hanging)) == 1
