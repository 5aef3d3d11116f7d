"""What became of records: asked for seldom and within the budget, counted once, and only after the voicemail."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from connectors.record import Closure, RecordId, Write
from connectors.registry import connector
from hub.db.base import new_id, now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery
from hub.db.outcomes import Kind, OutcomePoll, Source
from hub.delivery import outcome_polling, outcomes, record_checks, steer
from hub.delivery.account import Line
from hub.delivery.budget import Budget
from hub.delivery.outcomes import Known, Reading, Said, Subject, judge
from tests.delivery.aging import age, cursor, listed, poll
from tests.delivery.aging import outcomes as found
from tests.delivery.connected import LEAD_AND_TASK, Connected, voicemail
from tests.delivery.test_send import drain_all, rows

TASK = LEAD_AND_TASK


@pytest.fixture
def delivered(connected: Connected) -> Connected:
    """A company with one voicemail that has become a lead and a task."""
    connected.publish(TASK)
    connected.accept(voicemail())
    drain_all(connected)
    poll(connected)
    return connected


def task(connected: Connected) -> Delivery:
    """Give the delivery of the task."""
    return next(row for row in rows(connected) if row.object == "Task")


def set_status(connected: Connected, status: str) -> None:
    """Change the task as a salesperson does."""
    row = task(connected)
    vendor = connector("salesforce")
    write = Write(
        key=new_id("own"), object="Task", fields={"Status": status}, record_id=row.record_id
    )
    line = Line(connected.hub, connected.connection, Budget(connected.hub))
    (outcome,) = line.call(lambda account: vendor.write(account, [write]))
    assert outcome.error is None


def calls(connected: Connected) -> str:
    """Tell the vendor's calls so far, by address."""
    return json.dumps(connected.sandbox.stats()["calls"], sort_keys=True)


def closure(connected: Connected, *, at=None, result: str = "closed", **words) -> Closure:
    """Say that the task is closed."""
    return Closure(RecordId("Task", task(connected).record_id), at or now(), result, **words)


def report(connected: Connected, *closures: Closure) -> int:
    """Write down what a vendor reports; gives how much was new."""
    reading = Reading(Source.WEBHOOK, now())
    noted = outcomes.record(connected.hub, connected.connection, closures, reading)
    return sum(noted.values())


def test_a_closed_record_is_noticed_by_asking(delivered: Connected) -> None:
    """Five minutes after it was delivered the vendor is asked, in one go, and once."""
    set_status(delivered, "Completed")
    age(delivered, minutes=6)

    first, second = poll(delivered), poll(delivered)

    (one,) = found(delivered)
    assert (one.kind, one.is_success, one.is_current, one.source) == ("closed", True, True, "poll")
    assert one.delivery_id == task(delivered).id
    assert (first.records, first.noted, second.records) == (2, 1, 0)
    assert listed(delivered) == []


def test_a_record_is_asked_about_at_each_of_its_times(delivered: Connected) -> None:
    """At 5 and 15 minutes, 1 and 4 hours, then daily; after seven days no more."""
    asked = []
    for span in (3, 3, 10, 40, 180, 1_200, 1_440, 5 * 1_440, 30, 1_440):
        age(delivered, minutes=span)
        asked.append(poll(delivered).records)

    assert asked == [0, 2, 2, 0, 2, 2, 2, 2, 2, 0]


def test_a_record_of_several_deliveries_is_asked_about_once(connected: Connected) -> None:
    """And each of the deliveries gets the outcome."""
    connected.publish(TASK)
    connected.accept(voicemail(1), voicemail(2))
    drain_all(connected)
    shared = task(connected).record_id
    with connected.hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Delivery).where(Delivery.object == "Task").values(record_id=shared))
    set_status(connected, "Completed")
    poll(connected)
    age(connected, minutes=6)

    done = poll(connected)

    assert done.records == 3
    assert [one.kind for one in found(connected)] == ["closed", "closed"]
    assert len({one.delivery_id for one in found(connected)}) == 2


def test_a_reopened_record_loses_its_close_and_keeps_its_history(delivered: Connected) -> None:
    """What counts is how it stands; closed again, it counts from then."""
    set_status(delivered, "Completed")
    age(delivered, minutes=6)
    poll(delivered)
    set_status(delivered, "Not Started")
    age(delivered, minutes=10)
    poll(delivered)
    reopened = found(delivered)
    set_status(delivered, "Completed")
    age(delivered, hours=1)
    poll(delivered)

    assert [(one.kind, one.is_current) for one in reopened] == [
        ("closed", False),
        ("reopened", False),
    ]
    assert [(one.kind, one.is_current) for one in found(delivered)] == [
        ("closed", False),
        ("reopened", False),
        ("closed", True),
    ]


