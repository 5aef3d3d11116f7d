"""Twilio's end of a Media Streams socket, small: a caller who says words, and an ear with a playout clock."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from voice.clock import elapsed
from voice.sandbox import speech

FRAME_S = 0.02
STREAM = "MZ" + "1" * 32
CALL = "CA" + "2" * 32


@dataclass
class Ear:
    """What the caller hears: sound in order, at 8,000 bytes a second, from when it came."""

    waiting: list[tuple[str, object]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    #: (moment, number of bytes that came), for what is sent, and moments of clears.
    sent: list[tuple[float, int]] = field(default_factory=list)
    clears: list[float] = field(default_factory=list)
    first_at: list[float] = field(default_factory=list)

    def play(self, seconds: float) -> list[str]:
        """Play for so long; gives the marks that were reached."""
        budget, marks = round(seconds * speech.RATE), []
        while self.waiting:
            kind, what = self.waiting[0]
            if kind == "mark":
                marks.append(what)
                self.waiting.pop(0)
                continue
            if not budget:
                break
            part, rest = what[:budget], what[budget:]
            self.heard += part
            budget -= len(part)
            if rest:
                self.waiting[0] = ("media", rest)
                break
            self.waiting.pop(0)
        self.heard += speech.silence(budget / speech.RATE)
        return marks

    def clear(self) -> list[str]:
        """Throw away what waits; gives its marks, which Twilio echoes at once."""
        marks = [what for kind, what in self.waiting if kind == "mark"]
        self.waiting.clear()
        return marks


class Phone:
    """A caller on a socket. Times are of the loop's clock."""

    def __init__(self, socket, *, loses_marks=False, reverses_marks=False) -> None:
        """Begin silent."""
        self.ear = Ear()
        self.is_closed = asyncio.Event()
        self.code = None
        self.frame = FRAME_S
        self._socket = socket
        self._mouth = bytearray()
        self._decoder = speech.Decoder()
        self._understood: list[speech.Event] = []
        self._understood_to = 0
        self._at = 0
        self._loses_marks = loses_marks
        self._reverses_marks = reverses_marks

    def say(self, text: str, *, seconds: float | None = None) -> float:
        """Say words from now on; gives how long that takes."""
        length = speech.Pace().seconds(text) if seconds is None else seconds
        self._mouth += speech.encode(text, length)
        return length

    def pause(self, seconds: float) -> None:
        """Be silent for a while within what is said."""
        self._mouth += speech.silence(seconds)

    def cough(self, seconds: float) -> None:
        """Make a noise."""
        self._mouth += speech.noise(seconds)

    @property
    def is_speaking(self) -> bool:
        """Tell whether there is still something to say."""
        return bool(self._mouth)

    async def speak(self, text: str) -> float:
        """Say words and wait until they are said; gives when they ended."""
        self.say(text)
        while self._mouth:  # noqa: ASYNC110 - a telephone has frames
            await asyncio.sleep(FRAME_S)
        return elapsed()

    async def hears(self, text: str, within_s: float = 20.0) -> None:
        """Wait until these words were heard."""
        async with asyncio.timeout(within_s):
            while text.lower() not in self.heard().lower():  # noqa: ASYNC110 - as above
                await asyncio.sleep(FRAME_S)

    async def hears_something(self, within_s: float = 20.0) -> float:
        """Wait until sound comes in; gives when the first came."""
        before = len(self.ear.sent)
        async with asyncio.timeout(within_s):
            while len(self.ear.sent) == before:  # noqa: ASYNC110 - as above
                await asyncio.sleep(FRAME_S / 4)
        return self.ear.sent[before][0]

    async def quiet(self, for_s: float = 0.3) -> None:
        """Wait until nothing has been played for a while."""
        since = elapsed()
        while elapsed() - since < for_s:
            if self.ear.waiting:
                since = elapsed()
            await asyncio.sleep(FRAME_S)

    def heard(self) -> str:
        """Give all words that were heard, in order; of those that were cut, the first part."""
        new, self._understood_to = self.ear.heard[self._understood_to :], len(self.ear.heard)
        self._understood += self._decoder.feed(bytes(new))
        words = self._understood + copy.deepcopy(self._decoder).finish()
        return " ".join(one.text.strip() for one in words if isinstance(one, speech.Word))

    async def send(self, event: str, **fields) -> None:
        """Send any message."""
        await self._socket.send(json.dumps({"event": event, "streamSid": STREAM, **fields}))

    async def hang_up(self) -> None:
        """Put the receiver down."""
        await self.send("stop", stop={"callSid": CALL})
        await self._socket.close()

    async def run(self) -> None:
        """Play and speak, a frame at a time, until the socket is closed."""
        listening = asyncio.create_task(self._listen(), name="phone listens")
        try:
            while not self.is_closed.is_set():
                await asyncio.sleep(self.frame)
                await self._tick()
        except ConnectionClosed:
            pass
        finally:
            listening.cancel()
            self.is_closed.set()

    async def _tick(self) -> None:
        await self._echo(self.ear.play(self.frame))
        size = round(self.frame * speech.RATE)
        sound = bytes(self._mouth[:size])
        del self._mouth[:size]
        sound += speech.silence((size - len(sound)) / speech.RATE)
        self._at += round(self.frame * 1000)
        payload = base64.b64encode(sound).decode()
        await self.send(
            "media",
            media={"track": "inbound", "timestamp": str(self._at), "payload": payload},
        )

    async def _echo(self, marks) -> None:
        if self._loses_marks:
            return
        for name in reversed(marks) if self._reverses_marks else marks:
            await self.send("mark", mark={"name": name})

    async def _listen(self) -> None:
        try:
            async for text in self._socket:
                message = json.loads(text)
                match message["event"]:
                    case "media":
                        sound = base64.b64decode(message["media"]["payload"])
                        self.ear.sent.append((elapsed(), len(sound)))
                        self.ear.waiting.append(("media", sound))
                    case "mark":
                        self.ear.waiting.append(("mark", message["mark"]["name"]))
                    case "clear":
                        self.ear.clears.append(elapsed())
                        await self._echo(self.ear.clear())
        except ConnectionClosed:
            pass
        self.code = self._socket.close_code
        self.is_closed.set()


@asynccontextmanager
async def calling(at: str, token: str, **habits):
    """Connect a stream as Twilio does, and have a phone on it while the block runs."""
    async with connect(f"ws://{at}/twilio/media", ping_interval=None) as socket:
        phone = Phone(socket, **habits)
        await phone.send("connected", protocol="Call", version="1.0.0")
        start = {
            "accountSid": "AC" + "3" * 32,
            "streamSid": STREAM,
            "callSid": CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token},
        }
        await phone.send("start", sequenceNumber="1", start=start)
        running = asyncio.create_task(phone.run(), name="phone")
        try:
            yield phone
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
