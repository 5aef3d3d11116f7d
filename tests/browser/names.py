"""A company in which everything that people name has a long German name without a break, or an Arabic one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from hub.alerts import endpoints, outbox
from hub.alerts.outbox import Item
from hub.context import Hub
from hub.db import invitations, keys, mappings, people
from hub.db.alerts import AlertType
from hub.db.base import now
from hub.db.connections import Connection, FieldList
from hub.db.deliveries import Delivery
from hub.db.people import Person, Role
from hub.db.triage import SavedView
from hub.delivery import describe, replay
from hub.delivery.plan import Incoming, accept
from hub.voice import numbers
from hub.voice.settings import Persona, Rubric, RubricLine, VoiceSettings, save
from mappings.document import load
from tests.browser.seeding import event
from tests.conftest import Company, new_company
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect

#: 79 letters without a place to break.
GERMAN = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
ARABIC = "مؤسسة الرافدين لصيانة المنازل (فرع بغداد)!"
NAMES = {"german": GERMAN, "arabic": ARABIC}

MAPPING = """\
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
approve: {urgency_at_least: 60}
steps:
  - id: rechtsschutzversicherungsgesellschaften
    object: Lead
    match: {Phone: {from: caller.phone, as: e164}}
    set:
      LastName: {from: [caller.name.family, caller.name.full], or: "NAME"}
      Company: {value: "NAME"}
      Description: {text: "NAME: {summary}"}
      Rating: {from: urgency.level, choose: {high: Hot}, else: "NAME"}
"""


@dataclass(frozen=True)
class Named:
    """The company, and the ids of what has a page."""

    connected: Connected
    event_ids: tuple[str, ...]
    delivery_ids: tuple[str, ...]
    mapping_ids: tuple[str, ...]
    connection_ids: tuple[str, ...]
    replay_id: str
    webhook_id: str

    def pages(self) -> list[str]:
        """Give the address of every page, one of each kind and language."""
        mapping, arabic = self.mapping_ids
        connection = self.connection_ids[0]
        return [
            "/",
            "/voicemails?tab=all",
            "/voicemails?tab=needs",
            *(f"/voicemails/{one}" for one in self.event_ids[:3]),
            *(f"/deliveries/{one}" for one in self.delivery_ids[:2]),
            "/needs-you",
            "/send-again?state=parked",
            f"/send-again?mapping={mapping}&state=held",
            f"/send-again/{self.replay_id}",
            "/mappings",
            "/mappings/new",
            "/mappings/approval",
            f"/mappings/{mapping}",
            f"/mappings/{arabic}",
            f"/mappings/{arabic}?view=yaml",
            f"/mappings/{mapping}/versions",
            f"/mappings/{arabic}/versions",
            f"/mappings/{arabic}/versions/2",
            "/connections",
            "/connections/new",
            *(f"/connections/{one}" for one in self.connection_ids),
            f"/connections/{connection}/settings",
            f"/connections/{self.connection_ids[1]}/disconnect",
            f"/connections/{connection}/playbook",
            f"/connections/{self.connection_ids[1]}/playbook",
            "/sync",
            f"/sync/{connection}?state=parked",
            f"/sync/{self.connection_ids[1]}",
            "/notifications",
            f"/notifications/webhooks/{self.webhook_id}",
            f"/notifications/webhooks/{self.webhook_id}/remove",
            "/settings/company",
            "/settings/telephone",
            "/settings/telephone/try",
            "/settings/urgency",
            "/settings/people",
            "/settings/keys",
            "/settings/audit",
            "/settings/account",
        ]


def _call(name: str, number: int, score: int) -> dict[str, Any]:
    first, _, last = name.partition(" ")
    return {
        "name": (first, last or name),
        "phone": f"+4989123456{number:02d}",
        "company": name,
        "bucket": "new_lead",
        "score": score,
        "level": "high",
        "reasons": [(name, score, name)],
        "summary": f"{name} {name}"[:140],
        "said": [("agent", name), ("caller", name)],
        "language": "ar" if name is ARABIC else "de-DE",
        "appointment": {"service": name},
    }


def live(hub: Hub, box: Sandbox) -> Named:
    """Make the company."""
    company = new_company(hub, timezone="Europe/Berlin")
    accounts = [connect(hub, company, box), _another(hub, company)]
    connected = accounts[0]
    with hub.everyone("a test names a company and its people") as session:
        person = session.get(Person, company.person_id)
        assert person is not None
        person.name, person.email = ARABIC, f"{GERMAN.lower()[:50]}.{person.id[-8:]}@harbor.example"
    _members(hub, company)
    made = [_published(connected, name) for name in (GERMAN, ARABIC)]
    calls = [_call(GERMAN, 1, 70), _call(ARABIC, 2, 80), _call(ARABIC, 3, 30), _call(GERMAN, 4, 30)]
    ids = [accept(hub, company.tenant_id, [Incoming.of(event(one, 5))])[0].id for one in calls]
    _name_everything(hub, company, [one.connection.id for one in accounts])
    _park(hub, company.tenant_id, ids[2:])
    with hub.tenant(company.tenant_id) as session:
        rows = session.scalars(select(Delivery).order_by(Delivery.event_id)).all()
        by_event = [next(row.id for row in rows if row.event_id == one) for one in ids]
    return Named(
        connected,
        (ids[1], ids[2], ids[3], ids[0]),
        (by_event[1], by_event[3]),
        tuple(made),
        tuple(one.connection.id for one in accounts),
        replay.begin(
            hub,
            company.tenant_id,
            replay.Selection(mapping_id=made[1]),
            actor=f"person:{company.person_id}",
        ).id,
        endpoints.create(
            hub,
            company.tenant_id,
            url=f"https://{'a' * 60}.{'b' * 60}.example/{GERMAN[:30].lower()}",
            note=ARABIC,
            actor=f"person:{company.person_id}",
        ).endpoint.id,
    )


def _another(hub: Hub, company: Company) -> Connected:
    """Connect an account on paper that must be connected again."""
    row = Connection(
        connector="hubspot",
        label=ARABIC,
        account_name=GERMAN,
        login_url="http://127.0.0.1:9",
        health="needs_reconnect",
        health_reason=f"HubSpot says: {ARABIC}",
        todos=[GERMAN, ARABIC],
    )
    with hub.tenant(company.tenant_id) as session:
        session.add(row)
        session.flush()
        session.expunge(row)
    return Connected(hub, company, None, row)  # type: ignore[arg-type]  # nobody calls it


def _members(hub: Hub, company: Company) -> None:
    for name, role in ((GERMAN, Role.MAPPER), (ARABIC, Role.VIEWER)):
        person_id = new_company(hub).person_id
        with hub.everyone("a test names a person") as session:
            person = session.get(Person, person_id)
            assert person is not None
            person.name = name
        with hub.tenant(company.tenant_id) as session:
            people.add_member(session, person_id=person_id, role=role)
    with hub.tenant(company.tenant_id) as session:
        long = f"{GERMAN.lower()[:60]}@{GERMAN.lower()[:50]}.example"
        invitations.invite(session, email=long, role=Role.VIEWER, by="command")


def _published(connected: Connected, name: str) -> str:
    """Publish a mapping in two versions, the second with a note."""
    text = MAPPING.replace("NAME", name)
    mapping_id = connected.publish(text, name=name)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        mappings.save(
            session,
            connection_id=connected.connection.id,
            name=name,
            document=load(text),
            source=f"# {name}\n{text}",
            author=f"person:{connected.company.person_id}",
            note=f"{name} {name}"[:200],
            mapping_id=mapping_id,
        )
    return mapping_id


def _park(hub: Hub, tenant_id: str, ids: list[str]) -> None:
    """Let a person be needed, in the vendor's words and with records to choose among."""
    with hub.tenant(tenant_id) as session:
        for row in session.scalars(select(Delivery).where(Delivery.event_id.in_(ids))):
            row.state, row.reason = "parked", f"Salesforce refused it: {ARABIC}"
            about = f"deliveries.{{}}:{row.id}"
            row.detail = hub.vault.seal_text(tenant_id, GERMAN, about=about.format("detail"))
            listed = [
                {"id": str(place), "label": name, "url": None}
                for place, name in enumerate(NAMES.values())
            ]
            row.candidates = hub.vault.seal_text(
                tenant_id, json.dumps(listed), about=about.format("candidates")
            )


