"""Judges a played call: everything that its scenario expects, each as a sentence where it is not so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voice.scenario.document import Captured
from voice.scenario.play import Played
from voice.scenario.real_hub import Landed


def problems(played: Played) -> list[str]:
    """Give what is not as expected; [] when all is."""
    return [
        *_heard(played),
        *_course(played),
        *_figures(played),
        *_landed(played),
    ]


def _heard(played: Played) -> Iterator[str]:
    expected = played.scenario.expect
    text = " ".join(one.text for one in played.report.heard)
    at = 0
    for pattern in expected.heard:
        found = re.search(pattern, text[at:], re.IGNORECASE)
        if found is None:
            where = "" if at == 0 else f" after “…{text[max(0, at - 30) : at]}”"
            yield f"The caller did not hear /{pattern}/{where}."
            return
        at += found.end()
    for pattern in expected.never_heard:
        if found := re.search(pattern, text, re.IGNORECASE):
            yield f"The caller heard “{found.group()}”."


def _course(played: Played) -> Iterator[str]:
    expected, report, session = played.scenario.expect, played.report, played.session
    numbers = [one.number for one in report.errors]
    if sorted(set(numbers)) != sorted(set(expected.errors)):
        told = "; ".join(f"{one.number} {one.message}" for one in report.errors) or "nothing"
        yield f"Twilio's debugger holds {told}, expected were {list(expected.errors)}."
    if played.faults_left:
        left = ", ".join(f"{one.at} {one.do}" for one in played.faults_left)
        yield f"These faults never happened: {left}."
    if expected.ended_by and report.ended_by != expected.ended_by:
        yield f"The call was ended by {report.ended_by or 'nobody'}, not by {expected.ended_by}."
    dialled = tuple(one.number for one in report.dialled)
    if dialled != expected.dialled:
        yield f"Dialled were {list(dialled)}, expected {list(expected.dialled)}."
    if session is None:
        yield "Nothing was kept of the call."
        return
    if expected.line and _is_own_line(played) and session.line is not expected.line:
        yield f"The last line was {session.line}, not {expected.line}."
    tools = [one.tool for one in session.tools]
    missing = [one for one in expected.tools if one not in tools]
    if missing:
        yield f"These tools were not used: {missing}; used were {tools}."


def _figures(played: Played) -> Iterator[str]:
    expected, report = played.scenario.expect, played.report
    if _is_own_line(played):
        # Other lines have other vendors, and their own delays.
        what = "first sound after the caller's words"
        yield from _at_most(what, report.answer_s, expected.answer_ms)
        what = "silence after an interruption"
        yield from _at_most(what, report.barge_in_s, expected.barge_in_ms)
    if report.after_clear_s:
        yield f"{report.after_clear_s:.2f} s of speech were played over the caller after a clear."


def _is_own_line(played: Played) -> bool:
    return played.profile.line is played.scenario.profile().line


def _at_most(what: str, seconds: Sequence[float], most_ms: float | None) -> Iterator[str]:
    if most_ms is not None and seconds and max(seconds) * 1_000 > most_ms:
        yield f"The {what} came after {max(seconds) * 1_000:.0f} ms, not within {most_ms:.0f} ms."


def _landed(played: Played) -> Iterator[str]:
    expected, event = played.scenario.expect, played.event
    if event is None:
        if expected.event:
            yield "No event reached the hub."
    elif expected.event:
        yield from _captured(expected.captured, event)
    else:
        yield "An event reached the hub, and none should have."
    yield from _deliveries(expected.landed, played.landed)


def _deliveries(expected: Mapping[str, int], found: Landed | None) -> Iterator[str]:
    """Compare what landed where; only a real hub delivers."""
    if found is None:
        return
    for name, count in found.undelivered.items():
        yield f"{count} of {name} did not land."
    for name, count in expected.items():
        if found.delivered.get(name, 0) != count:
            yield f"{found.delivered.get(name, 0)} of {name} landed, expected {count}."


def _captured(expected: Captured, event: Mapping[str, Any]) -> Iterator[str]:
    data: Mapping[str, Any] = event["data"]
    caller, callback = data.get("caller") or {}, data.get("callback") or {}
    name = (caller.get("name") or {}).get("full")
    number = callback.get("number")
    yield from _matches("name", expected.name, name)
    if expected.no_name and name:
        yield f"The event has the name {name!r}, and should have none."
    if expected.number and number != expected.number:
        yield f"The callback number is {number}, not {expected.number}."
    if expected.no_number and number:
        yield f"The event has the number {number}, and should have none."
    yield from _is("bucket", expected.bucket, data.get("bucket"))
    yield from _is("urgency", expected.urgency, (data.get("urgency") or {}).get("level"))
    language = (data.get("language") or "").split("-")[0]
    if expected.language and language != expected.language.split("-")[0]:
        yield f"The language is {language or 'none'}, not {expected.language}."
    segments = (data.get("transcript") or {}).get("segments") or []
    yield from _matches("summary", expected.summary, data.get("summary"))
    text = " ".join(one["text"] for one in segments)
    yield from _matches("transcript", expected.transcript, text)
    yield from _flags(expected, data)
    whole = json.dumps(event, ensure_ascii=False)
    for word in expected.not_in_event:
        if word.lower() in whole.lower():
            yield f"The event holds {word!r}, and must not."
    fallbacks = data.get("provenance", {}).get("fallbacks") or []
    for one in expected.fallbacks:
        if not any(each.startswith(one) for each in fallbacks):
            yield f"The event names no fallback {one}, only {fallbacks}."


def _flags(expected: Captured, data: Mapping[str, Any]) -> Iterator[str]:
    found = {
        "sms_consent": (data.get("callback") or {}).get("sms_consent"),
        "known": (data.get("caller") or {}).get("known"),
        "escalate": data.get("escalate", False),
        "redacted": (data.get("transcript") or {}).get("redacted", False),
        "appointment": bool(((data.get("appointment") or {}).get("window") or {}).get("start")),
        "recording": bool((data.get("call") or {}).get("recording")),
    }
    for name, value in found.items():
        wanted = getattr(expected, name)
        if wanted is not None and wanted != value:
            yield f"{name} is {value}, not {wanted}."
    extra = data.get("extra") or {}
    for name, wanted in expected.extra.items():
        if extra.get(name) != wanted:
            yield f"extra.{name} is {extra.get(name)!r}, not {wanted!r}."


def _matches(what: str, pattern: str | None, text: str | None) -> Iterator[str]:
    if pattern and not re.search(pattern, text or "", re.IGNORECASE):
        yield f"The {what} is {text!r}, which does not match /{pattern}/."


def _is(what: str, wanted: Any, found: str | None) -> Iterator[str]:
    if wanted is None:
        return
    allowed = [str(one) for one in wanted] if isinstance(wanted, tuple) else [str(wanted)]
    if found not in allowed:
        yield f"The {what} is {found}, not {' or '.join(allowed)}."
