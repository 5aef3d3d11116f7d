"""Twilio in miniature: webhooks, and what each verb does."""

from __future__ import annotations

import asyncio

import pytest

from tests.voice.sandbox.phone_app import App, play, spoken
from voice.sandbox.faults import Faults
from voice.sandbox.twilio.caller import HangUp, Press, Speak, Wait
from voice.sandbox.twilio.habits import Staff
from voice.sandbox.twilio.signing import SharedKey
from voice.sandbox.twilio.twiml import BadTwiml, parse


def test_a_call_is_a_signed_webhook_with_the_documented_parameters():
    """The first request says who calls whom, and the end is told to the status callback."""
    app = App({"/twilio/voice": "<Say>Hello there caller</Say>"})
    report = play(app, call={"forwarded_from": "+14155550199", "caller_name": "DANA"})
    form = app.forms("/twilio/voice")[0]
    assert form["CallSid"] == report.sid
    assert form["CallSid"].startswith("CA")
    assert len(form["CallSid"]) == 34
    assert (form["From"], form["To"]) == ("+14155550132", "+14155550100")
    assert (form["CallStatus"], form["Direction"]) == ("ringing", "inbound")
    assert (form["ForwardedFrom"], form["CallerName"]) == ("+14155550199", "DANA")
    assert form["StirVerstat"] == "TN-Validation-Passed-A"
    assert spoken(report) == [(0.0, 1.5, "Hello there caller")]
    done = app.forms("/twilio/status")[0]
    assert (done["CallStatus"], done["CallDuration"], done["Duration"]) == ("completed", "2", "1")
    assert report.ended_by == "twilio"
    assert report.errors == []


def test_a_shared_key_signs_with_sha256():
    """The SDK accepts the signature by the algorithm that the header names."""
    app = App({"/twilio/voice": "<Hangup/>"}, secret="of-the-key")
    play(app, shared_key=SharedKey("webhooks_sharedkey_1", "of-the-key"))
    assert app.forms("/twilio/voice")


def test_prompts_play_in_order_and_pauses_are_silence():
    """Say, Pause and a looped Say at two words a second."""
    app = App(
        {
            "/twilio/voice": '<Say language="fr-FR">un deux</Say><Pause length="3"/><Say loop="2">x</Say>'
        }
    )
    report = play(app)
    assert spoken(report) == [(0.0, 1.0, "un deux"), (4.0, 4.5, "x"), (4.5, 5.0, "x")]
    assert report.heard[0].language == "fr-FR"


def test_a_caller_who_hangs_up_in_the_middle_hears_whole_words_only():
    """The sentence is cut, and the call is over at once."""
    app = App({"/twilio/voice": "<Say>one two three four five six</Say><Say>never</Say>"})
    report = play(app, [HangUp(over=1.2)])
    assert spoken(report) == [(0.0, 1.2, "one two")]
    assert report.heard[0].cut
    assert (report.ended_by, report.ended_s) == ("caller", 1.2)


def test_redirect_and_relative_addresses():
    """A relative address is resolved against the document's."""
    app = App({"/twilio/voice": "<Redirect>next</Redirect>", "/twilio/next": "<Say>here</Say>"})
    assert play(app).heard[0].text == "here"


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
def test_reject_does_not_answer(reason, status):
    """The call ends without having been answered."""
    app = App({"/twilio/voice": f'<Reject reason="{reason}"/>'})
    report = play(app)
    assert (report.status, report.answered_s) == (status, None)
    assert app.forms("/twilio/status")[0]["CallStatus"] == status


def test_a_webhook_that_fails_goes_to_the_fallback_with_the_error():
    """A 500 is error 11200, told to the fallback address."""
    app = App({"/twilio/voice": lambda _: ("", 500), "/twilio/fallback": "<Say>fallback</Say>"})
    report = play(app)
    form = app.forms("/twilio/fallback")[0]
    assert (form["ErrorCode"], form["ErrorUrl"]) == ("11200", "https://voice.example/twilio/voice")
    assert report.heard[0].text == "fallback"
    assert report.errors[0].number == 11200


