"""A voice service with one socket and one call, and the vendors in miniature, all in the loop that runs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quart import Quart, websocket

from tests.voice.line.phone import CALL, calling
from voice import clock
from voice.context import Context
from voice.hub_api import HubApi
from voice.line import media_streams
from voice.metrics import Metrics
from voice.profile import Consent, LineKind, Profile
from voice.profiles import Profiles
from voice.sandbox.elevenlabs import ElevenLabs
from voice.sandbox.openai import OpenAI
from voice.sandbox.serving import serving
from voice.seal import read_keys
from voice.session import CallSession
from voice.settings import load
from voice.store import SessionStore
from voice.twilio_rest import TwilioRest

TOKEN = "a-token-of-this-call"
#: Nobody listens there.
NOWHERE = "127.0.0.1:9"


@dataclass
class Service:
    """What a test can look at."""

    context: Context
    session: CallSession
    at: str
    openai: OpenAI
    elevenlabs: ElevenLabs
    phones: list = field(default_factory=list)

    def phone(self, token: str = TOKEN, **habits):
        """Call."""
        return calling(self.at, token, **habits)

    def said(self, voice: str) -> list[str]:
        """Give the turns of one side."""
        return [turn.text for turn in self.session.turns if turn.voice == voice]


def profile(**fields: Any) -> Profile:
    """Make a tenant."""
    given: dict[str, Any] = {
        "tenant_id": "ten_1",
        "number": "+14155550100",
        "name": "Brightsmile",
        "line": LineKind.OPENAI,
        "consent": Consent.NONE,
        "records": False,
        "elevenlabs_agent_id": "agent_1",
    }
    return Profile(**{**given, **fields})


@asynccontextmanager
async def service(
    *,
    redis_url: str = f"redis://{NOWHERE}/0",
    openai: OpenAI | None = None,
    elevenlabs: ElevenLabs | None = None,
    settings: Mapping[str, Any] | None = None,
    **fields: Any,
):
    """Serve the socket and the vendors, with one call that has come in."""
    openai, elevenlabs = openai or OpenAI(), elevenlabs or ElevenLabs()
    vendors = Quart("vendors")
    vendors.register_blueprint(openai.blueprint())
    vendors.register_blueprint(elevenlabs.blueprint())
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        vendor_at = await stack.enter_async_context(serving(vendors))
        made = load(
            data_dir=Path(folder),
            openai_api_key="sk-sandbox",
            openai_base_url=f"ws://{vendor_at}",
            elevenlabs_api_key="xi-sandbox",
            elevenlabs_base_url=f"http://{vendor_at}",
            **(settings or {}),
        )
        context = _context(made, redis_url)
        stack.push_async_callback(context.store.close)
        tenant = profile(**fields)
        session = CallSession(
            sid=CALL,
            token=TOKEN,
            profile=tenant,
            started_at=clock.now(),
            line=tenant.line,
            from_="+14155550132",
            to=tenant.number,
        )
        await context.store.save(session)
        at = await stack.enter_async_context(serving(_app(context)))
        yield Service(context, session, at, openai, elevenlabs)


def _context(settings, redis_url) -> Context:
    metrics = Metrics()
    seal = read_keys(None, settings.data_dir)
    store = SessionStore(redis_url, seal, metrics=metrics)
    hub = HubApi(f"http://{NOWHERE}", None)
    return Context(
        settings=settings,
        seal=seal,
        store=store,
        hub=hub,
        profiles=Profiles(hub, store),
        twilio=TwilioRest(settings),
        metrics=metrics,
    )


def _app(context: Context) -> Quart:
    app = Quart("voice")

    @app.websocket("/twilio/media")
    async def media() -> None:
        await media_streams.serve(websocket, context)

    return app
