"""What is told, and that each change is told once: from the database's truth, whatever ran before."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from connectors.registry import connector
from hub.alerts import judge
from hub.alerts.judge import BudgetNow
from hub.context import Hub
from hub.db.alerts import Alert
from hub.db.base import now
from hub.db.connections import Connection, Health
from hub.delivery import steer
from hub.delivery.budget import AccountKey, Budget
from tests.alerts.conftest import Told
from tests.conftest import new_company


def test_a_healthy_connection_is_not_news(told: Told) -> None:
    """Nothing is told of what was never ill."""
    assert told.look() == []
    assert told.alerts() == []


def test_degraded_is_told_once(told: Told) -> None:
    """At once, and then not again however long it lasts."""
    told.degrade()

    assert told.look() == ["connection.degraded"]
    told.after(hours=3)
    assert told.look() == []
    (alert,) = told.alerts()
    assert alert.since == told.at - timedelta(hours=3)


def test_recovered_needs_a_real_success(told: Told) -> None:
    """ANCHORS 7: being called healthy is not enough, and neither is a success from before the problem."""
    told.set(last_success_at=told.at - timedelta(minutes=1))
    told.degrade()
    told.look()
    told.after(minutes=1)
    told.set(health=Health.HEALTHY.value, health_at=told.at)
    told.after(minutes=30)

    assert told.look() == []

    told.set(last_success_at=told.at)
    assert told.look() == ["connection.recovered"]
    assert told.look() == []
    assert told.alerts()[-1].facts["lasted_s"] == 60


def test_flapping_is_told_once(told: Told) -> None:
    """ANCHORS 7: up and down every few seconds is one problem and, in the end, one recovery (ANCHORS 8)."""
    found = []
    for _ in range(20):
        told.degrade()
        found += told.look(is_thorough=False)
        told.after(seconds=3)
        told.succeed()
        found += told.look(is_thorough=False)
        told.after(seconds=3)

    assert found == ["connection.degraded"]
    told.after(seconds=290)
    assert told.look() == []
    told.after(seconds=10)
    assert told.look() == ["connection.recovered"]


def test_how_long_is_steady_is_the_tenants(told: Told) -> None:
    """A tenant may want to hear of a recovery at once."""
    told.prefer(steady_s=0)
    told.degrade()
    told.look()
    told.after(seconds=1)
    told.succeed()

    assert told.look() == ["connection.recovered"]


def test_reconnecting_recovers_with_the_first_delivery(told: Told) -> None:
    """A success of a batch that was under way when the authorisation went does not count."""
    told.set(health=Health.NEEDS_RECONNECT.value, health_at=told.at)
    assert told.look() == ["connection.needs_reconnect"]
    told.after(seconds=1)
    told.set(last_success_at=told.at)
    told.after(hours=1)
    told.set(health=Health.HEALTHY.value, health_at=told.at)
    told.after(hours=1)

    assert told.look() == []

    told.set(last_success_at=told.at)
    assert told.look() == ["connection.recovered"]


def test_it_may_get_worse(told: Told) -> None:
    """From degraded to needing a person is news."""
    told.degrade()
    told.look()
    told.after(minutes=1)
    told.set(health=Health.NEEDS_RECONNECT.value, health_at=told.at)

    assert told.look() == ["connection.needs_reconnect"]


def test_a_person_who_disconnects_is_told_nothing(told: Told) -> None:
    """They know; and a later connection begins without a past."""
    told.degrade()
    told.look()
    told.set(health=Health.DISCONNECTED.value, health_at=told.at)
    assert told.look() == []
    told.succeed()
    told.after(hours=1)

    assert told.look() == []


def test_pause_and_resume_are_told_beside_the_health(told: Told) -> None:
    """An operator's pause, through the very function that the button calls; the problem below it stays told."""
    told.degrade()
    told.look()
    hub, tenant_id = told.hub, told.company.tenant_id
    steer.pause(hub, tenant_id, told.connection_id, actor="command")
    told.at = now()
    assert told.look() == ["connection.paused"]
    assert told.look() == []
    steer.resume(hub, tenant_id, told.connection_id, actor="command")
    told.after(minutes=5)

    assert told.look() == ["connection.resumed"]
    assert told.look() == []


def test_queue_ages_are_told_once_each(told: Told) -> None:
    """ANCHORS 25 to 27: waiting for hours unseen. After five minutes, an hour, six hours; then that it cleared."""
    ids = told.rows(3, state="waiting", at=told.at)
    found = []
    for minutes in (4, 2, 30, 30, 60, 230, 10, 600):
        told.after(minutes=minutes)
        found.append(told.look())

    assert found == [[], ["queue.old"], [], ["queue.old"], [], [], ["queue.old"], []]
    assert [one.facts["threshold_s"] for one in told.alerts()] == [300, 3_600, 21_600]
    assert told.alerts()[0].facts["waiting"] == 3
    told.settle(ids, "delivered")
    told.succeed()
    assert told.look() == ["queue.recovered"]
    assert told.look() == []


def test_a_row_that_is_tried_again_and_again_is_old(told: Told) -> None:
    """It is due in the future each time, and has waited since it first failed."""
    told.rows(1, state="waiting", at=told.at + timedelta(hours=9), first_failed_at=told.at)
    told.after(hours=1)

    assert told.look() == ["queue.old"]


def test_a_queue_that_was_given_up_has_not_recovered(told: Told) -> None:
    """Rows that were parked no longer wait, but nothing was sent; that they are parked is told."""
    ids = told.rows(2, state="waiting", at=told.at)
    told.after(minutes=10)
    told.look()
    told.settle(ids, "parked")
    told.after(seconds=11)

    assert told.look() == ["deliveries.parked"]


