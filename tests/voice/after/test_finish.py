"""A call that is over becomes one event, whatever is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.event import Callback, Event
from tests.voice.after.conftest import START, context_for, profile_of, session_of, simulate
from tests.voice.after.hubs import SmallHub
from voice import event, finish, outbox, transcript
from voice.dialogue.types import KnownCaller, Talk
from voice.profile import LineKind
from voice.session import Phase, Recording, ToolCall, Turn, Voice
from voice.store import SessionStore

DANA = (
    "caller",
    "Hi, this is Dana Whitfield, water is coming through my kitchen ceiling, I need somebody today.",
)
WAV = "https://api.twilio.com/2010-04-01/Accounts/AC0/Recordings/"


@pytest.fixture
def finished(tmp_path, services):
    """Finish a call on a virtual loop; gives the event's data as the hub has it, the hub, and the rest."""

    def run(session, *, meanwhile=None, twilio=None, times=1, **settings):
        async def main():
            hub = await SmallHub().start()
            rest = await SmallHub(answer=twilio or (lambda _: (200, {}))).start()
            context = context_for(tmp_path, hub.url, twilio_url=rest.url, **settings)
            context.store = SessionStore(services.redis_url, context.seal)
            await context.store.save(session)
            if meanwhile:
                context.start(meanwhile(context), name="meanwhile")
            began = asyncio.get_running_loop().time()
            for _ in range(times):
                await finish.ended(context, session)
            took = asyncio.get_running_loop().time() - began
            stored = await context.store.load(session.sid)
            await context.store.forget(session.sid)
            sent = json.loads(hub.events[session.sid]) if session.sid in hub.events else None
            if sent:
                Event.model_validate(sent)
            return sent and sent["data"], hub, rest, stored, took

        return simulate(main())

    return run


def test_a_call_becomes_an_event_with_both_sides(finished):
    """The transcript has both, in order; what of the agent's words was not heard is not in it."""
    data, hub, _, stored, took = finished(
        session_of(
            ("agent", "Harbor Home Services, please tell me your name", "Harbor Home"),
            DANA,
            ("agent", "I will pass that on."),
        )
    )

    assert [(one["speaker"], one["text"]) for one in data["transcript"]["segments"]] == [
        ("agent", "Harbor Home"),
        DANA,
        ("agent", "I will pass that on."),
    ]
    assert data["caller"] == {
        "name": {"full": "Dana Whitfield", "given": "Dana", "family": "Whitfield"},
        "phone": "+14155550132",
        "known": False,
    }
    assert data["callback"]["number"] == "+14155550132"
    assert data["urgency"]["level"] in {"high", "critical"}
    assert data["call"]["duration_s"] == 40.0
    assert data["extra"]["line"] == "conversation_relay"
    assert data["provenance"]["models"]["transcript"] == "line"
    assert json.loads(hub.events[f"CA{'1' * 32}"])["source"] == "/voice"
    assert stored.phase is Phase.DONE
    assert took < 1


def test_what_the_dialogue_settled_wins(finished):
    """Name, confirmed number, chosen time and consents come from the dialogue, and provenance says so."""
    talk = Talk(
        slots={
            "name": "Dana Witfeld",
            "number": "+14155550199",
            "when": "2026-12-02T09:00:00-05:00",
            "service": "Leak repair",
            "sms_consent": "yes",
            "recording_consent": "yes",
        },
        is_number_confirmed=True,
        offered=("2026-12-02T09:00:00-05:00",),
        known=KnownCaller(name="Dana", calls=3),
        wants_person=True,
    )
    data, *_ = finished(session_of(DANA, talk=talk))

    assert data["caller"]["name"]["full"] == "Dana Witfeld"
    assert data["caller"]["known"] is True
    assert data["callback"] == {"number": "+14155550199", "sms_consent": True, "window": {}}
    assert data["appointment"] == {
        "window": {"start": "2026-12-02T14:00:00Z", "end": "2026-12-02T15:00:00Z"},
        "service": "Leak repair",
    }
    assert (
        data["extra"]
        | {
            "wanted_person": True,
            "number_confirmed": True,
            "recording_consent": "yes",
            "offered_times": 1,
        }
        == data["extra"]
    )
    for part in ("name", "callback", "appointment", "sms_consent"):
        assert data["provenance"]["models"][part] == "dialogue"


