"""A company as it looks after a year: very many voicemails with their deliveries, put in by COPY.

``make fill`` (``ARGS="--voicemails 100000"``) fills the database that AFTERBEEP_DATABASE_URL names, or the embedded one
of this folder, with a company of its own, and says how to sign in after ``afterbeep up``. The benchmarks and the tests
of query plans use :func:`fill`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console
from rich.progress import Progress

from hub.cli.opening import opened
from hub.context import Hub
from hub.db import audit, mappings, people
from hub.db.base import new_id, now
from hub.db.connections import Connection, Health
from hub.db.deliveries import State
from hub.db.outcomes import Kind
from hub.db.telephone import number_hash
from hub.db.tenants import Tenant
from hub.settings import SettingsProblem
from mappings.document import load
from mappings.presets import presets

_BUCKETS = {
    "new_lead": 30,
    "existing_customer": 18,
    "appointment": 16,
    "billing": 10,
    "support": 14,
    "other": 7,
    "spam": 5,
}
_STATES = {
    State.DELIVERED: 955,
    State.PARKED: 15,
    State.HELD: 5,
    State.DROPPED: 20,
    State.REJECTED: 5,
}
#: Calls by the hour of the day, as an office's telephone knows them.
_HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 15, 13, 12, 14, 14, 13, 12, 10, 7, 5, 4, 3, 2, 1)
_NAMES = (
    "Dana Whitfield",
    "Marcus Bell",
    "Priya Natarajan",
    "Tomás Herrera",
    "Layla Haddad",
    "Greg Olsen",
)
_WANTS = (
    "wants a quote for the kitchen",
    "asks when somebody comes",
    "was charged twice",
    "has no heat since last night",
)
_OBJECTS = (("salesforce", "Lead"), ("salesforce", "Task"), ("zendesk", "Ticket"))
PASSWORD = "correct horse battery"
_EVENT_COLUMNS = (
    "id, tenant_id, source, event_id, type, time, received_at, body_hash, body, bucket, urgency_score, "
    "urgency_level, lead_score, language, escalate, planned, caller_hash"
)
_DELIVERY_COLUMNS = (
    "id, tenant_id, event_id, connection_id, step, object, key, state, created_at, updated_at, due_at, "
    "attempts, record_id, record_url, delivered_at, reason"
)


#: One attempt for each delivery that a vendor was asked about; those of an hour make a batch.
_ATTEMPTS = """
insert into attempts (tenant_id, delivery_id, batch, batch_size, at, ms, outcome)
select tenant_id, id, 'clm_' || substr(md5(connection_id || date_trunc('hour', updated_at)), 1, 24), 20,
       updated_at, 20 + random() * 180, case state when 'parked' then 'rejected' else 'created' end
