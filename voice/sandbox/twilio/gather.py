"""<Gather>: play prompts, collect keys or a sentence, and post them.

Source: https://www.twilio.com/docs/voice/twiml/gather (2026-11-30)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice.sandbox.twilio.flow import Go
from voice.sandbox.twilio.prompts import prompt
from voice.sandbox.twilio.report import Said
from voice.sandbox.twilio.sound import Listener
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call


async def gather(call: Call, verb: Verb) -> Go | None:
    """Perform <Gather>: the next document when something was gathered, else the next verb."""
    ear = _Ear(call, verb)
    call.sound.listeners.append(ear)
    try:
        await call.until(_play_then_wait(call, verb, ear))
    finally:
        call.sound.listeners.remove(ear)
    result = ear.result()
    if not result and not verb.is_on("actionOnEmptyResult"):
        return None
    url = verb.get("action") or call.url
    return Go(call.absolute(url), result, verb.get("method") or "POST")


async def _play_then_wait(call: Call, verb: Verb, ear: _Ear) -> None:
    prompts = asyncio.create_task(_prompts(call, verb))
    begun = asyncio.create_task(ear.begun.wait())
    try:
        await asyncio.wait({prompts, begun}, return_when=asyncio.FIRST_COMPLETED)
        if begun.done() and not verb.is_on("bargeIn") and not ear.digits:
            await prompts
        elif prompts.done():
            prompts.result()
    finally:
        for task in (prompts, begun):
            task.cancel()
        await asyncio.gather(prompts, begun, return_exceptions=True)
    if not ear.begun.is_set():
        try:
            async with asyncio.timeout(verb.number("timeout")):
                await ear.begun.wait()
        except TimeoutError:
            return
    await ear.done()


async def _prompts(call: Call, verb: Verb) -> None:
    for child in verb.children:
        await prompt(call, child)


class _Ear(Listener):
    # Hears keys or speech, whichever comes first.

    def __init__(self, call: Call, verb: Verb) -> None:
        kinds = (verb.get("input") or "").split()
        self._call = call
        self._verb = verb
        self._takes_keys, self._takes_speech = "dtmf" in kinds, "speech" in kinds
        self._is_quiet = True
        self._speech: list[str] = []
        self._is_finished = False
        self.digits = ""
        self.begun = asyncio.Event()
        self._news = asyncio.Event()

    def caller_started(self, said: Said) -> None:
        if self._takes_speech and said.text and not self.digits:
            self._is_quiet = False
            self.begun.set()
            self._news.set()

    def caller_stopped(self, said: Said) -> None:
        if self._takes_speech and said.text and not self.digits:
            self._is_quiet = True
            self._speech.append(said.text)
            self._news.set()

    def caller_pressed(self, digit: str) -> None:
        if not self._takes_keys or self._is_finished:
            return
        self.begun.set()
        self._news.set()
        if digit in (self._verb.get("finishOnKey") or ""):
            self._is_finished = True
            return
        self.digits += digit
        wanted = self._verb.get("numDigits")
        self._is_finished = bool(wanted) and len(self.digits) >= int(wanted or 0)

    async def done(self) -> None:
        """Wait until the input is over: by key, by count, or by silence."""
        try:
            async with asyncio.timeout(None if self._takes_keys else self._longest()):
                await self._silence()
        except TimeoutError:
            return

    def result(self) -> dict[str, str]:
        if self.digits:
            return {"Digits": self.digits}
        if self._speech:
            text = " ".join(self._speech)
            return {"SpeechResult": text, "Confidence": "0.91", "Language": self._language()}
        return {}

    def _language(self) -> str:
        return self._verb.get("language") or "en-US"

    def _longest(self) -> float:
        return self._verb.number("maxSpeechTime")

    async def _silence(self) -> None:
        while not self._is_finished:
            self._news.clear()
            try:
                async with asyncio.timeout(self._patience() if self._is_quiet else None):
                    await self._news.wait()
            except TimeoutError:
                break
        if self._speech:
            await asyncio.sleep(self._call.habits.recognition_s)

    def _patience(self) -> float:
        if self.digits or not self._speech:
            return self._verb.number("timeout")
        chosen = self._verb.get("speechTimeout")
        if chosen == "auto":
            return self._call.habits.end_of_turn_s
        return float(chosen) if chosen else self._verb.number("timeout")
