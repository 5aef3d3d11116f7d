"""The tools that a model may use: what it is told of them, what it may not do, and the record."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from voice import tools
from voice.dialogue.types import KnownCaller, Stage, Talk
from voice.profile import Emergency, LineKind, Profile, Staff
from voice.sandbox import virtual
from voice.session import CallSession

TIMES = ("2026-12-01T10:00:00-08:00", "2026-12-02T09:00:00-08:00")


class Hub:
    """A hub that answers after a while, or not at all."""

    def __init__(self, known=None, times=TIMES, wait=0.0, error=None):
        """Answer so, after so long."""
        self.known, self.given, self.wait, self.error = known, times, wait, error
        self.asked = []

    async def caller(self, tenant_id, phone):
        """Give who is known."""
        self.asked.append((tenant_id, phone))
        await self._answer()
        return self.known

    async def times(self, tenant_id, *, duration_minutes=60, start=None, days=7):
        """Give the times."""
        self.asked.append((tenant_id, start, days, duration_minutes))
        await self._answer()
        return self.given

    async def _answer(self):
        await asyncio.sleep(self.wait)
        if self.error:
            raise self.error


def tenant(**changes) -> Profile:
    """A line with everything that tools need."""
    plain = {
        "tenant_id": "t1",
        "number": "+14155550100",
        "name": "Harbor Plumbing",
        "timezone": "America/Los_Angeles",
        "offers_times": True,
        "staff": Staff(transfer_to="+14155550111"),
    }
    return Profile(**(plain | changes))


def a_session(profile, **talk) -> CallSession:
    """A call that has just begun."""
    return CallSession(
        sid="CA1",
        token="x",
        profile=profile,
        started_at=datetime(2026, 12, 1, tzinfo=UTC),
        line=LineKind.CONVERSATION_RELAY,
        from_="+14155550132",
        talk=Talk(stage=Stage.REASON, caller_id="+14155550132", near="+14155550132", **talk),
    )


def run(name, arguments, *, profile=None, session=None, hub=None):
    """Run one tool in time that passes by itself."""
    profile = profile or tenant()
    session = session or a_session(profile)
    return virtual.run(
        tools.run(name, arguments, profile=profile, session=session, hub=hub or Hub())
    )


def test_a_model_is_told_only_of_tools_that_can_do_something():
    """No transfer without a number, no times without a calendar; saving is always there."""
    bare = tenant(offers_times=False, staff=Staff())

    assert [tool.name for tool in tools.surface(bare)] == [
        "save_slot",
        "note_language",
        "look_up_caller",
        "end_call",
    ]
    assert {"offer_times", "book", "transfer"} <= {tool.name for tool in tools.surface(tenant())}
    assert [tool.name for tool in tools.surface(tenant(tools=()))] == ["save_slot", "note_language"]
    assert [tool.name for tool in tools.surface(tenant(tools=("rm_rf",)))] == [
        "save_slot",
        "note_language",
    ]


def test_each_vendor_gets_its_own_form():
    """The same tools, strict where the vendor can be."""
    profile = tenant()
    anthropic, openai, elevenlabs = (
        form(profile) for form in (tools.for_anthropic, tools.for_openai, tools.for_elevenlabs)
    )

    assert [each["name"] for each in anthropic] == [each["name"] for each in openai]
    assert [each["name"] for each in anthropic] == [each["name"] for each in elevenlabs]
    assert all(
        each["strict"] and each["input_schema"]["additionalProperties"] is False
        for each in anthropic
    )
    assert all(
        each["type"] == "function" and each["parameters"]["type"] == "object" for each in openai
    )
    assert all(each["type"] == "client" and each["expects_response"] for each in elevenlabs)
    assert json.loads(json.dumps([anthropic, openai, elevenlabs]))
    for each in anthropic:
        assert each["input_schema"]["required"] == list(each["input_schema"]["properties"])


def test_a_number_is_saved_in_full():
    """As E.164, with the caller's country; or refused."""
    assert (
        run("save_slot", {"slot": "number", "value": "415 555 0133"}).result["value"]
        == "+14155550133"
    )
    assert (
        run(
            "save_slot",
            '{"slot": "number", "value": "four one five five five five oh one three three"}',
        ).result["value"]
        == "+14155550133"
    )
    assert "Ask the caller" in run("save_slot", {"slot": "number", "value": "soon"}).error


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("save_slot", {"slot": "recording_consent", "value": "yes"}, "slot"),
        ("save_slot", {"slot": "name"}, "value"),
        ("save_slot", {"slot": "name", "value": "x", "to": "y"}, "to"),
        ("save_slot", {"slot": "name", "value": "x" * 301}, "value"),
        ("save_slot", {"slot": "urgency", "value": "very"}, "urgency"),
        ("save_slot", "{not json", "JSON"),
        ("save_slot", ["name"], "object"),
        ("transfer", {"reason": "x", "number": "+19005550100"}, "number"),
        ("book", {"start": TIMES[0]}, "not offered"),
        ("offer_times", {"from_day": "tomorrow"}, "from_day"),
        ("offer_times", {"from_day": "2026-02-31"}, "calendar"),
        ("note_language", {"language": "tlh"}, "language"),
        ("delete_everything", {}, "no tool"),
        ("save_slot", {"slot": "name", "value": {"a": "b" * 5000}}, "too long"),
    ],
)
def test_what_a_tool_cannot_take_gives_an_error_that_a_model_can_read(name, arguments, told):
    """And it is noted like any other call."""
    profile = tenant()
    session = a_session(profile)
    outcome = run(name, arguments, profile=profile, session=session)

    assert outcome.result is None
    assert told in outcome.error
    assert json.loads(outcome.for_model()) == {"error": outcome.error}
    assert session.tools[0].error == outcome.error


