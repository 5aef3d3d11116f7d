"""A company on a running installation: it posts over HTTP, looks over HTTP, and lets time go by."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from hub.db.connections import Connection, Health
from hub.db.deliveries import Attempt, Delivery
from hub.db.tenants import touch_plan
from hub.delivery import describe, steer
from hub.demo.house import House, house
from hub.oauth import flow
from hub.posting import Poster
from tests.connectors.running import Sandbox
from tests.delivery.connected import LEAD, allow
from tests.e2e.installation import Installation, voicemail

_STRUCTURED = "application/cloudevents+json"
_PATIENCE_S = 60.0


@dataclass
class Firm:
    """A company of the installation, with an API key."""

    one: Installation
    home: House
    http: httpx.Client
    connection_id: str = ""
    sandbox: Sandbox | None = None
    _posted: int = field(default=0)

    # What a person or a program does

    def connect(self, box: Sandbox | None = None, *, account: str | None = None) -> str:
        """Connect an account through the vendor's page, again when it was connected; gives the connection's id."""
        self.sandbox = box or self.sandbox or self.one.boxes["salesforce"]
        hub, home = self.one.hub, self.home
        url = flow.begin(
            hub,
            home.tenant_id,
            home.person_id,
            self.sandbox.name,
            login_url=self.sandbox.url,
            connection_id=self.connection_id or None,
        )
        back = allow(url, account=account)
        made = flow.finish(hub, home.person_id, back["state"], code=back["code"])
        describe.prepare(hub, home.tenant_id, made.id, actor="command")
        self.connection_id = made.id
        return made.id

    def publish(self, text: str = LEAD, name: str = "Lead") -> str:
        """Publish a mapping of the connection; gives its id."""
        body = {"connection_id": self.connection_id, "name": name, "yaml": text}
        answer = self.http.post("/v1/mappings", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["mapping"]["id"])

    def ready(self, text: str = LEAD) -> Firm:
        """Connect and publish."""
        self.connect()
        self.publish(text)
        return self

    def event(self, number: int, **data: Any) -> dict[str, Any]:
        """Give a caller's voicemail, which no other company has."""
        made = voicemail(number, **data)
        return made | {"source": f"/{self.home.tenant_id}"}

    def post(self, number: int = 1, **data: Any) -> list[str]:
        """Leave voicemails of different callers; gives our ids of the accepted events."""
        ids = []
        for _ in range(number):
            self._posted += 1
            answer = self.send(self.event(self._posted, **data))
            assert answer.status_code == 202, answer.text
            ids.append(str(answer.json()["id"]))
        return ids

    def send(self, event: dict[str, Any]) -> httpx.Response:
        """Post one event."""
        return self.http.post("/v1/events", json=event, headers={"Content-Type": _STRUCTURED})

    def post_many(self, number: int) -> None:
        """Leave so many voicemails in batches, each of another caller."""
        self._posted += number
        events = [self.event(each) for each in range(self._posted - number, self._posted)]
        with Poster(self.one.url, self.home.api_key) as poster:
            assert {each.status for each in poster.post_all(events)} == {"accepted"}

    def mend(self, mapping_id: str, text: str, name: str = "Lead") -> None:
        """Save another version of a mapping."""
        body = {"connection_id": self.connection_id, "name": name, "yaml": text}
        answer = self.http.put(f"/v1/mappings/{mapping_id}", json=body)
        assert answer.status_code == 200, answer.text

    def get(self, path: str, **query: Any) -> Any:
        """Read from the API."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def seen(self) -> dict[str, Any]:
        """Read the connection, as the API shows it."""
        found: dict[str, Any] = self.get(f"/v1/connections/{self.connection_id}")
        return found

    def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        """Read up to a hundred deliveries, newest first."""
        return list(self.get("/v1/deliveries", limit=100, **query)["items"])

    def alerts(self) -> list[str]:
        """Read the types of what the company was told, newest first."""
        return [one["type"] for one in self.get("/v1/alerts", limit=100)["items"]]

    def resume(self) -> None:
        """Say as an operator that the vendor is to be asked now."""
        steer.resume(self.one.hub, self.home.tenant_id, self.connection_id, actor="command")

    def disconnect(self) -> None:
        """Disconnect the account."""
        flow.disconnect(
            self.one.hub, self.home.tenant_id, self.connection_id, actor="person:nobody"
        )

    # What time does

    def hurry(self) -> None:
        """Let every wait be over, as time would."""
        at = func.now() - timedelta(seconds=1)
        self.change_rows(Delivery.state == "waiting", due_at=at)
        self.change(retry_at=None, wake_at=None)

    def change(self, **columns: Any) -> None:
        """Change columns of the connection."""
        with self.one.hub.tenant(self.home.tenant_id) as session:
            session.execute(
                update(Connection).where(Connection.id == self.connection_id).values(**columns)
            )

    def change_rows(self, *which: Any, **columns: Any) -> None:
        """Change columns of deliveries."""
        with self.one.hub.tenant(self.home.tenant_id) as session:
            session.execute(update(Delivery).where(*which).values(**columns))

    def touch_plan(self) -> None:
        """Have events planned by what stands in the tables now."""
        with self.one.hub.tenant(self.home.tenant_id) as session:
            touch_plan(session)

    # What is there

    def connection(self) -> Connection:
        """Read the connection's row."""
        with self.one.hub.tenant(self.home.tenant_id) as session:
            return session.scalars(
                select(Connection).where(Connection.id == self.connection_id)
            ).one()

    def rows(self) -> list[Delivery]:
        """Read all deliveries, oldest first."""
        with self.one.hub.tenant(self.home.tenant_id) as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def states(self) -> dict[str, int]:
        """Count deliveries by state; nothing while the database is away."""
        with suppress(OperationalError), self.one.hub.tenant(self.home.tenant_id) as session:
            found = session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
            return dict(found.tuples().all())
        return {}

    def outcomes(self) -> list[str]:
        """Read what all tries came to, oldest first."""
        with self.one.hub.tenant(self.home.tenant_id) as session:
            return list(session.scalars(select(Attempt.outcome).order_by(Attempt.id)))

    def wait_for(self, **states: int) -> None:
        """Wait until the deliveries are in these states and no other."""
        holds(
            lambda: self.states() == states, lambda: f"{self.states()}, {self.connection().state}"
        )

    def delivered(self, number: int) -> None:
        """Wait until so many deliveries, and no others, have arrived."""
        self.wait_for(delivered=number)

    def calls(self) -> int:
        """Count the calls that the vendor had."""
        return int(self._box().stats()["calls_total"])

    def in_flight(self) -> int:
        """Count the calls that the vendor has not answered yet."""
        return int(self._box().stats()["in_flight"])

    def tokens(self, what: str) -> int:
        """Tell how many tokens the vendor issued, refreshed, refused or revoked."""
        return int(self._box().stats()["tokens"].get(what, 0))

    def statuses(self, status: int) -> int:
        """Count the vendor's answers with this status."""
        return int(self._box().stats()["statuses"].get(str(status), 0))

    def records(self, object_name: str = "Lead") -> list[dict[str, Any]]:
        """Read the vendor's records."""
        return self._box().records(object_name, limit=1_000)

    def settings(self) -> dict[str, Any]:
        """Read the sandbox's settings."""
        box = self._box()
        found = box.http.get(f"{box.url}/_sandbox/settings").raise_for_status().json()
        assert isinstance(found, dict)
        return found

    def _box(self) -> Sandbox:
        assert self.sandbox is not None
        return self.sandbox


