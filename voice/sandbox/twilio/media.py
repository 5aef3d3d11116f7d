"""Media Streams, Twilio's side: the call's sound as frames on a socket, both ways or one.

Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages (2026-11-30)
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import random
from typing import TYPE_CHECKING, Any

from voice import clock
from voice.sandbox import speech
from voice.sandbox.twilio.flow import Go, HungUp
from voice.sandbox.twilio.media_player import MediaPlayer
from voice.sandbox.twilio.socket import CannotOpen, Socket, open_socket
from voice.sandbox.twilio.sound import Listener
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

INVALID_MESSAGE, CANNOT_CONNECT = 31951, 31920
_SHOWN = 200


async def connect_stream(call: Call, verb: Verb) -> Go | None:
    """Perform <Connect><Stream>: blocks until the application closes the socket, then the next verb."""
    stream = MediaStream(call, verb.children[0], is_two_way=True)
    try:
        await call.until(stream.run())
    except HungUp:
        await stream.close()
    action = verb.get("action")
    if action:
        go = Go(call.absolute(action), {"StreamSid": stream.sid}, verb.get("method") or "POST")
        if not call.is_over:
            return go
        call.later(call.web.ask("action", go.url, call.form(**go.form), go.method))
    if call.is_over:
        raise HungUp
    return None


def start_stream(call: Call, noun: Verb) -> None:
    """Perform <Start><Stream>: goes on beside the call."""
    stream = MediaStream(call, noun, is_two_way=False)
    call.streams.append(stream)
    stream.task = asyncio.create_task(stream.run())


class MediaStream(Listener):
    """One stream."""

    def __init__(self, call: Call, noun: Verb, *, is_two_way: bool) -> None:  # noqa: D107 - the class says it
        self.sid = call.network.new_sid("MZ")
        self.name = noun.get("name") or self.sid
        self.task: asyncio.Task[None] | None = None
        self._call = call
        self._noun = noun
        self._is_two_way = is_two_way
        track = "inbound_track" if is_two_way else noun.get("track")
        self._tracks = (
            ["inbound", "outbound"] if track == "both_tracks" else [str(track).split("_")[0]]
        )
        self._socket: Socket | None = None
        self._sequence = 0
        self._chunk = 0
        self._began = 0.0
        self._chance = random.Random(call.sid)  # noqa: S311 - a simulation
        self._player = MediaPlayer(call, self._send_mark)

    async def run(self) -> None:
        """Stream until a side closes the socket."""
        url = self._call.absolute(self._noun.get("url") or "")
        try:
            self._socket = await open_socket(self._call, url, "twilio.media")
        except CannotOpen as error:
            self._call.problem(CANNOT_CONNECT, f"Stream - WebSocket - Handshake Error: {error}")
            self._report("stream-error", StreamError=str(error))
            return
        self._report("stream-started")
        self._began = self._call.sound.now
        self._call.sound.listeners.append(self)
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._send_event("start", start=self._start())
        ticks = asyncio.create_task(self._send_sound())
        try:
            await self._read(self._socket)
        finally:
            ticks.cancel()
            await self.close()

    def stop(self) -> None:
        """<Stop> says so, or the call is over."""
        if self.task:
            self.task.cancel()
        self._call.later(self.close())

    async def close(self) -> None:
        """Tell that the stream is over, and let go of the socket."""
        self._player.stop()
        socket, self._socket = self._socket, None
        if self._call.streams.count(self):
            self._call.streams.remove(self)
        if self in self._call.sound.listeners:
            self._call.sound.listeners.remove(self)
        if not socket:
            return
        self._sequence += 1
        stop = {"accountSid": self._call.network.account_sid, "callSid": self._call.sid}
        socket.send(
            {
                "event": "stop",
                "sequenceNumber": str(self._sequence),
                "streamSid": self.sid,
                "stop": stop,
            }
        )
        self._report("stream-stopped")
        self._call.later(socket.close())

    def caller_pressed(self, digit: str) -> None:
        """Tell of a key."""
        if self._is_two_way:
            self._send_event("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def _start(self) -> dict[str, Any]:
        return {
            "accountSid": self._call.network.account_sid,
            "streamSid": self.sid,
            "callSid": self._call.sid,
            "tracks": self._tracks,
            "mediaFormat": {
                "encoding": "audio/x-mulaw",
                "sampleRate": speech.RATE,
                "channels": 1,
            },
            "customParameters": self._noun.parameters(),
        }

    async def _send_sound(self) -> None:
        sent = self._call.sound.now
        while True:
            await asyncio.sleep(self._frame_s())
            until = self._call.sound.now
            self._chunk += 1
            for track in self._tracks:
                sound = self._call.sound
                audio = sound.caller_audio if track == "inbound" else sound.agent_audio
                self._send_event(
                    "media",
                    note=False,
                    media={
                        "track": track,
                        "chunk": str(self._chunk),
                        "timestamp": str(round((sent - self._began) * 1000)),
                        "payload": base64.b64encode(audio(sent, until)).decode(),
                    },
                )
            sent = until

    def _frame_s(self) -> float:
        sizes = self._call.habits.frame_bytes
        if sizes is None:
            return self._call.habits.frame_s
        return self._chance.randint(*sizes) / speech.RATE

    async def _read(self, socket: Socket) -> None:
        while (raw := await socket.receive()) is not None:
            try:
                message = self._check(raw)
            except ValueError as error:
                socket.note(raw)
                self._call.problem(INVALID_MESSAGE, f"Stream - Protocol - Invalid message: {error}")
                continue
            match message["event"]:
                case "media":
                    self._player.add(base64.b64decode(message["media"]["payload"]))
                case "mark":
                    socket.note(message)
                    self._player.mark(message["mark"]["name"])
                case _:
                    socket.note(message)
                    self._call.report.cleared.append(self._call.sound.now)
                    self._player.clear()

    def _check(self, raw: str | bytes) -> dict[str, Any]:
        message = json.loads(raw)
        if not isinstance(message, dict) or message.get("event") not in {"media", "mark", "clear"}:
            raise ValueError(f"unknown event in {str(raw)[:_SHOWN]}")
        if message.get("streamSid") != self.sid:
            raise ValueError("another streamSid, or none")
        event = message["event"]
        body = message.get(event)
        if not self._is_two_way:
            raise ValueError("this stream goes one way")
        if event == "media":
            if not isinstance(body, dict) or not isinstance(body.get("payload"), str):
                raise ValueError("media without a payload")
            try:
                base64.b64decode(body["payload"], validate=True)
            except binascii.Error as error:
                raise ValueError("a payload that is not base64") from error
        if event == "mark" and not (isinstance(body, dict) and isinstance(body.get("name"), str)):
            raise ValueError("a mark without a name")
        return message

    def _send_mark(self, name: str) -> None:
        self._send_event("mark", mark={"name": name})

    def _send_event(self, event: str, *, note: bool = True, **body: Any) -> None:
        self._sequence += 1
        self._send(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                "streamSid": self.sid,
                **body,
            },
            note=note,
        )

    def _send(self, message: dict[str, Any], *, note: bool = True) -> None:
        if self._socket:
            self._socket.send(message, note=note)

    def _report(self, event: str, **more: str) -> None:
        callback = self._noun.get("statusCallback")
        if not callback:
            return
        form = {
            "AccountSid": self._call.network.account_sid,
            "CallSid": self._call.sid,
            "StreamSid": self.sid,
            "StreamName": self.name,
            "StreamEvent": event,
            "Timestamp": clock.now().isoformat().replace("+00:00", "Z"),
            **more,
        }
        url = self._call.absolute(callback)
        method = self._noun.get("statusCallbackMethod") or "POST"
        self._call.later(self._call.web.tell("stream", url, form, method))
