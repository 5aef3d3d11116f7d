"""The verbs of TwiML, performed on a call. Each gives the document to go on with, or None for the next verb."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from voice.sandbox.twilio.dial import dial
from voice.sandbox.twilio.flow import Go, HungUp
from voice.sandbox.twilio.gather import gather
from voice.sandbox.twilio.media import connect_stream, start_stream
from voice.sandbox.twilio.prompts import prompt
from voice.sandbox.twilio.record import record
from voice.sandbox.twilio.relay import connect_relay
from voice.sandbox.twilio.transcription import Transcription
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

Performance = Callable[["Call", Verb], Awaitable["Go | None"]]


async def perform(call: Call, verb: Verb) -> Go | None:
    """Perform a verb."""
    return await _VERBS[verb.name](call, verb)


async def _prompt(call: Call, verb: Verb) -> None:
    await call.until(prompt(call, verb))


async def _redirect(call: Call, verb: Verb) -> Go | None:
    return Go(call.absolute(verb.text), {}, verb.get("method") or "POST", "redirect")


async def _hangup(call: Call, _: Verb) -> None:
    call.hang_up("twilio")
    raise HungUp


async def _reject(call: Call, verb: Verb) -> None:
    call.refuse("busy" if verb.get("reason") == "busy" else "no-answer")
    raise HungUp


async def _start(call: Call, verb: Verb) -> None:
    noun = verb.children[0]
    match noun.name:
        case "Transcription":
            transcription = Transcription(call, noun)
            call.transcriptions[transcription.name] = transcription
        case "Recording":
            channels = 2 if noun.get("channels") == "dual" else 1
            track = noun.get("track") or "both"
            call.start_recording(noun, "StartCallRecordingTwiML", channels=channels, track=track)
        case _:
            start_stream(call, noun)


async def _stop(call: Call, verb: Verb) -> None:
    noun = verb.children[0]
    name = noun.get("name")
    for one in [*call.transcriptions.values()] if noun.name == "Transcription" else [*call.streams]:
        if name in {None, one.name}:
            one.stop()


async def _connect(call: Call, verb: Verb) -> Go | None:
    if verb.children[0].name == "Stream":
        return await connect_stream(call, verb)
    return await connect_relay(call, verb)


_VERBS: dict[str, Performance] = {
    "Say": _prompt,
    "Play": _prompt,
    "Pause": _prompt,
    "Gather": gather,
    "Record": record,
    "Dial": dial,
    "Redirect": _redirect,
    "Hangup": _hangup,
    "Reject": _reject,
    "Start": _start,
    "Stop": _stop,
    "Connect": _connect,
}