from deliveries where tenant_id = %s and state in ('delivered', 'parked')
"""
_AUDIT_COLUMNS = "tenant_id, number, at, actor, action, target, facts, hash"
_OUTCOME_COLUMNS = "id, tenant_id, delivery_id, kind, at, result, is_success, is_current, source"
_AT_ONCE = 2_000


@dataclass(frozen=True)
class Filled:
    """The company that was made."""

    tenant_id: str
    person_id: str
    email: str
    voicemails: int
    deliveries: int


def fill(
    hub: Hub,
    voicemails: int,
    *,
    days: int = 365,
    seed: int = 1,
    tell: Callable[[int], None] = lambda _: None,
) -> Filled:
    """Make a company with so many voicemails of the last days, three deliveries each, and outcomes of some."""
    chance = random.Random(seed)  # the same company each time
    tenant_id, person_id, connections = _company(hub)
    end = now()
    raw = hub.engine.raw_connection()
    try:
        cursor = raw.cursor()
        written = 0
        moments = sorted(_moment(chance, end, days) for _ in range(voicemails))
        rows: tuple[list[tuple[object, ...]], ...] = ([], [], [])
        tables = (
            ("events", _EVENT_COLUMNS),
            ("deliveries", _DELIVERY_COLUMNS),
            ("outcomes", _OUTCOME_COLUMNS),
        )
        for number, at in enumerate(moments):
            _add(hub, chance, tenant_id, connections, number, at, rows)
            if len(rows[0]) == _AT_ONCE or number == voicemails - 1:
                written += len(rows[0])
                for (table, columns), found in zip(tables, rows, strict=True):
                    _copy(cursor, table, columns, found)
                    found.clear()
                tell(written)
        cursor.execute(_ATTEMPTS, (tenant_id,))
        _write_down(cursor, tenant_id, connections, moments)
        raw.commit()
        raw.driver_connection.autocommit = True  # type: ignore[union-attr]
        cursor.execute("vacuum analyze events, deliveries, outcomes, attempts, audit")
    finally:
        raw.close()
    return Filled(tenant_id, person_id, f"{person_id}@harbor.example", voicemails, 3 * voicemails)


def _company(hub: Hub) -> tuple[str, str, dict[str, str]]:
    tenant_id = new_id("ten")
    with hub.everyone("a full company") as session:
        session.add(
            Tenant(
                id=tenant_id,
                slug=tenant_id.replace("_", "-"),
                name="Harbor Home Services",
                vertical="home_services",
            )
        )
    connections = {}
    with hub.tenant(tenant_id) as session:
        person = people.create_person(
            session, email=f"{new_id('per')}@harbor.example", name="Robin Lake", password=PASSWORD
        )
        person.email = f"{person.id}@harbor.example"
        people.add_member(session, person_id=person.id, role=people.Role.OWNER)
        for name in ("salesforce", "zendesk"):
            row = Connection(
                id=new_id("con"),
                connector=name,
                label=name.capitalize(),
                login_url="http://127.0.0.1:9",
                health=Health.HEALTHY.value,
            )
            session.add(row)
            session.flush()
            connections[name] = row.id
            text = presets(name)[0].text
            mappings.save(
                session,
                connection_id=row.id,
                name=f"{row.label}: {presets(name)[0].title}",
                document=load(text),
                source=text,
                author=f"person:{person.id}",
            )
        return tenant_id, person.id, connections


def _moment(chance: random.Random, end: datetime, days: int) -> datetime:
    day = int(days * chance.random() ** 1.2)
    hour = chance.choices(range(24), _HOURS)[0]
    at = (end - timedelta(days=day)).replace(hour=hour, minute=0, second=0)
    return min(at + timedelta(seconds=chance.random() * 3_600), end)


def _add(hub, chance, tenant_id, connections, number, at, rows):  # noqa: PLR0917 - called once
    events, deliveries, outcomes = rows
    event_id = new_id("evt")
    bucket = chance.choices(list(_BUCKETS), list(_BUCKETS.values()))[0]
    score = 0 if bucket == "spam" else min(100, int(chance.expovariate(1 / 28)))
    level = next(
        name
        for least, name in ((70, "critical"), (40, "high"), (15, "normal"), (0, "low"))
        if score >= least
    )
    name, wants = chance.choice(_NAMES), chance.choice(_WANTS)
    phone = f"+1415555{number % 10_000:04d}"
    lead = chance.randint(0, 100) if bucket == "new_lead" else None
    data = {
        "call": {
            "id": f"CA{number:032x}",
            "from": phone,
            "started_at": at.isoformat(),
            "duration_s": 31,
        },
        "caller": {"name": {"full": name}, "phone": phone},
        "bucket": bucket,
        "urgency": {"score": score, "level": level},
        "summary": f"{name}: {wants}",
        "transcript": {
            "segments": [{"speaker": "caller", "text": f"Hi, this is {name}, {wants}."}]
        },
    }
    body = json.dumps(
        {"specversion": "1.0", "id": f"{number}", "source": "/filling", "data": data}
    ).encode()
    sealed = hub.vault.seal(tenant_id, body, about=f"events.body:{event_id}")
    events.append(
        (event_id, tenant_id, "/filling", str(number), "com.afterbeep.voicemail.completed.v1", at, at, "-", sealed,
         bucket, score, level, lead, "en", False, 3, number_hash(hub.vault, tenant_id, phone))
    )  # fmt: skip
    for step, (connector, name) in enumerate(_OBJECTS):
        state = (
            State.DROPPED
            if bucket == "spam"
            else chance.choices(list(_STATES), list(_STATES.values()))[0]
        )
        is_there = state is State.DELIVERED
        done = at + timedelta(seconds=chance.expovariate(1 / 4))
        delivery_id = new_id("dlv")
        record = f"r{number}-{step}" if is_there else None
        deliveries.append(
            (
                delivery_id,
                tenant_id,
                event_id,
                connections[connector],
                f"step{step}",
                name,
                new_id("key"),
                state.value,
                at,
                done,
                at,
                1 if is_there else 0,
                record,
                f"https://vendor.example/{record}" if record else None,
                done if is_there else None,
                "rejected" if state is State.PARKED else None,
            )
        )
        if is_there and step == 1:
            outcomes += _outcomes(chance, tenant_id, delivery_id, at)


def _write_down(cursor, tenant_id: str, connections: dict[str, str], moments) -> None:
    """Go on with the audit log: one row for each voicemail's batch, chained as the hub chains them."""
    cursor.execute("select number, hash from audit_heads where tenant_id = %s", (tenant_id,))
    number, before = cursor.fetchone() or (0, audit.START)
    targets, rows = list(connections.values()), []
    for place, at in enumerate(moments):
        number += 1
        row = audit.AuditRow(
            tenant_id=tenant_id, number=number, at=at, actor="worker", action="vendor.written",
            target=targets[place % len(targets)], facts={"calls": 1, "outcomes": {"created": 3}},
        )  # fmt: skip
        before = audit.chained(row, before)
        facts = json.dumps(row.facts)
        rows.append((tenant_id, number, at, row.actor, row.action, row.target, facts, before))
    _copy(cursor, "audit", _AUDIT_COLUMNS, rows)
    cursor.execute(
        "insert into audit_heads (tenant_id, number, hash) values (%s, %s, %s) "
        "on conflict (tenant_id) do update set number = excluded.number, hash = excluded.hash",
        (tenant_id, number, before),
    )


