"""Signing in, staying signed in, and being kept out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from hub.context import Hub, open_hub
from hub.db import people
from hub.db.base import new_id, now
from hub.db.people import Role, SignIn
from hub.web.viewer import COOKIE
from tests.conftest import Company, new_company
from tests.web.visitor import PASSWORD, Page, Visitor, signed_in


@pytest.fixture
def account(hub: Hub, company: Company) -> str:
    """A person of the company with a password; gives the e-mail address."""
    email = f"{new_id('mail')}@harbor.example"
    with hub.everyone("a test makes a person") as session:
        person = people.create_person(session, email=email, name="Sam Rivers", password=PASSWORD)
    with hub.tenant(company.tenant_id) as session:
        people.add_member(session, person_id=person.id, role=Role.OPERATOR)
    return email


def enter(client: FlaskClient, email: str, password: str, **more: str) -> TestResponse:
    """Fill in the form as it stands on the page, and send it."""
    form = Page(client.get("/sign-in").text).forms[0]
    return client.post(
        form["action"],
        data=form["fields"] | {"email": email, "password": password} | more,
        environ_base={"REMOTE_ADDR": more.get("address", "127.0.0.1")},
    )


def test_right_password_opens_the_pages(app: Flask, account: str) -> None:
    """Who signs in with the right password sees the overview of their company."""
    client = app.test_client()

    answer = enter(client, account.upper(), PASSWORD)

    assert answer.status_code == 303
    assert "Harbor Home Services" in client.get(answer.location).text


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(app: Flask, account: str) -> None:
    """The sign-in cookie is HttpOnly and SameSite=Lax, and the token is kept as a hash only."""
    client = app.test_client()

    answer = enter(client, account, PASSWORD)

    cookie = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_over_https_cookies_insist_on_it(hub: Hub) -> None:
    """Where the public address is HTTPS, the cookies are Secure and bound to the host."""
    from hub.app import create_app
    from hub.settings import load

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
    client = create_app(secure).test_client()

    answer = client.get("/sign-in", base_url="https://hub.harbor.example")

    cookies = answer.headers.getlist("Set-Cookie")
    assert cookies
    assert all("Secure" in one for one in cookies)
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize("who", ["known", "unknown"])
def test_wrong_sign_in_does_not_tell_who_exists(app: Flask, account: str, who: str) -> None:
    """A wrong password and an unknown address give the same sentence."""
    email = account if who == "known" else f"{new_id('no')}@nobody.example"

    answer = enter(app.test_client(), email, "wrong password")

    assert answer.status_code == 401
    assert "do not belong together" in answer.text


def test_guessing_at_one_account_is_slowed_down(app: Flask, hub: Hub, account: str) -> None:
    """After too many failures even the right password has to wait, from whatever address it comes."""
    client = app.test_client()
    for place in range(hub.settings.sign_ins_per_minute):
        enter(client, account, "wrong password", address=f"192.0.2.{place}")

    answer = enter(client, account, PASSWORD, address="198.51.100.7")

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


def test_guessing_from_one_address_is_slowed_down(app: Flask, hub: Hub, account: str) -> None:
    """Trying many accounts from one address has to wait as well."""
    client = app.test_client()
    for _ in range(hub.settings.sign_ins_per_minute):
        enter(client, f"{new_id('no')}@nobody.example", "wrong password", address="203.0.113.9")

    answer = enter(client, account, PASSWORD, address="203.0.113.9")

    assert answer.status_code == 429


def test_signing_in_rightly_is_not_counted(app: Flask, hub: Hub, account: str) -> None:
    """A person may sign in as often as they like."""
    statuses = {
        enter(app.test_client(), account, PASSWORD, address="203.0.113.10").status_code
        for _ in range(hub.settings.sign_ins_per_minute + 2)
    }

    assert statuses == {303}


def test_people_sign_in_without_redis(hub: Hub, account: str) -> None:
    """When Redis does not answer, nobody is kept out."""
    from hub.app import create_app
    from hub.settings import load

    assert hub.settings.database_url
    lonely = open_hub(
        load(
            data_dir=hub.settings.data_dir,
            database_url=hub.settings.database_url.get_secret_value(),
            redis_url="unix:///nowhere/redis.sock",
        )
    )

    answer = enter(create_app(lonely).test_client(), account, PASSWORD)

    assert answer.status_code == 303


def test_signing_out_ends_the_row(app: Flask, hub: Hub, visitor: Visitor) -> None:
    """After signing out, the old cookie opens nothing."""
    token = visitor.client.get_cookie(COOKIE)
    assert token is not None

    visitor.post("/sign-out")

    again = app.test_client()
    again.set_cookie(COOKIE, token.value)
    assert again.get("/").status_code == 303


@pytest.mark.parametrize("column", ["expires_at", "created_at"])
def test_sign_in_does_not_last_for_ever(hub: Hub, visitor: Visitor, column: str) -> None:
    """A sign-in ends when it was not used for long, and after thirty days in any case."""
    past = now() - (timedelta(minutes=1) if column == "expires_at" else people.LONGEST)
    with hub.tenant(visitor.company.tenant_id) as session:
        session.execute(update(SignIn).values({column: past}))

    assert visitor.get("/").status_code == 303


def test_use_prolongs_a_sign_in(hub: Hub, visitor: Visitor) -> None:
    """Each use after a while moves the end."""
    with hub.tenant(visitor.company.tenant_id) as session:
        soon = now() + timedelta(minutes=3)
        session.execute(
            update(SignIn).values(expires_at=soon, last_used_at=now() - timedelta(hours=1))
        )

    visitor.get("/")

    with hub.tenant(visitor.company.tenant_id) as session:
        assert session.scalars(select(SignIn.expires_at)).one() > soon + timedelta(hours=1)


def test_member_who_was_removed_is_out_at_once(hub: Hub, visitor: Visitor) -> None:
    """Taking a membership away ends what its cookie opens."""
    with hub.tenant(visitor.company.tenant_id) as session:
        for row in session.scalars(select(people.Membership)):
            session.delete(row)

    assert visitor.get("/").status_code == 303


def test_page_asked_for_comes_after_signing_in(app: Flask, account: str) -> None:
    """The page that led to the sign-in follows it, filters and all."""
    client = app.test_client()
    asked = client.get("/voicemails?bucket=billing")
    form = Page(client.get(asked.location).text).forms[0]

    answer = client.post(
        form["action"], data=form["fields"] | {"email": account, "password": PASSWORD}
    )

    assert answer.location == "/voicemails?bucket=billing"


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_sign_in_leads_nowhere_else(app: Flask, account: str, target: str) -> None:
    """A link cannot make the sign-in lead to another site."""
    answer = enter(app.test_client(), account, PASSWORD, next=target)

    assert answer.location == "/"


def test_person_of_two_companies_switches(app: Flask, hub: Hub, visitor: Visitor) -> None:
    """Who works for two companies can look at the other one; the token changes with it."""
    other = new_company(hub)
    with hub.tenant(other.tenant_id) as session:
        people.add_member(session, person_id=visitor.company.person_id, role=Role.VIEWER)
    before = visitor.client.get_cookie(COOKIE)

    answer = visitor.post("/company", {"tenant": other.tenant_id}, follow_redirects=True)

    after = visitor.client.get_cookie(COOKIE)
    assert before
    assert after
    assert before.value != after.value
    assert "Viewer" in answer.text


def test_nobody_switches_to_a_company_that_is_not_theirs(hub: Hub, visitor: Visitor) -> None:
    """Another company's id is answered as if there were none."""
    assert visitor.post("/company", {"tenant": new_company(hub).tenant_id}).status_code == 404


