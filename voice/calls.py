"""What becomes of a call: it comes in, is put on a line, goes from one line to the next, and ends.

Each function answers one webhook with TwiML. Lines fail in this order: openai or elevenlabs, conversation_relay,
record; a line that failed is not tried again in the call. What a line wants to happen after it stands in
``session.after`` before its socket closes; where nothing stands there, the socket was dropped and the call goes on
where it was.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from voice import clock, dialogue, finish, twiml, wording
from voice.context import Context
from voice.conversation import VOICE_FAILED, opening_acts, public
from voice.dialogue.types import KnownCaller
from voice.hub_api import HubError
from voice.line import gather_record
from voice.profile import LineKind
from voice.session import CallSession, Phase, Turn, Voice
from voice.turns import speaking_s

_LOG = structlog.get_logger(module=__name__)
#: Source: https://www.twilio.com/docs/voice/twiml#callstatus-values (2026-11-30)
OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_E164 = re.compile(r"\+[1-9]\d{4,14}")
#: A caller hears ringing while we look up who they are; nobody shall wait long for that.
_LOOK_UP_S = 0.5
#: A line whose socket was dropped as often as this in a call has failed.
_MOST_DROPS = 3
#: One that never got a socket fails at the second time.
_MOST_MISSES = 2
_TRANSFER_S = 25
_MOST_ANSWERS = 60

Form = Mapping[str, str]


class NotACall(ValueError):
    """The form names no call."""


async def find(context: Context, form: Form) -> CallSession:
    """Give the form's call; one that nobody knows (any more) begins anew. Raises NotACall."""
    sid = form.get("CallSid", "")
    if not _SID.fullmatch(sid):
        raise NotACall("CallSid must be CA and 32 hexadecimal digits")
    found = await context.store.load(sid)
    return found or await _new(context, sid, form)


async def _new(context: Context, sid: str, form: Form) -> CallSession:
    to, forwarded = _number(form, "To"), _number(form, "ForwardedFrom")
    profile = await context.profiles.find(to, forwarded)
    session = CallSession(
        sid=sid,
        token=secrets.token_urlsafe(24),
        profile=profile,
        started_at=clock.now(),
        line=profile.line,
        from_=_number(form, "From"),
        to=to,
        forwarded_from=forwarded,
    )
    await open_talk(context, session)
    return session


async def open_talk(context: Context, session: CallSession) -> None:
    """Begin the dialogue of a new call, with what the hub knows of the caller."""
    profile = session.profile
    known = await _known(context, session)
    step = dialogue.begin(profile, caller_id=session.from_, known=public(known, profile))
    session.talk = replace(step.talk, known=known or step.talk.known)
    _LOG.info(
        "call came in", call_id=session.sid, tenant_id=profile.tenant_id, line=session.line.value
    )


def _number(form: Form, name: str) -> str | None:
    said = form.get(name, "").strip().replace(" ", "+", 1) if form.get(name) else ""
    return said if _E164.fullmatch(said) else None


async def _known(context: Context, session: CallSession) -> KnownCaller | None:
    if not session.from_ or not session.profile.tenant_id:
        return None
    try:
        async with asyncio.timeout(_LOOK_UP_S):
            return await context.hub.caller(session.profile.tenant_id, session.from_)
    except (HubError, TimeoutError) as err:
        _LOG.info("caller was not looked up", call_id=session.sid, error=type(err).__name__)
        return None


async def once(
    context: Context, session: CallSession, event: str, answer: Callable[[], Awaitable[str]]
) -> str:
    """Answer an event of a call; when it comes again it is answered the same and nothing happens."""
    if event in session.answered:
        return session.answered[event]
    document = await answer()
    session.answered[event] = document
    while len(session.answered) > _MOST_ANSWERS:
        del session.answered[next(iter(session.answered))]
    await context.store.save(session)
    return document


async def incoming(context: Context, session: CallSession, form: Form) -> str:
    """A call comes in: staff are rung first where the tenant wants it, then the agent answers."""
    staff = session.profile.staff
    # A member of staff whose own telephone forwards to us: ringing them again would go round.
    is_bounced = form.get("ForwardedFrom", "").strip() in staff.ring_first
    if staff.ring_first and not is_bounced:
        return twiml.dial(
            staff.ring_first,
            timeout_s=staff.ring_s,
            action=url(context, "dialled?why=staff"),
        )
    return await go_on(context, session)


async def dialled(context: Context, session: CallSession, form: Form, *, why: str) -> str:
    """Staff were rung: either they have talked to the caller, or the caller is ours."""
    if form.get("DialCallStatus") in {"completed", "answered"}:
        session.is_answered = True
        session.after = "end"
        return twiml.hangup()
    if why != "transfer":
        return await go_on(context, session)
    fell_back(context, session, "transfer:unanswered")
    session.after, session.news = None, "transfer_failed"
    return await go_on(context, session)


async def connected(context: Context, session: CallSession, form: Form) -> str:
    """A socket is gone: do what the line wanted, else go on where the call was."""
    if form.get("CallStatus") in OVER:
        await ended(context, session, form)
        return twiml.nothing()
    after = session.after or _handed_over(form)
    session.after = None
    if after == "end":
        return twiml.hangup()
    if after == "transfer":
        return transfer(context, session)
    if after == "message":
        return gather_record.message(context, session, "leave_message")
    if session.news != VOICE_FAILED:
        _dropped(context, session, form)
    return await go_on(context, session)


