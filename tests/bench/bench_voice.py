"""How long callers wait, with many calls at once and vendors whose delays are drawn from what is published of them.

Three measurements of whole calls on loopback, in one process:

- from the caller's last sound to the agent's first, and from the caller's first sound within the agent's speech to its
  silence: in virtual time, with drawn delays: fifty calls over ConversationRelay with a model, ten over OpenAI's
  Realtime model (their sound, a hundred frames a second and call, is what takes long);
- our own share: from a message of Twilio's being there to the first word being sent, in calls without a model, so that
  nobody else is waited for; in real time, and as processor time of the thread, which other programs do not lengthen;
- memory for each call that is held.

The distributions are log-normal (median, 95th percentile) and stand in ``DELAYS``; where they come from is in
voice/README.md.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import structlog

from voice.analyse import analysis
from voice.dialogue import load
from voice.line import conversation_relay
from voice.line.sockets import Socket
from voice.profile import LineKind
from voice.sandbox import virtual
from voice.sandbox.openai_conversation import Delays
from voice.sandbox.redis import running
from voice.sandbox.twilio.caller import Action, Speak
from voice.sandbox.twilio.habits import Habits
from voice.sandbox.twilio.report import Report
from voice.scenario.document import Caller, Scenario
from voice.scenario.world import Pacing, world

#: Seconds: (median, 95th percentile).
DELAYS = {
    "end of turn": (0.30, 0.45),
    "last word's text": (0.05, 0.12),
    "model's first word": (0.25, 0.50),
    "voice's first sound": (0.12, 0.20),
    "realtime model's first sound": (0.30, 0.50),
}
CALLS = 50
_FEW = 10
_APART_S = 0.37
_P95 = 1.645
_WORDS = (
    Speak("Hi, this is Dana Whitfield, I would like a quote for a new kitchen tap."),
    Speak("Yes, this number is the best."),
    Speak("No, it is not urgent."),
    Speak("No, that is all, goodbye."),
)
_OVER = Speak(
    "Sorry, this is Dana Whitfield, I would like a quote for a new kitchen tap.",
    hears="automated",
    over=1.0,
)


def _drawn(name: str, chance: random.Random) -> Callable[[], float]:
    median, high = DELAYS[name]
    return lambda: chance.lognormvariate(math.log(median), math.log(high / median) / _P95)


class _Habits(Habits):
    """Twilio's side, drawn anew each time that it is looked at."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        draws = {
            "end_of_turn_s": _drawn("end of turn", chance),
            "recognition_s": _drawn("last word's text", chance),
            "synthesis_s": _drawn("voice's first sound", chance),
        }
        object.__setattr__(self, "draws", draws)

    def __getattribute__(self, name: str) -> Any:
        if name in {"end_of_turn_s", "recognition_s", "synthesis_s"}:
            return object.__getattribute__(self, "draws")[name]()
        return object.__getattribute__(self, name)


class _Delays(Delays):
    """OpenAI's side; its silence before the end of a turn is ours to set."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        object.__setattr__(self, "draw", _drawn("realtime model's first sound", chance))

    def __getattribute__(self, name: str) -> Any:
        if name == "think_s":
            return object.__getattribute__(self, "draw")()
        return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of calls that were held at once."""

    reports: list[Report]
    own_ms: list[float]
    own_cpu_ms: list[float]
    memory_mb: float


