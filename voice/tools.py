"""Run the tools that a model may use in a call (``voice.surface``), and run them again from the record.

What a model asks for is checked as anything from outside is: it can reach no number but the tenant's,
look up nobody but the caller, take no time that was not offered, and not hang up before an emergency text was
heard. A tool that fails gives the model an error to read; the call goes on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog

from voice import languages
from voice.clock import elapsed, now
from voice.dialogue.saved import read_slot
from voice.dialogue.types import KnownCaller, Stage
from voice.profile import Profile
from voice.session import CallSession, ToolCall
from voice.surface import (
    LIMIT_S,
    Refused,
    Tool,
    check,
    for_anthropic,
    for_elevenlabs,
    for_openai,
    surface,
)

__all__ = [
    "Hub",
    "Outcome",
    "Refused",
    "Replayed",
    "Tool",
    "check",
    "for_anthropic",
    "for_elevenlabs",
    "for_openai",
    "replay",
    "run",
    "surface",
]
MOST_CALLS = 60
_LOG = structlog.get_logger(module=__name__)


class Hub(Protocol):
    """What tools ask the hub for (``voice.hub_api.HubApi``)."""

    async def caller(self, tenant_id: str, phone: str) -> KnownCaller | None:
        """Give what is known of whoever calls from this number."""
        ...

    async def times(
        self,
        tenant_id: str,
        *,
        duration_minutes: int = 60,
        start: datetime | None = None,
        days: int = 7,
    ) -> Sequence[str]:
        """Give free start times (ISO 8601)."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running a tool gave: its JSON, or an error that the model can act upon."""

    tool: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None = None

    def for_model(self) -> str:
        """Give the answer as the JSON that a model reads."""
        answer = self.result if self.error is None else {"error": self.error}
        return json.dumps(answer, ensure_ascii=False)


async def run(
    name: str,
    arguments: object,
    *,
    profile: Profile,
    session: CallSession,
    hub: Hub | None,
    limit_s: float = LIMIT_S,
) -> Outcome:
    """Run a tool, note it in ``session.tools``, and give what came of it. Never raises (but is cancelled).

    ``arguments`` is what the model gave: an object, or its JSON. What changes in the call is
    the dialogue's business: give it ``Saved`` for save_slot and ``ToolDone`` for the others.
    """
    began, at = elapsed(), now()
    checked: dict[str, Any] = {}
    result: dict[str, Any] | None = None
    error: str | None = None
    try:
        _count(session)
        checked = check(name, arguments, profile)
        async with asyncio.timeout(limit_s):
            result = await _run(name, checked, _Use(profile, session, hub))
    except Refused as err:
        error = str(err)
    except TimeoutError:
        error = "This takes too long. Go on without it."
    except Exception as err:  # noqa: BLE001  # a tool never breaks a call
        _LOG.warning("tool failed", call=session.sid, tool=name[:40], error=type(err).__name__)
        error = "This cannot be done now. Go on without it."
    session.tools.append(
        ToolCall(
            number=len(session.tools) + 1,
            at=at,
            tool=name[:40],
            arguments=deepcopy(checked),
            result=result,
            error=error,
            ms=round((elapsed() - began) * 1000, 1),
        )
    )
    return Outcome(name, checked, result, error)


def _count(session: CallSession) -> None:
    if len(session.tools) >= MOST_CALLS:
        raise Refused("No more tools can be used in this call.")


@dataclass(frozen=True, slots=True)
class _Use:
    profile: Profile
    session: CallSession
    hub: Hub | None

    def asked(self) -> Hub:
        if self.hub is None:
            raise Refused("This cannot be looked up now. Go on without it.")
        return self.hub


async def _run(name: str, arguments: Mapping[str, Any], use: _Use) -> dict[str, Any]:
    match name:
        case "look_up_caller":
            return await _look_up_caller(use)
        case "offer_times":
            return await _offer_times(str(arguments["from_day"]), use)
        case _:
            return _AT_ONCE[name](arguments, use)