def test_queue_ages_are_the_tenants(told: Told) -> None:
    """A tenant may set its own; nonsense is taken as not set."""
    told.prefer(queue_age_s=[60])
    told.rows(1, state="waiting", at=told.at)
    told.after(seconds=61)
    assert told.look() == ["queue.old"]

    told.prefer(queue_age_s=["soon"])
    told.after(minutes=10)
    assert told.look() == ["queue.old"]


def test_parked_rows_are_told_at_most_hourly(told: Told) -> None:
    """With how many came and how many there are; what comes within the hour is counted in the next one."""
    told.rows(3, state="parked", at=told.at)
    assert told.look() == []  # more of the same batch may come
    told.after(seconds=11)
    assert told.look() == ["deliveries.parked"]
    told.after(minutes=30)
    told.rows(2, state="parked", at=told.at)
    told.after(minutes=29)
    assert told.look() == []
    told.after(minutes=2)
    assert told.look() == ["deliveries.parked"]
    told.after(hours=2)
    assert told.look() == []

    assert [(one.facts["new"], one.facts["parked"]) for one in told.alerts()] == [(3, 3), (2, 5)]


def test_a_parked_row_after_others_were_dealt_with_is_new(told: Told) -> None:
    """As many as before is not the same as the same."""
    ids = told.rows(2, state="parked", at=told.at)
    told.after(minutes=1)
    told.look()
    told.settle(ids, "rejected")
    told.after(hours=2)
    told.look()
    told.rows(2, state="parked", at=told.at)
    told.after(minutes=1)

    assert told.look() == ["deliveries.parked"]


def test_a_row_that_was_written_late_is_not_missed(told: Told) -> None:
    """Its transaction began before the last look and ended after it, so it seems older than what was told."""
    told.rows(1, state="parked", at=told.at)
    told.after(minutes=1)
    told.look()
    told.rows(1, state="parked", at=told.at - timedelta(minutes=2))
    told.after(hours=2)

    assert told.look() == ["deliveries.parked"]


def test_no_words_of_vendor_or_caller_are_told(told: Told) -> None:
    """The vendor's sentence may quote the caller; it stands on the page and nowhere in an alert."""
    told.degrade()
    told.look()
    (alert,) = told.alerts()

    assert "Whitfield" not in f"{alert.reason} {alert.facts}"


def test_no_connection_is_told_to_another_company(told: Told, hub: Hub) -> None:
    """An alert goes to whom the connection belongs."""
    stranger = new_company(hub)
    told.degrade()
    told.look()

    with hub.tenant(stranger.tenant_id) as session:
        assert session.scalars(select(Alert)).all() == []


def test_parts_of_a_budget_are_told_once(told: Told) -> None:
    """50, 70, 90 and 100 % of what the tenant grants of a day, by what the budget itself has counted."""
    limit = next(one for one in connector("salesforce").limits if one.kind == "day")
    told.set(budget={"grants": {limit.name: 1_000}})
    with told.hub.tenant(told.company.tenant_id) as session:
        key = AccountKey.of(session.scalars(select(Connection)).one(), 0.9)
    budget = Budget(told.hub)
    found = []
    for units in (499, 1, 100, 150, 150, 50, 50):
        budget.take(key, {limit.name: units}, is_urgent=True)
        found.append(told.look())
        told.after(minutes=10)

    assert found == [
        [], ["budget.used"], [], ["budget.used"], ["budget.used"], [], ["budget.used"]
    ]  # fmt: skip
    assert [one.facts["percent"] for one in told.alerts()] == [50, 70, 90, 100]
    assert told.alerts()[-1].facts["remaining"] == 0


def test_a_wiped_redis_tells_no_budget_again(told: Told) -> None:
    """The day is counted from the database, so that what was told stays told."""
    limit = next(one for one in connector("salesforce").limits if one.kind == "day")
    told.set(budget={"grants": {limit.name: 100}})
    with told.hub.tenant(told.company.tenant_id) as session:
        key = AccountKey.of(session.scalars(select(Connection)).one(), 0.9)
    Budget(told.hub).take(key, {limit.name: 60}, is_urgent=True)
    assert told.look() == ["budget.used"]
    told.after(days=2)
    told.hub.redis.delete(key.redis_key(limit))

    assert told.look() == []


def test_a_budget_begins_anew_after_its_period() -> None:
    """Falling below within the period is no reset, after it is; nobody is told of that."""
    at = now()
    full = BudgetNow("daily", granted=100, used=95, remaining=5, period_s=86_400)
    low = BudgetNow("daily", granted=100, used=40, remaining=60, period_s=86_400)
    first = judge.budget(full, None, at)
    within = judge.budget(low, first.told, at + timedelta(hours=10))
    again = judge.budget(full, within.told, at + timedelta(hours=11))
    after = judge.budget(low, again.told, at + timedelta(hours=25))
    anew = judge.budget(full, after.told, at + timedelta(hours=30))

    assert [bool(one.news) for one in (first, within, again, after, anew)] == [
        True, False, False, False, True
    ]  # fmt: skip
    assert after.told is None


def test_a_budget_that_others_use_up_is_told(told: Told) -> None:
    """What is left counts, not who used it."""
    is_now = BudgetNow("daily", granted=900, used=10, remaining=0, period_s=86_400)

    verdict = judge.budget(is_now, None, told.at)

    assert verdict.news
    assert verdict.news.facts["percent"] == 100


def test_nothing_granted_runs_out_of_nothing(told: Told) -> None:
    """An account of which we may use nothing is no alarm."""
    is_now = BudgetNow("daily", granted=0, used=0, remaining=0, period_s=86_400)

    assert judge.budget(is_now, None, told.at).news is None
