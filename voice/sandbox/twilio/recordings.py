"""All recordings of a network: how they begin, end, become files, and are told of."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime
from typing import TYPE_CHECKING

from voice import clock
from voice.sandbox.twilio.recording import Recording, said_in

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call


class Recordings:
    """The recordings, by sid."""

    def __init__(self) -> None:  # noqa: D107 - the class says it
        self.by_sid: dict[str, Recording] = {}
        #: Where the REST API is served, once it is.
        self.rest_url = "https://api.twilio.com"

    def start(self, call: Call, recording: Recording) -> Recording:
        """Record from now on."""
        self.by_sid[recording.sid] = recording
        call.report.recordings.append(recording.sid)
        self._tell(call, recording, "in-progress")
        return recording

    def finish(
        self, call: Call, recording: Recording, *, trims: bool = False, until_s: float | None = None
    ) -> None:
        """Stop recording; the file is there some time later."""
        recording.end_s = call.sound.now
        if trims and until_s is not None:
            recording.end_s = max(recording.start_s, min(recording.end_s, until_s))
        span = recording.start_s, recording.end_s
        caller, agent = call.sound.caller_audio(*span), call.sound.agent_audio(*span)
        recording.audio = {
            "inbound": [caller],
            "outbound": [agent],
            "both": [caller, agent],
        }[recording.track]
        if recording.channels == 1 and recording.track == "both":
            recording.audio = [_mix(caller, agent)]
        if recording.source == "RecordVerb" and not said_in(call.report.said, *span):
            recording.status = "absent"
            self._tell(call, recording, "absent")
            return
        recording.status = "processing"
        call.later(self._complete(call, recording))

    def finish_all(self, call: Call) -> None:
        """The call is over."""
        for sid in call.report.recordings:
            if self.by_sid[sid].status == "in-progress":
                self.finish(call, self.by_sid[sid])

    def url(self, recording: Recording) -> str:
        """Give the address of the file, without its suffix."""
        account = recording.account_sid
        return f"{self.rest_url}/2010-04-01/Accounts/{account}/Recordings/{recording.sid}"

    async def _complete(self, call: Call, recording: Recording) -> None:
        await asyncio.sleep(call.habits.recording_s)
        recording.status = "completed"
        self._tell(call, recording, "completed")

    def _tell(self, call: Call, recording: Recording, status: str) -> None:
        if not recording.callback or status not in recording.events:
            return
        form = {
            "AccountSid": recording.account_sid,
            "CallSid": recording.call_sid,
            "RecordingSid": recording.sid,
            "RecordingUrl": self.url(recording),
            "RecordingStatus": status,
            "RecordingDuration": str(recording.duration_s),
            "RecordingChannels": str(recording.channels),
            "RecordingTrack": recording.track,
            "RecordingSource": recording.source,
            "RecordingStartTime": format_datetime(clock.now()),
            "ErrorCode": "0",
        }
        method = recording.callback_method
        call.later(call.web.tell("recording", recording.callback, form, method))


def _mix(one: bytes, other: bytes) -> bytes:
    return bytes(a if a != 0xFF else b for a, b in zip(one, other, strict=True))  # noqa: PLR2004 - silence