@pytest.mark.parametrize(
    ("status", "summary"),
    [
        ("completed", "Hung up without a word"),
        ("canceled", "Hung up before anybody answered"),
        ("no-answer", "Nobody answered, and the caller hung up"),
        (None, "Hung up without a word"),
    ],
)
def test_a_caller_who_says_nothing_is_an_event_too(finished, status, summary):
    """Each call is a row."""
    data, *_ = finished(session_of(("agent", "Hello?"), status=status))

    assert data["summary"] == summary
    assert data["bucket"] == "other"
    assert data["extra"]["spoke"] is False
    assert data["callback"]["number"] == "+14155550132"


def test_a_call_without_caller_id_or_anything_else_is_an_event(finished):
    """The session was lost and begun anew by the status callback."""
    data, *_ = finished(
        session_of(from_=None, duration_s=None, ended_at=None, talk=Talk(), line=LineKind.RECORD)
    )

    assert data["summary"] == "Hung up without a word"
    assert "phone" not in data["caller"]


def test_a_call_that_staff_took_is_no_event(finished):
    """Nobody missed it."""
    data, hub, _, stored, _ = finished(session_of(is_answered=True))

    assert data is None
    assert hub.asked == []
    assert stored.phase is Phase.DONE


def test_a_call_that_was_put_through_is_an_event_that_says_so(finished):
    """The agent talked first."""
    data, *_ = finished(session_of(DANA, is_answered=True, transfer_to="+14155550111"))

    assert data["extra"]["transferred"] is True


def test_tool_calls_follow_the_event(finished):
    """The audit log gets them with arguments and results, in order."""
    tools = [
        ToolCall(1, START, "look_up_caller", {"phone": "x"}, {"calls": 1}, None, 3.0),
        ToolCall(2, START, "offer_times", {"from_day": ""}, None, "calendar is away", 9.0),
    ]
    _, hub, *_ = finished(session_of(DANA, tools=tools))

    assert [one.path.rpartition("/")[2] for one in hub.asked] == ["events", "tools"]
    sent = hub.tools["CA" + "1" * 32]
    assert [(one["number"], one["tool"], one["error"]) for one in sent] == [
        (1, "look_up_caller", None),
        (2, "offer_times", "calendar is away"),
    ]


def test_finishing_twice_gives_one_event(finished):
    """The second time there is nothing to do."""
    _, hub, *_ = finished(session_of(DANA), times=3)

    assert len(hub.asked) == 1


def test_a_recording_goes_to_the_hub_and_stands_in_the_event(finished):
    """Its page is the hub's; for tenants without health data it stays at Twilio."""
    made = Recording("RE1", f"{WAV}RE1", 38.0, channels=2)
    data, hub, twilio, *_ = finished(session_of(DANA, recordings=[made]))

    assert data["call"]["recording"] == {
        "id": "RE1",
        "url": f"{hub.url}/voicemails/CA{'1' * 32}/recording",
        "duration_s": 38.0,
    }
    assert list(hub.recordings) == ["CA" + "1" * 32]
    assert [one.method for one in twilio.asked] == ["GET"]


def test_a_recording_that_was_started_is_waited_for(finished):
    """It comes two seconds after the call's end."""
    sid = "CA" + "1" * 32

    async def meanwhile(context):
        await asyncio.sleep(2)
        made = Recording("RE1", f"{WAV}RE1", 38.0, channels=2)
        await context.store.change(sid, lambda one: one.recordings.append(made))

    data, _, _, _, took = finished(session_of(DANA, recording_sid="RE1"), meanwhile=meanwhile)
    assert data["call"]["recording"]["id"] == "RE1"
    assert 2 <= took < 4