def test_a_webhook_has_fifteen_seconds():
    """An answer after sixteen is none."""

    async def slow(form):
        await asyncio.sleep(16)
        return "<Say>late</Say>"

    app = App({"/twilio/voice": slow, "/twilio/fallback": "<Say>in time</Say>"})
    report = play(app)
    assert spoken(report) == [(15.0, 16.0, "in time")]


def test_without_any_twiml_the_caller_hears_twilios_apology():
    """Both addresses fail."""
    app = App({"/twilio/voice": "<Say", "/twilio/fallback": "<Shout>x</Shout>"})
    report = play(app)
    assert "application error" in report.heard[0].text
    assert [error.number for error in report.errors] == [12100, 12200]


@pytest.mark.parametrize(
    ("verbs", "number"),
    [
        ("<Say>", 12100),
        ("<Shout>hello</Shout>", 12200),
        ('<Say loud="true">x</Say>', 12300),
        ('<Record maxLength="a"/>', 12300),
        ("<Gather><Gather/></Gather>", 12200),
        ("<Gather><Record/></Gather>", 12200),
        ("<Say>a<Pause/></Say>", 12200),
        ("text<Say>x</Say>", 12200),
        ("<Connect/>", 12200),
        ('<Connect><Stream url="wss://a.example/x?token=1"/></Connect>', 31920),
        ('<Connect><Stream url="https://a.example/x"/></Connect>', 31920),
        ("<Connect><ConversationRelay/></Connect>", 12500),
        ('<Connect><ConversationRelay url="ws://a.example/x"/></Connect>', 12300),
        ('<Connect><ConversationRelay url="wss://a.example/x" speechTimeout="100"/></Connect>', 12300),
        (f'<Start><Stream url="wss://a.example/x"><Parameter name="a" value="{"x" * 500}"/></Stream></Start>', 12300),
        ('<Gather speechTimeout="auto" speechModel="phone_call"/>', 12300),
        ('<Connect><ConversationRelay url="wss://a/x" language="multi" ttsProvider="Google"/></Connect>', 64101),
        ('<Connect><ConversationRelay url="wss://a/x" language="multi" speechModel="flux2"/></Connect>', 64101),
        ("<Dial/>", 12200),
        ("<Dial><Number>nobody</Number></Dial>", 13224),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Response/>', 12100),
    ],
)  # fmt: skip
def test_a_document_is_read_strictly(verbs, number):
    """What Twilio would log as an error is one, by its number."""
    document = verbs if verbs.startswith("<!") else f"<Response>{verbs}</Response>"
    with pytest.raises(BadTwiml) as caught:
        parse(document)
    assert caught.value.number == number


def test_plain_sockets_are_for_loopback_and_only_when_allowed():
    """ws:// passes by a switch, on 127.0.0.1 only."""
    document = '<Response><Connect><Stream url="ws://{}/x"/></Connect></Response>'
    parse(document.format("127.0.0.1:80"), allow_plain_sockets=True)
    with pytest.raises(BadTwiml):
        parse(document.format("127.0.0.1:80"))
    with pytest.raises(BadTwiml):
        parse(document.format("a.example"), allow_plain_sockets=True)


def test_gather_takes_keys_and_speech_interrupts_its_prompt():
    """Speech cuts the nested prompt; the result is posted with confidence."""
    app = App(
        {
            "/twilio/voice": '<Gather input="dtmf speech" speechTimeout="1" action="/twilio/gathered">'
            "<Say>please tell me your name and number now</Say></Gather>",
            "/twilio/gathered": "<Say>thanks</Say>",
        }
    )
    report = play(app, [Speak("Dana Whitfield", over=1.5)])
    assert spoken(report)[0] == (0.0, 1.5, "please tell me")
    form = app.forms("/twilio/gathered")[0]
    assert form["SpeechResult"] == "Dana Whitfield"
    assert float(form["Confidence"]) > 0.5
    # Two words last 1 s, the silence 1 s, recognition 0.1 s.
    assert report.posts("action")[0].at_s == pytest.approx(3.6)


def test_gather_ends_at_the_finish_key_or_the_count():
    """The key itself is not part of the digits."""
    app = App(
        {
            "/twilio/voice": '<Gather action="/a"/><Say>nothing</Say>',
            "/a": '<Gather numDigits="3" action="/b"/>',
            "/b": "<Hangup/>",
        }
    )
    play(app, [Press("41#", turn=False), Press("5559", turn=False)])
    assert app.forms("/a")[0]["Digits"] == "41"
    assert app.forms("/b")[0]["Digits"] == "555"


