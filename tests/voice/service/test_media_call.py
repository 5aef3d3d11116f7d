"""Whole calls over Media Streams: Twilio, the vendors and a hub in miniature."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from quart import Quart

from tests.voice.service.world import profile_of, text_of, world
from voice.sandbox import virtual
from voice.sandbox.elevenlabs import ElevenLabs
from voice.sandbox.faults import Faults
from voice.sandbox.openai import OpenAI
from voice.sandbox.serving import serving
from voice.sandbox.twilio.caller import HangUp, Speak

PROBLEM = "Hi, this is Dana Whitfield, my kitchen tap is leaking."
VENDORS = {"openai": OpenAI, "elevenlabs": ElevenLabs}


@asynccontextmanager
async def vendors(vendor):
    """Serve a vendor, and give the settings that lead to it."""
    app = Quart("vendors")
    app.register_blueprint(vendor.blueprint())
    async with serving(app) as at:
        yield {
            "openai_api_key": "sk-sandbox",
            "openai_base_url": f"ws://{at}",
            "elevenlabs_api_key": "xi-sandbox",
            "elevenlabs_base_url": f"http://{at}",
            "elevenlabs_agent_id": "agent_1",
        }


def held(redis_url, tmp_path, line, vendor, *caller, **how):
    """Hold a call and give report, session and world."""

    async def play():
        profile = profile_of(line=line, **how.pop("profile", {}))
        async with (
            vendors(vendor) as settings,
            world(redis_url, tmp_path, profile=profile, **settings, **how) as made,
        ):
            report = await made.call(*caller)
            return report, await made.session(report.sid), made

    return virtual.run(play())


@pytest.mark.parametrize("line", VENDORS)
def test_a_call_is_answered_understood_and_told_to_the_hub(redis_url, tmp_path, line):
    """From ringing to the event, without a fallback."""
    report, session, made = held(
        redis_url,
        tmp_path,
        line,
        VENDORS[line](),
        Speak(PROBLEM, hears="reason for your call"),
        Speak("Four one five, five five five, oh one three two.", hears="best one"),
        Speak("Yes, that's right.", hears="Is that right?"),
        Speak("No.", hears="urgent"),
        Speak("No, that is all. Goodbye.", hears="anything else"),
    )

    assert session.fallbacks == []
    assert report.errors == []
    assert "Goodbye" in text_of(report) or "goodbye" in text_of(report)
    assert session.talk.slots["name"] == "Dana Whitfield"
    event = made.hub.events[report.sid]["data"]
    assert event["caller"]["name"]["full"] == "Dana Whitfield"
    assert event["callback"]["number"] == "+14155550132"
    assert len(made.hub.tools[report.sid]) == len(session.tools) >= 4


@pytest.mark.parametrize("line", VENDORS)
def test_a_vendor_that_is_gone_in_mid_call_leaves_the_call_to_the_next_line(
    redis_url, tmp_path, line
):
    """What was said is not asked again, and the greeting is not said again."""
    fault = {"at": f"{line}.response", "do": "disconnect", "after": 2 if line == "openai" else 0}
    vendor = VENDORS[line](faults=Faults([fault]))
    report, session, made = held(
        redis_url,
        tmp_path,
        line,
        vendor,
        Speak(PROBLEM, hears="reason for your call"),
        Speak("Yes, it is.", hears="best one"),
        HangUp(),
    )

    assert not vendor.faults.left
    assert session.line == "conversation_relay"
    assert session.failed_lines == [line]
    assert text_of(report).count("I'm the automated assistant") == 1
    assert session.talk.slots["name"] == "Dana Whitfield"
    assert session.talk.slots["number"] == "+14155550132"
    assert report.sid in made.hub.events


def test_a_caller_may_interrupt_at_will(redis_url, tmp_path):
    """As Twilio in miniature measures it: cleared within 250 ms, nothing said over the caller."""
    report, session, _ = held(
        redis_url,
        tmp_path,
        "openai",
        OpenAI(),
        Speak(PROBLEM, over=1.5, hears="Hello"),
        HangUp(),
    )

    assert all(one < 0.25 for one in report.barge_in_s)
    assert len(report.barge_in_s) == 1
    assert session.turns[0].heard
