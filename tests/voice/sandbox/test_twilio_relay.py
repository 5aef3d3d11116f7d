"""Twilio in miniature: ConversationRelay."""

from __future__ import annotations

import asyncio

import pytest
from quart import websocket

from tests.voice.sandbox.phone_app import EASY, App, play, receive, send, spoken
from voice.sandbox.faults import Faults
from voice.sandbox.twilio.caller import Cough, HangUp, Press, Speak, Wait

CONNECT = (
    '<Connect action="/over"><ConversationRelay url="wss://voice.example/relay" {}>'
    "{}</ConversationRelay></Connect>"
)


def relay_app(talk, attributes="", children="", over="<Hangup/>"):
    """An app whose calls are held by ``talk(got)``, which notes what it received."""
    got = []

    async def hold():
        await talk(got)

    app = App(
        {"/twilio/voice": CONNECT.format(attributes, children), "/over": over},
        {"/relay": hold},
    )
    return app, got


async def listen(got):
    """Note all messages until the socket closes."""
    while True:
        got.append(await receive())


async def echo(got):
    """Answer each prompt."""
    while True:
        message = await receive()
        got.append(message)
        if message["type"] == "prompt" and message["last"]:
            await send(type="text", token=f"you said {message['voicePrompt']}", last=True)


def kinds(got, *wanted):
    """The messages of some kinds."""
    return [message for message in got if message["type"] in wanted]


def test_setup_comes_first_and_names_the_call():
    """All fields, and the parameters of the TwiML."""
    app, got = relay_app(
        listen, 'welcomeGreeting="hello there"', '<Parameter name="token" value="abc"/>'
    )
    report = play(app, [HangUp()], call={"forwarded_from": "+14155550199"})
    setup = got[0]
    assert setup["type"] == "setup"
    assert setup["callSid"] == report.sid
    assert setup["sessionId"].startswith("VX")
    assert (setup["from"], setup["to"]) == ("+14155550132", "+14155550100")
    assert setup["forwardedFrom"] == "+14155550199"
    assert (setup["callStatus"], setup["direction"], setup["callType"]) == (
        "RINGING",
        "inbound",
        "PSTN",
    )
    assert setup["customParameters"] == {"token": "abc"}
    assert spoken(report) == [(0.1, 1.1, "hello there")]
    form = app.forms("/over")[0]
    assert (form["SessionStatus"], form["CallStatus"]) == ("completed", "completed")
    assert form["SessionId"] == setup["sessionId"]


def test_a_turn_becomes_a_prompt_when_the_caller_has_been_silent_long_enough():
    """0.5 s of silence and 0.1 s of recognition; the answer is heard 0.1 s after its text."""
    app, got = relay_app(echo, 'welcomeGreeting="hello"')
    report = play(app, [Speak("water is leaking"), HangUp()])
    assert kinds(got, "prompt") == [
        {"type": "prompt", "voicePrompt": "water is leaking", "lang": "en-US", "last": True}
    ]
    # hello until 0.6; the caller speaks 1.0 to 2.5; prompt 3.1; heard from 3.2.
    assert spoken(report)[1] == (3.2, 5.7, "you said water is leaking")
    assert report.answer_s == [pytest.approx(0.7)]


def test_a_pause_in_the_middle_of_a_number_splits_the_turn_unless_speech_timeout_is_longer():
    """Two seconds of silence are longer than auto, and shorter than 3000 ms."""
    script = [Speak("415 555", 2.0, "0132"), HangUp(turn=False, after=8)]
    app, got = relay_app(listen, 'welcomeGreeting="hello"')
    play(app, script)
    assert [m["voicePrompt"] for m in kinds(got, "prompt")] == ["415 555", "0132"]
    app, got = relay_app(listen, 'welcomeGreeting="hello" speechTimeout="3000"')
    play(app, script)
    assert [m["voicePrompt"] for m in kinds(got, "prompt")] == ["415 555 0132"]


def test_an_interruption_cuts_at_a_word_drops_the_rest_and_is_told_exactly():
    """Queued tokens are not spoken; the words heard and the milliseconds are told."""

    async def talk(got):
        await receive()
        for token in ["one ", "two ", "three ", "fo", "ur ", "five ", "six"]:
            await send(type="text", token=token)
        await send(type="text", token="", last=True)
        await listen(got)

    app, got = relay_app(talk)
    report = play(app, [Speak("stop stop", over=1.6), HangUp(turn=False, after=3)])
    # Speech begins at 0.1; 1.6 s into it the caller starts, and 0.15 s later Twilio is silent.
    assert kinds(got, "interrupt") == [
        {
            "type": "interrupt",
            "utteranceUntilInterrupt": "one two three",
            "durationUntilInterruptMs": 1750,
        }
    ]
    assert spoken(report) == [(0.1, 1.85, "one two three")]
    assert report.heard[0].cut
    assert report.barge_in_s == [pytest.approx(0.15)]
    assert [m["type"] for m in got] == ["interrupt", "prompt"]
    assert report.after_clear_s == 0


