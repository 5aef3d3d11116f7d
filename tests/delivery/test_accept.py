"""An event is accepted once, whole, and planned by the mappings of that moment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from hub.context import Hub
from hub.db import mappings
from hub.db.base import new_id
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery, State
from hub.db.events import StoredEvent
from hub.db.mappings import FieldMapping, MappingVersion
from hub.db.tenants import touch_plan
from hub.delivery import replay
from hub.delivery.ledger import ledger
from hub.delivery.plan import Accepted, Incoming, accept
from mappings.document import load
from mappings.event import Event
from tests.conftest import Company, new_company
from tests.delivery.connected import LEAD, LEAD_AND_TASK, voicemail


@pytest.fixture
def connection_id(hub: Hub, company: Company) -> str:
    """A connection of the company; nothing is sent to it."""
    found = new_id("con")
    with hub.tenant(company.tenant_id) as session:
        session.add(
            Connection(
                id=found,
                connector="salesforce",
                label="Org",
                login_url="https://login.salesforce.com",
                health=Health.HEALTHY.value,
            )
        )
    return found


def publish(
    hub: Hub, company: Company, connection_id: str, text: str, *, mapping_id: str | None = None
) -> FieldMapping:
    """Publish a mapping, or its next version."""
    with hub.tenant(company.tenant_id) as session:
        return mappings.save(
            session,
            connection_id=connection_id,
            name="Lead" if mapping_id is None else f"Lead {mapping_id}",
            document=load(text),
            source=text,
            author="command",
            mapping_id=mapping_id,
        )


def take(hub: Hub, company: Company, *events: Event) -> list[Accepted]:
    """Accept events as the API does."""
    return accept(hub, company.tenant_id, [Incoming.of(event) for event in events])


def rows(hub: Hub, company: Company) -> list[Delivery]:
    """Give the company's deliveries, oldest first."""
    with hub.tenant(company.tenant_id) as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def stored(hub: Hub, company: Company) -> int:
    """Tell how many events are stored."""
    with hub.tenant(company.tenant_id) as session:
        return session.scalar(select(func.count()).select_from(StoredEvent)) or 0


def changed(event: Event) -> Event:
    """Give another event with the same source and id."""
    data = event.data.model_copy(update={"summary": "Something else"})
    return event.model_copy(update={"data": data})


def test_the_same_event_again_changes_nothing(
    hub: Hub, company: Company, connection_id: str
) -> None:
    """A client that did not hear our answer posts again and gets the first result; there is no second lead."""
    publish(hub, company, connection_id, LEAD_AND_TASK)
    event = voicemail(1)

    (first,) = take(hub, company, event)
    (second,) = take(hub, company, event)

    assert (first.status, first.deliveries) == ("accepted", 2)
    assert second == replace(first, status="known")
    assert len(rows(hub, company)) == 2


def test_another_event_of_the_same_name_is_a_conflict(hub: Hub, company: Company) -> None:
    """The first one stays as it was, and the answer names it."""
    event = voicemail(1)
    (first,) = take(hub, company, event)

    (second,) = take(hub, company, changed(event))

    assert (second.id, second.status) == (first.id, "conflict")
    assert stored(hub, company) == 1


def test_a_batch_may_hold_an_event_twice(hub: Hub, company: Company) -> None:
    """Of equal ones one is stored; one that differs is a conflict; the answers belong to the questions."""
    event, other = voicemail(1), voicemail(2)

    found = take(hub, company, event, other, event, changed(event))

    assert [one.status for one in found] == ["accepted", "accepted", "known", "conflict"]
    assert found[0].id == found[2].id == found[3].id != found[1].id
    assert stored(hub, company) == 2


def test_a_batch_of_old_and_new_events_stores_the_new(hub: Hub, company: Company) -> None:
    """What is known already does not keep the rest out."""
    take(hub, company, voicemail(1), old := voicemail(2))

    found = take(hub, company, voicemail(3), old, changed(old), voicemail(4))

    assert [one.status for one in found] == ["accepted", "known", "conflict", "accepted"]
    assert stored(hub, company) == 4


def test_many_posts_of_one_event_store_it_once(
    hub: Hub, company: Company, connection_id: str
) -> None:
    """Eight at once: one is accepted, seven are told of it, and one webhook call makes one execution."""
    publish(hub, company, connection_id, LEAD_AND_TASK)
    event = voicemail(1)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: take(hub, company, event)[0], range(8)))

    assert Counter(one.status for one in found) == {"accepted": 1, "known": 7}
    assert len({one.id for one in found}) == 1
    assert len(rows(hub, company)) == 2
    assert ledger(hub, company.tenant_id).is_ok