def test_the_same_report_again_changes_nothing(delivered: Connected) -> None:
    """Neither a webhook that comes twice, nor the poll that confirms it."""
    said = closure(delivered)
    age(delivered, minutes=1)

    news = [report(delivered, said), report(delivered, said)]

    assert news == [1, 0]
    assert len(found(delivered)) == 1


def test_a_report_on_a_stranger_is_left_out(delivered: Connected) -> None:
    """Records that we did not write are none of our business."""
    stranger = Closure(RecordId("Task", "00T000000000001"), now(), "closed")

    assert report(delivered, stranger) == 0
    assert record_checks.want(delivered.hub, delivered.connection, [stranger.record]) == 0
    assert found(delivered) == []


def test_a_first_touch_is_the_earliest(delivered: Connected) -> None:
    """A later one adds nothing; an earlier one that arrives late takes its place."""
    at = now()
    age(delivered, minutes=10)
    touch = [
        closure(delivered, at=at - timedelta(minutes=minutes), is_closed=False, result="opened")
        for minutes in (4, 2, 7)
    ]

    news = [report(delivered, one) for one in touch]

    assert news == [1, 0, 1]
    assert [(one.at, one.is_current) for one in found(delivered)] == [
        (touch[2].closed_at, True),
        (touch[0].closed_at, False),
    ]


def test_a_vendor_that_is_down_is_asked_later(delivered: Connected) -> None:
    """What was to be asked stays on the list, and the connection waits longer each time."""
    set_status(delivered, "Completed")
    age(delivered, minutes=6)
    delivered.sandbox.fault(kind="status", status=503, path="/query", next=1)

    failed = poll(delivered)
    waits = cursor(delivered)
    age(delivered, hours=2)
    again = poll(delivered)

    assert failed.stopped_by is not None
    assert waits.failures == 1
    assert waits.due_at > now()
    assert waits.problem
    assert again.noted == 1
    assert cursor(delivered).failures == 0


def test_a_strained_budget_is_left_to_deliveries(delivered: Connected) -> None:
    """With less than a quarter of the day left nothing is asked, and nothing is forgotten."""
    budget = Budget(delivered.hub)
    with delivered.hub.tenant(delivered.company.tenant_id) as session:
        row = session.get(Connection, delivered.connection.id)
        (outlook,) = [one for one in budget.outlook(row) if one.kind == "day"]
        row.budget = {"grants": {outlook.name: outlook.used + 1}, "share": 1.0}
    age(delivered, minutes=6)
    before = calls(delivered)

    done = poll(delivered)

    assert done.stopped_by is not None
    assert done.stopped_by.code == "budget"
    assert calls(delivered) == before
    assert len(listed(delivered)) == 2
    assert cursor(delivered).due_at > now() + timedelta(minutes=5)


def test_polls_are_charged_to_the_account(delivered: Connected) -> None:
    """Asking spends from the same budget as writing, and paces itself by what a day has."""
    budget = Budget(delivered.hub)
    before = {one.name: one.used for one in budget.outlook(delivered.refreshed())}
    age(delivered, minutes=6)
    poll(delivered)

    after = {one.name: one.used for one in budget.outlook(delivered.refreshed())}

    assert sum(after.values()) > sum(before.values())


@pytest.mark.parametrize("state", ["paused", "needs_reconnect", "disconnected"])
def test_a_connection_that_may_not_send_is_not_asked(delivered: Connected, state: str) -> None:
    """Neither rung for, nor asked when something rings all the same."""
    age(delivered, minutes=6)
    if state == "paused":
        tenant_id, connection_id = delivered.company.tenant_id, delivered.connection.id
        steer.pause(delivered.hub, tenant_id, connection_id, actor="person:1")
    else:
        with delivered.hub.tenant(delivered.company.tenant_id) as session:
            session.get(Connection, delivered.connection.id).health = Health(state).value
    before = calls(delivered)

    rung = outcome_polling.ring(delivered.hub)
    done = outcome_polling.poll(delivered.hub, delivered.connection.id)

    assert delivered.connection.id not in rung
    assert done.records == 0
    assert calls(delivered) == before


def test_a_withdrawn_authorisation_is_told(delivered: Connected) -> None:
    """A poll finds it out as a drain would: the connection needs to be reconnected."""
    age(delivered, minutes=6)
    delivered.sandbox.post("revoke")

    poll(delivered)

    assert delivered.refreshed().health == Health.NEEDS_RECONNECT.value
    assert len(listed(delivered)) == 2


def test_what_redis_forgets_is_rung_for_again(delivered: Connected) -> None:
    """The list is in the table: a wiped Redis delays a poll, and loses none."""
    set_status(delivered, "Completed")
    age(delivered, minutes=6)
    outcome_polling.ring(delivered.hub)
    delivered.hub.redis.flushall()

    rung = outcome_polling.ring(delivered.hub)

    assert delivered.connection.id in rung
    assert outcome_polling.poll(delivered.hub, delivered.connection.id).noted == 1


