"""What an admin sets for a connection: merged, checked as a whole, and nothing that the vendor told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import NoResultFound

from hub.context import Hub
from hub.db.audit import AuditRow
from hub.db.connections import Connection
from hub.delivery import configure, describe, steer
from hub.delivery.budget import Budget
from tests.conftest import new_company
from tests.connectors import running
from tests.connectors.running import Sandbox
from tests.delivery.connected import Connected, connect


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A Google Calendar in miniature, as a process of its own."""
    with running.sandbox("google_calendar", tmp_path_factory.mktemp("google")) as box:
        yield box


@pytest.fixture
def calendar(hub: Hub, company, google: Sandbox) -> Connected:
    """A company whose calendar is connected."""
    google.clear_faults()
    return connect(hub, company, google)


def change(one: Connected, **parts) -> Connection:
    """Change a connection as its admin does."""
    return steer.configure(
        one.hub,
        one.company.tenant_id,
        one.connection.id,
        steer.Change(**parts),
        actor="person:robin",
    )


def test_settings_are_merged_and_none_takes_one_back(calendar: Connected) -> None:
    """What is not named stays; None goes back to the default."""
    change(calendar, settings={"slot_minutes": 15, "notice_minutes": 5})

    row = change(calendar, settings={"slot_minutes": None, "search_days": 3}, label="Crew")

    assert row.settings == {"notice_minutes": 5, "search_days": 3}
    assert row.label == "Crew"


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_changed(calendar: Connected) -> None:
    """An unknown name, wrong values, a wrong share and an unknown limit, each by its name."""
    with pytest.raises(steer.WrongSettings) as caught:
        change(
            calendar,
            label=" ",
            settings={
                "slot_minutes": 1,
                "time_zone": "Mars/Base",
                "colour": "red",
                "calendar": "x",
            },
            budget={"share": 1.5, "grants": {"user_minute": -1, "moon": 5}, "more": 1},
        )

    assert sorted(one.name for one in caught.value.problems) == [
        "colour",
        "grants.moon",
        "grants.user_minute",
        "label",
        "more",
        "share",
        "slot_minutes",
        "time_zone",
    ]
    assert calendar.refreshed().settings == {}


def test_what_the_vendor_told_cannot_be_set(connected: Connected) -> None:
    """A name that the token answer brought is no setting, and stays as it was."""
    hub, tenant_id = connected.hub, connected.company.tenant_id
    with hub.tenant(tenant_id) as session:
        session.execute(update(Connection).values(settings={"id": "https://login.example/id/1"}))

    with pytest.raises(steer.WrongSettings, match='There is no setting "id"'):
        change(connected, settings={"id": "https://evil.example"})
    change(connected, label="Sales")

    assert connected.refreshed().settings == {"id": "https://login.example/id/1"}


def test_the_granted_budget_counts_at_once(connected: Connected) -> None:
    """A share changes what is ours of every limit, a grant that of one; both can be taken back."""
    budget = Budget(connected.hub)

    def granted(row: Connection) -> dict[str, tuple[int, int]]:
        return {one.name: (one.granted, one.capacity) for one in budget.outlook(row)}

    row = change(connected, budget={"share": 0.5, "grants": {"requests": 3_000}})
    some = granted(row)
    assert some.pop("requests")[0] == 3_000
    assert all(ours == capacity // 2 for ours, capacity in some.values())
    assert some

    back = change(connected, budget={"share": None, "grants": {"requests": None}})
    assert back.budget == {}


def test_the_audit_log_names_settings_without_their_values(calendar: Connected) -> None:
    """A value may be somebody's number or address."""
    change(calendar, settings={"calendar": "crew@harbor.example"})

    with calendar.hub.tenant(calendar.company.tenant_id) as session:
        row = session.scalars(
            select(AuditRow).where(AuditRow.action == "connection.configured")
        ).one()
    assert (row.actor, row.facts) == ("person:robin", {"settings": ["calendar"]})


def test_another_companys_connection_is_not_found(hub: Hub, connected: Connected) -> None:
    """A tenant's hand does not reach another's account."""
    with pytest.raises(NoResultFound):
        steer.configure(
            hub,
            new_company(hub).tenant_id,
            connected.connection.id,
            steer.Change("Mine"),
            actor="person:stranger",
        )


def test_choices_are_remembered_for_when_the_account_is_silent(
    calendar: Connected, google: Sandbox
) -> None:
    """The last known ones are given, with the reason; others than those of the objects' fields."""
    setting = next(
        one for one in configure.settings_of("google_calendar") if one.name == "calendar"
    )
    hub, tenant_id = calendar.hub, calendar.company.tenant_id
    known = configure.choices(hub, tenant_id, calendar.connection, setting)
    google.fault(kind="status", status=503, path="/calendarList", next=5)

    again = configure.choices(hub, tenant_id, calendar.connection, setting, refresh=True)
    google.clear_faults()

    assert known.problem is None
    assert "primary" in {one.value for one in known.items}
    assert again.items == known.items
    assert again.problem
    assert {one.name for one in describe.objects(hub, tenant_id, calendar.connection.id).items} == {
        "event",
        "hold",
    }
