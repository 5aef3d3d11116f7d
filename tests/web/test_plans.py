"""List pages of a company with very many voicemails: no query of theirs reads a whole table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from hub.context import Hub
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.events import StoredEvent
from hub.web import inbox, reading
from tests.bench.filling import Filled, fill
from tests.conftest import Company
from tests.web.visitor import Visitor, signed_in

VOICEMAILS = 20_000
LARGE = {"events", "deliveries", "attempts"}
#: The ledger's sums count everything there is, by their nature; the pages that show them say so.
_SUMS = ("sum(events.planned)", "count(deliveries.id) FILTER")

LISTS = [
    "/voicemails",
    "/voicemails?tab=needs",
    "/voicemails?tab=all",
    *(
        f"/voicemails?tab=all&order={order}&{narrowed}"
        for order in ("newest", "urgent")
        for narrowed in (
            "bucket=billing",
            "bucket=spam",
            "urgency=critical",
            "state=delivered",
            "state=parked",
            "state=rejected",
            "since=2026-11-01",
            "since=2026-11-01&until=2026-11-02",
            "language=en",
            "language=de",
            "caller=known",
            "caller=new",
            "escalated=yes",
        )
    ),
    "/voicemails?tab=open&bucket=billing&urgency=high&caller=new",
    "/needs-you",
    "/sync",
    "/connections",
    "/",
    "/settings/audit",
    "/settings/audit?action=vendor.written",
]


@dataclass
class Asked:
    """What the database was asked, with the values."""

    statements: list[tuple[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def filled(hub: Hub) -> Filled:
    """A company as it looks after some months."""
    return fill(hub, VOICEMAILS, days=120)


@pytest.fixture
def busy(app: Flask, hub: Hub, filled: Filled) -> Visitor:
    """The owner of that company."""
    return signed_in(app, hub, Company(filled.tenant_id, filled.person_id))


@contextmanager
def asked(hub: Hub) -> Iterator[Asked]:
    """Note what the database is asked."""
    found = Asked()

    def note(_connection, _cursor, statement, parameters, *_rest) -> None:
        if statement.lstrip().lower().startswith("select"):
            found.statements.append((statement, parameters))

    event.listen(hub.engine, "before_cursor_execute", note)
    yield found
    event.remove(hub.engine, "before_cursor_execute", note)


def scans(hub: Hub, found: Asked) -> list[str]:
    """Name the large tables that a statement would read from end to end, each with the statement."""
    wrong = []
    with hub.engine.connect() as connection:
        for statement, parameters in found.statements:
            if any(one in statement for one in _SUMS):
                continue
            (plan,) = connection.exec_driver_sql(
                f"explain (format json) {statement}", parameters
            ).one()
            read = plan if isinstance(plan, list) else json.loads(plan)
            wrong += [f"{table}: {statement}" for table in _whole(read[0]["Plan"])]
    return wrong


def _whole(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in LARGE:
        yield plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from _whole(below)


@pytest.mark.parametrize("path", LISTS)
def test_no_list_reads_a_whole_table(hub: Hub, busy: Visitor, path: str) -> None:
    """Each filter and order, on every list."""
    with asked(hub) as found:
        assert busy.get(path).status_code == 200

    assert found.statements
    assert scans(hub, found) == []


def test_further_pages_begin_where_the_last_ended(hub: Hub, busy: Visitor) -> None:
    """A cursor deep in the list costs what the first page does."""
    with hub.tenant(busy.company.tenant_id) as session:
        row = session.scalars(
            select(StoredEvent).order_by(StoredEvent.received_at).offset(500).limit(1)
        ).one()
    for order in ("newest", "urgent"):
        with asked(hub) as found:
            busy.get(f"/voicemails?tab=all&order={order}&after={inbox.cursor(row)}")

        assert scans(hub, found) == []


def test_searching_reads_no_whole_table(hub: Hub, busy: Visitor) -> None:
    """By words, by a caller's number, and by an id."""
    for words in ("no such words", "+1 415 555 0017", "CA_unknown_call_id"):
        with asked(hub) as found:
            assert busy.post("/voicemails/search", {"q": words}).status_code == 200

        assert scans(hub, found) == [], words


def test_pages_of_one_thing_read_no_whole_table(hub: Hub, busy: Visitor) -> None:
    """One voicemail, one delivery, one account with its rows."""
    with hub.tenant(busy.company.tenant_id) as session:
        event_id = session.scalars(select(StoredEvent.id).limit(1)).one()
        delivery_id = session.scalars(select(Delivery.id).limit(1)).one()
        connection_id = session.scalars(select(Connection.id).limit(1)).one()
    for path in (
        f"/voicemails/{event_id}",
        f"/deliveries/{delivery_id}",
        f"/connections/{connection_id}",
        f"/connections/{connection_id}/disconnect",
        f"/sync/{connection_id}",
        f"/sync/{connection_id}?state=delivered&object=Lead",
    ):
        with asked(hub) as found:
            assert busy.get(path).status_code == 200, path

        assert scans(hub, found) == [], path


def test_the_latest_read_no_whole_table(hub: Hub, filled: Filled) -> None:
    """The six of the overview."""
    with asked(hub) as found:
        reading.latest(hub, filled.tenant_id, size=6)

    assert scans(hub, found) == []


def test_the_front_page_of_very_many_voicemails_waits_for_no_sum(hub: Hub, busy: Visitor) -> None:
    """It shows places for its figures, reads no whole table, and has them once the requests behind it have counted."""
    with asked(hub) as found:
        before = busy.page("/")
    parts = [one["hx-get"] for _, one in before.elements if one.get("hx-trigger") == "load"]
    for part in parts:
        busy.page(part)
    after = busy.page("/").text

    assert scans(hub, found) == []
    assert not any(sums in statement for statement, _ in found.statements for sums in _SUMS)
    assert len(parts) == 3
    assert before.text.count("being counted") == 4
    assert "20,000 events, 60,000 planned actions" in after
    assert "being counted" not in after


def test_a_page_looks_through_so_many_and_no_more(busy: Visitor) -> None:
    """Each page says how far it looked for what few voicemails have, and the next goes on from there."""
    path, texts = "/voicemails?tab=all&caller=new", []
    while path and len(texts) < 5:
        page = busy.page(path)
        texts.append(page.text)
        further = [
            one["href"] for tag, one in page.elements if tag == "a" and "after=" in one["href"]
        ]
        path = further[0] if "Look further" in page.text else ""

    # Ten thousand numbers called twice each, in turn: the newer half are no first calls.
    assert ["5,000 voicemails were looked through" in text for text in texts] == [True, True, False]
    assert "Show more" in texts[2]
