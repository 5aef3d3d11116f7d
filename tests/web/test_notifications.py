"""Notifications: who is told, secrets shown once, the log, and mails."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select

from hub.alerts import outbox
from hub.alerts.outbox import Item
from hub.alerts.send import send_due
from hub.app import create_app
from hub.context import Hub, open_hub
from hub.db.alerts import AlertSending, AlertType, WebhookEndpoint
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.tenants import Tenant
from hub.settings import load
from tests.alerts.receiving import mailbox, receiver
from tests.conftest import Company
from tests.delivery.connected import Connected
from tests.web.visitor import Page, Visitor, signed_in

URL = "https://ops.harbor.example/beep?key=1234"


def kept(hub: Hub, company: Company) -> WebhookEndpoint:
    """Read the one webhook."""
    with hub.tenant(company.tenant_id) as session:
        return session.scalars(select(WebhookEndpoint)).one()


def add(visitor: Visitor, url: str = URL, **more: object) -> str:
    """Add a webhook through the form; gives its page and its secret."""
    answer = visitor.post("/notifications/new", {"url": url} | more)
    assert answer.status_code == 200
    found = re.search(r'value="(whsec_[^"]+)"', answer.text)
    assert found
    return found[1]


def test_an_empty_page_says_what_comes_first(visitor: Visitor) -> None:
    """No webhook, no mail server, no alert: each is said."""
    page = visitor.page("/notifications")

    assert "No webhook yet" in page.text
    assert "AFTERBEEP_SMTP_URL" in page.text
    assert "no account has been in trouble" in page.text


def test_a_secret_is_shown_once(visitor: Visitor, hub: Hub, company: Company) -> None:
    """After adding, and after making a new one; never again. A list shows the host alone."""
    first = add(visitor)
    where = f"/notifications/webhooks/{kept(hub, company).id}"
    second = re.search(r"whsec_[^\"]+", visitor.post(f"{where}/rotate").text)

    assert second
    assert second[0] != first
    for path in (where, "/notifications"):
        text = visitor.get(path).text
        assert "whsec_" not in text
    assert "key=1234" not in visitor.get("/notifications").text
    assert "signs too until" in visitor.get(where).text


def test_a_wrong_address_keeps_what_was_typed(visitor: Visitor) -> None:
    """And says what is wrong beside it."""
    answer = visitor.post(
        "/notifications/new",
        {"url": "https://10.0.0.1/", "note": "Duty phone", "type": ["connection.paused"]},
    )

    assert answer.status_code == 422
    assert "private network" in answer.text
    assert "Duty phone" in answer.text
    assert 'value="https://10.0.0.1/"' in answer.text
    assert answer.text.count(" checked") == 1


def test_types_are_chosen_by_ticks(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Some ticked are kept; all ticked is everything, also what is added later."""
    add(visitor, type=["queue.old", "budget.used"])
    row = kept(hub, company)
    where = f"/notifications/webhooks/{row.id}"
    every = re.findall(r'name="type" value="([^"]+)"', visitor.get(where).text)

    assert row.types == ["queue.old", "budget.used"]
    visitor.post(where, {"url": URL, "type": every})
    assert kept(hub, company).types == []


def test_a_test_stands_in_the_log(visitor: Visitor, hub: Hub, company: Company) -> None:
    """What came of it: waiting, then the answer."""
    with receiver() as received:
        add(visitor, received.url)
        where = f"/notifications/webhooks/{kept(hub, company).id}"
        assert "Nothing has been sent yet" in visitor.get(where).text
        visitor.post(f"{where}/test")
        assert "Not tried yet" in visitor.get(where).text
        received.answers.append(503)
        send_due(hub, now())

    text = Page(visitor.get(where).text).text
    assert "It answered 503." in text
    assert "Nothing has arrived since a first failure" in text
    assert len(received.calls) == 1


