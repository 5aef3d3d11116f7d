"""<Dial>: ring staff, connect them, and say how it went.

Source: https://www.twilio.com/docs/voice/twiml/dial (2026-11-30)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice.sandbox.twilio.flow import Go, HungUp
from voice.sandbox.twilio.habits import Staff
from voice.sandbox.twilio.report import Dialled
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.call import Call

_SETUP_S = 0.5


@dataclass(slots=True)
class _Leg:
    sid: str
    number: str
    status: str = "no-answer"
    talked_s: float = 0.0


async def dial(call: Call, verb: Verb) -> Go | None:
    """Perform <Dial>. When the caller hangs up meanwhile, the action is posted all the same."""
    numbers = [child.text for child in verb.children] or [verb.text]
    leg = _Leg(call.network.new_sid("CA"), numbers[0])
    began = call.sound.now
    is_over = False
    try:
        await call.until(_ring_and_talk(call, verb, numbers, leg))
    except HungUp:
        is_over = True
        if leg.status == "no-answer":
            leg.status = "canceled"
    call.report.dialled.append(Dialled(began, leg.number, leg.status, leg.talked_s))
    action = verb.get("action")
    if not action:
        if is_over:
            raise HungUp
        return None
    form = {"DialCallStatus": leg.status, "DialCallSid": leg.sid}
    form["DialBridged"] = "true" if leg.status == "completed" else "false"
    if leg.status == "completed":
        form["DialCallDuration"] = str(round(leg.talked_s))
    go = Go(call.absolute(action), form, verb.get("method") or "POST")
    if not is_over:
        return go
    call.later(call.web.ask("action", go.url, call.form(**go.form), go.method))
    raise HungUp


async def _ring_and_talk(call: Call, verb: Verb, numbers: list[str], leg: _Leg) -> None:
    await asyncio.sleep(_SETUP_S)
    staff = {number: call.network.staff.get(number, Staff()) for number in numbers}
    if verb.is_on("sequential"):
        for number in numbers:
            leg.number = number
            if await _ring(call, verb, {number: staff[number]}, leg):
                return
        return
    await _ring(call, verb, staff, leg)


async def _ring(call: Call, verb: Verb, staff: dict[str, Staff], leg: _Leg) -> bool:
    willing = {
        number: one.answers_after_s
        for number, one in staff.items()
        if one.answers_after_s is not None and not one.is_busy and not one.fails
    }
    timeout = verb.number("timeout")
    first = min(willing, key=lambda number: willing[number], default=None)
    if first is None or willing[first] >= timeout:
        if all(one.is_busy or one.fails for one in staff.values()):
            leg.status = "failed" if all(one.fails for one in staff.values()) else "busy"
        else:
            leg.status = "no-answer"
            await asyncio.sleep(timeout)
        return False
    await asyncio.sleep(willing[first])
    leg.number, leg.status = first, "completed"
    await _talk(call, verb, staff[first], leg)
    return True


async def _talk(call: Call, verb: Verb, staff: Staff, leg: _Leg) -> None:
    call.answer()
    began = call.sound.now
    kind = verb.get("record") or ""
    recording = None
    if kind.startswith("record-"):
        channels = 2 if kind.endswith("dual") else 1
        recording = call.start_recording(verb, "DialVerb", channels=channels)
    try:
        async with asyncio.timeout(min(staff.talks_s, verb.number("timeLimit"))):
            if staff.says:
                await call.sound.play(staff.says, language=None, voice=None, source="staff")
            await asyncio.Event().wait()
    except TimeoutError:
        pass
    finally:
        leg.talked_s = call.sound.now - began
        if recording:
            call.network.recordings.finish(call, recording)