TYPED = {"text": "version: 1\n# much work", "name": "Leads"}


def late_form(visitor: Visitor, hub: Hub) -> Page:
    """Send a form after the sign-in has ended; gives the page that comes instead."""
    with hub.tenant(visitor.company.tenant_id) as session:
        session.execute(update(SignIn).values(ended_at=now()))
    late = visitor.post("/mappings/new", TYPED, headers={"Sec-Fetch-Site": "same-origin"})
    assert late.status_code == 401
    return Page(late.text)


def sign_in_with(visitor: Visitor, page: Page, email: str) -> TestResponse:
    """Sign in on a page that holds a form."""
    form = page.forms[0]
    return visitor.client.post(
        form["action"], data=form["fields"] | {"email": email, "password": PASSWORD}
    )


def test_form_sent_after_the_sign_in_ended_is_not_lost(
    app: Flask, hub: Hub, account: str, company: Company
) -> None:
    """What was typed is carried through the sign-in, and offered to be sent with a valid token."""
    with hub.everyone("a test finds a person") as session:
        person_id = session.scalars(
            select(people.Person.id).where(people.Person.email == account)
        ).one()
    visitor = signed_in(app, hub, Company(company.tenant_id, person_id))

    offered = sign_in_with(visitor, late_form(visitor, hub), account)

    again = Page(offered.text).forms[0]
    assert again["action"] == "/mappings/new"
    assert again["fields"]["text"].replace("\r\n", "\n") == TYPED["text"]
    sent = visitor.client.post(again["action"], data=again["fields"])
    assert sent.status_code == 403  # the token is right; an operator may not edit mappings
    assert "needs the role mapper" in sent.text


