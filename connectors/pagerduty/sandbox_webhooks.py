"""The sandbox's webhook subscriptions (v3): reports to addresses on this machine, signed as PagerDuty signs.

Source: https://developer.pagerduty.com/docs/webhooks-overview, .../webhook-signatures, .../webhooks-behavior
(PagerDuty/developer-docs docs/webhooks/01, 02, 04), seen 2026-11-22
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.pagerduty.sandbox_documents import (
    SET_UPS,
    Document,
    incident_document,
    invalid,
    missing,
    stamp,
    user_reference,
)
from connectors.sandbox.store import Record, Store

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_TIMEOUT_S = 5.0
#: The real one tries for longer; a sandbox gives up sooner.
_ATTEMPTS, _PAUSE_S = 3, 1.0
_DROPPED_UNTIL_DISABLED = 3
_EVENTS = frozenset(
    f"incident.{name}"
    for name in (
        "acknowledged",
        "annotated",
        "delegated",
        "escalated",
        "priority_updated",
        "reassigned",
        "reopened",
        "resolved",
        "triggered",
        "unacknowledged",
    )
)


class Webhooks:
    """Subscriptions by account, and what is sent to them."""

    def __init__(self, store: Store) -> None:
        """Subscriptions made before a restart are used again."""
        self._store = store

    def create(self, account: str, sent: object) -> Document:
        """Make a subscription; only this answer tells its secret."""
        asked = sent.get("webhook_subscription") if isinstance(sent, Mapping) else None
        asked = asked if isinstance(asked, Mapping) else {}
        method = asked.get("delivery_method") or {}
        url, events = str(method.get("url") or ""), asked.get("events")
        if urlsplit(url).hostname not in _LOOPBACK:
            raise invalid("Delivery method URL of a sandbox's subscription must be on this machine")
        if not isinstance(events, list) or not events or set(events) - _EVENTS:
            raise invalid("Events are invalid")
        if (asked.get("filter") or {}).get("type") != "account_reference":
            raise invalid("Filter of a sandbox's subscription must be account_reference")
        secret = secrets.token_urlsafe(48)
        kept: dict[str, Any] = {
            "id": f"PSBXWH{self._store.add('numbers', 'webhook')}",
            "account": account,
            "url": url,
            "events": events,
            "description": asked.get("description"),
            "secrets": [secret],
            "dropped": 0,
            "is_disabled": False,
        }
        self._keep(kept)
        return _document(kept, secret=secret)

    def listed(self, account: str) -> list[Document]:
        """List an account's subscriptions."""
        return [_document(one) for one in self._of(account)]

    def read(self, account: str, name: str) -> Document:
        """Give one subscription."""
        return _document(self._one(account, name))

    def enable(self, account: str, name: str) -> Document:
        """Enable a subscription again."""
        with self._store.transaction():
            kept = {**self._one(account, name), "dropped": 0, "is_disabled": False}
            self._keep(kept)
        return _document(kept)

    def delete(self, account: str, name: str) -> None:
        """Forget a subscription."""
        self._store.forget("webhook", self._one(account, name)["id"])

    def rotate(self, name: str) -> str | None:
        """Sign with a second secret too, as while PagerDuty changes it; give the new one."""
        fresh = secrets.token_urlsafe(48)
        with self._store.transaction():
            kept = self._store.kept("webhook", name)
            if kept is None:
                return None
            self._keep({**kept, "secrets": [fresh, *kept["secrets"]]})
        return fresh

    def tell(self, kind: str, record: Record) -> None:
        """Report a changed incident to whoever asked for it, each in a thread of its own."""
        event = _event(kind, record)
        for kept in self._of(record.account):
            if kind in kept["events"] and not kept["is_disabled"]:
                args = (kept["id"], event)
                threading.Thread(target=self._deliver, args=args, daemon=True).start()

    def _deliver(self, name: str, event: Document) -> None:
        body = json.dumps({"event": event}, ensure_ascii=False).encode()
        number = str(uuid.uuid4())
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_S)
            kept = self._store.kept("webhook", name)
            if kept is None:
                return
            outcome = _send(kept, body, number)
            if outcome == "sent":
                self._took(name)
                return
            if outcome == "dropped":
                break
        self._drop(name)

    def _took(self, name: str) -> None:
        with self._store.transaction():
            # Read again: it may have been ended or changed while the report was under way.
            kept = self._store.kept("webhook", name)
            if kept is not None:
                self._keep({**kept, "dropped": 0})

    def _drop(self, name: str) -> None:
        with self._store.transaction():
            kept = self._store.kept("webhook", name)
            if kept is not None:
                dropped = kept["dropped"] + 1
                is_disabled = dropped >= _DROPPED_UNTIL_DISABLED
                self._keep({**kept, "dropped": dropped, "is_disabled": is_disabled})

    def _keep(self, kept: Mapping[str, Any]) -> None:
        self._store.keep("webhook", str(kept["id"]), kept)

    def _of(self, account: str) -> list[dict[str, Any]]:
        kept = self._store.all_kept("webhook")
        return [one for one in kept.values() if one["account"] == account]

    def _one(self, account: str, name: str) -> dict[str, Any]:
        kept = self._store.kept("webhook", name)
        if kept is None or kept["account"] != account:
            raise missing()
        return kept


def sign(secret: str, body: bytes) -> str:
    """Sign a body as PagerDuty does."""
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _send(kept: Mapping[str, Any], body: bytes, number: str) -> str:
    headers = {
        "Content-Type": "application/json",
        "X-Webhook-Id": number,
        "X-Webhook-Subscription": kept["id"],
        "X-PagerDuty-Signature": ",".join(sign(secret, body) for secret in kept["secrets"]),
    }
    try:
        answer = httpx.post(kept["url"], content=body, headers=headers, timeout=_TIMEOUT_S)
    except httpx.HTTPError:
        return "failed"
    if answer.is_success:
        return "sent"
    # 4xx other than 429 is not tried again.
    again = answer.is_server_error or answer.status_code == 429  # noqa: PLR2004 - the status is the case
    return "failed" if again else "dropped"


def _document(kept: Mapping[str, Any], *, secret: str | None = None) -> Document:
    return {
        "id": kept["id"],
        "type": "webhook_subscription",
        "active": True,
        "delivery_method": {
            "id": f"{kept['id']}D",
            "type": "http_delivery_method",
            "url": kept["url"],
            "secret": secret,
            "temporarily_disabled": kept["is_disabled"],
            "custom_headers": [],
        },
        "description": kept["description"] or "",
        "events": kept["events"],
        "filter": {"type": "account_reference"},
    }


def _event(kind: str, record: Record) -> Document:
    set_up = SET_UPS[record.account]
    incident = incident_document(record, set_up)
    names = ("id", "type", "html_url", "status", "incident_key", "created_at", "title", "urgency")
    agent = incident["last_status_change_by"]
    return {
        "id": str(uuid.uuid4()),
        "event_type": kind,
        "resource_type": "incident",
        "occurred_at": stamp(),
        "agent": agent,
        "client": {"name": "PagerDuty"},
        "data": {
            **{name: incident[name] for name in names},
            "number": incident["incident_number"],
            "service": incident["service"],
            "assignees": [user_reference(set_up)],
            "escalation_policy": incident["escalation_policy"],
            "teams": [],
            "priority": incident["priority"],
            "conference_bridge": None,
            "resolve_reason": None,
        },
    }