def test_a_recording_that_does_not_come_holds_nothing_up(finished):
    """The event is there after six seconds, without."""
    data, _, _, _, took = finished(session_of(DANA, recording_sid="RE1"))

    assert "recording" not in data["call"]
    assert took < 8


def test_health_data_is_redacted_and_the_recording_leaves_twilio(finished):
    """The transcript says that it is redacted; what is needed to call back stays; Twilio is told to delete."""
    profile = profile_of(is_phi=True, vertical="healthcare")
    words = (
        "caller",
        "This is Maria Lopez, date of birth March 3rd 1961. I have chest pain. "  # noqa: ISC004 - one sentence a line
        "My social security number is 078-05-1120. Call 415 555 0147.",
    )
    made = Recording("RE1", f"{WAV}RE1", 38.0, channels=2)
    data, hub, twilio, *_ = finished(session_of(words, profile=profile, recordings=[made]))

    assert data["transcript"]["redacted"] is True
    text = json.dumps([data["transcript"], data["summary"], data["reason"], data["urgency"]])
    for personal in ("Lopez", "1961", "078-05", "555 0147"):
        assert personal not in text
    assert data["caller"]["name"]["full"] == "Maria Lopez"
    assert data["callback"]["number"] == "+14155550147"
    assert "chest pain" in text
    assert list(hub.recordings) == ["CA" + "1" * 32]
    assert [one.method for one in twilio.asked] == ["GET", "DELETE"]


def test_what_twilio_wrote_down_fills_in_where_the_line_was_deaf(finished):
    """A message after the tone is only in the transcription."""
    session = session_of(("agent", "Please leave a message."), line=LineKind.RECORD)
    session.transcribed = [Turn(Voice.CALLER, DANA[1], 10.0, 14.0)]
    data, *_ = finished(session)

    assert data["extra"]["transcript_source"] == "transcription"
    assert data["caller"]["name"]["full"] == "Dana Whitfield"


def test_latencies_are_medians_and_longest(finished):
    """In milliseconds, by stage."""
    session = session_of(DANA, latency={"first_audio": [300.0, 500.0, 2000.0], "barge_in": [90.0]})
    data, *_ = finished(session)

    assert data["latency"]["first_audio"] == 500.0
    assert data["latency"]["first_audio_max"] == 2000.0
    assert data["latency"]["barge_in"] == 90.0
    assert data["latency"]["bucket"] >= 0


def test_fallbacks_of_the_call_stand_in_the_event(finished):
    """So that a doubtful event can be understood."""
    data, *_ = finished(session_of(DANA, fallbacks=["relay:dropped", "relay:dropped"]))

    assert data["provenance"]["fallbacks"] == ["relay:dropped"]


def test_a_call_whose_process_died_is_finished_by_the_watch(tmp_path, services):
    """Nobody told of its end and nobody resumed it: after a minute and a half it is an event."""

    async def main():
        hub = await SmallHub().start()
        context = context_for(tmp_path, hub.url)
        context.store = SessionStore(services.redis_url, context.seal)
        session = session_of(
            DANA,
            sid="CA" + "2" * 32,
            phase=Phase.OPEN,
            ended_at=None,
            owner="dead",
            duration_s=None,
        )
        await context.store.save(session)
        other = SessionStore(services.redis_url, context.seal)
        context.store = other
        watch = asyncio.create_task(finish.keep_watch(context))
        await asyncio.sleep(60)
        assert hub.events == {}
        await asyncio.sleep(60)
        assert list(hub.events) == [session.sid]
        data = json.loads(hub.events[session.sid])["data"]
        assert "call:abandoned" in data["provenance"]["fallbacks"]
        assert data["call"]["duration_s"] == 2.0
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        await other.forget(session.sid)

    simulate(main())


