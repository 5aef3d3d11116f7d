"""Several hosts on one PostgreSQL and one Redis: they share the work, and one takes over from another."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, text

from hub import embedded, settings
from hub.context import Hub, open_hub
from hub.db.audit import AuditRow
from hub.db.connections import Connection, Health
from hub.db.mappings import save
from hub.delivery.ledger import ledger
from hub.demo.connect import connect
from hub.demo.house import House, house
from hub.demo.vendors import Vendor, variables
from hub.posting import Poster
from mappings.document import load
from tests.chaos.mappings import mapping
from tests.connectors import running
from tests.e2e import hosts
from tests.e2e.installation import environment, until, voicemail

pytestmark = pytest.mark.processes

_SWEEP = 7_201_462


@dataclass
class Two:
    """Two hosts with an installation each, on the same servers, and a vendor."""

    net: hosts.Network
    urls: list[str]
    hub: Hub
    home: House
    box: running.Sandbox
    env: dict[str, str]

    def post(self, place: int, first: int, number: int) -> list[str]:
        """Post voicemails to the hub of one host."""
        with Poster(self.urls[place], self.home.api_key) as poster:
            events = [voicemail(n) for n in range(first, first + number)]
            return [one.status for one in poster.post_all(events)]

    def states(self) -> dict[str, int]:
        """Count deliveries by state."""
        return dict(ledger(self.hub, self.home.tenant_id).deliveries)

    def is_done(self, number: int) -> bool:
        """Tell whether so many voicemails have arrived, each with two records."""
        return {k: v for k, v in self.states().items() if v} == {"delivered": 2 * number}

    def connection(self) -> Connection:
        """Read the connection."""
        with self.hub.tenant(self.home.tenant_id) as session:
            return session.scalars(select(Connection)).one()

    def sweepers(self) -> list[str]:
        """Give the address of whoever holds the sweep's lock."""
        query = (
            "select host(a.client_addr) from pg_locks l join pg_stat_activity a using (pid)"
            " where l.locktype = 'advisory' and l.classid = 0 and l.objid = :lock and l.granted"
        )
        with self.hub.engine.connect() as connection:
            return list(connection.execute(text(query), {"lock": _SWEEP}).scalars())


@pytest.fixture
def two(folder: Path, services: embedded.Services) -> Iterator[Two]:
    """Two hosts that run; the embedded servers are only asked for so that PostgreSQL's user is there."""
    del services
    with ExitStack() as stack:
        net = stack.enter_context(hosts.network(2))
        database_url = stack.enter_context(hosts.postgresql(folder, net.address))
        redis_url = stack.enter_context(hosts.redis_server(net.address))
        box = stack.enter_context(running.sandbox("hubspot", folder / "boxes"))
        stack.enter_context(hosts.way_to(box.url, net))
        vendor = Vendor(box.name, box.url, box.folder)
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        env = environment(
            folder / "data",
            **variables([vendor]),
            AFTERBEEP_DATABASE_URL=database_url,
            AFTERBEEP_REDIS_URL=redis_url,
            AFTERBEEP_MASTER_KEYS=f"first:{key}",
            AFTERBEEP_PUBLIC_URL="http://127.0.0.1:8080",
            AFTERBEEP_WORKER_PROCESSES="1",
            AFTERBEEP_HUB_PROCESSES="1",
            PYTHONPATH=str(Path.cwd()),
        )
        before = dict(os.environ)
        stack.callback(lambda: (os.environ.clear(), os.environ.update(before)))
        settings.export({k: v for k, v in env.items() if k.startswith("AFTERBEEP_")})
        urls = [hosts.start(host, folder, env) for host in net.hosts]
        for host in net.hosts:
            stack.callback(host.stop)
            log = folder / f"{host.name}.log"
            assert until(lambda log=log: b"listens on" in log.read_bytes()), log.read_text()
        hub = open_hub(settings.load())
        stack.callback(hub.engine.dispose)
        home, _ = house(hub, folder / "home.json")
        connection, _ = connect(hub, home, vendor)
        with hub.tenant(home.tenant_id) as session:
            save(
                session,
                connection_id=connection.id,
                name="hubspot",
                document=load(mapping("hubspot")),
                source=mapping("hubspot"),
                author="command",
            )
        yield Two(net, urls, hub, home, box, env)


def test_two_hosts_share_the_work_and_one_takes_over(two: Two):
    """Both hubs take voicemails; tokens are refreshed once for all; a host dies, and nothing is lost or doubled."""
    assert set(two.post(0, 0, 100) + two.post(1, 50, 100)) == {"accepted", "known"}
    assert until(lambda: two.is_done(150))

    refreshed_once(two)

    [leader] = two.sweepers()
    [dying] = [host for host in two.net.hosts if host.address == leader]
    left = two.net.hosts.index(next(host for host in two.net.hosts if host is not dying))
    two.box.fault(kind="slow", seconds=1.0, next=6)
    two.box.fault(kind="cut_after", method="POST", next=1)
    two.post(1 - left, 150, 100)
    assert until(lambda: two.states().get("sending", 0) > 0)
    dying.die()
    two.post(left, 200, 100)

    assert until(lambda: two.is_done(300), within_s=60)
    assert two.sweepers() == [two.net.hosts[left].address]
    stats = two.box.stats()
    assert stats["duplicate_keys"] == []
    assert sum(stats["records"].values()) == 600
    assert two.connection().health == Health.HEALTHY.value
    assert ledger(two.hub, two.home.tenant_id).problems == ()


def refreshed_once(two: Two) -> None:
    """Have four processes on two hosts ask for a fresh token at once: they all get the same."""
    two.box.set(rotates_refresh=True)
    two.box.post("expire")
    old = two.connection()
    words = [sys.executable, "-m", "tests.e2e.refreshing", old.id, str(old.token_version)]
    asking = [host.run(*words, env=two.env) for host in two.net.hosts for _ in range(2)]
    answers = [one.communicate(timeout=60)[0] for one in asking]
    with two.hub.tenant(two.home.tenant_id) as session:
        query = select(AuditRow).where(AuditRow.action == "connection.token_refreshed")
        refreshes = [row.facts["version"] for row in session.scalars(query)]

    assert [json.loads(answer) for answer in answers] == [old.token_version + 1] * 4
    assert refreshes.count(old.token_version + 1) == 1
