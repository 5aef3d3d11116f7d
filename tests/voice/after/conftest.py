"""What the parts after a call stand on: a context with a spool of its own, and a hub and Twilio in miniature."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.voice.after import hubs
from voice import event, transcript
from voice.context import Context
from voice.dialogue.types import Talk
from voice.hub_api import HubApi
from voice.metrics import Metrics
from voice.profile import LineKind, Profile
from voice.sandbox import virtual
from voice.seal import read_keys
from voice.session import CallSession, Phase, Turn, Voice
from voice.settings import load
from voice.spool import Parcel, Spool
from voice.twilio_rest import TwilioRest

ACCOUNT = "AC" + "0" * 32
#: What :func:`simulate` closes.
CONTEXTS = []
START = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)


def context_for(folder, hub_url, *, twilio_url="http://127.0.0.1:9", store=None, **settings):
    """Give a context whose outbox is in *folder*."""
    made = load(
        data_dir=folder,
        hub_url=hub_url,
        voice_token="t" * 40,
        twilio_account_sid=ACCOUNT,
        twilio_auth_tokens="secret",
        twilio_base_url=twilio_url,
        **settings,
    )
    context = Context(
        settings=made,
        store=store,
        hub=HubApi(hub_url, "t" * 40),
        twilio=TwilioRest(made),
        metrics=Metrics(),
        profiles=None,
        seal=read_keys(None, folder),
    )
    CONTEXTS.append(context)
    return context


def simulate(main, **options):
    """Run on a virtual loop, and close whatever the run has opened."""

    async def run():
        try:
            return await main
        finally:
            for hub in hubs.OPEN:
                await hub.stop()
            for context in CONTEXTS:
                await context.hub.close()
                await context.twilio.close()
                if context.store:
                    await context.store.close()
            hubs.OPEN.clear()
            CONTEXTS.clear()
            await asyncio.sleep(0.1)

    return virtual.run(run(), **options)


def profile_of(**changed):
    """Give a tenant's profile."""
    return Profile(
        **{
            "tenant_id": "ten_1",
            "number": "+14155550100",
            "name": "Harbor Home Services",
            "vertical": "home services",
            "timezone": "America/New_York",
            **changed,
        }
    )


def session_of(*turns, sid="CA" + "1" * 32, profile=None, **changed):
    """Give a call that has ended; *turns* are ("caller", text) or ("agent", text[, heard])."""
    said = [
        Turn(Voice(turn[0]), turn[1], 3.0 * number, 3.0 * number + 2, heard=(*turn, None)[2])
        for number, turn in enumerate(turns)
    ]
    known = {
        "sid": sid,
        "token": "t",
        "profile": profile or profile_of(),
        "started_at": START,
        "line": LineKind.CONVERSATION_RELAY,
        "from_": "+14155550132",
        "to": "+14155550100",
        "ended_at": START + timedelta(seconds=40),
        "duration_s": 40.0,
        "phase": Phase.ENDED,
        "turns": said,
        "status": "completed",
        "talk": Talk(caller_id="+14155550132"),
    }
    return CallSession(**{**known, **changed})


def parcel(name, *, minutes=0, **steps):
    """Give a call's parcel with its event and more steps."""
    document = {
        "specversion": "1.0",
        "id": name,
        "source": "/voice",
        "data": {"said": "chest pain"},
    }
    return Parcel(
        name,
        name,
        "ten_1",
        START + timedelta(minutes=minutes),
        {
            "1-event": json.dumps(document).encode(),
            **{k.replace("_", "-"): v for k, v in steps.items()},
        },
    )


def event_parcel(name):
    """Give a parcel whose event a real hub takes."""
    session = session_of(("caller", "Hi, this is Dana."), sid=name)
    heard = transcript.of(session)
    data = event.completed(session, heard, event.silent(session, heard, None))
    return Parcel(name, name, "ten_1", START, {"1-event": event.envelope(session, data)})


@pytest.fixture
def spool(tmp_path):
    """The spool of the context that *context_for* gives for the test's folder."""
    return Spool(tmp_path / "outbox", read_keys(None, tmp_path))