def test_text_sent_after_an_interruption_while_the_caller_speaks_is_counted():
    """An application that goes on talking over the caller is found out, and interrupted once more."""

    async def talk(got):
        await receive()
        await send(type="text", token="one two three four five six", last=True)
        await receive()
        await send(type="text", token="seven eight", last=True)
        await listen(got)

    app, got = relay_app(talk)
    report = play(app, [Speak("no no no please", over=1), HangUp(turn=False, after=3)])
    assert report.after_clear_s == 0.15
    assert report.spoken_over_s == [pytest.approx(1.35)]
    assert [m["utteranceUntilInterrupt"] for m in kinds(got, "interrupt")] == [""]


def test_speech_that_may_not_be_interrupted_goes_on_and_the_caller_is_not_reported():
    """By default input within it is dropped; its part after it is kept; with reportInput… all is."""

    async def talk(got):
        await receive()
        await send(type="text", token="one two three four", last=True, interruptible=False)
        await listen(got)

    script = [Speak("a b c d", over=1), HangUp(turn=False, after=3)]
    app, got = relay_app(talk)
    report = play(app, script)
    assert spoken(report) == [(0.1, 2.1, "one two three four")]
    assert [m["voicePrompt"] for m in kinds(got, "prompt", "interrupt")] == ["c d"]
    app, got = relay_app(talk, 'reportInputDuringAgentSpeech="any"')
    play(app, script)
    assert [m["voicePrompt"] for m in kinds(got, "prompt")] == ["a b c d"]


def test_backchannels_interrupt_unless_they_are_ignored():
    """“mm-hmm” stops the agent only without ignoreBackchannel."""
    script = [Speak("mm-hmm", over=1), HangUp(turn=False, after=4)]
    for attributes, cut, prompts in [("", True, 1), ('ignoreBackchannel="true"', False, 0)]:
        app, got = relay_app(listen, f'welcomeGreeting="one two three four five" {attributes}')
        report = play(app, script)
        assert report.heard[0].cut is cut
        assert len(kinds(got, "prompt")) == prompts


def test_a_cough_interrupts_when_sensitivity_is_high_and_brings_no_prompt():
    """A short noise does not, when it is low."""
    script = [Cough(seconds=0.3, over=1), HangUp(turn=False, after=4)]
    for sensitivity, cut in [("high", True), ("low", False)]:
        app, got = relay_app(
            listen,
            f'welcomeGreeting="one two three four five" interruptSensitivity="{sensitivity}"',
        )
        report = play(app, script)
        assert report.heard[0].cut is cut
        assert kinds(got, "prompt") == []


def test_keys_are_told_only_with_dtmf_detection_and_interrupt():
    """One message a key."""
    script = [Press("12#", over=0.6), HangUp(turn=False, after=2)]
    app, got = relay_app(listen, 'welcomeGreeting="one two three four" dtmfDetection="true"')
    play(app, script)
    assert [m["digit"] for m in kinds(got, "dtmf")] == ["1", "2", "#"]
    assert len(kinds(got, "interrupt")) == 1
    app, got = relay_app(listen, 'welcomeGreeting="one two three four"')
    play(app, script)
    assert kinds(got, "dtmf", "interrupt") == []


def test_events_tell_of_speakers_and_of_tokens_played():
    """Info messages with on and off, and the texts as they have been played."""

    async def talk(got):
        await receive()
        await send(type="text", token="one two ")
        await send(type="text", token="three", last=True)
        await listen(got)

    app, got = relay_app(talk, 'events="speaker-events tokens-played"')
    play(app, [Speak("ok then"), HangUp(turn=False, after=2)])
    assert [(m["name"], m["value"]) for m in kinds(got, "info")] == [
        ("agentSpeaking", "on"),
        ("tokensPlayed", "one two "),
        ("tokensPlayed", "three"),
        ("agentSpeaking", "off"),
        ("clientSpeaking", "on"),
        ("clientSpeaking", "off"),
    ]
    assert kinds(got, "info")[0]["ts"] == 1796137200100


def test_language_switches_voice_and_recognition():
    """The voice is that of <Language>; without a message the first language stays."""

    async def talk(got):
        await receive()
        await send(type="text", token="hello", last=True)
        await send(type="language", ttsLanguage="es-ES", transcriptionLanguage="es-ES")
        await send(type="text", token="hola", last=True)
        await send(type="text", token="ja", lang="de-DE", last=True)
        await listen(got)

    app, got = relay_app(talk, 'voice="anna"', '<Language code="es-ES" voice="juan"/>')
    report = play(app, [Speak("sí", hears="ja", language="es-ES"), HangUp(turn=False, after=2)])
    assert [(h.text, h.language, h.voice) for h in report.heard] == [
        ("hello", "en-US", "anna"),
        ("hola", "es-ES", "juan"),
        ("ja", "de-DE", "anna"),
    ]
    assert kinds(got, "prompt")[0]["lang"] == "es-ES"


