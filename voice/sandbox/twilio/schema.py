"""Which verbs, attributes and values of TwiML there are, as far as a voicemail needs them, with their defaults.

Source: https://www.twilio.com/docs/voice/twiml and the twilio SDK 9.13.0, twilio/twiml/voice_response.py (2026-11-30)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Check = Callable[[str], bool]


def _one_of(*values: str) -> Check:
    return lambda value: value in values


def _words_of(*values: str) -> Check:
    return lambda value: bool(value.split()) and set(value.split()) <= set(values)


def _whole(low: int, high: int) -> Check:
    return lambda value: value.isdigit() and low <= int(value) <= high


def _matches(pattern: str) -> Check:
    return lambda value: bool(re.fullmatch(pattern, value))


def _number(low: float, high: float) -> Check:
    return lambda value: bool(re.fullmatch(r"\d+(\.\d+)?", value)) and low <= float(value) <= high


def _any(value: str) -> bool:
    del value
    return True


def _short(value: str) -> bool:
    return bool(value)


_FLAG = _one_of("true", "false")
_METHOD = _one_of("GET", "POST")
_URL = _short
_TAG = _matches(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*|multi")
_KEYS = _matches(r"[0-9*#]*")
_BARGE = _one_of("none", "dtmf", "speech", "any", "true", "false")
_TTS = _one_of("ElevenLabs", "Google", "Amazon")
_STT = _one_of("Deepgram", "Google")
_TRACK = _one_of("inbound_track", "outbound_track", "both_tracks")


@dataclass(frozen=True, slots=True)
class Element:
    """An element: its attributes with what they may be, those it must have, and what may be in it."""

    attributes: Mapping[str, Check] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    has_text: bool = False


_ACTION: dict[str, Check] = {"action": _URL, "method": _METHOD}
_RECORDING: dict[str, Check] = {
    "recordingStatusCallback": _URL,
    "recordingStatusCallbackMethod": _METHOD,
    "recordingStatusCallbackEvent": _words_of("in-progress", "completed", "absent"),
    "trim": _one_of("trim-silence", "do-not-trim"),
}
_STREAM: dict[str, Check] = {
    "url": _URL,
    "name": _short,
    "track": _TRACK,
    "statusCallback": _URL,
    "statusCallbackMethod": _METHOD,
}
_RELAY: dict[str, Check] = {
    "url": _URL,
    "welcomeGreeting": _any,
    "welcomeGreetingInterruptible": _BARGE,
    "language": _TAG,
    "ttsLanguage": _TAG,
    "transcriptionLanguage": _TAG,
    "ttsProvider": _TTS,
    "voice": _short,
    "transcriptionProvider": _STT,
    "speechModel": _short,
    "interruptible": _BARGE,
    "interruptSensitivity": _one_of("low", "medium", "high"),
    "reportInputDuringAgentSpeech": _one_of("none", "dtmf", "speech", "any"),
    "dtmfDetection": _FLAG,
    "preemptible": _FLAG,
    "speechTimeout": lambda value: value == "auto" or _whole(600, 5000)(value),
    "eotThreshold": _number(0.5, 0.9),
    "eagerEotThreshold": _number(0.3, 0.9),
    "partialPrompts": _FLAG,
    "partialPromptOnHangup": _FLAG,
    "profanityFilter": _FLAG,
    "ignoreBackchannel": _FLAG,
    "backgroundNoiseReduction": _FLAG,
    "echoPromptFiltering": _FLAG,
    "turnDetection": _FLAG,
    "deepgramSmartFormat": _FLAG,
    "asrSmartFormat": _FLAG,
    "elevenlabsTextNormalization": _one_of("on", "off", "auto"),
    "events": _words_of("speaker-events", "tokens-played"),
    "debug": _words_of("debugging", "speaker-events", "tokens-played"),
    "applicationReconnect": _FLAG,
    "hints": _any,
    "intelligenceService": _short,
    "conversationConfiguration": _short,
    "includeInPrompt": _words_of("turn-state", "prompt-segments"),
    "customerName": _any,
}
_TRANSCRIPTION: dict[str, Check] = {
    "name": _short,
    "track": _TRACK,
    "statusCallbackUrl": _URL,
    "statusCallbackMethod": _METHOD,
    "inboundTrackLabel": _any,
    "outboundTrackLabel": _any,
    "partialResults": _FLAG,
    "languageCode": _TAG,
    "transcriptionEngine": _one_of("google", "deepgram"),
    "speechModel": _short,
    "profanityFilter": _FLAG,
    "hints": _any,
    "enableAutomaticPunctuation": _FLAG,
    "enableProviderData": _FLAG,
    "intelligenceService": _short,
}
_GATHER: dict[str, Check] = {
    **_ACTION,
    "input": _words_of("dtmf", "speech"),
    "actionOnEmptyResult": _FLAG,
    "timeout": _whole(0, 600),
    "speechTimeout": lambda value: value == "auto" or _whole(1, 600)(value),
    "maxSpeechTime": _whole(1, 60),
    "finishOnKey": _KEYS,
    "numDigits": _whole(1, 1000),
    "language": _TAG,
    "hints": _any,
    "profanityFilter": _FLAG,
    "speechModel": _short,
    "enhanced": _FLAG,
    "bargeIn": _FLAG,
    "partialResultCallback": _URL,
    "partialResultCallbackMethod": _METHOD,
    "debug": _FLAG,
}
_DIAL: dict[str, Check] = {
    **_ACTION,
    **_RECORDING,
    "timeout": _whole(1, 600),
    "timeLimit": _whole(1, 86_400),
    "hangupOnStar": _FLAG,
    "callerId": _matches(r"\+?\d{3,15}"),
    "record": _one_of(
        "do-not-record",
        "record-from-answer",
        "record-from-ringing",
        "record-from-answer-dual",
        "record-from-ringing-dual",
    ),
    "answerOnBridge": _FLAG,
    "ringTone": _short,
    "recordingTrack": _one_of("inbound", "outbound", "both"),
    "sequential": _FLAG,
}
_DIALLED: dict[str, Check] = {
    "url": _URL,
    "method": _METHOD,
    "sendDigits": _matches(r"[0-9wW*#]*"),
    "statusCallback": _URL,
    "statusCallbackMethod": _METHOD,
    "statusCallbackEvent": _words_of("initiated", "ringing", "answered", "completed"),
    "byoc": _short,
    "machineDetection": _one_of("Enable", "DetectMessageEnd"),
    "amdStatusCallback": _URL,
    "amdStatusCallbackMethod": _METHOD,
    "machineDetectionTimeout": _whole(3, 59),
    "machineDetectionSpeechThreshold": _whole(1000, 6000),
    "machineDetectionSpeechEndThreshold": _whole(500, 5000),
    "machineDetectionSilenceTimeout": _whole(2000, 10_000),
}
_VERBS = (
    "Say", "Play", "Pause", "Gather", "Record", "Dial", "Redirect", "Hangup", "Reject", "Start", "Stop", "Connect",
)  # fmt: skip

ELEMENTS: Mapping[str, Element] = {
    "Response": Element(children=_VERBS),
    "Say": Element(
        {"voice": _short, "language": _TAG, "loop": _whole(0, 1000)},
        has_text=True,
    ),
    "Play": Element(
        {"loop": _whole(0, 1000), "digits": _matches(r"[0-9wW*#]+")},
        has_text=True,
    ),
    "Pause": Element({"length": _whole(1, 600)}),
    "Gather": Element(_GATHER, children=("Say", "Play", "Pause")),
    "Record": Element(
        {
            **_ACTION,
            **_RECORDING,
            "timeout": _whole(0, 600),
            "finishOnKey": _KEYS,
            "maxLength": _whole(2, 86_400),
            "playBeep": _FLAG,
            "transcribe": _FLAG,
            "transcribeCallback": _URL,
        }
    ),
    "Dial": Element(_DIAL, children=("Number",), has_text=True),
    "Number": Element(_DIALLED, has_text=True),
    "Redirect": Element({"method": _METHOD}, has_text=True),
    "Hangup": Element(),
    "Reject": Element({"reason": _one_of("rejected", "busy")}),
    "Start": Element(_ACTION, children=("Stream", "Transcription", "Recording")),
    "Stop": Element(children=("Stream", "Transcription")),
    "Connect": Element(_ACTION, children=("Stream", "ConversationRelay")),
    "Stream": Element(_STREAM, children=("Parameter",)),
    "Transcription": Element(_TRANSCRIPTION),
    "Recording": Element(
        {
            **_RECORDING,
            "track": _one_of("inbound", "outbound", "both"),
            "channels": _one_of("mono", "dual"),
        }
    ),
    "ConversationRelay": Element(_RELAY, needs=("url",), children=("Language", "Parameter")),
    "Language": Element(
        {
            "code": _TAG,
            "ttsProvider": _TTS,
            "voice": _short,
            "transcriptionProvider": _STT,
            "speechModel": _short,
            "hints": _any,
            "asrSmartFormat": _FLAG,
        },
        needs=("code",),
    ),
    "Parameter": Element({"name": _short, "value": _any}, needs=("name", "value")),
}

DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "Say": {"voice": "man", "language": "en-US", "loop": "1"},
    "Play": {"loop": "1"},
    "Pause": {"length": "1"},
    "Gather": {
        "method": "POST",
        "input": "dtmf",
        "actionOnEmptyResult": "false",
        "timeout": "5",
        "maxSpeechTime": "60",
        "finishOnKey": "#",
        "language": "en-US",
        "speechModel": "default",
        "bargeIn": "true",
    },
    "Record": {
        "method": "POST",
        "timeout": "5",
        "finishOnKey": "1234567890*#",
        "maxLength": "3600",
        "playBeep": "true",
        "trim": "trim-silence",
        "transcribe": "false",
        "recordingStatusCallbackEvent": "completed",
    },
    "Dial": {
        "method": "POST",
        "timeout": "30",
        "timeLimit": "14400",
        "record": "do-not-record",
        "answerOnBridge": "false",
        "sequential": "false",
        "recordingStatusCallbackEvent": "completed",
    },
    "Redirect": {"method": "POST"},
    "Reject": {"reason": "rejected"},
    "Connect": {"method": "POST"},
    "Stream": {"track": "inbound_track"},
    "Transcription": {
        "track": "both_tracks",
        "partialResults": "false",
        "languageCode": "en-US",
        "transcriptionEngine": "google",
    },
    "Recording": {
        "track": "both",
        "channels": "dual",
        "trim": "do-not-trim",
        "recordingStatusCallbackEvent": "completed",
    },
    "ConversationRelay": {
        "welcomeGreetingInterruptible": "any",
        "language": "en-US",
        "ttsProvider": "ElevenLabs",
        "transcriptionProvider": "Deepgram",
        "interruptible": "any",
        "interruptSensitivity": "high",
        "reportInputDuringAgentSpeech": "none",
        "dtmfDetection": "false",
        "preemptible": "false",
        "speechTimeout": "auto",
        "partialPrompts": "false",
        "ignoreBackchannel": "false",
    },
}

#: The voice of a provider when the TwiML names none.
DEFAULT_VOICES: Mapping[str, str] = {
    "ElevenLabs": "UgBBYS2sOqTuMpoF3BR0",
    "Google": "en-US-Journey-O",
    "Amazon": "Joanna-Neural",
}