def test_gather_without_input_goes_on_unless_asked_to_tell():
    """The attribute actionOnEmptyResult is off by default; the next verb comes after the time-out."""
    app = App(
        {
            "/twilio/voice": '<Gather timeout="3"><Say>hello</Say></Gather>'
            '<Gather timeout="2" actionOnEmptyResult="true" action="/empty"/>',
            "/empty": "<Say>empty</Say>",
        }
    )
    report = play(app)
    assert spoken(report) == [(0.0, 0.5, "hello"), (5.5, 6.0, "empty")]
    assert "Digits" not in app.forms("/empty")[0]


def test_record_ends_with_silence_and_its_file_comes_later():
    """The action knows length and address; the callback comes when the file is ready."""
    app = App(
        {
            "/twilio/voice": '<Record action="/recorded" timeout="4" recordingStatusCallback="/rec"/>',
            "/recorded": "<Say>bye</Say>",
        }
    )

    async def then(network, report):
        import httpx

        from voice.sandbox.speech import Decoder, Word
        from voice.sandbox.twilio.recording import read_wav

        url = app.forms("/rec")[0]["RecordingUrl"]
        async with httpx.AsyncClient(auth=(network.account_sid, network.auth_token)) as client:
            answer = await client.get(url + ".wav")
            events = Decoder(1).feed(read_wav(answer.content)[0])
            heard = "".join(e.text for e in events if isinstance(e, Word))
            assert heard == "water is coming through the ceiling"
            assert (await client.delete(url + ".json")).status_code == 204
            assert (await client.get(url)).status_code == 404
        async with httpx.AsyncClient() as client:
            assert (await client.get(url)).status_code == 401

    report = play(app, [Speak("water is coming through the ceiling", at=1)], then=then)
    form = app.forms("/recorded")[0]
    assert (form["RecordingDuration"], form["Digits"]) == (
        "4",
        "",
    )  # 0.5 s beep, 0.5 s silence, 3 s
    assert report.posts("action")[0].at_s == 8.0
    callback = report.posts("recording")[0]
    assert callback.at_s == 10.0
    assert callback.form["RecordingStatus"] == "completed"
    assert callback.form["RecordingSource"] == "RecordVerb"


def test_record_without_action_asks_its_own_document_again():
    """The documented loop."""
    app = App({"/twilio/voice": '<Say>speak</Say><Record timeout="1"/>'})
    play(app, [Speak("one"), Speak("two"), HangUp()])
    assert [form.get("RecordingDuration") for form in app.forms("/twilio/voice")] == [
        None,
        "1",
        "1",
    ]


def test_an_empty_recording_goes_to_the_next_verb():
    """Nobody speaks: no action, the next verb, status absent."""
    app = App(
        {
            "/twilio/voice": '<Record action="/recorded" playBeep="false" recordingStatusCallback="/rec" '
            'recordingStatusCallbackEvent="completed absent"/><Say>nothing</Say>'
        }
    )
    report = play(app)
    assert spoken(report) == [(5.0, 5.5, "nothing")]
    assert app.forms("/recorded") == []
    assert app.forms("/rec")[0]["RecordingStatus"] == "absent"


def test_hanging_up_in_a_recording_is_told_to_its_action():
    """Digits says hangup; what was said until then is kept."""
    app = App({"/twilio/voice": '<Record action="/recorded"/>'})
    play(app, [Speak("call me back", at=1), HangUp(turn=False, after=0.5)])
    form = app.forms("/recorded")[0]
    assert (form["Digits"], form["CallStatus"]) == ("hangup", "completed")


@pytest.mark.parametrize(
    ("staff", "status", "at"),
    [
        (Staff(answers_after_s=5, talks_s=10), "completed", 15.5),
        (Staff(), "no-answer", 12.5),
        (Staff(is_busy=True), "busy", 0.5),
        (Staff(answers_after_s=20), "no-answer", 12.5),
    ],
)
def test_dial_rings_staff_and_tells_how_it_went(staff, status, at):
    """The action gets DialCallStatus; the rest follows from it."""
    app = App(
        {
            "/twilio/voice": '<Dial timeout="12" answerOnBridge="true" action="/dialled">'
            "<Number>+14155550111</Number></Dial>",
            "/dialled": "<Say>hello</Say>",
        }
    )
    report = play(app, staff={"+14155550111": staff})
    form = app.forms("/dialled")[0]
    assert form["DialCallStatus"] == status
    assert form.get("DialCallDuration") == ("10" if status == "completed" else None)
    assert report.posts("action")[0].at_s == at
    assert report.answered_s == (5.5 if status == "completed" else at)


