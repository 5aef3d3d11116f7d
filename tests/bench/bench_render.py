"""Measure rendering: a 12-field mapping on one core, beside hand-written Python in the same run.

Run it with ``python -m tests.bench.bench_render``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from mappings.document import load, parse
from mappings.event import Voicemail, facts
from mappings.render import compile_mapping

MAPPING = """
version: 1
event: com.afterbeep.voicemail.completed.v1
steps:
  - id: lead
    object: Lead
    match: {Phone: {from: caller.phone, as: e164}}
    set:
      LastName: {from: [caller.name.family, caller.name.full], or: Unknown}
      FirstName: {from: caller.name.given}
      Company: {from: caller.company, or: "[not given]"}
      Phone: {from: caller.phone, as: e164}
      Email: {from: caller.email, as: lower}
      LeadSource: {value: Voicemail, update: never}
      Rating: {from: urgency.level, choose: {critical: Hot, high: Hot, normal: Warm, low: Cold}}
      Title: {text: "Voicemail from {caller.name.full}"}
      Description: {text: "{summary}\\nRecording: {call.recording.url}", max: 32000}
      CallDate__c: {from: call.started_at, as: local_date}
      Score__c: {from: lead_score}
      Escalate__c: {from: escalate}
"""
ZONE = ZoneInfo("America/Los_Angeles")
RATINGS = {"critical": "Hot", "high": "Hot", "normal": "Warm", "low": "Cold"}


def sample(number: int) -> dict[str, Any]:
    """Give the facts of a made-up voicemail; every third caller names no company."""
    name = {"full": f"Dana Whitfield {number}", "given": "Dana", "family": f"Whitfield {number}"}
    caller = {"name": name, "phone": f"+1415555{100 + number % 100:04d}"}
    if number % 3:
        caller |= {"company": f"Interiors {number}", "email": f"Dana{number}@whitfield.example"}
    call = {
        "id": f"CA{number:032d}",
        "started_at": "2026-11-20T16:03:11Z",
        "recording": {"url": f"https://afterbeep.example/recordings/{number}"},
    }
    urgency = {"score": 85, "level": ("low", "normal", "high", "critical")[number % 4]}
    rest = {"bucket": "new_lead", "lead_score": number % 101, "escalate": number % 2 == 0}
    data = {"call": call, "caller": caller, "urgency": urgency, "summary": "Water leak", **rest}
    return facts(Voicemail.model_validate(data))


def handwritten(found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the fields and the match that the mapping gives, as one would write it by hand."""
    caller, call = found.get("caller", {}), found["call"]
    name = caller.get("name", {})
    fields: dict[str, Any] = {
        "LastName": name.get("family") or name.get("full") or "Unknown",
        "Company": caller.get("company") or "[not given]",
        "LeadSource": "Voicemail",
        "Rating": RATINGS[found["urgency"]["level"]],
        "Title": f"Voicemail from {name.get('full', '')}".strip(),
        "Description": f"{found['summary']}\nRecording: {call['recording']['url']}"[:32000],
        "Score__c": found["lead_score"],
        "Escalate__c": found["escalate"],
    }
    if given := name.get("given"):
        fields["FirstName"] = given
    if phone := caller.get("phone"):
        fields["Phone"] = phone
    if email := caller.get("email"):
        fields["Email"] = email.lower()
    if started := call.get("started_at"):
        fields["CallDate__c"] = datetime.fromisoformat(started).astimezone(ZONE).date().isoformat()
    return fields, {"Phone": phone}


def seconds(render: Callable[[dict[str, Any]], Any], events: list[dict[str, Any]]) -> float:
    """Give the time of this process's own that rendering all events takes."""
    started = time.process_time()
    for found in events:
        render(found)
    return time.process_time() - started


def measure() -> dict[str, float]:
    """Give ``render_per_s`` and its ratio to hand-written code; both must give the same fields."""
    (step,) = compile_mapping(parse(load(MAPPING))).steps
    events = [sample(number) for number in range(500)]
    ids: dict[str, str] = {}

    def mapped(found: dict[str, Any]) -> Any:
        return step.render(found, ids=ids, timezone=ZONE)

    for found in events:
        rendered = mapped(found)
        if (rendered.fields, rendered.match) != handwritten(found):
            raise AssertionError("the mapping and the hand-written function disagree")
    # Short rounds by turns: what else the machine does then falls on both, and on few rounds.
    rounds = [(seconds(mapped, events), seconds(handwritten, events)) for _ in range(400)]
    by_mapping, by_hand = (len(events) / min(times) for times in zip(*rounds, strict=True))
    return {
        "render_per_s": round(by_mapping),
        "handwritten_per_s": round(by_hand),
        "render_vs_handwritten": round(by_mapping / by_hand, 3),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))  # noqa: T201 - the figures are what this command is for