def test_a_line_of_the_log_is_sent_again(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Each try and what is sent stand in the log; a line goes out again at once, as the same message."""
    with receiver() as received:
        add(visitor, received.url)
        where = f"/notifications/webhooks/{kept(hub, company).id}"
        visitor.post(f"{where}/test")
        received.answers.append(503)
        send_due(hub, now())
        form = next(one for one in visitor.page(where).forms if one["action"].endswith("/again"))
        assert visitor.post(form["action"], form["fields"]).status_code == 303
        send_due(hub, now())

    text = visitor.page(where).text
    (message,) = {call.headers["webhook-id"] for call in received.calls}
    assert message in text
    assert len(received.calls) == 2
    assert "It answered 204." in text
    assert "It answered 503." in text
    assert '"type": "test"' in text
    assert "Nothing of this kind" in visitor.page(f"{where}?state=failed").text
    assert visitor.post(f"{where}/again", {"sending": "snd_unknown"}).status_code == 404
    visitor.post(f"{where}/switch")
    assert "Send again" not in visitor.page(where).text


def test_off_and_on_and_away(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Turned off it says why and offers no test; removing is asked first."""
    add(visitor)
    where = f"/notifications/webhooks/{kept(hub, company).id}"
    visitor.post(f"{where}/switch")
    off = visitor.get(where).text
    refused = visitor.post(f"{where}/test", follow_redirects=True)
    visitor.post(f"{where}/switch")

    assert "Somebody turned it off." in off
    assert "turned off. Turn it on first" in refused.text
    assert kept(hub, company).disabled_at is None
    assert "Remove the webhook to ops.harbor.example?" in visitor.get(f"{where}/remove").text
    visitor.post(f"{where}/remove")
    assert visitor.get(where).status_code == 404


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"who": "admins"}, None),
        ({"who": "nobody", "addresses": "ops@harbor.example"}, []),
        (
            {"who": "chosen", "addresses": " Ops@harbor.example\n\nduty@harbor.example\n"},
            ["ops@harbor.example", "duty@harbor.example"],
        ),
    ],
)
def test_who_gets_mails_is_kept(
    visitor: Visitor, hub: Hub, company: Company, form: dict, expected: list | None
) -> None:
    """Owners and admins, nobody, or addresses, one on each line."""
    visitor.post("/notifications/mail", form)

    with hub.tenant(company.tenant_id) as session:
        settings = session.scalars(
            select(Tenant.settings).where(Tenant.id == company.tenant_id)
        ).one()
    assert settings["alerts"].get("recipients") == expected
    forms = visitor.page("/notifications").forms
    fields = next(one["fields"] for one in forms if one["action"] == "/notifications/mail")
    assert fields.get("addresses", "") == "\n".join(expected or ())


@pytest.mark.parametrize("typed", ["not an address", "a@b.example, c@d.example", "", "x@y\rBcc: z"])
def test_a_wrong_mail_address_is_said(visitor: Visitor, typed: str) -> None:
    """Nothing is kept, and what was typed stays there."""
    answer = visitor.post("/notifications/mail", {"who": "chosen", "addresses": typed})

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text


def test_a_test_mail_goes_to_who_asks(hub: Hub, company: Company) -> None:
    """To nobody else, whoever is told of alerts."""
    with mailbox() as mails:
        settings = load(
            data_dir=hub.settings.data_dir,
            database_url=hub.settings.database_url.get_secret_value(),
            redis_url=hub.settings.redis_url.get_secret_value(),
            allow_loopback_vendors=True,
            smtp_url=mails.url,
            mail_from="alerts@hub.example",
        )
        mailing = open_hub(settings)
        owner = signed_in(create_app(mailing), mailing, company)
        assert "AFTERBEEP_SMTP_URL" not in owner.get("/notifications").text
        owner.post("/notifications/mail", {"who": "chosen", "addresses": "ops@harbor.example"})
        owner.post("/notifications/mail/test")
        send_due(mailing, now())

    assert mails.to() == [f"{company.person_id}@harbor.example"]


def test_what_was_told_is_listed(app: Flask, hub: Hub, connected: Connected) -> None:
    """On the page of notifications with how it arrived, and on the connection's card."""
    company = connected.company
    owner = signed_in(app, hub, company)
    add(owner)
    with hub.tenant(company.tenant_id) as session:
        row = session.get(Connection, connected.connection.id)
        outbox.write(
            hub, session, [Item(company.tenant_id, AlertType.DEGRADED, now(), {}, row)], now()
        )
        session.scalars(select(AlertSending)).one().state = "failed"

    page = owner.page("/notifications").text
    card = owner.page(f"/connections/{connected.connection.id}").text

    assert "does not take our calls as it should" in page
    assert "0 of 1 arrived" in page
    assert "What happened lately" in card
    assert "does not take our calls as it should" in card
