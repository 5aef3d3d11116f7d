"""Passes of the call page: a person who is signed in may call one number of their company, once, soon.

A pass is ``<payload>.<mac>``, both base64url without padding; the payload is JSON. Its HMAC-SHA256 has a key that is
derived from the voice token for this purpose alone, so the token itself goes to no browser. The voice service reads
it and remembers which were used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import datetime
from typing import Final

#: A browser uses a pass at once.
LASTS_S: Final = 60
_PURPOSE: Final = b"afterbeep call page pass v1"


def new_call_id() -> str:
    """Give an id for a call from a browser: no telephone company's begins like it."""
    return f"WB{secrets.token_hex(16)}"


def make(
    token: str,
    *,
    call_id: str,
    tenant_id: str,
    person_id: str,
    number: str,
    caller: str | None,
    at: datetime,
) -> str:
    """Give a pass for one call to ``number`` (E.164), good for :data:`LASTS_S` from ``at`` on."""
    payload = {
        "for": "call page",
        "call": call_id,
        "tenant": tenant_id,
        "person": person_id,
        "number": number,
        "caller": caller,
        "until": int(at.timestamp()) + LASTS_S,
    }
    body = _encoded(json.dumps(payload).encode())
    key = hmac.digest(token.encode(), _PURPOSE, hashlib.sha256)
    return f"{body}.{_encoded(hmac.digest(key, body.encode(), hashlib.sha256))}"


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