def test_a_full_disk_leaves_the_call_in_redis_and_it_is_finished_later(tmp_path, services):
    """The event comes when there is room again."""

    async def main():
        hub = await SmallHub().start()
        context = context_for(tmp_path, hub.url)
        context.store = SessionStore(services.redis_url, context.seal)
        session = session_of(DANA, sid="CA" + "3" * 32)
        (tmp_path / "outbox").write_text("in the way")
        await context.store.save(session)
        await finish.ended(context, session)
        assert (await context.store.load(session.sid)).phase is Phase.ENDED
        watch = asyncio.create_task(finish.keep_watch(context))
        (tmp_path / "outbox").unlink()
        await asyncio.sleep(60)
        assert list(hub.events) == [session.sid]
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch

    simulate(main())


def test_two_nodes_finish_a_call_once(tmp_path, services):
    """Of two processes that learn of the end at once, one makes the event."""

    async def main():
        hub = await SmallHub().start()
        session = session_of(DANA, sid="CA" + "4" * 32)
        contexts = []
        for node in ("a", "b"):
            context = context_for(tmp_path / node, hub.url)
            context.seal = contexts[0].seal if contexts else context.seal
            context.store = SessionStore(services.redis_url, context.seal)
            contexts.append(context)
        await contexts[0].store.save(session)
        await asyncio.gather(*(finish.ended(one, replace(session)) for one in contexts))
        assert len(hub.asked) == 1

    simulate(main())


def test_a_call_for_a_number_that_nobody_knew_finds_its_tenant_later(tmp_path, services, spool):
    """The hub knows the number an hour later; it has health data, so that the words are redacted before they leave."""

    async def main():
        hub, twilio = SmallHub(), await SmallHub(answer=lambda _: (200, {})).start()
        known = []

        def answer(one):
            if not one.path.startswith("/v1/voice/lines"):
                return hub.take(one), {}
            body = profile_of(tenant_id="ten_9", is_phi=True).model_dump_json().encode()
            return (200, {}, body) if known else (404, {})

        hub.answer = answer
        await hub.start()
        context = context_for(tmp_path, hub.url, twilio_url=twilio.url)
        context.store = SessionStore(services.redis_url, context.seal)
        session = session_of(
            DANA,
            sid="CA" + "5" * 32,
            profile=profile_of(tenant_id=""),
            recordings=[Recording("RE1", f"{WAV}RE1", 38.0)],
        )
        await finish.ended(context, session)
        assert hub.events == {}
        assert "no tenant has the dialled number yet" in spool.one(session.sid).state.problem
        task = asyncio.create_task(outbox.run(context))
        await asyncio.sleep(3600)
        known.append(True)
        await asyncio.sleep(120)
        task.cancel()
        assert spool.waiting() == []
        sent = next(one for one in hub.asked if one.path == "/v1/events")
        assert sent.headers["afterbeep-tenant"] == "ten_9"
        data = json.loads(sent.body)["data"]
        assert data["transcript"]["redacted"] is True
        assert "Whitfield" not in json.dumps(data["transcript"])
        assert [one.method for one in twilio.asked] == ["GET", "DELETE"]

    simulate(main(), start=START + timedelta(days=1))


def test_a_message_after_the_tone_is_kept_where_calls_are_not_recorded(finished):
    """The line failed and the caller left a message: that is theirs to leave."""
    profile = profile_of(records=False)
    made = Recording("RE1", f"{WAV}RE1", 20.0, transcript=DANA[1])
    data, hub, *_ = finished(session_of(profile=profile, recordings=[made]))

    assert list(hub.recordings) == ["CA" + "1" * 32]
    assert data["extra"]["transcript_source"] == "recording"


def test_a_speech_model_that_drops_a_digit_does_not_send_us_abroad():
    """A number of another country, heard by the model alone, is not called back; the caller's own is."""
    session = session_of(line=LineKind.RECORD)
    heard = transcript.of(session, [Turn(Voice.CALLER, "Call me at 415 555, a 132.", 1.0, 5.0)])
    data = event.silent(session, heard, None).model_copy(
        update={"callback": Callback(number="+61415555132")}
    )
    made = event.completed(session, heard, data)

    assert made.callback.number == "+14155550132"
    assert "callback:misheard" in made.provenance.fallbacks
