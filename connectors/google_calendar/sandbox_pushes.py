"""The sandbox's push channels: tells an address on this machine that a calendar has changed.

Source: https://developers.google.com/workspace/calendar/api/guides/push (2026-11-22)
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.google_calendar.sandbox_documents import Calendar, Document, RefusedError
from connectors.sandbox import clock
from connectors.sandbox.store import Store

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TIMEOUT_S = 5.0
_DEFAULT_TTL_S, _MAX_ID, _MAX_TOKEN = 604_800, 64, 256
_KIND = "channel"


class Pushes:
    """Channels of all accounts, which survive a restart and end by themselves."""

    def __init__(self, store: Store, *, public_url: str) -> None:
        """Take the store."""
        self._store, self._public_url = store, public_url

    def watch(self, account: str, calendar: Calendar, asked: Mapping[str, Any]) -> Document:
        """Open a channel; its first message says "sync"."""
        name, address = str(asked.get("id") or ""), str(asked.get("address") or "")
        token = str(asked.get("token") or "")
        if not name or len(name) > _MAX_ID or len(token) > _MAX_TOKEN:
            raise RefusedError(400, "required", "Missing or invalid channel id or token.")
        if asked.get("type") not in {"web_hook", "webhook"}:
            raise RefusedError(400, "invalid", "Unknown channel type.")
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            text = f"WebHook callback must be HTTPS: {address}"
            raise RefusedError(400, "push.webhookUrlNotHttps", text)
        ttl_s = int((asked.get("params") or {}).get("ttl") or _DEFAULT_TTL_S)
        with self._store.transaction():
            if self._store.kept(_KIND, name) is not None:
                raise RefusedError(400, "channelIdNotUnique", f"Channel id {name} not unique")
            place = f"{account} {calendar.id}"
            channel: Document = {
                "id": name,
                "token": token,
                "address": address,
                "account": account,
                "calendar": calendar.id,
                "resource": hashlib.sha256(place.encode()).hexdigest()[:27],
                "expires_at": clock.seconds() + ttl_s,
            }
            self._store.keep(_KIND, name, channel)
        self._tell(channel, "sync")
        return {
            "kind": "api#channel",
            "id": name,
            "resourceId": channel["resource"],
            "resourceUri": self._uri(channel),
            "token": token,
            "expiration": str(int(channel["expires_at"] * 1000)),
        }

    def stop(self, account: str, asked: Mapping[str, Any]) -> None:
        """End a channel."""
        channel = self._store.kept(_KIND, str(asked.get("id")))
        is_it = channel and channel["resource"] == asked.get("resourceId")
        if channel is None or not is_it or channel["account"] != account:
            raise RefusedError(404, "notFound", f"Channel '{asked.get('id')}' not found")
        # Its id stays used.
        self._store.keep(_KIND, channel["id"], {**channel, "expires_at": 0})

    def open_channels(self) -> list[Document]:
        """List the channels that report."""
        now = clock.seconds()
        kept = self._store.all_kept(_KIND).values()
        return [channel for channel in kept if channel["expires_at"] > now]

    def changed(self, account: str, calendar: str) -> None:
        """Tell every channel of this calendar."""
        for channel in self.open_channels():
            if (channel["account"], channel["calendar"]) == (account, calendar):
                self._tell(channel, "exists")

    def _uri(self, channel: Mapping[str, Any]) -> str:
        return f"{self._public_url}/calendar/v3/calendars/{channel['calendar']}/events?alt=json"

    def _tell(self, channel: Mapping[str, Any], state: str) -> None:
        """Send a message without a body, in a thread of its own."""
        if urlsplit(str(channel["address"])).hostname not in _LOOPBACK:
            return
        number = self._store.add("messages", str(channel["id"]))
        headers = {
            "X-Goog-Channel-ID": str(channel["id"]),
            "X-Goog-Channel-Expiration": formatdate(channel["expires_at"], usegmt=True),
            "X-Goog-Resource-ID": str(channel["resource"]),
            "X-Goog-Resource-URI": self._uri(channel),
            "X-Goog-Resource-State": state,
            "X-Goog-Message-Number": str(number),
        }
        if channel["token"]:
            headers["X-Goog-Channel-Token"] = str(channel["token"])
        address = str(channel["address"])
        threading.Thread(target=_send, args=(address, headers), daemon=True).start()


def _send(address: str, headers: Mapping[str, str]) -> None:
    try:
        httpx.post(address, headers=dict(headers), timeout=_TIMEOUT_S)
    except httpx.HTTPError:
        return  # Google does not repeat a message that nobody took either, but for some 5xx.