def transfer(context: Context, session: CallSession) -> str:
    """Ring the person that the caller is put through to; if nobody answers, they leave a message."""
    profile = session.profile
    number = session.transfer_to or profile.staff.transfer_to or profile.emergency.number
    if number is None:
        return gather_record.message(context, session, "person_unavailable")
    return twiml.dial([number], timeout_s=_TRANSFER_S, action=url(context, "dialled?why=transfer"))


def _handed_over(form: Form) -> str | None:
    """Read what the line said when it ended its socket: the state may have been lost with Redis."""
    found = re.search(r'"next":\s*"(transfer|message|end)"', form.get("HandoffData", ""))
    return found.group(1) if found else None


def _dropped(context: Context, session: CallSession, form: Form) -> None:
    line = session.line.value
    session.drops[line] = session.drops.get(line, 0) + 1
    most = _MOST_DROPS if session.owner else _MOST_MISSES
    if session.drops[line] >= most and line not in session.failed_lines:
        session.failed_lines.append(line)
    what = "failed" if line in session.failed_lines else "dropped"
    fell_back(context, session, f"{_short(session.line)}:{what}")
    _LOG.warning(
        "socket of a call was lost",
        call_id=session.sid,
        line=line,
        times=session.drops[line],
        error_code=form.get("ErrorCode"),
    )


async def go_on(context: Context, session: CallSession) -> str:
    """Put the call on the best line that is left, where it was."""
    session.line = next_line(context, session)
    token, action = session.token, url(context, "connected")
    match session.line:
        case LineKind.RECORD:
            return await gather_record.begin(context, session)
        case LineKind.CONVERSATION_RELAY:
            text, is_interruptible = greeting(session)
            return twiml.relay(
                session.profile,
                socket=url(context, "relay", is_socket=True),
                token=token,
                action=action,
                language=session.talk.language,
                greeting=text,
                is_interruptible=is_interruptible,
                is_voice_replaced=session.is_voice_replaced,
            )
        case _:
            return twiml.stream(
                socket=url(context, "media", is_socket=True),
                token=token,
                action=action,
                said=_announced(session),
            )


def _announced(session: CallSession) -> list[twiml.Speech]:
    """Give what is said before a stream is connected: that the call is recorded, which nobody may talk over.

    The stream's own first words can then be interrupted like all others.
    """
    language = session.talk.language
    said = wording.opening(opening_acts(session), language, session.profile)
    if session.turns or said.is_interruptible or not said.text:
        return []
    session.turns.append(
        Turn(Voice.AGENT, said.text, 0.0, round(speaking_s(said.text), 2), language)
    )
    return [twiml.Speech(said.text, language)]


def greeting(session: CallSession) -> tuple[str | None, bool]:
    """Give what the line says first, and whether it may be interrupted; None when the call goes on."""
    if any(turn.voice is Voice.AGENT for turn in session.turns):
        return None, True
    said = wording.opening(opening_acts(session), session.talk.language, session.profile)
    return said.text or None, said.is_interruptible


def next_line(context: Context, session: CallSession) -> LineKind:
    """Give the tenant's line, or the best one below it that has not failed and may be used."""
    profile, settings = session.profile, context.settings
    wanted = profile.line
    order: list[LineKind] = [wanted] if wanted in {LineKind.OPENAI, LineKind.ELEVENLABS} else []
    if wanted is not LineKind.RECORD:
        order.append(LineKind.CONVERSATION_RELAY)
    may = {
        LineKind.OPENAI: bool(settings.openai_api_key) and profile.may_use("openai"),
        LineKind.ELEVENLABS: bool(profile.elevenlabs_agent_id or settings.elevenlabs_agent_id)
        and profile.may_use("elevenlabs"),
        LineKind.CONVERSATION_RELAY: profile.may_use("twilio"),
    }
    for line in order:
        if line.value in session.failed_lines:
            continue
        if may[line]:
            return line
        fell_back(context, session, f"{_short(line)}:not-allowed")
        session.failed_lines.append(line.value)
    return LineKind.RECORD


def _short(line: LineKind) -> str:
    return "relay" if line is LineKind.CONVERSATION_RELAY else line.value


def fell_back(context: Context, session: CallSession, what: str) -> None:
    """Note that something was done in another way than planned."""
    session.fallbacks.append(what)
    context.metrics.fallbacks.labels(what=what).inc()


def url(context: Context, path: str, *, is_socket: bool = False) -> str:
    """Give the public address of one of our Twilio routes."""
    settings = context.settings
    root = settings.public_socket_url if is_socket else settings.public_url
    return f"{root}/twilio/{path}"


async def ended(context: Context, session: CallSession, form: Form) -> None:
    """The call is over: make its event, once, beside the answer to the webhook."""
    duration = form.get("CallDuration", "")

    def end(one: CallSession) -> None:
        if one.phase is Phase.OPEN:
            one.phase = Phase.ENDED
            one.ended_at = clock.now()
            one.status = form.get("CallStatus") or one.status
        if duration.isdecimal():
            one.duration_s = float(duration)

    was_open = session.phase is Phase.OPEN
    end(session)
    changed = await context.store.change(session.sid, end) or session
    if was_open:
        outcome = _outcome(changed)
        context.metrics.calls.labels(line=changed.line.value, outcome=outcome).inc()
        _LOG.info("call ended", call_id=session.sid, outcome=outcome, status=changed.status)
    if changed.phase is Phase.ENDED:
        context.start(finish.ended(context, changed), name=f"finish {session.sid}")


def _outcome(session: CallSession) -> str:
    if session.is_answered:
        return "answered"
    if any(turn.voice is Voice.CALLER for turn in session.turns):
        return "talked"
    return "recorded" if session.recordings else "silent"
