"""Outcomes through the API: the figures, one event's history, and what people say of pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from connectors.record import Closure, RecordId
from hub import metrics
from hub.db.audit import AuditRow
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.outcomes import RecordCheck, Source
from hub.db.subscriptions import HeldSubscription
from hub.delivery.outcomes import Reading, record
from tests.api.calling import Program
from tests.conftest import Company
from tests.delivery.judged import Story

AT = datetime(2026, 6, 10, 12, tzinfo=UTC)
SPAN = {"since": "2026-06-01T00:00:00Z", "until": "2026-07-01T00:00:00Z"}


@pytest.fixture
def story(caller: Program, company: Company) -> Story:
    """Voicemails of the program's company."""
    return Story(caller.hub, company)


def test_the_figures_are_read_by_week_and_bucket(caller: Program, story: Story) -> None:
    """With their goals, and with null where there is nothing to divide by."""
    crm = (story.connection("salesforce"), "Task")
    story.voicemail(AT, to=crm, closed=timedelta(minutes=4))
    story.voicemail(AT, to=crm, bucket="support")

    answer = caller.get("/v1/metrics/outcomes", **SPAN).json

    assert answer["goals"] == {
        "conversion_rate_at_least": 0.6,
        "false_page_rate_below": 0.05,
        "first_touch_below_s": 300.0,
    }
    assert answer["total"] == {
        "actions": 2,
        "converted": 1,
        "conversion_rate": 0.5,
        "pages": 0,
        "false_pages": 0,
        "false_page_rate": None,
        "touched": 1,
        "touched_in_time": 1,
        "first_touch_p50_s": 240.0,
        "first_touch_p95_s": 240.0,
    }
    (week,) = answer["weeks"]
    assert (week["week"], week["starts_on"], week["is_complete"]) == (
        "2026-W24",
        "2026-06-08",
        True,
    )
    assert [one["bucket"] for one in week["buckets"]] == ["new_lead", "support"]
    assert [one["figures"]["conversion_rate"] for one in answer["buckets"]] == [1.0, 0.0]


@pytest.mark.parametrize(
    "span",
    [
        {"since": "2026-06-02T00:00:00Z", "until": "2026-06-01T00:00:00Z"},
        {"since": "2020-01-01T00:00:00Z", "until": "2026-06-01T00:00:00Z"},
        {"since": "0001-01-01T00:00:00Z"},
        {"until": "0001-01-01T00:00:00Z"},
        {"since": "yesterday"},
        {"week": "2026-W24"},
    ],
)
def test_a_span_that_makes_no_sense_is_refused(caller: Program, span: dict[str, str]) -> None:
    """With the parameter that is wrong."""
    answer = caller.get("/v1/metrics/outcomes", **span)

    assert answer.status_code == 422
    assert answer.json["errors"][0]["parameter"] in span


def test_an_events_outcomes_are_read(caller: Program, story: Story) -> None:
    """In order, with what counts and what was overtaken."""
    crm = (story.connection("salesforce"), "Task")
    event_id = story.voicemail(
        AT,
        to=crm,
        touched=timedelta(minutes=1),
        closed=timedelta(hours=1),
        reopened=timedelta(hours=2),
    )

    answer = caller.get(f"/v1/events/{event_id}/outcomes").json

    assert [(one["kind"], one["is_current"]) for one in answer["items"]] == [
        ("touched", True),
        ("closed", False),
        ("reopened", False),
    ]
    assert (answer["has_paged"], answer["page_verdict"]) == (False, None)


def test_a_page_is_called_false(caller: Program, story: Story) -> None:
    """It counts at once, is written down in the audit log, and can be taken back."""
    event_id = story.voicemail(AT, to=(story.connection("pagerduty"), "incident"))
    path = f"/v1/events/{event_id}/page-verdict"

    given = caller.send(path, {"is_false": True}, "PUT")
    counted = caller.get("/v1/metrics/outcomes", **SPAN).json["total"]["false_page_rate"]
    said = caller.get(f"/v1/events/{event_id}/outcomes").json["page_verdict"]
    caller.send(path, {"is_false": None}, "PUT")

    assert given.status_code == 200
    assert counted == 1.0
    assert (said["is_false"], said["decided_by"]) == (True, f"key:{caller.key.id}")
    assert caller.get(f"/v1/events/{event_id}/outcomes").json["page_verdict"] is None
    with caller.hub.tenant(caller.tenant_id) as session:
        actions = [row.action for row in session.query(AuditRow).order_by(AuditRow.number)]
    assert actions.count("page.judged") == 2


def test_what_paged_nobody_cannot_be_called_false(caller: Program, story: Story) -> None:
    """A conflict, and nothing is kept."""
    event_id = story.voicemail(AT, to=(story.connection("salesforce"), "Task"))

    answer = caller.send(f"/v1/events/{event_id}/page-verdict", {"is_false": True}, "PUT")

    assert answer.status_code == 409
    assert caller.get(f"/v1/events/{event_id}/outcomes").json["page_verdict"] is None


def test_outcomes_are_among_the_metrics(caller: Program, story: Story) -> None:
    """By vendor, kind, source and success; and what is still to be asked."""
    metrics.forget(caller.hub)
    crm = (story.connection("salesforce"), "Task")
    event_id = story.voicemail(AT, to=crm)
    with caller.hub.tenant(caller.tenant_id) as session:
        connection = session.scalars(select(Connection).where(Connection.id == crm[0])).one()
        record_id = session.scalars(
            select(Delivery.record_id).where(Delivery.event_id == event_id)
        ).one()
    closure = Closure(RecordId("Task", str(record_id)), AT + timedelta(minutes=4), "Done")
    record(caller.hub, connection, [closure], Reading(Source.POLL, now()))
    with caller.hub.tenant(caller.tenant_id) as session:
        session.add(RecordCheck(connection_id=crm[0], object="Task", record_id="1", wanted_at=AT))
        session.add(HeldSubscription(connection_id=crm[0], url="-", problem="It was refused."))

    text = caller.client.get("/metrics").text

    closed = 'afterbeep_outcomes_total{connector="salesforce",kind="closed",source="poll",success="true"}'
    assert value(text, closed) >= 1
    assert value(text, 'afterbeep_records_to_ask_about{connector="salesforce"}') >= 1
    assert value(text, 'afterbeep_subscriptions{connector="salesforce",state="failing"}') >= 1


def value(text: str, name: str) -> float:
    """Give a metric's value."""
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))