def test_a_live_call_is_redirected_or_ended_by_the_rest_api():
    """Twiml= replaces what is being performed; Status=completed ends it; afterwards it is 20404."""
    app = App({"/twilio/voice": "<Say>one two three four five six seven eight</Say>"})
    outcome = {}

    async def main():
        import httpx

        from tests.voice.sandbox.phone_app import NUMBER, phone

        async with phone(app) as network:
            call = network.call(to=NUMBER)
            url = f"{network.rest_url}/2010-04-01/Accounts/{network.account_sid}/Calls/{call.sid}.json"
            async with httpx.AsyncClient(auth=(network.account_sid, network.auth_token)) as client:
                await asyncio.sleep(1.2)
                new = "<Response><Say>instead</Say><Pause length='60'/></Response>"
                assert (await client.post(url, data={"Twiml": new})).status_code == 200
                await asyncio.sleep(3)
                await client.post(url, data={"Status": "completed"})
                late = await client.post(url, data={"Twiml": new})
                outcome["late"] = late.status_code, late.json()["code"]
                wrong = await client.post(url.replace("/AC", "/AD"), data={"Twiml": new})
                outcome["wrong"] = wrong.status_code
            return await call.finished()

    from voice.sandbox import virtual

    report = virtual.run(main())
    assert spoken(report) == [(0.0, 1.2, "one two"), (1.2, 1.7, "instead")]
    assert (report.ended_by, report.ended_s) == ("api", 4.2)
    assert outcome == {"late": (404, 20404), "wrong": 404}


def test_transcription_is_posted_by_track():
    """Started, contents of both tracks in order, stopped."""
    import json

    app = App(
        {
            "/twilio/voice": '<Start><Transcription statusCallbackUrl="/trans" track="both_tracks"/></Start>'
            "<Say>who is it</Say><Pause length='5'/>"
        }
    )
    report = play(app, [Speak("it is Dana")])
    forms = app.forms("/trans")
    assert [form["TranscriptionEvent"] for form in forms] == [
        "transcription-started", "transcription-content", "transcription-content", "transcription-stopped",
    ]  # fmt: skip
    assert [form["SequenceId"] for form in forms] == ["1", "2", "3", "4"]
    said = [(f["Track"], json.loads(f["TranscriptionData"])["transcript"]) for f in forms[1:3]]
    assert said == [("outbound_track", "who is it"), ("inbound_track", "it is Dana")]
    assert report.posts("transcription")[1].at_s == pytest.approx(2.1)


def test_a_dual_recording_holds_the_caller_and_the_agent_apart():
    """<Start><Recording> by default has two channels."""
    app = App(
        {
            "/twilio/voice": '<Start><Recording recordingStatusCallback="/rec"/></Start><Say>who is it</Say>'
            "<Pause length='3'/>"
        }
    )

    async def then(network, report):
        from voice.sandbox.speech import Decoder, Word

        recording = network.recordings.by_sid[report.recordings[0]]
        words = [
            "".join(e.text for e in Decoder(1).feed(track) if isinstance(e, Word)).strip()
            for track in recording.audio
        ]
        assert words == ["it is Dana", "who is it"]

    play(app, [Speak("it is Dana")], then=then)
    assert app.forms("/rec")[0]["RecordingChannels"] == "2"


def test_play_fetches_its_sound_and_a_missing_one_is_an_error():
    """A WAV of the sandboxes' speech is heard with its words and its length."""
    from voice.sandbox import speech
    from voice.sandbox.twilio.recording import _wav

    app = App(
        {
            "/twilio/voice": "<Play>/hello.wav</Play><Play>/missing.wav</Play>",
            "/hello.wav": lambda _: (_wav(speech.encode("good day", 1.25), 1), 200),
            "/missing.wav": lambda _: ("", 404),
        }
    )
    app._check = lambda *_: None  # media is fetched without a signature
    report = play(app)
    assert spoken(report) == [(0.0, 1.25, "good day")]
    assert [error.number for error in report.errors] == [11200]


