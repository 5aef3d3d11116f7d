"""A program that calls the API with a key, and voicemails for it to post."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from hub.context import Hub
from hub.db import mappings
from hub.db.base import new_id
from hub.db.connections import Connection, Health
from hub.db.keys import NewKey, Scope, create
from mappings.document import load

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
TYPE = "com.afterbeep.voicemail.completed.v1"

MAPPING = """
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
approve: {urgency_at_least: 80}
steps:
  - id: lead
    object: Lead
    set:
      LastName: {from: [caller.name.family, caller.name.full], or: Unknown}
      Company: {from: caller.company, or: "[not given]"}
  - id: callback
    object: Task
    set:
      WhoId: {id_of: lead}
      Subject: {text: "Call back {caller.name.full}"}
"""


def data(**changes: Any) -> dict[str, Any]:
    """Give a voicemail's data."""
    made = {
        "call": {"id": "CA1", "from": "+14155550132"},
        "caller": {"name": {"full": "Dana Whitfield", "family": "Whitfield"}},
        "bucket": "new_lead",
        "summary": "Water through the kitchen ceiling",
    }
    return made | changes


def event(name: str | None = None, **changes: Any) -> dict[str, Any]:
    """Give an event; a new one each time unless it is named."""
    made = {
        "specversion": "1.0",
        "id": name or new_id("evn"),
        "source": "/voice/lines/main",
        "type": TYPE,
        "time": "2026-11-20T16:03:53Z",
        "data": data(),
    }
    return made | changes


@dataclass
class Program:
    """A program with an API key of one tenant."""

    client: FlaskClient
    hub: Hub
    tenant_id: str
    key: NewKey

    def call(self, method: str, path: str, **words: Any) -> TestResponse:
        """Send a request with the key."""
        headers = {"Authorization": f"Bearer {self.key.secret}"} | words.pop("headers", {})
        return self.client.open(path, method=method, headers=headers, **words)

    def get(self, path: str, **query: Any) -> TestResponse:
        """Read."""
        return self.call("GET", path, query_string=query)

    def send(self, path: str, body: Any = None, method: str = "POST") -> TestResponse:
        """Send JSON, or nothing."""
        return self.call(method, path, **({} if body is None else {"json": body}))

    def post(
        self, body: Any, media_type: str = STRUCTURED, headers: dict[str, str] | None = None
    ) -> TestResponse:
        """Post events; what is not bytes is written as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.call(
            "POST", "/v1/events", data=raw, content_type=media_type, headers=headers or {}
        )

    def take(self, **changes: Any) -> str:
        """Post an event that must be accepted; gives our id."""
        answer = self.post(event(**changes))
        assert answer.status_code == 202, answer.text
        return answer.json["id"]

    def deliveries(self, event_id: str) -> list[dict[str, Any]]:
        """Read the deliveries of an event, oldest first."""
        items = self.get("/v1/deliveries", event_id=event_id).json["items"]
        return sorted(items, key=lambda item: item["step"], reverse=True)


def program(
    app: Flask, hub: Hub, tenant_id: str, scopes: Iterable[Scope] = tuple(Scope)
) -> Program:
    """Make a key of a tenant, and a program that has it."""
    with hub.tenant(tenant_id) as session:
        key = create(session, name="Voice", scopes=scopes)
    return Program(app.test_client(), hub, tenant_id, key)


def connection_of(hub: Hub, tenant_id: str) -> str:
    """Make a connection that is not authorised; gives its id."""
    with hub.tenant(tenant_id) as session:
        row = Connection(
            connector="salesforce",
            label="Harbor CRM",
            login_url="http://127.0.0.1:9",
            health=Health.NEEDS_RECONNECT.value,
            health_reason="The account no longer accepts us.",
        )
        session.add(row)
        session.flush()
        return row.id


def mapping_of(hub: Hub, tenant_id: str, connection_id: str, text: str = MAPPING) -> str:
    """Publish a mapping; gives its id."""
    with hub.tenant(tenant_id) as session:
        row = mappings.save(
            session,
            connection_id=connection_id,
            name=new_id("nam"),
            document=load(text),
            source=text,
            author="command",
        )
        return row.id
