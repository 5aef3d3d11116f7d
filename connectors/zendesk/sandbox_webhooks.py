"""The sandbox's webhooks: kept for each account, told of changed statuses, signed as Zendesk signs.

Source: https://developer.zendesk.com/documentation/webhooks/verifying/ (2026-11-22)
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.sandbox import clock
from connectors.sandbox.store import Record, Store
from connectors.zendesk.sandbox_desk import RefusedError, stamp
from connectors.zendesk.sandbox_setup import Document, number_of

_KIND = "webhook"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_EVENT = "zen:event-type:ticket.status_changed"
_TIMEOUT_S, _ATTEMPTS, _PAUSE_S = 5.0, 3, 1.0
_SHOWN = ("name", "status", "endpoint", "http_method", "request_format", "subscriptions")


class Webhooks:
    """The webhooks of all accounts; only addresses on this machine are called."""

    def __init__(self, store: Store) -> None:
        """Webhooks that were made before a restart are used again."""
        self._store = store

    def make(self, account: str, asked: Mapping[str, Any]) -> Document:
        """Make a webhook; raises RefusedError."""
        missing = [name for name in _SHOWN[:5] if not asked.get(name)]
        if missing:
            said = {"errors": [{"code": "BadRequest", "title": f"{missing[0]} is required"}]}
            raise RefusedError(400, said)
        number = secrets.token_hex(13).upper()
        document = {name: asked.get(name) for name in _SHOWN}
        secret = secrets.token_urlsafe(32)
        self._store.keep(_KIND, number, {**document, "account": account, "secret": secret})
        return self.shown(account, number)

    def change(self, account: str, number: str, asked: Mapping[str, Any]) -> None:
        """Change a webhook; raises RefusedError when there is none."""
        kept = self._kept(account, number)
        changes = {name: asked[name] for name in _SHOWN if name in asked}
        self._store.keep(_KIND, number, {**kept, **changes})

    def drop(self, account: str, number: str) -> None:
        """Forget a webhook; raises RefusedError when there is none."""
        self._kept(account, number)
        self._store.forget(_KIND, number)

    def shown(self, account: str, number: str) -> Document:
        """Give a webhook as Zendesk shows it; raises RefusedError when there is none."""
        kept = self._kept(account, number)
        return {"id": number, **{name: kept[name] for name in _SHOWN}}

    def listed(self, account: str, name_contains: str) -> list[Document]:
        """Give an account's webhooks whose names hold these words."""
        return [
            self.shown(account, number)
            for number, kept in self._store.all_kept(_KIND).items()
            if kept["account"] == account and name_contains in str(kept["name"])
        ]

    def secret(self, account: str, number: str) -> str:
        """Give what a webhook signs with; raises RefusedError when there is none."""
        return str(self._kept(account, number)["secret"])

    def tell(self, record: Record, before: str) -> None:
        """Tell of a changed status, in a thread of its own."""
        for number, kept in self._store.all_kept(_KIND).items():
            url = str(kept["endpoint"])
            wants = kept["account"] == record.account and _EVENT in (kept["subscriptions"] or ())
            if wants and kept["status"] == "active" and urlsplit(url).hostname in _LOOPBACK:
                event = _event(record, before)
                threading.Thread(
                    target=_send, args=(url, event, str(kept["secret"]), number), daemon=True
                ).start()

    def _kept(self, account: str, number: str) -> dict[str, Any]:
        kept = self._store.kept(_KIND, number)
        if kept is None or kept["account"] != account:
            said = {"errors": [{"code": "WebhookNotFound", "title": "Not Found"}]}
            raise RefusedError(404, said)
        return kept


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a request as Zendesk does."""
    digest = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    return b64encode(digest).decode()


def _event(record: Record, before: str) -> Document:
    now = stamp(clock.seconds())
    return {
        "type": _EVENT,
        "account_id": number_of(record.account),
        "id": str(uuid.uuid4()),
        "time": now,
        "zendesk_event_version": "2022-11-06",
        "subject": f"zen:ticket:{record.id}",
        "detail": {
            "id": record.id,
            "external_id": record.fields.get("external_id"),
            "status": str(record.fields.get("status")).upper(),
            "created_at": stamp(record.created_at),
            "updated_at": now,
            "via": {"channel": "web_service"},
        },
        "event": {
            "current": str(record.fields.get("status")).upper(),
            "previous": before.upper(),
            "meta": {"sequence": {"id": uuid.uuid4().hex, "position": 1}},
        },
    }


def _send(url: str, event: Document, secret: str, number: str) -> None:
    body = json.dumps(event).encode()
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        timestamp = stamp(clock.seconds())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Zendesk Webhook",
            "X-Zendesk-Webhook-Id": number,
            "X-Zendesk-Webhook-Signature-Timestamp": timestamp,
            "X-Zendesk-Webhook-Signature": signature(secret, timestamp, body),
        }
        try:
            answer = httpx.post(url, content=body, headers=headers, timeout=_TIMEOUT_S)
        except httpx.HTTPError:
            continue
        if answer.is_success:
            return
