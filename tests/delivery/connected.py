"""A tenant that is connected to a running sandbox through the real OAuth flow."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlalchemy import text

from connectors.sandbox.oauth import CLIENT_ID, CLIENT_SECRET
from hub.context import Hub
from hub.db import mappings
from hub.db.base import new_id
from hub.db.connections import Connection
from hub.delivery import describe
from hub.delivery.plan import Accepted, Incoming, accept
from hub.oauth import flow
from mappings.document import load
from mappings.event import Event
from tests.conftest import Company
from tests.connectors.running import Sandbox

LEAD = """
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
steps:
  - id: lead
    object: Lead
    set:
      LastName: {from: [caller.name.family, caller.name.full], or: Unknown}
      Company: {from: caller.company, or: "[not given]"}
      Phone: {from: caller.phone, as: e164}
      Description: {text: "{summary}", max: 32000}
"""

LEAD_AND_TASK = (
    LEAD
    + """
  - id: callback
    object: Task
    set:
      WhoId: {id_of: lead}
      Subject: {text: "Call back {caller.name.full}"}
"""
)

MATCHED_LEAD = LEAD.replace(
    "    object: Lead\n", "    object: Lead\n    match: {Phone: {from: caller.phone, as: e164}}\n"
)

#: Sandboxes speak http. Reading the usual authorities for each browser took longer than all that it asks.
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class Connected:
    """A connection of a company to a sandbox."""

    hub: Hub
    company: Company
    sandbox: Sandbox
    connection: Connection

    def publish(self, text: str, name: str = "Lead") -> str:
        """Publish a mapping; gives its id."""
        with self.hub.tenant(self.company.tenant_id) as session:
            return mappings.save(
                session,
                connection_id=self.connection.id,
                name=name,
                document=load(text),
                source=text,
                author="command",
            ).id

    def accept(self, *events: Event) -> list[Accepted]:
        """Accept events as the API does."""
        return accept(self.hub, self.company.tenant_id, [Incoming.of(event) for event in events])

    def refreshed(self) -> Connection:
        """Read the connection again."""
        with self.hub.tenant(self.company.tenant_id) as session:
            found = session.get(Connection, self.connection.id)
        assert found is not None
        return found


def unspent(hub: Hub) -> None:
    """Let nothing have been called yet: the tests share their sandboxes' accounts, and with them each account's day.

    What all tests together call within half an hour is enough for the hub to be frugal with an account, and to let
    rows wait for company.
    """
    with hub.engine.begin() as session:
        session.execute(text("delete from call_counts"))
    hub.redis.flushall()


def set_up_vendor(sandbox: Sandbox) -> None:
    """Register the sandbox's app, as an operator does in the environment."""
    name = f"AFTERBEEP_{sandbox.name.upper()}"
    os.environ[f"{name}_CLIENT_ID"] = CLIENT_ID
    os.environ[f"{name}_CLIENT_SECRET"] = CLIENT_SECRET
    os.environ[f"{name}_LOGIN_URL"] = sandbox.url


def allow(authorize_url: str, *, account: str | None = None) -> dict[str, str]:
    """Be the person at the vendor's page who clicks Allow; gives what comes back to us."""
    base = "{0.scheme}://{0.netloc}".format(urlsplit(authorize_url))
    with httpx.Client(verify=_NOBODY) as browser:
        page = browser.get(authorize_url).raise_for_status().text
        action = re.search(r'<form method="post" action="([^"]+)"', page)
        assert action is not None
        form = {
            "ticket": _value("ticket", page),
            "account": account or _value("account", page),
            "decision": "allow",
        }
        answer = browser.post(base + action.group(1), data=form)
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


def _value(name: str, html: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', html)
    assert found is not None
    return found.group(1)


def connect(
    hub: Hub, company: Company, sandbox: Sandbox, *, account: str | None = None
) -> Connected:
    """Connect a company to a sandbox and prepare the account."""
    set_up_vendor(sandbox)
    url = flow.begin(hub, company.tenant_id, company.person_id, sandbox.name)
    back = allow(url, account=account)
    connection = flow.finish(hub, company.person_id, back["state"], code=back["code"])
    describe.prepare(hub, company.tenant_id, connection.id, actor="command")
    return Connected(hub, company, sandbox, connection)


def voicemail(number: int = 1, **data: Any) -> Event:
    """Make an event of a caller with a name and number of their own."""
    call_id = new_id("CA")
    body: dict[str, Any] = {
        "call": {"id": call_id, "from": f"+1415555{number:04d}"},
        "caller": {
            "name": {"full": f"Dana W{number}", "given": "Dana", "family": f"W{number}"},
            "phone": f"+1415555{number:04d}",
        },
        "bucket": "new_lead",
        "urgency": {"score": 40, "level": "normal"},
        "summary": f"Dana W{number}: water through the ceiling",
    }
    return Event.model_validate(
        {
            "specversion": "1.0",
            "id": call_id,
            "source": "/tests",
            "type": "com.afterbeep.voicemail.completed.v1",
            "data": body | data,
        }
    )
