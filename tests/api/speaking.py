"""The voice front end as a client: one token, and the tenant that it acts for in a header."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.calling import STRUCTURED
from tests.conftest import VOICE_TOKEN

_numbers = itertools.count(10_000)
#: Where a test has its own tenant, its calls may be called like those of others.
CALL = "CA1"


def new_number() -> str:
    """Give a telephone number that nobody has."""
    return f"+1415{next(_numbers):07d}"


def wav(sound: bytes = b"beep") -> bytes:
    """Give a file that begins like WAV."""
    return b"RIFF\0\0\0\0WAVEfmt " + sound


def used(number: int, **changes: Any) -> dict[str, Any]:
    """Give a tool call."""
    made = {
        "number": number,
        "at": "2026-11-30T15:00:00.123456Z",
        "tool": "look_up_caller",
        "arguments": {"phone": "+14155550132"},
        "result": {"name": "Dana Whitfield"},
        "error": None,
        "ms": 41.5,
    }
    return made | changes


@dataclass
class Speaker:
    """The voice front end acting for a tenant."""

    client: FlaskClient
    tenant_id: str | None
    token: str = VOICE_TOKEN

    def call(self, method: str, path: str, **words: Any) -> TestResponse:
        """Send a request with the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.tenant_id is not None:
            headers["Afterbeep-Tenant"] = self.tenant_id
        return self.client.open(path, method=method, headers=headers, **words)

    def get(self, path: str, **query: Any) -> TestResponse:
        """Read."""
        return self.call("GET", path, **({"query_string": query} if query else {}))

    def keep(self, *calls: dict[str, Any], call_id: str = CALL) -> TestResponse:
        """Leave tool calls behind."""
        return self.call("POST", f"/v1/voice/calls/{call_id}/tools", json={"calls": calls})

    def kept(self, call_id: str = CALL) -> list[dict[str, Any]]:
        """Read the tool calls of a call."""
        return self.get(f"/v1/voice/calls/{call_id}/tools").json["calls"]

    def record(
        self, sound: bytes, *, media_type: str = "audio/wav", call_id: str = CALL
    ) -> TestResponse:
        """Leave a recording behind."""
        path = f"/v1/voice/calls/{call_id}/recording"
        return self.call("PUT", path, data=sound, content_type=media_type)

    def post(self, event: dict[str, Any]) -> TestResponse:
        """Post an event."""
        return self.call(
            "POST", "/v1/events", data=json.dumps(event).encode(), content_type=STRUCTURED
        )


def speaker(client: FlaskClient, tenant_id: str | None) -> Speaker:
    """Give the voice front end acting for a tenant, or for none yet."""
    return Speaker(client, tenant_id)