def measure() -> dict[str, Any]:
    """Give the figures by name."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    analysis.load()
    load()
    with running() as redis_url:
        relay = _held(redis_url, LineKind.CONVERSATION_RELAY, CALLS, model="scripted")
        openai = _held(redis_url, LineKind.OPENAI, _FEW)
        own = {
            calls: _held(redis_url, LineKind.CONVERSATION_RELAY, calls)
            for calls in (1, _FEW, CALLS)
        }
    waits = {"relay": _waits(relay.reports), "openai": _waits(openai.reports)}
    cuts = {"relay": _cuts(relay.reports), "openai": _cuts(openai.reports)}
    return {
        "voice": {
            **{
                f"{line}_{key}": value
                for line, found in waits.items()
                for key, value in found.items()
            },
            **{
                f"{line}_{key}": value
                for line, found in cuts.items()
                for key, value in found.items()
            },
            "after_clear_ms": round(
                sum(one.after_clear_s for run in (relay, openai) for one in run.reports) * 1_000, 1
            ),
            **{f"own_p95_ms_at_{calls}": _rank(run.own_ms, 0.95) for calls, run in own.items()},
            **{
                f"own_cpu_p95_ms_at_{calls}": _rank(run.own_cpu_ms, 0.95)
                for calls, run in own.items()
            },
            "memory_per_call_mb": round(relay.memory_mb / CALLS, 2),
        }
    }


def _waits(reports: list[Report]) -> dict[str, float]:
    found = [wait * 1_000 for one in reports for wait in one.answer_s]
    return {
        "answers": len(found),
        "answer_p50_ms": _rank(found, 0.5),
        "answer_p95_ms": _rank(found, 0.95),
    }


def _cuts(reports: list[Report]) -> dict[str, float]:
    found = [cut * 1_000 for one in reports for cut in one.barge_in_s]
    return {"barge_ins": len(found), "barge_in_p95_ms": _rank(found, 0.95)}


def _rank(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 1)


def _held(redis_url: str, line: LineKind, calls: int, *, model: str = "none") -> Run:
    """Hold so many calls at once; every second one cuts in."""
    chance = random.Random(20_261_201)
    pacing = Pacing(_Habits(chance), _drawn("model's first word", chance), _Delays(chance))
    scenario = Scenario(title="Calls of a bench", about=("bench",), caller=Caller(), model=model)
    own: list[tuple[float, float]] = []
    process = psutil.Process(os.getpid())

    async def play() -> tuple[list[Report], float]:
        async with world(scenario, scenario.profile(line), redis_url, pacing=pacing) as (
            phone,
            _,
            _,
        ):
            before = process.memory_info().rss
            placed = []
            for number in range(calls):
                first: Action = _OVER if number % 2 else _WORDS[0]
                placed.append(
                    phone.call(
                        to=scenario.profile().number,
                        from_=f"+1415555{number:04d}",
                        caller=[first, *_WORDS[1:]],
                    )
                )
                await asyncio.sleep(_APART_S)
            held_mb = (process.memory_info().rss - before) / 1e6
            return [await one.finished() for one in placed], held_mb

    with _timed(own):
        reports, memory_mb = virtual.run(play())
    return Run(reports, [one for one, _ in own], [one for _, one in own], memory_mb)


@contextmanager
def _timed(own: list[tuple[float, float]]) -> Iterator[None]:
    """Note how long each answer of ours takes, from Twilio's message to the first word: real, processor time."""
    serve = conversation_relay.serve

    async def timed(websocket: Socket, context: Any) -> None:
        await serve(_Timed(websocket, own), context)

    conversation_relay.serve = timed
    try:
        yield
    finally:
        conversation_relay.serve = serve


class _Timed:
    """A socket with a stopwatch."""

    def __init__(self, socket: Socket, own: list[tuple[float, float]]) -> None:
        self._socket, self._own = socket, own
        self._since: tuple[float, float] | None = None

    async def receive(self) -> str | bytes:
        message = await self._socket.receive()
        if '"type": "prompt"' in str(message) or '"type":"prompt"' in str(message):
            self._since = _clocks()
        return message

    async def send(self, data: str) -> None:
        if self._since is not None and '"text"' in data:
            real, cpu = _clocks()
            began, cpu_began = self._since
            self._own.append(((real - began) * 1_000, (cpu - cpu_began) * 1_000))
            self._since = None
        await self._socket.send(data)

    async def close(self, code: int, reason: str = "") -> None:
        await self._socket.close(code, reason)


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()
