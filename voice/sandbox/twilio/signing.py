"""How Twilio signs what it sends, written from its documents and not from its SDK, with which the product checks.

Source: https://www.twilio.com/docs/usage/security (2026-11-30)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

#: The header of a webhook. A WebSocket upgrade carries it in lower case (twilio-labs/twilio-aspnet#162).
HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A key of its own for webhooks, with which they are signed by HMAC-SHA256 instead of by the auth token."""

    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as an account does: with its auth token, or with a shared key if it has one."""

    auth_token: str
    shared_key: SharedKey | None = None

    def webhook(self, url: str, form: Mapping[str, str]) -> dict[str, str]:
        """Give the headers of a form posted to the URL."""
        return self._headers(url + "".join(name + form[name] for name in sorted(form)), HEADER)

    def upgrade(self, url: str) -> dict[str, str]:
        """Give the headers of a WebSocket upgrade to the URL as it stands in the TwiML."""
        return self._headers(url, HEADER.lower())

    def _headers(self, signed: str, header: str) -> dict[str, str]:
        secret = self.shared_key.secret if self.shared_key else self.auth_token
        algorithm = hashlib.sha256 if self.shared_key else hashlib.sha1
        digest = hmac.new(secret.encode(), signed.encode(), algorithm).digest()
        headers = {header: base64.b64encode(digest).decode()}
        if self.shared_key:
            headers[SETTINGS_HEADER] = f"key={self.shared_key.key},algorithm=HMAC_SHA256"
        return headers
