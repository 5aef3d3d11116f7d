"""Twilio in miniature: Media Streams."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest
from quart import websocket

from tests.voice.sandbox.phone_app import EASY, App, play, receive, send, spoken
from voice.sandbox import speech
from voice.sandbox.faults import Faults
from voice.sandbox.speech import Decoder, Ended, Started
from voice.sandbox.twilio.caller import HangUp, Press, Speak

CONNECT = (
    '<Connect><Stream url="wss://voice.example/media" statusCallback="/stream">'
    '<Parameter name="token" value="abc"/></Stream></Connect><Say>leave a message</Say>'
)


class Bridge:
    """The application's side of a stream: says things, and notes what it is told."""

    def __init__(self, on_speech=None):  # noqa: D107 - the class says it
        self.got = []
        self.sid = None
        self.audio = bytearray()
        self.ears = Decoder(0.5)
        self.events = []
        self.on_speech = on_speech

    async def hold(self, first=()):
        """Read until the socket closes; ``first`` is done after the start."""
        while True:
            message = await receive()
            if message["event"] == "media":
                audio = base64.b64decode(message["media"]["payload"])
                self.audio += audio
                self.got.append((message["media"]["timestamp"], len(audio)))
                for event in self.ears.feed(audio):
                    self.events.append(event)
                    if self.on_speech:
                        await self.on_speech(self, event)
                continue
            self.got.append(message)
            if message["event"] == "start":
                self.sid = message["streamSid"]
                for step in first:
                    await step(self)

    async def media(self, audio, size=4000):
        """Send audio in pieces, faster than real time."""
        for at in range(0, len(audio), size):
            payload = base64.b64encode(audio[at : at + size]).decode()
            await send(event="media", streamSid=self.sid, media={"payload": payload})

    def told(self, event):
        """The messages of a kind."""
        return [m for m in self.got if isinstance(m, dict) and m["event"] == event]


def media_app(bridge, *first):
    """An app whose calls are held by the bridge."""

    async def hold():
        await bridge.hold(first)

    return App({"/twilio/voice": CONNECT}, {"/media": hold})


def says(text, seconds, mark=None):
    """A step: send speech, and a mark after it."""

    async def step(bridge):
        await bridge.media(speech.encode(text, seconds))
        if mark:
            await send(event="mark", streamSid=bridge.sid, mark={"name": mark})

    return step


def test_a_stream_begins_with_connected_and_start():
    """Format, tracks and parameters as documented; the status callback hears of start and stop."""
    bridge = Bridge()
    app = media_app(bridge)
    report = play(app, [HangUp(at=1)])
    connected, start = bridge.got[:2]
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["start"]["callSid"] == report.sid
    assert start["start"]["tracks"] == ["inbound"]
    assert start["start"]["mediaFormat"] == {
        "encoding": "audio/x-mulaw",
        "sampleRate": 8000,
        "channels": 1,
    }
    assert start["start"]["customParameters"] == {"token": "abc"}
    assert bridge.got[2:5] == [("0", 160), ("20", 160), ("40", 160)]
    assert bridge.got[-1]["stop"]["callSid"] == report.sid
    assert [form["StreamEvent"] for form in app.forms("/stream")] == [
        "stream-started",
        "stream-stopped",
    ]


def test_the_caller_is_heard_in_real_time():
    """Their words arrive as frames, at the time at which they are said."""
    bridge = Bridge()
    play(media_app(bridge), [Speak("water is leaking", at=1), HangUp(turn=False, after=1)])
    assert bridge.events[0] == Started(1.0)
    assert bridge.events[-1] == Ended(2.5, "water is leaking")


def test_audio_plays_at_its_own_pace_and_marks_come_back_when_it_has():
    """Two seconds sent at once are heard in two seconds; the mark comes at their end."""
    bridge = Bridge()
    report = play(
        media_app(bridge, says("how can I help", 2.0, "one"), says("today sir", 1.0, "two")),
        [HangUp(at=5)],
    )
    assert spoken(report) == [(0.0, 3.0, "how can I help today sir")]
    marks = [frame for frame in report.frames if frame.is_ours and frame.message["event"] == "mark"]
    assert [(m.at_s, m.message["mark"]["name"]) for m in marks] == [(2.0, "one"), (3.0, "two")]
    assert not report.heard[0].cut


