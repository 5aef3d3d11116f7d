"""What pages must withstand: values that callers and vendors choose, networks of guessers, quiet readers."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from flask import Flask
from sqlalchemy import select, update

from hub import log
from hub.app import create_app
from hub.context import Hub, open_hub
from hub.db import people
from hub.db.audit import AuditRow
from hub.db.base import new_id
from hub.db.deliveries import Delivery, State
from hub.db.people import SignIn
from hub.db.tenants import Tenant
from hub.delivery.plan import Incoming, accept
from hub.settings import load
from hub.web.viewer import COOKIE
from tests.conftest import Company, new_company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.web.visitor import PASSWORD, Page, Visitor, signed_in


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All lines of the log, as in production; the logs of the test run are put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure(stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize(
    "changes",
    [
        {"call": {"id": "CA1", "recording": {"url": "https://["}}},
        {"callback": {"window": {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}}},
    ],
    ids=["address", "time"],
)
def test_no_voicemail_can_close_its_page(app: Flask, hub: Hub, changes: dict[str, Any]) -> None:
    """An address or a time that nobody can read does not keep a voicemail from being shown."""
    company = new_company(hub, timezone="America/New_York")
    [taken] = accept(hub, company.tenant_id, [Incoming.of(voicemail(1, **changes))])

    answer = signed_in(app, hub, company).get(f"/voicemails/{taken.id}")

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "place",
    ["[" * 3_000, '[1e999, "2026-11-20T00:00:00+00:00", "evt"]', "[1, 2, 3]"],
    ids=["deep", "infinite", "numbers"],
)
def test_no_cursor_is_an_error(visitor: Visitor, place: str) -> None:
    """A cursor that somebody made up leads to the first page."""
    cursor = base64.urlsafe_b64encode(place.encode()).decode()

    assert visitor.get("/voicemails", query_string={"after": cursor}).status_code == 200


def test_words_of_an_error_are_not_logged(hub: Hub, logged: io.StringIO) -> None:
    """When a page breaks on a caller's words, the log says where, and not what they were."""
    app = create_app(hub)

    def fail() -> str:
        raise ValueError("Dana Whitfield has a leak")

    app.add_url_rule("/fails", "web.fails", fail)

    answer = app.test_client().get("/fails")

    assert answer.status_code == 500
    assert "page failed" in logged.getvalue()
    assert "test_security_pages.py" in logged.getvalue()
    assert "Whitfield" not in logged.getvalue()


def test_words_of_an_error_of_a_library_are_not_logged(logged: io.StringIO) -> None:
    """A library that logs an error with its trace says its kind and its places."""
    try:
        {}["Dana Whitfield"]
    except KeyError:
        logging.getLogger("some.library").exception("It broke")

    line = json.loads(logged.getvalue())
    assert line["event"] == "It broke"
    assert line["error"] == "KeyError"
    assert "Whitfield" not in logged.getvalue()


def test_secrets_of_an_address_are_not_logged(logged: io.StringIO) -> None:
    """A server that logs an address writes neither an authorisation code nor a state."""
    logging.getLogger("gunicorn.error").error(
        "Error handling request %s", "/connections/callback?code=geheim1&state=geheim2"
    )

    assert "Error handling request" in logged.getvalue()
    assert "geheim" not in logged.getvalue()


def _listed(hub: Hub, company: Company) -> list[list[str]]:
    with hub.tenant(company.tenant_id) as session:
        rows = session.scalars(
            select(AuditRow).where(AuditRow.action == "voicemails.listed").order_by(AuditRow.number)
        ).all()
    assert all(row.actor == f"person:{company.person_id}" for row in rows)
    return [row.facts["events"] for row in rows]


@pytest.mark.parametrize("path", ["/", "/voicemails"])
def test_lists_of_health_data_are_written_down(app: Flask, hub: Hub, path: str) -> None:
    """Summaries, names and numbers stand in lists too: who saw which is in the audit log."""
    company = new_company(hub, is_phi=True)
    [taken] = accept(hub, company.tenant_id, [Incoming.of(voicemail(1))])

    signed_in(app, hub, company).page(path)

    assert _listed(hub, company) == [[taken.id]]


