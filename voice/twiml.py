"""TwiML documents. Every document goes on or hangs up: none ends in silence.

Nothing here is about a caller but their language: parameters and hints may be logged at Twilio.
Source: https://www.twilio.com/docs/voice/twiml (2026-11-30)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twilio.twiml.voice_response import (
    Connect,
    ConversationRelay,
    Dial,
    Gather,
    Start,
    Stream,
    VoiceResponse,
)

from voice import languages
from voice.profile import Profile

#: What is heard where nobody speaks a language at Twilio.
_ENGLISH = ("Polly.Joanna", "en-US")
_RELAY_ENGLISH = ("ElevenLabs", None)
#: A message is cut after so long, or after so much silence.
RECORD_S = 300
RECORD_SILENCE_S = 6
#: What Deepgram hears at once with "multi"; needs a voice of ElevenLabs.
#: Source: https://developers.deepgram.com/docs/multilingual-code-switching (2026-11-30)
_MULTI = frozenset({"en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"})
_SEVERAL = 2
#: Source: https://www.twilio.com/docs/voice/twiml/gather#hints (2026-11-30)
_MOST_HINTS, _LONGEST_HINT = 100, 100


@dataclass(frozen=True, slots=True)
class Speech:
    """A text and the language that it is spoken in."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Ears:
    """Where Twilio tells what the caller said while other verbs run."""

    callback: str
    language: str


def relay(
    profile: Profile,
    *,
    socket: str,
    token: str,
    action: str,
    language: str,
    greeting: str | None,
    is_interruptible: bool,
    is_voice_replaced: bool = False,
) -> str:
    """Connect the call to a ConversationRelay socket, with every language that the tenant speaks."""
    response = VoiceResponse()
    connect = Connect(action=action, method="POST")
    conversation = ConversationRelay(
        url=socket,
        welcome_greeting_interruptible="any" if is_interruptible else "none",
        **_relay_attributes(profile, language, greeting, is_replaced=is_voice_replaced),
    )
    for tag in _relay_languages(profile, language):
        conversation.append(_relay_language(profile, tag, is_replaced=is_voice_replaced))
    conversation.parameter(name="token", value=token)
    connect.append(conversation)
    response.append(connect)
    response.redirect(f"{action}?after=1", method="POST")
    return str(response)


def stream(
    *,
    socket: str,
    token: str,
    action: str,
    said: Sequence[Speech] = (),
    ears: Ears | None = None,
) -> str:
    """Speak what nobody may interrupt, then connect the call's sound to a socket."""
    response = VoiceResponse()
    _listen(response, ears)
    _say(response, said)
    connect = Connect(action=action, method="POST")
    sound = Stream(url=socket)
    sound.parameter(name="token", value=token)
    connect.append(sound)
    response.append(connect)
    response.redirect(f"{action}?after=1", method="POST")
    return str(response)


def gather(
    profile: Profile,
    said: Sequence[Speech],
    *,
    action: str,
    language: str,
    silence_s: float,
    is_interruptible: bool,
    is_dictating: bool,
    ears: Ears | None = None,
) -> str:
    """Speak, then listen to words and keys; silence comes to ``action`` as well."""
    response = VoiceResponse()
    _listen(response, ears)
    heard = languages.recognition(language)
    asked = Gather(
        input="dtmf speech",
        action=action,
        method="POST",
        timeout=max(1, round(silence_s)),
        speech_timeout=3 if is_dictating else 2,
        language=(heard.gather if heard else None) or "en-US",
        hints=_hints(profile),
        profanity_filter=False,
        action_on_empty_result=True,
    )
    _say(asked if is_interruptible else response, said)
    response.append(asked)
    response.redirect(f"{action}&empty=1", method="POST")
    return str(response)


def record(
    said: Sequence[Speech],
    *,
    action: str,
    callback: str,
    ears: Ears | None = None,
) -> str:
    """Speak, then take a message after the tone."""
    response = VoiceResponse()
    _listen(response, ears)
    _say(response, said)
    response.record(
        action=action,
        method="POST",
        timeout=RECORD_SILENCE_S,
        max_length=RECORD_S,
        finish_on_key="#",
        play_beep=True,
        trim="do-not-trim",
        recording_status_callback=callback,
        recording_status_callback_method="POST",
        recording_status_callback_event="completed absent",
    )
    # Record calls its action in every case but one: when nothing at all was said.
    response.redirect(f"{action}?empty=1", method="POST")
    return str(response)