def test_clear_empties_the_buffer_and_returns_all_marks_at_once():
    """The caller interrupts; what was heard is known to the word, and nothing plays afterwards."""

    async def barge(bridge, event):
        if isinstance(event, Started):
            await send(event="clear", streamSid=bridge.sid)

    bridge = Bridge(barge)
    report = play(
        media_app(bridge, says("one two three four", 2.0, "a"), says("five six", 1.0, "b")),
        [Speak("stop", over=1.2), HangUp(turn=False, after=2)],
    )
    assert report.heard[0].text == "one two"
    assert report.heard[0].cut
    assert report.cleared == [1.22]  # the frame in which the caller is first heard is sent at 1.22
    assert report.barge_in_s == [pytest.approx(0.02)]
    marks = [frame for frame in report.frames if frame.is_ours and frame.message["event"] == "mark"]
    assert [(m.at_s, m.message["mark"]["name"]) for m in marks] == [(1.22, "a"), (1.22, "b")]
    assert report.after_clear_s == 0


def test_a_clear_in_the_middle_of_a_frame_leaves_what_was_played_before_it():
    """Half a frame was heard; it is not counted as audio after the clear."""

    async def barge(bridge, event):
        if isinstance(event, Started):
            await asyncio.sleep(0.007)
            await send(event="clear", streamSid=bridge.sid)

    report = play(
        media_app(Bridge(barge), says("one two three four", 2.0)),
        [Speak("stop", over=1.2), HangUp(turn=False, after=2)],
    )
    assert report.cleared == [1.227]
    assert report.heard[0].end_s == pytest.approx(1.227)
    assert report.after_clear_s == 0


def test_audio_after_clear_while_the_caller_speaks_is_counted():
    """A stale burst is found out."""

    async def barge(bridge, event):
        if isinstance(event, Started):
            await send(event="clear", streamSid=bridge.sid)
            await bridge.media(speech.encode("stale", 0.5))

    bridge = Bridge(barge)
    report = play(
        media_app(bridge, says("one two three four", 2.0)),
        [Speak("stop talking now please", over=1), HangUp(turn=False, after=2)],
    )
    assert report.after_clear_s == pytest.approx(0.5)


def test_without_clear_the_agent_is_heard_to_the_end():
    """What many bridges get wrong: the buffered seconds go on."""
    report = play(
        media_app(Bridge(), says("one two three four five six", 3.0)),
        [Speak("stop", over=1), HangUp(at=5)],
    )
    assert spoken(report) == [(0.0, 3.0, "one two three four five six")]
    assert report.barge_in_s == [pytest.approx(2.0)]


def test_keys_are_told():
    """A dtmf message each."""
    bridge = Bridge()
    play(media_app(bridge), [Press("1#", at=0.5), HangUp(turn=False)])
    assert [m["dtmf"]["digit"] for m in bridge.told("dtmf")] == ["1", "#"]


def test_frames_of_any_size_carry_the_same_sound():
    """A rough network: 20 to 400 bytes a frame."""
    bridge = Bridge()
    play(
        media_app(bridge),
        [Speak("water is leaking", at=1), HangUp(turn=False, after=1)],
        habits=replace(EASY, frame_bytes=(20, 400)),
    )
    sizes = {size for item in bridge.got if isinstance(item, tuple) for size in [item[1]]}
    assert len(sizes) > 20
    assert bridge.events[-1] == Ended(2.5, "water is leaking")


def test_when_the_application_closes_the_next_verb_is_performed():
    """So it is the place for a fallback; likewise when it refuses."""

    async def close(bridge):
        await websocket.close(1000)

    report = play(media_app(Bridge(), close))
    assert report.heard[0].text == "leave a message"
    report = play(
        media_app(Bridge()), faults=Faults([{"at": "twilio.media.connect", "do": "refuse"}])
    )
    assert report.heard[0].text == "leave a message"
    assert report.errors[0].number == 31920


