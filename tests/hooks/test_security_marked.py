"""What a caller says and what opens an account stand sealed in the database, and nowhere else: marked, and looked for.

For each vendor: keys or a sign-in, its presets with a caller's marked words, a refused row, an answer that is lost, one
that cannot be read, keys that open nothing, and a stranger's report.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import yaml
from sqlalchemy import select, text

from connectors.record import KeyAuth
from connectors.registry import connector
from connectors.sandbox.oauth import CLIENT_SECRET
from hub import log, tally
from hub.app import create_app
from hub.context import Hub
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.subscriptions import HeldSubscription
from hub.delivery import subscriptions
from hub.oauth import keys, tokens
from hub.oauth.flow import ConnectProblem
from mappings.presets import presets
from tests.connectors.vendors import CASES, Case
from tests.delivery.aging import poll
from tests.delivery.connected import Connected, voicemail
from tests.delivery.test_send import drain_all
from tests.hooks.conftest import Connect
from tests.hooks.test_every_vendor import mapping

#: What a caller says of themselves.
CALLER = (
    "Quorblat",
    "Zyxwina",
    "zyxwina@quorblat.example",
    "4155550142",
    "415-555-0142",
    "insulin pump alarms",
    "Thornapple Lane",
)
URGENT = {"score": 95, "level": "critical"}
WRONG = "pasted-where-no-key-belongs-0b9f6"


def marked(number: int, **data: Any) -> Any:
    """Make an event that is full of marks."""
    asked = now().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    words = "Zyxwina Quorblat here, 415-555-0142, my insulin pump alarms"
    body: dict[str, Any] = {
        "call": {"id": f"CAmarked{number}", "from": "+14155550142"},
        "caller": {
            "name": {"full": "Zyxwina Quorblat", "given": "Zyxwina", "family": "Quorblat"},
            "phone": "+14155550142",
            "email": "zyxwina@quorblat.example",
            "company": "Quorblat Kilns",
        },
        "callback": {"number": "+14155550142", "sms_consent": True},
        "reason": words,
        "summary": words,
        "appointment": {
            "service": "insulin pump alarms",
            "window": {"start": asked.isoformat(), "end": (asked + timedelta(hours=2)).isoformat()},
        },
        "transcript": {
            "segments": [{"speaker": "caller", "start_s": 0, "end_s": 4, "text": words}]
        },
        "extra": {"address": "7 Thornapple Lane"},
    }
    return voicemail(number, **(body | data))


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All log lines, down to the smallest."""
    stream = io.StringIO()
    log.configure(level="debug", stream=stream)
    yield stream
    log.configure()


def publish_presets(connected: Connected) -> None:
    """Publish the vendor's presets, as they come."""
    for preset in presets(connected.sandbox.name):
        connected.publish(preset.text, preset.name)


def refused_mapping(case: Case) -> str:
    """Write a mapping that puts the caller's name where the vendor takes no such value."""
    document = yaml.safe_load(mapping(case.object, dict(case.fields) | dict(case.bad)))
    for name, value in case.bad.items():
        if value == case.bad_value:
            document["steps"][0]["set"][name] = {"from": "caller.name.full"}
    return yaml.safe_dump(document, sort_keys=False)


def secrets_of(connected: Connected, pasted: dict[str, str]) -> set[str]:
    """Give what must stay sealed: what was pasted or granted, and what signs the reports."""
    hub, tenant_id = connected.hub, connected.company.tenant_id
    vendor = connector(connected.sandbox.name)
    found = {CLIENT_SECRET, WRONG}
    if isinstance(vendor.oauth, KeyAuth):
        found |= {pasted[name] for name in vendor.oauth.secrets}
    else:
        found.add(tokens.current(hub, tenant_id, connected.connection.id).value)
        row = connected.refreshed()
        if row.refresh_token:
            about = f"connections.refresh_token:{row.id}"
            found.add(hub.vault.open_text(tenant_id, row.refresh_token, about=about))
    with hub.tenant(tenant_id) as session:
        held = session.scalars(select(HeldSubscription)).all()
    for one in held:
        known = subscriptions.opened(hub, one)
        if known and known.secret:
            found |= {known.secret, known.secret.partition(":")[2] or known.secret}
    return found


