"""Alerts on their way: signed, tried again, given up, to the right people, and never lost by a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from standardwebhooks.webhooks import WebhookVerificationError

from hub.alerts import endpoints, preferences
from hub.alerts.outside import Outside
from hub.alerts.send import LEASE, WAITS_S, Sender, deliver, take
from hub.context import Hub
from hub.db.alerts import AlertSending, WebhookEndpoint
from hub.db.audit import AuditRow
from hub.db.base import new_id, now
from hub.db.people import Membership, Person, Role
from tests.alerts.conftest import Told
from tests.alerts.receiving import Mailbox, Receiver
from tests.conftest import new_company


def test_an_alert_arrives_signed(told: Told, received: Receiver) -> None:
    """A receiver verifies it with the library of Standard Webhooks, and reads what and where."""
    shown = told.endpoint(received.url)
    told.degrade()
    told.look()

    told.send()

    (call,) = received.calls
    payload = call.verified(shown.secret)
    (alert,) = told.alerts()
    assert call.headers["webhook-id"] == alert.id
    assert payload["type"] == "connection.degraded"
    assert payload["data"]["tenant"] == told.company.tenant_id  # its slug in tests
    assert payload["data"]["connection"] == {
        "id": told.connection_id,
        "label": "Harbor CRM",
        "connector": "salesforce",
    }
    assert payload["data"]["url"].endswith(f"/connections#{told.connection_id}")
    assert [(one.state, len(one.tries)) for one in told.sendings()] == [("sent", 1)]
    assert told.reread(shown.endpoint.id).last_success_at == told.at


def test_nothing_of_a_caller_is_sent(mailing: Told, received: Receiver, mails: Mailbox) -> None:
    """The vendor's sentence quotes a caller; neither webhook nor mail has it."""
    mailing.endpoint(received.url)
    mailing.degrade()
    mailing.rows(1, state="parked", at=mailing.at - timedelta(minutes=1))
    mailing.look()
    mailing.send()

    sent = [call.body.decode() for call in received.calls] + [str(one) for one in mails.mails]
    assert len(sent) == 4
    assert not any("Whitfield" in one or "0132" in one for one in sent)


def test_both_secrets_sign_for_a_day(told: Told, received: Receiver) -> None:
    """After a rotation a receiver that knows either secret verifies; after a day only the new one does."""
    first = told.endpoint(received.url)
    second = endpoints.rotate(told.hub, told.company.tenant_id, first.endpoint.id, actor="command")
    told.degrade()
    told.look()
    told.send()
    (call,) = received.calls
    assert call.verified(first.secret) == call.verified(second.secret)
    assert len(call.headers["webhook-signature"].split()) == 2

    with told.hub.tenant(told.company.tenant_id) as session:
        session.execute(update(WebhookEndpoint).values(previous_until=now()))
    told.set(paused_at=told.at)
    told.look()
    told.send()

    assert received.calls[-1].verified(second.secret)["type"] == "connection.paused"
    with pytest.raises(WebhookVerificationError):
        received.calls[-1].verified(first.secret)


def test_an_endpoint_gets_what_it_wants(told: Told, received: Receiver) -> None:
    """Types that it did not choose are not sent to it."""
    shown = told.endpoint(received.url, "connection.paused")
    told.degrade()
    told.set(paused_at=told.at)
    told.look()
    told.send()

    assert received.types(shown.secret) == ["connection.paused"]


def test_a_failure_is_tried_again_on_schedule(told: Told, received: Receiver) -> None:
    """After 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, each with some jitter; then it has failed."""
    told.endpoint(received.url)
    received.answers += [500] * 8
    told.degrade()
    told.look()
    waits = []
    for _ in range(8):
        assert told.send() == 1
        (row,) = told.sendings()
        waits.append((row.due_at - told.at).total_seconds())
        assert told.send() == 0
        told.at = row.due_at

    assert all(
        0.89 * wanted < wait < 1.11 * wanted
        for wanted, wait in zip(WAITS_S, waits[:-1], strict=True)
    )
    assert row.state == "failed"
    assert [one["status"] for one in row.tries] == [500] * 8
    assert told.after(days=1)
    assert told.send() == 0


def test_a_second_try_has_the_same_id(told: Told, received: Receiver) -> None:
    """So that a receiver that has it already knows it; it is signed anew."""
    shown = told.endpoint(received.url)
    received.answers.append(503)
    told.degrade()
    told.look()
    told.send()
    told.after(seconds=6)
    told.send()

    first, second = received.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert second.verified(shown.secret)
    assert told.sendings()[0].state == "sent"


