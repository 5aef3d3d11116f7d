"""Between Twilio's socket and a vendor: sound both ways, interruptions, waits, and the dialogue that watches.

States of the agent, by what the caller hears and what was asked of the vendor::

    quiet ──(caller stops, line to say, tool answered)──▶ waiting ──(first sound)──▶ speaking ──(last mark)──▶ quiet
                                                            │ 0.8 s filler              │ caller starts: clear, cut
                                                            │ 2.5 s ask again           ▼
                                                            └ 6 s another line        quiet

An answer whose sound stops in the middle is a wait as well, from when the caller hears nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from voice.dialogue.types import Patience
from voice.line import media_messages as twilio
from voice.line import vendor as v
from voice.line.caller_sound import CallerSound
from voice.line.mouth import Mouth
from voice.line.observing import Wish
from voice.line.record import Record
from voice.line.responses import Responses
from voice.line.service import Service
from voice.line.stopwatch import CallTime, Stopwatch, ms
from voice.line.timers import Timers
from voice.line.waiting import DEAF_S, Waiting
from voice.session import CallSession
from voice.surface import QUIET

#: A conversation may last so long: OpenAI's may not pass an hour.
LONGEST_S = 55 * 60.0
#: When all is said the call may still play for so long.
CLOSING_S = 20.0
FAULTS_IN_A_ROW = 2
#: What a model is told that must speak our words itself.
SAY = "Say this next, word for word:"
_FILLER = "filler"


class Over(Exception):
    """The socket's part of the call is over, in good order: ``session.after`` says what comes next."""


