"""Have a transcript read: by the local analysis always, and by Anthropic's model where the tenant may use it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient, Timeout

from mappings.event import Call, Voicemail
from voice import clock, event, redaction
from voice.analyse import analysis, claude
from voice.analyse.merge import merged
from voice.session import CallSession
from voice.tls import trusted
from voice.transcript import Transcript

if TYPE_CHECKING:
    from voice.context import Context

_LOG = structlog.get_logger(module=__name__)
_T = TypeVar("_T")


async def read(context: Context, session: CallSession, heard: Transcript, call: Call) -> Voicemail:
    """Give the event's data. Never fails for the model's sake: what it cannot do, the local analysis does."""
    profile = session.profile
    received_at = session.started_at
    local = await _beside(
        partial(
            analysis.analyse,
            heard.segments,
            call=call,
            received_at=received_at,
            caller_id=session.from_,
            language=session.talk.language,
            vertical=profile.vertical,
            rubric=event.rubric_of(profile),
            timezone=profile.timezone,
        )
    )
    if (why := _not_by_model(context, session)) is not None:
        return _fell_back(local, why) if why else local
    gate = redaction.of(session)
    segments = await _beside(partial(gate.segments, heard.segments))
    model = profile.models.analysis or context.settings.anthropic_analysis_model
    started = clock.elapsed()
    try:
        found = await _asked(
            context,
            session,
            claude.request(
                segments,
                model=model,
                received_at=received_at,
                timezone=profile.timezone,
                vertical=profile.vertical,
            ),
        )
    except claude.Unread as err:
        return _fell_back(local, f"anthropic:{err.why}")
    both = await _beside(
        partial(
            merged,
            local,
            found.proposal,
            read=segments,
            rubric=event.rubric_of(profile),
            received_at=received_at,
            model=found.model,
        )
    )
    took = {"analysis_model": round((clock.elapsed() - started) * 1000, 1)}
    return both.model_copy(update={"latency": {**both.latency, **took}})


def _not_by_model(context: Context, session: CallSession) -> str | None:
    """Tell why the model is not asked ("" when nothing is lost by it), or None when it is."""
    if context.settings.anthropic_api_key is None:
        return ""
    if not session.profile.tenant_id or not session.profile.may_use("anthropic"):
        return "anthropic:not-allowed"
    if context.model is not None and context.model.circuit.is_open:
        return "anthropic:left-alone"
    return None


async def _asked(
    context: Context, session: CallSession, arguments: dict[str, object]
) -> claude.Read:
    settings = context.settings
    key = settings.anthropic_api_key
    async with AsyncAnthropic(
        api_key=key.get_secret_value() if key else "",
        base_url=settings.anthropic_base_url,
        max_retries=0,
        timeout=Timeout(settings.anthropic_answer_s, connect=settings.anthropic_connect_s),
        http_client=DefaultAsyncHttpxClient(verify=trusted()),
    ) as client:
        found = await claude.read(client, arguments, within_s=settings.anthropic_answer_s)
    _LOG.info(
        "model read a transcript",
        call_id=session.sid,
        model=found.model,
        cached_tokens=found.cached_tokens,
    )
    return found


def _fell_back(local: Voicemail, why: str) -> Voicemail:
    provenance = local.provenance.model_copy(
        update={"fallbacks": (*local.provenance.fallbacks, why)}
    )
    return local.model_copy(update={"provenance": provenance})


async def _beside(work: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(None, work)
