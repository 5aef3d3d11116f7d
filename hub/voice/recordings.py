"""Recordings of calls: kept sealed, in parts, so that playing from the middle opens no more than is heard."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert

from hub.context import Hub
from hub.db import audit
from hub.db.base import new_id
from hub.db.events import StoredEvent
from hub.db.telephone import SOURCE, CallRecording, RecordingPart, part_id
from hub.db.tenancy import TenantSession

LARGEST_BYTES: Final = 32 * 1024 * 1024
_PART_BYTES: Final = 256 * 1024

WAV: Final = "audio/wav"
MPEG: Final = "audio/mpeg"
#: What senders call the two kinds.
KINDS: Final = {
    WAV: WAV,
    "audio/x-wav": WAV,
    "audio/wave": WAV,
    "audio/vnd.wave": WAV,
    MPEG: MPEG,
    "audio/mp3": MPEG,
}
_FRAME: Final = 0xE0


class NoSound(ValueError):
    """The bytes are not what their media type says."""


class Differs(Exception):
    """Another recording of this call has been kept before."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that is kept: what it is, not how it sounds."""

    id: str
    tenant_id: str
    call_id: str
    media_type: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, row: CallRecording) -> Recording:
        """Take the columns of a row."""
        return cls(row.id, row.tenant_id, row.call_id, row.media_type, row.size_bytes, row.sha256)


def check(media_type: str, sound: bytes) -> None:
    """Raise NoSound when these are not the bytes of such a file: a browser would be asked to play them."""
    if media_type == WAV:
        is_it = sound[:4] in {b"RIFF", b"RF64"} and sound[8:12] == b"WAVE"
    else:
        is_frame = len(sound) > 1 and sound[0] == 0xFF and sound[1] & _FRAME == _FRAME  # noqa: PLR2004 - an MPEG frame begins with eleven ones
        is_it = sound[:3] == b"ID3" or is_frame
    if not is_it:
        raise NoSound(f"This is not a file of the type {media_type}.")


def keep(
    hub: Hub, tenant_id: str, call_id: str, *, media_type: str, sound: bytes, actor: str
) -> tuple[Recording, bool]:
    """Keep the recording of a call; tells whether it is new. Raises NoSound, and Differs for another one."""
    check(media_type, sound)
    digest = hashlib.sha256(sound).hexdigest()
    values = {
        "id": new_id("rec"),
        "tenant_id": tenant_id,
        "call_id": call_id,
        "media_type": media_type,
        "size_bytes": len(sound),
        "sha256": digest,
    }
    with hub.tenant(tenant_id) as session:
        made = session.scalars(
            insert(CallRecording)
            .values(values)
            .on_conflict_do_nothing(index_elements=["tenant_id", "call_id"])
            .returning(CallRecording.id)
        ).one_or_none()
        row = session.scalars(select(CallRecording).where(CallRecording.call_id == call_id)).one()
        if made is None:
            if row.sha256 != digest:
                raise Differs("Another recording of this call was kept before.")
            return Recording.of(row), False
        _seal(hub, session, row, sound)
        audit.record(
            session,
            actor=actor,
            action="voice.recording_kept",
            target=call_id,
            facts={"recording": row.id, "size_bytes": row.size_bytes},
        )
    return Recording.of(row), True


def _seal(hub: Hub, session: TenantSession, row: CallRecording, sound: bytes) -> None:
    for number, start in enumerate(range(0, len(sound), _PART_BYTES)):
        name = part_id(row.id, number)
        sealed = hub.vault.seal(
            row.tenant_id,
            sound[start : start + _PART_BYTES],
            about=f"call_recording_parts.body:{name}",
        )
        session.execute(
            insert(RecordingPart).values(
                id=name, tenant_id=row.tenant_id, recording_id=row.id, body=sealed
            )
        )


def of_event(session: TenantSession, event_id: str) -> Recording | None:
    """Give the recording of an event that the voice front end posted, or None when there is none.

    ``event_id`` is ours or the call's: voice writes the address into the event before the event has an id of ours.
    """
    row = session.scalars(
        select(CallRecording)
        .join(StoredEvent, StoredEvent.event_id == CallRecording.call_id)
        .where(
            or_(StoredEvent.id == event_id, StoredEvent.event_id == event_id),
            StoredEvent.source == SOURCE,
            StoredEvent.tenant_id == CallRecording.tenant_id,
        )
    ).one_or_none()
    return None if row is None else Recording.of(row)


def sound_of(hub: Hub, recording: Recording, start: int, end: int) -> Iterator[bytes]:
    """Give the bytes from ``start`` to before ``end``, part by part, each opened when it is asked for."""
    for number in range(start // _PART_BYTES, -(-end // _PART_BYTES)):
        name = part_id(recording.id, number)
        with hub.tenant(recording.tenant_id) as session:
            sealed = session.scalars(
                select(RecordingPart.body).where(RecordingPart.id == name)
            ).one_or_none()
        if sealed is None:
            return  # removed while it was played
        part = hub.vault.open(
            recording.tenant_id, sealed, about=f"call_recording_parts.body:{name}"
        )
        offset = number * _PART_BYTES
        yield part[max(0, start - offset) : end - offset]
