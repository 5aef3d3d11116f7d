"""Twilio's real-time transcription of a call, by track."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from voice import clock
from voice.sandbox.twilio.report import Heard, Said
from voice.sandbox.twilio.sound import Listener
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call


class Transcription(Listener):
    """A <Transcription>: posts what each track says, as soon as it is said and recognised."""

    def __init__(self, call: Call, verb: Verb) -> None:  # noqa: D107 - the class says it
        self._call = call
        self._verb = verb
        self._sid = call.network.new_sid("GT")
        self._sequence = 0
        self._tracks = verb.get("track") or "both_tracks"
        self.name = verb.get("name") or self._sid
        call.sound.listeners.append(self)
        self._post(
            "transcription-started",
            TranscriptionEngine=verb.get("transcriptionEngine"),
            ProviderConfiguration=json.dumps({"profanityFilter": "true"}),
            PartialResults=verb.get("partialResults"),
            Track=self._tracks,
            LanguageCode=verb.get("languageCode"),
        )

    def stop(self) -> None:
        """The call is over, or <Stop> says so."""
        if self in self._call.sound.listeners:
            self._call.sound.listeners.remove(self)
            self._call.transcriptions.pop(self.name, None)
            self._call.later(self._stopped())

    def caller_stopped(self, said: Said) -> None:
        """Transcribe what the caller said."""
        self._transcribe("inbound_track", said.text)

    def agent_stopped(self, heard: Heard) -> None:
        """Transcribe what was played to the caller."""
        self._transcribe("outbound_track", heard.text)

    def _transcribe(self, track: str, text: str) -> None:
        if text and self._tracks in {"both_tracks", track}:
            self._call.later(self._content(track, text))

    async def _content(self, track: str, text: str) -> None:
        await asyncio.sleep(self._call.habits.transcription_s)
        if self._verb.is_on("partialResults"):
            half = " ".join(text.split()[: max(1, len(text.split()) // 2)])
            self._post_content(track, {"transcript": half}, final=False)
        self._post_content(track, {"transcript": text, "confidence": 0.93}, final=True)

    def _post_content(self, track: str, data: dict[str, object], *, final: bool) -> None:
        self._post(
            "transcription-content",
            TranscriptionData=json.dumps(data),
            Final="true" if final else "false",
            Track=track,
            LanguageCode=self._verb.get("languageCode"),
        )

    async def _stopped(self) -> None:
        await asyncio.sleep(self._call.habits.transcription_s)
        self._post("transcription-stopped")

    def _post(self, event: str, **more: str | None) -> None:
        callback = self._verb.get("statusCallbackUrl")
        if not callback:
            return
        self._sequence += 1
        form = {
            "AccountSid": self._call.network.account_sid,
            "CallSid": self._call.sid,
            "TranscriptionSid": self._sid,
            "TranscriptionEvent": event,
            "SequenceId": str(self._sequence),
            "Timestamp": clock.now().isoformat().replace("+00:00", "Z"),
            **{name: value for name, value in more.items() if value is not None},
        }
        url = self._call.absolute(callback)
        self._call.later(self._call.web.tell("transcription", url, form))