def test_multi_tells_the_primary_language_that_was_spoken():
    """With transcriptionLanguage multi, lang is “es”."""
    app, got = relay_app(listen, 'welcomeGreeting="hello" transcriptionLanguage="multi"')
    play(app, [Speak("hola", language="es-MX"), HangUp(turn=False, after=2)])
    assert kinds(got, "prompt")[0]["lang"] == "es"


def test_end_goes_to_the_action_with_its_data_and_does_not_wait_for_speech():
    """What is being said is cut: an application has to know when its goodbye has been heard."""

    async def talk(got):
        await receive()
        await send(type="text", token="good bye and thank you", last=True)
        await asyncio.sleep(1.1)
        await send(type="end", handoffData='{"why": "done"}')
        await listen(got)

    app, _ = relay_app(talk, over="<Say>after</Say>")
    report = play(app)
    assert spoken(report) == [(0.1, 1.1, "good bye"), (1.1, 1.6, "after")]
    form = app.forms("/over")[0]
    assert (form["SessionStatus"], form["HandoffData"]) == ("ended", '{"why": "done"}')
    assert form["SessionDuration"] == "1"
    assert "ErrorCode" not in form


@pytest.mark.parametrize(
    "bad",
    [
        "no json",
        "[1]",
        '{"type": "shout"}',
        '{"type": "text"}',
        '{"type": "text", "token": 5}',
        '{"type": "text", "token": "x", "colour": "red"}',
        '{"type": "sendDigits", "digits": "abc"}',
        '{"type": "language"}',
        '{"type": "end", "handoffData": {"a": 1}}',
    ],
)
def test_a_bad_message_is_an_error_and_the_session_goes_on(bad):
    """Error 64107; the next message is spoken."""

    async def talk(got):
        await receive()
        await websocket.send(bad)
        await send(type="text", token="still here", last=True)
        await listen(got)

    app, got = relay_app(talk)
    report = play(app, [HangUp()])
    assert got[0]["type"] == "error"
    assert report.heard[0].text == "still here"
    assert [error.number for error in report.errors] == [64107]


def test_ten_unknown_messages_in_a_row_end_the_session():
    """The socket is closed with 1007; the action says failed."""

    async def talk(got):
        await receive()
        for _ in range(10):
            await websocket.send("rubbish")
        await listen(got)

    app, _ = relay_app(talk)
    play(app)
    form = app.forms("/over")[0]
    assert (form["SessionStatus"], form["ErrorCode"]) == ("failed", "64105")


def test_a_cut_socket_fails_the_session_and_the_action_may_reconnect():
    """The network drops it before the fourth message; a new session takes the call on."""
    faults = Faults([{"at": "twilio.relay", "do": "disconnect", "after": 1}])
    app, got = relay_app(echo, 'welcomeGreeting="hello"', over=CONNECT.format("", ""))
    report = play(
        app, [Speak("one"), Wait(seconds=1), Speak("two", turn=False), HangUp()], faults=faults
    )
    form = app.forms("/over")[0]
    assert (form["SessionStatus"], form["ErrorCode"]) == ("failed", "39001")
    assert [m["type"] for m in got] == ["setup", "setup", "prompt"]
    assert got[0]["sessionId"] != got[1]["sessionId"]
    assert got[0]["callSid"] == got[1]["callSid"]
    assert report.heard[-1].text == "you said two"


def test_an_application_that_closes_or_refuses_the_socket_fails_the_session():
    """64105 when it closes; 64102 when it cannot be reached."""

    async def talk(got):
        got.append(await receive())

    app, _ = relay_app(talk)
    play(app)
    assert app.forms("/over")[0]["ErrorCode"] == "64105"
    app, _ = relay_app(talk)
    play(app, faults=Faults([{"at": "twilio.relay.connect", "do": "refuse"}]))
    assert app.forms("/over")[0]["ErrorCode"] == "64102"
    app, _ = relay_app(talk)
    app.answers["/twilio/voice"] = CONNECT.format("", "").replace("/relay", "/nowhere")
    play(app)
    assert app.forms("/over")[0]["ErrorCode"] == "64102"


def test_without_an_action_the_verb_after_connect_is_performed():
    """So it is the place for a fallback."""
    app, _ = relay_app(listen)
    app.answers["/twilio/voice"] = (
        '<Connect><ConversationRelay url="wss://voice.example/nowhere"/></Connect><Say>leave a message</Say>'
    )
    assert play(app).heard[0].text == "leave a message"