def database(hub: Hub) -> str:
    """Give every row of every table as text, with bytes as hexadecimal digits."""
    with hub.engine.connect() as reading:
        names = reading.scalars(
            text("select tablename from pg_tables where schemaname = 'public'")
        ).all()
        return "\n".join(
            str(row)
            for name in names
            for row in reading.scalars(text(f'select t::text from "{name}" t'))
        )


def in_redis(hub: Hub) -> str:
    """Give every key of Redis with its value."""
    found: list[str] = []
    for key in hub.redis.scan_iter():
        found.append(repr(key))
        try:
            found.append(repr(hub.redis.dump(key)))
        except Exception as err:  # noqa: BLE001 - it has expired since
            found.append(type(err).__name__)
        kind = hub.redis.type(key)
        if kind == b"hash":
            found.append(repr(hub.redis.hgetall(key)))
        elif kind == b"string":
            found.append(repr(hub.redis.get(key)))
        elif kind == b"list":
            found.append(repr(hub.redis.lrange(key, 0, -1)))
        elif kind == b"zset":
            found.append(repr(hub.redis.zrange(key, 0, -1)))
        elif kind == b"set":
            found.append(repr(hub.redis.smembers(key)))
    return "\n".join(found)


def shown(where: str, marks: set[str]) -> set[str]:
    """Give the marks that stand somewhere, as they are, in capitals, or as hexadecimal digits."""
    lower = where.lower()
    return {one for one in marks if one.lower() in lower or one.encode().hex() in lower}


def wrong_keys(connected: Connected, pasted: dict[str, str]) -> None:
    """Paste keys that open nothing: of the right form, and of none."""
    auth = connector(connected.sandbox.name).oauth
    if not isinstance(auth, KeyAuth):
        return
    for typed in (
        {**pasted, **dict.fromkeys(auth.secrets, WRONG)},
        dict.fromkeys(auth.fields, WRONG),
    ):
        with pytest.raises(ConnectProblem) as refused:
            keys.connect(
                connected.hub,
                connected.company.tenant_id,
                connected.company.person_id,
                connected.sandbox.name,
                typed,
                login_url=connected.sandbox.url,
            )
        assert WRONG not in str(refused.value)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_nothing_of_callers_or_accounts_stands_open(
    case: Case, connected_to: Connect, lines: io.StringIO
) -> None:
    """Not in log lines, Redis, plain columns, audit facts or metrics, whatever goes wrong."""
    connected = connected_to(case.name)
    hub, box = connected.hub, connected.sandbox
    pasted: dict[str, str] = {}
    if isinstance(connector(case.name).oauth, KeyAuth):
        every = box.http.get(f"{box.url}/_sandbox/keys.json").raise_for_status().json()
        pasted = next(iter(every.values()))
    case.prepare_box(box)
    with hub.tenant(connected.company.tenant_id) as session:
        row = session.get(Connection, connected.connection.id)
        row.settings = row.settings | dict(case.settings)
    poll(connected)
    publish_presets(connected)
    connected.publish(refused_mapping(case), "refused")
    connected.publish(mapping(case.closable, case.closable_fields), "plain")
    for place, kind in enumerate((None, "status", "cut_after", "malformed")):
        if kind:
            box.fault(kind=kind, status=400, next=2, path=case.write_path)
        for bucket in ("new_lead", "appointment", "support"):
            urgency = URGENT if bucket == "support" else {"score": 40, "level": "normal"}
            connected.accept(marked(place, bucket=bucket, urgency=urgency))
        drain_all(connected, seconds=2)
        box.clear_faults()
    poll(connected)
    wrong_keys(connected, pasted)
    with create_app(hub).test_client() as client:
        client.get(f"/hooks/{connected.connection.id}?name=Quorblat")
        client.post(f"/hooks/{connected.connection.id}", data=json.dumps({"who": CALLER}))
        tally.flush()
        metrics = client.get("/metrics").text
    tally.flush()

    with hub.tenant(connected.company.tenant_id) as session:
        states = list(session.scalars(select(Delivery.state)))
    marks = set(CALLER) | secrets_of(connected, pasted)
    assert {"delivered", "parked"} <= set(states), states
    assert lines.getvalue()
    assert shown(lines.getvalue(), marks) == set()
    assert shown(in_redis(hub), marks) == set()
    assert shown(metrics, marks) == set()
    assert shown(database(hub), marks) == set()
