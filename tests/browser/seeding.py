"""A company as it looks after a busy morning: two accounts, mappings, and voicemails in every state.

Everything comes about as in real life: accounts are connected through the sandboxes' authorise pages, events are
accepted, and workers' code writes the records.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from hub.context import Hub
from hub.db import people
from hub.db.base import new_id, now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.people import Person, Role
from hub.db.tenants import Tenant
from hub.delivery import send
from hub.delivery.plan import Incoming, accept
from mappings.event import Event
from mappings.presets import presets
from tests.conftest import Company, new_company
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect, unspent

PASSWORD = "correct horse battery"

URGENT_TASK = """\
version: 1
event: com.afterbeep.voicemail.completed.v1
# Whoever is on call approves these before anybody is sent out.
when:
  - {field: bucket, in: [support]}
  - {field: caller.phone, present: true}
approve: {urgency_at_least: 60}
steps:
  - id: job
    object: Task
    set:
      Subject: {text: "Emergency: {caller.name.full}", max: 255}
      Description: {text: "{summary}\\nCall back: {caller.phone}"}
      Priority:
        from: urgency.level
        choose: {critical: High, high: High, normal: Normal}
"""

MATCHED = """\
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [existing_customer]}
steps:
  - id: contact
    object: Contact
    match: {Phone: {from: caller.phone, as: e164}}
    set:
      LastName: {from: [caller.name.family, caller.name.full], or: Unknown}
      Phone: {from: caller.phone, as: e164}
