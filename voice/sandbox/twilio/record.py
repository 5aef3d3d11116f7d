"""<Record>: record the caller until silence, a key, the greatest length or the end of the call.

Source: https://www.twilio.com/docs/voice/twiml/record (2026-11-30)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice.sandbox.twilio.flow import Go, HungUp
from voice.sandbox.twilio.recording import Recording
from voice.sandbox.twilio.report import Said
from voice.sandbox.twilio.sound import Listener
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

_BEEP_S = 0.5


async def record(call: Call, verb: Verb) -> Go | None:
    """Perform <Record>. An empty recording is posted to nobody, and the next verb is performed."""
    if verb.is_on("playBeep"):
        await call.until(asyncio.sleep(_BEEP_S))
    recording = call.start_recording(verb, "RecordVerb", channels=1, track="inbound")
    ear = _Ear(call, verb)
    call.sound.listeners.append(ear)
    try:
        await call.until(ear.done())
    except HungUp:
        ear.key = "hangup"
    finally:
        call.sound.listeners.remove(ear)
        call.network.recordings.finish(
            call, recording, trims=verb.get("trim") == "trim-silence", until_s=ear.quiet_since
        )
    return _next(call, verb, recording, ear.key)


def _next(call: Call, verb: Verb, recording: Recording, key: str) -> Go | None:
    go = Go(
        call.absolute(verb.get("action") or call.url),
        {
            "RecordingSid": recording.sid,
            "RecordingUrl": call.network.recordings.url(recording),
            "RecordingDuration": str(recording.duration_s),
            "Digits": key,
        },
        verb.get("method") or "POST",
    )
    is_empty = recording.status == "absent"
    if not call.is_over:
        return None if is_empty else go
    if not is_empty:
        call.later(call.web.ask("action", go.url, call.form(**go.form), go.method))
    raise HungUp


class _Ear(Listener):
    # Hears silence, and keys.

    def __init__(self, call: Call, verb: Verb) -> None:
        self._call = call
        self._verb = verb
        self._news = asyncio.Event()
        self.key = ""
        self.quiet_since = call.sound.now

    def caller_started(self, said: Said) -> None:
        del said
        self._news.set()

    def caller_stopped(self, said: Said) -> None:
        del said
        self.quiet_since = self._call.sound.now
        self._news.set()

    def caller_pressed(self, digit: str) -> None:
        if digit in (self._verb.get("finishOnKey") or "") and not self.key:
            self.key = digit
            self._news.set()

    async def done(self) -> None:
        try:
            async with asyncio.timeout(self._verb.number("maxLength")):
                await self._silence()
        except TimeoutError:
            return

    async def _silence(self) -> None:
        patience = self._verb.number("timeout") or None
        while not self.key:
            self._news.clear()
            is_speaking = self._call.sound.caller is not None
            try:
                async with asyncio.timeout(None if is_speaking else patience):
                    await self._news.wait()
            except TimeoutError:
                return
