"""ConversationRelay listens: what the caller says becomes prompts, interruptions and digits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voice.sandbox.twilio.habits import is_backchannel
from voice.sandbox.twilio.relay_mouth import RelayMouth, Send
from voice.sandbox.twilio.report import Heard, Said
from voice.sandbox.twilio.sound import Listener
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call


class RelayEar(Listener):
    """The recognition of a session."""

    def __init__(self, call: Call, verb: Verb, mouth: RelayMouth, send: Send) -> None:  # noqa: D107 - the class says it
        self._call = call
        self._sound = call.sound
        self._verb = verb
        self._mouth = mouth
        self._send = send
        self._language = verb.get("transcriptionLanguage") or verb.get("language") or "en-US"
        self._is_partial = verb.is_on("partialPrompts")
        self._tells = "speaker-events" in f"{verb.get('events')} {verb.get('debug')}"
        self._reported = verb.get("reportInputDuringAgentSpeech")
        self._turn: list[str] = []
        self._spoken = ""
        #: Whether what is being said began within speech that it may not interrupt, or has not yet.
        self._is_under = False
        self._timer: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._over: asyncio.Task[None] | None = None

    def switch(self, language: str | None) -> None:
        """Listen for another language from now on."""
        self._language = language or self._language

    def stop(self) -> None:
        """The session is over; a turn that was not yet over is lost."""
        for task in (self._timer, self._watch, self._over):
            if task:
                task.cancel()

    def caller_started(self, said: Said) -> None:
        """The turn goes on; the agent may have to be silent."""
        if self._timer:
            self._timer.cancel()
        if self._tells:
            self._send({"type": "info", "name": "clientSpeaking", "value": "on"})
        self._is_under = self._mouth.current is not None and self._sound.agent is not None
        self._watch = asyncio.create_task(self._follow(said))

    def caller_stopped(self, said: Said) -> None:
        """The turn may be over."""
        for task in (self._watch, self._over):
            if task:
                task.cancel()
        if self._tells:
            self._send({"type": "info", "name": "clientSpeaking", "value": "off"})
        if text := self._reported_part(said):
            self._turn.append(text)
            self._spoken = said.language
        if self._turn:
            self._timer = asyncio.create_task(self._end_turn())

    def agent_started(self, heard: Heard) -> None:
        """The agent begins to speak over the caller, who goes on: that interrupts as well."""
        said = self._sound.caller
        if said and said.text and not self._is_under and heard.source in {"relay", "play"}:
            self._is_under = True
            self._over = asyncio.create_task(self._interrupt(said))

    def caller_pressed(self, digit: str) -> None:
        """A key, where keys are listened for."""
        if not self._verb.is_on("dtmfDetection"):
            return
        current = self._mouth.current
        if current and self._sound.agent:
            if "dtmf" in current.interruptible:
                self._mouth.interrupt(None)
            elif self._reported not in {"dtmf", "any"}:
                return
        self._send({"type": "dtmf", "digit": digit})

    async def _follow(self, said: Said) -> None:
        if self._is_under:
            await self._interrupt(said)
        if self._is_partial:
            await self._send_partials(said)

    async def _interrupt(self, said: Said) -> None:
        sensitivity = self._verb.get("interruptSensitivity") or "high"
        await asyncio.sleep(self._call.habits.interrupt_s[sensitivity])
        if self._verb.is_on("ignoreBackchannel") and is_backchannel(said.text):
            return
        current = self._mouth.current
        if current is None or self._sound.agent is None:
            return
        if "speech" in current.interruptible:
            self._is_under = False
            self._mouth.interrupt(said)

    async def _send_partials(self, said: Said) -> None:
        for word in said.words:
            await asyncio.sleep(max(0.0, word.end_s - self._sound.now))
            if text := " ".join([*self._turn, said.until(self._sound.now)]):
                self._prompt(text, said.language, last=False)

    def _reported_part(self, said: Said) -> str:
        # Speech within the agent's, which did not stop it, is not reported unless the TwiML asks for it.
        if not self._is_under or self._reported in {"speech", "any"}:
            return said.text
        if self._verb.is_on("ignoreBackchannel") and is_backchannel(said.text):
            return ""
        covered = [(one.start_s, one.end_s, one.is_over) for one in self._call.report.heard]
        return "".join(
            word.text
            for word in said.words
            if not any(
                start <= word.start_s and (word.start_s < end or not is_over)
                for start, end, is_over in covered
            )
        ).strip()

    async def _end_turn(self) -> None:
        chosen = self._verb.get("speechTimeout") or "auto"
        habits = self._call.habits
        await asyncio.sleep(habits.end_of_turn_s if chosen == "auto" else int(chosen) / 1000)
        await asyncio.sleep(habits.recognition_s)
        text, self._turn = " ".join(self._turn), []
        self._prompt(text, self._spoken, last=True)

    def _prompt(self, text: str, spoken: str, *, last: bool) -> None:
        primary = spoken.partition("-")[0]
        if self._language == "multi":
            language = primary
        else:
            language = self._language
            if self._call.habits.hears_one_language and primary != language.partition("-")[0]:
                text = " ".join("…" for _ in text.split())
        message = {"type": "prompt", "voicePrompt": text, "lang": language, "last": last}
        self._send(message)
