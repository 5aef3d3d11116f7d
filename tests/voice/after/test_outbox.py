"""The outbox gives the hub each finished call once, whatever the hub does meanwhile; hours pass on a virtual loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta

from tests.voice.after.conftest import START, context_for, parcel, simulate
from tests.voice.after.hubs import SmallHub
from voice import outbox

TOOLS = json.dumps(
    [
        {
            "number": 1,
            "at": START.isoformat(),
            "tool": "offer_times",
            "arguments": {},
            "result": {"times": []},
            "error": None,
            "ms": 3.5,
            "is_logged": False,
        }
    ]
).encode()


def audio_step(audio=b"", url="/2010-04-01/Accounts/AC0/Recordings/RE1"):
    """Give a recording's step."""
    head = {"sid": "RE1", "url": url, "channels": 2, "type": "audio/wav"}
    return json.dumps(head).encode() + b"\n" + audio


async def until(fact, *, seconds=7200):
    """Wait for a fact; time is the loop's."""
    async with asyncio.timeout(seconds):
        while not fact():  # noqa: ASYNC110 - what it waits for is in files and other ends of sockets
            await asyncio.sleep(0.25)


@contextlib.asynccontextmanager
async def running(context):
    """Let the outbox run in the block."""
    task = asyncio.create_task(outbox.run(context))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def figure(context, name, **labels):
    """Read a figure."""
    return context.metrics.registry.get_sample_value(f"afterbeep_voice_outbox_{name}", labels)


def test_event_then_tools_then_recording_then_deletion(tmp_path, spool):
    """The hub sees a call's parts in order, with the tenant; then Twilio is asked to delete the recording."""

    async def main():
        hub, twilio = await SmallHub().start(), await SmallHub(answer=lambda _: (204, {})).start()
        context = context_for(tmp_path, hub.url, twilio_url=twilio.url)
        spool.put(
            parcel(
                "CA1",
                **{
                    "2_tools": TOOLS,
                    "3_recording_RE1": audio_step(b"RIFF"),
                    "4_delete_RE1": b'{"sid": "RE1"}',
                },
            )
        )

        assert await outbox.post_now(context, "CA1")
        assert [(one.method, one.path) for one in hub.asked] == [
            ("POST", "/v1/events"),
            ("POST", "/v1/voice/calls/CA1/tools"),
            ("PUT", "/v1/voice/calls/CA1/recording"),
        ]
        assert {one.headers["afterbeep-tenant"] for one in hub.asked} == {"ten_1"}
        assert hub.recordings == {"CA1": b"RIFF"}
        assert hub.tools["CA1"][0]["tool"] == "offer_times"
        assert [(one.method, one.path.rpartition("/")[2]) for one in twilio.asked] == [
            ("DELETE", "RE1.json")
        ]
        assert spool.waiting() == []

    simulate(main())


def test_a_hub_that_is_down_for_an_hour_costs_no_call(tmp_path, spool):
    """Calls that end meanwhile are all there within a minute of its return, each once, and none was parked."""

    async def main():
        loop = asyncio.get_running_loop()
        hub = await SmallHub().start()
        context = context_for(tmp_path, hub.url)
        async with running(context):
            await hub.stop()
            for number in range(30):
                spool.put(parcel(f"CA{number}", minutes=number))
                await asyncio.sleep(120)
            assert figure(context, "depth") == 30
            assert figure(context, "oldest_seconds") > 3500
            assert hub.events == {}
            back = loop.time()
            await hub.start()
            await until(lambda: len(hub.events) == 30)
            assert loop.time() - back < 60
            await until(lambda: spool.waiting() == [])
            assert len(hub.asked) == 30
            await asyncio.sleep(5)
            assert figure(context, "depth") == 0
            assert figure(context, "parked") == 0

    simulate(main())


def test_while_the_hub_is_down_it_is_not_asked_all_the_time(tmp_path, spool):
    """With many calls waiting the tries of an hour are few."""
    tries = []

    async def main():
        hub = SmallHub(answer=lambda one: tries.append(one) or (503, {}))
        await hub.start()
        context = context_for(tmp_path, hub.url)
        for number in range(200):
            spool.put(parcel(f"CA{number:03}"))
        async with running(context):
            await asyncio.sleep(3600)

    simulate(main())
    assert 100 < len(tries) < 1500


def test_the_hubs_wish_when_to_try_again_is_kept(tmp_path, spool):
    """Retry-After holds for all calls."""
    at = []

    async def main():
        loop = asyncio.get_running_loop()
        hub = SmallHub()
        hub.answer = lambda _: (
            at.append(loop.time()) or ((429, {"Retry-After": "100"}) if len(at) == 1 else (202, {}))
        )
        await hub.start()
        for number in range(3):
            spool.put(parcel(f"CA{number}"))
        async with running(context_for(tmp_path, hub.url)):
            await until(lambda: spool.waiting() == [])

    simulate(main())
    later = [moment for moment in at if moment - at[0] > 1]
    assert len(later) >= 1
    assert min(later) - at[0] >= 100


def test_one_call_that_the_hub_fails_on_blocks_no_other(tmp_path, spool):
    """Five poisoned calls, older than all others: the others arrive at once."""

    async def main():
        loop = asyncio.get_running_loop()
        hub = SmallHub()
        hub.answer = lambda one: (500, {}) if b"poison" in one.body else (hub.take(one), {})
        await hub.start()
        for number in range(5):
            spool.put(parcel(f"poison{number}"))
        for number in range(20):
            spool.put(parcel(f"CA{number}", minutes=1))
        async with running(context_for(tmp_path, hub.url)):
            await until(lambda: len(hub.events) == 20)
            assert loop.time() < 60
        assert {one.name[:6] for one in spool.waiting()} == {"poison"}

    simulate(main())