def test_every_run_is_noted_with_its_time():
    """In order, with arguments, result, and how long it took."""
    profile = tenant()
    session = a_session(profile)
    run("offer_times", {"from_day": ""}, profile=profile, session=session, hub=Hub(wait=0.25))
    run("note_language", {"language": "es"}, profile=profile, session=session)

    assert [(call.number, call.tool) for call in session.tools] == [
        (1, "offer_times"),
        (2, "note_language"),
    ]
    assert session.tools[0].ms == 250.0
    assert session.tools[0].result == {"times": list(TIMES), "timezone": "America/Los_Angeles"}
    assert session.tools[1].arguments == {"language": "es"}


def test_a_tool_that_takes_too_long_is_given_up():
    """The caller does not wait for a calendar."""
    profile = tenant()
    session = a_session(profile)
    outcome = run(
        "offer_times", {"from_day": ""}, profile=profile, session=session, hub=Hub(wait=60)
    )

    assert "too long" in outcome.error
    assert session.tools[0].ms == 4000.0


def test_a_tool_that_fails_does_not_break_the_call():
    """The model reads that it cannot be done; the reason stays here."""
    outcome = run("look_up_caller", {}, hub=Hub(error=RuntimeError("secret host name")))

    assert "secret" not in outcome.error
    assert outcome.result is None


def test_only_the_caller_is_looked_up():
    """A model cannot ask for another number; it has no argument for one."""
    hub = Hub(KnownCaller(name="Dana", calls=3, last_bucket="billing", last_summary="Invoice"))
    outcome = run("look_up_caller", {}, hub=hub)

    assert hub.asked == [("t1", "+14155550132")]
    assert outcome.result["last_summary"] == "Invoice"
    assert run("look_up_caller", {"phone": "+19995550100"}, hub=hub).error


def test_a_clinic_tells_a_model_nothing_of_earlier_calls():
    """Name and number of calls only."""
    hub = Hub(KnownCaller(name="Dana", calls=3, last_summary="Test results"))

    assert run("look_up_caller", {}, profile=tenant(is_phi=True), hub=hub).result == {
        "is_known": True,
        "name": "Dana",
        "calls": 3,
    }


def test_a_withheld_or_unknown_caller_is_told_as_such():
    """Both are answers."""
    profile = tenant()
    session = a_session(profile)
    session.from_, session.talk = None, replace(session.talk, caller_id=None)

    assert "withheld" in run("look_up_caller", {}, profile=profile, session=session).error
    assert run("look_up_caller", {}).result == {"is_known": False}


def test_a_time_is_booked_only_if_it_was_offered():
    """Exactly as it was given."""
    profile = tenant()
    session = a_session(profile, offered=TIMES)

    assert run("book", {"start": TIMES[1]}, profile=profile, session=session).result == {
        "start": TIMES[1],
        "status": "noted",
    }


def test_no_call_ends_or_leaves_before_the_emergency_text_was_heard():
    """Whatever the caller made the model believe."""
    profile = tenant()
    early = a_session(profile, emergency="emergency_medical")
    later = a_session(profile, emergency="emergency_medical", is_emergency_heard=True)

    for name, arguments in (("end_call", {}), ("transfer", {"reason": "x"})):
        assert "emergency" in run(name, arguments, profile=profile, session=early).error
        assert run(name, arguments, profile=profile, session=later).error is None


def test_nobody_is_put_through_to_a_number_that_there_is_not():
    """The emergency number is for emergencies."""
    profile = tenant(staff=Staff(), emergency=Emergency(number="+14155550112"))

    assert run("transfer", {"reason": "x"}, profile=profile).error


def test_tools_run_out():
    """A model that goes round in circles is stopped."""
    profile = tenant()
    session = a_session(profile)

    async def many():
        for _ in range(tools.MOST_CALLS + 1):
            last = await tools.run("end_call", {}, profile=profile, session=session, hub=None)
        return last

    assert "No more tools" in virtual.run(many()).error


def test_recorded_calls_can_be_run_again():
    """The same comes of them, unless the world has changed; nothing of the session does."""
    profile = tenant()
    session = a_session(profile)

    async def first():
        for name, arguments in (
            ("save_slot", {"slot": "number", "value": "415 555 0133"}),
            ("offer_times", {"from_day": "2026-12-01"}),
            ("note_language", {"language": "tlh"}),
        ):
            await tools.run(name, arguments, profile=profile, session=session, hub=Hub())
        session.talk = replace(session.talk, offered=TIMES)
        await tools.run("book", {"start": TIMES[0]}, profile=profile, session=session, hub=Hub())
        session.talk = replace(session.talk, offered=())

    virtual.run(first())

    def again(hub):
        return virtual.run(tools.replay(session.tools, profile=profile, session=session, hub=hub))

    assert [each.is_same for each in again(Hub())] == [True, True, True, True]
    assert [each.is_same for each in again(Hub(times=()))] == [True, False, True, True]
    assert len(session.tools) == 4