"""

CALLS: list[dict[str, Any]] = [
    {
        "name": ("Dana", "Whitfield"),
        "phone": "+14155550132",
        "company": "Whitfield Interiors",
        "bucket": "new_lead",
        "score": 85,
        "level": "critical",
        "reasons": [
            ("Water or gas is escaping", 45, "water is coming through the kitchen ceiling"),
            ("Wants somebody today", 25, "can somebody please come today"),
            ("Asks for a person", 15, "I need to talk to a human"),
        ],
        "summary": "Water through the kitchen ceiling, wants a plumber today",
        "said": [
            ("agent", "Thanks for calling Harbor Home Services. What can we help you with?"),
            (
                "caller",
                (
                    "Hi, this is Dana Whitfield from Whitfield Interiors. Water is coming through the "
                    "kitchen ceiling and it is getting worse."
                ),
            ),
            ("agent", "I am sorry to hear that. Which number can we reach you at?"),
            (
                "caller",
                (
                    "Four one five, five five five, oh one three two. Can somebody please come today? "
                    "I need to talk to a human."
                ),
            ),
        ],
        "sentiment": "negative",
        "lead": 92,
        "escalate": True,
    },
    {
        "name": ("Marcus", "Bell"),
        "phone": "+14155550117",
        "bucket": "support",
        "score": 71,
        "level": "high",
        "reasons": [
            ("Heating is out", 40, "no heat since last night"),
            ("Somebody vulnerable", 31, "my mother is eighty-four"),
        ],
        "summary": "No heat since last night, mother is 84; asks for an emergency visit",
        "said": [
            (
                "caller",
                "It is Marcus Bell. We have had no heat since last night and my mother is eighty-four.",
            )
        ],
    },
    {
        "name": ("Priya", "Natarajan"),
        "phone": "+14155550145",
        "bucket": "existing_customer",
        "score": 22,
        "level": "normal",
        "summary": "Wants to add the upstairs bathroom to the quote from October",
        "said": [
            (
                "caller",
                "Hello, Priya here. Could you add the upstairs bathroom to the quote you sent in October?",
            )
        ],
        "sentiment": "positive",
    },
    {
        "name": ("Tomás", "Herrera"),
        "phone": "+14155550160",
        "bucket": "new_lead",
        "score": 35,
        "level": "normal",
        "summary": "Pide presupuesto para cambiar las ventanas de una casa de tres dormitorios",
        "said": [
            (
                "caller",
                "Buenos días, soy Tomás Herrera. Quisiera un presupuesto para cambiar las ventanas.",
            )
        ],
        "language": "es-US",
        "lead": 64,
    },
    {
        "name": ("Layla", "Haddad"),
        "phone": "+14155550171",
        "bucket": "new_lead",
        "score": 40,
        "level": "normal",
        "summary": "تريد عرض سعر لتجديد المطبخ قبل نهاية الشهر",
        "said": [("caller", "مرحبا، معكم ليلى حداد. أريد عرض سعر لتجديد المطبخ قبل نهاية الشهر.")],
        "language": "ar",
        "lead": 70,
    },
    {
        "name": ("Greg", "Olsen"),
        "phone": "+14155550109",
        "bucket": "billing",
        "score": 30,
        "level": "normal",
        "summary": "Was charged twice for the November service plan",
        "said": [("caller", "Greg Olsen. I was charged twice for November, please look into it.")],
        "sentiment": "negative",
    },
    {
        "name": ("", ""),
        "phone": "+14155550188",
        "bucket": "spam",
        "score": 0,
        "level": "low",
        "summary": "Offers a business loan with guaranteed approval",
        "said": [("caller", "Your business has been approved for a guaranteed loan.")],
    },
    {
        "name": ("Hannah", "Kim"),
        "phone": "+14155550124",
        "bucket": "appointment",
        "score": 18,
        "level": "low",
        "summary": "Moves Tuesday's boiler inspection to Thursday afternoon",
        "said": [
            ("caller", "Hi, Hannah Kim. Could we move the boiler inspection to Thursday afternoon?")
        ],
        "appointment": {
            "service": "Boiler inspection",
            "window": {"start": "2026-11-26T22:00:00Z", "end": "2026-11-27T01:00:00Z"},
        },
    },
    {
        "name": ("Walter", "Quist"),
        "phone": "+14155550153",
        "bucket": "support",
        "score": 8,
        "level": "low",
        "summary": "Asks how to set the new thermostat to weekdays only",
        "said": [("caller", "How do I set the thermostat so that it runs on weekdays only?")],
    },
]


@dataclass(frozen=True)
class Seeded:
    """The company, its sign-in, and what the tests look at."""

    company: Company
    email: str
    salesforce: Connected
    hubspot: Connected
    mapping_id: str
    event_ids: tuple[str, ...]


def event(call: dict[str, Any], minutes_ago: float) -> Event:
    """Make the canonical event of a call."""
    given, family = call["name"]
    call_id = new_id("CA")
    ended = now() - timedelta(minutes=minutes_ago)
    segments = [
        {"speaker": who, "start_s": 2.0 + place * 7, "end_s": 8.0 + place * 7, "text": text}
        for place, (who, text) in enumerate(call["said"])
    ]
    name = {"given": given, "family": family, "full": f"{given} {family}"} if family else {}
    data = {
        "call": {"id": call_id, "from": call["phone"], "to": "+14155550100", "duration_s": 41.0},
        "caller": {"name": name, "phone": call["phone"], "company": call.get("company")},
        "language": call.get("language", "en-US"),
        "bucket": call["bucket"],
        "bucket_confidence": 0.93,
        "urgency": {
            "score": call["score"],
            "level": call["level"],
            "reasons": [
                {"line": line, "points": points, "evidence": evidence}
                for line, points, evidence in call.get("reasons", ())
            ],
        },
        "sentiment": call.get("sentiment"),
        "lead_score": call.get("lead"),
        "escalate": call.get("escalate", False),
        "callback": {"number": call["phone"]},
        "appointment": call.get("appointment", {}),
        "summary": call["summary"],
        "transcript": {"segments": segments},
    }
    return Event.model_validate(
        {
            "specversion": "1.0",
            "id": call_id,
            "source": "/voice/lines/main",
            "type": "com.afterbeep.voicemail.completed.v1",
            "time": ended.isoformat(),
            "data": data,
        }
    )


def seed(hub: Hub, salesforce: Sandbox, hubspot: Sandbox) -> Seeded:
    """Make the company and let its morning happen."""
    company = new_company(hub, timezone="America/Los_Angeles")
    email = name_people(hub, company)
    unspent(hub)
    first = connect(hub, company, salesforce)
    second = connect(hub, company, hubspot)
    _name_connections(first, second)
    lead = next(one for one in presets("salesforce") if one.name == "lead_and_task")
    mapping_id = first.publish(lead.text, name="New leads")
    first.publish(URGENT_TASK, name="Emergencies")
    first.publish(MATCHED, name="Known customers")
    note = next(one for one in presets("hubspot") if one.name == "contact_and_ticket")
    second.publish(note.text, name="Help desk")
    _two_contacts_with_one_number(first, "+14155550145")
    incoming = [
        Incoming.of(event(call, minutes_ago=4 + 17 * place)) for place, call in enumerate(CALLS)
    ]
    accepted = [accept(hub, company.tenant_id, [one])[0] for one in reversed(incoming)]
    for connected in (first, second):
        drain(connected)
    return Seeded(
        company, email, first, second, mapping_id, tuple(one.id for one in reversed(accepted))
    )


def name_people(hub: Hub, company: Company) -> str:
    """Give the owner an address and a password, and a seat in another company; gives the address."""
    email = f"robin-{company.person_id[-6:]}@harbor.example"
    with hub.everyone("a test names its people") as session:
        person = session.scalars(select(Person).where(Person.id == company.person_id)).one()
        person.email, person.password_hash = email, people.hash_password(PASSWORD)
        other = Tenant(slug=new_id("slug"), name="Northside Dental")
        session.add(other)
        session.flush()
        other_id = other.id
    with hub.tenant(other_id) as session:
        people.add_member(session, person_id=company.person_id, role=Role.VIEWER)
    return email


def _name_connections(first: Connected, second: Connected) -> None:
    for connected, label in ((first, "Salesforce, sales team"), (second, "HubSpot, help desk")):
        with connected.hub.tenant(connected.company.tenant_id) as session:
            row = session.scalars(
                select(Connection).where(Connection.id == connected.connection.id)
            ).one()
            row.label = label


def _two_contacts_with_one_number(connected: Connected, phone: str) -> None:
    """Let the account hold two contacts of one household, so that a person must choose."""
    from connectors.record import Write
    from connectors.registry import connector
    from hub.delivery.account import Line
    from hub.delivery.budget import Budget

    line = Line(connected.hub, connected.refreshed(), Budget(connected.hub))
    writes = [
        Write(
            new_id("key"), "Contact", {"LastName": "Natarajan", "FirstName": name, "Phone": phone}
        )
        for name in ("Priya", "Arun")
    ]
    outcomes = line.call(lambda account: connector("salesforce").write(account, writes))
    assert all(one.record for one in outcomes), outcomes


def drain(connected: Connected, *, seconds: float = 20) -> None:
    """Deliver what is due, cutting waits short, until nothing moves any more."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with connected.hub.tenant(connected.company.tenant_id) as session:
            waiting = session.scalars(
                select(Delivery).where(
                    Delivery.state.in_(("waiting", "sending")),
                    Delivery.connection_id == connected.connection.id,
                )
            ).all()
            for row in waiting:
                row.due_at = now() - timedelta(minutes=5)  # rows wait a little for others to join
            account = session.scalars(
                select(Connection).where(Connection.id == connected.connection.id)
            ).one()
            account.retry_at = account.wake_at = None
        if not waiting:
            return
        send.drain(connected.hub, connected.connection.id)
        time.sleep(0.05)
    left = [(row.object, row.state, row.is_blocked, row.attempts) for row in waiting]
    raise AssertionError(f"these did not come to rest: {left}")
