"""Connects the sample tenant as its owner would in a browser, and publishes its trade's usual mappings."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from sqlalchemy import select

from connectors.errors import ConnectorError
from connectors.record import KeyAuth
from connectors.registry import connector
from hub.context import Hub
from hub.db.connections import Connection, Health
from hub.delivery import describe, steer, usual_mappings
from hub.demo.house import House
from hub.demo.vendors import Vendor
from hub.oauth import flow, keys

_TIMEOUT_S = 20.0
_ACTOR = "command"


class CouldNotConnect(Exception):
    """A sandbox did not let us in, or a preset does not fit it; the message says which."""


def connect(hub: Hub, home: House, vendor: Vendor) -> tuple[Connection, bool]:
    """Give the tenant's connection to a vendor; tells whether it was made now.

    A new one is set as its sandbox advises, so that it works at any hour. One that needs to be reconnected is
    reconnected, and keeps its settings and mappings. Raises CouldNotConnect.
    """
    with hub.tenant(home.tenant_id) as session:
        old = session.scalars(
            select(Connection)
            .where(Connection.connector == vendor.name)
            .order_by(Connection.created_at)
        ).first()
    if old and old.health in {Health.HEALTHY.value, Health.DEGRADED.value}:
        return old, False
    old_id = old.id if old else None
    try:
        if isinstance(connector(vendor.name).oauth, KeyAuth):
            made = _with_keys(hub, home, vendor, old_id)
        else:
            made = _by_oauth(hub, home, vendor, old_id)
        if old is None:
            _configure(hub, home, vendor, made)
        describe.prepare(hub, home.tenant_id, made.id, actor=_ACTOR)
    except (flow.ConnectProblem, steer.WrongSettings, ConnectorError, httpx.HTTPError) as err:
        raise CouldNotConnect(f"{vendor.label} was not connected: {err}") from err
    return made, old is None


def _by_oauth(hub: Hub, home: House, vendor: Vendor, connection_id: str | None) -> Connection:
    url = flow.begin(
        hub,
        home.tenant_id,
        home.person_id,
        vendor.name,
        login_url=vendor.url,
        connection_id=connection_id,
    )
    back = allow(url)
    return flow.finish(
        hub,
        home.person_id,
        back.get("state", ""),
        code=back.get("code"),
        error=back.get("error"),
    )


def _with_keys(hub: Hub, home: House, vendor: Vendor, connection_id: str | None) -> Connection:
    """Copy the keys out of the vendor's console, which the sandbox shows, and paste them."""
    shown = httpx.get(f"{vendor.url}/_sandbox/keys.json", timeout=_TIMEOUT_S, trust_env=False)
    values = next(iter(shown.raise_for_status().json().values()))
    return keys.connect(
        hub,
        home.tenant_id,
        home.person_id,
        vendor.name,
        values,
        login_url=vendor.url,
        connection_id=connection_id,
    )


def _configure(hub: Hub, home: House, vendor: Vendor, made: Connection) -> None:
    advised = httpx.get(
        f"{vendor.url}/_sandbox/connection.json", timeout=_TIMEOUT_S, trust_env=False
    )
    change = steer.Change(settings=advised.raise_for_status().json())
    if change.settings:
        steer.configure(hub, home.tenant_id, made.id, change, actor=_ACTOR)


def allow(authorise_url: str) -> dict[str, str]:
    """Open an authorise page and click "Allow" there; gives what the vendor sends back to the hub.

    Raises CouldNotConnect when the page has no such form.
    """
    with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as browser:
        page = browser.get(authorise_url)
        form = _Form()
        form.feed(page.text)
        if not form.fields.get("ticket"):
            raise CouldNotConnect(f"the authorise page answered {page.status_code} without a form")
        answer = browser.post(
            urljoin(authorise_url, form.action), data={**form.fields, "decision": "allow"}
        )
    query = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
    return {name: values[0] for name, values in query.items()}


class _Form(HTMLParser):
    """Reads a page's form: where it goes, and the first value of each field, as a browser preselects."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.action = found.get("action") or ""
        name = found.get("name")
        if tag == "input" and name:
            self.fields.setdefault(name, found.get("value") or "")


def publish(hub: Hub, home: House, connection: Connection) -> int:
    """Publish the usual mappings of the tenant's trade for an account; gives how many were made now.

    Raises CouldNotConnect when one has an error in this account.
    """
    found = usual_mappings.set_up(hub, home.tenant_id, connection.id, actor=_ACTOR, also=True)
    for one in found.items:
        if one.state == "wrong":
            said = "; ".join(str(problem) for problem in one.problems)
            raise CouldNotConnect(f"{one.name}: {said}")
    return sum(one.state == "new" for one in found.items)
