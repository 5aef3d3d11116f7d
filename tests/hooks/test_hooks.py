"""Vendors report over real HTTP: what is theirs counts once, and what is not leaves no trace."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from connectors.hubspot.sandbox_webhooks import signature
from connectors.pagerduty.connector import PagerDuty
from connectors.record import Account, Subscription
from hub.db.base import new_id, now
from hub.db.connections import Connection, Health
from hub.db.deliveries import Delivery
from hub.db.outcomes import Outcome, OutcomePoll, RecordCheck
from hub.db.subscriptions import HeldSubscription
from hub.delivery import outcome_polling, subscriptions
from hub.delivery.account import Line
from hub.delivery.budget import Budget
from tests.conftest import Company, new_company
from tests.delivery.aging import listed, outcomes, poll
from tests.delivery.connected import Connected, voicemail
from tests.delivery.test_send import drain_all, rows
from tests.hooks.conftest import Connect, Reached

TASK = """
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
steps:
  - id: task
    object: tasks
    set:
      hs_timestamp: {value: "2026-11-23T09:00:00Z"}
      hs_task_subject: {text: "Call back {caller.name.full}"}
"""
INCIDENT = """
version: 1
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}
steps:
  - id: page
    object: incident
    set:
      title: {text: "{summary}"}
"""


def until(ask: Callable[[], Any], *, seconds: float = 15) -> Any:
    """Ask until the answer is yes."""
    ends = time.monotonic() + seconds
    while not (found := ask()) and time.monotonic() < ends:
        time.sleep(0.05)
    return found


def deliver(connected: Connected, mapping: str) -> Delivery:
    """Have one voicemail become a record."""
    connected.publish(mapping)
    connected.accept(voicemail())
    drain_all(connected, seconds=45)
    (row,) = rows(connected)
    assert row.state == "delivered", row.reason
    poll(connected)
    return row


def everything(reached: Reached) -> tuple[int, ...]:
    """Count what a report could leave behind, of all tenants."""
    with reached.hub.everyone("a test counts") as session:
        counts = [
            session.scalar(select(func.count()).select_from(table))
            for table in (Outcome, RecordCheck)
        ]
        told = select(func.count()).where(OutcomePoll.reported_at.is_not(None))
        return (*counts, session.scalar(told))


class TestReportsForAll:
    """HubSpot reports on all portals to the app's one address, and names only what has changed."""

    @pytest.fixture
    def hubspot(self, connected_to: Connect, reached: Reached) -> Iterator[Connected]:
        """A company whose task is in HubSpot, which reports to the hub."""
        connected = connected_to("hubspot")
        # What it says is left of ten seconds counts the calls of the tests before, and little is kept for deliveries.
        connected.sandbox.set(limits={"requests": 10_000})
        self.tell(connected, f"{reached.url}/hooks/app/hubspot")
        yield connected
        self.tell(connected, None)

    @staticmethod
    def tell(connected: Connected, url: str | None) -> None:
        """Register the app's address."""
        box = connected.sandbox
        box.http.post(f"{box.url}/_hubspot/settings", json={"webhook_url": url}).raise_for_status()

    @staticmethod
    def close(connected: Connected, record_id: str) -> None:
        """Be the salesperson who ticks the task off."""
        box = connected.sandbox
        asked = {"object": "tasks", "id": record_id}
        box.http.post(f"{box.url}/_hubspot/close", json=asked).raise_for_status()

    def test_a_closed_record_is_reported_and_asked_for(self, hubspot: Connected) -> None:
        """The report says which, HubSpot is asked how it stands, and the outcome is there at once."""
        row = deliver(hubspot, TASK)

        self.close(hubspot, row.record_id)

        assert until(lambda: listed(hubspot)) == [row.record_id]
        assert outcome_polling.poll(hubspot.hub, hubspot.connection.id).noted == 1
        (one,) = outcomes(hubspot)
        assert (one.kind, one.result, one.delivery_id) == ("closed", "done", row.id)
        assert listed(hubspot) == []

    def test_strangers_cost_no_call(self, hubspot: Connected) -> None:
        """A task that is not ours is reported too, and nothing is asked for it."""
        ours = deliver(hubspot, TASK)
        with hubspot.hub.tenant(hubspot.company.tenant_id) as session:
            session.get(Delivery, ours.id).record_id = "another"
        self.close(hubspot, ours.record_id)

        def reported() -> bool:
            with hubspot.hub.tenant(hubspot.company.tenant_id) as session:
                return session.scalars(select(OutcomePoll.reported_at)).one() is not None

        assert until(reported)
        assert listed(hubspot) == []

    def test_each_tenant_of_the_account_learns_of_its_own(
        self, hubspot: Connected, reached: Reached
    ) -> None:
        """Two companies with one portal: only the one that wrote the record has an outcome."""
        row = deliver(hubspot, TASK)
        other = connected_to_without_clearing(hubspot, new_company(reached.hub))

        self.close(hubspot, row.record_id)

        assert until(lambda: listed(hubspot)) == [row.record_id]
        assert listed(other) == []

    @pytest.mark.parametrize("wrong", ["unsigned", "signed by another", "changed on its way"])
    def test_what_is_not_signed_by_the_vendor_leaves_no_trace(
        self, hubspot: Connected, reached: Reached, wrong: str
    ) -> None:
        """401, whoever it speaks of."""
        row = deliver(hubspot, TASK)
        event = {
            "portalId": int(hubspot.connection.account_id),
            "subscriptionType": "object.propertyChange",
            "objectTypeId": "0-27",
            "objectId": int(row.record_id),
            "propertyName": "hs_task_status",
            "propertyValue": "COMPLETED",
        }
        body = json.dumps([event])
        stamp = str(int(time.time() * 1000))
        url = f"{reached.url}/hooks/app/hubspot"
        right = signature("POST", url, body, stamp)
        headers = {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": right}
        if wrong == "unsigned":
            headers = {}
        elif wrong == "signed by another":
            headers["X-HubSpot-Signature-v3"] = right[::-1]
        before = everything(reached)

        sent = body + " " if wrong == "changed on its way" else body
        refused = reached.post("/hooks/app/hubspot", sent.encode(), **headers)

        assert refused.status_code == 401
        assert refused.content == b""
        assert everything(reached) == before
        headers = {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": right}
        assert reached.post("/hooks/app/hubspot", body.encode(), **headers).status_code == 204

    @pytest.mark.usefixtures("hubspot")
    def test_a_portal_that_nobody_has_connected_is_no_error(self, reached: Reached) -> None:
        """The vendor would bring it again and again."""
        stamp, body = str(int(time.time() * 1000)), '[{"portalId": 1}]'
        url = f"{reached.url}/hooks/app/hubspot"
        headers = {
            "X-HubSpot-Request-Timestamp": stamp,
            "X-HubSpot-Signature-v3": signature("POST", url, body, stamp),
        }

        assert reached.post("/hooks/app/hubspot", body.encode(), **headers).status_code == 204


def connected_to_without_clearing(first: Connected, company: Company) -> Connected:
    """Connect another company to the same account."""
    from tests.delivery.connected import connect

    other = connect(first.hub, company, first.sandbox)
    assert other.connection.account_id == first.connection.account_id
    poll(other)
    return other


class TestSubscriptions:
    """PagerDuty is told an address for each account, and signs with a secret of its own."""

    @pytest.fixture
    def pagerduty(self, connected_to: Connect) -> Connected:
        """A company that is connected to PagerDuty."""
        return connected_to("pagerduty")

    @staticmethod
    def held(connected: Connected) -> HeldSubscription | None:
        """Give the connection's subscription."""
        with connected.hub.tenant(connected.company.tenant_id) as session:
            return session.scalars(select(HeldSubscription)).one_or_none()

    @staticmethod
    def resolve(connected: Connected, record_id: str) -> None:
        """Be the person on call."""
        box = connected.sandbox
        box.http.post(f"{box.url}/_pagerduty/resolve", json={"id": record_id}).raise_for_status()

    @staticmethod
    def at_vendor(connected: Connected) -> int:
        """Count the subscriptions to the connection's address that the vendor has."""
        line = Line(connected.hub, connected.refreshed(), Budget(connected.hub))

        def ask(account: Account) -> Any:
            headers = {"Authorization": f"Bearer {account.token}"}
            answer = httpx.get(f"{account.base_url}/webhook_subscriptions", headers=headers)
            return answer.raise_for_status().json()["webhook_subscriptions"]

        listed_there = line.call(ask)
        return sum(connected.connection.id in json.dumps(one) for one in listed_there)

    def test_a_new_connection_is_subscribed_at_once(
        self, pagerduty: Connected, reached: Reached
    ) -> None:
        """By the first poll; its secret is sealed, and a second look changes nothing."""
        poll(pagerduty)
        first = self.held(pagerduty)
        poll(pagerduty)

        assert first is not None
        assert first.url == f"{reached.url}/hooks/{pagerduty.connection.id}"
        assert first.problem is None
        opened = subscriptions.opened(pagerduty.hub, first)
        assert opened is not None
        assert opened.secret
        assert opened.secret.encode() not in first.secret
        assert self.held(pagerduty).renewed_at == first.renewed_at

    def test_what_is_reported_is_an_outcome(self, pagerduty: Connected) -> None:
        """A resolved incident is closed, without a call of ours."""
        row = deliver(pagerduty, INCIDENT)

        self.resolve(pagerduty, row.record_id)

        (one,) = until(lambda: outcomes(pagerduty))
        assert (one.kind, one.source, one.delivery_id) == ("closed", "webhook", row.id)

    def test_a_report_to_another_address_is_refused(
        self, pagerduty: Connected, reached: Reached
    ) -> None:
        """Without the subscription's signature nothing is believed, nor to an address that is not there."""
        deliver(pagerduty, INCIDENT)
        before = everything(reached)
        path = f"/hooks/{pagerduty.connection.id}"

        forged = reached.post(path, b"{}", **{"X-PagerDuty-Signature": "v1=" + "0" * 64})
        unsigned = reached.post(path, b"{}")
        nowhere = reached.post(f"/hooks/{new_id('con')}", b"{}")

        assert [one.status_code for one in (forged, unsigned, nowhere)] == [401, 401, 404]
        assert everything(reached) == before

    def test_a_neighbours_records_are_out_of_reach(
        self, pagerduty: Connected, reached: Reached
    ) -> None:
        """A report that is rightly signed for one connection changes nothing of another company's."""
        row = deliver(pagerduty, INCIDENT)
        other = connected_to_without_clearing(pagerduty, new_company(reached.hub))
        with reached.hub.tenant(pagerduty.company.tenant_id) as session:
            session.get(Delivery, row.id).connection_id = None  # as if another account's

        self.resolve(pagerduty, row.record_id)

        def reported() -> bool:
            with reached.hub.tenant(other.company.tenant_id) as session:
                return session.scalars(select(OutcomePoll.reported_at)).one() is not None

        assert until(reported)
        assert (outcomes(pagerduty), outcomes(other)) == ([], [])

    def test_a_vendor_that_refuses_is_asked_again_later(self, pagerduty: Connected) -> None:
        """The problem is kept for people; outcomes are asked for meanwhile."""
        pagerduty.sandbox.fault(kind="status", status=403, path="/webhook_subscriptions", next=2)
        poll(pagerduty)
        refused = self.held(pagerduty)
        pagerduty.sandbox.clear_faults()
        with pagerduty.hub.tenant(pagerduty.company.tenant_id) as session:
            cursor = session.scalars(select(OutcomePoll)).one()
            due_at, cursor.subscribe_at = cursor.subscribe_at, now()
        poll(pagerduty)

        assert refused.remote_id is None
        assert refused.problem
        assert refused.failures == 1
        assert due_at > refused.created_at
        assert self.held(pagerduty).remote_id is not None
        assert self.held(pagerduty).problem is None

    def test_a_defect_of_a_connector_is_a_problem_like_any_other(
        self, pagerduty: Connected
    ) -> None:
        """It is kept and tried again later, and nothing else that is to be done for the connection ends with it."""

        class Careless(PagerDuty):
            def subscribe(self, account: Account, known: Subscription | None) -> Subscription:
                return Subscription(id={}["id"], secret=super().subscribe(account, known).secret)

        poll(pagerduty)
        line = Line(pagerduty.hub, pagerduty.refreshed(), Budget(pagerduty.hub))
        with pagerduty.hub.tenant(pagerduty.company.tenant_id) as session:
            cursor = session.scalars(select(OutcomePoll)).one()
            cursor.looked_after_at = None
        subscriptions.look_after(pagerduty.hub, line, Careless(), cursor)

        held = self.held(pagerduty)
        assert held.problem
        assert held.remote_id is not None

    def test_disconnecting_ends_the_subscription(
        self, pagerduty: Connected, reached: Reached
    ) -> None:
        """At the vendor and here; a report that comes all the same finds nobody."""
        poll(pagerduty)
        before = self.at_vendor(pagerduty)
        subscriptions.end(pagerduty.hub, pagerduty.company.tenant_id, pagerduty.connection.id)
        after = self.at_vendor(pagerduty)
        with pagerduty.hub.tenant(pagerduty.company.tenant_id) as session:
            session.get(Connection, pagerduty.connection.id).health = Health.DISCONNECTED.value

        assert self.held(pagerduty) is None
        assert (before, after) == (1, 0)
        assert reached.post(f"/hooks/{pagerduty.connection.id}", b"{}").status_code == 404


class TestTheDoor:
    """What holds for every address."""

    def test_a_body_that_is_too_large_is_refused(
        self, connected_to: Connect, reached: Reached
    ) -> None:
        """413, before it is read."""
        connected = connected_to("pagerduty")

        answer = reached.post(f"/hooks/{connected.connection.id}", b"x" * (1024 * 1024 + 1))

        assert answer.status_code == 413

    def test_an_address_may_be_looked_at(self, connected_to: Connect, reached: Reached) -> None:
        """Some vendors look whether it is there before they use it."""
        connected = connected_to("pagerduty")

        there = httpx.get(f"{reached.url}/hooks/{connected.connection.id}")
        nowhere = httpx.get(f"{reached.url}/hooks/{new_id('con')}")

        assert (there.status_code, nowhere.status_code) == (204, 404)

    @pytest.mark.parametrize("name", ["salesforce", "nobody", "pagerduty"])
    def test_only_vendors_that_report_for_all_have_an_apps_address(
        self, reached: Reached, name: str
    ) -> None:
        """Others have none there."""
        assert reached.post(f"/hooks/app/{name}", b"{}").status_code == 404

    def test_a_vendor_without_webhooks_is_not_believed(
        self, connected_to: Connect, reached: Reached
    ) -> None:
        """Nobody can report for Salesforce."""
        connected = connected_to("salesforce")

        assert reached.post(f"/hooks/{connected.connection.id}", b"{}").status_code == 401
