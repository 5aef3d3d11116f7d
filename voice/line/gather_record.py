"""The line that needs no socket: questions with ``<Gather>``, answered by the dialogue, and ``<Record>`` behind it.

It is the last resort of all other lines: a call that comes here goes on where it was. Whatever happens, a caller can
leave a message: who is not understood, or whose words may not be recognised, gets the tone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voice import languages, recording, twiml, wording
from voice.context import Context
from voice.conversation import VOICE_FAILED, Conversation, opening_acts, unheard
from voice.dialogue.types import (
    Act,
    End,
    Heard,
    Input,
    Listen,
    Patience,
    Pressed,
    Say,
    Silent,
    SpeakIn,
    Stage,
    TakeMessage,
    ToolDone,
    Transfer,
)
from voice.profile import Consent
from voice.session import CallSession, Voice

Form = Mapping[str, str]


async def begin(context: Context, session: CallSession) -> str:
    """Put a call on this line: greet, or go on with what was asked last."""
    profile = session.profile
    if not profile.tenant_id or not profile.may_use("twilio"):
        return message(context, session, "leave_message")
    talk = Conversation(context, session)
    news, session.news = session.news, None
    if news == "transfer_failed":
        return await _document(context, talk, talk.take(ToolDone("transfer", {}, None)).acts)
    if news == VOICE_FAILED and (rest := unheard(session)):
        following = End() if session.talk.stage is Stage.OVER else Listen()
        return await _document(context, talk, (Say(text=rest, is_fixed=True), following))
    if session.turns:
        last: tuple[Act, ...] = (*session.talk.last, Listen())
        return await _document(context, talk, last)
    return await _document(context, talk, opening_acts(session))


async def gathered(context: Context, session: CallSession, form: Form) -> str:
    """Take what the caller said or pressed, and ask on."""
    talk = Conversation(context, session)
    given = _given(form, session)
    if isinstance(given, Heard):
        talk.wrote(Voice.CALLER, given.text, language=given.language)
    if recording.may_start(session):
        context.start(recording.start(context, session), name=f"record {session.sid}")
    return await _document(context, talk, talk.take(given).acts)


def message(context: Context, session: CallSession, line: str) -> str:
    """Take a message after the tone; ``line`` names the fixed line that says why."""
    profile, language = session.profile, session.talk.language
    lines = [line] if line == "leave_message" else [line, "leave_message"]
    if profile.consent is not Consent.NONE and not session.turns:
        lines.insert(0, "consent_announce")
    said = [twiml.Speech(wording.fixed(name, language, profile), language) for name in lines]
    return _recording(context, session, said)


async def recorded(session: CallSession, form: Form) -> str:
    """A message was left, or none: say so and hang up."""
    made = recording.of(form)
    if made:
        recording.add(session, made)
    language = session.talk.language
    line = "message_saved" if made and made.duration_s != 0 else "goodbye_silent"
    session.after = "end"
    said = wording.fixed(line, language, session.profile)
    return twiml.hangup([twiml.Speech(said, language)])


def _given(form: Form, session: CallSession) -> Input:
    if digits := form.get("Digits", "").strip():
        return Pressed(digits)
    if text := form.get("SpeechResult", "").strip():
        return Heard(text, form.get("Language") or session.talk.language)
    return Silent()


async def _document(context: Context, talk: Conversation, acts: Sequence[Act]) -> str:
    """Turn acts into TwiML: what is said, and the one verb that goes on."""
    session = talk.session
    said: list[twiml.Speech] = []
    is_interruptible, language = True, session.talk.language
    for act in await talk.settled(acts):
        match act:
            case Say():
                text = talk.words(act, language)
                said.append(twiml.Speech(text, language))
                is_interruptible = is_interruptible and act.is_interruptible
                talk.wrote(Voice.AGENT, text)
            case SpeakIn():
                language = act.language
            case Transfer():
                session.transfer_to = act.number
                return twiml.dial(
                    [act.number],
                    timeout_s=25,
                    action=f"{context.settings.public_url}/twilio/dialled?why=transfer",
                    said=said,
                )
            case TakeMessage():
                return _recording(context, session, said)
            case End():
                return _end(context, session, said)
            case Listen():
                return _listening(context, session, said, act, is_interruptible)
            case _:
                continue  # StartRecording: the call is not answered before this document is; see gathered()
    return _listening(context, session, said, Listen(), is_interruptible)


def _end(context: Context, session: CallSession, said: Sequence[twiml.Speech]) -> str:
    """Hang up, unless nothing was ever understood: then the tone is the better goodbye."""
    is_understood = session.talk.said or any(turn.voice is Voice.CALLER for turn in session.turns)
    if is_understood or session.talk.slots:
        session.after = "end"
        return twiml.hangup(said)
    session.fallbacks.append("gather:nothing-heard")
    return message(context, session, "leave_message")


def _listening(
    context: Context,
    session: CallSession,
    said: Sequence[twiml.Speech],
    listen: Listen,
    is_interruptible: bool,  # noqa: FBT001 - it belongs to what is said
) -> str:
    return twiml.gather(
        session.profile,
        said,
        action=f"{context.settings.public_url}/twilio/gathered?n={session.talk.inputs}",
        language=session.talk.language,
        silence_s=listen.silence_s,
        is_interruptible=is_interruptible,
        is_dictating=listen.patience is Patience.DIGITS,
    )


def _recording(context: Context, session: CallSession, said: Sequence[twiml.Speech]) -> str:
    root = context.settings.public_url
    return twiml.record(
        said,
        action=f"{root}/twilio/recorded",
        callback=f"{root}/twilio/recording",
        ears=_ears(context, session),
    )


def _ears(context: Context, session: CallSession) -> twiml.Ears | None:
    """Have the message written down while it is spoken, where Twilio may hear it."""
    heard = languages.recognition(session.talk.language)
    if heard is None or not session.profile.may_use("twilio"):
        return None
    return twiml.Ears(f"{context.settings.public_url}/twilio/transcription", heard.language)
