"""The sandbox's webhooks of version 2: registered by the API, sent with HTTP Basic, unsigned.

Source: https://pipedrive.readme.io/docs/guide-for-webhooks-v2 (2026-11-22)
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.pipedrive.sandbox_records import RefusedError
from connectors.pipedrive.sandbox_schema import WORDS, Document
from connectors.sandbox.store import Record, Store

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_TIMEOUT_S = 5.0
_ATTEMPTS = 3
_PAUSE_S = 1.0
_MOST = 40
_USER = 11
_ACTIONS = {"create", "change", "delete", "*"}


class Webhooks:
    """Keeps the webhooks of each account and tells them of changes."""

    def __init__(self, store: Store) -> None:
        """Webhooks made before a restart go on."""
        self._store = store

    def listed(self, account: str) -> list[Document]:
        """List an account's webhooks."""
        kept = self._store.all_kept(f"webhook:{account}")
        return sorted(kept.values(), key=lambda one: int(one["id"]))

    def add(self, account: str, body: Mapping[str, Any]) -> Document:
        """Register a webhook; raises RefusedError."""
        errors: dict[str, list[str]] = {}
        for name in ("subscription_url", "event_action", "event_object", "name"):
            if not body.get(name):
                errors[name] = ["is required"]
        url = urlsplit(str(body.get("subscription_url") or ""))
        is_near = url.scheme == "http" and url.hostname in _LOOPBACK
        if url.scheme != "https" and not is_near:
            errors["subscription_url"] = ["invalid or non-reachable URL"]
        if body.get("event_action") not in _ACTIONS:
            errors["event_action"] = ["is not a known action"]
        if len(self.listed(account)) >= _MOST:
            errors["user_id"] = [f"has {_MOST} webhooks already"]
        if errors:
            refused = RefusedError(400, "")
            refused.document = {"status": "error", "success": False, "errors": errors}
            raise refused
        number = self._store.add("numbers", "webhook")
        document: Document = {
            "id": number,
            "company_id": int(account),
            "owner_id": _USER,
            "user_id": _USER,
            "event_action": body["event_action"],
            "event_object": body["event_object"],
            "subscription_url": body["subscription_url"],
            "version": body.get("version", "2.0"),
            "is_active": 1,
            "add_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "type": "application",
            "http_auth_user": body.get("http_auth_user"),
            "http_auth_password": body.get("http_auth_password"),
            "admin_id": _USER,
            "name": body["name"],
        }
        self._store.keep(f"webhook:{account}", str(number), document)
        return document

    def drop(self, account: str, webhook_id: str) -> None:
        """End a webhook; raises RefusedError when there is none."""
        if not self._store.forget(f"webhook:{account}", webhook_id):
            raise RefusedError(404, "Webhook not found")

    def tell(
        self, record: Record, action: str, data: Document | None, previous: Document | None
    ) -> None:
        """Tell of a change, in a thread of its own for each webhook that wants to know."""
        word = WORDS[record.object]
        for hook in self.listed(record.account):
            wants = hook["event_object"] in {word, "*"} and hook["event_action"] in {action, "*"}
            if wants and urlsplit(hook["subscription_url"]).hostname in _LOOPBACK:
                body = {"meta": _meta(record, action, hook), "data": data, "previous": previous}
                threading.Thread(target=_send, args=(hook, body), daemon=True).start()


def _meta(record: Record, action: str, hook: Mapping[str, Any]) -> Document:
    return {
        "action": action,
        "entity": WORDS[record.object],
        "entity_id": record.id,
        "company_id": record.account,
        "correlation_id": str(uuid.uuid4()),
        "id": str(uuid.uuid4()),
        "is_bulk_edit": False,
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "application",
        "user_id": str(_USER),
        "version": "2.0",
        "webhook_id": str(hook["id"]),
        "webhook_owner_id": str(_USER),
        "change_source": "app",
        "permitted_user_ids": [str(_USER)],
        "attempt": 1,
        "host": "whitfield.pipedrive.com",
    }


def _send(hook: Mapping[str, Any], body: Document) -> None:
    auth = (hook["http_auth_user"] or "", hook["http_auth_password"] or "")
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        body["meta"]["attempt"] = attempt + 1
        try:
            answer = httpx.post(
                hook["subscription_url"],
                json=body,
                auth=auth,
                timeout=_TIMEOUT_S,
                headers={"User-Agent": "Pipedrive Webhooks"},
            )
        except httpx.HTTPError:
            continue
        if answer.is_success:
            return