def test_faults_of_webhooks_and_callbacks():
    """A doubled webhook, a callback that comes late and one that never comes."""
    app = App(
        {"/twilio/voice": '<Record action="/recorded" playBeep="false" recordingStatusCallback="/rec"/>',
         "/recorded": "<Hangup/>"}
    )  # fmt: skip
    faults = Faults(
        [
            {"at": "twilio.webhook", "do": "duplicate", "for_s": 1},
            {"at": "twilio.callback", "do": "stop"},
            {"at": "twilio.callback", "do": "stall", "for_s": 30},
        ]
    )
    report = play(app, [Speak("hello", at=1), Wait(seconds=1)], faults=faults)
    assert len(app.forms("/twilio/voice")) == 2
    assert app.forms("/twilio/status") == []
    assert report.posts("recording")[0].at_s == pytest.approx(report.ended_s + 32)
    assert faults.left == []


def test_a_caller_who_waits_in_vain_says_so():
    """A script that cannot go on ends the call and is told of in the errors."""
    app = App({"/twilio/voice": "<Say>hello</Say><Pause length='600'/>"})
    report = play(app, [Speak("x", hears="goodbye")])
    assert "waited 45 s to hear /goodbye/ (action 1, Speak)" in report.errors[0].message


def test_status_events_that_a_number_asks_for_come_in_order():
    """Initiated, ringing, answered, completed, with sequence numbers."""
    from dataclasses import replace

    from tests.voice.sandbox.phone_app import NUMBER, phone
    from voice.sandbox import virtual

    app = App({"/twilio/voice": "<Say>hello</Say>"})

    async def main():
        async with phone(app) as network:
            wanted = frozenset({"initiated", "ringing", "answered", "completed"})
            network.numbers[NUMBER] = replace(network.numbers[NUMBER], status_events=wanted)
            await network.call(to=NUMBER).finished()

    virtual.run(main())
    told = [(f["SequenceNumber"], f["CallStatus"]) for f in app.forms("/twilio/status")]
    assert told == [("0", "initiated"), ("1", "ringing"), ("2", "in-progress"), ("3", "completed")]


def test_a_recording_started_by_the_rest_api_is_dual_and_its_file_may_not_be_ready():
    """The file is 404 until it is there; a fault makes it 404 once more; the list names it."""
    import httpx

    from tests.voice.sandbox.phone_app import NUMBER, phone
    from voice.sandbox import virtual

    app = App({"/twilio/voice": "<Say>one two three four</Say>"})
    faults = Faults([{"at": "twilio.recording", "do": "error", "status": 404, "after": 1}])

    async def main():
        async with phone(app, faults=faults) as network:
            call = network.call(to=NUMBER)
            await asyncio.sleep(1)
            root = f"{network.rest_url}/2010-04-01/Accounts/{network.account_sid}"
            async with httpx.AsyncClient(auth=(network.account_sid, network.auth_token)) as client:
                asked = {
                    "RecordingChannels": "dual",
                    "RecordingStatusCallback": "https://voice.example/rec",
                    "RecordingStatusCallbackEvent": "in-progress completed",
                }
                made = await client.post(f"{root}/Calls/{call.sid}/Recordings.json", data=asked)
                sid = made.json()["sid"]
                statuses = []
                for _ in range(3):
                    statuses.append((await client.get(f"{root}/Recordings/{sid}.wav")).status_code)
                    await asyncio.sleep(1.6)
                listed = await client.get(f"{root}/Calls/{call.sid}/Recordings.json")
            return (
                made.status_code,
                statuses,
                [one["sid"] == sid for one in listed.json()["recordings"]],
            )

    assert virtual.run(main()) == (201, [404, 404, 200], [True])
    forms = app.forms("/rec")
    assert [form["RecordingStatus"] for form in forms] == ["in-progress", "completed"]
    assert (forms[1]["RecordingChannels"], forms[1]["RecordingDuration"]) == ("2", "1")
    assert forms[1]["RecordingSource"] == "StartCallRecordingAPI"
