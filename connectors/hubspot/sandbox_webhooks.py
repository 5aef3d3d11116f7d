"""The sandbox's webhooks: tells a loopback address of changed stages, signed as HubSpot signs.

Source: https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
seen 2026-11-22
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.hubspot.sandbox_schema import OBJECT_NUMBERS, SINGULAR
from connectors.sandbox import clock
from connectors.sandbox.oauth import CLIENT_SECRET
from connectors.sandbox.store import Record, Store

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_TIMEOUT_S = 5.0
_ATTEMPTS = 3
_PAUSE_S = 1.0
_CLASSIC = {"contacts", "companies", "deals", "tickets"}


class Webhooks:
    """Tells the configured address; an address that does not answer is tried three times."""

    def __init__(self, store: Store) -> None:
        """Settings made before a restart are used again."""
        self._store = store

    def configure(self, document: dict[str, Any]) -> str | None:
        """Change settings; give what is wrong with them, and then nothing is changed."""
        unknown = set(document) - {"webhook_url", "names_rows"}
        if unknown:
            return f"unknown: {', '.join(sorted(unknown))}"
        url = document.get("webhook_url")
        if url and urlsplit(str(url)).hostname not in _LOOPBACK:
            return "webhook_url must be on this machine"
        kept = self._store.kept("settings", "hubspot") or {}
        self._store.keep("settings", "hubspot", {**kept, **document})
        return None

    def setting(self, name: str, *, default: Any = None) -> Any:
        """Give a setting."""
        return (self._store.kept("settings", "hubspot") or {}).get(name, default)

    def tell(self, record: Record, name: str, value: str) -> None:
        """Tell of a changed property, in a thread of its own."""
        url = self.setting("webhook_url")
        if url:
            number = self._store.add("numbers", "webhook")
            event = _event(record, name, value, number=number)
            threading.Thread(target=_send, args=(str(url), [event]), daemon=True).start()


def signature(method: str, url: str, body: str, timestamp: str) -> str:
    """Sign a request as HubSpot does (v3)."""
    source = f"{method}{url}{body}{timestamp}".encode()
    return b64encode(hmac.new(CLIENT_SECRET.encode(), source, hashlib.sha256).digest()).decode()


def _event(record: Record, name: str, value: str, *, number: int) -> dict[str, Any]:
    is_classic = record.object in _CLASSIC
    word = SINGULAR[record.object].lower() if is_classic else "object"
    event: dict[str, Any] = {
        "eventId": number,
        "subscriptionId": 5101,
        "portalId": int(record.account),
        "appId": 4201,
        "occurredAt": int(clock.seconds() * 1000),
        "subscriptionType": f"{word}.propertyChange",
        "attemptNumber": 0,
        "objectId": int(record.id),
        "propertyName": name,
        "propertyValue": value,
        "changeSource": "CRM_UI",
    }
    if not is_classic:
        event["objectTypeId"] = OBJECT_NUMBERS.get(record.object, record.object)
    return event


def _send(url: str, events: list[dict[str, Any]]) -> None:
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        body = json.dumps([{**event, "attemptNumber": attempt} for event in events])
        # Whoever gets it compares it with the real time, whatever the sandbox's clock says.
        timestamp = str(int(time.time() * 1000))
        headers = {
            "Content-Type": "application/json",
            "X-HubSpot-Request-Timestamp": timestamp,
            "X-HubSpot-Signature-v3": signature("POST", url, body, timestamp),
        }
        try:
            answer = httpx.post(url, content=body, headers=headers, timeout=_TIMEOUT_S)
        except httpx.HTTPError:
            continue
        if answer.is_success:
            return