def test_a_mapping_just_published_applies(hub: Hub, company: Company, connection_id: str) -> None:
    """What a process remembers of the tenant's mappings never plans an event that came later."""
    mapping = publish(hub, company, connection_id, LEAD)
    take(hub, company, voicemail(1))
    publish(hub, company, connection_id, LEAD_AND_TASK, mapping_id=mapping.id)

    take(hub, company, voicemail(2))

    versions = sorted((row.mapping_version, row.step) for row in rows(hub, company))
    assert versions == [(1, "lead"), (2, "callback"), (2, "lead")]


def test_mappings_may_change_while_events_come(
    hub: Hub, company: Company, connection_id: str
) -> None:
    """Each event is planned wholly by one version: as many rows as that version has steps."""
    mapping = publish(hub, company, connection_id, LEAD)

    def change(number: int) -> None:
        text = LEAD_AND_TASK if number % 2 else LEAD
        publish(hub, company, connection_id, text, mapping_id=mapping.id)

    with ThreadPoolExecutor(4) as pool:
        posts = [pool.submit(take, hub, company, voicemail(number)) for number in range(40)]
        changes = [pool.submit(change, number) for number in range(6)]
        answers = [post.result()[0] for post in posts]
        for one in changes:
            one.result()

    by_event: dict[str, list[tuple[str, int | None]]] = {}
    for row in rows(hub, company):
        by_event.setdefault(row.event_id, []).append((row.step, row.mapping_version))
    for steps in by_event.values():
        (version,) = {number for _, number in steps}
        assert len(steps) == (2 if version and version > 1 and version % 2 else 1)
    assert {one.status for one in answers} == {"accepted"}
    assert ledger(hub, company.tenant_id).is_ok


def test_one_bad_event_stores_nothing_of_its_batch(hub: Hub, company: Company) -> None:
    """Nothing is half written: a batch that the database refuses leaves no event and no row."""
    bad = Incoming.of(voicemail(2))
    bad = replace(bad, envelope={**bad.envelope, "time": "no time at all"})

    with pytest.raises(Exception, match="timestamp"):
        accept(hub, company.tenant_id, [Incoming.of(voicemail(1)), bad])

    assert (stored(hub, company), rows(hub, company)) == (0, [])


def test_tenants_may_use_the_same_names(hub: Hub, company: Company) -> None:
    """The same source and id of two tenants are two events."""
    other = new_company(hub)
    event = voicemail(1)

    (first,), (second,) = take(hub, company, event), take(hub, other, event)

    assert (first.status, second.status) == ("accepted", "accepted")
    assert first.id != second.id


def test_what_is_stored_is_not_legible(hub: Hub, company: Company, connection_id: str) -> None:
    """No column of events and deliveries holds what the caller said, or who they are."""
    publish(hub, company, connection_id, LEAD)
    take(hub, company, voicemail(77))

    with hub.engine.connect() as connection:
        texts = [
            str(value)
            for table in ("events", "deliveries", "mappings", "audit")
            # Of this company: among very many sealed bytes any three letters stand somewhere.
            for row in connection.exec_driver_sql(
                f"select * from {table} where tenant_id = %s", (company.tenant_id,)
            )
            for value in row
        ]
    said = "\n".join(texts)
    assert "W77" not in said
    assert "5550077" not in said
    assert "ceiling" not in said


def test_a_mapping_that_cannot_be_read_keeps_no_event_out(
    hub: Hub, company: Company, connection_id: str
) -> None:
    """The voicemail is accepted, the other mappings apply, and the broken one's part waits for a person."""
    good = publish(hub, company, connection_id, LEAD)
    with hub.tenant(company.tenant_id) as session:
        session.add(
            FieldMapping(id="map_broken", connection_id=connection_id, name="Old", version=1)
        )
        session.flush()
        session.add(
            MappingVersion(
                mapping_id="map_broken", number=1, document={"version": 9}, source="", author="old"
            )
        )
        touch_plan(session)
    (found,) = take(hub, company, voicemail(1))
    lead, parked = sorted(rows(hub, company), key=lambda row: row.state, reverse=True)

    with hub.tenant(company.tenant_id) as session:
        session.execute(
            update(MappingVersion)
            .where(MappingVersion.mapping_id == "map_broken")
            .values(document=load(LEAD_AND_TASK))
        )
    replay.replay(hub, company.tenant_id, replay.Selection(state=State.PARKED), actor="person:1")

    assert (found.status, found.deliveries) == ("accepted", 2)
    assert (lead.mapping_id, lead.state) == (good.id, State.WAITING)
    assert (parked.state, "cannot be read" in parked.reason) == (State.PARKED, True)
    assert {(row.mapping_id, row.step, row.state) for row in rows(hub, company)} == {
        (good.id, "lead", "waiting"),
        ("map_broken", "lead", "waiting"),
        ("map_broken", "callback", "waiting"),
    }
    assert ledger(hub, company.tenant_id).is_ok