def test_gone_turns_the_endpoint_off_at_once(
    mailing: Told, received: Receiver, mails: Mailbox
) -> None:
    """410 means: no more. It is kept, nothing more is sent to it, and it is mailed (ANCHORS 50, 52)."""
    shown = mailing.endpoint(received.url)
    received.answers.append(410)
    mailing.degrade()
    mailing.look()
    mailing.send()
    mailing.set(paused_at=mailing.at)
    mailing.look()
    mailing.send()

    row = mailing.reread(shown.endpoint.id)
    assert row.disabled_at == mailing.at
    assert "410" in (row.disabled_reason or "")
    assert len(received.calls) == 1
    assert any("Webhook disabled" in str(mail["Subject"]) for mail in mails.mails)
    with mailing.hub.tenant(mailing.company.tenant_id) as session:
        noted = session.scalars(select(AuditRow.action)).all()
    assert "webhook.disabled" in noted


def test_five_days_of_only_failures_turn_it_off(told: Told, received: Receiver) -> None:
    """Not before, and not when a single one got through; a person turns it on again."""
    shown = told.endpoint(received.url)
    tenant_id = told.company.tenant_id

    def alert(status: int) -> None:
        received.answers.append(status)
        endpoints.test(told.hub, tenant_id, shown.endpoint.id, actor="command")
        told.at = max(told.at, now())
        told.send()

    alert(500)
    told.after(days=4)
    received.answers.clear()
    alert(200)
    told.after(days=4)
    alert(500)
    assert told.reread(shown.endpoint.id).disabled_at is None
    told.after(days=5)
    alert(500)

    row = told.reread(shown.endpoint.id)
    assert row.disabled_at == told.at
    assert "5 days" in (row.disabled_reason or "")
    with pytest.raises(endpoints.WrongEndpoint):
        endpoints.test(told.hub, tenant_id, row.id, actor="command")
    back = endpoints.change(told.hub, tenant_id, row.id, actor="command", is_enabled=True)
    assert (back.disabled_at, back.failing_since) == (None, None)


def test_owners_and_admins_are_mailed(mailing: Told, mails: Mailbox) -> None:
    """One mail each; not to operators, nor to people who may no longer sign in."""
    hub, tenant_id = mailing.hub, mailing.company.tenant_id
    with hub.everyone("a test adds people") as session:
        for name, role, gone in (
            ("admin", Role.ADMIN, None),
            ("operator", Role.OPERATOR, None),
            ("former", Role.ADMIN, now()),
        ):
            person = Person(
                id=new_id("per"),
                email=f"{name}-{tenant_id}@harbor.example",
                name=name,
                disabled_at=gone,
            )
            session.add(person)
            session.flush()
            session.add(Membership(tenant_id=tenant_id, person_id=person.id, role=role.value))
    mailing.degrade()
    mailing.look()
    mailing.send()

    assert mails.to() == sorted(
        [f"admin-{tenant_id}@harbor.example", f"{mailing.company.person_id}@harbor.example"]
    )
    mail = mails.mails[0]
    assert mail["Subject"] == "[Afterbeep] Harbor CRM: Degraded"
    assert mail["From"] == "Afterbeep <alerts@hub.example>"
    assert mail.get_content_type() == "text/plain"
    assert f"/connections#{mailing.connection_id}" in mail.get_content()


def test_chosen_addresses_are_mailed_instead(mailing: Told, mails: Mailbox) -> None:
    """Those that an admin set; none when they set none."""
    tenant_id = mailing.company.tenant_id
    for chosen in (["ops@harbor.example", "duty@harbor.example"], []):
        with mailing.hub.tenant(tenant_id) as session:
            preferences.set_recipients(session, chosen, actor="command")
        mailing.degrade()
        mailing.look()
        mailing.send()
        mailing.set(health="disconnected")
        mailing.look()

    assert mails.to() == ["duty@harbor.example", "ops@harbor.example"]


def test_a_label_cannot_forge_a_mail(mailing: Told, mails: Mailbox) -> None:
    """A line break in a connection's name makes no header."""
    mailing.set(label="Harbor\r\nBcc: all@harbor.example")
    mailing.degrade()
    mailing.look()
    mailing.send()

    (mail,) = mails.mails
    assert mail["Bcc"] is None
    assert mail["Subject"] == "[Afterbeep] Harbor Bcc: all@harbor.example: Degraded"


def test_a_mail_server_that_is_down_is_tried_again(mailing: Told, mails: Mailbox) -> None:
    """And an address that it refuses for good is not."""
    tenant_id = mailing.company.tenant_id
    with mailing.hub.tenant(tenant_id) as session:
        preferences.set_recipients(
            session, ["ops@harbor.example", "gone@harbor.example"], actor="command"
        )
    mails.is_down, mails.refused = True, {"gone@harbor.example"}
    mailing.degrade()
    mailing.look()
    assert mailing.send() == 2
    mails.is_down = False
    mailing.after(seconds=6)
    assert mailing.send() == 2

    assert mails.to() == ["ops@harbor.example"]
    assert sorted(one.state for one in mailing.sendings()) == ["failed", "sent"]


def test_without_a_mail_server_nobody_is_mailed(told: Told) -> None:
    """There is the alert, and nothing that waits for a server that is not there."""
    told.degrade()
    told.look()

    assert len(told.alerts()) == 1
    assert told.sendings() == []