class Bridge:
    """One call on one socket with one vendor."""

    def __init__(
        self,
        session: CallSession,
        vendor: v.Vendor,
        service: Service,
        *,
        stream_sid: str,
        send: Callable[[str], Awaitable[None]],
    ) -> None:
        """Nothing is sent yet."""
        self._session = session
        self._vendor = vendor
        self._service = service
        self._observer = service.observer
        self._stopwatch = Stopwatch(service.measured)
        self._record = Record(session)
        self._caller = CallerSound()
        self._outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timers = Timers(self._end)
        self._mouth = Mouth(stream_sid, send, self._timers, self._marks_are_lost)
        self._waiting = Waiting(
            self._timers, fill=self._fill, again=self._again, give_up=self._give_up
        )
        self._responses = Responses()
        self._tools = 0
        self._faults = 0
        self._is_caller_speaking = False
        self._is_protected = False
        self._is_listening = False
        self._silence_s = 7.0
        self._patience = Patience.NORMAL
        self._farewell: tuple[str, ...] = ()
        self._time = CallTime(session.started_at)

    async def run(self, messages: AsyncIterator[twilio.Message]) -> None:
        """Hold the call until the caller or the talk is over; raises VendorFailed when the vendor cannot go on."""
        wish = self._observer.opening()
        self._apply(wish)
        self._is_protected = not wish.is_interruptible
        self._service.changed()
        try:
            await self._vendor.open(self._service.opening(wish))
            self._is_listening = True
            self._timers.set("longest", LONGEST_S, self._too_long)
            self._timers.start("caller", lambda: self._from_twilio(messages))
            self._timers.start("vendor", self._from_vendor)
            self._waiting.begin()
            await self._outcome
        except Over:
            return
        finally:
            # First what needs no waiting: a socket that is gone may end this at any moment.
            self._record.cut(self._mouth.cut(), self._time.now_s())
            self._record.close()
            try:
                await self._timers.close()
            finally:
                await self._vendor.close()

    # What the caller does.

    async def _from_twilio(self, messages: AsyncIterator[twilio.Message]) -> None:
        async for message in messages:
            match message:
                case twilio.Media(audio=audio):
                    await self._caller_sound(audio)
                case twilio.Mark(name=name):
                    if self._mouth.echoed(name):
                        await self._settle()
                case twilio.Digit(digit=digit):
                    await self._do(self._observer.pressed(digit), is_answer=True)
                case twilio.Stop():
                    break
                case twilio.Start():
                    pass
        raise Over

    async def _caller_sound(self, audio: bytes) -> None:
        began = ms()
        was_speaking = self._caller.is_speaking
        self._caller.feed(audio, began)
        await self._vendor.hear(audio)
        self._stopwatch.forwarded(began)
        if was_speaking and not self._caller.is_speaking:
            self._timers.set("deaf", DEAF_S[self._patience], self._is_deaf)

    async def _is_deaf(self) -> None:
        """The caller spoke and is quiet, and nothing has come of it: the vendor may have stalled."""
        ended = self._caller.ended_ms or 0.0
        is_idle = not (self._waiting.is_on or self._mouth.is_speaking)
        has_told = self._stopwatch.has_told_since(ended)
        if is_idle and self._caller.is_worth_an_answer() and not has_told:
            self._is_caller_speaking = False
            self._stopwatch.turn_ended(ended)
            self._waiting.begin(guess_since_ms=ended)

    # What the vendor does.

    async def _from_vendor(self) -> None:
        async with contextlib.aclosing(self._vendor.events()) as events:
            async for event in events:
                self._stopwatch.event()
                await self._happened(event)

    async def _happened(self, event: v.Event) -> None:
        match event:
            case v.Sound():
                await self._sound(event)
            case v.CallerStarted():
                await self._caller_started()
            case v.CallerStopped():
                self._caller_stopped()
            case v.CallerSaid(text=text, language=language):
                await self._caller_said(text, language)
            case v.ResponseBegan(response=response):
                await self._response_began(response)
            case v.ResponseOver(response=response, fault=fault):
                await self._response_over(response, fault)
            case _:
                self._told(event)

    def _told(self, event: v.Event) -> None:
        match event:
            case v.AgentSaid(item=item, text=text):
                self._record.agent_said(item, text)
            case v.AgentCorrected(item=item, text=text):
                self._record.corrected(item, text)
            case v.ToolWanted():
                self._tools += 1
                self._timers.start(f"tool {event.tool}", lambda: self._tool(event))
            case v.Told(what=what):
                self._note(what)

    async def _sound(self, sound: v.Sound) -> None:
        if self._responses.is_dead(sound.response) or await self._is_too_late(sound.response):
            return
        if self._timers.is_set("silence") and not self._vendor.speaks_lines:
            self._is_asked_again()
        self._waiting.stop()
        self._faults = 0
        self._responses.sounded(sound.response)
        await self._mouth.play(sound.item, sound.audio)
        self._record.agent_began(sound.item, self._time.now_s(), self._session.talk.language)
        self._stopwatch.sounded()

    async def _is_too_late(self, response: str) -> bool:
        """Tell whether an answer was made before it was known that the caller speaks; nobody hears it then."""
        if not self._is_caller_speaking or self._is_protected:
            return False
        self._responses.kill(response)
        await self._vendor.interrupted((), frozenset({response}))
        return True

    async def _caller_started(self) -> None:
        self._is_caller_speaking = True
        self._timers.stop("silence")
        if not self._is_protected:
            self._waiting.stop()
            await self._cut(is_barge_in=True)

    async def _cut(self, *, is_barge_in: bool) -> None:
        """Let the caller hear nothing more of what was made until now."""
        at, was_speaking = ms(), self._mouth.is_speaking
        dead = self._responses.kill_open()
        heard = await self._mouth.clear() if was_speaking else self._mouth.cut()
        if was_speaking and is_barge_in:
            began = self._caller.began_ms if self._caller.is_speaking else None
            self._stopwatch.cleared(at if began is None else began)
        self._record.cut(heard, self._time.now_s())
        real = tuple(one for one in heard if one.item != _FILLER)
        if real or dead:
            await self._vendor.interrupted(real, dead)

    def _caller_stopped(self) -> None:
        self._is_caller_speaking = False
        self._stopwatch.turn_ended(self._caller.ended_ms)
        self._waiting.begin()

    async def _caller_said(self, text: str, language: str | None) -> None:
        began, ended = self._caller.began_ms, self._caller.ended_ms
        start, end = self._time.at_s(began), self._time.at_s(ended)
        wish = self._observer.heard(text, language)
        spoken = language or self._session.talk.language
        self._record.caller_said(text, start, max(start, end), spoken)
        await self._do(wish)
        await self._settle()

    async def _response_began(self, response: str) -> None:
        if not await self._is_too_late(response):
            self._responses.begin(response)

    async def _response_over(self, response: str, fault: str | None) -> None:
        if not self._responses.over(response):
            return
        if fault is not None:
            self._note(f"{self._vendor.kind}:{fault}")
            self._faults += 1
            if self._faults >= FAULTS_IN_A_ROW:
                raise v.VendorFailed(fault)
            if not self._mouth.is_speaking and await self._vendor.again():
                self._waiting.begin()
                return
        if not (self._responses.is_any_open or self._tools):
            self._waiting.stop()
        await self._settle()

    async def _tool(self, wanted: v.ToolWanted) -> None:
        try:
            answer, is_error, wish = await self._service.use_tool(wanted)
        finally:
            self._tools -= 1
        lines = wish.lines or wish.farewell or self._farewell
        is_known = wanted.tool in QUIET and self._responses.has_sounded(wanted.response)
        # Of several tools of one answer the last one lets the model go on, if it has not gone on already.
        is_busy = self._tools or self._responses.is_any_open
        speaks = not (is_busy or wish.is_over or is_known)
        if self._vendor.speaks_lines:
            speaks = speaks and not lines
        else:
            answer = f"{answer}\n{SAY} {' '.join(lines)}" if lines else answer
            wish, self._farewell = replace(wish, lines=(), farewell=()), ()
            speaks = True
        await self._vendor.answer(wanted.call_id, answer, is_error=is_error, speak=speaks)
        await self._do(wish)
        if speaks:
            self._waiting.begin()
        elif not (wish.lines or self._tools or self._responses.is_any_open):
            self._waiting.stop()
        await self._settle()

    # What is to be done.

    async def _do(self, wish: Wish, *, is_answer: bool = False) -> None:
        self._apply(wish)
        self._farewell = wish.farewell or self._farewell
        if wish.tell and not wish.is_over:
            await self._vendor.tell(wish.tell)
        if wish.patience is not None:
            self._patience = wish.patience
            await self._vendor.be_patient(wish.patience)
        if wish.lines and (self._vendor.speaks_lines or wish.must_say):
            await self._say(wish.lines, is_interruptible=wish.is_interruptible)
        elif wish.lines:
            await self._vendor.tell(f"{SAY} {' '.join(wish.lines)}")
        elif is_answer and not wish.is_over and await self._vendor.again():
            self._waiting.begin()
        if wish.is_over:
            self._timers.set("closing", CLOSING_S, self._close)
        self._service.changed()

    async def _say(self, lines: tuple[str, ...], *, is_interruptible: bool) -> None:
        await self._cut(is_barge_in=False)
        await self._vendor.say(" ".join(lines))
        self._is_caller_speaking = False
        self._is_protected = not is_interruptible
        self._waiting.begin()

    def _apply(self, wish: Wish) -> None:
        self._silence_s = wish.silence_s
        if wish.starts_recording:
            self._service.start_recording()

    async def _settle(self) -> None:
        """See whether it is quiet, and what that means."""
        if self._mouth.is_speaking or self._is_caller_speaking or not self._is_listening:
            return
        for item in self._mouth.items():
            self._record.agent_until(item, self._time.now_s())
        if self._waiting.is_on:
            return
        if self._responses.is_any_open:
            self._waiting.begin()  # its sound stopped in the middle
            return
        self._is_protected = False
        if self._tools:
            return
        if self._session.after is None:
            self._timers.set("silence", self._silence_s, self._silence)
        elif self._farewell and not self._record.said_goodbye(self._session.talk.language):
            lines, self._farewell = self._farewell, ()
            if not self._vendor.speaks_lines:
                raise Over
            await self._say(lines, is_interruptible=False)
        else:
            raise Over

    async def _silence(self) -> None:
        heard = self._caller.ended_ms
        quiet_s = self._silence_s if heard is None else (ms() - heard) / 1000
        if self._caller.is_speaking or quiet_s < self._silence_s:
            self._timers.set("silence", max(0.1, self._silence_s - quiet_s), self._silence)
            return
        await self._do(self._observer.silent())
        await self._settle()

    def _is_asked_again(self) -> None:
        """The agent speaks into a silence by itself: the dialogue counts that, and may end the call."""
        wish = self._observer.silent()
        self._apply(wish)
        if wish.is_over:
            self._timers.set("closing", CLOSING_S, self._close)

    async def _marks_are_lost(self) -> None:
        self._note("twilio:marks")
        self._mouth.settle()
        await self._settle()

    # Waiting for the vendor.

    async def _fill(self) -> None:
        if self._is_caller_speaking or self._mouth.is_speaking:
            return
        audio = await self._vendor.filler()
        if audio:
            self._note(f"{self._vendor.kind}:{_FILLER}")
            await self._mouth.play(_FILLER, audio)

    async def _again(self) -> None:
        if self._tools or self._is_caller_speaking:
            return  # it waits for us, or we for the caller
        self._responses.kill_open()
        if await self._vendor.again():
            self._note(f"{self._vendor.kind}:asked_again")

    async def _give_up(self, guessed_ms: float | None) -> None:
        if self._tools:
            self._waiting.begin()
            return
        if self._session.after is not None:
            raise Over
        if guessed_ms is not None and self._stopwatch.has_told_since(guessed_ms):
            await self._settle()  # it lives, and heard nothing that wants an answer
            return
        raise v.VendorFailed("stalled", pause_s=5.0)

    async def _too_long(self) -> None:
        raise v.VendorFailed("session_limit")

    async def _close(self) -> None:
        raise Over

    def _end(self, err: BaseException) -> None:
        if not self._outcome.done():
            self._outcome.set_exception(err)

    def _note(self, what: str) -> None:
        if what not in self._session.fallbacks:
            self._service.fell_back(what)
