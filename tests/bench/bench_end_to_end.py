"""Measure the whole way: events posted over HTTP until their records stand at the vendors, with real processes.

Run it with ``python -m tests.bench.bench_end_to_end``. Hub, workers, sweep, PostgreSQL, Redis, sandboxes and
this client share the machine. A backlog is made by pausing the connection while events arrive.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hub.db import mappings
from hub.db.connections import Connection
from hub.delivery import steer
from hub.delivery.ledger import ledger
from mappings.document import load
from mappings.presets import presets
from tests.e2e.installation import Installation, installation

EVENTS = 5_000
BACKLOG = 2_000
_PATIENCE_S = 300.0
_WHEN = "when: [{field: bucket, in: [new_lead]}]\n"
_HEAD = "version: 1\nevent: com.afterbeep.voicemail.completed.v1\n"

#: One record for each voicemail, without looking for an older one.
PLAIN = {
    "salesforce": """steps:
  - id: lead
    object: Lead
    set:
      LastName: {from: [caller.name.family, caller.name.full], or: Unknown}
      Company: {from: caller.company, or: "[not given]"}
      Phone: {from: caller.phone, as: e164}
      LeadSource: {value: Phone Inquiry, update: never}
      Description: {text: "{summary}", max: 32000}
""",
    "hubspot": """steps:
  - id: contact
    object: contacts
    set:
      lastname: {from: [caller.name.family, caller.name.full]}
      company: {from: caller.company}
      phone: {from: caller.phone, as: e164}
      lifecyclestage: {value: lead}
""",
}
#: Vendors that take a backlog in their own time: only what it costs is measured.
BACKLOG_ONLY = {
    "zendesk": """steps:
  - id: ticket
    object: Ticket
    set:
      subject: {text: "{summary}", max: 150}
      description: {text: "{summary}"}
      comment_public: {value: false}
""",
}
#: More waiting rows than Salesforce's cheaper way for very many begins with.
BULK = 10_000
#: The preset for new leads: finds the person's record first, writes it and a task.
PRESETS = {"salesforce": "lead_and_task", "hubspot": "contact_and_task"}


def measure() -> dict[str, Any]:
    """Give events per second from the first post to the last record, and API calls per 1,000 events of a backlog.

    Raises AssertionError when anything was lost, doubled or parked.
    """
    calls: dict[str, float] = {}
    with_look_up: dict[str, float] = {}
    rates: dict[str, float] = {}
    for vendor, steps in PLAIN.items():
        with (
            tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as name,
            installation(Path(name), vendor, has_presets=False) as one,
        ):
            connection_id = _publish(one, vendor, _HEAD + _WHEN + steps)
            _warm_up(one)
            rates[vendor] = round(_per_second(one, first=1_000), 1)
            calls[vendor] = round(_calls(one, vendor, connection_id, first=20_000), 2)
            preset = next(each for each in presets(vendor) if each.name == PRESETS[vendor])
            _publish(one, vendor, preset.text)
            with_look_up[vendor] = round(_calls(one, vendor, connection_id, first=40_000), 2)
            _must_be_right(one, vendor)
    polls: dict[str, float] = {}
    for vendor, steps in BACKLOG_ONLY.items():
        calls[vendor], polls[vendor] = _of_backlog(vendor, steps, BACKLOG)
    in_bulk, bulk_polls = _of_backlog("salesforce", PLAIN["salesforce"], BULK)
    return {
        "end_to_end_per_s": min(rates.values()),
        "end_to_end_per_s_by_vendor": rates,
        "calls_per_1000": calls,
        "calls_per_1000_with_look_up_and_task": with_look_up,
        "polls_per_1000": polls,
        "calls_per_1000_in_bulk": {"salesforce": round(in_bulk + bulk_polls, 2)},
    }


def _of_backlog(vendor: str, steps: str, number: int) -> tuple[float, float]:
    """Give the calls for each 1,000 events of a backlog, and the questions about jobs among the rest of the calls."""
    with (
        tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as name,
        installation(Path(name), vendor, has_presets=False) as one,
    ):
        connection_id = _publish(one, vendor, _HEAD + _WHEN + steps)
        before = _polls(one, vendor)
        calls = _calls(one, vendor, connection_id, first=0, number=number)
        asked = (_polls(one, vendor) - before) / number * 1_000
        stats = one.boxes[vendor].stats()
        found = (one.states(), stats["duplicate_keys"], sum(stats["records"].values()))
        if found != ({"delivered": number}, [], number):
            raise AssertionError(f"something is lost, doubled or parked: {found}")
        return round(calls - asked, 2), round(asked, 2)


def _polls(one: Installation, vendor: str) -> int:
    """Count how often a job's state was asked for."""
    calls: dict[str, int] = one.boxes[vendor].stats()["calls"]
    return sum(
        count for route, count in calls.items() if route.startswith("GET ") and "job" in route
    )


def _publish(one: Installation, vendor: str, text: str) -> str:
    """Publish the tenant's only mapping, or its next version; gives the connection's id."""
    with one.hub.tenant(one.home.tenant_id) as session:
        connection_id = session.scalars(select(Connection.id)).one()
        old = session.scalars(select(mappings.FieldMapping.id)).one_or_none()
        mappings.save(
            session,
            connection_id=connection_id,
            name=vendor,
            document=load(text),
            source=text,
            author="command",
            mapping_id=old,
        )
    return connection_id


def _warm_up(one: Installation) -> None:
    one.post(100)
    _settle(one)


def _per_second(one: Installation, *, first: int) -> float:
    began = time.perf_counter()
    answers = one.post(EVENTS, first=first)
    if set(answers) != {"accepted"}:
        raise AssertionError(f"not all events were accepted: {set(answers)}")
    _settle(one)
    return EVENTS / (time.perf_counter() - began)


def _calls(
    one: Installation, vendor: str, connection_id: str, *, first: int, number: int = BACKLOG
) -> float:
    """Give the vendor's API calls for each 1,000 events of a backlog."""
    steer.pause(one.hub, one.home.tenant_id, connection_id, actor="command")
    one.post(number, first=first)
    before = one.boxes[vendor].stats()["calls_total"]
    steer.resume(one.hub, one.home.tenant_id, connection_id, actor="command")
    _settle(one)
    return (one.boxes[vendor].stats()["calls_total"] - before) / number * 1_000


def _settle(one: Installation) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not one.is_settled():
        if time.monotonic() > end:
            raise AssertionError(f"deliveries are still under way: {one.states()}")
        time.sleep(0.05)


def _must_be_right(one: Installation, vendor: str) -> None:
    stats = one.boxes[vendor].stats()
    events = 100 + EVENTS + 2 * BACKLOG
    steps = events + BACKLOG
    found = (one.states(), stats["duplicate_keys"], sum(stats["records"].values()))
    if found != ({"delivered": steps}, [], steps):
        raise AssertionError(f"something is lost, doubled or parked: {found}, expected {steps}")
    if problems := ledger(one.hub, one.home.tenant_id).problems:
        raise AssertionError(f"the ledger does not agree: {problems}")


if __name__ == "__main__":
    print(json.dumps(measure()))  # noqa: T201 - the figures are what this command is for
