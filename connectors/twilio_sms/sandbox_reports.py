"""The sandbox's carrier: texts wait at their sender, are sent and arrive, and each step is reported.

Reports are signed as Twilio signs: base64 of HMAC-SHA1, by the Auth Token, of the address followed by each
parameter's name and value in the order of the names.
Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security (2026-11-22)
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import threading
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.sandbox import clock
from connectors.sandbox.keys import KeyServer
from connectors.sandbox.kit import Sandbox
from connectors.sandbox.store import Record

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_TIMEOUT_S = 5.0
_ATTEMPTS = 2
_SETTINGS: Mapping[str, Any] = {
    "delivery_s": 2.0,
    "queue_s": 36_000.0,
    "segments_per_s": 1.0,
    "inbound_url": None,
}
_FINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "received"})
#: Source: https://www.twilio.com/docs/api/errors (2026-11-22)
_QUEUE_OVERFLOW, _EXPIRED = 30001, 30036
_WORDS = {
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30036: "Validity Period Expired",
}


class Carrier:
    """Moves texts on in one thread of its own, and tells about it."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Work on the sandbox's store; settings made before a restart are used again."""
        self._sandbox, self._store = sandbox, sandbox.store
        self._changed = threading.Condition()
        self._due: list[tuple[float, str, str, int | None]] = []
        self._free_at: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def configure(self, document: Mapping[str, Any]) -> str | None:
        """Change settings; give what is wrong with them, and then nothing is changed."""
        unknown = sorted(set(document) - set(_SETTINGS))
        if unknown:
            return f"unknown: {', '.join(unknown)}; known: {', '.join(_SETTINGS)}"
        url = document.get("inbound_url")
        if url and urlsplit(str(url)).hostname not in _LOOPBACK:
            return "inbound_url must be on this machine"
        self._store.keep("settings", "twilio", {**self._kept(), **document})
        return None

    def setting(self, name: str) -> Any:
        """Give a setting."""
        return self._kept().get(name, _SETTINGS[name])

    def wait_s(self, sender: str) -> float:
        """Give how long a new text would wait at this sender."""
        return max(0.0, self._free_at.get(sender, 0.0) - clock.seconds())

    def take(self, record: Record, *, parts: int, is_full: bool, expires_s: float) -> None:
        """Take a new text: it is sent when its sender has the time, and arrives a little later."""
        if is_full:
            self._plan(clock.seconds(), record.id, "failed", _QUEUE_OVERFLOW)
            return
        sender = str(record.fields["From"])
        wait_s = self.wait_s(sender)
        if wait_s > expires_s:
            self._plan(clock.seconds() + expires_s, record.id, "failed", _EXPIRED)
            return
        sent_at = clock.seconds() + wait_s
        self._free_at[sender] = sent_at + parts / float(self.setting("segments_per_s"))
        self._deliver(record.id, sent_at)

    def resume(self) -> None:
        """Go on with texts that were under way when the sandbox was stopped."""
        for account in self._sandbox.accounts:
            for record in self._store.scan(account.id, "message"):
                if record.fields["status"] not in _FINAL:
                    self._deliver(record.id, clock.seconds())

    def report(self, record: Record, status: str, error_code: int | None) -> None:
        """Set a text's status and tell the address that its sender named."""
        fields: dict[str, Any] = {"status": status, "error_code": error_code}
        fields["error_message"] = _WORDS.get(error_code, "") or None if error_code else None
        if status in {"sent", "delivered"} and "sent_at" not in record.fields:
            fields["sent_at"] = clock.seconds()
        record = self._store.update(record, fields)
        url = record.fields.get("StatusCallback")
        if url:
            told = {
                "AccountSid": record.account,
                "ApiVersion": "2010-04-01",
                "From": record.fields.get("From", ""),
                "MessageSid": record.id,
                "MessageStatus": status,
                "SmsSid": record.id,
                "SmsStatus": status,
                "To": record.fields["To"],
            }
            if error_code:
                told["ErrorCode"] = str(error_code)
            if record.fields.get("MessagingServiceSid"):
                told["MessagingServiceSid"] = record.fields["MessagingServiceSid"]
            self._tell(str(url), record.account, told)

    def tell_inbound(self, record: Record) -> None:
        """Tell the address of the account's numbers what a person has texted."""
        url = self.setting("inbound_url")
        if url:
            told = {
                "AccountSid": record.account,
                "ApiVersion": "2010-04-01",
                "Body": record.fields["Body"],
                "From": record.fields["From"],
                "MessageSid": record.id,
                "NumMedia": "0",
                "NumSegments": "1",
                "SmsMessageSid": record.id,
                "SmsSid": record.id,
                "SmsStatus": "received",
                "To": record.fields["To"],
            }
            self._tell(str(url), record.account, told)

    def _deliver(self, sid: str, sent_at: float) -> None:
        delivery_s = self.setting("delivery_s")
        if delivery_s is None:
            return
        self._plan(sent_at + float(delivery_s) / 2, sid, "sent", None)
        self._plan(sent_at + float(delivery_s), sid, "delivered", None)

    def _plan(self, at: float, sid: str, status: str, error_code: int | None) -> None:
        with self._changed:
            heapq.heappush(self._due, (at, sid, status, error_code))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > clock.seconds():
                    left_s = self._due[0][0] - clock.seconds() if self._due else None
                    # A simulation may move the clock in between.
                    self._changed.wait(None if left_s is None else min(left_s, 1.0))
                _, sid, status, error_code = heapq.heappop(self._due)
            record = self._store.get("message", sid)
            if record is not None and record.fields["status"] not in _FINAL:
                self.report(record, status, error_code)

    def _tell(self, url: str, account: str, told: Mapping[str, str]) -> None:
        if urlsplit(url).hostname in _LOOPBACK:
            token = self._token(account)
            threading.Thread(target=_post, args=(url, dict(told), token), daemon=True).start()

    def _token(self, account: str) -> str:
        access = self._sandbox.access
        return access.keys()[account]["auth_token"] if isinstance(access, KeyServer) else ""

    def _kept(self) -> dict[str, Any]:
        return self._store.kept("settings", "twilio") or {}


def signature(url: str, told: Mapping[str, str], token: str) -> str:
    """Sign a report as Twilio does."""
    source = url + "".join(name + told[name] for name in sorted(told))
    return b64encode(hmac.new(token.encode(), source.encode(), hashlib.sha1).digest()).decode()


def _post(url: str, told: dict[str, str], token: str) -> None:
    for _ in range(_ATTEMPTS):
        try:
            httpx.post(
                url,
                data=told,
                headers={"X-Twilio-Signature": signature(url, told, token)},
                timeout=_TIMEOUT_S,
            )
        except httpx.TransportError:
            continue
        return
