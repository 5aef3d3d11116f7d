"""Plays a scenario: a voice service and all vendors on loopback in one loop, whose time passes when everybody waits."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quart import Quart

from voice import clock, outbox
from voice.app import context_of, create_app
from voice.context import Context
from voice.profile import LineKind, Profile
from voice.sandbox import virtual
from voice.sandbox.anthropic import Anthropic
from voice.sandbox.elevenlabs import Agent, ElevenLabs
from voice.sandbox.faults import Fault, Faults
from voice.sandbox.hub import Hub
from voice.sandbox.openai import OpenAI
from voice.sandbox.serving import serving
from voice.sandbox.twilio.caller import Action, Cough, HangUp, Press, Speak, Wait, When
from voice.sandbox.twilio.habits import Habits, Staff
from voice.sandbox.twilio.network import PhoneNetwork
from voice.sandbox.twilio.report import Report
from voice.scenario.document import Act, Scenario
from voice.scenario.real_hub import Landed, RealHub, landed
from voice.session import CallSession, Phase
from voice.settings import load as settings

#: A Tuesday morning in winter, at which every scenario begins.
START = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
_PUBLIC = "https://voice.example"
_EVENT_S, _LOOK_S, _SOON_S, _RARELY_S = 7_200.0, 0.5, 60.0, 20.0
#: What people publish of tuned systems: where a turn ends, the last word's text, a voice's first sound.
# Source: livekit's least endpointing; field figures in design notes of voice agents (2026-11-30)
PUBLISHED = Habits(end_of_turn_s=0.5, recognition_s=0.05, synthesis_s=0.12)
MODEL_S = 0.25


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
    async with _world(scenario, profile, redis_url, faults, real) as (phone, hub, context):
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


@asynccontextmanager
async def _world(
    scenario: Scenario, profile: Profile, redis_url: str, faults: Faults, real: RealHub | None
) -> AsyncIterator[tuple[PhoneNetwork, Hub, Context]]:
    caller = scenario.caller
    known = {caller.number: caller.known} if caller.number and caller.known else {}
    hub = Hub(profile, callers=known, times=scenario.times)
    phone = PhoneNetwork(
        public_url=_PUBLIC, faults=faults, staff=_staff(scenario), habits=PUBLISHED
    )
    anthropic = Anthropic(faults=faults, first_s=MODEL_S)
    openai = OpenAI(faults=faults, speaks_with_tools=True)
    agents = (Agent(agent_id=profile.elevenlabs_agent_id),) if profile.elevenlabs_agent_id else ()
    elevenlabs = ElevenLabs(faults=faults, agents=agents or (Agent(),))
    vendors = Quart("vendors", static_folder=None)
    vendors.register_blueprint(openai.blueprint())
    vendors.register_blueprint(elevenlabs.blueprint())
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="afterbeep-"))
        await stack.enter_async_context(phone.open())
        hub_at = await stack.enter_async_context(serving(hub.app()))
        mind_at = await stack.enter_async_context(serving(anthropic.app()))
        vendors_at = await stack.enter_async_context(serving(vendors))
        app = create_app(
            settings(
                data_dir=Path(folder),
                voice_public_url=_PUBLIC,
                hub_url=real.url if real else f"http://{hub_at}",
                voice_token=real.token if real else hub.token,
                redis_url=redis_url,
                twilio_account_sid=phone.account_sid,
                twilio_auth_tokens=phone.auth_token,
                twilio_base_url=phone.rest_url,
                anthropic_api_key=anthropic.key if scenario.model != "none" else None,
                anthropic_base_url=f"http://{mind_at}",
                openai_api_key=openai.api_key,
                openai_base_url=f"ws://{vendors_at}",
                elevenlabs_api_key=elevenlabs.api_key,
                elevenlabs_base_url=f"http://{vendors_at}",
                elevenlabs_agent_id=elevenlabs.agents[0].agent_id,
            )
        )
        phone.connect(await stack.enter_async_context(serving(app)))
        phone.number(profile.number)
        yield phone, hub, context_of(app)


def _staff(scenario: Scenario) -> dict[str, Staff]:
    return {
        number: Staff(answers_after_s=one.answers_after_s, talks_s=one.talks_s, is_busy=one.is_busy)
        for number, one in scenario.staff.items()
    }


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
