"""The dialogue of one call with its effects: state is kept after each input, tools are run, turns are written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voice import clock, dialogue, tools
from voice.context import Context
from voice.dialogue.types import Act, Input, KnownCaller, Saved, Say, Step, ToolDone, UseTool
from voice.profile import Profile
from voice.session import CallSession, Turn, Voice
from voice.wording import text_of

#: Tools that ask for tools are stopped somewhere.
_MOST_TOOLS = 8
#: News of a session whose line's voice was not heard any more.
VOICE_FAILED = "voice_failed"


def opening_acts(session: CallSession) -> tuple[Act, ...]:
    """Give the acts that a call begins with. They are spoken by TwiML, which holds nothing that a clinic knows."""
    profile = session.profile
    known = public(session.talk.known, profile)
    return dialogue.begin(profile, caller_id=session.from_, known=known).acts


def public(known: KnownCaller | None, profile: Profile) -> KnownCaller | None:
    """Leave out what must not stand in TwiML, which the greeting does."""
    if known is None or not profile.is_phi:
        return known
    return KnownCaller(language=known.language, calls=known.calls)


def unheard(session: CallSession) -> str:
    """Give what the agent said last as far as it was not heard; nothing where the caller has spoken since."""
    last = session.turns[-1] if session.turns else None
    if last is None or last.voice is not Voice.AGENT or last.heard is None:
        return ""
    return last.text.removeprefix(last.heard).strip()


class Conversation:
    """One call's dialogue. Lines give it what happened and do what it says."""

    def __init__(self, context: Context, session: CallSession) -> None:
        """Go on with a session."""
        self._context = context
        self.session = session

    def take(self, given: Input) -> Step:
        """Tell the dialogue what happened; its state is kept before anything is done about it."""
        step = dialogue.step(self.session.talk, given, self.session.profile)
        self.session.talk = step.talk
        self._context.store.save_soon(self.session)
        return step

    async def run(self, name: str, arguments: Any) -> tuple[str, Step | None]:
        """Run a tool that a model asked for; gives the answer for the model and what the dialogue makes of it."""
        outcome = await self._run(name, arguments)
        if outcome.error is not None:
            return outcome.for_model(), None
        if name == "save_slot":
            done = outcome.arguments
            step = self.take(Saved(str(done.get("slot", "")), str(done.get("value", ""))))
        else:
            step = self.take(ToolDone(name, outcome.arguments, outcome.result))
        return outcome.for_model(), step

    async def settled(self, acts: Sequence[Act]) -> list[Act]:
        """Run the tools among the acts, and put in their place what the dialogue makes of the answers."""
        waiting, done = list(acts), []
        for _ in range(_MOST_TOOLS):
            while waiting and not isinstance(waiting[0], UseTool):
                done.append(waiting.pop(0))
            if not waiting:
                break
            asked = waiting.pop(0)
            if isinstance(asked, UseTool):
                outcome = await self._run(asked.tool, asked.arguments)
                step = self.take(ToolDone(asked.tool, asked.arguments, outcome.result))
                waiting = [*step.acts, *waiting]
        return done

    def words(self, say: Say, language: str | None = None) -> str:
        """Give an act's words in a language, the call's if none is named."""
        return text_of(say, language or self.session.talk.language, self.session.profile)

    def now_s(self) -> float:
        """Give the seconds since the call began."""
        return (clock.now() - self.session.started_at).total_seconds()

    def wrote(
        self,
        voice: Voice,
        text: str,
        *,
        start_s: float | None = None,
        heard: str | None = None,
        language: str | None = None,
    ) -> Turn:
        """Write down what one side said; without a start, it ended now."""
        end_s = round(self.now_s(), 3)
        turn = Turn(
            voice=voice,
            text=text,
            start_s=end_s if start_s is None else round(start_s, 3),
            end_s=end_s,
            language=language or self.session.talk.language,
            heard=heard,
        )
        self.session.turns.append(turn)
        self._context.store.save_soon(self.session)
        return turn

    def measured(self, kind: str, ms: float) -> None:
        """Write down a measurement in milliseconds."""
        self.session.latency.setdefault(kind, []).append(round(ms, 1))

    def answered(self, took_s: float, own_s: float) -> None:
        """Write down how long the caller waited for our first words, and how much of it was our own doing."""
        self.measured("first_token", took_s * 1000)
        self.measured("own_share", own_s * 1000)
        line, metrics = self.session.line.value, self._context.metrics
        metrics.first_audio.labels(line=line).observe(took_s)
        metrics.own.labels(line=line).observe(own_s)

    async def _run(self, name: str, arguments: Mapping[str, Any] | Any) -> tools.Outcome:
        session = self.session
        return await tools.run(
            name,
            arguments,
            profile=session.profile,
            session=session,
            hub=self._context.hub if session.profile.tenant_id else None,
        )