def _name_everything(hub: Hub, company: Company, connection_ids: list[str]) -> None:
    tenant_id = company.tenant_id
    with hub.tenant(tenant_id) as session:
        for name in NAMES.values():
            session.add(SavedView(person_id=company.person_id, name=name[:60], query="tab=all"))
            keys.create(session, name=name, scopes=[keys.Scope.EVENTS_READ])
        people.start_sign_in(
            session, person_id=company.person_id, lasts=timedelta(hours=1), user_agent=GERMAN * 3
        )
        rows = session.scalars(select(Connection).order_by(Connection.id)).all()
        for row, name in zip(rows, NAMES.values(), strict=True):
            row.label, row.account_name = name, f"{name} {name}"
        items = [
            Item(tenant_id, kind, now(), {"new": 3, "parked": 4, "lasted_s": 420}, row)
            for kind, row in zip((AlertType.PARKED, AlertType.RECOVERED), rows, strict=True)
        ]
        outbox.write(hub, session, items, now())
    for place, name in enumerate(NAMES.values()):
        numbers.put(hub, tenant_id, f"+49891239945{place}", label=name, actor="command")
    save(
        hub,
        tenant_id,
        VoiceSettings(
            languages=("de-DE", "ar"),
            greetings={"de-DE": GERMAN, "ar": ARABIC},
            persona=Persona(name=ARABIC, style=GERMAN, instructions=ARABIC),
            rubric=Rubric(
                lines=tuple(
                    RubricLine(label=name, signal=f"bucket:{bucket}", points=20)
                    for name, bucket in zip(NAMES.values(), ("new_lead", "support"), strict=True)
                )
            ),
        ),
        revision=None,
        actor="command",
    )
    _name_fields(hub, tenant_id, connection_ids[0])


def _name_fields(hub: Hub, tenant_id: str, connection_id: str) -> None:
    """Let the vendor call its fields and options so too."""
    describe.fields(hub, tenant_id, connection_id, "Lead")
    with hub.tenant(tenant_id) as session:
        for row in session.scalars(select(FieldList).where(FieldList.object_name == "Lead")):
            found = json.loads(json.dumps(row.content))
            for place, one in enumerate(found["items"]):
                one["label"] = list(NAMES.values())[place % 2]
                for choice in one.get("choices") or ():
                    choice["label"] = one["label"]
            row.content = found
