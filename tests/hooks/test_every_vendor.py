"""Whatever the vendor: what its users close becomes an outcome, by its own report or because it was asked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml
from sqlalchemy import select

from connectors.interface import NamesChanged, ReportsForAll, Subscribes
from connectors.record import JSON, RecordId
from connectors.registry import CONNECTORS, connector
from hub.db.connections import Connection
from hub.db.outcomes import OutcomePoll
from hub.db.subscriptions import HeldSubscription
from tests.connectors.vendors import CASES, Case
from tests.delivery.aging import age, listed, outcomes, poll
from tests.delivery.connected import Connected, voicemail
from tests.delivery.test_send import drain_all, rows
from tests.hooks.conftest import Connect
from tests.hooks.test_hooks import until


def mapping(object_name: str, fields: Mapping[str, JSON]) -> str:
    """Write a mapping that fills a record with these values."""
    step = {
        "id": "only",
        "object": object_name,
        "set": {name: {"value": value} for name, value in fields.items()},
    }
    document = {
        "version": 1,
        "event": "com.afterbeep.voicemail.completed.v1",
        "when": [{"field": "bucket", "in": ["new_lead"]}],
        "steps": [step],
    }
    return yaml.safe_dump(document, sort_keys=False)


def delivered(case: Case, connected_to: Connect) -> tuple[Connected, RecordId]:
    """Connect an account, and have one voicemail become a record that can be closed."""
    connected = connected_to(case.name)
    case.prepare_box(connected.sandbox)
    with connected.hub.tenant(connected.company.tenant_id) as session:
        row = session.get(Connection, connected.connection.id)
        row.settings = row.settings | dict(case.settings)
    poll(connected)
    connected.publish(mapping(case.closable, case.closable_fields))
    connected.accept(voicemail())
    drain_all(connected, seconds=45)
    (row,) = rows(connected)
    assert row.state == "delivered", (row.reason, row.reason_path)
    return connected, RecordId(row.object, row.record_id)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_is_closed_is_found_by_asking(case: Case, connected_to: Connect) -> None:
    """A day later at the latest, also where a report was lost."""
    connected, record = delivered(case, connected_to)
    open_before = poll(connected).noted
    case.close(connected.sandbox, record)
    age(connected, days=1, minutes=5)

    poll(connected)

    kinds = {one.kind for one in outcomes(connected)}
    assert open_before == 0
    assert kinds & {"closed", "touched"}, kinds
    assert all(one.is_success for one in outcomes(connected))
    assert until(lambda: has_asked_all(connected))


def has_asked_all(connected: Connected) -> bool:
    """Poll, and tell whether nothing is left to ask; a vendor's own report, which may come late, adds to it."""
    poll(connected)
    return listed(connected) == []


REPORTING = [
    case
    for name, case in CASES.items()
    if isinstance(connector(name), Subscribes) or name == "twilio_sms"
]


@pytest.mark.parametrize("case", REPORTING, ids=[case.name for case in REPORTING])
def test_what_is_closed_is_reported(case: Case, connected_to: Connect) -> None:
    """To the address that the vendor was told, signed as it signs; nobody has to wait for a poll."""
    connected, record = delivered(case, connected_to)

    case.close(connected.sandbox, record)

    def known() -> bool:
        return bool(outcomes(connected) or listed(connected))

    assert until(known)
    poll(connected)
    (one,) = {outcome.kind: outcome for outcome in outcomes(connected)}.values()
    assert one.is_success
    with connected.hub.tenant(connected.company.tenant_id) as session:
        assert session.scalars(select(OutcomePoll.reported_at)).one() is not None
        held = session.scalars(select(HeldSubscription)).one_or_none()
    assert (held is not None) is isinstance(connector(case.name), Subscribes)


def test_every_vendor_is_tried_here() -> None:
    """A vendor that says it reports is one of those above, or reports for all accounts of our app."""
    assert set(CASES) == set(CONNECTORS)
    reports = {
        name
        for name in CONNECTORS
        if isinstance(connector(name), Subscribes | ReportsForAll | NamesChanged)
    }
    assert reports - {"hubspot"} <= {case.name for case in REPORTING}
