"""What is played to the caller: Say, Play and Pause, also within Gather."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voice.sandbox import speech
from voice.sandbox.twilio.recording import read_wav
from voice.sandbox.twilio.twiml import Verb
from voice.sandbox.twilio.web import NoAnswer

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

_FOR_EVER = 1000
_KEY_S = 0.25
#: How long media of a kind that is not read here is taken to be.
_UNKNOWN_S = 2.0
_MULAW = 7
_NO_MEDIA = 11200


async def prompt(call: Call, verb: Verb) -> None:
    """Perform a verb that only makes sound, or silence."""
    if verb.name == "Pause":
        await asyncio.sleep(verb.number("length"))
        return
    text, language, voice, seconds = verb.text, verb.get("language"), verb.get("voice"), None
    if verb.name == "Play":
        if not text:
            await asyncio.sleep(_KEY_S * len(verb.get("digits") or ""))
            return
        found = await media(call, text)
        if found is None:
            return
        seconds, text = found
    for _ in range(int(verb.number("loop")) or _FOR_EVER):
        await call.sound.play(
            text, language=language, voice=voice, source=verb.name.lower(), seconds=seconds
        )


async def media(call: Call, url: str) -> tuple[float, str] | None:
    """Fetch media and give its length and what is said in it; None when there is none, which is an error."""
    try:
        content = await call.web.fetch(call.absolute(url))
    except NoAnswer:
        call.problem(_NO_MEDIA, f"Got no media from {url}.")
        return None
    return length_and_text(content, f"[{urlsplit(url).path}]")


def length_and_text(content: bytes, name: str) -> tuple[float, str]:
    """Give the length of a sound file and, where it is speech of the sandboxes, its words; else its name."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return _UNKNOWN_S, name
    kind, _, _, per_second = struct.unpack_from("<HHII", content, 20)
    if kind != _MULAW:
        size = len(content) - content.index(b"data", 36) - 8
        return size / per_second, name
    track = read_wav(content)[0]
    decoder = speech.Decoder(silence_s=3600)
    words = [event.text for event in decoder.feed(track) if isinstance(event, speech.Word)]
    return len(track) / speech.RATE, "".join(words).strip() or name
