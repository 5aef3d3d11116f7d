"""The usual mappings of a tenant: made for an account, following the accounts, left alone once they are a person's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from hub.context import Hub
from hub.db import mappings
from hub.db.connections import Connection
from hub.db.mappings import FieldMapping, MappingVersion
from hub.db.tenants import Tenant
from hub.delivery import usual_mappings
from mappings.document import load
from tests.conftest import Company, new_company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect, unspent, voicemail

RECORDS = ["new_lead", "existing_customer", "appointment", "billing", "support", "other"]


@pytest.fixture(scope="module")
def hubspot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A HubSpot in miniature, as a process of its own."""
    with running.sandbox("hubspot", tmp_path_factory.mktemp("hubspot")) as box:
        yield box


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A Google Calendar in miniature, as a process of its own."""
    with running.sandbox("google_calendar", tmp_path_factory.mktemp("google")) as box:
        yield box


@pytest.fixture
def crm(hub: Hub, company: Company, hubspot: Sandbox) -> Connected:
    """A company whose HubSpot is connected."""
    unspent(hub)
    return connect(hub, company, hubspot)


def set_up(one: Connected, **how: bool) -> usual_mappings.Offers:
    """Press the button for an account."""
    return usual_mappings.set_up(
        one.hub, one.company.tenant_id, one.connection.id, actor="person:robin", **how
    )


def in_use(one: Connected) -> dict[str, list[str]]:
    """Give the buckets of the company's mappings in use, by their names."""
    with one.hub.tenant(one.company.tenant_id) as session:
        rows = session.execute(
            select(FieldMapping.name, MappingVersion.document)
            .join(
                MappingVersion,
                (MappingVersion.mapping_id == FieldMapping.id)
                & (MappingVersion.number == FieldMapping.version),
            )
            .where(FieldMapping.is_active)
        )
        return {name: document["when"][0]["in"] for name, document in rows}


def test_one_press_makes_them_and_a_second_changes_nothing(crm: Connected) -> None:
    """A dry run makes nothing; then all are published; then all are there."""
    hub, tenant_id = crm.hub, crm.company.tenant_id
    dry = usual_mappings.offers(hub, tenant_id, crm.connection.id)
    assert in_use(crm) == {}

    first, second = set_up(crm), set_up(crm)

    assert {one.state for one in dry.items} == {one.state for one in first.items} == {"new"}
    assert {one.name for one in dry.items} == set(in_use(crm))
    assert in_use(crm)["HubSpot: Contact and call-back task"] == ["new_lead"]
    assert {one.state for one in second.items} == {"there"}
    assert second.is_done
    assert (first.gaps, first.taken_by, first.others) == ((), None, 0)


def test_every_voicemail_but_spam_leads_to_something(crm: Connected) -> None:
    """Through the real door: a row with an account for each bucket, and a dropped one for spam."""
    set_up(crm)

    made = {bucket: crm.accept(voicemail(bucket=bucket))[0] for bucket in [*RECORDS, "spam"]}

    from hub.db.deliveries import Delivery

    with crm.hub.tenant(crm.company.tenant_id) as session:
        rows = session.execute(select(Delivery.event_id, Delivery.connection_id)).all()
    led = {event for event, connection in rows if connection}
    assert {bucket for bucket, one in made.items() if one.id in led} == set(RECORDS)


def test_another_account_takes_voicemails_over(hub: Hub, crm: Connected, google: Sandbox) -> None:
    """A calendar that comes later gets the appointments, and the CRM's mappings give them up; not before."""
    set_up(crm)
    calendar = connect(hub, crm.company, google)
    dry = usual_mappings.offers(hub, crm.company.tenant_id, calendar.connection.id)
    before = in_use(crm)

    set_up(calendar)

    after = in_use(crm)
    assert "HubSpot: Booking request" in before
    assert {one.name: one.buckets for one in dry.relieved}["HubSpot: Booking request"] == ()
    assert "HubSpot: Booking request" not in after
    assert after["Google Calendar: Appointment hold"] == ["appointment"]
    assert "appointment" in before["HubSpot: Caller without a number"]
    assert "appointment" not in after["HubSpot: Caller without a number"]
    assert set_up(calendar).is_done
    assert set_up(crm).is_done