def holds(fact: Callable[[], bool], what: Callable[[], object] = lambda: "") -> None:
    """Wait until a fact holds; fails with ``what`` when it does not come true."""
    end = time.monotonic() + _PATIENCE_S
    while not fact():
        assert time.monotonic() < end, f"it did not come true: {what()}"
        time.sleep(0.05)


def processes(one: Installation, word: str) -> list[psutil.Process]:
    """Give the installation's processes of one command, oldest first."""
    found = []
    for each in psutil.Process(one.process.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if each.cmdline()[-1:] == [word] and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return sorted(found, key=lambda each: each.create_time())


def pids(one: Installation, *words: str) -> set[int]:
    """Give the process ids of these commands."""
    return {each.pid for word in words for each in processes(one, word)}


@contextmanager
def open_firm(one: Installation) -> Iterator[Firm]:
    """Make a company; afterwards nothing of it is sent any more."""
    with TemporaryDirectory() as folder:
        home, _ = house(one.hub, Path(folder) / "home.json")
    key = {"Authorization": f"Bearer {home.api_key}"}
    with httpx.Client(base_url=one.url, headers=key, timeout=30, trust_env=False) as http:
        yield Firm(one, home, http)
    with one.hub.tenant(home.tenant_id) as session:
        session.execute(update(Connection).values(health=Health.DISCONNECTED.value))