def test_a_cut_socket_ends_the_stream():
    """The network drops it at the fiftieth message; the next verb is performed."""
    faults = Faults([{"at": "twilio.media", "do": "disconnect", "after": 52}])
    report = play(media_app(Bridge()), faults=faults)
    assert spoken(report)[0][0] == pytest.approx(1.02)


@pytest.mark.parametrize(
    "bad",
    [
        "rubbish",
        '{"event": "shout"}',
        '{"event": "media", "streamSid": "other", "media": {"payload": ""}}',
        '{"event": "media", "streamSid": "$", "media": {}}',
        '{"event": "media", "streamSid": "$", "media": {"payload": "!!!"}}',
        '{"event": "mark", "streamSid": "$"}',
    ],
)
def test_a_bad_message_is_an_error_and_the_stream_goes_on(bad):
    """Error 31951; what follows is played."""

    async def send_bad(bridge):
        await websocket.send(bad.replace("$", bridge.sid))

    report = play(media_app(Bridge(), send_bad, says("still here", 1.0)), [HangUp(at=2)])
    assert [error.number for error in report.errors] == [31951]
    assert report.heard[0].text == "still here"


def test_marks_may_be_late_or_lost():
    """Faults of marks."""
    faults = Faults(
        [{"at": "twilio.mark", "do": "stall", "for_s": 3}, {"at": "twilio.mark", "do": "stop"}]
    )
    bridge = Bridge()
    report = play(
        media_app(bridge, says("a b", 1.0, "one"), says("c d", 1.0, "two")),
        [HangUp(at=6)],
        faults=faults,
    )
    marks = [frame for frame in report.frames if frame.is_ours and frame.message["event"] == "mark"]
    assert [(m.at_s, m.message["mark"]["name"]) for m in marks] == [(4.0, "one")]


def test_a_stream_beside_the_call_goes_one_way():
    """<Start><Stream> gives both tracks while verbs go on, and <Stop> ends it."""
    bridge = Bridge()

    async def hold():
        while True:
            message = await receive()
            bridge.got.append(message)

    app = App(
        {
            "/twilio/voice": '<Start><Stream name="x" url="wss://voice.example/media" track="both_tracks"/></Start>'
            '<Say>hello there</Say><Stop><Stream name="x"/></Stop><Say>more</Say>'
        },
        {"/media": hold},
    )
    play(app)
    tracks = {m["media"]["track"] for m in bridge.got if m["event"] == "media"}
    assert tracks == {"inbound", "outbound"}
    outbound = b"".join(
        base64.b64decode(m["media"]["payload"])
        for m in bridge.got
        if m["event"] == "media" and m["media"]["track"] == "outbound"
    )
    decoder = Decoder(0.3)
    words = [
        e.text for e in decoder.feed(outbound) + decoder.finish() if isinstance(e, speech.Word)
    ]
    assert "".join(words).strip() == "hello there"
    assert bridge.got[-1]["event"] == "stop"


def test_ten_calls_at_once_do_not_disturb_each_other():
    """Each hears its own words at its own exact times."""
    from tests.voice.sandbox.phone_app import NUMBER, phone
    from voice.sandbox import virtual

    async def hold():
        bridge = Bridge()
        await bridge.hold([says("one two three four", 2.0, "m")])

    app = App({"/twilio/voice": CONNECT}, {"/media": hold})

    async def main():
        async with phone(app) as network:
            calls = []
            for number in range(10):
                calls.append(
                    network.call(to=NUMBER, caller=[Speak(f"caller {number}"), HangUp(at=4)])
                )
                await asyncio.sleep(0.037)
            return [await call.finished() for call in calls]

    reports = virtual.run(main())
    assert [spoken(report) for report in reports] == [[(0.0, 2.0, "one two three four")]] * 10
    assert [report.said[0].start_s for report in reports] == [2.4] * 10
