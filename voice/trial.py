"""Tries of what an admin sets, without a telephone: a rubric on earlier voicemails, an opening, a typed call.

Each question is plain data and is answered from itself alone: nothing is kept, logged or asked of anybody. Questions
come by ``voice.cli_trial``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from mappings.event import Bucket
from voice import dialogue, event, languages, redaction, transcript
from voice.analyse import signals, urgency
from voice.analyse.rubric import Rubric, default_rubric, from_data, to_data
from voice.analyse.signals import Signal
from voice.dialogue.types import (
    Act,
    End,
    Heard,
    HungUp,
    Listen,
    Say,
    SpeakIn,
    Step,
    TakeMessage,
    Talk,
    ToolDone,
    Transfer,
    UseTool,
)
from voice.profile import Profile
from voice.session import CallSession, Turn, Voice
from voice.wording import text_of

_MOST_TOOLS: Final = 8
_MOST_SAID: Final = 60
_WORD_S: Final = 0.4
_PAUSE_S: Final = 0.6


class NotAsked(ValueError):
    """A question that cannot be answered; the message says why and quotes nobody."""


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a question: ``do`` names it, the rest is what it is about. Raises NotAsked."""
    question = _QUESTIONS.get(str(asked.get("do")))
    if question is None:
        raise NotAsked(f"do: one of {', '.join(_QUESTIONS)}")
    try:
        return question(asked)
    except NotAsked:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        # The message of such an error may quote what was asked.
        raise NotAsked(f"{asked['do']}: {type(err).__name__}") from None


@cache
def signal_names() -> Mapping[str, str]:
    """Give every signal that a rubric may name, with what it means in plain words."""
    path = Path(__file__).parent / "analyse" / "lexicon" / "signal_names.toml"
    names = tomllib.loads(path.read_text(encoding="utf-8"))
    return {kind: names[kind] for kind in signals.kinds()} | {
        f"bucket:{bucket}": f"It is about: {bucket.value.replace('_', ' ')}" for bucket in Bucket
    }


