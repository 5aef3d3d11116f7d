"""A voice service with everything round it: Twilio, a hub and Anthropic in miniature, all in the loop that runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quart import Quart, Response, request

from voice import clock
from voice.app import context_of, create_app
from voice.context import Context
from voice.profile import Profile
from voice.sandbox.anthropic import Anthropic
from voice.sandbox.faults import Faults
from voice.sandbox.serving import serving
from voice.sandbox.twilio.network import PhoneNetwork
from voice.settings import load

PUBLIC = "https://voice.example"
NUMBER = "+14155550100"
CALLER = "+14155550132"
ACCOUNT = "AC" + "0" * 31 + "1"


def profile_of(**changed: Any) -> Profile:
    """Give a tenant's profile."""
    usual = {
        "tenant_id": "ten_1",
        "number": NUMBER,
        "name": "Harbor Home Services",
        "vertical": "home services",
        "timezone": "America/New_York",
        "consent": "none",
        "records": False,
    }
    return Profile(**{**usual, **changed})


@dataclass
class SmallHub:
    """The hub's side of the contract, as far as a call needs it."""

    profiles: dict[str, Profile] = field(default_factory=dict)
    callers: dict[str, dict[str, Any]] = field(default_factory=dict)
    times: list[str] = field(default_factory=list)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    tools: dict[str, list[Any]] = field(default_factory=dict)
    recordings: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_down: bool = False

    def app(self) -> Quart:
        """Make it an app."""
        app = Quart("hub")

        @app.before_request
        async def look() -> Response | None:
            self.asked.append(f"{request.method} {request.path}")
            return Response("down", 503) if self.is_down else None

        @app.get("/v1/voice/lines/<number>")
        async def line(number: str) -> Any:
            found = self.profiles.get(number)
            return found.model_dump(mode="json") if found else ({"title": "none"}, 404)

        @app.get("/v1/voice/callers")
        async def callers() -> Any:
            found = self.callers.get(request.args["phone"])
            return found or ({"title": "none"}, 404)

        @app.get("/v1/voice/times")
        async def times() -> Any:
            return {"times": self.times, "timezone": "America/New_York"}

        @app.post("/v1/voice/calls/<call>/tools")
        async def tools(call: str) -> Any:
            self.tools[call] = (await request.get_json())["calls"]
            return {}

        @app.put("/v1/voice/calls/<call>/recording")
        async def recording(call: str) -> Any:
            self.recordings[call] = await request.get_data()
            return {}

        @app.post("/v1/events")
        async def events() -> Any:
            body = await request.get_json(force=True)
            self.events[body["id"]] = body
            return {"id": body["id"]}, 202

        return app


@dataclass
class World:
    """What a test can look at."""

    phone: PhoneNetwork
    hub: SmallHub
    anthropic: Anthropic
    context: Context
    at: str

    async def call(self, *caller: Any, to: str = NUMBER, **how: Any) -> Any:
        """Place a call and give its report when it is over."""
        return await self.phone.call(
            to=to, caller=caller, from_=how.pop("from_", CALLER), **how
        ).finished()

    async def session(self, sid: str) -> Any:
        """Give a call as it is stored."""
        return await self.context.store.load(sid)


@asynccontextmanager
async def world(
    redis_url: str,
    folder: Path,
    *,
    profile: Profile | None = None,
    faults: list[dict[str, Any]] | None = None,
    anthropic: Anthropic | None = None,
    has_model: bool = False,
    staff: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """Serve everything while the block runs. Faults are Twilio's; those of Anthropic are its own."""
    hub = SmallHub(profiles={NUMBER: profile or profile_of()})
    mind = anthropic or Anthropic()
    phone = PhoneNetwork(
        public_url=PUBLIC, account_sid=ACCOUNT, faults=Faults(faults or ()), staff=staff or {}
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(phone.open())
        hub_at = await stack.enter_async_context(serving(hub.app()))
        mind_at = await stack.enter_async_context(serving(mind.app()))
        app = create_app(
            load(
                **{
                    "data_dir": folder,
                    "voice_public_url": PUBLIC,
                    "hub_url": f"http://{hub_at}",
                    "voice_token": "t" * 40,
                    "redis_url": redis_url,
                    "twilio_account_sid": ACCOUNT,
                    "twilio_auth_tokens": phone.auth_token,
                    "twilio_base_url": phone.rest_url,
                    "anthropic_api_key": mind.key if has_model or anthropic else None,
                    "anthropic_base_url": f"http://{mind_at}",
                    **settings,
                }
            )
        )
        at = await stack.enter_async_context(serving(app))
        phone.connect(at)
        phone.number(NUMBER)
        yield World(phone, hub, mind, context_of(app), at)


def frames(report: Any, kind: str) -> list[dict[str, Any]]:
    """Give the messages of one type that the application sent."""
    return [
        one.message for one in report.frames if not one.is_ours and one.message.get("type") == kind
    ]


def text_of(report: Any) -> str:
    """Give all that the caller heard."""
    return " ".join(one.text for one in report.heard)


def dumped(session: Any) -> str:
    """Give a session as text, to look for what must not be in it."""
    return json.dumps(str(session)) + str(clock)
