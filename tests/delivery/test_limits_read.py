"""What vendors' limits mean to a drain: headers that cannot be read, and what a fuller batch costs."""

from __future__ import annotations

import pytest

from connectors.registry import connector
from hub.delivery.account import Line
from hub.delivery.budget import Budget
from hub.delivery.reserve import ride_for_free
from tests.delivery.connected import Connected


def test_a_header_that_cannot_be_read_costs_no_answer(connected: Connected) -> None:
    """A number without an end is told after a write was carried out; the write's answer is still heard."""
    line = Line(connected.hub, connected.connection, Budget(connected.hub))
    rubbish = {"sforce-limit-info": f"api-usage={'9' * 5_000}/{'9' * 5_000}"}

    assert line.call(lambda account: account.observe(200, rubbish, 1.0) or "heard") == "heard"
    assert line.calls == 1


@pytest.mark.parametrize(
    ("name", "object_name", "is_free"),
    [
        ("salesforce", "Lead", True),
        ("hubspot", "contacts", True),
        ("pipedrive", "Person", False),
        ("pagerduty", "incident", False),
        ("google_calendar", "event", False),
        ("zendesk", "User", False),
    ],
)
def test_replayed_rows_ride_only_where_a_record_more_costs_nothing(
    name: str, object_name: str, *, is_free: bool
) -> None:
    """A vendor that is called for each record takes nobody along for free."""
    assert ride_for_free(connector(name), object_name, 1) is is_free
