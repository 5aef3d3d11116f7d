"""Plays a scenario: a voice service and all vendors on loopback in one loop, whose time passes when everybody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from voice import clock, outbox
from voice.context import Context
from voice.profile import LineKind, Profile
from voice.sandbox import virtual
from voice.sandbox.faults import Fault, Faults
from voice.sandbox.hub import Hub
from voice.sandbox.twilio.caller import Action, Cough, HangUp, Press, Speak, Wait, When
from voice.sandbox.twilio.report import Report
from voice.scenario.document import Act, Scenario
from voice.scenario.real_hub import Landed, RealHub, landed
from voice.scenario.world import world
from voice.session import CallSession, Phase

#: A Tuesday morning in winter, at which every scenario begins.
START = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
_EVENT_S, _LOOK_S, _SOON_S, _RARELY_S = 7_200.0, 0.5, 60.0, 20.0


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a call: as its caller and Twilio saw it, as it was kept, and the event (None: none came).

    ``landed`` is what a real hub made of the event.
    """

    scenario: Scenario
    profile: Profile
    report: Report
    session: CallSession | None
    event: dict[str, Any] | None
    faults_left: tuple[Fault, ...]
    landed: Landed | None = None


def play(
    scenario: Scenario,
    *,
    redis_url: str,
    line: LineKind | None = None,
    profile: Profile | None = None,
    hub: RealHub | None = None,
) -> Played:
    """Play one call to its end.

    ``line`` is taken instead of the scenario's. With a real ``hub``, ``profile`` is the tenant as it is set up there;
    the hub's clock is the real one, so the call begins now. Raises NoAnswer where that hub does not answer.
    """
    tenant = profile or scenario.profile(line)
    start = START if hub is None else datetime.now(UTC)
    played = virtual.run(_play(scenario, tenant, redis_url, hub), start=start)
    found = landed(hub, played.report.sid) if hub else None
    if found is None:
        return played
    return replace(played, event=found.event, landed=found)


async def _play(
    scenario: Scenario, profile: Profile, redis_url: str, real: RealHub | None
) -> Played:
    faults = Faults(one.model_dump() for one in scenario.faults)
    async with world(scenario, profile, redis_url, faults=faults, real=real) as (
        phone,
        hub,
        context,
    ):
        if scenario.hub:
            hub.is_down = True
            asyncio.get_running_loop().call_later(scenario.hub.down_for_s, _comes_back, hub)
        report = await phone.call(
            to=profile.number,
            from_=scenario.caller.number or "anonymous",
            forwarded_from=scenario.caller.forwarded_from,
            language=scenario.caller.language,
            caller=[_action(one) for one in scenario.caller.does],
        ).finished()
        event = await _event(hub, context, report.sid)
        session = await context.store.load(report.sid)
        return Played(scenario, profile, report, session, event, tuple(faults.left))


def _comes_back(hub: Hub) -> None:
    hub.is_down = False


async def _event(hub: Hub, context: Context, sid: str) -> dict[str, Any] | None:
    """Wait until the call is finished and nothing of it waits in the outbox; gives the event, if one was taken."""
    began = clock.elapsed()
    spool = outbox.spool_of(context)
    while clock.elapsed() < began + _EVENT_S:
        session = await context.store.load(sid)
        is_done = session is None or session.phase is Phase.DONE
        if is_done and not await asyncio.to_thread(spool.waiting):
            break
        await asyncio.sleep(_LOOK_S if clock.elapsed() < began + _SOON_S else _RARELY_S)
    return hub.events.get(sid)


def _action(act: Act) -> Action:
    when: When = {"after": act.after_s, "hears": act.hears, "over": act.over_s, "at": act.at_s}
    if act.says is not None:
        parts: Sequence[str | float] = (act.says,) if isinstance(act.says, str) else act.says
        return Speak(*parts, language=act.language, **when)
    if act.presses is not None:
        return Press(act.presses, **when)
    if act.coughs_s is not None:
        return Cough(act.coughs_s, **when)
    if act.waits_s is not None:
        return Wait(act.waits_s)
    return HangUp(**when)