def test_what_a_dead_process_had_taken_comes_up_again(told: Told, received: Receiver) -> None:
    """After its lease; and when it was not dead after all, it settles nothing any more."""
    told.endpoint(received.url)
    told.degrade()
    told.look()
    (lost,) = take(told.hub, told.at)
    assert told.send() == 0
    told.at += LEASE
    (again,) = take(told.hub, told.at)

    deliver(told.hub, lost, Outside(allow_loopback=True), told.at)
    assert told.sendings()[0].state == "waiting"
    deliver(told.hub, again, Outside(allow_loopback=True), told.at)

    assert told.sendings()[0].state == "sent"
    assert len(told.sendings()[0].tries) == 1
    assert len({call.headers["webhook-id"] for call in received.calls}) == 1


def test_a_slow_receiver_delays_no_other(told: Told, received: Receiver) -> None:
    """While one target is busy, the others are served, and it is told one thing at a time."""
    slow, quick = told.endpoint(received.url), told.endpoint(received.url)
    told.degrade()
    told.set(paused_at=told.at)
    told.look()

    first = take(told.hub, told.at)
    second = take(told.hub, told.at, busy=[slow.endpoint.id])

    assert {one.target for one in first} == {slow.endpoint.id, quick.endpoint.id}
    assert [one.target for one in second] == [quick.endpoint.id]


def test_threads_send_what_is_due(told: Told, received: Receiver) -> None:
    """The loop's way: begun without waiting, finished when it is closed."""
    shown = told.endpoint(received.url)
    told.degrade()
    told.look()
    sender = Sender(told.hub, clock=lambda: told.at)

    begun = sender.dispatch()
    sender.close()

    assert begun >= 1
    assert received.types(shown.secret) == ["connection.degraded"]


def test_alerts_of_a_removed_endpoint_go_nowhere(told: Told, received: Receiver) -> None:
    """Its log goes with it; the alert stays."""
    shown = told.endpoint(received.url)
    told.degrade()
    told.look()
    (taken,) = take(told.hub, told.at)
    endpoints.remove(told.hub, told.company.tenant_id, shown.endpoint.id, actor="command")

    deliver(told.hub, taken, Outside(allow_loopback=True), told.at)

    assert received.calls == []
    assert told.sendings() == []
    assert len(told.alerts()) == 1


def test_secrets_are_not_stored_in_clear(told: Told, received: Receiver) -> None:
    """They are shown once; the table and the audit log do not hold them."""
    shown = told.endpoint(received.url)
    with told.hub.tenant(told.company.tenant_id) as session:
        kept = session.scalars(select(WebhookEndpoint.secret)).one()
        noted = session.scalars(select(AuditRow.facts)).all()

    assert shown.secret.encode() not in kept
    assert shown.secret not in json.dumps(noted)


def test_a_stranger_cannot_touch_an_endpoint(told: Told, received: Receiver, hub: Hub) -> None:
    """Every function that names one finds nothing in another tenant."""
    shown = told.endpoint(received.url)
    stranger, endpoint_id = new_company(hub).tenant_id, shown.endpoint.id

    for work in (
        lambda: endpoints.rotate(hub, stranger, endpoint_id, actor="command"),
        lambda: endpoints.change(hub, stranger, endpoint_id, actor="command", note="mine"),
        lambda: endpoints.test(hub, stranger, endpoint_id, actor="command"),
        lambda: endpoints.remove(hub, stranger, endpoint_id, actor="command"),
    ):
        with pytest.raises(endpoints.UnknownEndpoint):
            work()


@pytest.mark.processes
def test_killed_between_writing_and_sending(told: Told, received: Receiver) -> None:
    """The process that wrote the alert dies before it sends; the next one sends it, once, and tells nothing anew."""
    shown = told.endpoint(received.url)
    told.degrade()
    script = (
        "import os, signal\n"
        "from hub.alerts.watch import watch\n"
        "from hub.alerts.send import take\n"
        "from hub.context import process_hub\n"
        "from hub.db.base import now\n"
        "hub = process_hub()\n"
        "assert watch(hub, now())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    settings = told.hub.settings
    environment = os.environ | {
        "AFTERBEEP_DATA_DIR": str(settings.data_dir),
        "AFTERBEEP_DATABASE_URL": settings.database_url.get_secret_value(),
        "AFTERBEEP_REDIS_URL": settings.redis_url.get_secret_value(),
        "AFTERBEEP_ALLOW_LOOPBACK_VENDORS": "true",
        "AFTERBEEP_SWEEP_S": "0.1",
    }
    killed = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert received.calls == []

    sweeping = subprocess.Popen([sys.executable, "-m", "hub.cli", "sweep"], env=environment)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and not _is_sent(told):
            time.sleep(0.1)
    finally:
        sweeping.terminate()
        assert sweeping.wait(60) == 0

    assert received.types(shown.secret) == ["connection.degraded"]
    assert len(told.alerts()) == 1


def _is_sent(told: Told) -> bool:
    with told.hub.tenant(told.company.tenant_id) as session:
        return session.scalars(select(AlertSending.state)).all() == ["sent"]