def test_partial_prompts_come_word_by_word():
    """With partialPrompts the text grows; the last one says so."""
    app, got = relay_app(listen, 'welcomeGreeting="hello" partialPrompts="true"')
    play(app, [Speak("one two"), HangUp(turn=False, after=2)])
    assert [(m["voicePrompt"], m["last"]) for m in kinds(got, "prompt")] == [
        ("one", False),
        ("one two", True),
    ]


def test_a_preemptible_talk_gives_way_to_the_next():
    """A filler is dropped when the answer comes."""

    async def talk(got):
        await receive()
        await send(type="text", token="one moment please while I look", last=True, preemptible=True)
        await asyncio.sleep(1.2)
        await send(type="text", token="found it", last=True)
        await listen(got)

    app, _ = relay_app(talk)
    report = play(app, [HangUp(hears="found it")])
    assert [h.text for h in report.heard] == ["one moment", "found it"]


def test_speech_over_which_the_agent_begins_is_reported_where_it_was_alone():
    """Words before the agent began are heard; those within are not, when it may not be interrupted."""

    async def talk(got):
        await receive()
        await asyncio.sleep(1.9)
        await send(type="text", token="one two", last=True, interruptible=False)
        await listen(got)

    app, got = relay_app(talk)
    play(app, [Speak("a b c d e", at=1), HangUp(turn=False, after=2)])
    # a to b from 1 to 2 s, the agent from 2 to 3 s, e after it.
    assert [m["voicePrompt"] for m in kinds(got, "prompt", "interrupt")] == ["a b e"]


def test_the_rest_api_takes_a_call_out_of_its_session():
    """The socket is closed, no action is posted, and the new document is performed."""
    import httpx

    from tests.voice.sandbox.phone_app import NUMBER, phone
    from voice.sandbox import virtual

    app, got = relay_app(listen, 'welcomeGreeting="one two three four five six"')

    async def main():
        async with phone(app) as network:
            call = network.call(to=NUMBER)
            await asyncio.sleep(1.7)
            root = f"{network.rest_url}/2010-04-01/Accounts/{network.account_sid}"
            async with httpx.AsyncClient(auth=(network.account_sid, network.auth_token)) as client:
                twiml = "<Response><Say>one moment</Say></Response>"
                await client.post(f"{root}/Calls/{call.sid}.json", data={"Twiml": twiml})
            return await call.finished()

    report = virtual.run(main())
    assert spoken(report) == [(0.1, 1.7, "one two three"), (1.7, 2.7, "one moment")]
    assert app.forms("/over") == []
    assert [message["type"] for message in got] == ["setup"]


def test_sounds_and_keys_are_played_in_the_queue():
    """A WAV is fetched and heard with its words, twice; tones take their time; a missing sound is skipped."""
    from voice.sandbox import speech
    from voice.sandbox.twilio.recording import Recording

    tone = Recording(
        "RE1", "CA1", "AC1", "x", 1, "both", 0, audio=[speech.encode("good day", 1.0)]
    ).wav()

    async def talk(got):
        await receive()
        await send(type="play", source="https://voice.example/day.wav", loop=2)
        await send(type="sendDigits", digits="12")
        await send(type="play", source="https://voice.example/none.wav")
        await send(type="text", token="done", last=True)
        await listen(got)

    app, _ = relay_app(talk)
    app.answers |= {"/day.wav": lambda _: (tone, 200), "/none.wav": lambda _: ("", 404)}
    app._check = lambda *_: None  # media is fetched without a signature
    report = play(app, [HangUp(hears="done")])
    assert spoken(report) == [(0.1, 1.1, "good day"), (1.1, 2.1, "good day"), (2.5, 3.0, "done")]
    assert [error.number for error in report.errors] == [11200]


def test_a_language_that_is_not_listened_for_is_not_understood_when_asked_so():
    """With hears_one_language, Spanish into English gives nothing."""
    from dataclasses import replace

    app, got = relay_app(listen, 'welcomeGreeting="hello"')
    script = [Speak("hola señor", language="es-MX"), HangUp(turn=False, after=2)]
    play(app, script, habits=replace(EASY, hears_one_language=True))
    assert kinds(got, "prompt")[0]["voicePrompt"] == "… …"


def test_a_call_is_played_the_same_way_twice():
    """Two runs give the same report, to the microsecond."""
    script = [Speak("one", 0.7, "two"), Speak("wait", over=0.3), Speak("three"), HangUp()]

    def once():
        app, _ = relay_app(echo, 'welcomeGreeting="hello"')
        return play(app, script, seed="same")

    assert once() == once()