def test_form_goes_to_the_company_that_it_was_typed_for(
    app: Flask, hub: Hub, account: str, company: Company
) -> None:
    """Also for people of several companies, whichever this browser looked at last."""
    other = new_company(hub)
    with hub.everyone("a test finds a person") as session:
        person_id = session.scalars(
            select(people.Person.id).where(people.Person.email == account)
        ).one()
    with hub.tenant(other.tenant_id) as session:
        people.add_member(session, person_id=person_id, role=Role.VIEWER)
    visitor = signed_in(app, hub, Company(other.tenant_id, person_id))
    visitor.client.set_cookie("afterbeep_company", company.tenant_id)

    offered = sign_in_with(visitor, late_form(visitor, hub), account)

    assert "You are signed in again" in offered.text
    token = visitor.client.get_cookie(COOKIE)
    assert token is not None
    with hub.everyone("a test reads a sign-in") as session:
        found = people.former(session, token=token.value)
    assert found is not None
    assert found.tenant_id == other.tenant_id


def test_form_is_not_given_to_somebody_else(
    app: Flask, hub: Hub, account: str, company: Company
) -> None:
    """Another person who signs in at this browser is told, and sees nothing of it."""
    visitor = signed_in(app, hub, company)

    answer = sign_in_with(visitor, late_form(visitor, hub), account)

    assert (answer.status_code, answer.location) == (303, "/")
    page = visitor.get("/").text
    assert "Somebody else had typed" in page
    assert "much work" not in page


def test_form_whose_owner_is_made_up_goes_nowhere(
    app: Flask, hub: Hub, account: str, company: Company
) -> None:
    """Whose a form is, is signed."""
    visitor = signed_in(app, hub, company)
    page = late_form(visitor, hub)
    page.forms[0]["fields"]["kept_whose"] = "ses_1.guessed"

    assert sign_in_with(visitor, page, account).location == "/"


def test_form_that_nobody_can_be_named_for_is_shown_and_not_kept(
    app: Flask, hub: Hub, company: Company
) -> None:
    """Without a cookie it could be given to anybody; what was typed stands there to be copied."""
    visitor = signed_in(app, hub, company)
    visitor.client.delete_cookie(COOKIE)

    answer = visitor.post("/mappings/new", TYPED, headers={"Sec-Fetch-Site": "same-origin"})

    assert answer.status_code == 403
    assert "much work" in answer.text


def test_form_of_another_tab_outlives_signing_out(app: Flask, hub: Hub, company: Company) -> None:
    """Signing out in one tab does not lose what stands in another."""
    visitor = signed_in(app, hub, company)
    visitor.post("/sign-out")

    answer = visitor.post("/mappings/new", TYPED, headers={"Sec-Fetch-Site": "same-origin"})

    assert answer.status_code == 401
    assert "What you typed is kept" in answer.text


def test_form_of_another_site_is_not_offered_again(app: Flask) -> None:
    """What a stranger's page sends is refused, not kept for sending."""
    answer = app.test_client().post(
        "/mappings/new", data={"text": "theirs"}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status_code == 403
    assert "kept_for" not in answer.text


def test_weak_passwords_are_refused(hub: Hub) -> None:
    """A password needs ten characters."""
    with (
        pytest.raises(people.WeakPassword, match="at least 10"),
        hub.everyone("a test makes a person") as session,
    ):
        people.create_person(session, email="a@harbor.example", name="A", password="short")


def test_new_password_ends_all_sign_ins(hub: Hub, visitor: Visitor) -> None:
    """Whoever has an old cookie is out when the password changes."""
    with hub.everyone("a test changes a password") as session:
        people.set_password(
            session, person_id=visitor.company.person_id, password="another good one"
        )

    assert visitor.get("/").status_code == 303