def _rubric(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Give the signals that there are, and the trade's rubric."""
    return {
        "signals": dict(signal_names()),
        "rubric": to_data(default_rubric(str(asked["vertical"]))),
    }


def _score(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Score voicemails by a rubric; what a model has heard in them before counts as heard."""
    vertical = str(asked["vertical"])
    rubric, before = _read(asked.get("rubric"), vertical), _read(asked.get("before"), vertical)
    scores = []
    for one in asked["voicemails"]:
        bucket = Bucket(one["bucket"])
        heard = signals.find(str(one["said"]), one.get("language"))
        found = urgency.score(
            _with_kept(heard, one.get("reasons", ()), before, vertical),
            bucket=bucket,
            rubric=rubric,
        )
        scores.append(found.model_dump(mode="json"))
    return {"scores": scores}


def _read(data: Any, vertical: str) -> Rubric:
    return from_data(data) if data else default_rubric(vertical)


def _with_kept(
    heard: Sequence[Signal], reasons: Sequence[Mapping[str, Any]], before: Rubric, vertical: str
) -> list[Signal]:
    """Add the signals of kept reasons, which a model may have heard where the patterns hear nothing."""
    signal_of = {
        line.label: line.signal for line in (*default_rubric(vertical).lines, *before.lines)
    }
    kinds = {one.kind for one in heard}
    more = [
        Signal(signal_of[one["line"]], one.get("evidence") or "", 0)
        for one in reasons
        if one.get("line") in signal_of and not signal_of[one["line"]].startswith("bucket:")
    ]
    return [*heard, *(one for one in more if one.kind not in kinds)]


def _opening(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Say what callers hear first, for each of the tenant's languages."""
    profile = Profile.model_validate(asked["profile"])
    heard = {}
    for tag in profile.languages:
        alone = profile.model_copy(update={"languages": (tag,)})
        call = _Trial(alone)
        call.begin()
        voice = profile.voices.get(tag)
        known = languages.voice_for(tag)
        heard[tag] = {
            "text": " ".join(turn.text for turn in call.turns),
            "name": languages.english_name(tag),
            "voice": [voice.provider, voice.voice] if voice else list(known) if known else None,
        }
    return {"heard": heard}


def _call(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Play a call of which the caller's words are given; with ``is_over``, give the event that comes of it."""
    profile = Profile.model_validate(asked["profile"])
    said = [str(one) for one in asked["said"]][:_MOST_SAID]
    call = _Trial(profile, caller_id=asked.get("caller_id") or None)
    call.begin()
    for text in said:
        call.hear(text)
    found: dict[str, Any] = {
        "turns": [{"who": one.voice.value, "text": one.text} for one in call.turns],
        "language": call.talk.language,
        "notes": call.notes,
        "is_over": call.is_over,
    }
    if (call.is_over or asked.get("is_over")) and said:
        found["event"] = call.event()
    return found


@dataclass(slots=True)
class _Trial:
    """A call in which a clock made of words passes, and tools answer as in a practice without bookings."""

    profile: Profile
    caller_id: str | None = None
    talk: Talk = field(default_factory=Talk)
    turns: list[Turn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_over: bool = False
    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    _passed_s: float = 0.0
    _speaks: str = ""

    def begin(self) -> None:
        self._take(dialogue.begin(self.profile, caller_id=self.caller_id))

    def hear(self, text: str) -> None:
        if self.is_over:
            return
        self._say(Voice.CALLER, text)
        self._take(dialogue.step(self.talk, Heard(text), self.profile))

    def _take(self, step: Step) -> None:
        self.talk = step.talk
        self._speaks = self._speaks or step.talk.language
        waiting: list[Act] = list(step.acts)
        for _ in range(_MOST_TOOLS * 8):
            if not waiting:
                return
            act = waiting.pop(0)
            if isinstance(act, UseTool):
                done = ToolDone(act.tool, act.arguments, self._used(act))
                step = dialogue.step(self.talk, done, self.profile)
                self.talk = step.talk
                waiting = [*step.acts, *waiting]
            else:
                self._do(act)

    def _do(self, act: Act) -> None:
        match act:
            case Say():
                self._say(Voice.AGENT, text_of(act, self._speaks, self.profile))
            case SpeakIn(language=tag):
                self._speaks = tag
            case Transfer(number=number):
                self.notes.append(f"The call would be put through to {number}.")
                self.is_over = True
            case TakeMessage():
                self.notes.append("A message would be recorded now.")
                self.is_over = True
            case End():
                self.is_over = True
            case Listen():
                self._speaks = self.talk.language

    def _used(self, act: UseTool) -> dict[str, Any] | None:
        if act.tool != "offer_times":
            return {"is_known": False}
        zone = ZoneInfo(self.profile.timezone)
        day = self.at.astimezone(zone).replace(hour=9, minute=0, second=0) + timedelta(days=1)
        self.notes.append("Times are made up here; a call asks your calendar.")
        times = [(day + timedelta(hours=hours)).isoformat() for hours in (0, 2, 5)]
        return {"times": times, "timezone": self.profile.timezone}

    def _say(self, voice: Voice, text: str) -> None:
        if not text.strip():
            return
        start = self._passed_s + _PAUSE_S
        self._passed_s = round(start + _WORD_S * max(1, len(text.split())), 2)
        spoken = self._speaks if voice is Voice.AGENT else None
        self.turns.append(Turn(voice, text, round(start, 2), self._passed_s, spoken))

    def event(self) -> dict[str, Any]:
        """Give the data of the event as a call's end makes it, redacted where a call's would be."""
        from voice.analyse import analysis  # noqa: PLC0415  # its models take seconds and most trials need none

        session = CallSession(
            sid="trial",
            token="",
            profile=self.profile,
            started_at=self.at,
            line=self.profile.line,
            from_=self.caller_id,
            to=self.profile.number or None,
            ended_at=self.at + timedelta(seconds=self._passed_s),
            duration_s=self._passed_s,
            talk=replace(dialogue.step(self.talk, HungUp(), self.profile).talk),
            turns=self.turns,
            status="completed",
        )
        heard = transcript.of(session)
        data = analysis.analyse(
            heard.segments,
            call=event.call_of(session),
            received_at=self.at,
            caller_id=self.caller_id,
            language=self.talk.language,
            vertical=self.profile.vertical,
            rubric=event.rubric_of(self.profile),
            timezone=self.profile.timezone,
        )
        whole = redaction.of(session).event(event.completed(session, heard, data))
        return whole.model_dump(mode="json", by_alias=True, exclude_none=True)


_QUESTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "rubric": _rubric,
    "score": _score,
    "opening": _opening,
    "call": _call,
}