def _outcomes(chance: random.Random, tenant_id: str, delivery_id: str, at: datetime):
    """Give what became of a record: touched, and mostly closed some days later."""
    touched = at + timedelta(seconds=chance.expovariate(1 / 240))
    found = [(Kind.TOUCHED, touched)]
    if chance.random() < 0.7:
        found.append((Kind.CLOSED, touched + timedelta(days=chance.expovariate(1 / 2))))
    return [
        (new_id("out"), tenant_id, delivery_id, kind.value, when, kind.value, True, True, "poll")
        for kind, when in found
    ]


def _copy(cursor, table: str, columns: str, rows) -> None:
    with cursor.copy(f"copy {table} ({columns}) from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def main() -> int:
    """Fill the database and say what was made."""
    parser = argparse.ArgumentParser(
        prog="make fill",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--voicemails", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    try:
        with opened() as hub, Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("Filling", total=asked.voicemails)
            began = time.monotonic()
            found = fill(
                hub,
                asked.voicemails,
                days=asked.days,
                seed=asked.seed,
                tell=lambda done: bar.update(task, completed=done),
            )
            took_s = time.monotonic() - began
    except SettingsProblem as err:
        sys.stderr.write(f"{err}\n")
        return 1
    made = f"{found.voicemails:,} voicemails and {found.deliveries:,} deliveries in {took_s:.0f} s."
    sys.stdout.write(f"{made}\nSign in as {found.email} with the password {PASSWORD!r}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