def test_one_connection_is_polled_by_one_worker(delivered: Connected) -> None:
    """A second poll of it, or one more than there are places for, waits for another ring."""
    age(delivered, minutes=6)
    with outcome_polling.only_one(delivered.hub, f"ask:{delivered.connection.id}"):
        same = outcome_polling.poll(delivered.hub, delivered.connection.id)
    with outcome_polling.only_one(delivered.hub, "ask-lane:0"):
        full = outcome_polling.poll(delivered.hub, delivered.connection.id)

    assert (same.is_busy, full.is_busy) == (True, True)
    assert poll(delivered).records == 2


def test_a_poll_takes_no_lock_of_a_drain(delivered: Connected) -> None:
    """While a poll has its turn, what is due is sent."""
    with outcome_polling.only_one(delivered.hub, f"ask:{delivered.connection.id}"):
        delivered.accept(voicemail(2))
        drain_all(delivered)

    assert {row.state for row in rows(delivered)} == {"delivered"}


def test_a_vendor_that_reports_is_asked_daily(delivered: Connected) -> None:
    """To make sure of what was reported."""
    with delivered.hub.tenant(delivered.company.tenant_id) as session:
        session.scalars(select(OutcomePoll)).one().reported_at = now()
    age(delivered, hours=5)
    young = poll(delivered).records
    age(delivered, hours=20)

    assert young == 0
    assert poll(delivered).records == 2


def test_a_report_that_names_nothing_has_all_asked_about_once_a_minute(
    delivered: Connected,
) -> None:
    """Our own writes are reported too: a hundred of them lead to one round of questions."""
    looked = cursor(delivered).looked_until

    numbers = [record_checks.want_open(delivered.hub, delivered.connection) for _ in range(3)]
    soon = outcome_polling.ring(delivered.hub)
    due_at = cursor(delivered).due_at
    age(delivered, minutes=1)

    assert numbers == [2, 2, 2]
    assert delivered.connection.id not in soon
    assert due_at == looked + timedelta(minutes=1)
    assert delivered.connection.id in outcome_polling.ring(delivered.hub)
    assert poll(delivered).records == 2


# How words and history are weighed.

AT = now()
MADE = Subject("dlv_1", ("Task", "1"), AT, AT + timedelta(seconds=30))
MATCHED = Subject("dlv_1", ("Task", "1"), AT, None)


def said(kind: Kind = Kind.CLOSED, *, is_success: bool = True, **after: float) -> Said:
    """Say that something happened so long after the voicemail."""
    return Said(kind, AT + timedelta(**after), "done", is_success)


def known(kind: Kind, *, is_success: bool = True, is_current: bool = True, **after: float) -> Known:
    """Know that something happened so long after the voicemail."""
    at = AT + timedelta(**after)
    return Known("out_1", kind, at, is_success, is_current, at)


def weigh(history: list[Known], word: Said, subject: Subject = MATCHED, *, is_asked: bool = False):
    """Judge a day after the voicemail."""
    return judge(history, word, subject, as_of=AT + timedelta(days=1), is_asked=is_asked)


def test_what_happened_before_the_voicemail_does_not_count() -> None:
    """A record that had been closed before the call was not closed because of it."""
    assert weigh([], said(minutes=-5)) is None


def test_a_record_that_we_made_was_not_closed_before() -> None:
    """A vendor that tells only the day, or whose clock is behind, does not take the close away."""
    change = weigh([], said(minutes=-5), MADE)

    assert change is not None
    assert change.said.at == MADE.made_at


def test_a_day_without_an_hour_may_be_the_voicemails_day() -> None:
    """Closed "on the 22nd" may be after a call of the 22nd."""
    midnight = AT.replace(hour=0, minute=0, second=0, microsecond=0)
    word = Said(Kind.CLOSED, midnight, "converted", is_success=True)
    earlier = Said(Kind.CLOSED, midnight - timedelta(days=2), "converted", is_success=True)

    assert weigh([], word) is not None
    assert weigh([], earlier) is None


def test_a_close_in_the_future_is_one_of_now() -> None:
    """Some vendors let people write any date."""
    change = weigh([], said(days=30))

    assert change is not None
    assert change.said.at == AT + timedelta(days=1)


def test_a_report_that_was_overtaken_is_ignored() -> None:
    """A close from before the record was reopened comes too late, unless the vendor was asked."""
    history = [
        known(Kind.CLOSED, is_current=False, hours=1),
        known(Kind.REOPENED, is_current=False, hours=2),
    ]

    assert weigh(history, said(hours=1)) is None
    assert weigh(history, said(hours=1), is_asked=True) is not None
    assert weigh(history, said(hours=3)) is not None


def test_a_lost_record_that_is_won_counts_as_won() -> None:
    """The last word counts, and the first is kept."""
    change = weigh([known(Kind.CLOSED, is_success=False, hours=1)], said(hours=2))

    assert change is not None
    assert change.ends == "out_1"
    assert change.said.is_success
