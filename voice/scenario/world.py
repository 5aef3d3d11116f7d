"""Everything that a played call needs, on loopback in the running loop: the service, the vendors, a hub."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from quart import Quart

from voice.app import context_of, create_app
from voice.context import Context
from voice.profile import Profile
from voice.sandbox.anthropic import Anthropic
from voice.sandbox.elevenlabs import Agent, ElevenLabs
from voice.sandbox.faults import Faults
from voice.sandbox.hub import Hub
from voice.sandbox.openai import OpenAI
from voice.sandbox.openai_conversation import Delays
from voice.sandbox.serving import serving
from voice.sandbox.twilio.habits import Habits, Staff
from voice.sandbox.twilio.network import PhoneNetwork
from voice.scenario.document import Scenario
from voice.scenario.real_hub import RealHub
from voice.settings import load as settings

_PUBLIC = "https://voice.example"
#: What people publish of tuned systems: where a turn ends, the last word's text, a voice's first sound, and the
#: first word of a model.
# Source: livekit's least endpointing; field figures of voice agents in their makers' notes (2026-11-30)
PUBLISHED = Habits(end_of_turn_s=0.5, recognition_s=0.05, synthesis_s=0.12)
MODEL_S = 0.25


@dataclass(frozen=True, slots=True)
class Pacing:
    """How long the vendors take; a bench draws it."""

    habits: Habits = PUBLISHED
    model_s: float | Callable[[], float] = MODEL_S
    openai: Delays = field(default_factory=Delays)


@asynccontextmanager
async def world(
    scenario: Scenario,
    profile: Profile,
    redis_url: str,
    *,
    faults: Faults | None = None,
    real: RealHub | None = None,
    pacing: Pacing | None = None,
) -> AsyncIterator[tuple[PhoneNetwork, Hub, Context]]:
    """Run a voice service for one tenant, all vendors, and a hub unless there is a real one."""
    faults, pacing = faults or Faults(()), pacing or Pacing()
    caller = scenario.caller
    known = {caller.number: caller.known} if caller.number and caller.known else {}
    hub = Hub(profile, callers=known, times=scenario.times)
    phone = PhoneNetwork(
        public_url=_PUBLIC, faults=faults, staff=_staff(scenario), habits=pacing.habits
    )
    anthropic = Anthropic(faults=faults, first_s=pacing.model_s)
    openai = OpenAI(faults=faults, speaks_with_tools=True, delays=pacing.openai)
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
