"""A call on line (a): what the caller does on one ConversationRelay socket, and what the agent does about it.

One task reads messages; what the agent does about them runs beside it and is cancelled when the caller cuts in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog

from voice import calls, clock, languages, recording, turns, wording
from voice.context import Context
from voice.conversation import VOICE_FAILED, Conversation, opening_acts, unheard
from voice.dialogue.types import (
    Act,
    End,
    Heard,
    Input,
    Listen,
    Pressed,
    Say,
    Silent,
    SpeakIn,
    Stage,
    StartRecording,
    Step,
    TakeMessage,
    ToolDone,
    Transfer,
    UseTool,
)
from voice.line import relay_messages as messages
from voice.line.sockets import Socket
from voice.line.speaking import Speaker
from voice.line.thinking import Thinker
from voice.line.timers import Timers
from voice.session import CallSession, Voice

_LOG = structlog.get_logger(module=__name__)
_DONE = 1000
#: Keys that follow each other within this time are one entry.
_KEYS_S = 2.0
_MOST_KEYS = 32
_LOOK_S = 0.25
#: Twilio closes the socket when it is asked to end; after this we do.
_CLOSE_S = 10.0
#: A voice has failed: an answer that is still being made gets so long to be whole.
_FINISH_S = 2.0
#: When models and tools have cost a caller so much, a person is better than another try.
_PATIENCE_S = 6.0


class RelayCall:
    """One socket of one call, from its first words until Twilio closes it."""

    def __init__(self, websocket: Socket, context: Context, session: CallSession) -> None:
        """Nothing is said yet; the session is this process's to change."""
        self._websocket = websocket
        self._context = context
        self._session = session
        self._talk = Conversation(context, session)
        self._speaker = Speaker(self._talk, websocket.send)
        self._thinker = Thinker(context, self._talk, self._speaker)
        self._prompts = turns.Prompts()
        self._timers = Timers(self._broke)
        self._turn: asyncio.Task[None] | None = None
        self._cut: turns.Cut | None = None
        self._held = ""
        self._keys = ""
        self._listen = Listen()
        self._quiet_since = clock.elapsed()
        self._is_caller_speaking = False
        self._stalled_s = 0.0
        self._has_left = False

    async def run(self, *, is_resumed: bool) -> None:
        """Begin or go on, and take messages until the socket is closed."""
        self._begin(is_resumed=is_resumed)
        while True:
            raw = await self._websocket.receive()
            message = messages.read(raw)
            if message is not None and not self._has_left:
                await self._take(message)

    async def close(self) -> None:
        """Stop whatever still runs for this socket."""
        await self._cancel()
        await self._timers.close()

    def _begin(self, *, is_resumed: bool) -> None:
        session = self._session
        news, session.news = session.news, None
        if news == "transfer_failed":
            self._start(self._answer(ToolDone("transfer", {}, None)))
        elif news == VOICE_FAILED and (rest := unheard(session)):
            again = Say(text=rest, is_fixed=True, is_interruptible=not session.talk.emergency)
            self._start(self._do(self._speaker.begin(), (again, Listen())))
        elif is_resumed:
            self._start(self._resume())
        else:
            said = wording.opening(opening_acts(session), session.talk.language, session.profile)
            if said.text:
                self._speaker.greeted(said.text)
            generation = self._speaker.floor.generation
            self._start(self._do(generation, said.rest))

    async def _resume(self) -> None:
        """Go on after a socket was lost: what was asked last is asked again.

        Words that the caller said meanwhile are lost, so they are asked to say them again. One who has not spoken yet
        is greeted.
        """
        session = self._session
        generation = self._speaker.begin()
        asked = session.talk.last
        has_spoken = any(turn.voice is Voice.CALLER for turn in session.turns)
        is_lost = has_spoken and session.turns[-1].voice is Voice.AGENT
        repeat = (Say("repeat", is_fixed=True),) if is_lost or not asked else ()
        if recording.may_start(session):
            self._record()
        await self._do(generation, (*repeat, *asked, Listen()))

    async def _take(self, message: messages.Message) -> None:
        match message:
            case messages.Prompt():
                await self._prompted(message)
            case messages.Interrupt(heard=heard):
                await self._interrupted(heard)
            case messages.Key(digit=digit):
                await self._pressed(digit)
            case messages.Speaking(is_agent=True, is_on=is_on):
                self._speaker.told(is_speaking=is_on)
            case messages.Speaking(is_agent=False, is_on=is_on):
                self._is_caller_speaking = is_on
                self._quiet_since = clock.elapsed()
            case messages.Trouble():
                await self._troubled(message)
            case messages.Setup():
                return

    async def _prompted(self, prompt: messages.Prompt) -> None:
        now = clock.elapsed()
        self._timers.stop("false interruption")
        self._timers.stop("hold")
        self._quiet_since = now
        if not prompt.is_last:
            self._is_caller_speaking = True
            return
        self._is_caller_speaking = False
        talk, is_speaking = self._session.talk, self._speaker.is_speaking()
        if not prompt.text.strip() or not self._prompts.is_new(prompt.text, now):
            return
        if self._cut and turns.is_false_interruption(talk, prompt.text, 0.0):
            self._say_rest()
            return
        if turns.is_ignored(talk, prompt.text, is_speaking=is_speaking):
            return
        if is_speaking and self._speaker.floor.may_be_interrupted():
            self._speaker.interrupted(None)
        self._cut = None
        self._held = turns.join(self._held, prompt.text)
        language = prompt.language
        is_yes = turns.expects_answer(talk) and languages.yes_no(self._held, talk.language)
        if not is_yes and (wait_s := turns.hold_s(talk, self._held)):
            self._timers.set("hold", wait_s, lambda: self._heard(language, now))
            return
        await self._heard(language, now)

    async def _heard(self, language: str | None, at: float) -> None:
        """The caller has finished: answer. Time since ``at`` was given to them to go on."""
        text, self._held = self._held, ""
        waited_s = clock.elapsed() - at
        await self._cancel()
        start_s = max(0.0, self._talk.now_s() - turns.speaking_s(text))
        self._talk.wrote(Voice.CALLER, text, start_s=start_s, language=language)
        self._start(self._answer(Heard(text, language), asked_at=at, waited_s=waited_s))

    async def _pressed(self, digit: str) -> None:
        self._quiet_since = clock.elapsed()
        if digit != "#":
            self._keys = f"{self._keys}{digit}"[-_MOST_KEYS:]
            self._timers.set("keys", _KEYS_S, self._entered)
            return
        self._timers.stop("keys")
        await self._entered()

    async def _entered(self) -> None:
        keys, self._keys = self._keys, ""
        if keys:
            await self._cancel()
            self._cut = None
            self._start(self._answer(Pressed(keys), asked_at=clock.elapsed()))

    async def _interrupted(self, heard: str) -> None:
        """The caller cuts in: Twilio has stopped playing; we stop thinking and remember what was heard."""
        began = clock.elapsed()
        await self._cancel()
        self._cut = self._speaker.interrupted(heard)
        self._quiet_since = clock.elapsed()
        self._talk.measured("barge_in", (self._quiet_since - began) * 1000)
        self._context.metrics.barge_ins.labels(line=self._session.line.value).inc()
        self._context.store.save_soon(self._session)
        self._timers.set("false interruption", turns.FALSE_INTERRUPTION_S, self._nothing_came)

    async def _nothing_came(self) -> None:
        if self._cut and not self._is_caller_speaking:
            self._say_rest()

    def _say_rest(self) -> None:
        """The interruption was none: say what was not heard."""
        cut, self._cut = self._cut, None
        self._start(self._finish_saying(cut.rest if cut else ""))

    async def _finish_saying(self, rest: str) -> None:
        if rest.strip():
            await self._speaker.say(self._speaker.begin(), rest)
        if self._session.after:
            await self._leave(self._session.after)
        else:
            self._await_caller()

    async def _troubled(self, trouble: messages.Trouble) -> None:
        """Something failed at Twilio. A voice that failed is replaced, which takes a new session."""
        session = self._session
        _LOG.warning(
            "relay reported an error", call_id=session.sid, is_of_voice=trouble.is_of_voice
        )
        if not trouble.is_of_voice:
            return
        calls.fell_back(self._context, session, "relay:voice")
        if session.is_voice_replaced:
            session.failed_lines.append(session.line.value)
        session.is_voice_replaced = True
        await self._fall_silent()
        if self._has_left:
            return
        # Whoever rings or records next needs no words of ours; a goodbye is said by the next voice.
        following = session.after if session.after in {"transfer", "message"} else None
        session.after, session.news = following, VOICE_FAILED
        await self._context.store.save(session)
        await self._websocket.send(messages.end(following))
        self._has_left = True

    async def _fall_silent(self) -> None:
        """Let what is being said be written down to its end, for the next voice to say it."""
        if self._turn and not self._turn.done():
            await asyncio.wait({self._turn}, timeout=_FINISH_S)
        await self._cancel()
        self._timers.stop("silence")
        self._speaker.failed()

    async def _answer(
        self, given: Input, *, asked_at: float | None = None, waited_s: float = 0.0
    ) -> None:
        generation = self._speaker.begin(asked_at=asked_at, waited_s=waited_s)
        step = self._talk.take(given)
        acts = await self._settled(generation, step.acts)
        if self._thinker.may_think(step):
            acts = await self._thought(generation, step, acts)
        await self._do(generation, acts)

    async def _thought(self, generation: int, step: Step, acts: Sequence[Act]) -> list[Act]:
        """Do what is fixed, then let the model speak; gives what is left."""
        at = next((i for i, act in enumerate(acts) if not _is_before_model(act)), len(acts))
        await self._do(generation, acts[:at], waits=False)
        thought = await self._thinker.think(generation, step, acts[at:])
        return self._unless_too_long(thought.acts, thought.stalled_s)

    async def _settled(self, generation: int, acts: Sequence[Act]) -> list[Act]:
        """Run the tools among the acts; what comes before them is said while they run."""
        at = next((i for i, act in enumerate(acts) if isinstance(act, UseTool)), None)
        if at is None:
            return list(acts)
        await self._do(generation, acts[:at], waits=False)
        began = clock.elapsed()
        done = await self._talk.settled(acts[at:])
        return self._unless_too_long(done, clock.elapsed() - began)

    def _unless_too_long(self, acts: list[Act], waited_s: float) -> list[Act]:
        """Give a person instead, where waiting for models and tools has cost the caller too much in this call."""
        self._stalled_s += waited_s
        to = self._session.profile.staff.transfer_to
        if self._stalled_s < _PATIENCE_S or not to:
            return acts
        self._stalled_s = 0.0
        return [Say("transfer", is_fixed=True), Transfer(to, "stalled")]

    async def _do(self, generation: int, acts: Sequence[Act], *, waits: bool = True) -> None:
        """Do what the dialogue says, in order; at its end the caller has the floor."""
        for act in acts:
            match act:
                case Say():
                    words = self._talk.words(act, self._speaker.language)
                    await self._speaker.say(
                        generation, words, is_interruptible=act.is_interruptible
                    )
                case SpeakIn(language=tag):
                    await self._speaker.speak_in(tag)
                case StartRecording():
                    self._record()
                case Listen():
                    self._listen = act
                case Transfer() | TakeMessage() | End():
                    await self._leave(_following(act, self._session))
                    return
                case _:
                    continue
        if not waits:
            return
        self._speaker.floor.finish(generation)
        if self._session.talk.stage is Stage.OVER:
            await self._leave(self._session.after or "end")
        else:
            self._await_caller()

    def _record(self) -> None:
        work = recording.start(self._context, self._session)
        self._context.start(work, name=f"record {self._session.sid}")

    async def _leave(self, following: str) -> None:
        """End the session when all is spoken; what follows is stored before Twilio asks for it."""
        self._timers.stop("silence")
        self._session.after = following
        await self._context.store.save(self._session)
        await self._speaker.end(following)
        self._has_left = True
        self._timers.set("close", _CLOSE_S, self._close_socket)

    async def _close_socket(self) -> None:
        await self._websocket.close(_DONE, "")

    def _await_caller(self) -> None:
        self._quiet_since = clock.elapsed()
        self._timers.set("silence", _LOOK_S, self._look)

    async def _look(self) -> None:
        """See whether the caller has been silent for too long; time in which somebody speaks does not count."""
        now = clock.elapsed()
        is_busy = (
            self._speaker.is_speaking() or self._is_caller_speaking or self._held or self._keys
        )
        if is_busy or self._cut:
            self._quiet_since = now
        if now - self._quiet_since < self._listen.silence_s:
            self._timers.set("silence", _LOOK_S, self._look)
            return
        await self._cancel()
        self._start(self._answer(Silent()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._timers.stop("silence")
        if self._turn and not self._turn.done():
            self._turn.cancel()
        self._turn = asyncio.create_task(self._guarded(work), name=f"turn {self._session.sid}")

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as err:  # noqa: BLE001 - whatever it is, the call goes on
            await self._stumbled(err)

    async def _stumbled(self, err: BaseException) -> None:
        """A defect of ours: say so, take a message, and let the caller go on."""
        _LOG.error("turn failed", call_id=self._session.sid, exc_info=err)
        calls.fell_back(self._context, self._session, "relay:defect")
        with suppress(Exception):
            await self._leave("message")

    def _broke(self, err: BaseException) -> None:
        _LOG.error("timer failed", call_id=self._session.sid, exc_info=err)

    async def _cancel(self) -> None:
        """Stop what the agent is doing; whoever is that task itself is not stopped."""
        task, self._turn = self._turn, None
        if task and task is not asyncio.current_task() and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _following(act: Transfer | TakeMessage | End, session: CallSession) -> str:
    """Name what comes after the socket."""
    if isinstance(act, Transfer):
        session.transfer_to = act.number
        return "transfer"
    return "message" if isinstance(act, TakeMessage) else "end"


def _is_before_model(act: Act) -> bool:
    """Fixed words and switches come before the model's words; questions and listening are what it replaces."""
    if isinstance(act, Say):
        return act.is_fixed
    return isinstance(act, SpeakIn | StartRecording)