def test_nothing_is_given_up_for_an_account_that_is_not_set_up(
    hub: Hub, crm: Connected, google: Sandbox
) -> None:
    """Connecting alone changes no mapping."""
    set_up(crm)
    before = in_use(crm)

    connect(hub, crm.company, google)

    assert in_use(crm) == before


def test_what_a_person_has_saved_is_theirs(hub: Hub, crm: Connected, google: Sandbox) -> None:
    """It is neither made again nor narrowed."""
    set_up(crm)
    with hub.tenant(crm.company.tenant_id) as session:
        row = session.scalars(
            select(FieldMapping).where(FieldMapping.name == "HubSpot: Booking request")
        ).one()
        version = session.get(MappingVersion, (row.id, row.version))
        assert version is not None
        mappings.save(
            session,
            connection_id=row.connection_id,
            name=row.name,
            document=load(version.source),
            source=version.source,
            author="person:robin",
            note="Shorter title.",
            mapping_id=row.id,
        )

    again = set_up(crm)
    set_up(connect(hub, crm.company, google))

    assert {one.state for one in again.items} == {"there"}
    assert again.others == 1
    assert in_use(crm)["HubSpot: Booking request"] == ["appointment"]


def test_of_two_crms_the_first_has_the_role(
    hub: Hub, crm: Connected, salesforce_sandbox: Sandbox
) -> None:
    """The second is told who has it; asked for, it gets the same jobs, and the first keeps its own."""
    set_up(crm)
    before = in_use(crm)
    second = connect(hub, crm.company, salesforce_sandbox)

    refused, asked = set_up(second), set_up(second, also=True)

    assert refused.items == ()
    assert refused.taken_by == crm.connection.label
    assert {one.state for one in asked.items} == {"new"}
    assert before.items() <= in_use(crm).items()
    assert in_use(crm)["Salesforce: Lead and call-back task"] == ["new_lead"]


def test_a_mapping_that_does_not_fit_the_account_is_told_and_not_made(
    hub: Hub, company: Company, salesforce_sandbox: Sandbox
) -> None:
    """The others are made; the errors stand with the one."""
    from hub.db.connections import FieldList

    one = connect(hub, company, salesforce_sandbox)
    usual_mappings.offers(hub, company.tenant_id, one.connection.id)
    with hub.tenant(company.tenant_id) as session:
        row = session.scalars(select(FieldList).where(FieldList.object_name == "Case")).one()
        fields = [each for each in row.content["items"] if each["name"] != "Subject"]
        row.content = {"items": fields}

    found = set_up(one)

    wrong = [each for each in found.items if each.state == "wrong"]
    assert [each.name for each in wrong] == ["Salesforce: Support case"]
    assert any("Subject" in str(problem) for problem in wrong[0].problems)
    assert "Salesforce: Support case" not in in_use(one)
    assert "Salesforce: Lead and call-back task" in in_use(one)


def test_a_tenants_trade_decides(hub: Hub, company: Company, hubspot: Sandbox) -> None:
    """Healthcare gets mappings whose titles name nobody."""
    with hub.everyone("a test sets a trade") as session:
        session.execute(
            update(Tenant).where(Tenant.id == company.tenant_id).values(vertical="healthcare")
        )

    set_up(one := connect(hub, company, hubspot))

    assert set(in_use(one)) == {"HubSpot: Patient call-back", "HubSpot: Caller without a number"}


def test_another_companys_account_is_not_found(hub: Hub, crm: Connected) -> None:
    """Neither looked at nor set up."""
    with pytest.raises(LookupError):
        usual_mappings.set_up(
            hub, new_company(hub).tenant_id, crm.connection.id, actor="person:stranger"
        )
    with hub.tenant(crm.company.tenant_id) as session:
        assert session.scalars(select(Connection.id)).all() == [crm.connection.id]
