"""Telephone numbers of tenants, and what the voice front end did and recorded in a call.

A call is named by its sender's id (Twilio's CallSid), which is also the id of the event that it leads to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id
from hub.db.vault import Vault

#: The source of events that the voice front end posts; their ``event_id`` is the call's id.
SOURCE: Final = "/voice"
_E164: Final = re.compile(r"\+[1-9]\d{3,14}\Z")


class PhoneNumber(TenantOwned, Created, Base):
    """A number (E.164) whose calls are for this tenant; no two tenants have the same."""

    __tablename__ = "phone_numbers"

    number: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str | None]


class VoiceToolCall(TenantOwned, Created, Base):
    """A tool that the agent used in a call, in order. ``body`` is the sealed JSON of all that is known of it."""

    __tablename__ = "voice_tool_calls"
    __table_args__ = (UniqueConstraint("tenant_id", "call_id", "number"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("vtc"))
    call_id: Mapped[str]
    number: Mapped[int]
    tool: Mapped[str]
    sha256: Mapped[str]
    body: Mapped[bytes]


class CallRecording(TenantOwned, Created, Base):
    """The recording of a call; its sound is in :class:`RecordingPart`."""

    __tablename__ = "call_recordings"
    __table_args__ = (UniqueConstraint("tenant_id", "call_id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("rec"))
    call_id: Mapped[str]
    media_type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[str]


class RecordingPart(TenantOwned, Base):
    """A sealed part of a recording; the id holds the recording's and the part's number, so that none can be moved.

    Parts are small, so that playing from the middle opens little, and sealing anew needs little memory.
    """

    __tablename__ = "call_recording_parts"

    id: Mapped[str] = mapped_column(primary_key=True)
    recording_id: Mapped[str] = mapped_column(
        ForeignKey("call_recordings.id", ondelete="CASCADE"), index=True
    )
    body: Mapped[bytes]


def part_id(recording_id: str, number: int) -> str:
    """Name a part of a recording, counted from 0."""
    return f"{recording_id}.{number:04}"


def caller_hash(vault: Vault, tenant_id: str, data: Mapping[str, Any]) -> str | None:
    """Give the fingerprint of whoever called, from an event's data; None when no number is known.

    It is the number that called, else the one that the caller named.
    """
    named = (
        data["call"].get("from"),
        data["caller"].get("phone"),
        (data.get("callback") or {}).get("number"),
    )
    number = next((one for one in named if one and _E164.match(one)), None)
    return number and number_hash(vault, tenant_id, number)


def number_hash(vault: Vault, tenant_id: str, number: str) -> str:
    """Give the fingerprint of a caller's number (E.164)."""
    return vault.fingerprint(tenant_id, f"caller:{number}")