def dial(
    numbers: Sequence[str], *, timeout_s: int, action: str, said: Sequence[Speech] = ()
) -> str:
    """Ring people at once; the caller hears ringing until one of them answers."""
    response = VoiceResponse()
    _say(response, said)
    ringing = Dial(
        timeout=timeout_s, action=action, method="POST", answer_on_bridge=True, sequential=False
    )
    for number in numbers:
        ringing.number(number)
    response.append(ringing)
    return str(response)


def hangup(said: Sequence[Speech] = ()) -> str:
    """Speak, if there is something to say, and hang up."""
    response = VoiceResponse()
    _say(response, said)
    response.hangup()
    return str(response)


def nothing() -> str:
    """Answer where Twilio expects no verbs."""
    return str(VoiceResponse())


def _listen(response: VoiceResponse, ears: Ears | None) -> None:
    """Write down both sides, each by its track; a transcription that already runs goes on."""
    if ears is None:
        return
    start = Start()
    start.transcription(
        name="afterbeep",
        track="both_tracks",
        status_callback_url=ears.callback,
        status_callback_method="POST",
        language_code=ears.language,
        partial_results=False,
    )
    response.append(start)


def _say(parent: Any, said: Sequence[Speech]) -> None:
    for one in said:
        voice, language = languages.say_voice(one.language) or _ENGLISH
        parent.say(one.text, voice=voice, language=language)


def is_multi(profile: Profile) -> bool:
    """Tell whether several languages can be heard at once, so that nothing need be switched."""
    if len(profile.languages) < _SEVERAL or profile.voices:
        return False
    voices = [languages.voice_for(tag) for tag in profile.languages]
    return all(
        tag.partition("-")[0].lower() in _MULTI and voice and voice[0] == "ElevenLabs"
        for tag, voice in zip(profile.languages, voices, strict=True)
    )


def _relay_attributes(
    profile: Profile, language: str, greeting: str | None, *, is_replaced: bool
) -> dict[str, Any]:
    provider, voice = _relay_voice(profile, language, is_replaced=is_replaced)
    heard = languages.recognition(language)
    attributes: dict[str, Any] = {
        "tts_language": language,
        "tts_provider": provider,
        "voice": voice,
        "transcription_provider": heard.provider if heard else None,
        "speech_model": heard.model if heard else None,
        "transcription_language": heard.language if heard else None,
        "welcome_greeting": greeting,
        "interruptible": "any",
        "interrupt_sensitivity": "high",
        "report_input_during_agent_speech": "any",
        "dtmf_detection": True,
        "ignoreBackchannel": True,
        "events": "speaker-events tokens-played",
        "hints": _hints(profile),
    }
    if is_multi(profile) and not is_replaced:
        attributes |= {
            "transcription_language": "multi",
            "transcription_provider": "Deepgram",
            "speech_model": "nova-3-general",
        }
    return {name: value for name, value in attributes.items() if value is not None}


def _relay_languages(profile: Profile, language: str) -> tuple[str, ...]:
    """Declare what the call may switch to: a language that was not declared cannot be spoken."""
    wanted = dict.fromkeys((language, *profile.languages, *profile.voices))
    return tuple(tag for tag in wanted if languages.speaks(tag) or tag in profile.voices)


def _relay_language(profile: Profile, tag: str, *, is_replaced: bool) -> Any:
    from twilio.twiml.voice_response import Language  # noqa: PLC0415 - its name is too common for a module

    provider, voice = _relay_voice(profile, tag, is_replaced=is_replaced)
    heard = languages.recognition(tag)
    attributes: dict[str, Any] = {"code": tag, "tts_provider": provider, "voice": voice}
    if heard:
        attributes |= {"transcription_provider": heard.provider, "speech_model": heard.model}
    return Language(**{name: value for name, value in attributes.items() if value is not None})


def _relay_voice(profile: Profile, tag: str, *, is_replaced: bool) -> tuple[str, str | None]:
    own = profile.voices.get(tag)
    usual = (own.provider, own.voice) if own else languages.voice_for(tag) or _RELAY_ENGLISH
    if not is_replaced:
        return usual
    return ("Google" if usual[0] == "ElevenLabs" else "ElevenLabs"), None


def _hints(profile: Profile) -> str | None:
    listed = [hint.replace(",", " ")[:_LONGEST_HINT] for hint in profile.hints[:_MOST_HINTS]]
    return ",".join(listed) or None
