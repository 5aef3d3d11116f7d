"""What vendors' limits mean to a drain: headers that cannot be read, and what a fuller batch costs."""

from __future__ import annotations

import pytest

from connectors.registry import connector
from hub.delivery import replay_cost, sizing
from hub.delivery.account import Line
from hub.delivery.budget import Budget
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
    assert sizing.is_full_price(connector(name), object_name, 1) is is_free


def test_a_replay_is_priced_by_the_record_where_batches_save_nothing() -> None:
    """Each record more of a batch costs as much again at a vendor without batches; at another, a batch is one call."""
    size = connector("pipedrive").max_batch
    one, two, batch, batches = (
        replay_cost._price(connector("pipedrive"), "Person", n)["tokens"]
        for n in (1, 2, size, 10 * size)
    )

    assert two > one
    assert batch == one + (size - 1) * (two - one)
    assert batches == 10 * batch
    assert replay_cost._price(connector("salesforce"), "Lead", 1_000) == {"requests": 5}
