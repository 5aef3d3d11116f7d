"""Recordings of a call: what was recorded, the file made of it, and the callback that tells of it."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass, field

from voice.sandbox import speech
from voice.sandbox.twilio.report import Said


@dataclass(slots=True)
class Recording:
    """A recording: a stretch of a call, in one channel or two (the caller's first)."""

    sid: str
    call_sid: str
    account_sid: str
    source: str
    channels: int
    track: str
    start_s: float
    end_s: float | None = None
    status: str = "in-progress"
    callback: str | None = None
    callback_method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})
    audio: list[bytes] = field(default_factory=list)
    #: Whether the application has had it deleted.
    is_deleted: bool = False

    @property
    def duration_s(self) -> int:
        """Length in whole seconds, begun ones counted [rounding not documented]."""
        if self.end_s is None:
            return 0
        return math.ceil(round(self.end_s - self.start_s, 3))

    def wav(self) -> bytes:
        """Give the file, mu-law in WAV. What was said can be read from it by :class:`voice.sandbox.speech.Decoder`."""
        tracks = self.audio or [b""]
        length = max(map(len, tracks))
        data = bytearray(length * len(tracks))
        for number, track in enumerate(tracks):
            data[number :: len(tracks)] = track.ljust(length, bytes([speech.SILENCE]))
        return _wav(bytes(data), len(tracks))

    def as_json(self) -> dict[str, object]:
        """Give the resource as the REST API does."""
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "call_sid": self.call_sid,
            "api_version": "2010-04-01",
            "status": self.status,
            "channels": self.channels,
            "track": self.track,
            "source": self.source,
            "duration": str(self.duration_s) if self.status == "completed" else None,
            "uri": f"/2010-04-01/Accounts/{self.account_sid}/Recordings/{self.sid}.json",
        }


def said_in(said: list[Said], start_s: float, end_s: float) -> bool:
    """Tell whether the caller made any sound in a stretch of time."""
    return any(one.start_s < end_s and one.end_s > start_s for one in said)


def _wav(data: bytes, channels: int) -> bytes:
    # WAVE_FORMAT_MULAW is 7. Source: RFC 2361 (2026-11-30)
    out = io.BytesIO()
    form = struct.pack("<HHIIHHH", 7, channels, speech.RATE, speech.RATE * channels, channels, 8, 0)
    out.write(b"RIFF" + struct.pack("<I", 4 + 8 + len(form) + 8 + len(data)) + b"WAVE")
    out.write(b"fmt " + struct.pack("<I", len(form)) + form)
    out.write(b"data" + struct.pack("<I", len(data)) + data)
    return out.getvalue()


def read_wav(file: bytes) -> list[bytes]:
    """Give the mu-law tracks of a file that :meth:`Recording.wav` made."""
    if file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        raise ValueError("This is no WAV file.")
    channels = struct.unpack_from("<H", file, 22)[0]
    data = file[file.index(b"data", 36) + 8 :]
    return [data[number::channels] for number in range(channels)]