def _save_slot(arguments: Mapping[str, Any], use: _Use) -> dict[str, Any]:
    slot = str(arguments["slot"])
    value = read_slot(slot, str(arguments["value"]), use.session.talk)
    if value is None:
        raise Refused(f"That is no {slot}. Ask the caller again.")
    if slot == "number":
        return {"slot": slot, "value": value, "next": "It is read back to the caller for you."}
    return {"slot": slot, "value": value}


async def _look_up_caller(use: _Use) -> dict[str, Any]:
    number = use.session.talk.caller_id or use.session.from_
    if not number:
        raise Refused("The caller's number is withheld.")
    known = await use.asked().caller(use.profile.tenant_id, number)
    if known is None:
        return {"is_known": False}
    found: dict[str, Any] = {"is_known": True, "name": known.name, "calls": known.calls}
    if not use.profile.is_phi:
        found |= {"last_bucket": known.last_bucket, "last_summary": known.last_summary}
    return found


async def _offer_times(from_day: str, use: _Use) -> dict[str, Any]:
    start = None
    if from_day:
        try:
            start = datetime.fromisoformat(from_day).replace(tzinfo=ZoneInfo(use.profile.timezone))
        except ValueError:
            raise Refused("from_day is no day of the calendar.") from None
    times = await use.asked().times(use.profile.tenant_id, start=start)
    return {"times": [str(one) for one in times][:6], "timezone": use.profile.timezone}


def _book(arguments: Mapping[str, Any], use: _Use) -> dict[str, Any]:
    start = str(arguments["start"])
    if start not in use.session.talk.offered:
        raise Refused("That time was not offered. Choose one of those that were.")
    return {"start": start, "status": "noted"}


def _transfer(arguments: Mapping[str, Any], use: _Use) -> dict[str, Any]:
    del arguments  # why is noted; where to is the tenant's alone
    talk, profile = use.session.talk, use.profile
    number = profile.staff.transfer_to or (profile.emergency.number if talk.emergency else None)
    if number is None:
        raise Refused("Nobody can be put through to. Offer to take a message.")
    if talk.emergency and not talk.is_emergency_heard:
        raise Refused("First the caller must have heard the emergency text.")
    return {"status": "requested"}


def _end_call(arguments: Mapping[str, Any], use: _Use) -> dict[str, Any]:
    del arguments  # it has none
    talk = use.session.talk
    if talk.emergency and not talk.is_emergency_heard:
        raise Refused("First the caller must have heard the emergency text.")
    if talk.stage is Stage.CONSENT:
        raise Refused("First the caller must have answered about the recording.")
    return {"status": "ending"}


def _note_language(arguments: Mapping[str, Any], use: _Use) -> dict[str, Any]:
    del use  # any language with lines may be spoken
    tag = str(arguments["language"])
    if languages.tag_for(tag) is None:
        raise Refused("That language cannot be spoken here. Go on as before.")
    return {"language": tag}


_AT_ONCE: Mapping[str, Callable[[Mapping[str, Any], _Use], dict[str, Any]]] = {
    "save_slot": _save_slot,
    "book": _book,
    "transfer": _transfer,
    "end_call": _end_call,
    "note_language": _note_language,
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded tool call that was run again, and whether the same came of it."""

    number: int
    tool: str
    is_same: bool
    was: Outcome
    now: Outcome


async def replay(
    calls: Sequence[ToolCall], *, profile: Profile, session: CallSession, hub: Hub | None
) -> list[Replayed]:
    """Run recorded tool calls again, in order, on a copy of the session; nothing of it is changed.

    Times that were offered then count as offered now, so that only what the tool itself gives
    can differ. ``hub`` may be one that reads only.
    """
    copy = replace(session, tools=[])
    found = []
    for call in sorted(calls, key=lambda one: one.number):
        was = Outcome(call.tool, call.arguments, call.result, call.error)
        again = await run(call.tool, call.arguments, profile=profile, session=copy, hub=hub)
        is_same = (again.result, again.error) == (was.result, was.error)
        found.append(Replayed(call.number, call.tool, is_same, was, again))
        if call.tool == "offer_times" and call.result:
            offered = tuple(str(one) for one in call.result.get("times", ()))
            copy.talk = replace(copy.talk, offered=offered)
    return found
