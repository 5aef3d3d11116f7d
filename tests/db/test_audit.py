"""The audit log shows whether anybody changed it, and keeps its order under many writers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, text, update

from hub.context import Hub
from hub.db import audit
from hub.db.audit import AuditHead, AuditRow
from tests.conftest import Company, new_company


def write(hub: Hub, company: Company, number: int = 1) -> None:
    """Record something that somebody did."""
    with hub.tenant(company.tenant_id) as session:
        audit.record(
            session,
            actor="person:1",
            action="mapping.saved",
            target=f"map_{number}",
            facts={"version": number, "ratio": 0.5, "names": ["ä", "b"], "nested": {"a": None}},
        )


def broken_at(hub: Hub, company: Company) -> int | None:
    """Give the first row whose chain does not hold."""
    with hub.tenant(company.tenant_id) as session:
        return audit.first_break(session)


@pytest.fixture
def written(hub: Hub, company: Company) -> Company:
    """A company with five rows in its log."""
    for number in range(1, 6):
        write(hub, company, number)
    return company


def test_an_untouched_log_holds(hub: Hub, written: Company) -> None:
    """What was written reads back as it was, whatever the facts."""
    assert broken_at(hub, written) is None


def test_an_empty_log_holds(hub: Hub, company: Company) -> None:
    """A tenant that did nothing yet has no broken log."""
    assert broken_at(hub, company) is None


@pytest.mark.parametrize(
    "column",
    [
        {"actor": "person:2"},
        {"action": "mapping.archived"},
        {"target": "map_9"},
        {"facts": {"version": 9}},
        {"at": AuditRow.at + timedelta(seconds=1)},
        {"hash": "0" * 64},
    ],
    ids=lambda column: next(iter(column)),
)
def test_a_changed_row_shows(hub: Hub, written: Company, column: dict[str, object]) -> None:
    """Whatever of it was changed."""
    with hub.tenant(written.tenant_id) as session:
        session.execute(update(AuditRow).where(AuditRow.number == 3).values(column))

    assert broken_at(hub, written) == 3


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_removed_row_shows(hub: Hub, written: Company, number: int) -> None:
    """From the beginning, the middle, or the end."""
    with hub.tenant(written.tenant_id) as session:
        session.execute(delete(AuditRow).where(AuditRow.number == number))

    assert broken_at(hub, written) == number


def test_a_row_slipped_in_shows(hub: Hub, written: Company) -> None:
    """Even when the numbers are moved to make room for it."""
    with hub.tenant(written.tenant_id) as session:
        for number in (5, 4, 3):
            session.execute(
                update(AuditRow).where(AuditRow.number == number).values(number=number + 1)
            )
        row = session.scalars(select(AuditRow).where(AuditRow.number == 2)).one()
        session.add(
            AuditRow(
                number=3,
                at=row.at,
                actor="person:2",
                action="delivery.rejected",
                target="dlv_1",
                facts={},
                hash=row.hash,
            )
        )

    assert broken_at(hub, written) == 3


def test_many_writers_make_one_chain(hub: Hub, company: Company) -> None:
    """Two hundred rows from eight threads at once are numbered without a gap, and the chain holds."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write(hub, company, number), range(200)))

    with hub.tenant(company.tenant_id) as session:
        numbers = session.scalars(select(AuditRow.number).order_by(AuditRow.number)).all()
        head = session.scalars(select(AuditHead.number)).one()
    assert numbers == list(range(1, 201))
    assert head == 200
    assert broken_at(hub, company) is None


def test_what_was_rolled_back_leaves_no_gap(hub: Hub, company: Company) -> None:
    """A change that failed is not in the log, and the next row follows the last."""
    write(hub, company)
    with hub.tenant(company.tenant_id) as session:
        audit.record(session, actor="worker", action="vendor.written", target="con_1")
        session.rollback()
    write(hub, company)

    assert broken_at(hub, company) is None


def test_each_tenant_has_a_chain_of_its_own(hub: Hub, written: Company) -> None:
    """Breaking one tenant's log does not break another's."""
    other = new_company(hub)
    write(hub, other)
    with hub.tenant(written.tenant_id) as session:
        session.execute(delete(AuditRow).where(AuditRow.number == 1))

    assert broken_at(hub, other) is None


def test_the_log_holds_in_any_time_zone(hub: Hub, written: Company) -> None:
    """A session of the database that speaks another time zone reads the same moments."""
    with hub.tenant(written.tenant_id) as session:
        session.execute(text("set local time zone 'Asia/Kathmandu'"))
        found = audit.first_break(session)

    assert found is None
