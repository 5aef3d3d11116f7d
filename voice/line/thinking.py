"""One turn of the agent by Anthropic's model, with clocks round it and the dialogue under it.

The model speaks instead of what the dialogue would say in words that are not fixed. Its tools go through the
dialogue, whose fixed words (read-backs, goodbye) come after the model's. When nothing useful comes in time the
caller hears a filler (0.8 s), then the dialogue's own words as another voice (2.5 s); a model that stalls
again and again in a call is not asked any more, and when it has cost the caller six seconds they are put through to a
person, where there is one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from voice import clock, prompt, surface
from voice.context import Context
from voice.conversation import Conversation
from voice.dialogue.types import Act, Listen, Say, SpeakIn, Step
from voice.line.speaking import Speaker
from voice.model import Finish, Piece, RoundOver, why
from voice.watchdog import Clocks, Failed, Item, Level, Reason, Stalled, Token, watch

_LOG = structlog.get_logger(module=__name__)
#: After the model stalled so often in a call it is not asked again.
_MOST_STALLS = 2


@dataclass(slots=True)
class Thought:
    """What a turn of the model left to do: ``acts`` after its words. ``stalled_s`` is time that was lost."""

    acts: list[Act]
    has_spoken: bool = False
    is_failed: bool = False
    stalled_s: float = 0.0


@dataclass(slots=True)
class Thinker:
    """Lets the model speak in one call."""

    context: Context
    talk: Conversation
    speaker: Speaker
    stalls: int = 0
    _acts: list[Act] = field(default_factory=list)
    _is_settled: bool = False

    def may_think(self, step: Step) -> bool:
        """Tell whether the model is asked in this turn."""
        model = self.context.model
        return bool(
            step.may_think
            and model
            and not model.circuit.is_open
            and self.stalls < _MOST_STALLS
            and self.talk.session.profile.may_use("anthropic")
        )

    async def think(self, generation: int, step: Step, acts: Sequence[Act]) -> Thought:
        """Let the model speak; gives what is to be done after it. Cancelled when the caller interrupts."""
        model = self.context.model
        if model is None:
            return Thought(list(acts))
        self._acts, self._is_settled = list(acts), False
        thought = Thought([])
        asked_at = clock.elapsed()
        clocks = Clocks(connect=self.context.settings.anthropic_connect_s)
        stream = watch(lambda: self._open(step.goal), clocks, is_useful=_is_words)
        try:
            async for item in stream:
                if not await self._took(item, generation, thought, asked_at):
                    break
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # an async generator
        if thought.has_spoken:
            await self.speaker.flush(generation)
        thought.acts = self._left(thought)
        return thought

    async def _took(
        self, item: Item[Piece], generation: int, thought: Thought, asked_at: float
    ) -> bool:
        """Take one item of the stream; False when no more are wanted."""
        match item:
            case Token(item=str() as words):
                if not thought.has_spoken and words.strip():
                    thought.has_spoken = True
                    self.speaker.waited(clock.elapsed() - asked_at)
                return await self.speaker.token(generation, words)
            case Token(item=RoundOver() | Finish() as end):
                self.talk.session.models["conversation"] = end.model
                if self.context.model:
                    self.context.model.circuit.worked()
                return not (isinstance(end, RoundOver) and self._is_settled)
            case Stalled(level=Level.FILLER):
                self.speaker.waited(clock.elapsed() - asked_at)
                await self.speaker.filler(generation)
            case Stalled() as stall:
                thought.stalled_s = stall.after_s
                await self._gave_up(thought, Failed(_reason(stall), thought.has_spoken))
                return False
            case Failed() as failed:
                await self._gave_up(thought, failed)
        return True

    async def _open(self, goal: str | None) -> AsyncIterator[Piece]:
        session, model = self.talk.session, self.context.model
        if model is None:
            raise RuntimeError("there is no model")
        return await model.turn(
            model=session.profile.models.conversation,
            system=prompt.for_anthropic(session.profile, session.talk, goal),
            history=session.turns,
            tools=surface.for_anthropic(session.profile),
            run_tool=self._run_tool,
        )

    async def _run_tool(self, name: str, arguments: Any) -> str:
        answer, step = await self.talk.run(name, arguments)
        if step is not None:
            kept = [act for act in self._acts if _is_kept(act) and act not in step.acts]
            self._acts = [*kept, *await self.talk.settled(step.acts)]
            # A read-back or a goodbye is all that is to be said; nobody waits for the model's consent.
            self._is_settled = not step.may_think and any(
                isinstance(act, Say) and act.is_fixed for act in self._acts
            )
        return answer

    async def _gave_up(self, thought: Thought, failed: Failed) -> None:
        model, session = self.context.model, self.talk.session
        thought.is_failed = True
        is_stall = failed.reason in {Reason.STALLED, Reason.GAP}
        what = "anthropic:stalled" if is_stall else why(failed.error)
        self.stalls += is_stall
        session.fallbacks.append(what)
        self.context.metrics.fallbacks.labels(what=what).inc()
        _LOG.warning("model failed", call_id=session.sid, what=what, has_spoken=thought.has_spoken)
        if model:
            await model.circuit.failed(failed.error)

    def _left(self, thought: Thought) -> list[Act]:
        """Give what is still to be done: without a model everything, after its words all that is fixed."""
        if thought.is_failed:
            return self._acts
        if not thought.has_spoken and not any(
            isinstance(a, Say) and a.is_fixed for a in self._acts
        ):
            return self._acts  # it used tools and said nothing
        return [act for act in self._acts if not (isinstance(act, Say) and not act.is_fixed)]


def _is_words(piece: object) -> bool:
    """Only words are useful to a caller; a tool that is used is silence to them."""
    return isinstance(piece, str) and bool(piece.strip())


def _is_kept(act: Act) -> bool:
    """What an earlier tool's step wanted done is done, but for its questions and its listening."""
    return isinstance(act, SpeakIn) or (
        not isinstance(act, Listen) and not (isinstance(act, Say) and not act.is_fixed)
    )


def _reason(stall: Stalled) -> Reason:
    return Reason.GAP if stall.is_mid_stream else Reason.STALLED