def test_what_the_hub_refuses_is_parked_with_the_reason_and_tried_no_more(tmp_path, spool):
    """A 422 would be a 422 for ever; the metric tells somebody, and asking again tries again."""

    async def main():
        hub = SmallHub(answer=lambda _: (422, {}))
        await hub.start()
        context = context_for(tmp_path, hub.url)
        spool.put(parcel("CA1", **{"3_recording_RE1": audio_step(b"RIFF")}))
        async with running(context):
            await asyncio.sleep(3600)
            assert len(hub.asked) == 1
            assert figure(context, "parked") == 1
            assert figure(context, "depth") == 0
            assert figure(context, "steps_total", kind="event", result="parked") == 1
            found = spool.one("CA1")
            assert found.state.parked == "event: the hub answered 422: about:blank"
            hub.answer = None
            found.state.parked, found.state.due = None, 0.0
            spool.note("CA1", found.state)
            await until(lambda: spool.waiting() == [])
            assert list(hub.recordings) == ["CA1"]

    simulate(main())


def test_a_conflict_keeps_the_hubs_event_and_goes_on(tmp_path, spool):
    """Another process made the event too: the hub's stays, and the recording still comes."""

    async def main():
        hub = await SmallHub().start()
        hub.events["CA1"] = b"another body"
        context = context_for(tmp_path, hub.url)
        spool.put(parcel("CA1", **{"3_recording_RE1": audio_step(b"RIFF")}))

        assert await outbox.post_now(context, "CA1")
        assert hub.events["CA1"] == b"another body"
        assert list(hub.recordings) == ["CA1"]

    simulate(main())


def test_a_token_that_is_not_right_yet_is_waited_for(tmp_path, spool):
    """401 and 403 concern the installation, not the call."""

    async def main():
        said = iter([401, 403, 401])
        hub = SmallHub()
        hub.answer = lambda one: (next(said, None) or hub.take(one), {})
        await hub.start()
        spool.put(parcel("CA1"))
        async with running(context_for(tmp_path, hub.url)):
            await until(lambda: spool.waiting() == [])
        assert list(hub.events) == ["CA1"]

    simulate(main())


def test_an_answer_that_is_lost_on_its_way_leads_to_the_same_event_again(tmp_path, spool):
    """The line is cut after the hub took it: the same bytes are sent again, and known."""

    async def main():
        hub = SmallHub()
        cut = iter([True])
        hub.answer = lambda one: None if hub.take(one) and next(cut, False) else (200, {})
        await hub.start()
        spool.put(parcel("CA1"))
        async with running(context_for(tmp_path, hub.url)):
            await until(lambda: spool.waiting() == [])
        assert len({one.body for one in hub.asked}) == 1
        assert len(hub.asked) == 2

    simulate(main())


def test_a_recording_that_is_not_ready_is_fetched_later_and_kept_while_the_hub_is_down(
    tmp_path, spool
):
    """Twilio's 404 right after the call is no loss; what was fetched once is not fetched again."""

    async def main():
        said = iter([404, 404, 503])
        twilio = SmallHub()
        twilio.answer = lambda _: (next(said, 200), {})
        await twilio.start()
        hub = SmallHub()
        down = iter([503] * 4)
        hub.answer = lambda one: (
            next(down, hub.take(one)) if one.method == "PUT" else hub.take(one),
            {},
        )
        await hub.start()
        spool.put(parcel("CA1", **{"3_recording_RE1": audio_step()}))
        async with running(context_for(tmp_path, hub.url, twilio_url=twilio.url)):
            await until(lambda: spool.waiting() == [])
        assert len(twilio.asked) == 4
        assert "RequestedChannels=2" in twilio.asked[0].path
        assert hub.recordings["CA1"] == b"{}"

    simulate(main())


def test_a_recording_that_never_comes_is_parked_after_half_an_hour(tmp_path, spool):
    """The event is in the hub all the same."""

    async def main():
        twilio = await SmallHub(answer=lambda _: (404, {})).start()
        hub = await SmallHub().start()
        spool.put(parcel("CA1", **{"3_recording_RE1": audio_step()}))
        async with running(context_for(tmp_path, hub.url, twilio_url=twilio.url)):
            await until(lambda: (spool.one("CA1").state.parked or "") != "")
        assert spool.one("CA1").state.parked == "recording: Twilio does not give the recording RE1"
        assert list(hub.events) == ["CA1"]

    simulate(main(), limit=timedelta(hours=2))


def test_a_damaged_step_is_parked_and_the_next_call_goes(tmp_path, spool):
    """A flipped bit on disk costs its own call and is told of."""

    async def main():
        hub = await SmallHub().start()
        spool.put(parcel("CA1"))
        spool.put(parcel("CA2", minutes=1))
        (spool.folder / "call-CA1" / "1-event").write_bytes(b"\x01\x05local" + b"x" * 40)
        async with running(context_for(tmp_path, hub.url)):
            await until(lambda: list(hub.events) == ["CA2"])
            await until(lambda: spool.one("CA1").state.parked)

    simulate(main())


def test_several_posters_on_one_folder_send_each_call_once(tmp_path, spool):
    """Two services of one machine share the work."""

    async def main():
        hub = await SmallHub().start()
        for number in range(40):
            spool.put(parcel(f"CA{number}"))
        async with running(context_for(tmp_path, hub.url)), running(context_for(tmp_path, hub.url)):
            await until(lambda: spool.waiting() == [])
        assert len(hub.events) == len(hub.asked) == 40

    simulate(main())
