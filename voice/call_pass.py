"""Passes of the call page: the hub lets a person who is signed in call one number of their company, once, soon.

A pass is ``<payload>.<mac>``, both base64url without padding. The payload is JSON: ``for`` ("call page"), ``call``
(the id that the call will have), ``tenant``, ``person``, ``number`` (dialled, E.164), ``caller`` (E.164 or null) and
``until`` (seconds since 1970). The key of its HMAC-SHA256 is derived from what hub and voice service share
(``AFTERBEEP_VOICE_TOKEN``) for this purpose alone, so that no pass tells anything of the token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

_PURPOSE = b"afterbeep call page pass v1"
#: No pass is good for longer, whoever made it; the clocks of two machines may differ by the other.
_LONGEST_S, _SKEW_S = 120, 10
_LONGEST_CHARS = 2_000
_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_E164 = Annotated[str, StringConstraints(pattern=r"^\+[1-9]\d{3,14}$")]


class Refusal(Enum):
    """Why a browser is not let in: the code that its socket is closed with, and the reason beside it."""

    NO_PASS = (4400, "no pass came")
    NOT_OURS = (4401, "not a pass of the hub")
    ORIGIN = (4403, "not a page of the hub")
    NUMBER = (4404, "the number is not this company's")
    EXPIRED = (4408, "the pass has expired")
    USED = (4409, "the pass was used")
    BUSY = (4429, "too many calls")
    AWAY = (4503, "no calls are taken now")

    @property
    def code(self) -> int:
        """The close code."""
        return self.value[0]

    @property
    def reason(self) -> str:
        """The close reason."""
        return self.value[1]


class Refused(Exception):
    """The pass lets nobody in."""

    def __init__(self, why: Refusal) -> None:
        """Keep why."""
        super().__init__(why.reason)
        self.why = why


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass that is good allows: one call with this id, to this number, for this company."""

    call_id: str
    tenant_id: str
    person_id: str
    number: str
    caller: str | None


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: Literal["call page"] = Field(alias="for")
    call: Annotated[str, StringConstraints(pattern=r"^WB[0-9a-f]{32}$")]
    tenant: _Id
    person: _Id
    number: _E164
    caller: _E164 | None
    until: int = Field(strict=True)


def read(text: str, token: str | None, at: datetime) -> Pass:
    """Give what a pass allows at this moment; raises Refused. That it was not used before is not looked at."""
    if not text:
        raise Refused(Refusal.NO_PASS)
    if token is None:
        raise Refused(Refusal.AWAY)
    payload, dot, mac = text.partition(".")
    if len(text) > _LONGEST_CHARS or not dot or not text.isascii():
        raise Refused(Refusal.NOT_OURS)
    if not hmac.compare_digest(mac, _encoded(_mac(payload, token))):
        raise Refused(Refusal.NOT_OURS)
    try:
        found = _Payload.model_validate_json(_decoded(payload))
    except (ValidationError, binascii.Error):
        raise Refused(Refusal.NOT_OURS) from None
    left_s = found.until - at.timestamp()
    if left_s < 0:
        raise Refused(Refusal.EXPIRED)
    if left_s > _LONGEST_S + _SKEW_S:
        raise Refused(Refusal.NOT_OURS)
    return Pass(found.call, found.tenant, found.person, found.number, found.caller)


def _mac(payload: str, token: str) -> bytes:
    key = hmac.digest(token.encode(), _PURPOSE, hashlib.sha256)
    return hmac.digest(key, payload.encode("ascii"), hashlib.sha256)


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(text: str) -> Any:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