def test_lists_of_other_companies_are_not_written_down(app: Flask, hub: Hub) -> None:
    """A company without health data keeps no book of its readers, and an empty list is no reading."""
    plain, quiet = new_company(hub), new_company(hub, is_phi=True)
    accept(hub, plain.tenant_id, [Incoming.of(voicemail(1))])

    for company in (plain, quiet):
        signed_in(app, hub, company).page("/voicemails")

    assert _listed(hub, plain) == _listed(hub, quiet) == []


def test_parked_health_data_is_written_down(app: Flask, hub: Hub, connected: Connected) -> None:
    """The page of what needs a person shows summaries as well."""
    connected.publish(LEAD)
    [taken] = connected.accept(voicemail(1))
    with hub.everyone("a test makes the company one with health data") as session:
        session.execute(
            update(Tenant).where(Tenant.id == connected.company.tenant_id).values(is_phi=True)
        )
    with hub.tenant(connected.company.tenant_id) as session:
        session.execute(update(Delivery).values(state=State.PARKED.value, reason="Look at it"))

    signed_in(app, hub, connected.company).page("/needs-you")

    assert _listed(hub, connected.company) == [[taken.id]]


def test_guessing_from_one_network_is_slowed_down(app: Flask, hub: Hub) -> None:
    """Who has an IPv6 network has more addresses than anybody can count; they count as one."""
    client = app.test_client()
    form = Page(client.get("/sign-in").text).forms[0]
    network = f"2001:db8:{new_id('net')[-4:].encode().hex()[:4]}:1"

    def guess(place: int) -> int:
        answer = client.post(
            form["action"],
            data=form["fields"] | {"email": f"{new_id('no')}@nobody.example", "password": "wrong"},
            environ_base={"REMOTE_ADDR": f"{network}::{place:x}"},
        )
        return answer.status_code

    for place in range(hub.settings.sign_ins_per_minute):
        assert guess(place) == 401

    assert guess(hub.settings.sign_ins_per_minute) == 429


def test_over_https_no_other_host_can_plant_a_form(hub: Hub) -> None:
    """Every cookie of a page is bound to the host, so that a sibling cannot sign a person in elsewhere."""
    assert hub.settings.database_url
    assert hub.settings.redis_url
    secure = open_hub(
        load(
            data_dir=hub.settings.data_dir,
            database_url=hub.settings.database_url.get_secret_value(),
            redis_url=hub.settings.redis_url.get_secret_value(),
            public_url="https://hub.harbor.example",
        )
    )

    answer = create_app(secure).test_client().get("/sign-in", base_url="https://hub.harbor.example")

    [cookie] = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-")
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def test_signing_in_again_ends_the_sign_in_before(app: Flask, hub: Hub, company: Company) -> None:
    """A browser has one sign-in: the token that it had before opens nothing any more."""
    email = f"{new_id('mail')}@harbor.example"
    with hub.everyone("a test makes a person") as session:
        person = people.create_person(session, email=email, name="Sam Rivers", password=PASSWORD)
    with hub.tenant(company.tenant_id) as session:
        people.add_member(session, person_id=person.id, role=people.Role.VIEWER)
        people.start_sign_in(session, person_id=person.id, lasts=timedelta(hours=1))
    browser = signed_in(app, hub, Company(company.tenant_id, person.id))
    before = browser.client.get_cookie(COOKIE)
    assert before

    browser.post("/sign-in", {"email": email, "password": PASSWORD})

    after = browser.client.get_cookie(COOKIE)
    assert after
    assert after.value != before.value
    with hub.everyone("a test looks at sign-ins") as session:
        old = people.viewer(session, token=before.value, lasts=timedelta(hours=1))
        new = people.viewer(session, token=after.value, lasts=timedelta(hours=1))
        others = session.scalars(
            select(SignIn.id).where(SignIn.person_id == person.id, SignIn.ended_at.is_(None))
        ).all()
    assert old is None
    assert new is not None
    assert len(others) == 2  # of another browser, and this one
